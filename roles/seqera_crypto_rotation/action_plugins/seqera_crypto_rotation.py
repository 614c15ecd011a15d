"""Runs the module of the same name, as the binary of the host's platform, and shows how far a `state: rotating` that waits is.

The module works; this only chooses its binary and carries its words. It starts the module in the background as `async` would, so that a wait of
an hour outlives a lost connection, reads the file in which the module says how far it is, and returns the module's own
result. Everything else (other states, `wait: false`, check mode, a task with an `async` of its own) is handed through.
It prints nothing under `no_log`, and of the module's arguments nothing at all: they may hold a password.

Ansible uploads a binary for every call. Here the login keeps a copy on the host (see STORE), and a later call copies that into
Ansible's temporary directory instead of uploading 11 MB. All else stays Ansible's own way: arguments, become, async, permissions.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
import shlex
import time
from typing import Any

from ansible import constants
from ansible.errors import AnsibleActionFail
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

INTERVAL = "seqera_crypto_rotation__progress_interval"  # variable of the tests: seconds between two lines of one host, 10 if not set
GRACE = 600  # seconds that the background job has beyond the module's own wait_timeout
SLOWEST = 5  # seconds between two looks, at most
LATE = 60  # seconds after which a background job that Ansible does not find is gone; a busy machine writes its file late
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}  # what uname says, where Go says something else
# How the binaries of each platform begin: a pattern for the file's first 20 bytes. A script is anybody's.
HEADS = {
    "linux_amd64": rb"\x7fELF\x02.{13}\x3e\x00",
    "linux_arm64": rb"\x7fELF\x02.{13}\xb7\x00",
    "darwin_amd64": rb"\xcf\xfa\xed\xfe\x07\x00\x00\x01",
    "darwin_arm64": rb"\xcf\xfa\xed\xfe\x0c\x00\x00\x01",
}
CANNOT_RUN = ("Exec format error", "Bad CPU type in executable")  # as Linux and macOS say it
# As a shell says it, and as async does: a mount with noexec, or a list of the programs that may run.
MAY_NOT_RUN = (
    r"(?P<path>[^\s'\x22]*/AnsiballZ_seqera_crypto_rotation\w*): (?P<why>Operation not permitted|Permission denied)",
    r"(?P<why>Operation not permitted|Permission denied): b?'(?P<path>[^\s'\x22]*/AnsiballZ_seqera_crypto_rotation\w*)'",
)
# Keeps the binary in ~/.seqera-crypto-rotation/bin of the login, under its SHA-256, and says how that went. Nothing is run from there:
# `use` copies the file to where Ansible would upload it, then checks the copy, so that nobody can swap it in between. Only a directory
# that the login alone can write is used. From `cd` on names are relative: what somebody does to the path has no effect. What differs
# from its checksum is uploaded again and replaced.
STORE = " ".join(r"""
to={action}; file={path}; sum={digest}; top=$HOME/.seqera-crypto-rotation; said=unusable; umask 077;
hash() {{ {{ sha256sum || shasum -a 256; }} <"$1" 2>/dev/null | cut -c 1-64; }};
ours() {{ [ -n "$(find "$1" -prune -user "$(id -u)" -type "$2" '(' -perm "$3" -o -perm "2$3" ')')" ]; }};
if [ -L "$top" ] || [ -L "$top/bin" ]; then said=unsafe;
elif mkdir -p "$top/bin" && cd -P "$top/bin"; then
  if ! ours . d 700; then said=unsafe;
  elif [ $to = use ]; then
    said=absent;
    ours $sum f 600 && cp $sum "$file" && [ "$(hash "$file")" = $sum ] && said=done;
  elif cp "$file" .$$ && chmod 600 .$$ && [ "$(hash .$$)" = $sum ] && mv -f .$$ $sum; then
    said=done;
    for old in [0-9a-f]*; do [ "$old" = $sum ] || rm -f "./$old"; done;
    find . -name '.[0-9]*' -mtime +0 -exec rm -f {{}} +;
  else rm -f .$$;
  fi;
