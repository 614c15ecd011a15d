"""Writes every event of a run as ansible-runner does for AWX: the task with its arguments, and the whole result."""

import json
import os

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: events
type: aggregate
short_description: every event, a line each
description: Every event, a line each, in the file that EVENTS names.
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "events"
    CALLBACK_NEEDS_ENABLED = True

    def note(self, event, **data):
        with open(os.environ["EVENTS"], "a", encoding="utf-8") as file:
            file.write(json.dumps({"event": event} | data, default=str) + "\n")

    def v2_playbook_on_task_start(self, task, is_conditional):
        self.note("playbook_on_task_start", task=task.get_name(), args=None if task.no_log else task.args)

    def v2_playbook_on_stats(self, stats):
        self.note("playbook_on_stats", custom=stats.custom)

    def told(kind):
        def note(self, result, **_):
            self.note(kind, host=result._host.get_name(), task=result._task.get_name(), args=None if result._task.no_log else result._task.args, res=result._result)

        return note

    v2_runner_on_ok, v2_runner_on_failed, v2_runner_on_skipped = told("runner_on_ok"), told("runner_on_failed"), told("runner_on_skipped")
    v2_runner_on_unreachable, v2_runner_item_on_ok, v2_runner_retry = told("runner_on_unreachable"), told("runner_item_on_ok"), told("runner_retry")
    v2_runner_item_on_failed, v2_on_file_diff = told("runner_item_on_failed"), told("runner_on_file_diff")
