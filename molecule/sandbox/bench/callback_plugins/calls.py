"""Records when each module call on a managed host began and ended, one JSON line per call, in the file that BENCH_CALLS names."""

import json
import os
import time

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: calls
type: aggregate
short_description: module calls on managed hosts
description: [for make bench-outage]
"""
HERE = {"add_host", "assert", "debug", "fail", "group_by", "import_tasks", "include_role", "include_tasks", "include_vars", "meta", "set_fact", "validate_argument_spec"}


class CallbackModule(CallbackBase):
    """Counts only calls on the managed host, not tasks that run on the control node or are delegated to it."""

    CALLBACK_VERSION, CALLBACK_TYPE, CALLBACK_NAME, CALLBACK_NEEDS_ENABLED = 2.0, "aggregate", "calls", True

    def __init__(self):
        super().__init__()
        self.began = {}

    def v2_runner_on_start(self, host, task):
        self.began[task._uuid] = time.time()

    def v2_runner_on_ok(self, result):
        task = result._task
        if task.action.rpartition(".")[2] not in HERE and not task.delegate_to:
            with open(os.environ["BENCH_CALLS"], "a") as file:
                file.write(json.dumps({"task": task.get_name(), "module": task.action, "begin": self.began[task._uuid], "end": time.time()}) + "\n")
