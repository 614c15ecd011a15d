"""The role's steps, and the user who runs each, without a Platform. The modules are stand-ins that record their calls."""

import json
import os
import pathlib
import pwd
import shutil
import subprocess
import tempfile

import pytest
from conftest import FORKS, ROOT, VENV, program

ROLES = ROOT / "roles"
SERVICES = {
    "db": {"depends_on": []},
    "migrate": {"depends_on": ["db"]},
    "cron": {"depends_on": ["migrate"]},
    "backend": {"depends_on": ["db", "cron"]},
    "frontend": {"depends_on": ["backend"]},
    "debug": {"depends_on": [], "enabled": False},
}
UP = ["backend", "cron", "db", "frontend"]


class Lab:
    """The real role, with stand-ins for the modules."""

    forks = FORKS

    def __init__(self, tmp):
        self.tmp, self.path = tmp, tmp / "world.json"
        self.home = tmp / "platform"
        self.home.mkdir()
        (tmp / "roles" / "seqera_crypto_rotation").mkdir(parents=True)
        for room in ("tasks", "defaults", "vars", "files", "meta", "action_plugins"):
            (tmp / "roles" / "seqera_crypto_rotation" / room).symlink_to(ROLES / "seqera_crypto_rotation" / room)
        (tmp / "roles" / "seqera_crypto_fleet").symlink_to(ROLES / "seqera_crypto_fleet")
        shutil.copy(ROOT / "molecule" / "sandbox" / "tests" / "stand_ins.py", tmp)
        # The playbooks are copied, because next to the clone's library/ they would find the built modules.
        shutil.copytree(ROOT / "playbooks", tmp / "playbooks", ignore=shutil.ignore_patterns("roles"))
        self.stand_in(tmp / "roles" / "seqera_crypto_rotation" / "library", seqera_crypto_rotation="control", seqera_crypto_rotation_info="info")
        modules = tmp / "collections" / "ansible_collections" / "community" / "docker" / "plugins" / "modules"
        self.stand_in(modules, docker_compose_v2="compose", docker_compose_v2_run="run")
        self.stand_in(tmp / "bin", docker="docker")
        (tmp / "ansible.cfg").write_text("[defaults]\ninternal_poll_interval = 0.01\n")
        self.set(phase="idle", up=UP, records=20, services=SERVICES, fails={})

    def stand_in(self, where, **modules):
        """Writes programs that call stand_ins.py. Ansible puts a module's arguments into its text."""
        where.mkdir(parents=True)
        for name, kind in modules.items():
            path = where / ("docker" if kind == "docker" else f"{name}.py")
            call = f"docker(sys.argv[1:], {str(self.path)!r})"
            if kind != "docker":
                call = f"main(stand_ins.{kind}, {str(self.path)!r}, r'''<<INCLUDE_ANSIBLE_MODULE_JSON_ARGS>>''')"
            path.write_text(f"#!{VENV}/python\nimport sys\n\nsys.path.insert(0, {str(self.tmp)!r})\nimport stand_ins\n\nstand_ins.{call}\n")
            path.chmod(0o755)

    def set(self, **world):
        self.path.write_text(json.dumps((json.loads(self.path.read_text()) if self.path.exists() else {}) | {"calls": []} | world))

    @property
    def world(self):
        return json.loads(self.path.read_text())

    def run(self, *argv, entry="main", **variables):
        """Runs an entry point of the role. Returns the exit code and the output."""
        tasks = [{"include_role": {"name": "seqera_crypto_rotation", "tasks_from": entry}}]
        return self.play([{"hosts": "all", "gather_facts": False, "tasks": tasks}], *argv, **variables)

    def play(self, plays, *argv, hosts=None, environ=None, **variables):
        """Runs plays, or playbooks by name, on one host, or on several hosts with their own variables."""
        self.set()
        own = {
            "app_name": "tower", "omnibus_parameter": "/omnibus", "rotation_id": "r1", "backups": ["b"], "compose_dir": str(self.home), "poll_interval": 1,
            "report_dir": "", "_progress_interval": 0,
        }  # fmt: skip
        host = {"ansible_connection": "local", "ansible_python_interpreter": str(VENV / "python")}
        host |= {f"seqera_crypto_rotation_{name}": value for name, value in own.items()} | variables
        everywhere = {name: host[name] for name in host if name.startswith("ansible_become")}
        listed = {name: {key: value for key, value in (host | more).items() if value != "left out"} for name, more in (hosts or {"vm": {}}).items()}
        groups = {"seqera_platforms": {"hosts": dict.fromkeys(listed, {})}}
        (self.tmp / "hosts.json").write_text(json.dumps({"all": {"hosts": listed, "vars": everywhere, "children": groups}}))
        (self.tmp / "play.json").write_text(json.dumps([self.told(one) for one in plays]))
        home = {
            "PATH": f"{self.tmp}/bin:{VENV}:/usr/bin:/bin:/usr/sbin:/sbin",
            "HOME": str(self.tmp),
            "ANSIBLE_COLLECTIONS_PATH": str(self.tmp / "collections"),
            "ANSIBLE_PIPELINING": "true",
        }
        shows = {"ANSIBLE_SHOW_CUSTOM_STATS": "true", "ANSIBLE_DISPLAY_SKIPPED_HOSTS": "false"}  # the second as in ansible.cfg
        environ = home | shows | {"ANSIBLE_ROLES_PATH": str(self.tmp / "roles")} | (environ or {})
        # The workers of several hosts run at the same time, so they are processes. Those of one host need not be.
        command = [*program(self.forks or len(listed) > 1), "-i", self.tmp / "hosts.json", *argv, self.tmp / "play.json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environ, cwd=self.tmp)
        assert "wrong" not in self.world, self.world["wrong"]
        return done.returncode, done.stdout + done.stderr

    def told(self, play):
        """A play; or, for the name of a playbook, an import of its path."""
        play = {"import_playbook": play} if isinstance(play, str) else play
        return play | {"import_playbook": str(self.tmp / "playbooks" / play["import_playbook"])} if "import_playbook" in play else play

    def second(self, name, **world):
        """Adds a second Platform. Returns the file of its world, and its variables."""
        path, home = pathlib.Path(f"{self.path}.{name}"), self.tmp / name
        home.mkdir()
        path.write_text(json.dumps(self.world | {"calls": []} | world))
        return path, {"seqera_crypto_rotation_app_name": name, "seqera_crypto_rotation_compose_dir": str(home)}

    def did(self, path=None):
        """The calls outside check mode, without those that only look. Calls of compose include the named services."""
        calls = json.loads((path or self.path).read_text())["calls"]
        return [" ".join([one["what"], *sorted(one["of"] or [])]) for one in calls if not one["check"] and "gather" not in one["given"]]


@pytest.fixture
def lab(tmp_path):
    return Lab(tmp_path)


CRON_AGAIN = ["stopped cron", "present cron"]
UPWARDS = ["migrate", "present backend frontend", "present cron", "present"]
START = ["present db", *UPWARDS]
SECOND = ["stopped frontend", "absent", "present db", "finalized", *UPWARDS]  # the database starts while SSM is written
ROTATION = ["captured", "stopped frontend", "stopped backend cron", "absent", "present db", "prepared", *UPWARDS, "rotating", *SECOND]


def test_a_rotation_captures_before_the_outage_and_starts_in_the_documented_order(lab):
    code, said = lab.run()
    assert code == 0, said
    assert lab.did() == ROTATION, said
    assert said.count("\nTASK [") <= 60, "a reader must find the important headers"
    assert (lab.world["phase"], lab.world["up"]) == ("finalized", UP)
    compose = [one["given"] for one in lab.world["calls"] if "project_src" in one["given"]]
    # If .env names the compose files, community.docker does not find them and fails.
    assert {one["check_files_existing"] for one in compose} == {False}
    assert {one["pull"] for one in compose if "state" in one} == {"never"}, "a pulled image would be an upgrade"
    assert {(one["recreate"], one["dependencies"]) for one in compose if one.get("state") == "stopped"} == {("never", False)}, "stopping must create no container"
    assert {one["recreate"] for one in compose if one.get("state") == "present" and not one.get("services")} == {"never"}, "recreating is another outage"
    assert {int(one["timeout"]) for one in compose if one.get("services") == ["frontend"]} == {3}, "the outage must not wait for a proxy"
    code, said = lab.run()
    assert (code, lab.did()) == (0, []), said


def test_nobody_waits_for_the_health_check_of_a_database_that_answers(lab):
    code, said = lab.run()
    order = [one["what"] for one in lab.world["calls"] if one["what"] in ("database", "migrate")]
    assert code == 0 and order == ["database", "migrate"] * 2, said
    assert {one["given"]["no_deps"] for one in lab.world["calls"] if one["what"] == "migrate"} == {True}
    lab.set(phase="idle", up=UP)
    code, said = lab.run(seqera_crypto_rotation_verify=["attested"], seqera_crypto_rotation_attested_by="me")
    calls = [one for one in lab.world["calls"] if one["what"] in ("database", "migrate")]
    assert code == 0 and {(one["what"], one["given"]["no_deps"]) for one in calls} == {("migrate", False)}, said


def test_where_only_key_holders_restart_the_database_and_its_migration_are_left_alone(lab):
    code, said = lab.run(seqera_crypto_rotation_restart_scope="key_holders")
    assert code == 0, said
    restarted = ["restarted backend", "restarted frontend", *CRON_AGAIN]
    first = ["stopped backend", *restarted[:2], "prepared", "present cron"]
    assert lab.did() == ["captured", "stopped cron", "prepared", *first, "rotating", "finalized", *restarted], said
    lab.set(phase="prepared", up=["db"])
    code, said = lab.run(seqera_crypto_rotation_restart_scope="key_holders")
    assert code == 0 and lab.did() == ["rotating", "prepared", *START, "rotating", "finalized", *restarted], said


CREATED = ["docker compose up", "docker rename next tower-backend-next", "docker start next"]
TAKEN_OVER = ["docker rename next backend", "docker restart frontend"]
HANDED = [*CREATED, "docker stop backend", "docker rm backend", *TAKEN_OVER]
HANDOVER = {"seqera_crypto_rotation_restart_scope": "handover"}


def two(state="running", old="running", name="tower-backend-next"):
    """The backends that an interrupted handover leaves."""
    return [{"id": "old", "name": "tower-backend-1", "service": "backend", "state": old}, {"id": "next", "name": name, "service": "backend", "state": state}]


def test_the_next_backend_is_ready_before_the_old_one_stops_and_cron_starts_last(lab):
    code, said = lab.run("--check", **HANDOVER)
    assert code == 0 and lab.did() == [] and "handover: look at the records" in said, said
    code, said = lab.run(**HANDOVER)
    assert code == 0, said
    # take_over.sh also stops it, and finds it already stopped.
    first = [*CREATED, "docker stop backend", *HANDED[len(CREATED) :], "prepared", "present cron"]
    second = [one.replace(" next", " next1") if " next" in one else one.replace(" backend", " next") for one in HANDED]
    second = [one.replace("tower-next", "tower-backend") for one in second]
    assert lab.did() == ["captured", "stopped cron", "prepared", *first, "rotating", "finalized", *second, *CRON_AGAIN], said
    assert [one["name"] for one in lab.world["twins"]] == ["backend"]
    order = [one["what"] for one in lab.world["calls"]]
    stopped = order.index("docker stop backend")
    assert order[stopped - 1] == "platform" and order[stopped + 1] == "records", "the next backend must be ready before the stop, and the records scanned after it"
    [early, captured, late] = [
        one["given"]["baseline"].get("provisional", False) for one in lab.world["calls"] if one["what"] in ("captured", "prepared") and not one["check"]
    ]
    assert (early, captured, late) == (True, True, False), "the ledger must get the second baseline"


@pytest.mark.parametrize(
    ("twins", "does"),
    [
        (two("created", name="tower-backend-2"), ["docker rm next"]),
        (two(), ["docker rm next"]),
        (two(old="exited"), ["docker stop old", "docker rm old", *TAKEN_OVER]),
        (two()[1:], TAKEN_OVER),
    ],
    ids=["created", "started", "the old one is stopped", "the old one is gone"],
)
def test_a_handover_that_was_cut_off_leaves_one_backend_and_is_done_again(lab, twins, does):
    lab.set(
        phase="prepared",
        up=UP if twins[0]["state"] == "running" and twins[0]["id"] == "old" else ["cron", "db", "frontend"],
        twins=twins,
        baseline={"digest": "d", "provisional": True},
    )
    code, said = lab.run(**HANDOVER)
    assert code == 0, said
    did = lab.did()
    at = did.index(does[0])
    assert did[at : at + len(does)] == does, said
    [left] = lab.world["twins"]
    assert left["state"] == "running" and lab.world["up"] == UP and lab.world["phase"] == "finalized"


def test_a_next_backend_that_is_not_ready_goes_and_cron_stays_stopped(lab):
    lab.set(fails={"docker start next": True})
    code, said = lab.run(**HANDOVER)
    said = " ".join(said.split())
    assert code == 2 and "Cron is stopped: with both keys in SSM it may start only after a backend that has both." in said, said
    assert lab.did()[-1] == "docker rm next" and [one["id"] for one in lab.world["twins"]] == ["backend"]
    assert "cron" not in lab.world["up"] and lab.world["phase"] == "prepared"


def test_a_dry_run_previews_what_the_run_does_and_touches_nothing(lab):
    code, said = lab.run("--check", "--diff")
    assert code == 0 and lab.did() == [] and lab.world["phase"] == "idle", said
    for step in ("capture: escrow_retiring_key", "outage: stop backend, cron", "prepare: put_omnibus", "running pipelines: the Platform marks"):
        assert step in said, said


@pytest.mark.parametrize("argv", [["--check"], []], ids=["dry run", "run"])
def test_what_preflight_refuses_is_refused_with_its_words_and_nothing_is_touched(lab, argv):
    lab.set(fails={"preflight": {"msg": "This Platform cannot rotate. Two crons.", "error_code": "platform_unsuitable", "in_check": True}})
    code, said = lab.run(*argv)
    assert code == 2 and "This Platform cannot rotate. Two crons." in said, said
    assert lab.did() == [] and (lab.world["phase"], lab.world["up"]) == ("idle", UP), said


@pytest.mark.parametrize("what", ["captured", "stopped", "absent", "records"])
def test_before_the_parameters_changed_a_failure_leaves_the_platform_running(lab, what):
    lab.set(fails={what: {"msg": "the network is down"}})
    code, said = lab.run()
    assert code == 2 and "the network is down" in said
    assert lab.world["up"] == UP and "put_omnibus" not in json.dumps(lab.world["phase"])


def test_why_docker_compose_failed_is_said_though_its_result_is_hidden(lab):
    lab.set(fails={"absent": {"msg": "no such thing as compose", "in_check": True}})
    code, said = lab.run("-vvvv")
    assert code == 2 and "no such thing as compose" in said and lab.did() == [], said
    quoted = "invalid interpolation format for services.db.environment.MYSQL_PASSWORD. You may need to escape any $ with another $: pa$$word-of-db"
    lab.set(fails={"absent": {"cmd": "docker compose down", "msg": quoted, "in_check": True}})
    code, said = lab.run()
    # Since ansible-core 2.19, Ansible itself prints a module's message, whatever no_log says.
    ours = [line for line in said.splitlines() if not line.startswith("[ERROR]: Task failed: Module failed")]
    assert code == 2 and "invalid interpolation format" in said and not [line for line in ours if "word-of-db" in line], said
    lab.set(fails={})
    code, said = lab.run("-vvvv")
    assert code == 0 and "a-password-of-redis" not in said, said


def test_an_abort_re_encrypts_back_where_records_are_under_the_new_key(lab):
    lab.set(phase="prepared", rewritten=True)
    code, said = lab.run("--check", entry="abort")
    assert code == 0 and lab.did() == [] and "the two keys change places" in said, said
    code, said = lab.run(entry="abort")
    assert code == 0, said
    assert lab.did() == ["stopped backend cron", "present db", "absent", "aborted", *START, "rotating", *SECOND], said
    [aborted] = [one["given"] for one in lab.world["calls"] if one["what"] == "aborted" and not one["check"]]
    assert aborted["reverse"] and aborted["baseline"]["digest"] == "d" and not aborted.get("proof")
    assert lab.world["up"] == UP


def test_an_abort_that_re_encrypts_back_restarts_at_its_end_what_the_scope_says(lab):
    lab.set(phase="prepared", rewritten=True)
    code, said = lab.run(entry="abort", seqera_crypto_rotation_restart_scope="key_holders")
    restarted = ["restarted backend", "restarted frontend", *CRON_AGAIN]
    assert code == 0, said
    assert lab.did() == ["stopped backend cron", "present db", "absent", "aborted", *START, "rotating", "finalized", *restarted], said


@pytest.mark.parametrize("what", ["rotating", "finalized"])
def test_an_abort_that_re_encrypts_and_fails_leaves_the_platform_running(lab, what):
    lab.set(phase="prepared", rewritten=True, fails={what: {"msg": "the network is down", "changed": False}})
    code, said = lab.run(entry="abort")
    assert code == 2 and "the network is down" in said and lab.world["up"] == UP, said


def test_a_rotation_begun_by_hand_is_looked_at_before_it_is_taken_over(lab):
    code, said = lab.run(seqera_crypto_rotation_adopt=True)
    assert code == 0, said
    first, *rest = [one for one in lab.world["calls"] if one["what"] in ("parameters,platform,records", "prepared")]
    assert first["what"] != "prepared" and all(one["given"]["adopt"] for one in rest if one["what"] == "prepared")


@pytest.mark.parametrize("what", ["stopped", "database", "absent", "aborted"])
def test_an_abort_that_fails_brings_the_platform_up_again(lab, what):
    lab.set(phase="prepared", fails={what: {"msg": "the network is down", "changed": False}})
    code, said = lab.run(entry="abort")
    assert code == 2 and "the network is down" in said, said
    assert lab.world["up"] == (UP if what != "database" else [one for one in UP if one not in ("backend", "cron")]), said


@pytest.mark.parametrize(
    ("entry", "what", "holds", "up", "said"),
    [
        ("abort", "aborted", ["prepared", "aaaa", "bbbb"], UP, "was started again"),  # only the ledger is written
        ("abort", "aborted", ["prepared", "bbbb", "bbbb"], UP, "was started again"),
        ("abort", "aborted", ["prepared", "aaaa", "aaaa"], [], "was not started"),  # while the two keys change places
        ("reverse", "aborted", ["prepared", "bbbb", "bbbb"], [], "was not started"),  # terraform made only one of them
        ("abort", "aborted", ["inconsistent", "bbbb", "bbbb"], UP, "was started again"),  # the switch is gone
        ("main", "prepared", ["idle", "bbbb", ""], UP, "was started again"),  # only the omnibus is written
        ("main", "prepared", ["inconsistent", "bbbb", "bbbb"], UP, "was started again"),
        ("main", "prepared", ["inconsistent", "aaaa", "bbbb"], ["db"], "was not started"),
        ("main", "prepared", ["idle", "aaaa", ""], ["db"], "was not started"),  # terraform made only the new key
        ("main", "prepared", ["prepared", "aaaa", "cccc"], ["db"], "was not started"),  # the previous key of an earlier rotation
        ("main", "finalized", ["inconsistent", "aaaa", "bbbb"], UP, "was started again"),
        ("main", "finalized", ["idle", "dddd", ""], ["db"], "was not started"),  # somebody changed the key
    ],
)
def test_parameters_that_are_half_written_decide_whether_the_platform_starts(lab, entry, what, holds, up, said):
    phase, rewritten, entry = "idle" if entry == "main" else "prepared", entry == "reverse", entry.replace("reverse", "abort")
    lab.set(phase=phase, rewritten=rewritten, fails={what: {"changed": True, "holds": holds, "msg": "the network is down"}})
    code, words = lab.run(entry=entry)
    assert code == 2 and lab.world["up"] == up and said in " ".join(words.split()), words


def test_credentials_that_expire_before_the_first_write_leave_no_platform_down(lab):
    gone = {"msg": "the token has expired", "changed": False}
    for scope in ("all", "key_holders"):
        lab.set(phase="idle", up=UP, fails={"prepared": gone, "parameters": gone})
        code, said = lab.run(seqera_crypto_rotation_restart_scope=scope)
        assert code == 2 and lab.world["up"] == UP and "token has expired" in said and "Cron is stopped" not in said, said


def test_an_abort_that_the_module_refuses_costs_no_outage(lab):
    lab.set(phase="prepared", fails={"aborted": {"msg": "nothing explains these parameters", "error_code": "inconsistent", "in_check": True}})
    code, said = lab.run(entry="abort")
    assert code == 2 and "nothing explains" in said and lab.did() == [] and lab.world["up"] == UP, said


def test_an_abort_that_re_encrypts_already_is_continued_without_an_outage(lab):
    lab.set(phase="prepared", rewritten=True, fails={"rotating": {"msg": "wait_timeout is over"}})
    assert lab.run(entry="abort")[0] == 2 and lab.world["up"] == UP
    lab.set(fails={})
    code, said = lab.run("--check", entry="abort")
    assert code == 0 and "watch: until every record is under the old key" in said, said
    code, said = lab.run(entry="abort")
    assert code == 0 and lab.did() == ["rotating", "rotating", *SECOND] and lab.world["phase"] == "aborted", said


def test_an_abort_goes_back_to_the_old_key(lab):
    lab.set(phase="prepared")
    code, said = lab.run(entry="abort")
    assert code == 0, said
    assert lab.did() == ["stopped backend cron", "present db", "absent", "aborted", *START]
    assert (lab.world["phase"], lab.world["up"]) == ("aborted", UP)


def test_the_module_is_told_how_many_records_there_were(lab):
    lab.set(last_records=20)
    assert lab.run("--check")[0] == 0
    assert [int(one["given"]["last_records"]) for one in lab.world["calls"] if one["what"] == "preflight"] == [20]


def test_another_database_after_the_start_stops_the_run_before_cron_sees_it(lab):
    lab.set(records_after=9)
    code, said = lab.run()
    assert code == 2 and "but 20 are known from before" in said and "Backend and cron were stopped again" in said, said
    assert lab.did()[-2:] == ["present backend frontend", "stopped backend cron"] and "cron" not in lab.world["up"]


def test_other_mounts_after_the_start_stop_the_run_before_cron_sees_them(lab):
    lab.set(fails={"platform,count": {"msg": "This is not the Platform that ran before. Other mounts.", "error_code": "platform_differs"}})
    code, said = lab.run()
    assert code == 2 and "Other mounts." in said, said
    assert "present cron" not in lab.did() and "finalized" not in lab.did() and "cron" not in lab.world["up"], said
    # After a start, the role always gives the module the state before the outage, to compare with.
    asked = [one["given"] for one in lab.world["calls"] if one["what"] == "platform,count"]
    assert {one["platform"]["project"] for one in asked} == {"tower"} and all("mounts" in one["platform"] for one in asked)


def whom(lab):
    """User, home and $PWD of each call on the VM."""
    return {(one["user"], one["home"], one["pwd"]) for one in lab.world["calls"] if one["what"] not in ("prepared", "captured")}


def test_where_the_login_owns_the_compose_directory_nobody_becomes_anybody(lab):
    code, said = lab.run("--check", ansible_become=True, ansible_become_user="somebody-who-is-not-there")
    me = pwd.getpwuid(os.geteuid())
    assert code == 0 and whom(lab) == {(me.pw_name, me.pw_dir, str(lab.home))}, said


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming somebody takes root")
@pytest.mark.parametrize("become", [{}, {"ansible_become": True, "ansible_become_user": "root"}], ids=["without become", "with become"])
def test_another_owner_of_the_compose_directory_runs_everything_on_the_vm(become):
    # A directory that this user may enter. The directories of tests are closed to other users.
    with tempfile.TemporaryDirectory(prefix="steps-") as name:
        lab = Lab(pathlib.Path(name))
        os.chmod(name, 0o755)
        lab.path.chmod(0o666)
        owner = pwd.getpwnam("nobody")
        os.chown(lab.home, owner.pw_uid, owner.pw_gid)
        more = {"ansible_python_interpreter": "/usr/bin/python3", "ansible_become_flags": "-s /bin/sh"}  # a user without a shell
        code, said = lab.run("--check", **become, **more)
        assert code == 0 and whom(lab) == {("nobody", owner.pw_dir, str(lab.home))}, said
        assert {one["user"] for one in lab.world["calls"] if one["what"] == "prepared"} == {"root"}, "tasks on the control node must not become another user"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"compose_dir": "/no/such dir"}, "/no/such dir (seqera_crypto_rotation_compose_dir) does not exist"),
        ({"compose_user": "no-such-user"}, "There is no user no-such-user (seqera_crypto_rotation_compose_user)"),
        pytest.param({}, "belongs to a user ID without a name", marks=pytest.mark.skipif(os.geteuid() != 0, reason="giving a directory away takes root")),
    ],
    ids=["no directory", "no user", "no name"],
)
def test_without_a_user_who_runs_compose_nothing_is_done(lab, given, told):
    if not given:
        os.chown(lab.home, 54321, 54321)
    code, said = lab.run("--check", **{f"seqera_crypto_rotation_{name}": value for name, value in given.items()})
    assert code == 2 and told in said and "Nothing was done." in said, said
    assert whom(lab) == set()


