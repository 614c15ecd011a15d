"""The runbook's commands are run, each as it stands there, in its order, against a Platform that is well."""

import re
import shlex
import subprocess

import pytest
from conftest import ROOT, VENV


@pytest.mark.sandbox("--records", "10", "--app-name", "tower-dev")
def test_every_command_of_the_runbook_works(platform):
    text = (ROOT / "docs" / "runbook.md").read_text()
    commands = re.findall(r"```console\n\$ (.*)\n```", text)
    assert len(commands) == 6
    inventory = str(platform.inventory())
    for command in commands:
        argv = shlex.split(command)
        where, environ = ROOT, platform.environ | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
        if argv[0].startswith("ansible"):
            argv = [str(VENV / argv[0])] + [inventory if word == "inventory" else word for word in argv[1:]]
            options = f" health_url={platform.env['SANDBOX_HEALTH_URL']} docker_host={platform.env['DOCKER_HOST']}"
            argv = [word + options if word.startswith("app_name=") else word for word in argv]
        else:
            where = platform.env["SANDBOX_DIR"]
        done = subprocess.run(argv, cwd=where, env=environ, capture_output=True, text=True, check=False, timeout=300)
        platform.seen.append(done.stdout + done.stderr)
        assert done.returncode == 0, command + done.stdout + done.stderr
    assert platform.leaks() == []
