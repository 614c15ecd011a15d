"""Runs the module of the same name with the binary for the host's platform, and shows the progress of a `state: rotating` that waits.

The module does the work. This plugin only chooses the binary and shows the module's progress. It starts the module in the background as
`async` would, so that a wait of an hour survives a lost connection. It reads the file to which the module writes its progress, and returns
the module's own result. Everything else (other states, `wait: false`, check mode, a task with its own `async`) is passed through.
It prints nothing under `no_log`. It never prints the module's arguments, because they may hold a password.

Ansible would upload 11 MB for every call, with eight commands. Instead, the user who runs the module keeps a copy on the host (see STORE).
A call is then a short script with the arguments. Ansible runs it like any module, with pipelining in one command.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import re
import secrets
import shlex
import time
from typing import Any

from ansible import constants
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

INTERVAL = "seqera_crypto_rotation__progress_interval"  # for tests: seconds between two lines of one host, 10 if not set
GRACE = 600  # seconds that the background job may take beyond the module's own wait_timeout
SLOWEST = 5  # at most this many seconds between two looks at the job
LATE = 60  # seconds after which a job without a file counts as gone; a busy machine writes the file late
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}  # from the name that uname uses to the name that Go uses, if they differ
# The first 20 bytes of each platform's binaries, as patterns. A script matches none and runs on any platform.
HEADS = {
    "linux_amd64": rb"\x7fELF\x02.{13}\x3e\x00",
    "linux_arm64": rb"\x7fELF\x02.{13}\xb7\x00",
    "darwin_amd64": rb"\xcf\xfa\xed\xfe\x07\x00\x00\x01",
    "darwin_arm64": rb"\xcf\xfa\xed\xfe\x0c\x00\x00\x01",
}
CANNOT_RUN = ("Exec format error", "Bad CPU type in executable")  # the messages of Linux and of macOS
# The message of a shell, and the one of async. The cause is a mount with noexec, or a list of allowed programs.
MAY_NOT_RUN = (
    r"(?P<path>[^\s'\x22]*/(?:AnsiballZ_|\.seqera-crypto-rotation/bin/\w+\.)seqera_crypto_rotation\w*): (?P<why>Operation not permitted|Permission denied)",
    r"(?P<why>Operation not permitted|Permission denied): b?'(?P<path>[^\s'\x22]*/AnsiballZ_seqera_crypto_rotation\w*)'",
)
# The copies are in ~/.seqera-crypto-rotation/bin, named by SHA-256 and module. The directory is used only if nobody else can write to it
# or to the home. The checksum is verified before each use. The script ends with its own result if it does not run the module.
STORE = r"""
said=absent; umask 077; top=$HOME/.seqera-crypto-rotation; bin=$top/bin; sum={digest}
ours() {{ [ -n "$(find "$1" -prune -user "$(id -u)" -type "$2" '(' -perm 700 -o -perm 2700 ')' 2>/dev/null)" ]; }}
others() {{ [ -L "$top" ] || [ -L "$bin" ] || [ -n "$(find "$HOME/." -prune '(' ! -user "$(id -u)" ! -user 0 -o -perm -020 -o -perm -002 ')' 2>/dev/null)" ]; }}
sound() {{ [ "$({{ sha256sum || shasum -a 256; }} 2>/dev/null <"$1" | cut -c 1-64)" = $sum ]; }}
known() {{ ! others && ours "$bin" d && ours "$bin/$sum.{module}" f && sound "$bin/$sum.{module}"; }}
{action}
echo "{{\"failed\": true, \"seqera_crypto_rotation_store\": \"$said\"}}"
"""
LOOK = "known && said=done"
USE = """if known; then exec "$bin/$sum.{module}" /dev/stdin <<'ARGUMENTS'
{arguments}
ARGUMENTS
fi"""
# Keeps what Ansible has uploaded, if it runs from both places, and removes other versions.
KEEP = r"""
if others; then said=unsafe
elif said=unusable; {path} --version && mkdir -p "$bin"; then
  if ! ours "$bin" d; then said=unsafe
  elif cd "$bin" && cp {path} .$$ && chmod 700 .$$ && sound .$$ && ./.$$ --version; then
    for module in seqera_crypto_rotation seqera_crypto_rotation_info; do ln .$$ .$$.$module && mv -f .$$.$module $sum.$module; done && said=done
    for old in [0-9a-f]*; do case $old in $sum.*) ;; *) rm -f "$old" ;; esac; done
  fi
  rm -f .$$ .$$.*; find . -name '.[0-9]*' -mtime +0 -exec rm -f {{}} +
