"""The playbook on a stand-in Platform: what a user sees, and what must never happen, whatever goes wrong."""

import hashlib
import json
import subprocess

import pytest
from conftest import ROOT


def same_but_the_key(before, after, old, new):
    return after == before.replace(old, new)


def module(platform, name, **options):
    """Calls a module as Ansible does."""
    path = platform.tmp / "args.json"
    path.write_text(json.dumps({"_ansible_module_name": name} | options))
    done = subprocess.run([ROOT / "library" / name, path], env=platform.environ, capture_output=True, text=True, check=False)
    platform.seen.append(done.stdout + done.stderr)
    return json.loads(done.stdout)


def rotating(platform, **more):
    return module(
        platform, "seqera_crypto_rotation", state="rotating", app_name=platform.env["SANDBOX_APP_NAME"], rotation_id="r1",
        compose_project=platform.env["SANDBOX_PROJECT"], health_url=platform.env["SANDBOX_HEALTH_URL"], poll_interval=1, **more,
    )  # fmt: skip


def on_the_control_node(platform, state, **more):
    return module(
        platform, "seqera_crypto_rotation", state=state, app_name=platform.env["SANDBOX_APP_NAME"], omnibus_parameter=platform.env["SANDBOX_OMNIBUS"],
        rotation_id="r1", **({"backups": ["b"]} if state == "prepared" else {}), **more,
    )  # fmt: skip


@pytest.mark.sandbox("--records", "15", "--deleted", "3")
def test_the_whole_story_and_not_a_key_in_it(platform):
    platform.forks = True  # as users run it
    omnibus, current = platform.env["SANDBOX_OMNIBUS"], f"{platform.env['SANDBOX_CONFIG_PREFIX']}/tower/crypto/secretKey"
    before, started, records = platform.parameters(), platform.started(), platform.check()
    assert records["current"] == records["total"] > 15

    dry = platform.run("--check", "--diff", "-vvvv")
    assert dry.code == 0, dry.output
    assert platform.parameters() == before, "check mode wrote a parameter"
    assert platform.started() == started, "check mode restarted a container"
    assert platform.check() == records, "check mode changed a record"
    for word in ("put_omnibus", "docker compose down", "start: cron, last", f"each of {records['total']} records"):
        assert word in dry.output

    platform.store_events()
    platform.report_dir = "reports"
    address = platform.docker("inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", f"{platform.env['SANDBOX_PROJECT']}-db-1").strip()
    [backend] = json.loads(platform.docker("inspect", f"{platform.env['SANDBOX_PROJECT']}-backend-1"))
    password = dict(pair.split("=", 1) for pair in backend["Config"]["Env"])["TOWER_DB_PASSWORD"]
    assert password in platform.passwords() and len(platform.passwords()) > 3
    login = {"host": address, "name": "tower", "user": "tower", "password": password}
    seen = platform.run("--check", "-vvvv", seqera_crypto_rotation_database=login)
    assert seen.code == 0 and '"runner_on_ok"' in platform.events.read_text(), seen.output

    real = platform.run("--diff", "-vvvv", seqera_crypto_rotation_approved_by="CHG-2041")
    assert real.code == 0, real.output
    digest = hashlib.sha256((ROOT / "library" / "seqera_crypto_rotation").read_bytes()).hexdigest()
    assert (real.host["approved_by"], real.host["tool"]["sha256"]) == ("CHG-2041", digest)
    [entry] = [json.loads(value)["body"] for name, (value, _) in platform.parameters().items() if "/ledger/" in name]
    assert entry["approved_by"] == "CHG-2041" and entry["tool"] == f"{real.host['tool']['version']} {digest[:16]}"
    after = platform.parameters()
    old, new = before[current][0], after[current][0]
    assert old != new and len(new) == 40
    slow = hashlib.pbkdf2_hmac("sha256", new.encode(), f"seqera-crypto-rotation/fingerprint/v1/{platform.env['SANDBOX_APP_NAME']}".encode(), 200_000)
    assert entry["current"] == slow[:8].hex(), "the number of rounds makes it expensive to guess a key"
    assert same_but_the_key(before[omnibus][0], after[omnibus][0], old, new), "the omnibus must be the same byte for byte, except for the key"
    assert [n for n in after if "secret-rotation" in n] == [], "parameters of the rotation are left"
    untouched = {n: v for n, v in before.items() if n not in (omnibus, current)}
    assert {n: after[n] for n in untouched} == untouched, "a parameter that the rotation must not touch has changed"
    escrow = [v for n, (v, _) in after.items() if "/escrow/" in n]
    assert sorted(key for key in (old, new) for text in escrow if key in text) == sorted([old, new])
    assert any(old in text and "backup-of-the-test" in text for text in escrow)
    counted = platform.check()
    assert counted["current"] == counted["total"] == records["total"]
    assert counted["versions"] == records["versions"] + records["total"], "each record must be rewritten once"
    assert f"records proved under the new key: {records['total']}" in real.output

    started = platform.started()
    again = platform.run("-vvvv")
    assert again.code == 0, again.output
    assert again.recap["changed"] == 0
    assert platform.started() == started, "the second run caused an outage"
    assert platform.parameters() == after

    assert len(platform.keys | {old, new}) == 2
    platform.keys |= {old, new}
    assert platform.leaks() == [] and platform.told_passwords() == []
    assert len(platform.passwords()) > 3, platform.passwords()
    platform.seen.append(f"planted {old}")
    assert platform.leaks() == [f"text {len(platform.seen) - 1}"], "the search must find a key that was planted"
    platform.seen.pop()
    platform.outputs.append(f"planted {password}")
    assert [one.split(":")[0] for one in platform.told_passwords()] == [f"output {len(platform.outputs) - 1}"]
    (platform.tmp / "planted").write_text(new)
    assert platform.leaks() == [str(platform.tmp / "planted")]


