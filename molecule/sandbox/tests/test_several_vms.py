"""One installation on two VMs, cron and database on one, backend and frontend on the other: one rotation, in one order."""

import json
import pathlib

import pytest
import yaml
from conftest import Platform
from test_dry_run import foretold_and_done

WEB = ("backend", "frontend")


class Split(Platform):
    """A sandbox whose backend and frontend are a compose project of their own, as on a VM of their own."""

    def __init__(self, platform, web):
        super().__init__(platform.name, platform.tmp)
        self.web, self.host = web, f"{platform.name}-web"
        self.services = {"migrate": ["migrate"], "backends": [], "cron": ["cron"]}
        here = pathlib.Path(self.env["SANDBOX_DIR"])
        whole = yaml.safe_load((here / "docker-compose.yml").read_text())
        project = whole["name"]
        parts = {name: whole["services"].pop(name) for name in WEB}
        for one in parts.values():
            one["env_file"] = [str(here / name) for name in one.get("env_file", [])]
        del parts["backend"]["depends_on"]
        networks = {"frontend": {}, "backend": {"external": True, "name": f"{project}_backend"}}
        self.compose("down")
        web.mkdir()
        (web / "docker-compose.yml").write_text(yaml.safe_dump({"name": f"{project}-web", "services": parts, "networks": networks}))
        (here / "docker-compose.yml").write_text(yaml.safe_dump(whole))
        self.up()

    def at(self, place, *argv):
        return self.docker("compose", "--project-directory", str(place), *argv)

    def up(self):
        self.at(self.env["SANDBOX_DIR"], "up", "--detach")
        self.at(self.web, "up", "--detach")
        self.wait_ready()

    def inventory(self, **more):
        path = super().inventory(**{"seqera_crypto_rotation_services": self.services, "seqera_crypto_rotation_other_vms": [self.host]} | more)
        groups = json.loads(path.read_text())
        [own] = groups["seqera_platforms"]["hosts"].values()
        there = {name: own[name] for name in ("ansible_connection", "ansible_python_interpreter")}
        there |= {"seqera_crypto_rotation_compose_dir": str(self.web), "seqera_crypto_rotation_services": {"backends": ["backend"]}}
        path.write_text(json.dumps(groups | {"seqera_platform_vms": {"hosts": {self.host: there}}}))
        return path

    def since(self):
        """When each service started."""
        return {line.split()[0].removeprefix("/").split("-")[-2]: line.split()[1] for line in self.started()}


@pytest.fixture
def split(platform, tmp_path):
    made = Split(platform, tmp_path / "web")
    yield made
    made.at(made.web, "down")


@pytest.mark.sandbox("--records", "20", "--orphaned", "2")
def test_all_backends_are_ready_before_cron_starts_wherever_they_are(split):
    before = split.since()
    refused = split.run(seqera_crypto_rotation_other_vms=["web-2"])
    assert refused.code != 0 and "names web-2, which must be a host of the inventory" in refused.host["reason"] and split.since() == before

    dry, real = foretold_and_done(split)
    assert f"outage: stop cron; on {split.host}: backend, first what depends on them" in real.host["steps"]
    assert f"start: db; on {split.host}: backend, frontend, until ready" in real.host["steps"]
    assert real.host["outcome"] == "done" and real.host["records"] == split.check()["total"]
    after = split.since()
    assert after.keys() == before.keys() and all(after[name] > before[name] for name in before), "both VMs had their outages"
    again = split.run()
    assert again.code == 0 and again.recap["changed"] == 0 and split.since() == after

    # A backend on the other VM that is not ready keeps cron, on this one, from starting.
    second = {"seqera_crypto_rotation_rotation_id": "r2", "seqera_crypto_rotation_restart_scope": "key_holders"}
    split.sandbox("set", split.name, "SANDBOX_BACKEND_NEVER_READY=true")
    run = split.run(seqera_crypto_rotation_ready_timeout=5, **second)
    assert run.code != 0 and run.host["failed_at"] == "start" and "Both keys are in place" in run.host["reason"], run.output
    assert "cron" not in split.since() and "backend" in split.since()
    split.sandbox("set", split.name, "SANDBOX_BACKEND_NEVER_READY=")
    run = split.run(**second)
    assert run.code == 0 and run.host["outcome"] == "done", run.output
    started = split.since()
    assert started["db"] < started["frontend"] < min(started["backend"], started["cron"]), "the second outage was the key holders' alone"
    counted = split.check()
    assert counted["current"] + counted["orphaned_current"] == counted["total"]
    assert split.leaks() == []
