"""Starts an sshd for a test on 127.0.0.1, adds a user who may sudo with a password, and removes both."""

import contextlib
import getpass
import glob
import os
import pathlib
import secrets
import shutil
import socket
import subprocess
import tempfile
import time

SFTP = next((path for path in ("/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server", "/usr/lib/ssh/sftp-server") if os.path.exists(path)), "internal-sftp")
SERVER = """ListenAddress 127.0.0.1:{port}
HostKey {dir}/host
AuthorizedKeysFile {dir}/client.pub
PidFile {dir}/{name}.pid
Subsystem sftp {sftp}
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
LogLevel VERBOSE
{more}
"""
# In place of a real VM's instance role, the sessions have these variables in their environment.
CLIENT = """Host vm
  HostName 127.0.0.1
  Port {vm}
Host bastion
  HostName 127.0.0.1
  Port {bastion}
Host behind
  HostName 127.0.0.1
  Port {vm}
  ProxyJump bastion
Host *
  User {user}
  IdentityFile {dir}/client
  IdentitiesOnly yes
  UserKnownHostsFile {dir}/known
  StrictHostKeyChecking yes
"""
SUDOERS = """{user} ALL=(ALL) ALL
Defaults:{user} secure_path="{path}", env_keep += "{names}", lecture=never, timestamp_timeout=0
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Servers:
    """The sshd of a VM and of a bastion, with one client configuration for both. `environment` is the environment of the VM's sessions."""

    def __init__(self, environment, user=None, banner=None):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="connections-"))
        self.dir.chmod(0o755)
        self.sockets = self.dir / "c"  # the directory of the clients' shared connections
        self.processes = {}
        for key in ("host", "client"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.dir / key], check=True)
        more = "SetEnv " + " ".join(f"{name}={value}" for name, value in environment.items())
        if banner:
            (self.dir / "banner").write_text(banner)
            more += f"\nBanner {self.dir}/banner"
        self.ports = ports = {"vm": self.listen("vm", more), "bastion": self.listen("bastion", "")}
        host = (self.dir / "host.pub").read_text()
        (self.dir / "known").write_text("".join(f"[127.0.0.1]:{port} {host}" for port in ports.values()))
        self.config = self.dir / "config"
        self.config.write_text(CLIENT.format(user=user or getpass.getuser(), dir=self.dir, **ports))

    def listen(self, name, more):
        port, config = free_port(), self.dir / f"{name}.conf"
        config.write_text(SERVER.format(port=port, dir=self.dir, name=name, sftp=SFTP, more=more))
        if os.getuid() == 0:
            os.makedirs("/run/sshd", exist_ok=True)  # root's sshd requires this directory for privilege separation
        with (self.dir / f"{name}.log").open("w") as log:
            self.processes[name] = subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", config], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        end = time.monotonic() + 15
        while "Server listening" not in self.log(name):
            assert self.processes[name].poll() is None and time.monotonic() < end, self.log(name)
            time.sleep(0.05)
        return port

    def log(self, name):
        return (self.dir / f"{name}.log").read_text()

    def close(self):
        """Ends the clients' shared connections and the servers one by one, and fails if a process outlives them."""
        for path in self.sockets.glob("*"):
            subprocess.run(["ssh", "-O", "exit", "-S", path, "vm"], capture_output=True, check=False)
        for process in self.processes.values():
            process.terminate()
            process.wait(timeout=15)
        end = time.monotonic() + 10
        while left := self.left():
            assert time.monotonic() < end, f"processes outlive the test: {left}"
            time.sleep(0.1)
        shutil.rmtree(self.dir)

    def left(self):
        """Command lines of running processes that name a file of this object."""
        found = []
        for path in glob.glob("/proc/[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                found.append(pathlib.Path(path).read_text(errors="replace").replace("\0", " "))
        return [line for line in found if f"{self.dir}/" in line]


@contextlib.contextmanager
def own_user(environment, greeting="", name=None):
    """Adds a user whose login prints `greeting` and who may sudo with a password; yields (name, password file). Removes the user at the end."""
    name, password = name or f"rcx{os.getpid()}", secrets.token_urlsafe(18)
    home = pathlib.Path(tempfile.mkdtemp(prefix="connections-home-"))
    sudoers, file = pathlib.Path(f"/etc/sudoers.d/{name}"), home.with_suffix(".password")
    try:
        subprocess.run(["useradd", "--home-dir", home, "--no-create-home", "--shell", "/bin/bash", name], check=True)
        subprocess.run(["chpasswd"], input=f"{name}:{password}\n", text=True, check=True)
        # bash reads .bashrc for a command over ssh, and .profile for an interactive login.
        for profile in (".bashrc", ".profile") if greeting else ():
            (home / profile).write_text(greeting)
        shutil.chown(home, name)
        home.chmod(0o755)
        sudoers.write_text(SUDOERS.format(user=name, path=environment["PATH"], names=" ".join(environment)))
        sudoers.chmod(0o440)
        file.touch(mode=0o600)
        file.write_text(password)
        yield name, file
    finally:
        sudoers.unlink(missing_ok=True)
        file.unlink(missing_ok=True)
        end = time.monotonic() + 10
        while processes_of(name) and time.monotonic() < end:
            time.sleep(0.1)
        subprocess.run(["userdel", "--force", name], capture_output=True, check=False)
        shutil.rmtree(home)


def processes_of(name):
    return subprocess.run(["ps", "-o", "pid=", "-u", name], capture_output=True, text=True, check=False).stdout.split()
