"""Logins to a sandbox's VM: over ssh as the owner of the compose directory, over ssh as another user who may sudo, or as root without ssh."""

import contextlib

from sshd import Servers, own_user

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LOGINS = ("owner", "owner-become", "sudoer-become", "root")


@contextlib.contextmanager
def logged_in(platform, login):
    """A context manager in which the platform's runs use this login. The owner may not sudo, so a task that becomes root fails."""
    plain, argv, variables = platform.start, [], {}
    environment = {name: value for name, value in platform.env.items() if name.startswith("AWS_")} | {"PATH": SYSTEM_PATH}
    with contextlib.ExitStack() as ends:
        if login.endswith("become"):
            variables["ansible_become"] = True
        if login != "root":
            user = platform.env["SANDBOX_USER"]
            if login.startswith("sudoer"):
                user, password = ends.enter_context(own_user(environment))
                argv = ["--become-password-file", str(password)]
            servers = Servers(environment, user)
            ends.callback(servers.close)
            variables |= {"ansible_connection": "ssh", "ansible_host": "vm", "ansible_ssh_common_args": f"-F {servers.config}"}
            platform.environ |= {"ANSIBLE_SSH_CONTROL_PATH_DIR": str(servers.sockets)}
        platform.start = lambda *more, **given: plain(*argv, *more, **variables | given)
        try:
            yield
        finally:
            platform.start = plain
