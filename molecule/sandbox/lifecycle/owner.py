"""The owner of a sandbox's compose directory, who runs compose: an ordinary user with its own home.

Root creates a real user, in the group that may use the Engine's socket. For a developer who is not root, the owner is the developer,
with a home below build/.
"""

import grp
import os
import pwd
import shutil
import subprocess
from pathlib import Path

from . import engine
from .base import ROOT, Problem, run

HOMES = Path("/home")


class Owner:
    """The user of one sandbox. If the compose file is in the home itself, the home's name is also the project's name."""

    def __init__(self, name, directory):
        self.real = os.geteuid() == 0
        self.name = f"sbx-{name}" if self.real else pwd.getpwuid(os.geteuid()).pw_name
        self.home = (HOMES if self.real else directory) / f"seqera-sandbox-{name}"

    @property
    def ids(self):
        entry = pwd.getpwnam(self.name)
        return entry.pw_uid, entry.pw_gid

    def exists(self):
        return run("id", self.name, check=False).returncode == 0

    def claim(self):
        """Refuses a name that a sandbox of another checkout uses, because taking one down would take down both."""
        if self.real and (self.home.exists() or self.exists()):
            raise Problem(f"{self.home} or its user exists, but no sandbox of this checkout made it. Use another name, or, if nobody uses it, type:  userdel -f {self.name}; rm -rf {self.home}")

    def create(self):
        if self.real:
            # The user has no password but is not locked, because sshd refuses locked users, even with a key.
            run("useradd", "--create-home", "--home-dir", self.home, "--shell", "/bin/bash", "--groups", engine_group(), "--password", "*", self.name)
        self.home.mkdir(exist_ok=True)
        self.home.chmod(0o755)
        self.install_compose()
        self.own(self.home)
        done = self.run("docker", "compose", "version", check=False)
        done = done if done.returncode else self.run("docker", "version", check=False)
        if done.returncode:
            raise Problem(f"the user {self.name} cannot use the Docker Engine: {(done.stdout + done.stderr).strip()}")

    def install_compose(self):
        """Installs compose in the user's own directory, as older installers do. The user may not be able to enter the checkout."""
        plugin = (engine.DOCKER_CONFIG / "cli-plugins" / "docker-compose").resolve()
        own = self.home / ".docker" / "cli-plugins" / "docker-compose"
        own.parent.mkdir(parents=True)
        try:
            own.hardlink_to(plugin)
        except OSError:
            shutil.copy(plugin, own)

    def own(self, top):
        """Makes the user own everything that root has written below a path, except the compose plugin, which may be a shared hard link."""
        if not self.real:
            return
        for path in [top, *top.rglob("*")]:
            if path.name != "docker-compose":
                os.chown(path, *self.ids)

    def write(self, path, text, mode=0o644):
        """Replaces a file's content in place, so that a mounted file keeps its inode."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=mode)
        path.write_text(text)
        for one in (path, *path.parents):
            if not one.is_relative_to(self.home):
                break
            if self.real:
                os.chown(one, *self.ids)

    def environment(self, directory):
        """The environment after a login, in the compose directory."""
        kept = {k: v for k, v in os.environ.items() if k in ("PATH", "LANG", "LC_ALL", "TERM", "TMPDIR")}
        return kept | {
            "HOME": str(self.home), "PWD": str(directory), "USER": self.name, "LOGNAME": self.name, "DOCKER_HOST": engine.docker_host(),
        }  # fmt: skip

    def identity(self):
        """The arguments with which subprocess becomes the user."""
        if not self.real:
            return {}
        uid, gid = self.ids
        return {"user": uid, "group": gid, "extra_groups": os.getgrouplist(self.name, gid)}

    def run(self, *argv, directory=None, check=True):
        directory = directory or self.home
        return run(*argv, env=self.environment(directory), cwd=directory, check=check, **self.identity())

    def python(self):
        """A Python for Ansible's modules that the user may run. The user may not be able to enter the checkout."""
        ours = ROOT / ".venv" / "bin" / "python"
        try:
            subprocess.run([ours, "-c", ""], cwd="/", check=True, **self.identity())
        except OSError:
            return "/usr/bin/python3"
        return str(ours)

    def remove(self, image):
        """Removes the user and everything below the home, whoever owns it."""
        if self.real:
            run("userdel", "--force", self.name, check=False)
            if run("getent", "group", self.name, check=False).returncode == 0:
                run("groupdel", self.name, check=False)
        elif image and (self.home / ".tower").exists():
            engine.docker("run", "--rm", f"--volume={self.home}:/home", "--entrypoint=/bin/rm", image, "-rf", "/home/.tower", check=False)
        if self.home.exists():
            shutil.rmtree(self.home)


def engine_group():
    """The group that may use the Engine's socket."""
    socket = Path(engine.docker_host().removeprefix("unix://"))
    name = grp.getgrgid(socket.stat().st_gid).gr_name if socket.exists() else "root"
    if name == "root":
        raise Problem(f"no ordinary user may use the Docker Engine's socket {socket}; type:  groupadd docker; chgrp docker {socket}")
    return name
