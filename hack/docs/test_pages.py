"""Runs every check on every page, runs the pages' quick commands, and checks claims.yml, the list of what proves each section."""

import json
import os
import re
import subprocess

import checks
import facts
import pytest
import yaml
from pages import ROOT, Page, all_pages, tracked

PAGES = all_pages()
CLAIMS = yaml.safe_load((ROOT / "hack" / "docs" / "claims.yml").read_text())
QUICK = [(page.path, command) for page in PAGES for block in page.blocks if "run" in block.comments for command in block.commands()]


def complain(problems):
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)


@pytest.mark.parametrize("check", [checks.links, checks.names, checks.commands, checks.figures])
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path)
def test_a_page_is_right(page, check):
    complain(check(page))


@pytest.mark.parametrize(("page", "command"), QUICK)
def test_a_quick_command_works(page, command):
    environ = os.environ | {"PATH": f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-euc", command], cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0 and done.stdout, done.stdout + done.stderr


def test_every_section_of_every_page_is_in_the_list_of_what_proves_it():
    """Decisions are not in the list, because they give reasons and not claims."""
    there = {page.path: {title for _, title in page.sections} for page in PAGES if not page.path.startswith("docs/decisions/")}
    listed = {path: there.get(path, set()) if "every section" in entry else {title for title in entry if title[0] != "…"} for path, entry in CLAIMS.items()}
    complain([f"claims.yml has no page {path}" for path in there.keys() - listed.keys()] + [f"there is no page {path}" for path in listed.keys() - there.keys()])
    complain([f"{path}: claims.yml and the page differ in the section {title!r}" for path in there for title in there[path] ^ listed[path]])


def test_every_claim_in_the_list_stands_on_its_page():
    texts = {page.path: page.text for page in PAGES}
    complain([f"{path} does not say: {claim[2:]}" for path, entry in CLAIMS.items() for claim in entry if claim[0] == "…" and claim[2:] not in texts[path]])


def test_every_place_in_the_list_exists():
    wrong = []
    for path, entry in CLAIMS.items():
        for title, places in entry.items():
            for place in places if isinstance(places, list) else [places]:
                if not re.match(r"no claim: .{8}", place) and (problem := facts.place(place)):
                    wrong.append(f"{path}, {title}: {problem}")
    complain(wrong)


def example(name):
    [host] = json.loads((ROOT / "docs" / "examples" / name).read_text())["hosts"]
    return host


def test_the_output_on_the_first_screen_is_that_of_a_run():
    [shown] = [block.text for block in Page("README.md").blocks if "report-check.json" in block.comments.get("figures", "")]
    steps = iter(example("report-check.json")["steps"])
    complain([f"README.md: the dry run has no step, or not in this place: {line}" for line in shown.splitlines() if line[3:-1] not in steps])


def test_the_sample_report_is_of_a_rotation_that_is_proved():
    """As docs/evidence.md reads it, and with the steps that its dry run showed."""
    host = example("report.json")
    proof = host["proof"]
    assert host["outcome"] == "done" and host["phase"] == "finalized" and host["steps"] == example("report-check.json")["steps"]
    assert proof["total"] == proof["proved"] + proof["rewritten"] == proof["before"]["total"] + proof["before"]["created"] - proof["before"]["removed"]
    assert (proof["previous"], proof["current"]) == (host["previous"], host["current"])
    assert proof["mac"] in (ROOT / "docs" / "examples" / "report.html").read_text()


def test_every_error_code_has_its_heading_and_every_heading_its_code():
    assert [title for level, title in Page("docs/errors.md").sections if level == 3] == facts.codes()


def test_every_error_code_is_met_in_a_test():
    """Either the code itself or the name of its Go constant is in a test."""
    source = (ROOT / "module" / "fault" / "fault.go").read_text()
    names = dict(re.findall(r'(Code\w+) +Code = "(\w+)"', source))
    tests = "\n".join(path.read_text() for pattern in ("module/**/*_test.go", "molecule/**/test_*.py") for path in ROOT.glob(pattern))
    complain([f"no test meets {code}" for name, code in names.items() if not re.search(rf"\b({name}|{code})\b", tests)])


def test_pages_that_messages_and_comments_send_to_exist():
    """If a heading follows in parentheses, it must also exist, as in: docs/errors.md (inconsistent)."""
    wrong = []
    for path in tracked():
        if path.endswith((".go", ".yml", ".j2", ".py", ".sh", "Makefile")) and not path.startswith("hack/docs/"):
            for page, heading in re.findall(r"\b(docs/[\w/-]+\.md)(?: \((\w+)\))?", (ROOT / path).read_text()):
                if page not in facts.files() or heading and heading not in Page(page).anchors:
                    wrong.append(f"{path}: {page} {heading}")
    complain(wrong)