fi >/dev/null 2>&1
"""
STORED = "seqera_crypto_rotation_store"  # the key of STORE's own result: absent, unsafe, unusable or done
JOB = "seqera_crypto_rotation_job"  # separates the two files that one look reads
NOISE = ("ansible_job_id", "started", "finished", "stderr", "stderr_lines")  # keys that async adds; a module that is run directly has none of them


class Lines:
    """What a user sees of one host: a progress line at intervals, and each new note at once."""

    def __init__(self, host: str, interval: float, silent: bool) -> None:
        self.host, self.interval, self.silent = host, interval, silent
        self.note, self.printed, self.heard = "", float("-inf"), time.monotonic()

    def progress(self, news: dict[str, Any]) -> None:
        """Shows what the module wrote. A report without figures, written during a look, does not end a note."""
        self.heard = time.monotonic()
        self.now_and_then(str(news.get("line") or ""))
        note = str(news.get("note") or "")
        if note and note != self.note:
            self._print(note)
        if note or news.get("progress"):
            self.note = note

    def silence(self, patience: float) -> None:
        """Prints a line if the module has not said anything for `patience` seconds or longer."""
        quiet = time.monotonic() - self.heard
        if quiet >= max(self.interval, patience):
            self.now_and_then(f"the module has not said anything for {quiet:.0f} s; waiting")

    def now_and_then(self, text: str) -> None:
        """Shows a line, unless the last one was shown less than an interval ago."""
        if text and time.monotonic() - self.printed >= self.interval:
            self.printed = time.monotonic()
            self._print(text)

    def _print(self, text: str) -> None:
        # A note may hold lines of a container's log, so control characters are removed.
        for line in [] if self.silent else text.splitlines():
            Display().display(f"{self.host}: {''.join(c if c.isprintable() else ' ' for c in line)}")


class Binaries:
    """The binaries of one module: the one with the plain name, and those next to it whose names end with a platform."""

    def __init__(self, name: str, path: str | None) -> None:
        self.name, self.plain = name, ""
        if path:
            with contextlib.suppress(OSError), open(path, "rb") as file:
                head = file.read(20)
                self.plain = next((platform for platform, begin in HEADS.items() if re.match(begin, head, re.DOTALL)), "")
        self.others = [platform for platform in HEADS if path and os.path.exists(f"{path}_{platform}")]

    def of(self, platform: str) -> str | None:
        """Returns the name of the binary for the platform. A script runs on any platform. If the platform is unknown, the plain binary is tried."""
        if self.plain in ("", platform) or not platform:
            return self.name
        return f"{self.name}_{platform}" if platform in self.others else None

    def missing(self, host: str, platform: str) -> dict[str, Any]:
        """Returns a failure that names the host's platform, the available binaries and what to do."""
        what = f"{host} is {platform}, but {self.name} is available only for {', '.join(sorted({self.plain, *self.others}))}"
        remedy = "Next: run `make dist` in the clone, or install the collection's file, which contains it"
        if platform not in HEADS:
            remedy = f"It is built only for {', '.join(sorted(HEADS))}"
        msg = f"{what}. Nothing was started. {remedy}.".replace("linux_", "linux/").replace("darwin_", "darwin/")
        return {"failed": True, "changed": False, "error_code": "wrong_architecture", "msg": msg}


