"""The binary is uploaded to a VM once. Measures the bytes that a call sends, and its time on a slow line, over a real sshd."""

import contextlib
import hashlib
import json
import os
import pathlib
import socket
import subprocess
import threading
import time

import pytest
from conftest import ROOT, VENV
from sshd import Servers, own_user
from slow_link import SlowLink
from test_connections import AS_ROOT, BINARY, GREETING, NOT_ROOT, SUM, SYSTEM_PATH, forget

STORED = [f"{SUM}.seqera_crypto_rotation", f"{SUM}.seqera_crypto_rotation_info"]
ASYNC_WRAPPER = 130_000  # bytes of Ansible's own module for background jobs
LARGE = 3_000_000  # bytes of the binary on the wire, as ssh compresses it
SMALL = 100_000  # bytes that a later call may send
PASSWORD = "correct-horse-battery-staple"
# Both calls fail with a wrong option, so they need nothing but the module. The second one waits, so it runs in the background.
CALLS = {
    "a call": {"seqera_crypto_rotation_info": {"app_name": "tower", "gaher": "ledger", "database": {"password": PASSWORD}}},
    "a wait": {"seqera_crypto_rotation": {"state": "rotating", "app_name": "tower", "rotation_id": "r1", "verify": "attested", "database": {"password": PASSWORD}}},
}
WAYS = {
    "ssh": {},
    "pipelining": {"ansible_pipelining": True},
    "a terminal": {"ansible_ssh_extra_args": "-tt"},
    "no sftp": {"ansible_ssh_transfer_method": "piped"},
    "become root": {"ansible_become": True},
    "become root, a noisy login": {"ansible_become": True},
    "become a third user": {"ansible_become": True},
    "become a third user, pipelining": {"ansible_become": True, "ansible_pipelining": True},
}


class Vm:
    """An sshd behind a slow link, the home of the user who runs the module, and Ansible. `become` is the user whom the login becomes."""

    def __init__(self, tmp, ends, become="", greeting="", **slow):
        self.tmp, self.home, user, self.argv = tmp, tmp / "home", None, []
        self.home.mkdir()
        environment = {"PATH": SYSTEM_PATH, "HOME": str(self.home)}
        if become:
            user, password = ends.enter_context(own_user({"PATH": SYSTEM_PATH}, greeting))
            self.argv = ["--become-password-file", str(password), f"--become-user={become}"]
            self.home = pathlib.Path(os.path.expanduser(f"~{become}"))
            ends.callback(forget, self.home)
            del environment["HOME"]
        self.servers = Servers(environment, user)
        ends.callback(self.servers.close)
        self.link = ends.enter_context(SlowLink(("127.0.0.1", self.servers.ports["vm"]), **slow))
        self.args = f"-F {self.servers.config} -o Port={self.link.port} -o HostKeyAlias=[127.0.0.1]:{self.servers.ports['vm']}"
        self.store = self.home / ".seqera-crypto-rotation" / "bin"

    def start(self, *tasks, name="play", hosts=("vm",), more=(), **variables):
        """Starts a playbook of these tasks. The results are written to one file per host."""
        tasks = [{"name": "Call", "register": f"came_{n}", "ignore_errors": True} | task for n, task in enumerate(tasks)]
        kept = {"content": f"{{{{ [{', '.join(task['register'] for task in tasks)}] | to_json }}}}", "dest": f"{self.tmp}/{name}-{{{{ inventory_hostname }}}}.json"}
        tasks.append(
            {"name": "Keep", "copy": kept | {"mode": "0600"}, "delegate_to": "localhost", "become": False, "check_mode": False, "vars": {"ansible_connection": "local"}}
        )
        (self.tmp / f"{name}.json").write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
        host = {"ansible_host": "vm", "ansible_ssh_common_args": self.args, "ansible_python_interpreter": "/usr/bin/python3"} | variables
        (self.tmp / f"{name}.hosts.json").write_text(json.dumps({"all": {"hosts": dict.fromkeys(hosts, host)}}))
        plugins = ROOT / "roles" / "seqera_crypto_rotation" / "action_plugins"
        return subprocess.Popen(
            [VENV / "ansible-playbook", "-i", self.tmp / f"{name}.hosts.json", self.tmp / f"{name}.json", *self.argv, *more],
            env=os.environ | {"ANSIBLE_ACTION_PLUGINS": str(plugins), "ANSIBLE_LIBRARY": str(BINARY.parent), "ANSIBLE_SSH_CONTROL_PATH_DIR": str(self.servers.sockets)},
            cwd=self.tmp,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *tasks, **how):
        """Returns the results of the first host's tasks, the output, the bytes sent to the VM, and the seconds."""
        sent, begun = self.link.sent[0], time.monotonic()
        process = self.start(*tasks, **how)
        output = process.communicate(timeout=120)[0]
        assert process.returncode == 0, output
        took = time.monotonic() - begun
        assert PASSWORD not in output
        return json.loads((self.tmp / f"play-{how.get('hosts', ['vm'])[0]}.json").read_text()), output, self.link.sent[0] - sent, took

    def stored(self):
        return sorted(path.name for path in self.store.iterdir())


