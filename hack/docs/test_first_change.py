"""Makes the first change of CONTRIBUTING.md: its test fails without the change and passes with it. The tree stays unchanged."""

import json
import re
import shlex
import subprocess

import pytest
from pages import ROOT, Page

PAGE = Page("CONTRIBUTING.md")
TEST, CHANGE = [block.text for block in PAGE.blocks if block.kind == "diff"]
[COMMAND] = [command for block in PAGE.blocks if block.comments.get("runs") == "hack/docs/test_first_change.py" for command in block.commands()]


def overlay(tmp_path, diffs):
    """Makes a file for `go test -overlay`, so that Go reads the changed files from tmp_path."""
    replaced = {}
    for diff in diffs:
        [path] = re.findall(r"^\+\+\+ b/(.+)$", diff, re.M)
        copy = tmp_path / path
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text((ROOT / path).read_text())
        subprocess.run(["git", "apply", "--unsafe-paths", "--directory", str(tmp_path), "-"], cwd="/", input=diff, text=True, check=True)
        replaced[str(ROOT / path)] = str(copy)
    listed = tmp_path / "overlay.json"
    listed.write_text(json.dumps({"Replace": replaced}))
    return listed


@pytest.mark.parametrize(("diffs", "code"), [([TEST], 1), ([TEST, CHANGE], 0)], ids=["red without the change", "green with it"])
def test_the_first_change(tmp_path, diffs, code):
    go, test, *rest = shlex.split(COMMAND)
    done = subprocess.run([go, test, f"-overlay={overlay(tmp_path, diffs)}", "-v", *rest], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == code, done.stdout + done.stderr
    assert f"--- {'FAIL' if code else 'PASS'}: TestAPostgreSQL" in done.stdout
