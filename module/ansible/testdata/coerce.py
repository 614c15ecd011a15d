"""Coerce [type, JSON text] pairs, one a line, with Ansible's own functions; print its version, then the outcomes, one a line."""

import json
import sys
import warnings

from ansible.module_utils.common import validation
from ansible.release import __version__

warnings.simplefilter("ignore")
CHECKS = {
    "str": validation.check_type_str,
    "bool": validation.check_type_bool,
    "int": validation.check_type_int,
    "list": validation.check_type_list,
    "dict": validation.check_type_dict,
    "path": validation.check_type_path,
}

print(__version__)
for line in sys.stdin:
    kind, text = json.loads(line)
    try:
        outcome = {"value": CHECKS[kind](json.loads(text))}
        if kind == "int":
            outcome["value"] = int(outcome["value"])  # True is an int in Python
    except (TypeError, ValueError, OverflowError):
        outcome = {"refused": True}
    print(json.dumps(outcome, default=repr))
