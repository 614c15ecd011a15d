"""Runs the module of the same name and, while `state: rotating` waits, shows how far it is.

The module works; this only carries its words. It starts the module in the background as `async` would, so that a wait of
an hour outlives a lost connection, reads the file in which the module says how far it is, and returns the module's own
result. Everything else (other states, `wait: false`, check mode, a task with an `async` of its own) is handed through.
It prints nothing under `no_log`, and of the module's arguments nothing at all: they may hold a password.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import shlex
import time
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

INTERVAL = "seqera_crypto_rotation_progress_interval"  # variable: seconds between two lines of one host, 30 if not set
GRACE = 600  # seconds that the background job has beyond the module's own wait_timeout
SLOWEST = 5  # seconds between two looks, at most
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


class ActionModule(ActionBase):
    """The door through which Ansible calls the module."""

    _supports_async = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Returns the module's result, or a failure that says why there is none."""
        result, args, variables = super().run(tmp, task_vars), self._task.args, task_vars or {}
        timeout, pause = seconds(args.get("wait_timeout"), 3600), seconds(args.get("poll_interval"), 5)
        waits = args.get("state") == "rotating" and (args.get("wait") is None or boolean(args["wait"], strict=False))
        # What is no number of seconds the module refuses, better than this could.
        if not waits or self._task.check_mode or self._task.async_val or timeout is None or pause is None:
            return result | self._execute_module(task_vars=task_vars, wrap_async=bool(self._task.async_val))

        interval = seconds(self._templar.template(variables.get(INTERVAL)), 30)
        if interval is None:
            raise AnsibleActionFail(f"{INTERVAL} is a whole number of seconds. Nothing was started.")
        lines = Lines(str(variables.get("inventory_hostname")), interval, silent=bool(self._task.no_log))
        folder = self._remote_expand_user(self.get_shell_option("async_dir", default="~/.ansible_async"))
        path = self._connection._shell.join_path(folder, f"progress-{secrets.token_hex(8)}")
        self._task.async_val = limit = timeout + GRACE  # where async_wrapper takes its limit from
        try:
            job = self._execute_module(module_args=args | {"progress_file": path}, task_vars=task_vars, wrap_async=True)
            self._task.async_val = 0  # the task itself has none: its executor must not poll as well
            if "ansible_job_id" not in job:
                return result | job | {"failed": True, "changed": False}
            args = {"jid": job["ansible_job_id"], "_async_dir": folder}
            ask = {"module_name": "ansible.legacy.async_status", "module_args": args, "task_vars": task_vars}
            return result | verdict(self._watch(ask, path, limit, pause, lines), limit)
        finally:
            self._task.async_val = 0
            with contextlib.suppress(Exception):
                self._low_level_execute_command(self._connection._shell.remove(path))

    def _watch(self, ask: dict[str, Any], path: str, limit: int, pause: int, lines: Lines) -> dict[str, Any]:
        """Returns what async_status says once the job is over; an empty result when the limit is over first."""
        deadline, last = time.monotonic() + limit, ""
        while time.monotonic() < deadline:
            time.sleep(max(1, min(pause, SLOWEST)))
            try:
                said = self._low_level_execute_command(f"cat {shlex.quote(path)} 2>/dev/null").get("stdout", "")
                if said != last and (news := read(said)):
                    last = said
                    lines.progress(news)
                    continue  # who writes is alive; asking async_status takes several commands
                status = self._execute_module(**ask)
            except Exception as error:  # of whatever kind the connection's are, as async's own poll takes them
                lines.now_and_then(f"the machine cannot be asked, the module goes on, trying again: {str(error).strip()}")
                with contextlib.suppress(Exception):
                    self._connection.reset()
                continue
            if status.get("_ansible_parsed") and (status.get("finished") or status.get("failed")):
                with contextlib.suppress(Exception):
                    self._execute_module(**ask | {"module_args": ask["module_args"] | {"mode": "cleanup"}})
                return status
            lines.silence(2 * pause)
        return {}


def seconds(value: Any, default: int) -> int | None:
    """Takes an option as Ansible does, whose templates make strings of numbers; None if it is no whole number."""
    try:
        return default if value is None else int(value)
    except (TypeError, ValueError):
        return None


def read(text: str) -> dict[str, Any]:
    """Returns what the module wrote, around which a login may have put words of its own, and braces."""
    for begin in (at for at, letter in enumerate(text) if letter == "{"):
        with contextlib.suppress(ValueError):
            found, _ = json.JSONDecoder().raw_decode(text, begin)
            if "line" in found:
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
