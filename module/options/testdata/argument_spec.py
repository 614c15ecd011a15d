"""Validate rows of options as a Python module with the same argument_spec would; JSON in, JSON out."""

import json
import os
import sys

from ansible.module_utils.basic import env_fallback
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.release import __version__


def spec(options):
    """An argument_spec of what JSON can say of one."""
    made = {}
    for name, option in options.items():
        made[name] = {key: value for key, value in option.items() if key not in ("env", "options")}
        if "env" in option:
            made[name]["fallback"] = (env_fallback, option["env"])
        if "options" in option:
            made[name]["options"] = spec(option["options"])
    return made


def given(options, values):
    """The values without what is unset, and without the aliases that Ansible leaves beside their options."""
    kept = {}
    for name, option in options.items():
        value = values.get(name)
        if value is not None:
            kept[name] = given(option["options"], value) if "options" in option else int(value) if option["type"] == "int" else value
    return kept


def answer(module, row):
    """What becomes of a row."""
    os.environ.clear()
    os.environ.update(row["env"] or {})
    try:
        result = ArgumentSpecValidator(spec(module["options"]), **module["needs"]).validate(row["given"])
    except TypeError as error:  # Ansible itself stumbles over some values of a dict with suboptions
        return {"refused": [str(error)]}
    if result.error_messages:
        return {"refused": result.error_messages}
    return {"values": given(module["options"], result.validated_parameters)}


table = json.load(sys.stdin)
answers = [answer(table["modules"][row["module"]], row) for row in table["rows"]]
print(json.dumps({"version": __version__, "answers": answers}, default=repr))
