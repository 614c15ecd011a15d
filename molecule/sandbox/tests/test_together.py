"""Features that work alone, together: each test is a pair that once broke."""

import json
import pathlib
import re
import shutil
import time

import pytest
from stand_ins import PLATFORM
from test_runs import hooks
from test_steps import CREATED, CRON_AGAIN, HANDOVER, ROTATION, SECOND, SERVICES, START, UP, lab, two  # noqa: F401  the fixture

ATTESTED = {"seqera_crypto_rotation_verify": ["attested"], "seqera_crypto_rotation_attested_by": "me"}
KEY_HOLDERS = {"seqera_crypto_rotation_restart_scope": "key_holders"}
ROLE = {"include_role": {"name": "seqera_crypto_rotation"}}
OVER = "2020-01-01T00:00:00+00:00"


def before_outage(lab, **task):
    """A task of the user before each outage."""
    tasks = lab.tmp / "hook.yml"
    tasks.write_text(json.dumps([{"name": "Tell the users", **task}]))
    return {"seqera_crypto_rotation_before_outage_tasks": str(tasks)}


def failing(lab):
    return before_outage(lab, **{"ansible.builtin.fail": {"msg": "nobody answers"}})


def closing(lab):
    """During this task the window ends."""
    return before_outage(lab, **{"ansible.builtin.set_fact": {"seqera_crypto_rotation_not_after": OVER}})


def hour_ago():
    """When the rotation ended. By the Platform's clock, every look is at 2026-12-01T00:00:00."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 3600))


def terraform(lab):
    """The operator's tasks, which create the standalone parameters again."""
    tasks, made = lab.tmp / "terraform.yml", str(lab.tmp / "made")
    tasks.write_text(json.dumps([{"name": "terraform apply", "ansible.builtin.command": {"argv": ["touch", made]}}]))
    return made, {"seqera_crypto_rotation_standalone": "delete", "seqera_crypto_rotation_after_prepare_tasks": str(tasks)}


def test_options_that_come_as_text_mean_what_they_say_and_a_dry_run_of_half_a_rotation_keeps_the_order(lab):
    lab.set(lost=["7", "8"])
    given = {"adopt": "false", "backups_waived": "false", "backup": "mysqldump", "backups": "", "accept_unreadable": "7, 8", "second_outage": "later"}
    code, said = lab.run("--check", **{f"seqera_crypto_rotation_{name}": value for name, value in given.items()})
    assert code == 0, said
    places = [said.index(f'"{step}: ') for step in ("backup", "capture", "outage", "prepare", "start", "watch")]
    assert places == sorted(places) and '"finalize: ' not in said, said


def test_an_abort_without_a_look_at_the_records_ends_well(lab):
    lab.set(phase="prepared")
    code, said = lab.run(entry="abort", **ATTESTED)
    assert code == 0 and (lab.world["phase"], lab.world["up"]) == ("aborted", UP), said


def test_an_abort_that_re_encrypts_back_has_terraform_create_what_was_deleted(lab):
    made, given = terraform(lab)
    lab.set(phase="prepared", rewritten=True, terraform=made)
    code, said = lab.run(entry="abort", **given | {"seqera_crypto_rotation_after_prepare_tasks": "/nowhere"})
    assert code == 2 and "is not the absolute path of a file on the control node" in " ".join(said.split()) and lab.did() == [], said
    code, said = lab.run(entry="abort", **given)
    assert code == 0 and lab.did().count("aborted") == 2 and pathlib.Path(made).exists(), said
    assert lab.world["up"] == UP


def test_a_proxy_that_kept_running_learns_the_address_of_the_backend_that_was_started(lab):
    lab.set(phase="prepared", up=["db", "frontend"])
    code, said = lab.run(**KEY_HOLDERS)
    assert code == 0 and "restarted frontend" in lab.did()[: lab.did().index("present cron")], said
    lab.set(phase="idle", up=UP)
    code, said = lab.run(seqera_crypto_rotation_allow_drift=True, **KEY_HOLDERS)
    assert code == 0, said


# SSM holds both keys, cron is stopped, and the backend still has only the old key.
WRITTEN_FIRST = {"phase": "prepared", "up": ["backend", "db", "frontend"], "backend_knows": "captured", "baseline": {"digest": "d", "provisional": True}}


@pytest.mark.parametrize("scope, up", [(KEY_HOLDERS, {}), ({}, {}), ({}, {"up": []})], ids=["with the same restart scope", "with everything", "down"])
def test_a_rotation_that_was_cut_off_between_ssm_and_the_restart_of_the_backend_goes_on(lab, scope, up):
    lab.set(**WRITTEN_FIRST | up)
    code, said = lab.run(**scope)
    assert code == 0 and lab.world["up"] == UP, said
    [look] = [one["given"]["baseline"] for one in lab.world["calls"] if one["what"] == "records"]
    assert look["provisional"] and "provisional" not in lab.world["baseline"], "the records are looked at after the last write with the old key"


def test_a_backend_that_has_only_the_old_key_is_stopped_before_a_failed_run_starts_cron(lab):
    lab.set(**WRITTEN_FIRST | {"baseline": {"digest": "d"}}, fails={"absent": {"msg": "docker hangs"}})
    code, said = lab.run()
    assert code == 2 and "docker hangs" in said and lab.world["up"] == UP, said
    assert "stopped backend frontend" in lab.did(), said