fi 2>/dev/null;
echo "seqera_crypto_rotation_store=$said"
""".split())
JOB = "seqera_crypto_rotation_job"  # stands between the two files that a look reads
NOISE = ("ansible_job_id", "started", "finished", "stderr", "stderr_lines")  # of async; a module run directly has none


class Lines:
    """What a user sees of one host: now and then a line, a note as soon as there is a new one."""

    def __init__(self, host: str, interval: float, silent: bool) -> None:
        self.host, self.interval, self.silent = host, interval, silent
        self.note, self.printed, self.heard = "", float("-inf"), time.monotonic()

    def progress(self, news: dict[str, Any]) -> None:
        """Shows what the module wrote. A report without figures, in the middle of a look, does not end a note."""
        self.heard = time.monotonic()
        self.now_and_then(str(news.get("line") or ""))
        note = str(news.get("note") or "")
        if note and note != self.note:
            self._print(note)
        if note or news.get("progress"):
            self.note = note

    def silence(self, patience: float) -> None:
        """Says that the module has not said anything for `patience` seconds or longer."""
        quiet = time.monotonic() - self.heard
        if quiet >= max(self.interval, patience):
            self.now_and_then(f"the module has not said anything for {quiet:.0f} s; waiting")

    def now_and_then(self, text: str) -> None:
        """Shows a line, unless the last one is younger than the interval."""
        if text and time.monotonic() - self.printed >= self.interval:
            self.printed = time.monotonic()
            self._print(text)

    def _print(self, text: str) -> None:
        # A container's log is in a note: what it does to a terminal stays out of it.
        for line in [] if self.silent else text.splitlines():
            Display().display(f"{self.host}: {''.join(c if c.isprintable() else ' ' for c in line)}")


class Binaries:
    """The binaries of one module: the one of its plain name, and beside it those that have a platform's name at their end."""

    def __init__(self, name: str, path: str | None) -> None:
        self.name, self.plain = name, ""
        if path:
            with contextlib.suppress(OSError), open(path, "rb") as file:
                head = file.read(20)
                self.plain = next((platform for platform, begin in HEADS.items() if re.match(begin, head, re.DOTALL)), "")
        self.others = [platform for platform in HEADS if path and os.path.exists(f"{path}_{platform}")]

    def of(self, platform: str) -> str | None:
        """Returns what the platform's binary is called. A script runs anywhere; on a host that did not say what it is, the plain one is tried."""
        if self.plain in ("", platform) or not platform:
            return self.name
        return f"{self.name}_{platform}" if platform in self.others else None

    def missing(self, host: str, platform: str) -> dict[str, Any]:
        """A failure that says in a sentence what the host is, what there is, and what to do."""
        what = f"{host} is {platform}, and {self.name} is here for {', '.join(sorted({self.plain, *self.others}))} alone"
        remedy = "`make dist` in the clone builds it, the collection's file contains it"
        if platform not in HEADS:
            remedy = f"it is made for {', '.join(sorted(HEADS))}"
        msg = f"{what}: nothing was started; {remedy}.".replace("linux_", "linux/").replace("darwin_", "darwin/")
        return {"failed": True, "changed": False, "error_code": "wrong_architecture", "msg": msg}


