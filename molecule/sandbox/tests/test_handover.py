"""A handover: the next backend is ready before the old one stops. Tests what users see, and the state after an interruption at any step."""

import fcntl
import json
import os
import pathlib
import signal
import tempfile
import threading
import time
import urllib.request

import pytest
from test_proof import until

HANDOVER = {"seqera_crypto_rotation_restart_scope": "handover"}


@pytest.fixture(autouse=True)
def alone():
    """Runs these tests one at a time: on an Engine, only one Platform can have a container with the service's name."""
    with (pathlib.Path(tempfile.gettempdir()) / "seqera-sandbox-handover.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class Gaps:
    """Records each time during which the health URL did not answer."""

    def __init__(self, platform):
        self.platform, self.gaps, self.done = platform, [], threading.Event()
        self.thread = threading.Thread(target=self.watch)

    def watch(self):
        since = None
        while not self.done.wait(0.05):
            asked = time.monotonic()
            try:
                self.platform.wait_ready(0)
                self.gaps += [] if since is None else [time.monotonic() - since]
                since = None
            except AssertionError:
                since = since or asked

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()


def backends(platform):
    """(name, state, number) of each container of the service, in any state."""
    shown = '{{.Names}} {{.State}} {{.Label "com.docker.compose.container-number"}}'
    label = f"--filter=label=com.docker.compose.project={platform.env['SANDBOX_PROJECT']}"
    listed = platform.docker("ps", "--all", label, "--filter=label=com.docker.compose.service=backend", "--format", shown)
    return [tuple(line.split()) for line in listed.splitlines()]


def one_serves(platform):
    """Checks that there is one backend, that its name resolves to it on each network, that it reaches its database, and that compose would change nothing."""
    [(name, state, _)] = backends(platform)
    assert (name, state) == ("backend", "running")
    [said] = json.loads(platform.docker("inspect", name))
    addresses = {at["IPAddress"] for at in said["NetworkSettings"]["Networks"].values()}
    found = platform.docker("exec", f"{platform.env['SANDBOX_PROJECT']}-db-1", "getent", "ahosts", "backend")
    assert {line.split()[0] for line in found.splitlines()} <= addresses, found
    platform.wait_ready(5)
    credential = platform.sql("SELECT id FROM tw_credentials LIMIT 1")[0][0]
    with urllib.request.urlopen(f"{platform.env['SANDBOX_URL']}/credentials/{credential}/check", timeout=5) as answer:
        assert json.load(answer)["key"] == "current"
    before = platform.started()
    platform.compose("up", "--detach")
    kept = [line for line in platform.started() if "-migrate-" not in line]
    assert kept == [line for line in before if "-migrate-" not in line], "docker compose up -d would change containers"


@pytest.mark.sandbox("--records", "10", "--orphaned", "2", "--set", "SANDBOX_BACKEND_DELAY=10s")
def test_users_wait_for_no_start_of_a_backend(platform):
    records, before, platform.report_dir = platform.check(), platform.parameters(), "reports"
    dry = platform.run("--check", **HANDOVER)
    assert dry.code == 0 and platform.parameters() == before and len(backends(platform)) == 1, dry.output
    with Gaps(platform) as seen:
        real = platform.run(**HANDOVER)
    assert real.code == 0, real.output
    assert real.host["steps"] == dry.host["steps"], "the dry run must show the run's steps"
    print("the health URL did not answer for", [round(gap, 1) for gap in seen.gaps], "seconds")
    assert seen.gaps and max(seen.gaps) < 10, "the outage must not include the backend's start of 10 s"
    one_serves(platform)
    counted, entry = platform.check(), platform.ledger()
    assert counted["current"] + counted["orphaned_current"] == counted["total"] == records["total"]
    assert not entry["baseline"].get("provisional") and entry["baseline"]["taken_at"] > entry["prepared_at"], "the baseline must be taken after the backend stopped"
    started = platform.started()
    again = platform.run(**HANDOVER)
    assert again.code == 0 and again.recap["changed"] == 0 and platform.started() == started, again.output
    assert platform.leaks() == []


CUTS = [  # a task, and the number of earlier tasks of that name
    ("With docker, create the next backend", 0),
    ("With docker, start the next backend", 0),
    ("Check that the next backend runs", 0),
    ("Look on the VM at records", 0),
    ("With docker, switch to the next backend", 0),
    ("With docker compose, start cron", 0),
    ("With docker, start the next backend", 1),
    ("With docker, switch to the next backend", 1),
    ("Record when the outage ends", 1),
]


@pytest.mark.long
@pytest.mark.sandbox("--records", "10", "--orphaned", "2", "--set", "SANDBOX_BACKEND_DELAY=3s")
@pytest.mark.parametrize("later", [0, 0.8], ids=["at its begin", "within it"])
def test_wherever_it_is_cut_off_the_next_run_ends_with_one_backend(platform, later):
    for number, (task, earlier) in enumerate(CUTS):
        rotation = {"seqera_crypto_rotation_rotation_id": f"cut-{number}"} | HANDOVER
        process, log = platform.start(**rotation)
        until(lambda: log.read_text().count(f": {task}") > earlier or process.poll() is not None, seconds=300)
        time.sleep(later)
        assert process.poll() is None, log.read_text()
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        left = backends(platform)
        again = platform.run(**rotation)
        assert again.code == 0, f"{task} {earlier}: {left}\n{again.output}"
        one_serves(platform)
        counted = platform.check()
        assert counted["current"] + counted["orphaned_current"] == counted["total"]
        assert platform.ledger(f"cut-{number}")["stage"] == "finished"
        print(f"{task} ({earlier + 1}): left {left}", flush=True)


@pytest.mark.long
@pytest.mark.sandbox("--records", "10", "--orphaned", "2", "--set", "SANDBOX_BACKEND_DELAY=3s")
def test_it_is_aborted_from_between_two_backends(platform):
    name = f"{platform.env['SANDBOX_CONFIG_PREFIX']}/tower/crypto/secretKey"
    old, records = platform.value(name), platform.check()
    for number, task in enumerate(("Check that the next backend runs", "With docker, switch to the next backend", "With docker compose, start cron")):
        platform.killed(f": {task}", seqera_crypto_rotation_rotation_id=f"r{number}", **HANDOVER)
        assert platform.value(name) != old
        aborted = platform.run(playbook="abort-crypto.yml", **HANDOVER)
        assert aborted.code == 0, aborted.output
        assert platform.value(name) == old and platform.ledger(f"r{number}")["stage"] == "aborted"
        [(_, state, _)] = backends(platform)
        assert state == "running"
        platform.wait_ready(5)
    rewritten = {"versions": platform.check()["versions"]}  # the last rotation was aborted by re-encrypting back
    assert platform.check() == records | rewritten


@pytest.mark.sandbox("--records", "10")
def test_one_that_never_is_ready_costs_no_outage(platform):
    started = [line for line in platform.started() if "-backend-1 " in line or "-frontend-1 " in line]
    platform.sandbox("set", platform.name, "SANDBOX_BACKEND_UNHEALTHY=true")
    with Gaps(platform) as seen:
        run = platform.run(seqera_crypto_rotation_ready_timeout=15, **HANDOVER)
    said = " ".join(run.output.split())
    assert run.code != 0 and "Cron is stopped: with both keys in SSM" in said, run.output
    assert seen.gaps == [] and [line for line in platform.started() if "-backend-1 " in line or "-frontend-1 " in line] == started
    platform.sandbox("set", platform.name, "SANDBOX_BACKEND_UNHEALTHY=")
    again = platform.run(**HANDOVER)
    assert again.code == 0, again.output
    one_serves(platform)


@pytest.mark.long
@pytest.mark.sandbox("--records", "10")
def test_what_rules_a_second_container_out_is_refused(platform):
    compose = pathlib.Path(platform.env["SANDBOX_DIR"], "docker-compose.yml")
    text = compose.read_text()
    compose.write_text(text.replace("  backend:\n", "  backend:\n    container_name: the-backend\n", 1))
    platform.compose("up", "--detach")
    platform.wait_ready()
    before = platform.parameters(), platform.started()
    for argv in (["--check"], []):
        run = platform.run(*argv, **HANDOVER)
        assert run.code != 0 and "container_name: the-backend" in " ".join(run.output.split()), run.output
    assert (platform.parameters(), platform.started()) == before
