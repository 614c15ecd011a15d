"""Module, role and playbooks with the ansible-core of the venv ANSIBLE_VENV. hack/test-matrix runs this file for each row."""

import json
import os
import pathlib
import re

import pytest
from conftest import Platform
from lights import LightPlatform

HERE = pathlib.Path(__file__).parent
FLEET = f"versions-{os.getpid()}"


@pytest.fixture(scope="module")
def fleet():
    """Two light installations, one for each test, because the first test changes the key of its own."""
    try:
        Platform.sandbox("light-up", FLEET, "--count", "2", "--records", "12")
        yield FLEET
    finally:
        Platform.sandbox("light-down", FLEET)


def complaints(run):
    """Ansible's warnings in an output, each with the next line, because older cores wrap warnings."""
    return re.findall(r"^\[(?:DEPRECATION )?WARNING\].*\n.*", run.output, re.M)


def well(run):
    assert run.code == 0, run.output
    assert complaints(run) == [], "our code must cause no warning"
    return run


def figures_are_figures(run):
    """Before ansible-core 2.19, a template turned every number into a string, and none into an empty string."""
    times = [span[end] for span in run.host["timeline"] for end in ("begin", "end")]
    seconds = [run.host["reencryption_seconds"], *run.host["outage_seconds"].values(), run.host["begun"], run.report["run"]["begun"], run.report["run"]["ended"]]
    assert len(times) >= 10 and all(isinstance(one, float) for one in times + seconds), run.host
    assert isinstance(run.host["records"], int)


def test_the_module_alone(fleet, tmp_path):
    platform = LightPlatform(fleet, 0, tmp_path)
    before, old = platform.parameters(), platform.current()
    well(platform.run("--check", "--diff", "-vvv", playbook=HERE / "prepared.yml"))
    assert platform.parameters() == before, "check mode wrote a parameter"

    well(platform.run("-vvv", playbook=HERE / "prepared.yml"))
    assert platform.current() != old and len(platform.trace()) == 3
    platform.restart_by_hand()
    well(platform.run("-vvv", playbook=HERE / "finalized.yml"))
    assert platform.trace() == []
    assert platform.check()["current"] == platform.check()["total"] >= 12
    assert len(platform.keys | {old, platform.current()}) >= 2
    assert platform.leaks() == []


def test_role_and_playbooks(fleet, tmp_path):
    platform = LightPlatform(fleet, 1, tmp_path)
    before, started, old = platform.parameters(), platform.started(), platform.current()
    backup = tmp_path / "backup.sql.gz"
    backup.write_text("a backup whose age is looked at")
    given = {"seqera_crypto_rotation_backups": [str(backup)]}
    dry = well(platform.run("--check", "--diff", "-vvv", **given))
    assert "put_omnibus" in dry.output
    assert platform.parameters() == before and platform.started() == started, "check mode touched the Platform"

    real = well(platform.run("--diff", "-vvv", **given))
    assert real.host["outcome"] == "done" and platform.current() != old and platform.trace() == []
    assert platform.check()["current"] == platform.check()["total"] >= 12
    figures_are_figures(real)

    after, started = platform.parameters(), platform.started()
    again = well(platform.run("-vvv", **given))
    assert again.recap["changed"] == 0 and platform.parameters() == after and platform.started() == started

    status = well(platform.run("-vvv", playbook="crypto-status.yml"))
    assert platform.name in status.output and platform.parameters() == after
    [line] = json.loads((tmp_path / "reports" / "status.json").read_text())["hosts"]
    assert line["verdict"] == "ok" and line["due"] is False and line["due_in_days"] is None and line["escrow_ok"] is True, line
    assert line["key_age_days"] == 0 and line["records"]["current"] == line["records"]["total"] >= 12, line
    platform.keys |= {old}
    assert platform.leaks() == []