def test_if_the_look_in_the_outage_of_the_backend_fails_the_backend_starts_again_and_cron_does_not(lab):
    lab.set(fails={"records": {"msg": "the database is gone", "error_code": "database_unavailable"}})
    code, said = lab.run(**KEY_HOLDERS)
    assert code == 2 and "the database is gone" in said and "Cron is stopped" in " ".join(said.split()), said
    assert lab.world["up"] == ["backend", "db", "frontend"] and lab.world["backend_knows"] == "prepared", said
    lab.set(fails={})
    code, said = lab.run(**KEY_HOLDERS)
    assert code == 0 and lab.world["up"] == UP, said


def test_if_ssm_cannot_be_written_the_old_backend_keeps_serving(lab):
    lab.set(fails={"prepared": {"msg": "the network is down"}})
    code, said = lab.run(**KEY_HOLDERS)
    assert code == 2 and "the network is down" in said and "stopped backend" not in lab.did(), said
    assert lab.world["up"] == UP, said


def test_a_second_outage_that_was_cut_off_goes_on_with_another_restart_scope(lab):
    lab.set(phase="rotated", up=[])
    code, said = lab.run(**KEY_HOLDERS)
    assert code == 0 and lab.did() == ["finalized", *START] and lab.world["up"] == UP, said


def test_a_rotation_that_was_adopted_and_cut_off_goes_on_and_one_with_a_dump_is_checked(lab):
    lab.set(phase="prepared", up=[])
    code, said = lab.run("--check", seqera_crypto_rotation_adopt=True)
    assert code == 0, said
    lab.set(phase="idle", up=UP, by_hand=True)
    code, said = lab.run("--check", seqera_crypto_rotation_adopt=True, seqera_crypto_rotation_backup="mysqldump", seqera_crypto_rotation_backups=[])
    assert code == 0 and "backup: mysqldump" in said, said


def test_a_restore_takes_the_key_of_the_backup_whatever_the_inventory_asks_for(lab):
    lab.set(restored_in="idle", escrow=[{"held": True, "backups": ["dump-1"], "fingerprint": "cccc"}], age=1)
    given = ["-e", "seqera_crypto_restore_backup=dump-1"]
    code, said = lab.play(["restore_crypto.yml"], *given, seqera_crypto_rotation_max_age_days=90)
    assert code == 0 and "finalized" in lab.did(), said
    lab.set(phase="finalized", current="dddd")
    code, said = lab.play(["restore_crypto.yml"], *given)
    assert code == 2 and "is not in use" in said and "seqera_crypto_rotation_rotation_id" in said and lab.did() == [], said


def test_a_run_after_a_failed_one_has_no_error_code_of_it(lab):
    path, other = lab.second("two")
    lab.set(fails={"captured": {"error_code": "throttled"}})
    say = {"name": "say", "debug": {"msg": "code {{ seqera_crypto_rotation_result.error_code }}!"}}
    tasks = [{"name": "first", "block": [ROLE], "rescue": [say]}, {"name": "second", "vars": other, **ROLE}, say]
    code, said = lab.play([{"hosts": "all", "gather_facts": False, "tasks": tasks}])
    assert code == 0 and re.findall(r"code (\w*)!", said) == ["throttled", ""], said


def test_the_password_of_a_database_that_comes_as_text_is_in_no_event(lab):
    plugins = str(pathlib.Path(__file__).parent / "callback_plugins")
    events = {"ANSIBLE_CALLBACKS_ENABLED": "events", "ANSIBLE_CALLBACK_PLUGINS": plugins, "EVENTS": str(lab.tmp / "events")}
    login = json.dumps({"host": "db", "name": "tower", "user": "tower", "password": "a-password-of-the-database"})
    given = {"seqera_crypto_rotation_database": login, "seqera_crypto_rotation_services": '{"cron": ["cron"]}', "seqera_crypto_rotation_aws": '{"region": "x"}'}
    code, said = lab.play([{"hosts": "all", "gather_facts": False, "tasks": [ROLE]}], "--check", "-vvvv", environ=events, **given)
    assert code == 0 and "a-password-of-the-database" not in said + (lab.tmp / "events").read_text(), said


def test_a_dry_run_of_a_platform_that_is_down_lists_the_steps_of_the_run(lab):
    lab.set(up=[])
    say = {"name": "say", "debug": {"msg": "steps {{ seqera_crypto_rotation_result.steps | to_json }}"}}
    steps = []
    for more in (["--check"], []):
        code, said = lab.play([{"hosts": "all", "gather_facts": False, "tasks": [ROLE, say]}], *more, **KEY_HOLDERS)
        assert code == 0 and ("The Platform is down." in said) == bool(more), said
        steps.append(re.findall(r"steps (\[.*\])", said))
    assert len(steps[0]) == 1 and steps[0] == steps[1]


def test_a_refusal_after_preflight_started_the_platform_does_not_say_that_nothing_was_touched(lab):
    lab.set(up=[], fails={"parameters,platform,records": {"msg": "SELECT command denied"}})
    code, said = lab.play(["rotate_crypto.yml"])
    words = " ".join(said.split())
    assert code == 2 and "The Platform was down and was started. Nothing else was touched." in words and lab.world["up"] == UP, said


def test_a_run_without_a_report_passes_on_no_file_of_an_earlier_one(lab):
    first = {"import_playbook": "rotate_crypto.yml", "vars": {"seqera_crypto_rotation_report_dir": str(lab.tmp / "reports")}}
    code, said = lab.play([first, "rotate_crypto.yml"])
    assert code == 0 and len(list((lab.tmp / "reports").glob("2*.json"))) == 1, said
    assert '"crypto_rotation_report_files": []' in said, said