@pytest.fixture
def vm(tmp_path):
    with contextlib.ExitStack() as ends:

        def one(**how):
            if how.get("become") and not AS_ROOT:
                pytest.skip(NOT_ROOT)
            return Vm(tmp_path, ends, **how)

        yield one


@pytest.fixture
def third_user():
    """Adds a user with a home, and returns the name."""
    with contextlib.ExitStack() as ends:

        def one():
            if not AS_ROOT:
                pytest.skip(NOT_ROOT)
            return ends.enter_context(own_user({"PATH": SYSTEM_PATH}, name=f"rcy{os.getpid()}"))[0]

        yield one


def refused(came):
    return [one.get("error_code") for one in came] == ["invalid_options"] * len(came)


@pytest.mark.parametrize("name", WAYS)
def test_later_calls_send_their_arguments_alone(vm, third_user, name):
    become = third_user() if "third" in name else "root" if "become" in name else ""
    host = vm(become=become, greeting=GREETING if "noisy" in name else "", rate=10**9, delay=0)
    forget(host.home)
    jobs = host.servers.dir / "async"
    jobs.mkdir()
    jobs.chmod(0o777)  # for the third user
    variables = {"ansible_async_dir": str(jobs)} | WAYS[name]
    came, output, sent, _ = host.run(*CALLS.values(), **variables)
    assert refused(came) and sent > LARGE, (came, sent, output)
    assert host.stored() == STORED
    assert {path.stat().st_mode & 0o7777 for path in (host.store, *host.store.iterdir())} == {0o700}
    for (what, call), most in zip(CALLS.items(), (SMALL, SMALL + ASYNC_WRAPPER)):
        came, output, sent, _ = host.run(call, **variables)
        print(f"{name}, {what}: {sent} bytes")
        assert refused(came) and sent < most, (came, sent, output)
    assert [path for root in (host.home, jobs) for path in root.rglob("*") if path.is_file() and PASSWORD.encode() in path.read_bytes()] == []
    assert list(jobs.iterdir()) == []
    assert os.path.exists("/dev/stdin"), "the module removed its standard input as if it were Ansible's file"


def test_the_copy_is_below_the_home_that_the_task_gives_the_module(vm, tmp_path):
    host, other = vm(rate=10**9, delay=0), tmp_path / "other"
    other.mkdir(mode=0o755)
    calls = [call | {"environment": {"HOME": str(other)}} for call in CALLS.values()]
    came, output, sent, _ = host.run(*calls)
    assert refused(came) and sent > LARGE, (came, sent, output)
    assert sorted(path.name for path in (other / ".seqera-crypto-rotation" / "bin").iterdir()) == STORED and not host.store.exists()
    came, output, sent, _ = host.run(*calls)
    assert refused(came) and sent < 2 * SMALL + ASYNC_WRAPPER, (came, sent, output)
    assert list((other / ".ansible_async").iterdir()) == [] and not (host.home / ".ansible_async").exists()


