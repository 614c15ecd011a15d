"""The choice of the binary for a host: which file arrives, and how often the host is asked for its platform.

Hosts of other platforms are this machine behind a connection that answers `uname` differently (foreign.py). Their binaries are scripts
that print the name under which they were started. `make test-collection` tests real binaries of another platform.
"""

import json
import os
import pathlib
import platform
import subprocess

import pytest
from conftest import ROOT, VENV

NAME = "seqera_crypto_rotation"
PLUGINS = ROOT / "roles" / NAME / "action_plugins"
MACHINE = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
OTHER = {"amd64": "arm64", "arm64": "amd64"}[MACHINE]
UNAME = {"amd64": "Linux x86_64", "arm64": "Linux aarch64"}
HEADS = {"amd64": b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\x3e\x00", "arm64": b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\xb7\x00"}

# The control character in its second line makes it a binary in Ansible's eyes.
SCRIPT = """#!{python}
# \x01
import json, os, sys
given = json.load(open(sys.argv[1]))
print(json.dumps({{"changed": False, "ran": {label!r}, "name": given["_ansible_module_name"], "file": os.path.basename(sys.argv[0])}}))
"""


class Control:
    """A control node with the role's action plugin and a folder of binaries."""

    def __init__(self, tmp):
        self.tmp, self.library, self.asked, self.hosts = tmp, tmp / "library", tmp / "asked", {}
        self.library.mkdir()
        (tmp / "ansible.cfg").write_text("")
        (tmp / "connection_plugins").mkdir()
        (tmp / "connection_plugins" / "foreign.py").symlink_to(pathlib.Path(__file__).with_name("foreign.py"))

    def binary(self, name, label=None, head=None):
        """Puts a binary into the folder: one that prints its label, or one that no machine can run."""
        path = self.library / name
        path.write_bytes(head + bytes(64) if head else SCRIPT.format(python=VENV / "python", label=label or name).encode())
        path.chmod(0o755)

    def host(self, name, uname, **more):
        """Adds a host with this answer to `uname`."""
        self.hosts[name] = {"ansible_connection": "foreign", "foreign_uname": uname, "foreign_asked": str(self.asked), "ansible_python_interpreter": str(VENV / "python")}
        self.hosts[name] |= more

    def run(self, *tasks, hosts="all"):
        """Runs the tasks on all hosts. Returns the results of each host's tasks, and the hosts that were asked for their platform."""
        self.asked.write_text("")
        names = [f"result_{n}" for n in range(len(tasks))]
        plays = [
            {
                "hosts": hosts,
                "gather_facts": False,
                "tasks": [
                    *({"register": name, "ignore_errors": True} | task for name, task in zip(names, tasks)),
                    {
                        "copy": {"content": f"{{{{ [{', '.join(names)}] | to_json }}}}", "dest": f"{self.tmp}/{{{{ inventory_hostname }}}}.json", "mode": "0600"},
                        "delegate_to": "localhost",
                    },
                ],
            }
        ]
        (self.tmp / "play.json").write_text(json.dumps(plays))
        (self.tmp / "hosts.json").write_text(json.dumps({"all": {"hosts": self.hosts}}))
        done = subprocess.run(
            [os.environ.get("ANSIBLE_PLAYBOOK", VENV / "ansible-playbook"), "-i", self.tmp / "hosts.json", self.tmp / "play.json"],
            env=os.environ
            | {
                "ANSIBLE_CONFIG": str(self.tmp / "ansible.cfg"),
                "ANSIBLE_LIBRARY": str(self.library),
                "ANSIBLE_ACTION_PLUGINS": str(PLUGINS),
                "ANSIBLE_CONNECTION_PLUGINS": str(self.tmp / "connection_plugins"),
                "ANSIBLE_LOCAL_TEMP": str(self.tmp / "local"),
                "HOME": str(self.tmp),
            },
            cwd=self.tmp,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert not list((self.tmp / "local").glob("*/platform-*")), "the hosts' answers must not remain on the control node"
        return {name: json.loads((self.tmp / f"{name}.json").read_text()) for name in self.hosts}, sorted(self.asked.read_text().split())


@pytest.fixture
def control(tmp_path):
    return Control(tmp_path)


TASK = {NAME: {"state": "prepared", "app_name": "tower"}}
INFO = {f"{NAME}_info": {"app_name": "tower"}}


def test_each_host_of_a_mixed_fleet_gets_its_own_binary_and_is_asked_once(control):
    for name in (NAME, f"{NAME}_info"):
        control.binary(name, head=HEADS[OTHER])
        for suffix in (f"linux_{MACHINE}", "darwin_arm64"):
            control.binary(f"{name}_{suffix}")
    for name, uname in {"same": UNAME[MACHINE], "mac": "Darwin arm64", "old-mac": "Darwin x86_64", "board": "Linux armv7l"}.items():
        control.host(name, uname)
    results, asked = control.run(TASK, INFO, TASK, TASK | {"delegate_to": "mac"}, INFO | {"delegate_to": "localhost"})

    for host, suffix in {"same": f"linux_{MACHINE}", "mac": "darwin_arm64"}.items():
        first, info, again, delegated, here = results[host]
        assert first["ran"] == again["ran"] == first["name"] == f"{NAME}_{suffix}" and first["file"] == f"AnsiballZ_{NAME}_{suffix}"
        assert info["ran"] == f"{NAME}_info_{suffix}"
        assert delegated["ran"] == f"{NAME}_darwin_arm64"
        assert here["ran"] == f"{NAME}_info_linux_{MACHINE}"
    assert asked == ["board", "mac", "old-mac", "same"], "each host must be asked once, and this machine never"

    for host, result in (("old-mac", results["old-mac"][1]), ("board", results["board"][1])):
        assert result["failed"] and result["error_code"] == "wrong_architecture" and not result["changed"]
    here = ", ".join(sorted(["darwin/arm64", "linux/amd64", "linux/arm64"]))
    assert results["old-mac"][1]["msg"] == (
        f"old-mac is darwin/amd64, but {NAME}_info is available only for {here}. Nothing was started. "
        "Next: run `make dist` in the clone, or install the collection's file, which contains it."
    )
    assert results["board"][0]["msg"] == (
        f"board is linux/armv7l, but {NAME} is available only for {here}. Nothing was started. "
        "It is built only for darwin/amd64, darwin/arm64, linux/amd64, linux/arm64."
    )


def test_facts_that_are_gathered_are_believed_and_nothing_is_asked(control):
    control.binary(NAME, head=HEADS[OTHER])
    control.binary(f"{NAME}_linux_{MACHINE}")
    control.host("vm", "Linux riscv64")
    control.host("without", "Linux riscv64")
    setup = {"ansible.builtin.setup": {"gather_subset": ["!all", "!min", "platform"]}, "when": "inventory_hostname == 'vm'"}
    results, asked = control.run(setup, TASK | {"delegate_to": "vm"}, TASK)
    assert results["vm"][1]["ran"] == results["vm"][2]["ran"] == results["without"][1]["ran"] == f"{NAME}_linux_{MACHINE}"
    assert results["without"][2]["error_code"] == "wrong_architecture"
    assert asked == ["without"]


def test_the_plain_binary_alone_is_run_without_asking(control):
    control.binary(NAME, "plain")
    control.host("vm", UNAME[OTHER])
    results, asked = control.run(TASK)
    assert results["vm"][0]["ran"] == "plain" and results["vm"][0]["name"] == NAME
    assert asked == []


def test_the_plain_binary_of_a_fresh_build_goes_before_the_others(control):
    control.binary(NAME, "plain")
    control.binary(f"{NAME}_linux_{MACHINE}", "of an earlier build")
    control.host("vm", UNAME[MACHINE])
    assert control.run(TASK)[0]["vm"][0]["ran"] == "plain"


def test_a_host_that_does_not_say_what_it_is_gets_the_plain_binary(control):
    control.binary(NAME, "plain")
    control.binary(f"{NAME}_linux_{OTHER}")
    control.host("vm", "uname: not found")
    assert control.run(TASK)[0]["vm"][0]["ran"] == "plain"


@pytest.mark.parametrize("task", [TASK, {NAME: {"state": "rotating", "app_name": "tower"}}], ids=["at once", "in the background"])
def test_a_plain_binary_of_another_architecture_fails_with_one_sentence(control, task):
    control.binary(NAME, head=HEADS[OTHER])
    control.host("vm", UNAME[MACHINE])
    [result] = control.run(task)[0]["vm"]
    assert result["failed"] and result["error_code"] == "wrong_architecture"
    assert result["msg"] == (
        f"vm is linux/{MACHINE}, but {NAME} is available only for linux/{OTHER}. Nothing was started. "
        "Next: run `make dist` in the clone, or install the collection's file, which contains it."
    )


def test_a_host_that_forbids_programs_is_told_where_they_may_run(control):
    control.binary(NAME, "plain")
    refusals = ("Operation not permitted", "Permission denied")
    for n, words in enumerate(refusals):
        control.host(f"vm{n}", UNAME[MACHINE], foreign_refuses=words)
    results, _ = control.run(TASK)
    for n, words in enumerate(refusals):
        [result] = results[f"vm{n}"]
        assert result["failed"] and not result["changed"] and result["error_code"] == "cannot_execute", result
        assert f"vm{n} does not let the module run: /" in result["msg"] and f"AnsiballZ_{NAME}: {words}. Nothing was started." in result["msg"]
        assert "ansible_remote_tmp" in result["msg"]