@pytest.mark.sandbox("--records", "10", "--damaged", "2")
def test_a_record_that_does_not_open_and_wrong_variables_stop_it_before_the_outage(platform):
    before, started = platform.parameters(), platform.started()
    run = platform.run()
    assert run.code != 0
    assert "do not open with the" in run.output and "Stopped before the outage" in run.output
    assert platform.parameters() == before and platform.started() == started
    dry = platform.run("--check")
    assert dry.code != 0, "the dry run must also refuse"
    for variables, words in (
        ({"seqera_crypto_rotation_backups": []}, "backups"),
        ({"seqera_crypto_rotation_rotation_id": ""}, "No option says when to rotate"),
        ({"seqera_crypto_rotation_services": {"migrate": ["migrate"], "backends": ["no-such"], "cron": ["cron"]}}, "does not name its service backend"),
        ({"seqera_crypto_rotation_services": {"migrate": ["no-such"], "backends": ["backend"], "cron": ["cron"]}}, "has no service no-such"),
        ({"seqera_crypto_rotation_compose_dir": "/no/such/dir"}, "/no/such/dir"),
        ({"seqera_crypto_rotation_second_outage": "never"}, "now"),
        ({"seqera_crypto_rotation_restart_scop": "key_holders"}, "perhaps seqera_crypto_rotation_restart_scope"),
    ):
        run = platform.run(**variables)
        assert run.code != 0 and words in " ".join(run.output.split()), run.output
        assert platform.parameters() == before and platform.started() == started
    assert platform.leaks() == []


@pytest.mark.sandbox("--records", "45", "--set", "SANDBOX_CRON_CRASH_AFTER=55", "--set", "SANDBOX_CRON_RECORD_DELAY=20ms")
def test_cron_that_falls_over_is_told_at_once_and_the_next_run_finishes(platform):
    run = platform.run(seqera_crypto_rotation_wait_timeout=3600)  # the failure must come much earlier
    assert run.code != 0
    last = " ".join(run.output.split()).split("The rotation stopped at the step")[-1]
    assert "cron_failed" in last and "and the previous key" in last and "run the same playbook" in last, last
    halfway = platform.check()
    assert 0 < halfway["previous"] < halfway["total"]
    platform.sandbox("set", platform.name, "SANDBOX_CRON_CRASH_AFTER=")
    run = platform.run()
    assert run.code == 0, run.output
    assert platform.check()["current"] == halfway["total"]
    assert platform.leaks() == []


