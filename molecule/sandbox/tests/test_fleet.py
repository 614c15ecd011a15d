"""Several Platforms in one run: a broken Platform is reported and does not affect the others."""

import concurrent.futures
import http.server
import json
import threading

import pytest
from conftest import Platform
from prometheus_client.parser import text_string_to_metric_families

SETTINGS = {
    "fleet-well": (),
    "fleet-damaged": ("--damaged", "2"),
    "fleet-cron": ("--set", "SANDBOX_CRON_CRASH_AFTER=5"),
    "fleet-docker": (),
    "fleet-database": (),
    "fleet-denied": (),
}


class Fleet(Platform):
    """Platforms as hosts of one inventory. Runs use the environment of the first Platform, but each host's compose is its own user's."""

    forks = True

    def __init__(self, members, tmp):
        super().__init__(members[0], tmp)
        del self.environ["DOCKER_CONFIG"]
        self.members = {name: Platform(name, tmp / name) for name in members}
        self.broken = {}

    def inventory(self, **more):
        hosts = {}
        for name, member in self.members.items():
            member.tmp.mkdir(exist_ok=True)
            [variables] = json.loads(member.inventory().read_text())["seqera_platforms"]["hosts"].values()
            own = {"endpoint_url": member.env["AWS_ENDPOINT_URL"], "compose_project": member.env["SANDBOX_PROJECT"], "report_dir": "reports"}
            hosts[name] = variables | {f"seqera_crypto_rotation_{key}": value for key, value in own.items()} | more | self.broken.get(name, {})
        path = self.tmp / "inventory.json"
        path.write_text(json.dumps({"seqera_platforms": {"hosts": hosts}}))
        return path

    def seen_of_all(self):
        """Parameters and start times of containers. A run that does nothing changes none of them."""
        return {name: member.parameters() for name, member in self.members.items()}, self.started()


@pytest.fixture
def fleet(tmp_path):
    try:
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda name: Platform.sandbox("up", name, "--records", "10", *SETTINGS[name]), SETTINGS))
        yield Fleet(list(SETTINGS), tmp_path)
    finally:
        for name in SETTINGS:
            Platform.sandbox("down", name)


@pytest.fixture
def refusing():
    """An SSM that refuses every call, as for a role without permissions."""

    class Refuse(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            body = json.dumps({"__type": "AccessDeniedException", "message": "User: arn:aws:iam::1:user/u is not authorized to perform: ssm:GetParameters"}).encode()
            self.send_response(400)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refuse)
    threading.Thread(target=server.serve_forever).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def outcomes(run):
    return {host["host"].removeprefix("fleet-"): (host["outcome"], host.get("error_code", "")) for host in run.report["hosts"]}


@pytest.mark.long
def test_each_broken_host_is_told_the_others_are_rotated_and_the_next_run_finishes(fleet, refusing):
    fleet.broken = {
        "fleet-docker": {"seqera_crypto_rotation_docker_host": "unix:///no/such.sock"},
        "fleet-database": {"seqera_crypto_rotation_database": {"host": "127.0.0.1", "port": 1, "name": "tower", "user": "u", "password": "p"}},
        "fleet-denied": {"seqera_crypto_rotation_endpoint_url": refusing},
    }
    before = fleet.seen_of_all()
    careful = fleet.run()
    assert careful.code != 0 and fleet.seen_of_all() == before, "a refusal by preflight must stop the run before the first outage"
    found = outcomes(careful)
    refused = {name for name, (outcome, _) in found.items() if outcome == "refused"}
    assert refused == {"damaged", "docker", "database", "denied"}, found
    assert {found["well"][0], found["cron"][0]} == {"not_begun"}
    assert "preflight refused" in careful.report["run"]["stopped"]

    run = fleet.run(seqera_crypto_rotation_on_preflight_failure="skip", seqera_crypto_rotation_max_fail_percentage=50)
    assert run.code != 0
    found = outcomes(run)
    assert {name: outcome for name, (outcome, _) in found.items()} == dict.fromkeys(refused, "refused") | {"well": "done", "cron": "failed"}, found
    assert (found["denied"][1], found["database"][1], found["cron"][1]) == ("access_denied", "database_unavailable", "cron_failed")
    by_host = {host["host"].removeprefix("fleet-"): host for host in run.report["hosts"]}
    assert "is not available" in by_host["docker"]["reason"] and "2 of " in by_host["damaged"]["reason"]
    assert all(by_host[name]["reason"] and by_host[name]["next"] for name in (*refused, "cron"))
    assert run.output.count("TASK [seqera_crypto_fleet : Show the report]") == 1, "one report for the run"
    after = fleet.seen_of_all()[0]
    assert {f"fleet-{name}" for name in refused} == {name for name in after if after[name] == before[0][name]}

    status = fleet.run(playbook="crypto-status.yml", seqera_crypto_rotation_max_age_days=90, seqera_crypto_rotation_status_fail_on=["half_finished"])
    assert status.code != 0 and "fleet-cron" in status.output.split("seqera_crypto_rotation_status_fail_on")[0][-200:]
    told = json.loads((fleet.tmp / "reports" / "status.json").read_text())
    verdicts = {host["host"].removeprefix("fleet-"): host["verdict"] for host in told["hosts"]}
    assert verdicts == {"well": "ok", "damaged": "ok", "cron": "half_finished", "docker": "unknown", "database": "unknown", "denied": "unknown"}
    [well] = [host for host in told["hosts"] if host["host"] == "fleet-well"]
    assert well["escrow_ok"] and well["last_rotation"]["stage"] == "finished" and well["due_in_days"] == 90 and well["records"]["current"] == well["records"]["total"]
    metrics = {family.name: family for family in text_string_to_metric_families((fleet.tmp / "reports" / "status.prom").read_text())}
    assert sum(sample.value for sample in metrics["seqera_crypto_rotation_half_finished"].samples) == 1

    fleet.broken = {"fleet-damaged": {"seqera_crypto_rotation_accept_unreadable": by_host["damaged"]["reason"].split(": ")[1].split(". ")[0].split(", ")}}
    fleet.sandbox("set", "fleet-cron", "SANDBOX_CRON_CRASH_AFTER=")
    done, started = fleet.members["fleet-well"].parameters(), [line for line in fleet.started() if "fleet-well" in line]
    again = fleet.run()
    assert again.code == 0, again.output
    found = outcomes(again)
    assert {name: outcome for name, (outcome, _) in found.items()} == dict.fromkeys(found, "done") | {"well": "not_due"}, found
    assert fleet.members["fleet-well"].parameters() == done, "a finished rotation must not be touched"
    assert [line for line in fleet.started() if "fleet-well" in line] == started
    for name, member in fleet.members.items():
        counted = member.check()
        assert counted["current"] == counted["total"] - (2 if name == "fleet-damaged" else 0), name
    # Each Platform has its own moto, so each has its own keys to search for.
    for member in fleet.members.values():
        member.remember_keys()
        fleet.keys |= member.keys
    assert fleet.leaks() == []
