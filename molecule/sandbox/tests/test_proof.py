"""The proof of a rotation: its numbers add up, whatever happens to the records and to the scan meanwhile."""

import base64
import glob
import hashlib
import json
import os
import pathlib
import re
import signal
import subprocess
import time
import urllib.request

import pytest
from test_playbook import module, on_the_control_node, rotating


def until(true, seconds=120):
    """Waits until true() returns a true value."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not true after {seconds} s"
        time.sleep(0.1)


def rewritten(platform):
    """How many records cron has rewritten."""
    return int(platform.sql("SELECT COUNT(*) FROM tw_secret WHERE version > 0")[0][0])


def count(platform):
    return int(platform.sql("SELECT COUNT(*) FROM tw_secret")[0][0])


def unreadable(platform):
    info = module(
        platform, "seqera_crypto_rotation_info", app_name=platform.env["SANDBOX_APP_NAME"], gather=["records"], baseline_dir="",
        compose_project=platform.env["SANDBOX_PROJECT"], health_url=platform.env["SANDBOX_HEALTH_URL"],
    )  # fmt: skip
    return info["records"]["unreadable_ids"]


def create(platform, number):
    body = json.dumps({"user_id": 7, "name": f"made in the middle {number}", "keys": {"number": number}}).encode()
    url = platform.env["SANDBOX_HEALTH_URL"].replace("/api/service-info", "/credentials")
    with urllib.request.urlopen(urllib.request.Request(url, body, {"Content-Type": "application/json"}), timeout=20) as answer:
        assert answer.status == 201


def delete(platform, credential, user, salt):
    path = f"/user/{user}/creds/{credential}".encode()
    secret = base64.b64encode(hashlib.pbkdf2_hmac("sha1", path, bytes.fromhex(salt), 65536, 16)).decode()
    assert platform.sql(f"SELECT COUNT(*) FROM tw_secret WHERE id = '{secret}'") == [["1"]]
    platform.sql(f"DELETE FROM tw_secret WHERE id = '{secret}'; DELETE FROM tw_credentials WHERE id = '{credential}'")


@pytest.mark.long
@pytest.mark.sandbox("--records", "2000", "--damaged", "7", "--orphaned", "5")
def test_two_thousand_records_some_lost_some_new_some_gone_add_up(platform):
    first = platform.run()
    assert first.code != 0 and "Stopped before the outage" in first.output, "lost records are skipped by name only"
    [ids] = re.findall(r"7 of \d+ records do not open with the current key \w+: (.*?)\. Stopped", " ".join(first.output.split()))[:1]
    lost = ids.split(", ")
    assert len(lost) == 7
    before = count(platform)
    victims = platform.sql("SELECT id, user_id, HEX(salt) FROM tw_credentials WHERE deleted = 0 ORDER BY id LIMIT 2 OFFSET 900")

    process, log = platform.start(seqera_crypto_rotation_accept_unreadable=lost, seqera_crypto_rotation__progress_interval=3, seqera_crypto_rotation_wait_timeout=400)
    until(lambda: "With docker compose, start cron" in log.read_text() or process.poll() is not None, seconds=400)
    until(lambda: rewritten(platform) > 100 or process.poll() is not None)
    assert process.poll() is None, log.read_text()
    for number in range(3):
        create(platform, number)
    for victim in victims:
        delete(platform, *victim)
    assert process.wait(timeout=400) == 0, log.read_text()
    output = log.read_text()
    platform.seen.append(output)

    entry = platform.ledger()
    proof = entry["proof"]
    assert proof["before"] | {"taken_at": ""} == {"digest": entry["baseline"]["digest"], "taken_at": "", "total": before, "created": 3, "removed": 2}
    assert proof["total"] == before + 3 - 2 == count(platform)
    assert sorted(one["id"] for one in proof["exceptions"]) == sorted(lost)
    assert proof["rewritten"] == proof["orphaned"] >= 5
    assert proof["proved"] + proof["rewritten"] + 7 == proof["total"]
    kept = list(platform.kept.glob("*.baseline.gz"))
    assert entry["baseline"]["path"] in [str(path) for path in kept] and all(path.stat().st_mode & 0o777 == 0o600 for path in kept)
    shown = [line for line in output.splitlines() if "records are under the new key" in line]
    assert len(shown) > 3, "too few lines of progress"
    assert platform.leaks() == []


@pytest.mark.sandbox("--records", "10", "--orphaned", "1")
def test_with_one_record_left_it_is_never_complete(platform):
    total = platform.check()["total"]
    platform.sandbox("set", platform.name, f"SANDBOX_CRON_STOP_AFTER={total - 1}")
    run = platform.run(
        seqera_crypto_rotation_chunk_size=1,
        seqera_crypto_rotation_allow_advanced_tier=True,
        seqera_crypto_rotation_wait_timeout=15,
        seqera_crypto_rotation_stall_timeout=5,
        seqera_crypto_rotation__progress_interval=1,
    )
    assert run.code != 0
    words = " ".join(run.output.split())
    assert "wait_timeout" in words and "No record changed for" in words and "last lines" in words, words
    answer = rotating(platform, wait=False)
    assert "proof" not in answer and answer["progress"]["percent"] < 100
    refused = on_the_control_node(platform, "finalized")
    assert refused["error_code"] == "proof_missing"
    counted = platform.check()
    assert counted["current"] + counted["orphaned_current"] == total - 1
    platform.sandbox("set", platform.name, "SANDBOX_CRON_STOP_AFTER=")
    platform.compose("up", "--detach", "--no-deps", "--force-recreate", "cron")
    run = platform.run(seqera_crypto_rotation_chunk_size=1, seqera_crypto_rotation_allow_advanced_tier=True)
    assert run.code == 0, run.output
    assert platform.leaks() == []


def kill_module(platform):
    """Kills the module that waits for this Platform's records, as a machine without memory would."""
    killed = []
    for path in glob.glob("/proc/[0-9]*/exe"):
        try:
            ours = platform.env["AWS_ENDPOINT_URL"].encode() in pathlib.Path(path.replace("exe", "environ")).read_bytes()
            if ours and "seqera_crypto_rotation" in os.readlink(path):
                os.kill(int(path.split("/")[2]), signal.SIGKILL)
                killed.append(path)
        except OSError:
            continue  # it ended by itself
    return killed


