"""Does what the installer's 005_parameter_store.tf does. It stands in for Terraform, because package registries do not have the AWS
provider.

Like `aws_ssm_parameter` with `for_each`, it reads the omnibus and wants one SecureString per entry:

1. It refreshes the state: it forgets parameters that are gone, and takes the values in SSM.
2. It creates entries that are not in the state, with `Overwrite` as flag_overwrite_ssm_keys says.
3. It puts entries with another value, with the same `Overwrite`, because the installer sets it.
4. It deletes parameters that are no longer in the omnibus.

The state is a file with every key unencrypted, as Terraform's is.

    parameter_store.py plan|apply --omnibus NAME --state FILE [--overwrite]

It prints JSON: `changes` (of the plan) and `failed`. If a part of an apply failed, it exits 1. It prints no value.
"""

import argparse
import json
import os
import sys
from pathlib import Path

import boto3
from botocore.exceptions import ClientError


class Store:
    """SSM, as the provider uses it."""

    def __init__(self, overwrite):
        self.ssm, self.overwrite = boto3.client("ssm"), overwrite

    def read(self, name):
        try:
            return self.ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"]
        except self.ssm.exceptions.ParameterNotFound:
            return None

    def put(self, name, value):
        self.ssm.put_parameter(Name=name, Value=value, Type="SecureString", Overwrite=self.overwrite)

    def delete(self, name):
        try:
            self.ssm.delete_parameter(Name=name)
        except self.ssm.exceptions.ParameterNotFound:
            pass


def refreshed(store, state):
    """The state, updated from SSM."""
    found = {entry: {"name": known["name"], "value": store.read(known["name"])} for entry, known in state.items()}
    return {entry: known for entry, known in found.items() if known["value"] is not None}


def plan(wanted, state):
    """Pairs of action and entry, deletions first."""
    changes = [("delete", entry) for entry in state if entry not in wanted]
    for entry, want in wanted.items():
        if entry not in state:
            changes.append(("create", entry))
        elif state[entry]["name"] != want["name"]:
            changes.append(("replace", entry))
        elif state[entry]["value"] != want["value"]:
            changes.append(("update", entry))
    return changes


def apply(store, changes, wanted, state):
    """Carries out the changes one by one, as Terraform does. Returns those that failed."""
    failed = []
    for action, entry in changes:
        try:
            if action in ("delete", "replace"):
                store.delete(state.pop(entry)["name"])
            if action != "delete":
                store.put(**wanted[entry])
                state[entry] = wanted[entry]
        except ClientError as error:
            failed.append(f"{action} {entry}: {error.response['Error']['Code']}")
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("plan", "apply"))
    parser.add_argument("--omnibus", required=True)
    parser.add_argument("--state", required=True, type=Path)
    parser.add_argument("--overwrite", action="store_true", help="flag_overwrite_ssm_keys = true")
    options = parser.parse_args()

    store = Store(options.overwrite)
    wanted = {entry: {"name": want["ssm_key"], "value": want["value"]} for entry, want in json.loads(store.read(options.omnibus)).items()}
    state = refreshed(store, json.loads(options.state.read_text()) if options.state.exists() else {})
    changes = plan(wanted, state)
    failed = apply(store, changes, wanted, state) if options.command == "apply" else []
    if options.command == "apply":
        with open(os.open(options.state, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as out:
            json.dump(state, out, indent=2)
    print(json.dumps({"changes": [" ".join(change) for change in changes], "failed": failed}))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