class ActionModule(ActionBase):
    """The door through which Ansible calls the module."""

    _supports_async = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Returns the module's result, or a failure that says why there is none."""
        result, variables = super().run(tmp, task_vars), task_vars or {}
        name, loader = self._task.action, self._shared_loader_obj.module_loader
        binaries = Binaries(name, loader.find_plugin_with_context(name, collection_list=self._task.collections).plugin_resolved_path)
        # A plain binary alone is tried without asking: asking would cost, and a failure says as much. Beside a wait it costs nothing.
        platform = self._platform(variables) if binaries.others or (binaries.plain and self._waits()) else binaries.plain
        self._binary = binaries.of(platform)
        if not self._binary:
            return result | binaries.missing(self._host(variables), platform)
        outcome = self._waiting(variables) if self._waits() else self._call(variables, wrap_async=bool(self._task.async_val))
        return result | self._plainly(outcome, binaries, variables)

    def _call(self, variables: dict[str, Any], **how: Any) -> dict[str, Any]:
        return self._execute_module(module_name=self._binary, task_vars=variables, **how)

    def _transfer_file(self, local_path: str, remote_path: str) -> str:
        """Brings a file to where Ansible wants it on the host: the binary from the login's copy, if there is one."""
        if self._connection.transport == "local" or not os.path.basename(remote_path).startswith("AnsiballZ_seqera_crypto_rotation"):
            return super()._transfer_file(local_path, remote_path)
        with open(local_path, "rb") as file:
            digest = hashlib.sha256(file.read()).hexdigest()
        said = self._store("use", remote_path, digest)
        if said != "done":
            super()._transfer_file(local_path, remote_path)
        if said == "absent":
            said = self._store("keep", remote_path, digest)
        if said == "unsafe":
            Display().warning("~/.seqera-crypto-rotation/bin of the login is a link, or others may write to it. It is not used: every call uploads the binary.")
        elif said != "done":
            Display().v("The login cannot keep the binary in ~/.seqera-crypto-rotation/bin: every call uploads it.")
        return remote_path

    def _store(self, action: str, path: str, digest: str) -> str:
        """Runs STORE as the login, without become, and returns its word; "" if it did not get that far."""
        said = self._low_level_execute_command(STORE.format(action=action, path=shlex.quote(path), digest=digest), sudoable=False).get("stdout", "")
        return next(iter(re.findall(r"seqera_crypto_rotation_store=(\w+)", said)), "")

    def _host(self, variables: dict[str, Any]) -> str:
        return str(self._task.delegate_to or variables.get("inventory_hostname"))

    def _platform(self, variables: dict[str, Any]) -> str:
        """Returns the host's platform as the binaries name it: known of this machine, of facts, or asked once in a run."""
        if self._connection.transport == "local":
            return platform_of(" ".join((os.uname().sysname, os.uname().machine)))
        host = self._host(variables)
        known = variables.get("ansible_delegated_vars", {}).get(host, {}) if self._task.delegate_to else variables
        facts = known.get("ansible_facts") or {}
        if "system" in facts and "architecture" in facts:
            return platform_of(f"{facts['system']} {facts['architecture']}")
        # Each task has a process of its own; what they share is this run's folder, which goes with the run.
        kept = os.path.join(constants.DEFAULT_LOCAL_TMP, f"platform-{hashlib.sha256(host.encode()).hexdigest()[:32]}")
        with contextlib.suppress(OSError), open(kept, encoding="utf-8") as file:
            return file.read()
        platform = platform_of(self._low_level_execute_command("uname -sm", sudoable=False).get("stdout", ""))
        if platform:
            with open(f"{kept}.{os.getpid()}", "w", encoding="utf-8") as file:
                file.write(platform)
            os.replace(file.name, kept)
        return platform

    def _plainly(self, outcome: dict[str, Any], binaries: Binaries, variables: dict[str, Any]) -> dict[str, Any]:
        """Says in a sentence that the host could not run the binary, where Ansible has but the shell's words."""
        said = " ".join(str(outcome.get(key, "")) for key in ("msg", "module_stdout", "module_stderr"))
        if outcome.get("failed") and (found := next(filter(None, (re.search(words, said) for words in MAY_NOT_RUN)), None)):
            return outcome | forbidden(self._host(variables), **found.groupdict())
        if not outcome.get("failed") or not any(words in said for words in CANNOT_RUN):
            return outcome
        platform = self._platform(variables)
        fits = binaries.of(platform) == self._binary  # then it is damaged, and the shell's words are the better ones
        return outcome if fits else outcome | binaries.missing(self._host(variables), platform)

    def _waits(self) -> bool:
        """Says whether lines are to be shown. What is no number of seconds the module refuses, better than this could."""
        args = self._task.args
        waits = args.get("state") == "rotating" and (args.get("wait") is None or boolean(args["wait"], strict=False))
        sound = None not in (seconds(args.get("wait_timeout"), 3600), seconds(args.get("poll_interval"), 5))
        return waits and sound and not self._task.check_mode and not self._task.async_val

    def _waiting(self, variables: dict[str, Any]) -> dict[str, Any]:
        """Runs the module in the background and shows what it says."""
        args = self._task.args
        timeout, pause = seconds(args.get("wait_timeout"), 3600), seconds(args.get("poll_interval"), 5)
        interval = seconds(self._templar.template(variables.get(INTERVAL)), 10)
        if interval is None:
            raise AnsibleActionFail(f"{INTERVAL} is a whole number of seconds. Nothing was started.")
        lines = Lines(str(variables.get("inventory_hostname")), interval, silent=bool(self._task.no_log))
        folder = self._async_dir()
        path = self._connection._shell.join_path(folder, f"progress-{secrets.token_hex(8)}")
        files = shlex.quote(path)
        self._task.async_val = limit = timeout + GRACE  # where async_wrapper takes its limit from
        try:
            job = self._call(variables, module_args=args | {"progress_file": path}, wrap_async=True)
            self._task.async_val = 0  # the task itself has none: its executor must not poll as well
            if "results_file" not in job:
                return job | {"failed": True, "changed": False}
            files += f" {shlex.quote(job['results_file'])}"
            return verdict(self._watch(path, job["results_file"], limit, pause, lines), limit)
        finally:
            self._task.async_val = 0
            with contextlib.suppress(Exception):
                self._low_level_execute_command(f"rm -f {files}")

    def _async_dir(self) -> str:
        """Returns where background jobs write, as async_wrapper finds it: below $HOME, which need not be what the user database says."""
        folder = self.get_shell_option("async_dir", default="~/.ansible_async")
        if folder.startswith("~/") and (said := self._low_level_execute_command('echo "$HOME"').get("stdout", "").split()):
            return self._connection._shell.join_path(said[-1], folder[2:])
        return self._remote_expand_user(folder)

    def _watch(self, path: str, results: str, limit: int, pause: int, lines: Lines) -> dict[str, Any]:
        """Returns what the background job left as its result; an empty one when the limit is over first.

        It reads the job's file itself: the module async_status is an upload of 180 KB and five commands for the same.
        """
        begun, last = time.monotonic(), {}
        deadline = begun + limit
        look = f"cat {shlex.quote(path)} 2>/dev/null; echo; echo {JOB}; cat {shlex.quote(results)} 2>/dev/null"
        while time.monotonic() < deadline:
            time.sleep(max(1, min(pause, SLOWEST)))
            try:
                said, there, job = self._low_level_execute_command(look).get("stdout", "").partition(JOB)
            except Exception as error:  # of whatever kind the connection's are, as async's own poll takes them
                lines.now_and_then(f"the machine cannot be asked, the module goes on, trying again: {str(error).strip()}")
                with contextlib.suppress(Exception):
                    self._connection.reset()
                continue
            if (news := read(said, "line")) and news != last:
                last = news
                lines.progress(news)
            status = read(job)
            if status and status.get("finished", True):  # the module's result has no such key
                return status
            if there and not status and time.monotonic() - begun >= LATE:
                return {"failed": True, "msg": "could not find job"}
            lines.silence(2 * pause)
        return {}


