"""Kills the playbook at each of its steps on the VM, and runs it again. `make test-cuts-all` runs this test."""

import os
import re
import signal

import pytest
from conftest import ROOT
from test_proof import until

TASKS = ROOT / "roles" / "seqera_crypto_rotation" / "tasks"
# Tasks of the role that use the Engine or the database.
TOUCHES = re.compile(
    r"^ *- name: (?P<name>.*)\n(?: *#.*\n)* *(?:community\.docker\.\w+|seqera_crypto_rotation(?:_info)?|ansible\.builtin\.(?:shell|command|raw)):(?: >-)?$", re.M
)


def timeless(output):
    """The output without the times in names of files, which differ between runs."""
    return re.sub(r"\d{8}T\d{6}Z", "<time>", output)


def steps(output):
    """These tasks in an undisturbed run, in order, each with the number of earlier tasks of the same name."""
    wanted = []
    for file in TASKS.glob("*.yml"):
        wanted += [re.sub(r"\\{\\{.*?\\}\\}", ".*", re.escape(name.strip('"'))) for name in TOUCHES.findall(file.read_text())]
    told = re.findall(r"^TASK \[(?:seqera_crypto_(?:rotation|fleet) : )?(.*)\] \*", timeless(output), re.M)
    return [(name, told[:i].count(name)) for i, name in enumerate(told) if any(re.fullmatch(pattern, name) for pattern in wanted)]


@pytest.mark.skipif(os.environ.get("CUTS") != "all", reason="takes half an hour; make test-cuts-all runs it")
@pytest.mark.sandbox("--records", "10")
@pytest.mark.parametrize("scope", ["all", "key_holders", "handover"])
def test_a_cut_at_every_step(platform, scope):
    made = {"seqera_crypto_rotation_backup": "mysqldump", "seqera_crypto_rotation_backup_dir": str(platform.kept / "backups")}
    made["seqera_crypto_rotation_restart_scope"] = scope
    whole = platform.run(seqera_crypto_rotation_rotation_id="whole", **made)
    assert whole.code == 0, whole.output
    cuts = steps(whole.output)
    assert len(cuts) > 10, cuts
    names, table = set(platform.parameters()), []
    for n, (name, earlier) in enumerate(cuts):
        rotation = f"cut-{n}"
        process, log = platform.start(seqera_crypto_rotation_rotation_id=rotation, **made)
        until(lambda: timeless(log.read_text()).count(f"{name}] *") > earlier or process.poll() is not None, seconds=180)
        reached = process.poll() is None
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        platform.seen.append(log.read_text())
        again = platform.run(seqera_crypto_rotation_rotation_id=rotation, **made)
        counted, found = platform.check() if again.code == 0 else {"current": 0, "total": -1}, platform.parameters()
        left = [one for one in found if one not in names and "/ledger/" not in one and "/escrow/" not in one and "/lock/" not in one]
        held = [one for one, (value, _) in found.items() if "/lock/" in one and "released_at" not in value]
        good = {
            "it was reached": reached,
            "the next run ended well": again.code == 0,
            "every record is under the key in use": counted["current"] == counted["total"],
            "the ledger says so": again.code == 0 and platform.ledger(rotation)["stage"] == "finished",
            "nothing is left behind": not left and not held,
            "one backend runs": sum("-backend-" in line or line.startswith("/backend ") for line in platform.started()) == 1,
        }
        wrong = [what for what, ok in good.items() if not ok]
        table.append(f"{name[:70]:<72} {'survived' if not wrong else 'NOT: ' + ', '.join(wrong)}")
        assert not wrong, f"{table[-1]}\n{again.output[-6000:]}"
    print(f"\nthe playbook killed at each step on the VM: {len(cuts)} cuts, all survived", *table, sep="\n")
    assert platform.leaks() == []
