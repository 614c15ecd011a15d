"""What the installer's 005_parameter_store.tf does, by a small program: the AWS provider that Terraform needs for it cannot be
had from a package registry.

It reads the omnibus and wants one SecureString per entry (`for_each`), as `aws_ssm_parameter` does: a refresh first, which forgets
what is gone and takes the values that are there; then what is not in the state is created, with `Overwrite` as
flag_overwrite_ssm_keys says; what has another value is put, with the same `Overwrite`, because the installer sets it; what is no
longer in the omnibus is deleted. The state is a file with every key in clear, as Terraform's is.

    parameter_store.py plan|apply --omnibus NAME --state FILE [--overwrite]

prints JSON: `changes` (of the plan) and `failed`; an apply of which something failed exits 1. No value is printed.
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
    """The state as the world has it now."""
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
    """Carries the changes out, each for itself as Terraform does; gives those that failed."""
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
