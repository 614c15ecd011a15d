"""A connection to this machine that makes it look like a machine of another platform. It is linked into a test's connection_plugins.

Host variables set the answer to `uname -sm`, and the program that runs binaries for that platform (QEMU's user-mode emulation).
Without that program, binaries run directly. The connection records each `uname`, so that a test can count them.
"""

import re

from ansible.plugins.connection.local import Connection as Local

DOCUMENTATION = """
name: foreign
short_description: this machine, as one of another platform
description: of the tests
version_added: "1"
author: the tests
options:
  host: {description: its name, vars: [{name: inventory_hostname}, {name: ansible_host}]}
  uname: {description: what uname says, required: true, vars: [{name: foreign_uname}]}
  asked: {description: where each question is noted, required: true, vars: [{name: foreign_asked}]}
  refuses: {description: what its shell says instead of running its programs, default: "", vars: [{name: foreign_refuses}]}
  runner: {description: what runs its programs, default: "", vars: [{name: foreign_runner}]}
"""


class Connection(Local):
    """The local connection, with another answer to `uname`."""

    transport = "foreign"

    def exec_command(self, cmd, in_data=None, sudoable=True):
        """Runs a command as the other machine would."""
        if "uname -sm" in cmd:
            with open(self.get_option("asked"), "a", encoding="utf-8") as file:
                file.write(f"{self.get_option('host')}\n")
            return 0, f"Last login: today\r\n{self.get_option('uname')}\r\n".encode(), b""
        refuses, program = self.get_option("refuses"), re.search(r"[^\s'\"]*/AnsiballZ_seqera\w*", cmd)
        if refuses and program and "chmod" not in cmd:
            return 126, b"", f"/bin/sh: line 1: {program[0]}: {refuses}\n".encode()
        runner = self.get_option("runner")
        # Without pipelining the file may be the script that looks for a copy, which any platform runs.
        binary = r"(-c '(?:[^']*? )??)(?<=[' ])(?<!/bin/sh )(\S*/AnsiballZ_seqera\w* )"
        return super().exec_command(re.sub(binary, rf"\1{runner} \2", cmd) if runner else cmd, in_data, sudoable)