def test_a_run_that_continues_reports_the_backups_of_the_ledger_and_that_the_platform_was_down(lab):
    lab.set(phase="prepared", up=[], ledger={"backups": ["mysqldump:one"], "waived": False})
    code, said = lab.run(seqera_crypto_rotation_backup="mysqldump", seqera_crypto_rotation_backups=[])
    assert code == 0 and "it opens the backups: mysqldump:one" in " ".join(said.split()) and "was already down when this run began" in " ".join(said.split()), said


def test_a_backup_that_the_role_makes_is_not_waived(lab):
    code, said = lab.run(seqera_crypto_rotation_backup="mysqldump", seqera_crypto_rotation_backups=[])
    assert code == 0 and lab.world["ledger"]["backups"][0].startswith("mysqldump:") and not lab.world["ledger"]["waived"], said


def test_a_missing_backup_is_refused_in_the_words_of_the_role(lab):
    code, said = lab.run(seqera_crypto_rotation_backups=[])
    assert code == 2 and "Or let the role make the backup: seqera_crypto_rotation_backup" in " ".join(said.split()) and lab.world["calls"] == [], said


@pytest.mark.parametrize("phase", ["captured", "prepared", "rotated"])
def test_a_run_that_was_interrupted_while_it_stopped_a_proxy_goes_on(lab, phase):
    lab.set(phase=phase, rewritten=phase == "rotated", up=["backend", "cron", "db"], platform=PLATFORM)
    code, said = lab.run()
    assert code == 0 and (lab.world["phase"], lab.world["up"]) == ("finalized", UP), said


def test_an_abort_that_was_interrupted_after_its_last_write_is_finished(lab):
    lab.set(phase="aborted", up=[])
    code, said = lab.run("--check", entry="abort")
    assert code == 0 and "The Platform does not run as it should: it would be started." in said and lab.did() == [], said
    code, said = lab.run(entry="abort")
    assert code == 0 and lab.did() == START and lab.world["up"] == UP and "All 20 records open with the key in use." in said, said
    code, said = lab.run(entry="abort")
    assert code == 0 and lab.did() == [] and "Nothing was done." in said, said
    for phase, when in ("finalized", ""), ("aborted", "2026-01-01T00:00:00Z"):
        lab.set(phase=phase, aborted_at=when, up=[])
        code, said = lab.run(entry="abort")
        assert code == 0 and lab.world["calls"][0]["what"] == "parameters,ledger" and len(lab.world["calls"]) == 1 and "Nothing was done." in said, said


def test_a_run_that_was_interrupted_before_it_started_cron_starts_cron(lab):
    for entry, phase in ("main", "finalized"), ("abort", "aborted"):
        lab.set(phase=phase, aborted_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), up=["backend", "db", "frontend"])
        code, said = lab.run(entry=entry)
        assert code == 0 and lab.world["up"] == UP, said


def test_an_abort_that_is_over_says_so(lab):
    lab.set(phase="prepared", rewritten=True)
    code, said = lab.run(entry="abort")
    assert code == 0 and "now aborted All 20 records open with the key in use" in " ".join(said.split()), said


def test_a_refusal_names_its_code_and_one_next_step_and_the_report(lab):
    code, said = lab.play(["rotate_crypto.yml"], seqera_crypto_rotation_helth_url="http://localhost", seqera_crypto_rotaton_backup="mysqldump",
                          seqera_crypto_rotation_report_dir=str(lab.tmp / "reports"))  # fmt: skip
    words = " ".join(said.split())
    assert code == 2 and "Instead of seqera_crypto_rotaton_backup, perhaps seqera_crypto_rotation_backup or" in words, said
    assert "Instead of seqera_crypto_rotation_helth_url, perhaps seqera_crypto_rotation_backend_health_url or" in words
    last = words.rindex("The role has no variable")
    assert words.count("Next:", last) == words.count("Nothing was", last) == 1, said
    assert re.search(rf"1 host, 1 REFUSED.*Report: {lab.tmp}/reports/\w+\.html", words), said


def test_credentials_that_expire_during_the_watch_leave_the_platform_running(lab):
    lab.set(fails={"finalized": {"msg": "the token has expired", "in_check": True}})
    tasks = lab.tmp / "hook.yml"
    tasks.write_text(json.dumps([{"name": "Tell the users", "ansible.builtin.debug": {"msg": "maintenance begins"}}]))
    code, said = lab.run(seqera_crypto_rotation_before_outage_tasks=str(tasks))
    assert said.count("maintenance begins") == 1, "users are told only of an outage that begins"
    assert code == 2 and "the token has expired" in said and lab.did() == ROTATION[: -len(SECOND)] and lab.world["up"] == UP, said
    lab.set(fails={"finalized": {"msg": "the token has expired"}, "parameters": {"msg": "the token has expired"}})
    code, said = lab.run()
    assert code == 2 and "was started again" in " ".join(said.split()) and lab.world["up"] == UP, said


def test_a_second_outage_that_was_cut_off_is_not_put_off(lab):
    lab.set(phase="rotated", up=[])
    code, said = lab.run(seqera_crypto_rotation_second_outage="later", seqera_crypto_rotation_not_after="2020-01-01T00:00:00+00:00")
    assert code == 0 and (lab.world["phase"], lab.world["up"]) == ("finalized", UP), said


