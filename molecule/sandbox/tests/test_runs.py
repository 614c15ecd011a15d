"""The role and the playbooks several times in one run, the window, the user's task files and AWX's artifacts. The modules are stand-ins."""

import json
import pathlib
import re

import pytest
from test_steps import ROTATION, START, UP, UPWARDS, lab  # noqa: F401  the fixture

ROLE = {"include_role": {"name": "seqera_crypto_rotation"}}
PAST, FUTURE = "2020-01-01T00:00:00Z", "2099-01-01T00:00:00Z"
# The window ends after preflight and capture.
ENDS = f"{{{{ '{FUTURE}' if seqera_crypto_rotation__at | default('preflight') in ['preflight', 'capture'] else '{PAST}' }}}}"


def looks(path):
    return [one["what"] for one in json.loads(path.read_text())["calls"] if "preflight" in one["given"].get("gather", [])]


def test_the_role_twice_in_a_play_and_for_two_platforms_does_for_each_its_own_preflight_and_work(lab):
    path, other = lab.second("two")
    loop = ROLE | {"vars": {name: f"{{{{ item.{name} }}}}" for name in other}}
    first = {"seqera_crypto_rotation_app_name": "tower", "seqera_crypto_rotation_compose_dir": str(lab.home)}
    code, said = lab.play([{"hosts": "all", "gather_facts": False, "tasks": [ROLE, loop | {"loop": [first, other]}]}])
    assert code == 0, said
    assert lab.did() == ROTATION, "the second time there must be nothing left to do"
    assert lab.did(path) == ROTATION and looks(path), "the other Platform must have its own preflight"


def test_a_playbook_that_is_imported_twice_takes_the_hosts_of_each_import(lab):
    path, other = lab.second("two")
    plays = [{"import_playbook": "rotate-crypto.yml", "vars": {"seqera_crypto_rotation_hosts": hosts}} for hosts in ("vm", "vm, other host")]
    code, said = lab.play(plays, hosts={"vm": {}, "other host": other})
    assert code == 0, said
    assert lab.did() == ROTATION, "the second import must not rotate it again"
    assert lab.did(path) == ROTATION and looks(path), said


def test_no_first_outage_begins_after_the_window(lab):
    code, said = lab.run(seqera_crypto_rotation_not_after=PAST)
    assert code == 2 and "The window is over" in said and lab.world["up"] == UP, said
    assert lab.did() == [] and lab.world["phase"] == "idle", "no backup, escrow or ledger entry either"


def test_no_second_outage_begins_after_the_window(lab):
    lab.set(phase="prepared")
    code, said = lab.run(seqera_crypto_rotation_not_after=PAST)
    assert code == 0 and "The second outage is put off" in said, said
    assert lab.did() == ["rotating", "rotating"] and lab.world["phase"] == "prepared"


def test_a_window_that_ends_during_the_run_of_a_fleet_is_kept(lab):
    code, said = lab.play(["rotate-crypto.yml"], seqera_crypto_rotation_not_after=ENDS)
    assert code == 2 and "The window is over" in said and "1 not begun" in said, said
    assert lab.did() == ["captured"] and lab.world["up"] == UP
    lab.set(phase="prepared")
    code, said = lab.play(["rotate-crypto.yml"], seqera_crypto_rotation_not_after=ENDS)
    assert code == 0 and lab.did() == ["rotating", "rotating"], said


def hooks(lab, **broken):
    """The user's task files, which record when they run, or fail."""
    made = {}
    for name in ("before", "after"):
        path = lab.tmp / f"{name}.yml"
        note = {"name": name, "ansible.builtin.command": {"argv": ["sh", "-c", f"echo {name} >>{lab.tmp}/hooks"]}}
        path.write_text(json.dumps([{"name": name, "ansible.builtin.fail": {"msg": "no luck"}} if name in broken else note]))
        made[f"seqera_crypto_rotation_{name}_outage_tasks"] = str(path)
    return made


