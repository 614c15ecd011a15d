"""Runs the commands of the pages that name this file, unchanged and in the pages' order, on a healthy Platform."""

import pathlib
import re
import shlex
import subprocess
import sys

import pytest
from conftest import ROOT, VENV

sys.path.append(str(ROOT / "hack" / "docs"))
from pages import run_by  # noqa: E402  the path above makes it importable

HERE = pathlib.Path(__file__).relative_to(ROOT).as_posix()


def run(platform, command, inventory):
    """Runs a command of a page, with the test's inventory, and the omnibus, region, Engine and Platform of the sandbox."""
    ours = {"omnibus_parameter": platform.env["SANDBOX_OMNIBUS"], "region": platform.env["AWS_REGION"]}
    argv = shlex.split(re.sub(r"\b(omnibus_parameter|region)=\S+", lambda said: f"{said[1]}={ours[said[1]]}", command))
    where, environ = ROOT, platform.environ | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
    if argv[0].startswith("ansible"):
        argv = [str(VENV / argv[0])] + [inventory if word == "inventory" else word for word in argv[1:]]
        # Other tests may have Platforms on this Engine.
        options = f" health_url={platform.env['SANDBOX_HEALTH_URL']} docker_host={platform.env['DOCKER_HOST']} compose_project={platform.env['SANDBOX_PROJECT']}"
        argv = [word + options if word.startswith("app_name=") else word for word in argv]
    elif argv[0] == "docker":
        where = platform.env["SANDBOX_DIR"]
        environ |= {"HOME": platform.env["SANDBOX_HOME"], "PWD": where}  # as in a shell of the owner
    done = subprocess.run(argv, cwd=where, env=environ, capture_output=True, text=True, check=False, timeout=300)
    platform.seen.append(done.stdout + done.stderr)
    assert done.returncode == 0, command + done.stdout + done.stderr


@pytest.mark.long
@pytest.mark.sandbox("--records", "10", "--app-name", "tower-template")
def test_every_command_of_the_pages_works(platform):
    commands = run_by(HERE)
    assert len(commands) >= 8
    inventory = platform.inventory(
        seqera_crypto_rotation_rotation_id="2026-q4",
        seqera_crypto_rotation_backups=["rds:tower-template-2026-11-23"],
        seqera_crypto_rotation_report_dir=str(platform.tmp / "reports"),
    )
    for command in commands:
        run(platform, command, str(inventory))
    assert platform.leaks() == []

    shown = subprocess.run([ROOT / "hack" / "look-inside", platform.name], capture_output=True, text=True, check=True).stdout
    enter, *looks, end = [line.strip() for line in shown.splitlines() if line.startswith("    ")]
    assert end.endswith(f" down {platform.name}") and len(looks) >= 5
    for look in looks:
        done = subprocess.run(["bash", "-euc", f"{enter}\n{look}"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0 and done.stdout.strip(), look + done.stdout + done.stderr