@pytest.mark.long
@pytest.mark.sandbox("--records", "150", "--damaged", "3", "--orphaned", "4", "--set", "SANDBOX_CRON_RECORD_DELAY=300ms")
def test_the_scan_the_database_and_cron_may_die_in_the_middle(platform):
    lost = unreadable(platform)
    before = platform.check()["total"]
    more = {"seqera_crypto_rotation_accept_unreadable": lost}

    process, log = platform.start(**more)
    until(lambda: "Steps 3.2 and 3.3" in log.read_text() or process.poll() is not None)
    until(lambda: rewritten(platform) >= 10 or process.poll() is not None)
    until(lambda: kill_module(platform), 20)
    assert process.wait(timeout=100) != 0
    platform.seen.append(log.read_text())
    words = " ".join(log.read_text().split())
    assert "it was killed" in words and "run the same playbook" in words, words

    process, log = platform.start(**more)
    until(lambda: "records are under the new key" in log.read_text() or process.poll() is not None)
    platform.compose("restart", "--timeout", "1", "db")
    until(lambda: rewritten_or_none(platform) >= 0)
    assert process.poll() is None, log.read_text()
    platform.docker("kill", f"{platform.env['SANDBOX_PROJECT']}-cron-1")
    assert process.wait(timeout=130) != 0, "the run must fail when cron has died"
    platform.seen.append(log.read_text())
    words = " ".join(log.read_text().split())
    assert "cron_failed" in words or "platform_not_ready" in words, words

    platform.sandbox("set", platform.name, "SANDBOX_CRON_RECORD_DELAY=")
    run = platform.run(**more)
    assert run.code == 0, run.output
    entry = platform.ledger()
    proof = entry["proof"]
    assert proof["before"]["digest"] == entry["baseline"]["digest"]
    assert (proof["before"]["created"], proof["before"]["removed"], proof["total"]) == (0, 0, before)
    assert proof["proved"] == before - proof["rewritten"] - 3 and proof["rewritten"] >= 4
    assert sorted(one["id"] for one in proof["exceptions"]) == sorted(lost)
    assert platform.leaks() == []


def rewritten_or_none(platform):
    try:
        return rewritten(platform)
    except subprocess.CalledProcessError:
        return -1  # the database is restarting