def test_credentials_that_are_given_empty_leave_the_environments_aside(lab):
    given = {"profile": "prod", "access_key": "", "secret_key": "", "session_token": None}
    code, said = lab.run(entry="due", **{f"seqera_crypto_rotation_{name}": value for name, value in given.items()})
    [asked] = [one["given"] for one in lab.world["calls"]]
    assert code == 0 and {name: asked.get(name) or "" for name in given} == {name: value or "" for name, value in given.items()}, said


def test_a_name_that_yaml_reads_as_a_number_is_refused(lab):
    code, said = lab.run(entry="due", seqera_crypto_rotation_rotation_id=2026.10)
    assert code == 2 and "must be quoted" in said and lab.world["calls"] == [], said


def test_an_extra_variable_that_nothing_outranks_is_refused(lab):
    code, said = lab.run("-e", "ansible_become=true")
    assert code == 2 and "ansible_become is an extra variable" in said and lab.world["calls"] == [], said


def test_a_withdrawn_variable_is_refused_with_what_to_write_instead(lab):
    code, said = lab.run(seqera_crypto_rotation_other_vms=[])
    assert code == 2 and "seqera_crypto_rotation_other_vms is withdrawn: an installation has one VM" in said and lab.world["calls"] == [], said


def test_the_names_that_the_dict_of_aws_replaces_are_read_for_one_release(lab):
    given = {"seqera_crypto_rotation_region": "eu-west-1", "seqera_crypto_rotation_profile": "old"}
    code, said = lab.run("--check", **given, seqera_crypto_rotation_aws={"profile": "new"})
    assert code == 0 and "[DEPRECATED] seqera_crypto_rotation_profile, seqera_crypto_rotation_region" in said, said
    [asked, *_] = [one["given"] for one in lab.world["calls"] if one["what"] == "prepared"]
    assert (asked["region"], asked["profile"]) == ("eu-west-1", "new") and "endpoint_url" not in asked
    code, said = lab.run("--check", seqera_crypto_rotation_aws={"regon": "eu-west-1"})
    assert code == 2 and "regon" in said, said