@pytest.mark.sandbox("--records", "10")
def test_each_fault_on_the_vm_is_one_clear_message(platform):
    current = f"{platform.env['SANDBOX_CONFIG_PREFIX']}/tower/crypto/secretKey"
    project = platform.env["SANDBOX_PROJECT"]
    before, started = platform.parameters(), platform.started()

    def refused(code, answer):
        assert answer["failed"] and answer["error_code"] == code, answer["msg"]
        assert platform.parameters() == before

    refused("not_prepared", rotating(platform))
    # compose_project, since other sandboxes may run on the same Engine
    info = {"app_name": platform.env["SANDBOX_APP_NAME"], "gather": ["records"], "health_url": platform.env["SANDBOX_HEALTH_URL"], "compose_project": project}
    refused("docker_unavailable", module(platform, "seqera_crypto_rotation_info", docker_host="unix:///no/such.sock", **info))
    refused("platform_not_found", module(platform, "seqera_crypto_rotation_info", **info | {"compose_project": "nobody"}))
    where = {"host": "127.0.0.1", "port": 1, "user": "u", "password": "p"}
    refused("database_unavailable", module(platform, "seqera_crypto_rotation_info", database=where, **info))
    address = platform.docker("inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", f"{project}-db-1").strip()
    where = {"host": address, "user": "tower", "password": "wrong"}
    refused("database_login_refused", module(platform, "seqera_crypto_rotation_info", database=where, **info))

    image, other = platform.docker("inspect", "--format", "{{.Config.Image}}", f"{project}-backend-1").strip(), f"{project}-two"
    for service in ("backend", "cron"):  # never started: the module recognizes a Platform by the labels
        labels = {"com.docker.compose.project": other, "com.docker.compose.service": service}
        platform.docker("create", f"--name={other}-{service}", *[f"--label={name}={value}" for name, value in labels.items()], image)
    try:
        refused("platform_ambiguous", module(platform, "seqera_crypto_rotation_info", **{name: value for name, value in info.items() if name != "compose_project"}))
    finally:
        platform.docker("rm", *[f"{other}-{service}" for service in ("backend", "cron")])

    whole = module(platform, "seqera_crypto_rotation_info", **info)
    assert whole["records"]["current"] == whole["records"]["total"] and not whole["changed"], whole
    assert whole["phase"] == "idle"

    key = platform.value(current)
    platform.put(current, "x" * 40)
    run = platform.run()
    assert run.code != 0 and "key_mismatch" in run.output
    platform.put(current, key)
    platform.compose("stop", "db")
    run = platform.run()
    assert run.code != 0 and "Service db is in the compose files but is not running" in " ".join(run.output.split()), run.output
    platform.compose("start", "db")
    assert [line.split()[0] for line in platform.started()] == [line.split()[0] for line in started]


@pytest.mark.sandbox("--records", "20", "--set", "SANDBOX_CRON_RECORD_DELAY=100ms")
def test_the_order_of_start_is_proved_and_nothing_is_finalized_without_a_proof(platform):
    answer = on_the_control_node(platform, "prepared")
    assert not answer.get("failed"), answer["msg"]
    answer = rotating(platform, wait=False)
    assert answer["error_code"] == "platform_order" and "old key" in answer["msg"], "the backends started before the parameters changed"
    platform.compose("down")
    platform.compose("up", "--detach", "--wait")
    platform.wait_ready()
    answer = rotating(platform, wait=False)
    assert answer["error_code"] == "platform_order" and "cron" in answer["msg"], "a plain up starts cron first"
    before = platform.parameters()
    answer = on_the_control_node(platform, "finalized")
    assert answer["error_code"] == "proof_missing"
    platform.compose("restart", "cron")
    answer = rotating(platform, wait=True, wait_timeout=60)
    assert not answer.get("failed") and not answer["changed"], answer["msg"]
    assert answer["phase"] == "rotated" and answer["progress"]["percent"] == 100
    proof = answer["proof"]
    for name, wrong in {"total": 1, "app_name": "other", "rotation_id": "r0", "mac": "00" * 32, "made_at": "2020-01-01T00:00:00Z"}.items():
        refused = on_the_control_node(platform, "finalized", proof=proof | {name: wrong})
        assert refused["error_code"] in ("proof_mismatch", "proof_incomplete"), refused["msg"]
    assert platform.parameters() == before
    done = on_the_control_node(platform, "finalized", proof=proof)
    assert done["changed"] and done["phase"] == "finalized", done["msg"]
    again = on_the_control_node(platform, "finalized", proof=proof)
    assert not again["changed"] and again["phase"] == "finalized"
    assert platform.leaks() == []
