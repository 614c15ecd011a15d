"""Playbooks, hosts and options that work alone, together: each test is a pair that once broke."""

import json
import pathlib
import re
import tempfile

import pytest
from test_steps import ROTATION, UP, lab  # noqa: F401  the fixture


def of(path):
    return json.loads(path.read_text())


def v(**given):
    return {f"seqera_crypto_rotation_{name}": value for name, value in given.items()}


def reports(lab):
    return v(report_dir=str(lab.tmp / "reports"))


def outcomes(lab):
    [one] = (lab.tmp / "reports").glob("2*.json")
    return {host["host"]: host for host in json.loads(one.read_text())["hosts"]}


def table(lab):
    return {host["host"]: host for host in json.loads((lab.tmp / "reports" / "status.json").read_text())["hosts"]}


def test_an_import_that_matches_no_host_does_not_do_the_import_before_it_again(lab):
    path, other = lab.second("two")
    plays = [{"import_playbook": "rotate_crypto.yml", "vars": v(hosts=one)} for one in ("vm", "other")]
    code, said = lab.play(plays, "--limit", "vm", hosts={"vm": {}, "other": other})
    assert code == 0 and "stopped at the step" not in said and lab.did() == ROTATION, lab.did()


def test_two_platforms_on_one_engine_that_hand_over_in_one_run_stay_up(lab):
    lab.set(engine="one")
    path, other = lab.second("two")
    given = v(restart_scope="handover")
    code, said = lab.play(["rotate_crypto.yml"], hosts={"vm": given, "other": other | given | v(docker_host="unix:///run/two")}, **reports(lab))
    assert [one for one, world in {"vm": lab.world, "other": of(path)}.items() if "backend" not in world["up"]] == [], list(outcomes(lab).values())
    assert code == 2 and sorted(one["outcome"] for one in outcomes(lab).values()) == ["done", "failed"], said


def test_a_host_of_the_first_batch_that_the_repeated_preflight_refuses_stops_the_run(lab):
    path, other = lab.second("two")
    lab.set(fails={"parameters,platform,records": {"msg": "a backend is not healthy", "later": 1}})
    given = v(preflight_max_age=0)
    code, said = lab.play(["rotate_crypto.yml"], "-e", '{"seqera_crypto_rotation_serial": 1}', hosts={"a": given, "b": other | given}, **reports(lab))
    told = outcomes(lab)
    assert code == 2 and {host: one["outcome"] for host, one in told.items()} == {"a": "refused", "b": "not_begun"}, said
    assert of(path)["phase"] == "idle"


def test_a_host_with_the_credentials_that_is_lost_in_an_outage_leaves_no_platform_down(lab):
    operator = LOST | {"ansible_connection": "{{ 'ssh' if hostvars['vm'].seqera_crypto_rotation__at | default('') == 'prepare' else 'local' }}"}
    hosts = {"vm": v(delegate="op"), "op": operator}
    code, said = lab.play(["rotate_crypto.yml"], "--limit", "vm", hosts=hosts, **reports(lab))
    assert code == 2 and outcomes(lab)["vm"]["outcome"] == "failed" and "op, which the task is delegated to, cannot be used" in outcomes(lab)["vm"]["reason"], said
    assert lab.world["up"] == UP, said


LOST = {"ansible_host": "127.0.0.1", "ansible_port": 1}
LOST_IN_ITS_OUTAGE = LOST | {"ansible_connection": "{{ 'ssh' if seqera_crypto_rotation__at | default('') == 'first outage' else 'local' }}"}


def test_a_host_of_the_first_batch_that_is_lost_stops_the_run(lab):
    _, second = lab.second("two")
    path, third = lab.second("three")
    batches = '{"seqera_crypto_rotation_serial": [2, "100%"]}'
    code, said = lab.play(["rotate_crypto.yml"], "--forks", "1", "-e", batches, hosts={"vm": LOST_IN_ITS_OUTAGE, "b": second, "c": third}, **reports(lab))
    assert list((lab.tmp / "reports").glob("2*.json")), said
    told = outcomes(lab)
    assert code != 0 and told["vm"]["outcome"] == "failed" and told["vm"]["error_code"] == "unreachable", said
    assert told["c"]["outcome"] == "not_begun" and "captured" not in lab.did(path), "max_fail_percentage is 0 and a host of the first batch failed"


