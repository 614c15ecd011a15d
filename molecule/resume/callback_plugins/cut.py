"""Kills ansible-playbook and its process group when the task begins whose name is in CUT_AT. This simulates a lost control node."""

import os
import signal

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: cut
type: aggregate
short_description: Dies as a task begins
description: Kills ansible-playbook, with its process group, as the task begins whose name the environment's CUT_AT holds.
"""


class CallbackModule(CallbackBase):
    """This is a callback, because a callback sees each task before Ansible does anything for it."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "cut"
    CALLBACK_NEEDS_ENABLED = True

    def v2_playbook_on_task_start(self, task, is_conditional):
        if task.get_name().endswith(os.environ["CUT_AT"]):
            os.killpg(0, signal.SIGKILL)
