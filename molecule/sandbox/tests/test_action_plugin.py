"""The lines of progress: the role's task file and action plugin, with a stand-in for the module.

Ansible runs the stand-in as a binary, like the real module. A plan says what the stand-in does: how often it reports progress, what
else happens at which poll, and what its result is.
"""

import contextlib
import json
import os
import re
import shutil
import stat
import subprocess
import threading
from dataclasses import dataclass

import pytest
from conftest import ROOT, VENV

ROLE = ROOT / "roles" / "seqera_crypto_rotation"
PASSWORD = "correct-horse-battery-staple"
RESULT = {
    "changed": False,
    "msg": "Every one of 2000 records is under the new key.",
    "phase": "rotated",
    "proof": {"counts": {"current": 2000}},
    "warnings": ["cron was started twice"],
}
FAILURE = {"failed": True, "changed": False, "msg": "Not every record is under the new key after 120 s.", "error_code": "wait_timeout"}

# The control character in its second line makes Ansible treat it as a binary. It continues once its output was read.
STAND_IN = """#!{python}
# \x01
import json, os, signal, sys, time
with open(sys.argv[1]) as file:
    given = json.load(file)
os.remove(sys.argv[1])
plan, path = json.load(open({plan!r})), given.get("progress_file")
json.dump({{name: value for name, value in given.items() if name[0] != "_"}}, open({plan!r} + ".given", "w"))
for look in range(1, plan["looks"] + 1) if path else ():
    line = "look %d of %d; cron is running" % (look, plan["looks"])
    with open(os.open(path + ".new", os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
        json.dump({{"line": line, "note": plan["notes"].get(str(look), ""), "progress": {{"total": 2}}}}, file)
    if look == plan["cut"]:
        open({plan!r} + ".cut", "w").close()
    os.rename(path + ".new", path)
    end = time.monotonic() + 30
    while line not in open({plan!r} + ".read").read() and time.monotonic() < end:
        time.sleep(0.05)
    time.sleep(plan["pause"])
    if look == plan["die"]:
        os.kill(os.getpid(), signal.SIGKILL)
if path and not plan["leave"]:
    os.remove(path)
print(plan["noise"], file=sys.stderr)
print(json.dumps(plan["result"]))
"""

# A connection that records what Ansible has read of the stand-in's output. If the plan says so, it is lost twice.
CONNECTION = """
import os
from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.connection.local import Connection as Local
DOCUMENTATION = 'name: noted\\nshort_description: of the test\\nversion_added: "1"\\ndescription: of the test\\nauthor: nobody'
class Connection(Local):
    transport, failures = "noted", 0
    def exec_command(self, cmd, in_data=None, sudoable=True):
        if os.path.exists({plan!r} + ".cut"):
            self.failures += 1
            if self.failures == 2:
                os.remove({plan!r} + ".cut")
            raise AnsibleConnectionFailure("the network is down")
        done = super().exec_command(cmd, in_data=in_data, sudoable=sudoable)
        with open({plan!r} + ".read", "ab") as file:
            file.write(done[1])
        return done
    def reset(self):
        pass
"""

# The task as a user might write it.
TASK = {
    "name": "The module itself",
    "seqera_crypto_rotation": {"state": "rotating", "app_name": "tower", "poll_interval": 1, "database": {"password": PASSWORD}},
    "register": "seqera_crypto_rotation__proving",
    "ignore_errors": True,
}


@dataclass
class Watched:
    """One run of ansible-playbook and its results."""

    output: str
    result: dict
    given: dict

    def lines(self):
        return re.findall(r"^vm-1: (.*)$", self.output, re.M)