@pytest.mark.parametrize("outage", ["captured", "prepared"])
def test_a_compose_file_that_is_edited_long_before_an_outage_does_not_stop_the_platform(lab, outage):
    lab.set(edited_in=outage)
    code, said = lab.run("-e", "seqera_crypto_rotation__compared_for=-1")
    assert code == 2 and re.search("rotation stopped at the step [^:]*: The compose file was edited", " ".join(said.split())), said
    assert lab.world["up"] == UP and lab.did() == (["captured"] if outage == "captured" else ROTATION[: -len(SECOND)])


def test_one_late_answer_after_a_rotation_restarts_nothing(lab):
    lab.set(phase="finalized", late_answers=1)
    code, said = lab.run()
    assert code == 0 and lab.did() == [], said


@pytest.mark.parametrize("up", [UP, [name for name in UP if name != "frontend"]], ids=["it runs", "its frontend is down"])
def test_a_platform_that_was_upgraded_after_its_rotation_is_not_refused(lab, up):
    lab.set(phase="finalized", up=up, platform=PLATFORM | {"dir": str(lab.home), "mounts": {"backend": ["/old"]}}, mounts={"backend": ["/new"]})
    code, said = lab.run(seqera_crypto_rotation_ready_timeout=2)
    assert "platform_differs" not in said and lab.world["up"] == UP, said
    assert up != UP or code == 0 and lab.did() == []


def test_a_dry_run_does_not_say_that_a_platform_is_down_that_it_has_not_looked_at(lab):
    lab.set(phase="finalized", platform=PLATFORM | {"dir": str(lab.home)})
    code, said = lab.run("--check")
    assert code == 0 and "is down" not in said, said


def test_a_compose_file_that_is_edited_long_before_an_abort_does_not_stop_the_platform(lab):
    lab.set(phase="prepared", edited_in="prepared")
    code, said = lab.run("-e", "seqera_crypto_rotation__compared_for=-1", entry="abort")
    assert code == 2 and "was edited" in said and lab.did() == [] and lab.world["up"] == UP, said


def test_the_look_in_the_outage_is_in_the_ledger_also_if_the_backend_does_not_start(lab):
    lab.set(fails={"platform,count": {"msg": "the backend does not answer"}})
    code, said = lab.run(**KEY_HOLDERS)
    assert code == 2 and "does not answer" in said and lab.world["baseline"] and not lab.world["baseline"].get("provisional"), said


def test_cron_does_not_re_encrypt_before_the_ledger_has_the_look(lab):
    lab.set(fails={"prepared": {"msg": "the token has expired", "changed": True, "holds": ["prepared", "aaaa", "bbbb"]}})
    code, said = lab.run()
    assert code == 2 and "started again, without cron," in " ".join(said.split()) and "cron" not in lab.world["up"], said


def test_if_the_first_outage_fails_a_proxy_that_kept_running_learns_the_backends_new_address(lab):
    proxy = {"proxy": {"depends_on": []}}
    lab.set(services=SERVICES | proxy, up=sorted([*UP, "proxy"]), keeps_addresses=["frontend", "proxy"], fails={"records": {"msg": "no answer"}})
    code, said = lab.run()
    assert code == 2 and "was started again" in " ".join(said.split()), said
    assert "restarted proxy" in lab.did() and "restarted frontend" not in lab.did(), lab.did()


def test_if_nothing_was_stopped_but_cron_a_failure_restarts_no_proxy(lab):
    lab.set(fails={"prepared": {"msg": "the token has expired"}})
    code, said = lab.run(seqera_crypto_rotation_restart_scope="key_holders")
    assert code == 2 and "was started again" in " ".join(said.split()) and lab.world["up"] == UP, said
    assert not [one for one in lab.did() if one.startswith("restarted")], lab.did()


@pytest.mark.parametrize("tells", [False, True], ids=["alone", "with tasks before the outage"])
def test_a_compose_file_that_is_edited_before_a_handover_does_not_stop_the_platform(lab, tells):
    lab.set(edited_in="captured")
    given = before_outage(lab, **{"ansible.builtin.debug": {}}) if tells else {}
    code, said = lab.run(seqera_crypto_rotation_restart_scope="handover", **given)
    assert code == 2 and "was edited" in said and lab.did() == ["captured"] and lab.world["up"] == UP, said


def test_if_another_platform_takes_the_name_during_a_handover_the_old_backend_serves_on(lab):
    lab.second("two", engine="one", twins=[{"id": "other", "name": "backend", "service": "backend", "state": "running"}])
    lab.set(engine="one", late=True)
    code, said = lab.run(seqera_crypto_rotation_restart_scope="handover")
    assert code == 2 and "is called backend" in said, said
    assert "docker stop backend" in lab.did() and "docker start backend" in lab.did(), lab.did()
    assert [one["state"] for one in lab.world["twins"]] == ["running"] and "backend" in lab.world["up"], said


def test_an_abort_that_is_repeated_half_way_and_fails_starts_the_platform(lab):
    lab.set(phase="aborting", up=[], fails={"platform,records": {"msg": "the disk is full"}})
    code, said = lab.run(entry="abort")
    assert code == 2 and "was started again" in " ".join(said.split()) and lab.world["up"] == UP, said


def test_an_abort_that_is_repeated_half_way_and_re_encrypts_leaves_the_platform_running(lab):
    lab.set(phase="aborting", up=[], rewritten=True, fails={"finalized": {"msg": "the network is down", "changed": False}})
    code, said = lab.run(entry="abort")
    assert code == 2 and "the network is down" in said and "half-way" not in said and lab.world["up"] == UP, said


