"""Check mode shows exactly the steps of the next run. Also: what check mode needs, and what it leaves."""

import re

import pytest

TERRAFORM = """---
- name: What the installer's terraform does, read the omnibus and make one parameter per entry
  vars:
    entries: "{{ lookup('amazon.aws.ssm_parameter', seqera_crypto_rotation_omnibus_parameter) | from_json }}"
  community.aws.ssm_parameter:
    name: "{{ item.value.ssm_key }}"
    string_type: SecureString
    overwrite_value: always
    value: "{{ item.value.value }}"
  loop: "{{ entries | dict2items | selectattr('key', 'match', 'TOWER_CRYPTO') }}"
  loop_control:
    label: "{{ item.key }}"
  no_log: true
  delegate_to: localhost
  delegate_facts: true
"""


def foretold_and_done(platform, **variables):
    """Makes a dry run and then a run. Their steps must be the same."""
    platform.report_dir = "reports"
    before, started = platform.parameters(), platform.started()
    dry = platform.run("--check", "--diff", **variables)
    assert dry.code == 0, dry.output
    assert platform.parameters() == before and platform.started() == started, "a dry run touched something"
    real = platform.run(**variables)
    assert real.code == 0, real.output
    assert dry.host["outcome"] == "foreseen" and dry.report["run"]["check_mode"]
    # If the rotation has no name, the module makes a name from the time.
    named = [re.sub(r"\d{8}T\d{6}Z-\w{4}", "<made>", step) for run in (dry, real) for step in run.host["steps"]]
    assert named[: len(named) // 2] == named[len(named) // 2 :]
    shown = " ".join(dry.output.split())
    assert [line for line in dry.host["steps"] if line not in shown] == [], "the dry run must print every step"
    return dry, real


@pytest.mark.sandbox("--records", "10", "--orphaned", "2")
def test_the_steps_of_the_dry_run_are_the_steps_of_the_run(platform):
    dry, real = foretold_and_done(platform)
    actions = [step.partition(": ")[0] for step in real.host["steps"]]
    assert list(dict.fromkeys(actions)) == ["capture", "outage", "prepare", "start", "watch", "second outage", "finalize", "restart", "verify"]
    assert any(step.startswith("prepare: put_omnibus") for step in real.host["steps"])
    assert any(step.startswith("finalize: delete_previous_key") for step in real.host["steps"])
    assert dry.host["expected"]["outage_seconds"] is None, "nothing was measured yet"
    assert real.host["outcome"] == "done" and real.host["records"] == platform.check()["total"]
    names = [span["name"] for span in real.host["timeline"]]
    assert names == ["outage 1", "prepare", "backends ready", "re-encryption", "outage 2", "restart"]
    assert all(real.report["run"]["begun"] <= span["begin"] <= span["end"] <= real.report["run"]["ended"] for span in real.host["timeline"])

    # Due at any age, with a chunk size; the key of the last rotation is already in escrow, and only key holders restart.
    dry, real = foretold_and_done(
        platform, seqera_crypto_rotation_rotation_id="", seqera_crypto_rotation_max_age_days=0, seqera_crypto_rotation_chunk_size=7, seqera_crypto_rotation_allow_advanced_tier=True,
        seqera_crypto_rotation_restart_scope="key_holders",
    )  # fmt: skip
    assert real.host["steps"][-2:] == ["restart: backend, cron", "verify: no trace left, every record opens with the key in use"]
    assert "second outage: docker compose down" not in real.host["steps"]
    assert dry.host["expected"]["outage_seconds"] > 0 and dry.host["expected"]["reencryption_seconds"] > 0, "the first run must measure them"
    counted = platform.check()
    assert counted["current"] + counted["orphaned_current"] == counted["total"]
    again = platform.run("--check")
    assert again.code == 0 and not again.report and again.recap["changed"] == 0, "nothing is due, so there is no report"
    assert platform.leaks() == []


@pytest.mark.long
@pytest.mark.sandbox("--records", "20", "--set", "SANDBOX_CRON_RECORD_DELAY=30ms")
def test_so_are_those_of_a_run_that_goes_on_after_another(platform):
    for until in ("Save the rotation's name", "Run migrate to completion", "Prove the start order"):  # just prepared; starting; just started
        platform.killed(until)
        dry = platform.run("--check", seqera_crypto_rotation_second_outage="later")
        assert dry.code == 0, dry.output
    dry, real = foretold_and_done(platform, seqera_crypto_rotation_second_outage="later")
    assert real.host["outcome"] == "waiting" and real.host["phase"] == "rotated"
    started, before = platform.started(), platform.parameters()
    again = platform.run(seqera_crypto_rotation_second_outage="later")
    assert again.code == 0 and again.host["outcome"] == "waiting" and platform.started() == started and platform.parameters() == before
    late = platform.run(seqera_crypto_rotation_not_after="2026-01-01T05:00:00+01:00")
    assert late.code != 0 and late.host["outcome"] == "not_begun" and "the window is over" in late.host["reason"]
    assert platform.started() == started and platform.parameters() == before
    dry, real = foretold_and_done(platform)
    assert real.host["outcome"] == "done" and real.host["phase"] == "finalized"
    counted = platform.check()
    assert counted["current"] == counted["total"]
    locks = [value for name, (value, _) in platform.parameters().items() if "/lock/" in name]
    assert locks and all("released_at" in lock for lock in locks), "a lock was not released"
    assert platform.leaks() == []


@pytest.mark.long
@pytest.mark.sandbox("--records", "10")
def test_and_those_with_terraform_and_with_a_dump(platform):
    current = f"{platform.env['SANDBOX_CONFIG_PREFIX']}/tower/crypto/secretKey"
    before, started = platform.parameters(), platform.started()
    run = platform.run(seqera_crypto_rotation_standalone="delete")
    assert run.code != 0 and "after_prepare_tasks" in run.output, run.output
    assert platform.parameters() == before and platform.started() == started, "the run must find this out before the outage"

    tasks = platform.tmp / "terraform.yml"
    tasks.write_text(TERRAFORM)
    terraform = {"seqera_crypto_rotation_standalone": "delete", "seqera_crypto_rotation_after_prepare_tasks": str(tasks)}
    dump = {"seqera_crypto_rotation_backup": "mysqldump", "seqera_crypto_rotation_backups": []}
    dry, real = foretold_and_done(platform, **terraform, **dump)
    assert real.host["steps"][0] == "backup: mysqldump"
    first = platform.parameters()
    assert first[current][0] != before[current][0]

    tasks.write_text("---\n- name: Terraform that does nothing\n  ansible.builtin.meta: noop\n")
    run = platform.run(seqera_crypto_rotation_rotation_id="r2", **terraform)
    assert run.code != 0 and "do not agree with the omnibus" in " ".join(run.output.split()), run.output
    assert current not in platform.parameters(), "the page's step 2.2: the standalone key is deleted"
    tasks.write_text(TERRAFORM)
    run = platform.run(seqera_crypto_rotation_rotation_id="r2", **terraform)
    assert run.code == 0, run.output
    after = platform.parameters()
    assert after[current][0] != first[current][0]
    assert [name for name in after if "secret-rotation" in name] == []
    counted = platform.check()
    assert counted["current"] == counted["total"]
    assert platform.leaks() == []
