"""The examples for AWX and schedulers name only existing options, defaults and playbooks."""

import configparser
import json
import re

import yaml
from conftest import ROOT

ROLES = [ROOT / "roles" / name for name in ("seqera_crypto_rotation", "seqera_crypto_fleet")]
SPECS = [entry for role in ROLES for entry in yaml.safe_load((role / "meta" / "argument_specs.yml").read_text())["argument_specs"].values()]
OPTIONS = {name: option for entry in SPECS for name, option in entry.get("options", {}).items()}
DEFAULTS = {name: value for role in ROLES for name, value in yaml.safe_load((role / "defaults" / "main.yml").read_text()).items()}
OF_THE_PLAYS = {"seqera_crypto_rotation_hosts", "seqera_crypto_rotation_serial", "seqera_crypto_rotation_strategy"}


def test_the_survey_asks_for_options_that_there_are_and_offers_their_defaults():
    for question in json.loads((ROOT / "docs" / "examples" / "awx-survey.json").read_text())["spec"]:
        name = question["variable"]
        if name in OF_THE_PLAYS:
            continue
        assert question.get("choices", OPTIONS[name].get("choices")) == OPTIONS[name].get("choices")
        assert question["type"] == {"int": "integer", "list": "text", "str": "multiplechoice" if "choices" in question else "text"}[OPTIONS[name]["type"]]
        if question["required"]:
            assert question["default"] == DEFAULTS[name] == OPTIONS[name]["default"]


def test_every_default_is_declared_and_is_the_declared_one():
    for name, value in DEFAULTS.items():
        assert name in OPTIONS, name
        assert OPTIONS[name].get("default", value) == value, name


def test_the_units_of_systemd_run_the_playbook_that_there_is():
    units = {}
    for kind in ("service", "timer"):
        units[kind] = configparser.ConfigParser(interpolation=None)
        units[kind].optionxform = str
        units[kind].read(ROOT / "docs" / "examples" / f"crypto-status.{kind}")
    command = units["service"]["Service"]["ExecStart"]
    assert (ROOT / "playbooks" / re.sub(r".* seqera_tools\.crypto_rotation\.(\w+) .*", r"\1.yml", command)).exists()
    assert set(json.loads(re.search(r"'(.*)'", command).group(1))) <= set(OPTIONS)
    assert units["timer"]["Timer"]["OnCalendar"]