@pytest.mark.parametrize("mistake", ["module", "relative"])
def test_task_files_of_the_users_with_a_mistake_cost_no_outage(lab, mistake):
    tasks = lab.tmp / "hook.yml"
    tasks.write_text(json.dumps([{"name": "Tell the users", "no.such.module" if mistake == "module" else "ansible.builtin.debug": {}}]))
    code, said = lab.run(seqera_crypto_rotation_after_outage_tasks=str(tasks) if mistake == "module" else "hook.yml")
    assert code != 0 and lab.did() == [] and ("no.such.module" if mistake == "module" else "absolute path") in said, said


@pytest.mark.parametrize("strategy", ["host_pinned", "linear"])
def test_a_pause_in_a_task_file_does_not_end_the_playbook_in_an_outage(lab, strategy):
    tasks = lab.tmp / "hook.yml"
    tasks.write_text("- name: Tell the users\n  ansible.builtin.pause:\n    seconds: 0\n")
    code, said = lab.play(["rotate_crypto.yml"], "-e", f"seqera_crypto_rotation_strategy={strategy}", seqera_crypto_rotation_after_outage_tasks=str(tasks))
    if strategy == "linear":
        assert code == 0 and lab.world["phase"] == "finalized", said
    else:
        assert code == 2 and "hook.yml uses pause or add_host" in " ".join(said.split()) and lab.did() == [], said


@pytest.mark.parametrize(("when", "hidden"), [("before", True), ("after", "{{ item.hides }}")])
def test_what_a_users_task_hides_is_not_in_the_report(lab, when, hidden):
    hook, secret = lab.tmp / "hook.yml", "the-token-of-the-chat"
    task = {"name": "Tell the users", "ansible.builtin.shell": f"echo {secret} >&2; false", "loop": [{"hides": True}], "no_log": hidden}
    hook.write_text(json.dumps([task]))
    code, said = lab.play(["rotate_crypto.yml"], seqera_crypto_rotation_report_dir=str(lab.tmp / "reports"), **{f"seqera_crypto_rotation_{when}_outage_tasks": str(hook)})
    assert code == 2 and "failed. Its output is hidden" in " ".join(said.split()), said
    written = [path.read_text() for path in (lab.tmp / "reports").rglob("*") if path.is_file()]
    assert written and not [text for text in [said, *written] if secret in text]


def test_a_refusal_says_that_preflight_started_the_platform(lab):
    lab.set(phase="captured", up=[], lost=["7"], last_records={"total": 20}, fails={"migrate": {"msg": "no space left"}})
    code, said = lab.play(["rotate_crypto.yml"])
    assert code == 2 and "no space left" in said and "began to start it" in " ".join(said.split()) and "Nothing was touched" not in said, said
    lab.set(up=[], fails={})
    code, said = lab.play(["rotate_crypto.yml"])
    assert code == 2 and "was down and was started" in " ".join(said.split()) and "Nothing was done" not in said and lab.world["up"] == UP, said


def test_credentials_that_come_as_text_are_not_repeated(lab):
    code, said = lab.run(seqera_crypto_rotation_aws="region=x secret_key=an-aws-secret")
    assert code == 2 and "must be a dict" in said and "an-aws-secret" not in said, said


def test_the_window_may_end_during_the_tasks_before_an_outage(lab):
    tasks = closing(lab)
    code, said = lab.play(["rotate_crypto.yml"], **tasks)
    assert code == 2 and "The window is over" in said and lab.did() == ["captured"] and lab.world["up"] == UP and "1 not begun" in said, said
    lab.set(phase="prepared")
    code, said = lab.play(["rotate_crypto.yml"], **tasks)
    assert code == 0 and "second outage put off" in said and lab.did() == ["rotating", "rotating"] and lab.world["up"] == UP, said


@pytest.mark.parametrize("what", ["stopped", "absent"])
def test_the_tasks_after_an_outage_also_end_one_that_failed(lab, what):
    files = {}
    for when in ("before", "after"):
        files[when] = lab.tmp / f"{when}.yml"
        files[when].write_text(json.dumps([{"name": "Tell the users", "ansible.builtin.debug": {"msg": f"the maintenance page, {when}"}}]))
    lab.set(fails={what: {"msg": "docker hangs"}})
    code, said = lab.run(**{f"seqera_crypto_rotation_{when}_outage_tasks": str(file) for when, file in files.items()})
    assert code == 2 and lab.world["up"] == UP and said.count("page, before") == said.count("page, after") == 1, said


def test_a_platform_that_is_stopped_for_a_restore_does_not_start_with_another_key(lab):
    lab.set(phase="finalized", up=["db"])
    # As restore_crypto.yml includes the role.
    given = {"seqera_crypto_rotation__restoring": True, "seqera_crypto_rotation_backups": [], "seqera_crypto_rotation_backups_waived": True}
    code, said = lab.run(seqera_crypto_rotation_new_secret_from_escrow="cccc", **given)
    assert code == 0 and lab.did() == [] and lab.world["up"] == ["db"], said


def test_more_than_a_hundred_records_may_be_accepted_as_unreadable(lab):
    lost = [str(one) for one in range(150)]
    lab.set(records=200, lost=lost)
    code, said = lab.run(seqera_crypto_rotation_accept_unreadable=lost)
    assert code == 0, said
    lab.set(phase="idle", up=UP)
    code, said = lab.run(seqera_crypto_rotation_accept_unreadable=lost[:-1])
    assert code == 2 and "1 of 200 records do not open" in " ".join(said.split()), said


