"""Common connections, with a real sshd on this machine: results, refusals, lines of progress and whole rotations work."""

import contextlib
import hashlib
import json
import os
import pathlib
import pwd
import re
import subprocess
import threading

import pytest
from conftest import ROOT, Platform
from lights import LightPlatform
from sshd import Servers, own_user
from test_playbook import module, on_the_control_node

HERE = pathlib.Path(__file__).parent
BINARY = ROOT / "library" / "seqera_crypto_rotation"
SUM = hashlib.sha256(BINARY.read_bytes()).hexdigest()
FLEET = f"connections-{os.getpid()}"
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
BANNER = "Authorised use only.\n{this is no JSON}\n"
GREETING = 'echo "Welcome to the platform. {\\"changed\\": true}"\necho "noise on stderr" >&2\n'

# Variables of each connection. With "become", a user of the test logs in and uses sudo. With "noisy", the login prints text.
CONNECTIONS = {
    "ssh": {},
    "pipelining": {"ansible_pipelining": True},
    "a terminal": {"ansible_ssh_extra_args": "-tt"},
    "no terminal": {"ansible_ssh_use_tty": False},
    "a bastion": {"ansible_host": "behind"},
    "become": {"become": True},
    "become, pipelining": {"become": True, "ansible_pipelining": True},
    "a noisy login": {"become": True, "noisy": True},
}
WHOLE = {
    "a terminal": {"ansible_ssh_extra_args": "-tt"},
    "a bastion, become, a noisy login": {"ansible_host": "behind", "become": True, "noisy": True},
}
AS_ROOT = os.getuid() == 0 and "yes" in (os.environ.get("MAY_ADD_USER"), "yes" if os.environ.get("CI") == "true" else "")
NOT_ROOT = "adds a user and a mount to this machine for a minute: run it as root with MAY_ADD_USER=yes (or CI=true)"


def forget(home):
    """Removes this build from the home of a user who is not of the test."""
    for path in (home / ".seqera-crypto-rotation" / "bin").glob(f"{SUM}.*"):
        path.unlink()


@pytest.fixture(scope="module")
def fleet():
    """Light installations, one for each test."""
    try:
        Platform.sandbox("light-up", FLEET, "--count", str(len(CONNECTIONS) + len(WHOLE) + 1), "--records", "8")
        yield iter(range(len(CONNECTIONS) + len(WHOLE) + 1))
    finally:
        Platform.sandbox("light-down", FLEET)


class Reached:
    """A light installation, with a connection to its VM."""

    def __init__(self, number, tmp, become=False, noisy=False, **variables):
        self.platform, self.argv, self.ends = LightPlatform(FLEET, number, tmp), [], contextlib.ExitStack()
        environment = {name: value for name, value in self.platform.env.items() if name.startswith("AWS_")} | {"PATH": f"{self.platform.path}:{SYSTEM_PATH}"}
        user = None
        # The role runs the module with the home of the compose directory's owner, who is the user of this test.
        owner = pathlib.Path(pwd.getpwuid(os.getuid()).pw_dir)
        forget(owner)
        self.ends.callback(forget, owner)
        if not become:
            (tmp / "home").mkdir(exist_ok=True)
            environment["HOME"] = str(tmp / "home")
        if become:
            user, password = self.ends.enter_context(own_user(environment, GREETING if noisy else ""))
            self.argv = ["--become", "--become-password-file", str(password)]
            self.platform.keys.add(password.read_text())
        self.servers = Servers(environment, user, BANNER if noisy else None)
        self.ends.callback(self.servers.close)
        self.variables = {
            "ansible_connection": "ssh", "ansible_host": "vm", "ansible_ssh_common_args": f"-F {self.servers.config}", "seqera_crypto_rotation__progress_interval": 0,
        } | variables  # fmt: skip
        if not become:  # otherwise it would be the home of the user who runs the tests
            self.variables = {"ansible_remote_tmp": str(self.servers.dir / "tmp"), "ansible_async_dir": str(self.servers.dir / "async")} | self.variables
        plugins = ROOT / "roles" / "seqera_crypto_rotation" / "action_plugins"
        self.platform.environ |= {"ANSIBLE_SSH_CONTROL_PATH_DIR": str(self.servers.sockets), "ANSIBLE_ACTION_PLUGINS": str(plugins)}

    def run(self, *argv, **more):
        run = self.platform.run(*self.argv, *argv, **self.variables | more)
        if self.variables["ansible_host"] == "behind":
            assert "Accepted publickey" in self.servers.log("bastion"), "the connection did not go through the bastion"
        return run


