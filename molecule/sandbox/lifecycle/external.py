"""A database outside the compose project, like RDS: a separate container that accepts only encrypted connections."""

from pathlib import Path

from . import engine, moto
from .base import Problem


def name(project):
    return f"{project}-database"


def start(project, image, directory, tls):
    """Starts the database with the login in directory/database.env, and with copies of cert.pem and key.pem from the directory `tls` that
    the server's own user can read. Returns host:port, which containers and this machine can both reach."""
    address = engine.gateway()
    if not moto.is_local(address):
        raise Problem("an external database needs a Docker Engine on this machine: containers must reach it by the address that the machine has on their bridge")
    for file in ("cert.pem", "key.pem"):
        (directory / file).write_bytes((Path(tls) / file).read_bytes())
    engine.docker(
        "run", "--detach", f"--name={name(project)}", f"--network={engine.network()}", f"--publish={address}::3306", f"--env-file={directory / 'database.env'}",
        f"--volume={directory / 'cert.pem'}:/tls/cert.pem:ro", f"--volume={directory / 'key.pem'}:/tls/key.pem:ro", image, "--ssl-cert=/tls/cert.pem", "--ssl-key=/tls/key.pem", "--require-secure-transport=ON",
    )  # fmt: skip
    return engine.docker("port", name(project), "3306/tcp").stdout.split()[0]


def stop(project):
    """Ends the database, if there is one."""
    engine.docker("rm", "--force", "--volumes", name(project), check=False)