@pytest.mark.parametrize("wrong", [v(max_fail_percentage="10%"), v(on_preflight_failure="Skip"), v(not_after="2099-02-30T05:00:00Z")], ids=str)
def test_a_dry_run_refuses_what_the_run_refuses(lab, wrong):
    code, said = lab.play(["rotate_crypto.yml"], "--check", **wrong)
    assert code == 2 and "1 REFUSED" in said, said


def test_a_wrong_option_of_one_host_does_not_cost_the_report_of_the_others(lab):
    path, other = lab.second("two")
    code, said = lab.play(["rotate_crypto.yml"], hosts={"vm": {}, "b": other | v(max_fail_percentage="10%")}, **reports(lab))
    assert code == 2 and lab.did(path) == [], said
    assert outcomes(lab)["b"]["outcome"] == "refused", "vm may have been rotated, and there is no report"


def test_a_host_that_cannot_be_read_because_of_its_aws_options_is_refused_and_stops_the_run(lab):
    path, other = lab.second("two")
    code, said = lab.play(["rotate_crypto.yml"], hosts={"vm": {}, "b": other | v(aws="region=eu-west-1")}, **reports(lab))
    told = outcomes(lab)
    assert told["b"]["outcome"] == "refused" and "Lost the connection" not in told["b"]["reason"], told["b"]
    assert lab.did() == [] and told["vm"]["outcome"] == "not_begun", "on_preflight_failure is stop"


@pytest.mark.parametrize("captured", [False, True])
def test_the_report_of_a_rotation_that_changed_no_key_names_the_key_in_use(lab, captured):
    hook = lab.tmp / "hook.yml"
    hook.write_text(json.dumps([{"name": "Tell the users", "ansible.builtin.fail": {"msg": "nobody listens"}}]))
    lab.set(fails={} if captured else {"preflight": {"msg": "no"}})
    code, said = lab.play(["rotate_crypto.yml"], **reports(lab), **v(before_outage_tasks=str(hook)))
    host = outcomes(lab)["vm"]
    assert code == 2 and (host["current"], host["previous"], bool(host["backups"])) == ("bbbb", "", captured), (host, said)


@pytest.mark.parametrize("playbook", ["rotate_crypto.yml", "crypto_status.yml"])
def test_an_empty_report_directory_in_yaml_means_no_report(lab, playbook):
    code, said = lab.play([playbook], "--check", **v(report_dir=None))
    assert code == 0, said


def test_a_platform_that_was_only_started_was_not_rotated(lab):
    lab.set(phase="finalized", up=["db", "frontend"])
    code, said = lab.play(["rotate_crypto.yml"])
    assert code == 0 and lab.world["up"] == UP and "finalized" not in lab.did(), said
    assert "1 rotated" not in said and "vm: rotated" not in said, re.findall(r'"(?:Run|vm:) .*"', said)


def test_the_region_of_aws_options_that_come_as_text_is_in_the_table(lab):
    code, said = lab.play(["crypto_status.yml"], **reports(lab), **v(aws='{"region": "eu-west-1"}'))
    assert code == 0 and table(lab)["vm"]["region"] == "eu-west-1", table(lab)


def test_an_age_that_is_not_given_makes_no_key_overdue(lab):
    lab.set(age=5)
    code, said = lab.play(["crypto_status.yml"], **reports(lab), **v(max_age_days=None))
    assert table(lab)["vm"]["verdict"] == "ok", table(lab)


def test_a_host_without_an_app_name_is_not_said_to_be_unreachable(lab):
    path, other = lab.second("two")
    code, said = lab.play(["crypto_status.yml"], hosts={"vm": v(app_name="left out"), "b": other}, **reports(lab))
    assert table(lab)["vm"]["verdict"] == "unknown" and "app_name" in table(lab)["vm"]["error"], table(lab)["vm"]


@pytest.mark.long
def test_two_restores_in_one_run(lab):
    path, other = lab.second("two", restored_in="idle", escrow=[{"held": True, "backups": ["dump-2"], "fingerprint": "cccc"}])
    lab.set(restored_in="idle", escrow=[{"held": True, "backups": ["dump-1"], "fingerprint": "eeee"}])
    plays = [{"import_playbook": "restore_crypto.yml", "vars": {"seqera_crypto_restore_backup": one}} for one in ("dump-1", "dump-2")]
    free = {"ANSIBLE_STRATEGY": "free"}  # the lookup needs every host
    code, said = lab.play(plays, hosts={"vm": {}, "b": other}, environ=free)
    assert code == 0 and lab.did().count("finalized") == lab.did(path).count("finalized") == 1, said[-3000:]


