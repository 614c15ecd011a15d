"""Rotates three whole Platforms and many light ones, five of them broken, in one run. FLEET sets the number of light ones."""

import http.client
import json
import os
import socket

import pytest
from conftest import Platform
from test_fleet import Fleet, outcomes, refusing  # noqa: F401 (a fixture)

LIGHT, REAL = int(os.environ.get("FLEET", "7")), ("scale-a", "scale-b", "scale-c")
DENIED, DATABASE, DOCKER, DAMAGED, CRON = (f"light-{number:03}" for number in range(1, 6))


class Mixed(Fleet):
    """Whole Platforms and light ones as hosts of one inventory. The light ones have their own SSM and database."""

    def __init__(self, tmp):
        super().__init__(list(REAL), tmp)
        self.light = json.loads(self.sandbox("light-env", "light"))
        self.environ["PATH"] = f"{self.light['path']}:{self.environ['PATH']}"

    def inventory(self, **more):
        path = super().inventory(**more)
        hosts = json.loads(path.read_text())["seqera_platforms"]["hosts"]
        common = {name: value for name, value in hosts[REAL[0]].items() if name != "seqera_crypto_rotation_compose_project"}
        for one in self.light["hosts"]:
            own = {
                f"seqera_crypto_rotation_{name}": one[name]
                for name in ("app_name", "omnibus_parameter", "compose_dir", "health_url", "backend_health_url", "docker_host", "database")
            }
            own["seqera_crypto_rotation_baseline_dir"] = str(self.tmp / "baselines")
            own["seqera_crypto_rotation_endpoint_url"] = self.light["aws"]["AWS_ENDPOINT_URL"]
            hosts[one["name"]] = common | own | self.broken.get(one["name"], {})
        path.write_text(json.dumps({"seqera_platforms": {"hosts": hosts}}))
        return path

    def set(self, name, **options):
        """Sets options of the stand-in on a light host, from its next start."""
        [one] = [one for one in self.light["hosts"] if one["name"] == name]
        connection = http.client.HTTPConnection("light")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(one["docker_host"].removeprefix("unix://"))
        connection.request("POST", "/env", json.dumps(options))
        assert connection.getresponse().status == 200

    def light_parameters(self):
        here, self.env = self.env, self.env | {"AWS_ENDPOINT_URL": self.light["aws"]["AWS_ENDPOINT_URL"]}
        try:
            return self.parameters()
        finally:
            self.env = here


@pytest.fixture
def mixed(tmp_path):
    try:
        Platform.sandbox("light-up", "light", "--count", str(LIGHT), "--damaged", DAMAGED[-3:])
        for name in REAL:
            Platform.sandbox("up", name, "--records", "15")
        yield Mixed(tmp_path)
    finally:
        for name in REAL:
            Platform.sandbox("down", name)
        Platform.sandbox("light-down", "light")


@pytest.mark.skipif("FLEET" not in os.environ, reason="takes long; make test-fleet runs it")
def test_five_broken_hosts_are_told_the_rest_is_rotated_and_a_second_run_finishes_the_five(mixed, refusing):  # noqa: F811 (that fixture)
    mixed.broken = {
        DENIED: {"seqera_crypto_rotation_endpoint_url": refusing},
        DATABASE: {"seqera_crypto_rotation_database": {"host": "127.0.0.1", "port": 1, "name": "tower", "user": "u", "password": "p"}},
        DOCKER: {"seqera_crypto_rotation_docker_host": "unix:///no/such.sock"},
    }
    mixed.set(CRON, SANDBOX_CRON_CRASH_AFTER="3")
    run = mixed.run(
        "--forks=50", limit=5400, seqera_crypto_rotation_on_preflight_failure="skip", seqera_crypto_rotation_max_fail_percentage=20,
        seqera_crypto_rotation_preflight_max_age=7200,
    )  # fmt: skip
    assert run.code != 0
    found = {host["host"]: host for host in run.report["hosts"]}
    broken = {DENIED: "access_denied", DATABASE: "database_unavailable", DOCKER: "docker_unavailable", DAMAGED: "", CRON: "cron_failed"}
    assert {name: found[name]["outcome"] for name in broken} == dict.fromkeys(broken, "refused") | {CRON: "failed"}, outcomes(run)
    assert {name: found[name]["error_code"] for name in broken} == broken
    assert all(found[name]["reason"] and found[name]["next"] for name in broken)
    assert run.report["counts"] | {"hosts": LIGHT + 3, "done": LIGHT + 3 - 5, "refused": 4, "failed": 1} == run.report["counts"]
    print(f"{LIGHT + 3} hosts, {run.report['counts']}, {run.report['run']['ended'] - run.report['run']['begun']:.0f} s")

    mixed.broken = {DAMAGED: {"seqera_crypto_rotation_accept_unreadable": found[DAMAGED]["reason"].split(": ")[1].split(". ")[0].split(", ")}}
    mixed.set(CRON, SANDBOX_CRON_CRASH_AFTER="")
    before, started = mixed.light_parameters(), mixed.started()
    again = mixed.run("--forks=50", limit=2700, seqera_crypto_rotation_preflight_max_age=7200)
    assert again.code == 0, again.output[-3000:]
    assert again.report["counts"] | {"done": 5, "not_due": LIGHT + 3 - 5} == again.report["counts"]
    changed = {name for name, value in mixed.light_parameters().items() if before.get(name) != value}
    assert changed and all(any(f"tower-{host}/" in name or f"/{host}/" in name for host in broken) for name in changed), "hosts that were not broken have been touched"
    assert mixed.started() == started, "a finished Platform must have no outage"
    for one in mixed.light["hosts"]:
        counted = json.loads(mixed.sandbox("light-check", "light", one["name"]))
        assert counted["current"] == counted["total"] - (one["name"] == DAMAGED), one["name"]