def test_tasks_in_one_process_do_and_print_what_tasks_in_their_own_processes_do_and_print(lab):
    if lab.forks:
        pytest.skip("this run has no tasks in one process")
    went = []
    for lab.forks in (False, True):
        lab.set(phase="idle", up=UP, fails={"finalized": {"msg": "the network is down", "changed": False}})
        code, said = lab.run("-v", "--diff", **hooks(lab))
        went.append((code, lab.did(), lab.world["up"], re.sub(r"\d+(\.\d+)?|/tmp/\S+", "N", said).splitlines()))
    assert went[0] == went[1] and went[0][:2] == (2, [*ROTATION[: -len(UPWARDS)], *START]), went[0][1]


def test_tasks_of_the_users_run_around_each_outage_and_a_dry_run_lists_them(lab):
    given = hooks(lab)
    code, said = lab.run("--check", **given)
    assert code == 0 and all(path in said for path in given.values()) and not (lab.tmp / "hooks").exists(), said
    code, said = lab.run(**given)
    assert code == 0 and (lab.tmp / "hooks").read_text().split() == ["before", "after"] * 2, said


def test_a_before_hook_that_fails_prevents_the_outage(lab):
    code, said = lab.run(**hooks(lab, before=True))
    assert code == 2 and "no luck" in said and lab.did() == ["captured"] and lab.world["up"] == UP, said


def test_an_after_hook_that_fails_leaves_the_platform_up(lab):
    code, said = lab.run(**hooks(lab, after=True))
    assert code == 2 and "no luck" in said and "after the outage" in said and "The Platform runs." in said, said
    assert lab.world["up"] == UP and lab.did()[-2:] == ["present cron", "present"]


def test_what_a_job_of_awx_leaves_the_next_one_takes(lab):
    given = []
    for playbook in ("crypto-status.yml", "rotate-crypto.yml", "crypto-status.yml"):
        code, said = lab.play([playbook], *given, seqera_crypto_rotation_max_age_days=90)
        assert code == 0, said
        left = json.loads(re.search(r"^\tRUN: ({.*})$", said, re.M).group(1))
        assert left and not any(name.startswith("seqera_crypto_rotation_") for name in left), left
        given += ["-e", json.dumps(left)]


def test_a_variable_of_the_plays_in_the_inventory_is_refused(lab):
    code, said = lab.play(["rotate-crypto.yml"], seqera_crypto_rotation_serial=1)
    assert code == 2 and "seqera_crypto_rotation_serial cannot be a variable of the inventory" in " ".join(said.split()) and lab.did() == [], said


def test_a_missing_app_name_is_told_in_words(lab):
    code, said = lab.play(["rotate-crypto.yml"], hosts={"vm": {"seqera_crypto_rotation_app_name": "left out"}})
    assert code == 2 and "app_name" in said.split("PLAY [Fail")[-1] and lab.did() == [], said


def test_a_report_that_cannot_be_written_is_a_warning_whatever_the_strategy(lab):
    (lab.tmp / "file").write_text("")
    free = {"ANSIBLE_STRATEGY": "free"}
    code, said = lab.play(["rotate-crypto.yml"], environ=free, seqera_crypto_rotation_report_dir=str(lab.tmp / "file" / "reports"))
    assert code == 0 and lab.did() == ROTATION and "WARNING: the report above was not written" in said and "1 rotated" in said, said
    assert said.count("\nTASK [") <= 75, "a reader must find the important headers"


def test_measures_that_were_cut_off_refuse_nothing(lab):
    (lab.tmp / "measured.json").write_text('{\n    "vm": {\n        "outage_se')
    code, said = lab.play(["rotate-crypto.yml"], "--check", seqera_crypto_rotation_report_dir=str(lab.tmp))
    assert code == 0 and "no earlier rotation of this host was measured" in " ".join(said.split()), said


