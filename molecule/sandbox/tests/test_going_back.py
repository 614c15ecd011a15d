"""Ways back to an old key: an abort, a rotation back, and a restored database."""

import pytest
from test_playbook import module, same_but_the_key
from test_proof import rewritten


def current(platform):
    return platform.value(f"{platform.env['SANDBOX_CONFIG_PREFIX']}/tower/crypto/secretKey")


def custody(platform, gather):
    return module(
        platform, "seqera_crypto_rotation_info", app_name=platform.env["SANDBOX_APP_NAME"], omnibus_parameter=platform.env["SANDBOX_OMNIBUS"], gather=gather
    )  # fmt: skip


@pytest.mark.sandbox("--records", "40", "--orphaned", "2", "--set", "SANDBOX_CRON_RECORD_DELAY=200ms")
def test_a_rotation_is_aborted_at_once_or_by_re_encrypting_back(platform):
    omnibus = platform.env["SANDBOX_OMNIBUS"]
    before, old = platform.parameters(), current(platform)
    nothing = platform.run(playbook="abort-crypto.yml")
    assert nothing.code == 0 and "Nothing was done" in nothing.output and nothing.recap["changed"] == 0
    platform.killed("TASK [seqera_crypto_rotation : Run migrate")
    assert current(platform) != old, "the rotation was prepared"
    platform.remember_keys()

    dry = platform.run("--check", playbook="abort-crypto.yml")
    assert dry.code == 0 and "would be aborted" in dry.output, dry.output
    aborted = platform.run(playbook="abort-crypto.yml")
    assert aborted.code == 0, aborted.output
    after = platform.parameters()
    assert after[omnibus][0] == before[omnibus][0] and current(platform) == old
    assert [name for name in after if "secret-rotation" in name] == []
    assert platform.ledger()["stage"] == "aborted"
    counted = platform.check()
    assert counted["current"] + counted["orphaned_current"] == counted["total"]
    again = platform.run(playbook="abort-crypto.yml")
    assert again.code == 0 and again.recap["changed"] == 0

    platform.killed("Steps 3.2 and 3.3", also=lambda: rewritten(platform) > 0, seqera_crypto_rotation_rotation_id="r2")
    platform.remember_keys()
    records = platform.check()["total"]
    # Killed on its way back, with some records under each key: the second run continues with the baseline of the first.
    platform.killed("TASK [seqera_crypto_rotation : Prove the start order", playbook="abort-crypto.yml")
    assert platform.ledger("r2")["baseline"]["path"]
    platform.sandbox("set", platform.name, "SANDBOX_CRON_RECORD_DELAY=")
    # Show every task's full result, as AWX records it.
    platform.environ["ANSIBLE_STDOUT_CALLBACK"] = "ansible.posix.json"
    back = platform.run("--diff", playbook="abort-crypto.yml")
    assert back.code == 0 and '"ansible_facts"' in back.output, back.output
    after = platform.parameters()
    assert after[omnibus][0] == before[omnibus][0] and current(platform) == old
    assert [name for name in after if "secret-rotation" in name] == []
    entry = platform.ledger("r2")
    assert entry["stage"] == "aborted" and entry["reversed_at"] and entry["proof"]["before"]["digest"] == entry["baseline"]["digest"]
    counted = platform.check()
    assert counted["current"] + counted["orphaned_current"] == counted["total"] == records
    again = platform.run(playbook="abort-crypto.yml")
    assert again.code == 0 and '"changed": 0' in again.output
    assert platform.leaks() == [] and platform.told_passwords() == []


@pytest.mark.long
@pytest.mark.sandbox("--records", "10")
def test_it_is_rotated_back_to_a_key_of_escrow_and_a_restored_database_finds_its_key(platform):
    omnibus, first = platform.env["SANDBOX_OMNIBUS"], current(platform)
    before = platform.parameters()
    saved = dump(platform)
    assert platform.run(seqera_crypto_rotation_backups=["dump-1"]).code == 0
    second = current(platform)
    platform.remember_keys()
    listed = custody(platform, ["escrow", "ledger"])
    keys = {one["fingerprint"]: one for one in listed["escrow"]}
    [old] = [one for one in keys.values() if one["backups"] == ["dump-1"]]
    assert len(keys) == 2 and not old["in_use"] and old["held"] and [one["stage"] for one in listed["ledger"]] == ["finished"]

    back = platform.run(
        seqera_crypto_rotation_rotation_id="r2", seqera_crypto_rotation_new_secret_from_escrow=old["fingerprint"], seqera_crypto_rotation_backups=["dump-2"]
    )
    assert back.code == 0, back.output
    assert current(platform) == first and same_but_the_key(before[omnibus][0], platform.value(omnibus), first, first)
    counted = platform.check()
    assert counted["current"] == counted["total"]

    forth = platform.run(seqera_crypto_rotation_rotation_id="r3", seqera_crypto_rotation_backups=["dump-3"])
    assert forth.code == 0, forth.output
    platform.remember_keys()
    platform.compose("stop", "frontend", "backend", "cron")
    restore(platform, saved)
    platform.compose("start", "backend", "cron", "frontend")  # the frontend looks up the backend's address when it starts
    platform.wait_ready()
    unknown = platform.run(playbook="restore-crypto.yml", seqera_crypto_restore_backup="dump-9", seqera_crypto_rotation_rotation_id="r4")
    assert unknown.code != 0 and "Known backups" in unknown.output
    restored = platform.run(playbook="restore-crypto.yml", seqera_crypto_restore_backup="dump-1", seqera_crypto_rotation_rotation_id="r4")
    assert restored.code == 0, restored.output
    assert current(platform) == first != second
    counted = platform.check()
    assert counted["current"] == counted["total"]
    assert platform.leaks() == []


def dump(platform):
    program = platform.env["SANDBOX_DB_DUMP"]
    # A dump with GTIDs cannot be restored into the MySQL server that made it.
    options = ["--single-transaction", "--hex-blob", *(["--set-gtid-purged=OFF"] if program.split()[0].endswith("mysqldump") else [])]
    return platform.docker("exec", f"{platform.env['SANDBOX_PROJECT']}-db-1", program, *options, "tower")


def restore(platform, saved):
    path = platform.tmp / "dump.sql"
    path.write_text(saved)
    container = f"{platform.env['SANDBOX_PROJECT']}-db-1"
    platform.docker("cp", str(path), f"{container}:/tmp/dump.sql")
    platform.docker("exec", container, "sh", "-c", f"{platform.env['SANDBOX_DB_CLIENT']} tower < /tmp/dump.sql")