def test_the_window_of_the_documentation_written_in_an_inventory(lab):
    (lab.tmp / "vars.yml").write_text("seqera_crypto_rotation_not_after: 2099-12-01T05:00:00+01:00\n")
    code, said = lab.play(["rotate_crypto.yml"], "--check", "-e", f"@{lab.tmp}/vars.yml")
    assert code == 0 or "in quotes" in said, "it is refused, and the message asks for exactly what was written"


def test_a_status_reads_no_record_where_the_proof_is_attested(lab):
    lab.set(fails={"platform,records": {"msg": "SELECT command denied", "error_code": "database_unavailable"}})
    code, said = lab.play(["crypto_status.yml"], **reports(lab), **v(verify=["attested"], attested_by="me"))
    assert table(lab)["vm"]["verdict"] == "ok", table(lab)["vm"]


def test_a_restore_ignores_the_new_secret_of_the_inventory_which_the_module_would_refuse_together_with_the_escrowed_one(lab):
    lab.set(restored_in="idle", escrow=[{"held": True, "backups": ["dump-1"], "fingerprint": "cccc"}])
    code, said = lab.play(["restore_crypto.yml"], "--check", "-e", "seqera_crypto_restore_backup=dump-1", **v(new_secret="x" * 40))
    given = [(one["given"].get("new_secret"), one["given"].get("new_secret_from_escrow")) for one in lab.world["calls"] if one["what"] == "prepared"]
    assert code == 0 and set(given) == {(None, "cccc")}, given


def test_a_drill_without_a_docker_engine_leaves_no_copy_of_the_dump(lab):
    modules = lab.tmp / "collections" / "ansible_collections" / "community" / "docker" / "plugins" / "modules"
    for name in ("docker_network", "docker_container", "docker_container_info", "docker_container_exec"):
        lines = [f"#!{lab.tmp}/none", "# WANT_JSON", "import json", 'print(json.dumps({"failed": True, "msg": "no engine"}))']
        (modules / f"{name}.py").write_text("\n".join(lines).replace(f"#!{lab.tmp}/none", "#!/usr/bin/python"))
    (lab.home / "dump.sql").write_text("INSERT 1;")
    given = v(drill_backup=str(lab.home / "dump.sql"), drill_image="mysql:8")
    with tempfile.TemporaryDirectory() as scratch:  # ansible-core 2.22 puts a socket there, whose path must be short
        code, said = lab.play(["verify_backup.yml"], environ={"TMPDIR": scratch}, **given)
        assert code == 2 and "no engine" in said and "Look up the owner of the compose directory" in said, said
        left = [str(path) for path in pathlib.Path(scratch).rglob("dump")]
        assert not left, "the copy of the database stays on the control node"
    code, said = lab.play(["verify_backup.yml"], **given, **v(drill_dump=str(lab.home / "dump.sql")))
    assert code == 2 and "no engine" in said and "Look up the owner of the compose directory" not in said, "dump and image are given, so the VM is not needed"


def test_a_dump_of_a_platform_that_uses_rds_is_refused(lab):
    lab.set(database="tower.abc.eu-west-1.rds.amazonaws.com:3306/tower")
    code, said = lab.play(["rotate_crypto.yml"], **v(backup="mysqldump", backups=[]))
    assert code == 2 and lab.did() == [] and "is at tower.abc.eu-west-1.rds.amazonaws.com" in " ".join(said.split()), said


@pytest.mark.parametrize("extra", ["seqera_crypto_rotation_backup=mysqldump", '{"seqera_crypto_rotation_backups": ["x"]}'])
def test_a_restore_ties_no_backup_that_an_extra_variable_names_to_the_key_in_use(lab, extra):
    lab.set(restored_in="idle", escrow=[{"held": True, "backups": ["dump-1"], "fingerprint": "cccc"}])
    code, said = lab.play(["restore_crypto.yml"], "-e", "seqera_crypto_restore_backup=dump-1", "-e", extra)
    assert code == 2 and lab.did() == [] and "A restore makes and names no backup" in said, said