def test_the_preview_of_a_platform_that_would_only_be_started_foretells_no_rotation(lab):
    lab.set(phase="finalized", up=["db"])
    code, said = lab.play(["rotate_crypto.yml"], "--check")
    assert code == 0 and "would be rotated" not in said and "restart: docker compose up" in said, said


def test_a_proved_platform_that_is_down_starts_also_if_the_second_outage_may_not_begin(lab):
    lab.set(phase="rotated", up=[], holds=["idle", "aaaa", ""])
    code, said = lab.run(**failing(lab))
    assert code == 2 and "nobody answers" in said and lab.world["up"] == UP, said


@pytest.mark.parametrize("scope", [{}, KEY_HOLDERS], ids=["all", "key_holders"])
@pytest.mark.parametrize("why", [lambda _: {"seqera_crypto_rotation_not_after": OVER}, failing, closing], ids=["window", "tasks", "window after the tasks"])
def test_an_abort_that_may_not_begin_starts_no_cron(lab, scope, why):
    up = ["backend", "db", "frontend"]
    lab.set(phase="prepared", up=up, rewritten=True)
    code, said = lab.run(entry="abort", **scope, **why(lab))
    assert code == 2 and lab.world["up"] == up and lab.did() == [], said


def test_an_abort_that_may_not_begin_starts_a_platform_with_only_the_old_key(lab):
    lab.set(phase="captured", up=["db"], made=UP)
    code, said = lab.run(entry="abort", **failing(lab))
    assert code == 2 and "nobody answers" in said and lab.world["up"] == UP, said


def test_a_proved_abort_whose_second_outage_may_not_begin_starts_the_platform(lab):
    lab.set(phase="rotated", up=[], reversed=True, holds=["idle", "bbbb", ""])
    code, said = lab.run(entry="abort", **failing(lab))
    assert code == 2 and "nobody answers" in said and lab.world["up"] == UP, said


def test_a_restore_of_a_backup_with_few_records_is_not_taken_for_another_database(lab):
    lab.set(restored_in="idle", up=["db"], made=UP, last_records=1000, escrow=[{"held": True, "backups": ["dump-1"], "fingerprint": "cccc"}])
    code, said = lab.play(["restore_crypto.yml"], "-e", "seqera_crypto_restore_backup=dump-1")
    assert code == 0 and (lab.world["phase"], lab.world["up"]) == ("finalized", UP), said


def test_a_restore_does_not_start_the_platform_with_the_key_in_use_to_look_at_the_records(lab):
    lab.set(restored_in="idle", up=["db"], made=UP, escrow=[{"held": True, "backups": ["dump-1"], "fingerprint": "cccc"}])
    code, said = lab.play(["restore_crypto.yml"], "-e", "seqera_crypto_restore_backup=dump-1")
    assert code == 0 and "present backend frontend" not in lab.did()[: lab.did().index("prepared")] and lab.world["up"] == UP, said


def test_a_restore_that_fails_before_its_outage_does_not_start_the_platform_with_the_key_in_use(lab):
    lab.set(restored_in="idle", up=["db"], made=UP, escrow=[{"held": True, "backups": ["dump-1"], "fingerprint": "cccc"}])
    code, said = lab.play(["restore_crypto.yml"], "-e", "seqera_crypto_restore_backup=dump-1", **failing(lab))
    assert code == 2 and "nobody answers" in said and lab.world["up"] == ["db"], said


def test_another_platform_in_place_of_the_one_of_preflight_is_not_stopped_before_the_outage(lab):
    lab.set(fails={"captured": {"msg": "This is not the Platform that ran before", "error_code": "platform_differs", "changed": False}})
    code, said = lab.run()
    assert code == 2 and "not the Platform" in said and lab.world["up"] == UP and "stopped" not in " ".join(lab.did()), said


def test_cron_starts_also_if_its_container_is_gone(lab):
    lab.set(up=["backend", "db", "frontend"], phase="prepared")
    code, said = lab.run(**KEY_HOLDERS)
    assert code == 0 and lab.world["up"] == UP, said


def test_cron_is_stopped_also_if_it_came_up_after_preflight(lab):
    lab.set(up=["backend", "db", "frontend"], phase="prepared")
    code, said = lab.run(**KEY_HOLDERS)
    did = lab.did()
    assert code == 0 and "stopped cron" in did[: did.index("prepared")], said


@pytest.mark.parametrize("scope", [KEY_HOLDERS, HANDOVER], ids=["key_holders", "handover"])
def test_a_frontend_that_an_interrupted_run_left_down_is_started(lab, scope):
    lab.set(phase="prepared", up=["backend", "cron", "db"], ledger={"backups": ["b"]}, platform={"project": "tower"})
    code, said = lab.run(**scope)
    assert code == 0 and lab.world["up"] == UP, said


@pytest.mark.parametrize("scope", [{}, KEY_HOLDERS, HANDOVER], ids=["all", "key_holders", "handover"])
def test_a_cron_without_a_container_is_created_after_an_interrupted_run(lab, scope):
    up = ["backend", "db", "frontend"]
    lab.set(phase="finalized", up=up, made=up, ended_at=hour_ago())
    code, said = lab.run(**scope)
    assert code == 0 and lab.world["up"] == UP, said


