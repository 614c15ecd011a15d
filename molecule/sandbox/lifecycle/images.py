"""The images: the database from the tarball that .ci/deps made, the Platform's services from the stand-in's binary."""

import hashlib
import io
import os
import platform
import subprocess
import tarfile

from .base import BUILD, ROOT, Problem, run, say
from .engine import docker, environment, locked

ROLES = {"backend": "", "migrate-db": "migrate", "frontend": "frontend"}


def database():
    """The database image's name; imported if it is not there yet."""
    if named := os.environ.get("SANDBOX_DB_IMAGE"):
        return named
    tarball = run("bash", "-c", ". .ci/deps.d/common.sh; . .ci/deps.d/db-image.sh; db_image_tarball", cwd=ROOT).stdout.strip()
    name = "seqera-sandbox/db:" + tarball.removesuffix(".tar.gz").rpartition("-")[2]
    with locked():
        if present(name):
            return name
        if not os.path.exists(tarball):
            raise Problem("the database image is not there; type:  .ci/deps db-image")
        say("importing the database image")
        changes = ['ENTRYPOINT ["/entrypoint"]', "VOLUME /var/lib/mysql"]
        docker("import", *[f"--change={c}" for c in changes], tarball, name)
    return name


def services():
    """Builds the stand-in and imports it under the three names; gives {role: image}."""
    binary = BUILD / "standin"
    with locked():
        build(binary)
        tag = hashlib.sha256(binary.read_bytes()).hexdigest()[:16]
        names = {kind: f"seqera-sandbox/{kind}:{tag}" for kind in ROLES}
        for kind, role in ROLES.items():
            if not present(names[kind]):
                load(binary, names[kind], role)
                forget_older(names[kind])
    return names


def forget_older(name):
    """Removes images of earlier binaries; the Engine keeps those that a container still uses."""
    kind = name.partition(":")[0]
    for other in docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", kind).stdout.split():
        if other != name:
            docker("image", "rm", other, check=False)


def build(binary):
    machine = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}.get(platform.machine(), "amd64")
    env = os.environ | {"CGO_ENABLED": "0", "GOOS": "linux", "GOARCH": machine}
    if not binary.exists():
        say("building the stand-in")
    run("go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", binary, "./molecule/sandbox/standin", env=env, cwd=ROOT)


def load(binary, name, role):
    """FROM scratch: one file."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        info = tarfile.TarInfo("platform")
        info.mode, info.size = 0o755, binary.stat().st_size
        with binary.open("rb") as content:
            tar.addfile(info, content)
    changes = ['--change=ENTRYPOINT ["/platform"]'] + ([f"--change=ENV SANDBOX_ROLE={role}"] if role else [])
    done = subprocess.run(
        ["docker", "import", *changes, "-", name], input=layer.getvalue(), env=environment(), capture_output=True, check=False
    )
    if done.returncode != 0:
        raise Problem(f"docker import {name}: {done.stderr.decode().strip()}")


def present(name):
    return docker("image", "inspect", name, check=False).returncode == 0
