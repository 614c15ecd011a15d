"""Who owns a sandbox's compose directory and runs compose: an ordinary user with a home of its own.

Root makes a real user, in the group that may use the Engine's socket. Everybody else is that user, with a home below build/.
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
    """The user of one sandbox. The home's name is the project's, where the compose file lies in the home itself."""

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
        """Refuses a name that a sandbox of another checkout has: ours would be taken down together with it."""
        if self.real and (self.home.exists() or self.exists()):
            raise Problem(f"{self.home} or its user is there, and no sandbox of this checkout made it. Take another name, or, if nobody uses it:  userdel -f {self.name}; rm -rf {self.home}")

    def create(self):
        if self.real:
            # No password, but not locked either: sshd lets nobody in who is locked, not with a key.
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
        """Into the user's own directory, as the installer once did it: the checkout may be below a home that is closed to others."""
        plugin = (engine.DOCKER_CONFIG / "cli-plugins" / "docker-compose").resolve()
        own = self.home / ".docker" / "cli-plugins" / "docker-compose"
        own.parent.mkdir(parents=True)
        try:
            own.hardlink_to(plugin)
        except OSError:
            shutil.copy(plugin, own)

    def own(self, top):
        """Gives what root has written below a path to the user; the compose plugin may be linked with others' and stays."""
        if not self.real:
            return
        for path in [top, *top.rglob("*")]:
            if path.name != "docker-compose":
                os.chown(path, *self.ids)

    def write(self, path, text, mode=0o644):
        """Replaces a file's content in place: a mounted file keeps its inode."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=mode)
        path.write_text(text)
        for one in (path, *path.parents):
            if not one.is_relative_to(self.home):
                break
            if self.real:
                os.chown(one, *self.ids)

    def environment(self, directory):
        """As after a login, in the compose directory."""
        kept = {k: v for k, v in os.environ.items() if k in ("PATH", "LANG", "LC_ALL", "TERM", "TMPDIR")}
        return kept | {
            "HOME": str(self.home), "PWD": str(directory), "USER": self.name, "LOGNAME": self.name, "DOCKER_HOST": engine.docker_host(),
        }  # fmt: skip

    def identity(self):
        """What subprocess needs to become the user."""
        if not self.real:
            return {}
        uid, gid = self.ids
        return {"user": uid, "group": gid, "extra_groups": os.getgrouplist(self.name, gid)}

    def run(self, *argv, directory=None, check=True):
        directory = directory or self.home
        return run(*argv, env=self.environment(directory), cwd=directory, check=check, **self.identity())

    def python(self):
        """A Python that the user may run, for Ansible's modules: the checkout may be below a home that is closed to others."""
        ours = ROOT / ".venv" / "bin" / "python"
        try:
            subprocess.run([ours, "-c", ""], cwd="/", check=True, **self.identity())
        except OSError:
            return "/usr/bin/python3"
        return str(ours)

    def remove(self, image):
        """The user and everything below the home, whoever it belongs to."""
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
