"""The images: the database's is made from the tarball of hack/deps, all others from the stand-in's binary."""

import hashlib
import io
import os
import platform
import subprocess
import tarfile

from .base import BUILD, HERE, ROOT, Problem, run, say
from .engine import docker, environment, locked

VERSION = "v26.1.3"
DATABASE = "/database"  # not a valid name of a sandbox
ROLES = {
    "backend": {}, "migrate-db": {"SANDBOX_ROLE": "migrate"}, "frontend": {"SANDBOX_ROLE": "frontend"}, "redis": {"SANDBOX_ROLE": "listen", "SANDBOX_LISTEN": "6379"},
}  # fmt: skip


def kind():
    """mysql or mariadb."""
    return os.environ.get("SANDBOX_DATABASE_KIND") or "mysql"


def database():
    """The database image's name. If there is no image yet, imports the tarball and adds the entrypoint."""
    if named := os.environ.get("SANDBOX_DB_IMAGE"):
        return named
    tarball = run("bash", "-c", ". hack/deps.d/common.sh; . hack/deps.d/db-image.sh; db_image_tarball", cwd=ROOT).stdout.strip()
    entrypoint = HERE / "database" / "entrypoint"
    base = "seqera-sandbox/db:" + tarball.removesuffix(".tar.gz").rpartition("-")[2]
    name = f"{base}-{hashlib.sha256(entrypoint.read_bytes()).hexdigest()[:8]}"
    with locked():
        if present(name):
            return name
        if not os.path.exists(tarball):
            raise Problem(f"the {kind()} image is missing; type:  SANDBOX_DATABASE_KIND={kind()} hack/deps db-image")
        say(f"importing the {kind()} image")
        if not present(base):
            docker("import", tarball, base)
        container = docker("create", base, "/entrypoint").stdout.strip()
        try:
            docker("cp", entrypoint, f"{container}:/entrypoint")
            changes = ['ENTRYPOINT ["/entrypoint"]', "CMD []", f"LABEL seqera-sandbox={DATABASE}", "VOLUME /var/lib/mysql"]
            docker("commit", *[f"--change={c}" for c in changes], container, name)
        finally:
            docker("rm", container)
    return name


def services(sandbox, environment):
    """Imports the stand-in as the images of one sandbox. Returns {kind: image}. A real VM gets the address and credentials of AWS from its
    region and instance role. Here the images contain them, so that compose files and tower.env stay unchanged."""
    binary = BUILD / "standin"
    with locked():
        build(binary)
        made = {kind: f"seqera-sandbox/{sandbox}/{kind}:{VERSION}" for kind in ROLES}
        for kind, name in made.items():
            load(binary, name, environment | ROLES[kind], sandbox)
    return made


def under_real_names(sandbox, environment, wanted, database_image):
    """Imports stand-ins under the names in a rendered compose file. Returns the backend's image. A foreign database image with the right
    name stays and is used. Any other foreign image is refused."""
    binary = BUILD / "standin"
    with locked():
        build(binary)
        for image, role in wanted.items():
            if present(image) and label(image) not in (sandbox, DATABASE) and role is not None:
                raise Problem(f"the Engine has an image {image} already, which a stand-in would replace; remove it, or use another Engine")
            if role is not None:
                load(binary, image, environment | role, sandbox)
            elif not present(image):
                docker("tag", database_image, image)
    return next(image for image, role in wanted.items() if role == {})


def label(image):
    """The owner of an image: a sandbox's name, DATABASE, or '' for a foreign image."""
    said = docker("image", "inspect", "--format", '{{index .Config.Labels "seqera-sandbox"}}', image, check=False).stdout.strip()
    return "" if said == "<no value>" else said


def remove(sandbox):
    """Removes one sandbox's images, and the real names of our database image, which only rendered compose files use."""
    for image in docker("image", "ls", "--quiet", "--filter", f"label=seqera-sandbox={sandbox}").stdout.split():
        docker("image", "rm", "--force", image, check=False)
    for name in docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", "--filter", f"label=seqera-sandbox={DATABASE}").stdout.split():
        if not name.startswith("seqera-sandbox/"):
            docker("image", "rm", name, check=False)


def build(binary):
    machine = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}.get(platform.machine(), "amd64")
    env = os.environ | {"CGO_ENABLED": "0", "GOOS": "linux", "GOARCH": machine}
    if not binary.exists():
        say("building the stand-in")
    run("go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", binary, "./molecule/sandbox/standin", env=env, cwd=ROOT)


def load(binary, name, env, sandbox):
    """Makes an image that contains one file, as FROM scratch does."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        info = tarfile.TarInfo("platform")
        info.mode, info.size = 0o755, binary.stat().st_size
        with binary.open("rb") as content:
            tar.addfile(info, content)
    changes = ['ENTRYPOINT ["/platform"]', f"LABEL seqera-sandbox={sandbox}", *(f"ENV {k}={v}" for k, v in env.items())]
    done = subprocess.run(
        ["docker", "import", *[f"--change={c}" for c in changes], "-", name], input=layer.getvalue(), env=environment(), capture_output=True, check=False
    )  # fmt: skip
    if done.returncode != 0:
        raise Problem(f"docker import {name}: {done.stderr.decode().strip()}")


def present(name):
    return docker("image", "inspect", name, check=False).returncode == 0