class Clone:
    """A clone with the real role, and with the stand-in as the module."""

    def __init__(self, tmp):
        self.tmp, self.plan, self.background = tmp, tmp / "plan.json", tmp / "async"
        self.read, self.given = tmp / "plan.json.read", tmp / "plan.json.given"
        self.role = tmp / "clone" / "roles" / "seqera_crypto_rotation"
        for room in ("tasks", "defaults", "vars", "action_plugins"):
            shutil.copytree(ROLE / room, self.role / room)
        self.module = tmp / "clone" / "library" / "seqera_crypto_rotation"
        self.module.parent.mkdir()
        self.module.write_text(STAND_IN.format(python=VENV / "python", plan=str(self.plan)))
        self.module.chmod(0o755)
        (self.role / "library").symlink_to("../../library")
        (tmp / "clone" / "playbooks").mkdir()
        (tmp / "clone" / "playbooks" / "roles").symlink_to("../roles")
        (tmp / "connection_plugins").mkdir()
        (tmp / "connection_plugins" / "noted.py").write_text(CONNECTION.format(plan=str(self.plan)))
        (tmp / "elsewhere").mkdir()
        (tmp / "ansible.cfg").write_text("")  # empty, so Ansible finds the role only by the clone's links

    def plugin(self, old, new):
        """Changes the clone's plugin."""
        path = self.role / "action_plugins" / "seqera_crypto_rotation.py"
        text = path.read_text()
        assert text.count(old) == 1
        path.write_text(text.replace(old, new))

    def run(self, *argv, task=None, interval=0, variables=None, **plan):
        """Runs rotating.yml of the role, or another task, from a directory outside the clone."""
        self.plan.write_text(json.dumps({"looks": 2, "notes": {}, "cut": 0, "die": 0, "pause": 0, "leave": False, "noise": "", "result": RESULT} | plan))
        self.read.write_text("")
        self.given.write_text("{}")
        if task:
            (self.role / "tasks" / "rotating.yml").write_text(json.dumps([task]))
        play = {
            "hosts": "all",
            "gather_facts": False,
            "tasks": [
                {"include_role": {"name": "seqera_crypto_rotation", "tasks_from": "rotating"}},
                {
                    "copy": {"content": "{{ seqera_crypto_rotation__proving | to_json }}", "dest": str(self.tmp / "result.json"), "mode": "0600"},
                    "check_mode": False,
                    "no_log": True,
                },
            ],
        }
        playbook, inventory = self.tmp / "clone" / "playbooks" / "play.json", self.tmp / "inventory.json"
        playbook.write_text(json.dumps([play]))
        host = {
            "ansible_connection": "noted",
            "ansible_python_interpreter": str(VENV / "python"),
            "ansible_async_dir": str(self.background),
            "ansible_remote_tmp": str(self.tmp / "remote"),
            "seqera_crypto_rotation_app_name": "tower",
            "seqera_crypto_rotation__parts": {"migrate": ["migrate"], "backends": ["backend"], "cron": ["cron"]},
            "seqera_crypto_rotation_rotation_id": "r1",
            "seqera_crypto_rotation_poll_interval": 1,
            "seqera_crypto_rotation_wait_timeout": 60,
            "seqera_crypto_rotation__progress_interval": interval,
            "seqera_crypto_rotation__foreseen": {"rotation_id": "r1"},
            "seqera_crypto_rotation__wait": True,
            "seqera_crypto_rotation__owner": {"user": "", "home": "", "become": False, "method": "sudo"},
            "seqera_crypto_rotation__tolerated": ["wait_timeout", "interrupted"],
        }
        inventory.write_text(json.dumps({"all": {"hosts": {"vm-1": host | (variables or {})}}}))
        done = subprocess.run(
            [os.environ.get("ANSIBLE_PLAYBOOK", VENV / "ansible-playbook"), "-i", inventory, playbook, *argv],
            env=os.environ
            | {
                "ANSIBLE_CONFIG": str(self.tmp / "ansible.cfg"),
                "ANSIBLE_CONNECTION_PLUGINS": str(self.tmp / "connection_plugins"),
                "ANSIBLE_NOCOLOR": "1",
                "HOME": str(self.tmp),
            },
            cwd=self.tmp / "elsewhere",
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        output = done.stdout + done.stderr
        assert done.returncode == 0, output
        result = json.loads((self.tmp / "result.json").read_text())
        result.pop("ansible_parsed", None)  # ansible-core 2.22 adds it to results
        return Watched(output, result, json.loads(self.given.read_text()))

    def left(self):
        """Files that remain in the directory of background jobs."""
        return sorted(path.name for path in self.background.iterdir()) if self.background.exists() else []


@pytest.fixture
def clone(tmp_path):
    return Clone(tmp_path)


def looks(*which, of):
    return [f"look {n} of {of}; cron is running" for n in which]


def test_the_role_shows_lines_and_returns_what_the_module_returned(clone):
    alone = clone.run(variables={"seqera_crypto_rotation__wait": False})
    assert alone.lines() == [] and "progress_file" not in alone.given

    watched = clone.run(looks=4, noise="to stderr, where nobody reads it")
    assert watched.lines() == looks(1, 2, 3, 4, of=4)
    assert watched.result == alone.result
    assert {key: value for key, value in watched.result.items() if key in RESULT} == RESULT
    assert "cron was started twice" in watched.output
    assert "ASYNC" not in watched.output
    assert watched.given.keys() - alone.given.keys() == {"progress_file"}
    assert clone.left() == []


def test_a_module_that_says_nothing_is_not_taken_for_a_dead_one(clone):
    watched = clone.run(looks=1, pause=5, interval=2)
    assert re.search(r"^vm-1: the module has not said anything for [2-9] s; waiting$", watched.output, re.M), watched.output
    assert watched.result["msg"] == RESULT["msg"]


def test_the_real_module_runs_in_the_background_and_fails_as_itself(clone):
    clone.module.unlink()
    clone.module.symlink_to(ROOT / "library" / "seqera_crypto_rotation")
    options = {"state": "rotating", "app_name": "tower", "rotation_id": "r1", "verify": "attested"}  # attested_by is missing
    alone, watched = (clone.run(task=TASK | {"seqera_crypto_rotation": options | {"wait": wait}}) for wait in (False, True))
    assert alone.result["error_code"] == "invalid_options" and "attested_by" in alone.result["msg"]
    assert {key: value for key, value in watched.result.items() if key != "duration_seconds"} == {
        key: value for key, value in alone.result.items() if key != "duration_seconds"
    }
    assert clone.left() == []


@pytest.mark.parametrize("leave", [True, False])
def test_a_failure_of_the_module_is_the_tasks_and_leaves_no_file(clone, leave):
    watched = clone.run(task=TASK, looks=2, leave=leave, result=FAILURE)
    assert {key: value for key, value in watched.result.items() if key in FAILURE} == FAILURE
    assert not {"ansible_job_id", "started", "finished", "stderr"} & set(watched.result)
    assert clone.left() == []


def test_a_module_that_is_killed_is_told_in_plain_words(clone):
    watched = clone.run(task=TASK, looks=5, die=2)
    assert watched.result["failed"] and watched.result["error_code"] == "interrupted"
    assert watched.result["msg"].startswith("The module ended without a result: it was killed")
    assert "Run the same playbook again" in watched.result["msg"] and "Traceback" not in watched.output
    assert clone.left() == []


@pytest.mark.parametrize("late, code", [(60, ""), (0, "interrupted")], ids=["waited for", "given up"])
def test_a_job_whose_file_comes_late_is_waited_for(clone, late, code):
    clone.plugin("LATE = 60", f"LATE = {late}")
    done = threading.Event()

    def lose_it():
        # Remove the first file, which says that the job was started. Keep the later file, which has the result.
        while not done.wait(0.02):
            for path in clone.background.glob("[j0-9]*.*"):
                with contextlib.suppress(OSError):  # a .tmp is renamed when it is complete
                    if path.suffix != ".tmp" and '"started"' in path.read_text():
                        path.unlink()
                        return

    loser = threading.Thread(target=lose_it)
    loser.start()
    watched = clone.run(task=TASK, looks=1, pause=4)
    done.set()
    loser.join()
    assert watched.result.get("error_code", "") == code, watched.result
    assert watched.result["failed"] if code else watched.result["msg"] == RESULT["msg"]


def test_a_module_that_does_not_end_is_given_up(clone):
    clone.plugin("GRACE = 600", "GRACE = 3")
    watched = clone.run(task=TASK | {"seqera_crypto_rotation": TASK["seqera_crypto_rotation"] | {"wait_timeout": "1"}}, looks=20)
    assert watched.result["failed"] and watched.result["error_code"] == "wait_timeout"
    assert watched.result["msg"].startswith("The module did not end within 4 s")


def test_a_lost_connection_is_said_and_waited_for(clone):
    watched = clone.run(looks=3, cut=2)
    lost = "cannot reach the machine, where the module keeps running; trying again: the network is down"
    assert watched.lines() == [*looks(1, of=3), lost, lost, *looks(2, 3, of=3)]
    assert watched.result["msg"] == RESULT["msg"] and not watched.result["failed"]
    assert clone.left() == []


def test_what_cannot_be_run_says_why(clone):
    clone.module.write_bytes(b"\x7fELF\x00 of another machine")
    watched = clone.run(task=TASK)
    assert watched.result["failed"] and "Exec format error" in watched.result["msg"], watched.result


@pytest.mark.parametrize("wait", [True, False], ids=["in the background", "at once"])
def test_what_may_not_be_run_says_where_it_may(clone, wait):
    # If the interpreter is not a program, the kernel returns the same error as a noexec mount. async names the interpreter.
    none = clone.tmp / "AnsiballZ_seqera_crypto_rotation"
    none.touch(mode=0o644)
    clone.module.write_text(f"#!{none}\n# \x01\n")
    watched = clone.run(task=TASK | {"seqera_crypto_rotation": TASK["seqera_crypto_rotation"] | {"wait": wait}})
    assert watched.result["failed"] and watched.result["error_code"] == "cannot_execute", watched.result
    assert watched.result["msg"].startswith("vm-1 does not let the module run: /") and "Permission denied" in watched.result["msg"]


@pytest.mark.parametrize(
    "more, argv",
    [
        ({"seqera_crypto_rotation": TASK["seqera_crypto_rotation"] | {"wait": "no"}}, []),
        ({"seqera_crypto_rotation": TASK["seqera_crypto_rotation"] | {"state": "prepared"}}, []),
        ({"seqera_crypto_rotation": TASK["seqera_crypto_rotation"] | {"wait_timeout": "soon"}}, []),
        ({}, ["--check"]),
        ({"async": 30, "poll": 1}, []),
    ],
    ids=["wait false", "another state", "an invalid option", "check mode", "async of the task's own"],
)
def test_everything_else_is_handed_through(clone, more, argv):
    watched = clone.run(*argv, task=TASK | more)
    assert "progress_file" not in watched.given and watched.lines() == []
    assert watched.result["msg"] == RESULT["msg"]
    assert ("ansible_job_id" in watched.result) == ("async" in more)


def test_no_log_shows_no_line(clone):
    watched = clone.run(task=TASK | {"no_log": True}, notes={"2": "a note"})
    assert "progress_file" in watched.given and watched.lines() == []
    assert watched.result["msg"] == RESULT["msg"]


def test_no_argument_is_shown_at_any_verbosity(clone):
    watched = clone.run("-vvvv", task=TASK, die=2)
    assert watched.given["database"]["password"] == PASSWORD
    assert PASSWORD not in watched.output
    kept = [path for path in (clone.tmp / "remote").rglob("*") if path.is_file() and PASSWORD in path.read_text(errors="replace")]
    assert kept == []


def test_the_progress_file_is_out_of_sight(clone):
    watched = clone.run(task=TASK)
    folder, name = os.path.split(watched.given["progress_file"])
    assert folder == str(clone.background) and re.fullmatch(r"progress-[0-9a-f]{16}", name)
    assert watched.given["progress_file"] != clone.run().given["progress_file"]
    assert stat.S_IMODE(clone.background.stat().st_mode) & 0o022 == 0


def test_it_works_in_a_collection(clone, tmp_path, monkeypatch):
    home = tmp_path / "collections" / "ansible_collections" / "seqera" / "crypto"
    for source, room in ((clone.role / "action_plugins" / "seqera_crypto_rotation.py", "action"), (clone.module, "modules")):
        (home / "plugins" / room).mkdir(parents=True)
        shutil.move(source, home / "plugins" / room)
    monkeypatch.setenv("ANSIBLE_COLLECTIONS_PATH", str(tmp_path / "collections"))
    options = TASK["seqera_crypto_rotation"]
    watched = clone.run(task={name: value for name, value in TASK.items() if name != "seqera_crypto_rotation"} | {"seqera.crypto.seqera_crypto_rotation": options})
    assert watched.lines() == looks(1, 2, of=2)
    assert watched.result["msg"] == RESULT["msg"]


def test_an_interval_that_is_no_number_stops_it_before_it_starts(clone):
    watched = clone.run(task=TASK, interval="often")
    assert watched.result["failed"] and "seqera_crypto_rotation__progress_interval" in watched.result["msg"]
    assert watched.given == {}
