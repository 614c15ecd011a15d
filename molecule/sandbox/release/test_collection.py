"""The collection's file, installed into a fresh virtual environment, as a user without the clone has it.

ansible-core comes from the package index. community.docker comes from .venv, because Galaxy may not be reachable. There is no
ansible.cfg, the working directory is outside the clone, and no path leads into the clone.
"""

import json
import os
import pathlib
import re
import shutil
import sys
import tarfile

import pytest
from conftest import DIST, NAME, PLATFORMS, ROOT, VENV, run

COLLECTION = "seqera_tools.crypto_rotation"
[FILE] = (ROOT / "build").glob("seqera_tools-crypto_rotation-*.tar.gz")
MODULES = (NAME, f"{NAME}_info")
PLAYBOOKS = ("rotate_crypto", "crypto_status", "abort_crypto", "restore_crypto", "verify_backup")


class Control:
    """A control node: a virtual environment with ansible-core and the required collections."""

    def __init__(self, tmp):
        self.tmp, self.collections, self.work = tmp, tmp / "collections", tmp / "work"
        self.work.mkdir()
        (core,) = re.findall(r"^ansible-core==\S+", (ROOT / "hack" / "requirements.txt").read_text(), re.MULTILINE)
        run(sys.executable, "-m", "venv", tmp / "venv")
        run(tmp / "venv" / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", core, "requests")
        packages = pathlib.Path(run(VENV / "python", "-c", "import ansible_collections as it; print(list(it.__path__)[0])").stdout.strip())
        for name in ("amazon/aws", "community/docker", "community/library_inventory_filtering_v1"):
            shutil.copytree(packages / name, self.collections / "ansible_collections" / name)
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "PYTHON", "VIRTUAL_ENV"))}
        self.environ |= {"PATH": f"{tmp / 'venv' / 'bin'}:/usr/local/bin:/usr/bin:/bin", "HOME": str(tmp / "home"), "ANSIBLE_NOCOLOR": "1"}
        self.environ |= {"ANSIBLE_COLLECTIONS_PATH": str(self.collections)}
        self.ansible("galaxy", "collection", "install", "--offline", "--collections-path", self.collections, FILE)
        self.home = self.collections / "ansible_collections" / "seqera_tools" / "crypto_rotation"

    def ansible(self, command, *argv, ok=True, **environ):
        """Runs one of Ansible's commands as the control node's user."""
        return run(self.tmp / "venv" / "bin" / f"ansible-{command}", *argv, ok=ok, cwd=self.work, env=self.environ | environ, timeout=300)

    def play(self, hosts, tasks, *argv, **play):
        """Runs tasks on hosts. Returns a list of results for each host."""
        names = [f"result_{n}" for n in range(len(tasks))]
        keep = {"content": f"{{{{ [{', '.join(names)}] | to_json }}}}", "dest": f"{self.work}/{{{{ inventory_hostname }}}}.json", "mode": "0600"}
        last = {"ansible.builtin.copy": keep, "delegate_to": "localhost", "check_mode": False}
        registered = [task | {"register": name} for name, task in zip(names, tasks)]
        (self.work / "play.json").write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": [*registered, last]} | play]))
        (self.work / "hosts.json").write_text(json.dumps({"all": {"hosts": hosts}}))
        self.ansible("playbook", "-i", "hosts.json", "play.json", *argv, ANSIBLE_CONNECTION_PLUGINS=str(ROOT / "molecule" / "sandbox" / "tests"))
        return {name: json.loads((self.work / f"{name}.json").read_text()) for name in hosts}


@pytest.fixture(scope="session")
def control(tmp_path_factory):
    return Control(tmp_path_factory.mktemp("control"))


def test_the_file_holds_each_binary_once_and_nothing_that_only_builds_or_tests():
    assert FILE.stat().st_size <= 20_000_000
    with tarfile.open(FILE) as content:
        members = {member.name: member for member in content}
    tops = {name.split("/")[0] for name in members}
    assert not tops & {"module", "molecule", "build", "tests", "go.mod", "Makefile", "ansible.cfg", "execution-environment.yml"}
    assert not [name for name in tops if name.startswith(".")]
    assert {"MANIFEST.json", "README.md", "CHANGELOG.md", "meta", "plugins", "library", "roles", "playbooks", "docs"} <= tops
    large = {name for name, member in members.items() if member.size > 1_000_000}
    assert large == {f"library/{NAME}_{platform}" for platform in PLATFORMS}
    assert all(members[name].mode & 0o111 for name in large)
    assert members["plugins/modules"].linkname == "../library"
    assert members["plugins/action"].linkname == f"../roles/{NAME}/action_plugins"


def test_what_is_installed_is_what_was_built(control):
    run("sha256sum", "--check", f"{FILE.name}.sha256", cwd=FILE.parent)
    control.ansible("galaxy", "collection", "verify", "--offline", COLLECTION)
    modules = control.home / "plugins" / "modules"
    for module in MODULES:
        for platform in PLATFORMS:
            assert (modules / f"{module}_{platform}").read_bytes() == (DIST / f"{NAME}_{platform}").read_bytes()
    for name in PLATFORMS:
        assert os.access(modules / f"{NAME}_{name}", os.X_OK)