def test_an_abort_refuses_a_window_without_quotes_before_it_does_anything(lab):
    lab.set(phase="prepared", up=["db"])
    (lab.tmp / "vars.yml").write_text("seqera_crypto_rotation_not_after: 2099-12-01T05:00:00+01:00\n")
    code, said = lab.play(["abort_crypto.yml"], "-e", f"@{lab.tmp}/vars.yml")
    assert code == 2 and lab.did() == [] and "in quotes" in said, said


def test_a_misspelt_variable_is_in_the_table(lab):
    lab.play(["crypto_status.yml"], **reports(lab), **v(max_age_dayz=90))
    assert table(lab)["vm"]["verdict"] == "unknown" and "has no variable seqera_crypto_rotation_max_age_dayz" in table(lab)["vm"]["error"], table(lab)["vm"]


def test_a_look_at_some_hosts_leaves_the_metrics_of_all_and_node_exporter_can_read_them(lab):
    path, other = lab.second("two")
    both = {"hosts": {"vm": {}, "b": other}} | reports(lab)
    lab.play(["crypto_status.yml"], **both)
    metrics = lab.tmp / "reports" / "status.prom"
    assert 'host="b"' in metrics.read_text() and (metrics.parent.stat().st_mode & 0o777, metrics.stat().st_mode & 0o777) == (0o755, 0o644)
    before = metrics.read_text()
    code, said = lab.play(["crypto_status.yml"], "--limit", "vm", **both)
    assert code == 0 and metrics.read_text() == before and list(table(lab)) == ["vm"], said


def test_a_report_directory_in_the_home_directory(lab):
    code, said = lab.play(["crypto_status.yml"], **v(report_dir="~/reports"))
    assert code == 0 and not (lab.tmp / "~").exists(), "the report is in a directory that is called ~"


@pytest.mark.long
def test_a_table_shows_no_state_of_an_earlier_table_of_the_run(lab):
    path, other = lab.second("two")
    own = {"hosts": "seqera_platforms", "gather_facts": False, "tasks": [{"name": "upgrade", "fail": {"msg": "no"}, "when": "inventory_hostname == 'b'"}]}
    code, said = lab.play(["crypto_status.yml", own, "crypto_status.yml"], hosts={"vm": {}, "b": other}, **reports(lab))
    assert table(lab)["b"]["verdict"] == "unknown", "b was not looked at the second time"


def test_an_abort_writes_the_report_of_a_rotation_and_ends_with_the_first_failure(lab):
    _, second = lab.second("two", phase="prepared", fails={"platform,records": {"msg": "SELECT command denied"}})
    path, third = lab.second("three", phase="prepared")
    lab.set(phase="prepared")
    code, said = lab.play(["abort_crypto.yml"], "--check", **reports(lab))
    assert code == 0 and lab.did() == [] and "1 would be aborted" in said, said
    assert [(one["outcome"], one["steps"][-1]) for one in outcomes(lab).values()] == [
        ("foreseen", "abort: delete_switch, delete_previous_key, record_aborted, docker compose up")
    ]
    (lab.tmp / "reports").rename(lab.tmp / "dry")
    code, said = lab.play(["abort_crypto.yml"], hosts={"vm": {}, "b": second, "c": third}, **reports(lab))
    told = outcomes(lab)
    assert code == 2 and "Run of an abort" in said and "3 hosts, 1 REFUSED, 1 not begun, 1 aborted" in said and "now aborted" in said, said
    assert {name: (one["outcome"], one["phase"]) for name, one in told.items()} == {"vm": ("done", "aborted"), "b": ("refused", ""), "c": ("not_begun", "")}
    assert told["vm"]["proof"] and told["vm"]["steps"] and told["vm"]["outage_seconds"]["first"] > 0 and "denied" in told["b"]["reason"]
    assert told["vm"]["records"] == 20 and told["vm"]["steps"][-1].startswith("verify"), told["vm"]
    assert "Not begun: b failed." in told["c"]["reason"] and told["c"]["steps"] == [] and "aborted" not in of(path)["phase"]
    (lab.tmp / "reports").rename(lab.tmp / "first")
    code, said = lab.play(["abort_crypto.yml"], **reports(lab))
    assert code == 0 and "1 with nothing to abort" in said and "Nothing was done." in said, said


def test_the_end_of_the_window_leaves_no_platform_down_that_an_earlier_run_took_down(lab):
    lab.set(phase="prepared", up=[])
    code, said = lab.play(["rotate_crypto.yml"], **v(not_after="2020-01-01T00:00:00+00:00"))
    assert code == 0 and lab.world["up"] == UP and "second outage put off" in said, said