class ActionModule(ActionBase):
    """The action that Ansible runs instead of calling the module directly."""

    _supports_async = True
    _path = _digest = ""  # of the binary that the host keeps; empty if it keeps none
    _uploaded = ""  # the file on the host to which this task has uploaded the binary
    _made = ""  # the temporary directory of this task on the host

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Returns the module's result, or a failure that says why there is none."""
        result, variables = super().run(tmp, task_vars), task_vars or {}
        try:
            return result | self._result(variables)
        except AnsibleConnectionFailure as error:
            if not self._task.delegate_to:
                raise
            # Otherwise the task's own host would count as unreachable, and no rescue would run.
            return result | {"failed": True, "msg": f"{self._host(variables)}, which the task is delegated to, cannot be used: {error}"}

    def _result(self, variables: dict[str, Any]) -> dict[str, Any]:
        name, loader = self._task.action, self._shared_loader_obj.module_loader
        plain = loader.find_plugin_with_context(name, collection_list=self._task.collections).plugin_resolved_path
        binaries = Binaries(name, plain)
        # A plain binary alone is tried without asking for the platform: asking costs time, and a failure shows the same. During a wait,
        # asking is cheap.
        platform = self._platform(variables) if binaries.others or (binaries.plain and self._waits()) else binaries.plain
        self._binary = binaries.of(platform)
        if not self._binary:
            return binaries.missing(self._host(variables), platform)
        if binaries.plain and self._connection.transport != "local":
            self._path = plain + self._binary.removeprefix(name)
            with open(self._path, "rb") as file:
                self._digest = hashlib.sha256(file.read()).hexdigest()
        outcome = self._waiting(variables) if self._waits() else self._call(variables, wrap_async=bool(self._task.async_val))
        return self._plainly(outcome, binaries, variables)

    def _call(self, variables: dict[str, Any], **how: Any) -> dict[str, Any]:
        """Runs the host's copy of the binary, which is uploaded if it is missing. Without a copy, Ansible uploads the binary for this call."""
        # The result of a background job would come too late to say that there is no copy.
        said = self._store(LOOK) if self._digest and how.get("wrap_async") else "done"
        outcome = self._execute_module(module_name=self._binary, task_vars=variables, **how) if said == "done" else {STORED: said}
        if outcome.get(STORED) == "absent":
            said = self._keep()
            outcome = self._execute_module(module_name=self._binary, task_vars=variables, **how) if said == "done" else {STORED: said}
        if STORED not in outcome:
            return outcome
        if outcome[STORED] == "unsafe":
            Display().warning("~/.seqera-crypto-rotation/bin or the home is a link, or others can write to it. It is not used: every call uploads the binary.")
        else:
            Display().v("The binary cannot be kept in ~/.seqera-crypto-rotation/bin: every call uploads it.")
        self._digest = ""
        return self._execute_module(module_name=self._binary, task_vars=variables, **how)

    def _configure_module(self, module_name: str, module_args: dict[str, Any], task_vars: dict[str, Any]) -> Any:
        """Replaces a binary by the script that runs the host's copy of it."""
        built = super()._configure_module(module_name=module_name, module_args=module_args, task_vars=task_vars)
        if not self._digest or module_name != self._binary:
            return built
        script = self._script(USE, arguments=json.dumps(module_args, default=str)).encode()
        if len(built) == 4:  # before ansible-core 2.19
            return "new", "#!/bin/sh", script, built[3]
        return dataclasses.replace(built[0], module_style="new", shebang="#!/bin/sh", b_module_data=script), built[1]

    def _keep(self) -> str:
        """Uploads the binary to where Ansible itself would, and has the host keep it. Returns what became of it."""
        folder = self._connection._shell.tmpdir or self._make_tmp_path()
        path = self._connection._shell.join_path(folder, f"AnsiballZ_{os.path.basename(self._path)}")
        self._transfer_file(self._path, path)
        self._fixup_perms2([folder, path])
        self._uploaded = path
        return self._store(KEEP, path=shlex.quote(path))

    def _make_tmp_path(self, remote_user: str | None = None) -> str:
        """Remembers the directory, because async forgets it."""
        self._made = super()._make_tmp_path(remote_user)
        return self._made

    def _transfer_file(self, local_path: str, remote_path: str) -> str:
        """Does not upload the binary twice in one task."""
        if (local_path, remote_path) == (self._path, self._uploaded):
            return remote_path
        self._uploaded = ""
        return super()._transfer_file(local_path, remote_path)

    def _store(self, action: str, **values: str) -> str:
        """Runs a script of STORE as the user who runs the module. Returns the word that it prints, or "absent" if it prints none."""
        return read(self._run_script(self._script(action, **values)), STORED).get(STORED, "absent")

    def _run_script(self, script: str) -> str:
        """Runs a script with the task's `environment`, as Ansible runs the module. HOME may differ from that of the login. Returns what it prints."""
        return self._low_level_execute_command(f"{self._compute_environment_string()} /bin/sh -c {shlex.quote(script)}").get("stdout", "")

    def _script(self, action: str, **values: str) -> str:
        return script(action, self._digest, self._task.action.rpartition(".")[2], **values)

    def _host(self, variables: dict[str, Any]) -> str:
        return str(self._task.delegate_to or variables.get("inventory_hostname"))

    def _platform(self, variables: dict[str, Any]) -> str:
        """Returns the host's platform, as in the binaries' names: from this machine, from facts, or from the host, which is asked once per run."""
        if self._connection.transport == "local":
            return platform_of(" ".join((os.uname().sysname, os.uname().machine)))
        host = self._host(variables)
        known = variables.get("ansible_delegated_vars", {}).get(host, {}) if self._task.delegate_to else variables
        facts = known.get("ansible_facts") or {}
        if "system" in facts and "architecture" in facts:
            return platform_of(f"{facts['system']} {facts['architecture']}")
        # Each task runs in its own process. The tasks share the answer through this run's temporary directory, which Ansible removes at the end.
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
        """Replaces the shell's error by a sentence if the host could not run the binary."""
        said = " ".join(str(outcome.get(key, "")) for key in ("msg", "module_stdout", "module_stderr"))
        if outcome.get("failed") and (found := next(filter(None, (re.search(words, said) for words in MAY_NOT_RUN)), None)):
            return outcome | forbidden(self._host(variables), **found.groupdict())
        if not outcome.get("failed") or not any(words in said for words in CANNOT_RUN):
            return outcome
        platform = self._platform(variables)
        fits = binaries.of(platform) == self._binary  # if it fits, it is damaged, and the shell's error says more
        return outcome if fits else outcome | binaries.missing(self._host(variables), platform)

    def _waits(self) -> bool:
        """Says whether to show lines. An invalid number of seconds is left to the module, which has the better message for it."""
        args = self._task.args
        waits = args.get("state") == "rotating" and (args.get("wait") is None or boolean(args["wait"], strict=False))
        sound = None not in (seconds(args.get("wait_timeout"), 3600), seconds(args.get("poll_interval"), 5))
        return waits and sound and not self._task.check_mode and not self._task.async_val

    def _waiting(self, variables: dict[str, Any]) -> dict[str, Any]:
        """Runs the module in the background and shows its progress."""
        args = self._task.args
        timeout, pause = seconds(args.get("wait_timeout"), 3600), seconds(args.get("poll_interval"), 5)
        interval = seconds(self._templar.template(variables.get(INTERVAL)), 10)
        if interval is None:
            raise AnsibleActionFail(f"{INTERVAL} must be a whole number of seconds. Nothing was started.")
        lines = Lines(str(variables.get("inventory_hostname")), interval, silent=bool(self._task.no_log))
        folder = self._async_dir()
        path = self._connection._shell.join_path(folder, f"progress-{secrets.token_hex(8)}")
        files = shlex.quote(path)
        self._task.async_val = limit = timeout + GRACE  # from which async_wrapper takes its limit
        try:
            job = self._call(variables, module_args=args | {"progress_file": path}, wrap_async=True)
            self._task.async_val = 0  # otherwise the task's executor would poll too
            if "results_file" not in job:
                return job | {"failed": True, "changed": False}
            files += f" {shlex.quote(job['results_file'])}"
            return verdict(self._watch(path, job["results_file"], limit, pause, lines), limit)
        finally:
            self._task.async_val = 0
            with contextlib.suppress(Exception):
                self._low_level_execute_command(f"rm -f {files}")
                # async_wrapper would remove the arguments only after up to 5 s.
                if self._made and not constants.DEFAULT_KEEP_REMOTE_FILES:
                    self._remove_tmp_path(self._made, force=True)

    def _async_dir(self) -> str:
        """Returns the directory of background jobs as async_wrapper finds it: below $HOME, which may differ from the user database."""
        folder = self.get_shell_option("async_dir", default="~/.ansible_async")
        if folder.startswith("~/") and (said := self._run_script('echo "$HOME"').split()):
            return self._connection._shell.join_path(said[-1], folder[2:])
        return self._remote_expand_user(folder)

    def _watch(self, path: str, results: str, limit: int, pause: int, lines: Lines) -> dict[str, Any]:
        """Returns the result of the background job, or an empty one if the limit is over first.

        It reads the job's file itself. The module async_status would take an upload of 180 KB and five commands for the same.
        """
        begun, last = time.monotonic(), {}
        deadline = begun + limit
        look = f"cat {shlex.quote(path)} 2>/dev/null; echo; echo {JOB}; cat {shlex.quote(results)} 2>/dev/null"
        while (now := time.monotonic()) < deadline:
            # A job that ends at once, as in a second run, is seen at once.
            time.sleep(min(max(0.2, now - begun), max(1, min(pause, SLOWEST))))
            try:
                said, there, job = self._low_level_execute_command(look).get("stdout", "").partition(JOB)
            except Exception as error:  # connection plugins raise errors of any type; async's own poll catches them all too
                lines.now_and_then(f"cannot reach the machine, where the module keeps running; trying again: {str(error).strip()}")
                with contextlib.suppress(Exception):
                    self._connection.reset()
                continue
            if (news := read(said, "line")) and news != last:
                last = news
                lines.progress(news)
            status = read(job)
            if status and status.get("finished", True):  # the module's own result has no key `finished`
                return status
            if there and not status and time.monotonic() - begun >= LATE:
                return {"failed": True, "msg": "could not find job"}
            lines.silence(2 * pause)
        return {}