def test_a_missing_cron_is_an_error_at_the_end(lab):
    lab.set(phase="finalized", up=["backend", "db", "frontend"], ended_at=hour_ago())
    rest = lab.tmp / "roles" / "seqera_crypto_rotation" / "tasks"
    tasks = rest.resolve()
    rest.unlink()
    shutil.copytree(tasks, rest)
    (rest / "start.yml").write_text("---\n- name: Start nothing\n  ansible.builtin.meta: noop\n")
    code, said = lab.run()
    assert code == 2 and "Backends and cron are running, missing." in " ".join(said.split()), said


def test_a_cron_that_an_interrupted_run_left_with_both_keys_is_restarted(lab):
    lab.set(phase="finalized", up=["cron", "db", "frontend"], ended_at=hour_ago(), twins=two(old="exited"))
    code, said = lab.run(**HANDOVER)
    did = lab.did()
    assert code == 0 and did.index("stopped cron") < did.index("present cron") and lab.world["up"] == UP, said


def test_the_window_does_not_keep_down_a_frontend_that_an_interrupted_run_stopped(lab):
    lab.set(phase="prepared", up=["backend", "cron", "db"], ledger={"backups": ["b"]}, platform={"project": "tower"})
    code, said = lab.run(seqera_crypto_rotation_not_after=OVER)
    assert "The window is over" not in said and lab.world["up"] == UP, said
    assert code == 0, said


@pytest.mark.parametrize("scope", [KEY_HOLDERS, HANDOVER], ids=["key_holders", "handover"])
def test_each_service_that_keeps_an_address_restarts_after_the_one_before_it(lab, scope):
    services = lab.world["services"] | {"proxy": {"depends_on": []}}
    lab.set(up=[*UP, "proxy"], services=services, keeps_addresses=["frontend", "proxy"])
    code, said = lab.run(**scope)
    assert code == 0, said
    did = " ".join(lab.did())
    assert did.count("restarted frontend restarted proxy") == 2 or did.count("docker restart frontend proxy") == 2, did


def test_a_second_backend_of_an_interrupted_handover_goes_before_key_holders_restart(lab):
    lab.set(phase="prepared", twins=two("created", name="tower-backend-2"))
    code, said = lab.run(**KEY_HOLDERS)
    assert code == 0 and "docker rm next" in lab.did()[:3] and [one["id"] for one in lab.world["twins"]] == ["old"], said


def test_a_different_platform_that_the_restart_after_a_failure_brings_up_is_stopped(lab):
    differs = {"msg": "This is not the Platform that ran before", "error_code": "platform_differs"}
    lab.set(fails={"prepared": {"msg": "expired", "changed": False}, "platform,count": differs, "platform": differs})
    code, said = lab.run()
    flat = " ".join(said.split())
    assert code == 2 and "Starting it again failed:" in flat and "Backend and cron were stopped again" in flat, said
    assert not {"backend", "cron"} & {*lab.world["up"]}


@pytest.mark.parametrize("scope", [{}, KEY_HOLDERS], ids=["all", "key_holders"])
def test_backend_and_cron_that_an_interrupted_run_left_with_both_keys_are_restarted(lab, scope):
    lab.set(phase="finalized", ended_at=hour_ago(), started_at={"backend": "2026-11-30T22:59:00.7Z", "cron": "2026-11-30T22:59:30.1Z"})
    for later in ({"seqera_crypto_rotation_second_outage": "later"}, {"seqera_crypto_rotation_not_after": OVER}):
        code, said = lab.run(**scope, **later)
        assert code == 0 and lab.did() == [], said
    code, said = lab.run(**scope)
    assert code == 0 and lab.did() == ["restarted backend", "restarted frontend", *CRON_AGAIN], said
    code, said = lab.run(**scope)
    assert code == 0 and lab.did() == [], said


@pytest.mark.parametrize("scope", ["handover", "key_holders", "all"])
@pytest.mark.parametrize("twins", [two("created", name="tower-backend-2"), two()], ids=["created", "running"])
def test_a_second_backend_that_an_interrupted_handover_left_is_removed_without_an_outage(lab, twins, scope):
    lab.set(phase="finalized", twins=twins, fails={"preflight,handover": {"msg": "There is not enough memory", "in_check": True}})
    code, said = lab.run(seqera_crypto_rotation_restart_scope=scope, seqera_crypto_rotation_not_after=OVER, **hooks(lab, after=True))
    assert code == 0 and lab.did() == ["docker rm next"] and "restart:" not in said, said
    code, said = lab.run(seqera_crypto_rotation_restart_scope=scope)
    assert code == 0 and lab.did() == [], said


def test_a_fleet_removes_a_second_backend_also_outside_the_window(lab):
    lab.set(phase="finalized", twins=two())
    code, said = lab.play(["rotate_crypto.yml"], seqera_crypto_rotation_not_after=OVER)
    assert code == 0 and lab.did() == ["docker rm next"], said


def test_so_does_an_abort_that_finds_nothing_to_abort(lab):
    lab.set(phase="aborted", twins=two(), reversed=True)
    code, said = lab.run(entry="abort")
    assert code == 0 and lab.did() == ["docker rm next"], said


def test_a_second_backend_stays_until_a_window_if_the_first_may_have_both_keys(lab):
    lab.set(phase="finalized", twins=two(), ended_at="")
    code, said = lab.run(**HANDOVER, seqera_crypto_rotation_not_after=OVER)
    assert code == 0 and lab.did() == [], said
    code, said = lab.run(**HANDOVER)
    assert code == 0 and [*lab.did()[:2], *lab.did()[-2:]] == ["docker rm next", CREATED[0], *CRON_AGAIN] and len(lab.world["twins"]) == 1, said