def test_a_vm_that_is_lost_hides_no_overdue_key_and_node_exporter_may_read_it(lab):
    lab.set(age=100)
    lost = {"vm": {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}}
    due = {"seqera_crypto_rotation_max_age_days": 90, "seqera_crypto_rotation_report_dir": str(lab.tmp)}
    code, said = lab.play(["crypto-status.yml"], hosts=lost, seqera_crypto_rotation_status_fail_on=["overdue"], **due)
    assert code == 2 and "vm (seqera_crypto_rotation_status_fail_on)" in said, said
    [told] = json.loads((lab.tmp / "status.json").read_text())["hosts"]
    assert told["verdict"] == "overdue" and "could not be reached" in told["error"]
    assert (lab.tmp / "status.prom").stat().st_mode & 0o777 == 0o644 and "rotation_up{" in (lab.tmp / "status.prom").read_text()


def test_seconds_of_outage_are_right_after_a_failure(lab):
    lab.set(fails={"finalized": {"msg": "the network is down"}})
    said = {"name": "say", "debug": {"msg": "{{ seqera_crypto_rotation_result.outage_seconds | to_json }}"}}
    code, said = lab.play([{"hosts": "all", "gather_facts": False, "tasks": [{"name": "r", "block": [ROLE], "rescue": [said]}]}])
    times = json.loads(re.search(r'"msg": "({.*})"', said.split("TASK [say]")[1]).group(1).replace("\\", ""))
    assert code == 0 and times["first"] > 0 and times["second"] > 0 and lab.world["up"] == UP, said


def test_nothing_in_an_outage_waits_without_a_limit(lab):
    lab.set(fails={"migrate": {"hangs": 60}})
    code, said = lab.run(seqera_crypto_rotation_ready_timeout=5)
    assert code == 2 and 'stopped at the step "start"' in said.replace("\\", "") and "State:" in said, said


def test_a_database_password_of_the_inventory_is_in_no_event(lab):
    plugins = str(pathlib.Path(__file__).parent / "callback_plugins")
    events = {"ANSIBLE_CALLBACKS_ENABLED": "events", "ANSIBLE_CALLBACK_PLUGINS": plugins, "EVENTS": str(lab.tmp / "events")}
    login = {"host": "db", "name": "tower", "user": "tower", "password": "a-password-of-the-database"}
    code, said = lab.play([{"hosts": "all", "gather_facts": False, "tasks": [ROLE]}], "--check", "-vvvv", environ=events, seqera_crypto_rotation_database=login)
    assert code == 0 and "runner_on_ok" in (lab.tmp / "events").read_text(), said
    assert login["password"] not in said + (lab.tmp / "events").read_text()


def test_a_restore_on_a_group_takes_the_platform_that_has_the_backup_and_leaves_the_others_alone(lab):
    path, second = lab.second("other", restored_in="idle", escrow=[{"held": True, "backups": ["dump-1"], "fingerprint": "cccc"}])
    hosts = {"vm": {}, "other": second}
    code, said = lab.play(["restore_crypto.yml"], "-e", "seqera_crypto_restore_backup=dump-9", hosts=hosts)
    assert code == 2 and "0 keys in escrow are tied to the backup dump-9 (none). Known backups: dump-1. Nothing was done." in " ".join(said.split()), said
    code, said = lab.play(["restore_crypto.yml"], "-e", "seqera_crypto_restore_backup=dump-1", hosts=hosts)
    given = [one["given"].get("new_secret_from_escrow") for one in json.loads(path.read_text())["calls"] if one["what"] == "prepared"]
    assert code == 0 and lab.did() == [] and "finalized" in lab.did(path) and set(given) == {"cccc"}, said


def test_a_preflight_that_is_too_old_is_repeated_with_what_the_first_one_saw(lab):
    code, said = lab.play(["rotate_crypto.yml"], seqera_crypto_rotation_preflight_max_age=0)
    scans = [one["given"].get("baseline") for one in lab.world["calls"] if one["what"] == "parameters,platform,records"]
    assert code == 0 and lab.did() == ROTATION, said
    assert scans[:2] == [
        None,
        {"path": "/b", "digest": "d", "total": 20, "taken_at": "t", "provisional": True},
    ], "the second scan must derive keys only for changed records"