@pytest.fixture
def reach(fleet, tmp_path, request):
    """Makes a Reached, and ends everything that it started. The test fails if a shared connection outlives it."""
    with contextlib.ExitStack() as ends:

        def one(**variables):
            if variables.get("become") and not AS_ROOT:
                pytest.skip(NOT_ROOT)
            reached = Reached(next(fleet), tmp_path, **variables)
            ends.enter_context(reached.ends)
            return reached

        yield one


def sent(run):
    return len(re.findall(r"^<(?:vm|behind)> PUT \S*/seqera_crypto_rotation\S* TO ", run.output, re.M))


def lines_of(platform, output):
    return len(re.findall(rf"^{platform.name}: .* records are under the new key", output, re.M))


@contextlib.contextmanager
def cron_that_waits_for_lines(platform, count):
    """Holds cron until the terminal shows `count` lines of progress."""
    over = threading.Event()

    def watch():
        while not over.wait(0.1):
            if lines_of(platform, "".join(log.read_text() for log in platform.tmp.glob("run-*.txt"))) >= count:
                platform.set(SANDBOX_CRON_RECORD_DELAY="0")
                platform.compose("restart", "--", "cron")
                return

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize("name", CONNECTIONS)
def test_results_refusals_and_progress_come_through(reach, name):
    reached = reach(**CONNECTIONS[name])
    platform = reached.platform
    platform.set(SANDBOX_CRON_RECORD_DELAY="1h")
    prepared = on_the_control_node(platform, "prepared")
    assert not prepared.get("failed"), prepared["msg"]
    platform.restart_by_hand()

    kept = platform.tmp / "kept.json"
    with cron_that_waits_for_lines(platform, 3):
        run = reached.run("-vvv", playbook=HERE / "through.yml", kept=str(kept))
    assert run.code == 0, run.output
    came = json.loads(kept.read_text())
    info = {"app_name": platform.env["SANDBOX_APP_NAME"]}
    alone = module(platform, "seqera_crypto_rotation_info", gaher="parameters", **info)
    assert (came["mistyped"]["msg"], came["mistyped"]["error_code"]) == (alone["msg"], "invalid_options")
    assert came["seen"]["fingerprints"] == module(platform, "seqera_crypto_rotation_info", gather="parameters", **info)["fingerprints"]
    assert came["proved"]["phase"] == "rotated" and came["proved"]["progress"]["percent"] == 100, came["proved"]
    assert lines_of(platform, run.output) >= 3, "too few lines of progress"
    assert platform.leaks() == []


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_rotation(reach, name):
    reached = reach(**WHOLE[name])
    platform = reached.platform
    before, started, old = platform.parameters(), platform.started(), platform.current()
    dry = reached.run("--check", "--diff", "-vvv")
    assert dry.code == 0, dry.output
    assert platform.parameters() == before and platform.started() == started, "check mode touched the Platform"
    real = reached.run("-vvv")
    assert real.code == 0, real.output
    assert real.host["outcome"] == "done" and platform.current() != old and platform.trace() == []
    assert (sent(dry), sent(real)) == (1, 0), "the dry run must upload the module once and the rotation not at all (docs/connections.md)"
    counted, started = platform.check(), platform.started()
    assert counted["current"] == counted["total"] >= 8
    again = reached.run("-vvv")
    assert again.code == 0 and again.recap["changed"] == 0 and platform.started() == started, again.output
    platform.keys.add(old)
    assert platform.leaks() == []


def test_a_remote_tmp_that_cannot_be_used_is_said_before_anything_is_done(reach, tmp_path):
    reached = reach()
    platform = reached.platform
    before, started = platform.parameters(), platform.started()
    run = reached.run(ansible_remote_tmp="/proc/none")
    assert run.code != 0 and "Failed to create temporary directory" in " ".join(run.output.split()), run.output
    if not AS_ROOT:
        pytest.skip(NOT_ROOT)
    noexec = tmp_path / "noexec"
    noexec.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "noexec,size=64m", "none", noexec], check=True)
    try:
        run = reached.run(ansible_remote_tmp=str(noexec))
    finally:
        subprocess.run(["umount", noexec], check=True)
    assert run.code != 0 and "Permission denied" in run.output, run.output
    assert platform.parameters() == before and platform.started() == started
