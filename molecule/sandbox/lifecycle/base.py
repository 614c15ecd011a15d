"""Paths, running commands, and messages to the terminal."""

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
HERE = ROOT / "molecule" / "sandbox"
BUILD = ROOT / "build" / "sandbox"
DOCKER_CONFIG = Path(os.environ.get("SANDBOX_DOCKER_CONFIG") or ROOT / ".tools" / "docker")  # the directory of the compose plugin


class Problem(Exception):
    """An error message for a person. It ends the command without a traceback."""


def say(text):
    print(f"sandbox: {text}", file=sys.stderr, flush=True)


def run(*argv, env=None, cwd=None, stdin=None, check=True, **identity):
    """Runs a command and returns the completed process. An error shows the command's output. identity: what Owner.identity() returns."""
    done = subprocess.run(
        [str(a) for a in argv], env=env, cwd=cwd, stdin=stdin or subprocess.DEVNULL, text=True, capture_output=True, check=False, **identity
    )  # fmt: skip
    if check and done.returncode != 0:
        said = (done.stdout + done.stderr).strip()
        raise Problem(f"{' '.join(str(a) for a in argv[:4])} … failed ({done.returncode}):\n{said}")
    return done


def wait_for(what, seconds, ready, pause=0.2, failed=lambda: None):
    """Polls until ready() is true, and prints a line every ten seconds. failed() may return a reason to stop at once."""
    start = told = time.monotonic()
    while not ready():
        now = time.monotonic()
        reason = failed()
        if reason:
            raise Problem(f"{what}: {reason}")
        if now - start > seconds:
            raise Problem(f"{what}: not after {seconds} s")
        if now - told > 10:
            say(f"waiting for {what} ({now - start:.0f} s)")
            told = now
        time.sleep(pause)
    return time.monotonic() - start


def alive(pid_file):
    """The process ID in a file, if that process still runs. The file also has its start time, which reveals another process with this ID."""
    try:
        pid, born = pid_file.read_text().split()
    except (FileNotFoundError, ValueError):
        return None
    return int(pid) if born_at(pid) == born else None


def remember(pid_file, pid):
    pid_file.write_text(f"{pid} {born_at(pid)}\n")


def born_at(pid):
    """When a process started, in kernel ticks. '?' if there is no /proc, '' if there is no such process."""
    if not os.path.isdir("/proc/self"):
        return "?" if run("kill", "-0", pid, check=False).returncode == 0 else ""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] == "Z" else fields[19]


def end(pid_file, what, seconds=30):
    """Ends the process that a file names, and no other."""
    pid = alive(pid_file)
    if pid:
        os.kill(pid, 15)
        try:
            wait_for(f"the end of {what} (process {pid})", seconds, lambda: alive(pid_file) is None, pause=0.05)
        except Problem:
            os.kill(pid, 9)
            wait_for(f"the end of {what} (process {pid})", 10, lambda: alive(pid_file) is None, pause=0.05)
    pid_file.unlink(missing_ok=True)
    return pid