def test_a_slow_line_costs_a_later_call_seconds(vm):
    host = vm()
    rate, delay = host.link.rate, host.link.delay
    assert host.run(CALLS["a call"])[3] > LARGE / rate, "the line is not slow"
    host.link.rate, host.link.delay = 10**9, 0
    quick = host.run(CALLS["a call"])[3]
    host.link.rate, host.link.delay = rate, delay
    came, output, _, slow = host.run(CALLS["a call"])
    print(f"{slow:.1f} s, {quick:.1f} s on loopback")
    assert refused(came) and slow - quick < 10, output


def test_the_line_is_as_slow_as_asked():
    def answer():
        with listener.accept()[0] as peer:
            while data := peer.recv(65536):
                peer.sendall(data)

    with socket.create_server(("127.0.0.1", 0)) as listener, SlowLink(listener.getsockname(), rate=1_000_000, delay=0.06) as link:
        threading.Thread(target=answer, daemon=True).start()
        with socket.create_connection(("127.0.0.1", link.port)) as client:
            for size, least in ((1, 0.12), (300_000, 0.42)):  # both directions at the same time
                begun = time.monotonic()
                client.sendall(bytes(size))
                while size:
                    size -= len(client.recv(65536))
                assert least <= time.monotonic() - begun < least + 10
        assert link.sent[0] == link.received[0] == 300_001


def test_two_runs_of_three_hosts_each_on_one_vm(vm):
    host, hosts = vm(rate=10**9, delay=0), ("one", "two", "three")
    runs = [host.start(*CALLS.values(), name=name, hosts=hosts) for name in ("a", "b")]
    assert [run.communicate(timeout=120)[1] or run.returncode for run in runs] == [0, 0]
    assert all(refused(json.loads(path.read_text())) for path in host.tmp.glob("[ab]-*.json")) and host.stored() == STORED


def test_what_cannot_be_used_is_said_and_the_module_runs(vm):
    host = vm(rate=10**9, delay=0)
    host.store.parent.mkdir()
    (host.tmp / "planted").mkdir(mode=0o700)
    host.store.symlink_to(host.tmp / "planted")
    came, output, sent, _ = host.run(CALLS["a call"], CALLS["a call"])
    assert refused(came) and sent > 2 * LARGE and list((host.tmp / "planted").iterdir()) == []
    assert output.count("is not used: every call uploads the binary") == 1, output
    host.store.unlink()
    host.store.touch()
    came, output, _, _ = host.run(CALLS["a call"], more=["-v"])
    assert refused(came) and output.count("every call uploads it") == 1, output
    host.store.unlink()
    host.home.chmod(0o777)
    came, output, sent, _ = host.run(CALLS["a call"])
    assert refused(came) and sent > LARGE and output.count("is not used: every call uploads the binary") == 1, output


@pytest.mark.parametrize("harm", ["damaged", "replaced", "writable"])
def test_a_copy_that_does_not_match_is_not_run(vm, harm):
    host = vm(rate=10**9, delay=0)
    came, output, _, _ = host.run(CALLS["a call"])
    copy = host.store / STORED[1]
    if harm == "damaged":
        copy.write_bytes(copy.read_bytes()[:-1] + b"x")
    if harm == "replaced":
        copy.unlink()
        copy.write_text("#!/bin/sh\ntouch ~/harmed\n")
        copy.chmod(0o700)
    if harm == "writable":
        copy.chmod(0o777)
    came, output, sent, _ = host.run(CALLS["a call"])
    assert refused(came) and sent > LARGE and not (host.home / "harmed").exists(), output
    assert hashlib.sha256(copy.read_bytes()).hexdigest() == SUM and copy.stat().st_mode & 0o777 == 0o700


def test_a_home_without_programs_gets_an_upload_for_every_call(vm):
    if not AS_ROOT:
        pytest.skip(NOT_ROOT)
    host = vm(rate=10**9, delay=0)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "noexec,mode=755,size=64m", "none", host.home], check=True)
    try:
        came, output, sent, _ = host.run(CALLS["a call"], more=["-v"], ansible_remote_tmp=str(host.servers.dir / "tmp"))
    finally:
        subprocess.run(["umount", host.home], check=True)
    assert refused(came) and sent > LARGE and output.count("every call uploads it") == 1, output