def test_a_stop_rule_of_the_fleet_also_holds_for_a_restart_that_an_interrupted_run_left(lab):
    lab.set(phase="finalized", ended_at=hour_ago(), started_at={"backend": "2026-11-30T22:59:00.7Z"})
    _, other = lab.second("two", phase="idle", up=UP, ended_at="", fails={"preflight": {"msg": "no memory", "in_check": True}})
    code, said = lab.play(["rotate_crypto.yml"], hosts={"vm": {}, "b": other})
    assert code == 2 and "preflight refused b" in " ".join(said.split()) and lab.did() == [], said


def test_an_abort_that_no_platform_has_seen_restarts_nothing_later(lab):
    lab.set(phase="aborted", started_at={"backend": "2026-11-30T22:59:00.7Z"})
    code, said = lab.run()
    assert code == 0 and lab.did() == [], said


def test_a_rotation_without_a_time_of_its_end_is_not_taken_for_an_old_one(lab):
    lab.set(phase="finalized", up=[], ended_at="")
    code, said = lab.run()
    assert code == 0 and lab.world["up"] == UP, said


@pytest.mark.parametrize("up", [["backend", "db", "frontend"], ["backend", "cron", "db"]], ids=["without cron", "without frontend"])
def test_an_abort_that_changes_only_the_ledger_starts_what_an_interrupted_run_stopped(lab, up):
    lab.set(phase="captured", up=up, platform=PLATFORM)
    code, said = lab.run(entry="abort", **KEY_HOLDERS)
    assert code == 0 and (lab.world["phase"], lab.world["up"]) == ("aborted", UP), said


@pytest.mark.parametrize("told", ["Done before that: record_aborted.", "It is not known whether record_aborted /x was carried out.", "Nothing was written.", ""])
def test_an_abort_that_only_writes_to_the_ledger_and_fails_says_what_was_written(lab, told):
    lab.set(phase="captured", fails={"aborted": {"msg": f"The disk is full. {told}"}})
    code, said = lab.play(["abort_crypto.yml"])
    said = " ".join(said.split())
    assert code == 2 and told in said and ("Nothing was touched" in said) == (told == ""), said


def test_a_start_by_preflight_that_fails_keeps_its_error_code(lab):
    fault = {"msg": "the backend answers 503", "error_code": "platform_not_ready"}
    lab.set(phase="captured", up=[], fails={"platform": fault, "platform,count": fault})
    code, said = lab.play(["rotate_crypto.yml"], seqera_crypto_rotation_report_dir="reports")
    [report] = [json.loads(path.read_text()) for path in (lab.tmp / "reports").glob("2*.json")]
    assert code == 2 and [(one["outcome"], one["error_code"]) for one in report["hosts"]] == [("refused", "platform_not_ready")], said


def test_a_rotation_that_ended_long_ago_does_not_ask_the_vm(lab):
    lab.set(phase="finalized", ended_at="2026-01-01T00:00:00Z", up=[])
    code, said = lab.run()
    assert code == 0 and not [one for one in lab.world["calls"] if one["what"] != "prepared"], said


def test_an_abort_that_is_proved_is_finished_by_an_abort(lab):
    lab.set(phase="rotated", up=[], reversed=True)
    code, said = lab.run(entry="abort")
    assert code == 0 and "rotating" not in lab.did() and (lab.world["phase"], lab.world["up"]) == ("aborted", UP), said


def test_requirements_of_a_handover_refuse_no_abort(lab):
    lab.second("two", engine="one", twins=[{"id": "other", "name": "backend", "service": "backend", "state": "running"}])
    lab.set(engine="one", phase="prepared")
    code, said = lab.run(entry="abort", seqera_crypto_rotation_restart_scope="handover")
    assert code == 0 and lab.world["phase"] == "aborted", said


def test_a_secret_that_docker_compose_quotes_is_not_repeated(lab):
    lab.set(fails={"docker stop": 'unexpected character "!" in variable name "TOWER_DB_PASSWORD!=a-password"'})
    code, said = lab.run(**KEY_HOLDERS)
    assert code == 2 and "unexpected character" in said and "a-password" not in said, said


def test_the_window_holds_where_only_cron_is_down(lab):
    up = ["backend", "db", "frontend"]
    lab.set(phase="prepared", up=up)
    code, said = lab.run(seqera_crypto_rotation_not_after=OVER)
    assert code == 2 and "The window is over" in said and "stopped backend" not in " ".join(lab.did()), said


def test_an_abort_that_changes_only_the_ledger_costs_no_outage(lab):
    lab.set(phase="captured")
    code, said = lab.run("--check", entry="abort")
    assert code == 0 and "abort: record_aborted" in said and lab.did() == [], said
    code, said = lab.run(entry="abort")
    assert code == 0 and lab.did() == ["aborted"] and lab.world["phase"] == "aborted" and "No outage" in said, said


def test_a_failed_run_whose_records_were_not_looked_at_starts_no_cron(lab):
    lab.set(**WRITTEN_FIRST | {"up": []}, fails={"records": {"msg": "the database is gone", "error_code": "database_unavailable"}})
    code, said = lab.run()
    assert code == 2 and "was started again, without cron" in " ".join(said.split()) and lab.world["up"] == ["backend", "db", "frontend"], said
    lab.set(fails={})
    code, said = lab.run()
    assert code == 0 and lab.world["up"] == UP, said