def forbidden(host: str, path: str, why: str) -> dict[str, Any]:
    """Returns a failure that says what to do where a host lets no program run from a directory."""
    msg = (
        f"{host} does not let the module run: {path}: {why}. Nothing was started. Cause: the directory is on a mount with noexec, or a list of allowed "
        "programs (fapolicyd, an EDR agent) does not have it. Set ansible_remote_tmp to a directory from which programs may run, then run again."
    )
    return {"failed": True, "changed": False, "error_code": "cannot_execute", "msg": msg}


def seconds(value: Any, default: int) -> int | None:
    """Takes an option as Ansible does, whose templates make strings of numbers; None if it is no whole number."""
    try:
        return default if value is None else int(value)
    except (TypeError, ValueError):
        return None


def platform_of(uname: str) -> str:
    """Returns what Go calls the platform of which `uname -sm` says "Linux x86_64", around which a login may have put words; "" if it does not."""
    found = re.findall(r"^[ \t]*(\w+) (\w+)\s*$", uname, re.MULTILINE)
    return f"{found[-1][0].lower()}_{MACHINES.get(found[-1][1], found[-1][1])}" if found else ""


def read(text: str, key: str = "") -> dict[str, Any]:
    """Returns the first object, of those with the key, in a text around which a login may have put its own words, and braces."""
    for begin in (at for at, letter in enumerate(text) if letter == "{"):
        with contextlib.suppress(ValueError):
            found, _end = json.JSONDecoder().raw_decode(text, begin)
            if not key or key in found:
                return found
    return {}


def verdict(status: dict[str, Any], limit: int) -> dict[str, Any]:
    """Returns the module's own result; a failure without an error_code is async's, and is told in plain words."""
    if status and ("error_code" in status or not status.get("failed")):
        return {key: value for key, value in status.items() if key not in NOISE}
    code, why = "interrupted", f"left no result: {status.get('msg')}."
    if not status or "child_pid" in status:
        code, why = "wait_timeout", f"did not end within {limit} s, longer than its wait_timeout, and was given up."
    elif str(status.get("msg")).startswith("Traceback"):
        why = "ended without a result: it was killed, or the machine is out of memory or was restarted."
    again = "It changes nothing in this state. Run the same playbook again: it goes on from here."
    result = {"failed": True, "changed": False, "msg": f"The module {why} {again}", "error_code": code}
    return result | {"module_stdout": status.get("data", ""), "module_stderr": status.get("stderr", "")}