def test_ansible_doc_shows_what_it_shows_in_a_clone(control):
    for module in MODULES:
        argv = ("--json", "--type", "module")
        ours = json.loads(control.ansible("doc", *argv, f"{COLLECTION}.{module}").stdout)[f"{COLLECTION}.{module}"]
        clone = json.loads(control.ansible("doc", *argv, "--module-path", ROOT / "library", module).stdout)[module]
        assert ours["doc"]["options"] == clone["doc"]["options"] and ours["return"] == clone["return"] and ours["examples"] == clone["examples"]
        assert ours["doc"]["options"]["app_name"]["required"] and ours["return"] and ours["examples"]
        assert control.ansible("doc", "--type", "module", f"{COLLECTION}.{module}").stdout.count("\n") > 50
    [role] = json.loads(control.ansible("doc", "--json", "--type", "role", f"{COLLECTION}.{NAME}").stdout).values()
    assert f"{NAME}_app_name" in role["entry_points"]["main"]["options"]


def test_each_playbook_is_called_by_its_name(control):
    for playbook in PLAYBOOKS:
        control.ansible("playbook", "--syntax-check", f"{COLLECTION}.{playbook}")


def test_modules_run_by_name_on_a_mixed_fleet_with_defaults_of_their_group(control, ssm, emulator):
    app, environ = ssm
    python = {"ansible_python_interpreter": str(control.tmp / "venv" / "bin" / "python")}
    foreign = python | {"ansible_connection": "foreign", "foreign_asked": str(control.tmp / "asked")}
    hosts = {
        "x86": foreign | {"foreign_uname": "Linux x86_64"},
        "arm": foreign | {"foreign_uname": "Linux aarch64", "foreign_runner": emulator},
        "board": foreign | {"foreign_uname": "Linux armv7l"},
        "here": python | {"ansible_connection": "local"},
    }
    aws = {name.removeprefix("AWS_").lower(): value for name, value in environ.items() if not name.startswith(("AWS_ACCESS", "AWS_SECRET"))}
    aws |= {"access_key": environ["AWS_ACCESS_KEY_ID"], "secret_key": environ["AWS_SECRET_ACCESS_KEY"]}
    look = {f"{COLLECTION}.{NAME}_info": app | {"gather": ["parameters"]}, "ignore_errors": True}
    write = {f"{COLLECTION}.{NAME}": app | {"state": "prepared", "rotation_id": "r1", "backups": ["b"]}, "ignore_errors": True}
    results = control.play(hosts, [look, write], "--check", "--diff", module_defaults={f"group/{COLLECTION}.rotation": aws})
    board = [result["msg"] for result in results.pop("board")]
    assert board == [
        f"board is linux/armv7l, but {COLLECTION}.{module} is available only for darwin/amd64, darwin/arm64, linux/amd64, linux/arm64. "
        "Nothing was started. It is built only for darwin/amd64, darwin/arm64, linux/amd64, linux/arm64."
        for module in (f"{NAME}_info", NAME)
    ]
    for looked, would in results.values():
        assert looked["phase"] == "idle" and looked["fingerprints"] == results["here"][0]["fingerprints"]
        assert would["changed"] and "put_omnibus" in [step["action"] for step in would["steps"]]
    assert sorted((control.tmp / "asked").read_text().split()) == ["arm", "board", "x86"]


def test_the_fleets_playbook_finds_that_nothing_is_due(control, ssm):
    options, environ = ssm
    host = {f"{NAME}_{name}": value for name, value in (options | {"max_age_days": 90, "backups": ["b"]}).items()} | {"ansible_connection": "local"}
    (control.work / "one.json").write_text(json.dumps({"seqera_platforms": {"hosts": {"vm": host}}}))
    said = control.ansible("playbook", "-i", "one.json", f"{COLLECTION}.rotate_crypto", **environ).stdout
    assert "1 not due" in said and "failed=0" in said, said


def test_the_fleets_playbook_shows_a_rotation_carries_it_out_and_does_not_do_it_again(control, light, tmp_path):
    aws, hosts = light["aws"], {}
    for one in light["hosts"]:
        names = ("app_name", "omnibus_parameter", "compose_dir", "health_url", "backend_health_url", "docker_host", "database")
        hosts[one["name"]] = {f"{NAME}_{name}": one[name] for name in names}
    common = {"ansible_connection": "local", "ansible_python_interpreter": str(control.tmp / "venv" / "bin" / "python")}
    common |= {f"{NAME}_{name}": value for name, value in {"rotation_id": "r1", "backups": ["b"], "poll_interval": 1, "baseline_dir": str(tmp_path)}.items()}
    (control.work / "inventory.json").write_text(json.dumps({"seqera_platforms": {"hosts": hosts, "vars": common}}))
    path = f"{light['path']}:{control.environ['PATH']}"

    def rotate(*argv):
        said = control.ansible("playbook", "-i", "inventory.json", f"{COLLECTION}.rotate_crypto", *argv, PATH=path, **aws).stdout
        assert len(re.findall(r"failed=0 ", said)) >= 2 and "unreachable=1" not in said, said
        return said

    assert "put_omnibus" in rotate("--check", "--diff")
    first = rotate()
    assert len(re.findall(r"rotation r1 of \S+ on \S+: finalized", first)) == 2, first
    assert "2 not due" in rotate()
    status = control.ansible("playbook", "-i", "inventory.json", f"{COLLECTION}.crypto_status", PATH=path, **aws).stdout
    assert status.count("failed=0") >= 2


def test_the_execution_environment_installs_this_file(control):
    run(control.tmp / "venv" / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", "ansible-builder==3.2.0")
    control.ansible("builder", "create", "--file", ROOT / "execution-environment.yml", "--context", control.tmp / "context")
    context = control.tmp / "context" / "_build"
    assert (context / "files" / FILE.name).read_bytes() == FILE.read_bytes()
    assert f"- name: files/{FILE.name}\n" in (context / "requirements.yml").read_text()