def script(action: str, digest: str, module: str, **values: str) -> str:
    """Returns the shell script that does an action (LOOK, USE or KEEP) on a host's copy of the module."""
    return "#!/bin/sh" + STORE.format(digest=digest, module=module, action=action.format(module=module, **values))


def forbidden(host: str, path: str, why: str) -> dict[str, Any]:
    """Returns a failure for a host that lets no program run from a directory. It says what to do."""
    msg = (
        f"{host} does not let the module run: {path}: {why}. Nothing was started. Cause: the directory is on a mount with noexec, or a list of allowed "
        "programs (fapolicyd, an EDR agent) does not include it. Next: set ansible_remote_tmp to a directory from which programs may run, and run again."
    )
    return {"failed": True, "changed": False, "error_code": "cannot_execute", "msg": msg}


def seconds(value: Any, default: int) -> int | None:
    """Converts an option as Ansible does, because templates turn numbers into strings. Returns None if it is not a whole number."""
    try:
        return default if value is None else int(value)
    except (TypeError, ValueError):
        return None


def platform_of(uname: str) -> str:
    """Returns Go's name of the platform for the output of `uname -sm`, to which a login may have added text; "" if there is none."""
    found = re.findall(r"^[ \t]*(\w+) (\w+)\s*$", uname, re.MULTILINE)
    return f"{found[-1][0].lower()}_{MACHINES.get(found[-1][1], found[-1][1])}" if found else ""


