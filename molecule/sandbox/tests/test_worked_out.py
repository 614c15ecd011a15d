"""What the role works out of what it knows, without a Platform."""

import json
import subprocess

from conftest import ROOT, VENV

WORKED_OUT = ROOT / "roles" / "seqera_crypto_rotation" / "vars" / "main" / "worked_out.yml"
HOLDERS = {"migrate": ["migrate"], "backends": ["backend", "backend2"], "cron": ["cron"]}
KNOWN = {
    "db": None,
    "migrate": {"depends_on": {"db": {"condition": "service_healthy"}}},
    "cron": {"depends_on": ["migrate"]},
    "backend": {"depends_on": ["db", "cron"]},
    "backend2": {"depends_on": ["backend"]},
    "proxy": {"depends_on": {"frontend": {"condition": "service_started"}}},
    "frontend": {"depends_on": ["backend2"]},
    "wave": {"depends_on": ["db"]},
    "debugger": {"depends_on": ["backend"], "profiles": ["debug"]},
}
BEFORE_CRON = ["db", "backend", "backend2", "proxy", "frontend", "wave"]


def test_what_depends_on_the_services_that_hold_keys_is_read_from_the_compose_file(tmp_path):
    few = {name: KNOWN[name] for name in ("db", "migrate", "cron", "wave")}
    cases = {
        "by way of another, and not of a profile": (HOLDERS, KNOWN, BEFORE_CRON, "all", ["frontend", "proxy"]),
        "nothing": (HOLDERS | {"backends": []}, few, ["db", "wave"], "all", []),
        "no file": (HOLDERS, {}, [], "all", []),
        "they stay up": (HOLDERS, KNOWN, BEFORE_CRON, "key_holders", []),
    }
    names = [f"seqera_crypto_rotation_{name}" for name in ("_parts", "_known", "_before_cron", "restart_scope")] + ["wanted"]
    says = {"that": "seqera_crypto_rotation__dependents | sort == wanted", "fail_msg": "{{ seqera_crypto_rotation__dependents }}"}
    tasks = [{"name": case, "assert": says, "vars": dict(zip(names, values))} for case, values in cases.items()]
    play = tmp_path / "play.json"
    play.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "vars_files": [str(WORKED_OUT)], "tasks": tasks}]))
    done = subprocess.run([VENV / "ansible-playbook", "-i", "localhost,", "-c", "local", play], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
