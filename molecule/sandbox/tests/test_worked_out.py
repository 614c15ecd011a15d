"""Values that the role computes (vars/main/worked_out.yml), without a Platform."""

import json
import subprocess

from conftest import ROOT, VENV

WORKED_OUT = ROOT / "roles" / "seqera_crypto_rotation" / "vars" / "main" / "worked_out.yml"
HOLDERS = {"backends": ["backend", "backend2"]}
ON = {"running": True, "enabled": True}
SERVICES = {
    "db": ON | {"depends_on": []},
    "migrate": ON | {"running": False, "depends_on": ["db"]},
    "cron": ON | {"depends_on": ["migrate"]},
    "backend": ON | {"depends_on": ["db", "cron"]},
    "backend2": ON | {"depends_on": ["backend"]},
    "proxy": ON | {"depends_on": ["frontend"]},
    "frontend": ON | {"depends_on": ["backend2"]},
    "wave": ON | {"depends_on": ["db"]},
    "debugger": {"running": False, "enabled": False, "depends_on": ["backend"]},
}
FEW = {name: SERVICES[name] for name in ("db", "migrate", "cron", "wave")}
STOPPED = SERVICES | {"cron": SERVICES["cron"] | {"running": False}}


def test_the_order_of_the_outages_is_worked_out_of_what_compose_said(tmp_path):
    names = ("services", "_compose", "restart_scope")
    cases = {  # input: services that stop first, services that start before cron, whether the Platform is down
        "by way of another, and not of a profile": (HOLDERS, SERVICES, "all", ["frontend", "proxy"], ["db", "backend", "backend2", "proxy", "frontend", "wave"], False),
        "nothing": ({"backends": []}, FEW, "all", [], ["db", "wave"], False),
        "they stay up": (HOLDERS, SERVICES, "key_holders", [], ["db", "backend", "backend2", "proxy", "frontend", "wave"], False),
        "cron is stopped": (HOLDERS, STOPPED, "all", ["frontend", "proxy"], ["db", "backend", "backend2", "proxy", "frontend", "wave"], True),
        "a profile whose service runs": (HOLDERS, SERVICES | {"debugger": SERVICES["debugger"] | {"running": True}}, "all", ["frontend", "proxy", "debugger"],
                                         ["db", "backend", "backend2", "proxy", "frontend", "wave", "debugger"], False),
    }  # fmt: skip
    says = {
        "that": [
            "seqera_crypto_rotation__dependents | sort == wanted[0] | sort",
            "seqera_crypto_rotation__before_cron | sort == wanted[1] | sort",
            "seqera_crypto_rotation__is_down | bool == wanted[2]",
        ],
        "fail_msg": "{{ seqera_crypto_rotation__dependents }} {{ seqera_crypto_rotation__before_cron }} {{ seqera_crypto_rotation__is_down }}",
    }
    tasks = []
    for case, (services, said, scope, *wanted) in cases.items():
        given = dict(zip((f"seqera_crypto_rotation_{name}" for name in names), (services, {"services": said}, scope)))
        tasks.append({"name": case, "assert": says, "vars": given | {"wanted": wanted}})
    play = tmp_path / "play.json"
    play.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "vars_files": [str(WORKED_OUT)], "tasks": tasks}]))
    done = subprocess.run([VENV / "ansible-playbook", "-i", "localhost,", "-c", "local", play], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