def read(text: str, key: str = "") -> dict[str, Any]:
    """Returns the first JSON object with the key in a text to which a login may have added its own words and braces."""
    for begin in (at for at, letter in enumerate(text) if letter == "{"):
        with contextlib.suppress(ValueError):
            found, _end = json.JSONDecoder().raw_decode(text, begin)
            if not key or key in found:
                return found
    return {}


def verdict(status: dict[str, Any], limit: int) -> dict[str, Any]:
    """Returns the module's own result. A failure without an error_code comes from async, and gets a plain message."""
    if status and ("error_code" in status or not status.get("failed")):
        return {key: value for key, value in status.items() if key not in NOISE}
    code, why = "interrupted", f"left no result: {status.get('msg')}."
    if not status or "child_pid" in status:
        code, why = "wait_timeout", f"did not end within {limit} s, which is longer than its wait_timeout, so waiting for it ended."
    elif str(status.get("msg")).startswith("Traceback"):
        why = "ended without a result: it was killed, or the machine ran out of memory or was restarted."
    again = "It changes nothing in this state. Run the same playbook again: it continues from here."
    result = {"failed": True, "changed": False, "msg": f"The module {why} {again}", "error_code": code}
    return result | {"module_stdout": status.get("data", ""), "module_stderr": status.get("stderr", "")}
