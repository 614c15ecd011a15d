"""Kills the playbook at each of its steps on the VM, and runs it again. `make test-cuts-all` runs this test."""

import os
import re
import signal
import sys

import pytest
from conftest import ROOT
from test_going_back import dump, restore
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


class Rotation:
    """What is cut: the playbook and its options, and what is done before each run."""

    playbook, stage = "rotate-crypto.yml", "finished"

    def __init__(self, platform, scope):
        self.platform = platform
        self.made = {"seqera_crypto_rotation_backup": "mysqldump", "seqera_crypto_rotation_backup_dir": str(platform.kept / "backups")}
        self.made["seqera_crypto_rotation_restart_scope"] = scope

    def before(self, _):
        """Nothing: each rotation begins where the one before ended."""

    def options(self, name):
        return self.made | {"playbook": self.playbook, "seqera_crypto_rotation_rotation_id": name}

    @staticmethod
    def ended(entry):
        """When the last parameter was written, to the second."""
        return (entry.get("aborted_at") or entry["finished_at"])[:19]


class Abort(Rotation):
    """An abort of a rotation that was killed when its step began: `start`, or `watch` with some records under the new key."""

    playbook, stage = "abort-crypto.yml", "aborted"

    def __init__(self, platform, where):
        super().__init__(platform, "all")
        self.made = {}
        self.re_encrypts = where == "watch"
        platform.sandbox("set", platform.name, "SANDBOX_CRON_RECORD_DELAY=500ms")

    def before(self, name):
        first = self.versions()
        if self.re_encrypts:
            self.platform.killed("Steps 3.2 and 3.3", also=lambda: self.versions() > first, seqera_crypto_rotation_rotation_id=name)
        else:
            self.platform.killed(": Run migrate", seqera_crypto_rotation_rotation_id=name)

    def versions(self):
        """How often cron has rewritten a record."""
        return int(self.platform.sql("SELECT SUM(version) FROM tw_secret")[0][0])


class Restore(Rotation):
    """A restored database, with its key in escrow. The databases of two keys take turns."""

    playbook = "restore-crypto.yml"

    def __init__(self, platform, _):
        super().__init__(platform, "all")
        self.made, self.dumps, self.turn = {}, {}, 0
        for backup in ("dump-1", "dump-2"):
            self.dumps[backup] = dump(platform)
            done = platform.run(seqera_crypto_rotation_rotation_id=f"after-{backup}", seqera_crypto_rotation_backups=[backup])
            assert done.code == 0, done.output
            platform.remember_keys()

    def before(self, _):
        self.turn += 1
        backup = f"dump-{1 + self.turn % 2}"
        self.made = {"seqera_crypto_restore_backup": backup}
        self.platform.compose("stop", "frontend", "backend", "cron")
        restore(self.platform, self.dumps[backup])
        self.platform.compose("start", "backend", "cron", "frontend")  # the frontend looks up the backend's address when it starts
        self.platform.wait_ready()


# The longest are first, because they run side by side.
WAYS = {
    "handover": (Rotation, "handover"), "reverse": (Abort, "watch"), "all": (Rotation, "all"),
    "restore": (Restore, "all"), "key_holders": (Rotation, "key_holders"), "abort": (Abort, "start"),
}  # fmt: skip


@pytest.mark.skipif(os.environ.get("CUTS") != "all", reason="takes more than an hour; make test-cuts-all runs it")
@pytest.mark.sandbox("--records", "10")
@pytest.mark.parametrize("way", WAYS)
def test_a_cut_at_every_step(platform, way):
    kind, of = WAYS[way]
    run = kind(platform, of)
    run.before("whole")
    whole = platform.run(**run.options("whole"))
    assert whole.code == 0, whole.output
    cuts = steps(whole.output)
    assert len(cuts) > 10, cuts
    names = set(platform.parameters())
    for n, (name, earlier) in enumerate(cuts):
        rotation = f"cut-{n}"
        run.before(rotation)
        process, log = platform.start(**run.options(rotation))
        until(lambda: timeless(log.read_text()).count(f"{name}] *") > earlier or process.poll() is not None, seconds=180)
        reached = process.poll() is None
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        platform.seen.append(log.read_text())
        again = platform.run(**run.options(rotation))
        counted, found = platform.check() if again.code == 0 else {"current": 0, "total": -1}, platform.parameters()
        left = [one for one in found if one not in names and "/ledger/" not in one and "/escrow/" not in one and "/lock/" not in one]
        held = [one for one, (value, _) in found.items() if "/lock/" in one and "released_at" not in value]
        good = {
            "it was reached": reached,
            "the next run ended well": again.code == 0,
            "every record is under the key in use": counted["current"] == counted["total"],
            "the ledger says so": again.code == 0 and platform.ledger(rotation)["stage"] == run.stage,
            "nothing is left behind": not left and not held,
            "backend and cron have only the key in use": again.code == 0 and platform.oldest_start() > run.ended(platform.ledger(rotation)),
            "cron runs": any("-cron-" in line for line in platform.started()),
            "one backend runs": sum("-backend-" in line or line.startswith("/backend ") for line in platform.started()) == 1,
        }
        wrong = [what for what, ok in good.items() if not ok]
        line = f"{way}, cut {n + 1} of {len(cuts)}: {name[:70]:<72} {'survived' if not wrong else 'NOT: ' + ', '.join(wrong)}"
        print(line, file=sys.stderr, flush=True)  # pytest-xdist drops the standard output
        assert not wrong, f"{line}\n{again.output[-6000:]}"
    assert platform.leaks() == []
