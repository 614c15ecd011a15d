"""Renders the report and status pages with ansible and opens them in a browser. They must be valid, readable, and make no request."""

import json
import os
import pathlib
import shutil
import subprocess

import html5lib
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sample import HOSTILE, REPORTS, STATUSES

ROOT = pathlib.Path(__file__).resolve().parents[3]
TEMPLATES = ROOT / "roles" / "seqera_crypto_fleet" / "templates"
SHOTS = ROOT / "build" / "pages"
ALL = [("report", name) for name in REPORTS] + [("status", name) for name in STATUSES]


@pytest.fixture(scope="session")
def rendered(tmp_path_factory):
    """Every form of every sample, rendered by one run of ansible-playbook: {(kind, sample, form): text}."""
    tmp = tmp_path_factory.mktemp("pages")
    samples = {f"{kind}-{name}": (REPORTS if kind == "report" else STATUSES)[name] for kind, name in ALL}
    (tmp / "samples.json").write_text(json.dumps(samples))
    wanted = [f"{kind}-{name}.{form}" for kind, name in ALL for form in ("html", "txt", "json", *(["prom"] if kind == "status" else []))]
    task = {
        "ansible.builtin.template": {"src": f"{TEMPLATES}/{{{{ item.split('-') | first }}}}.{{{{ item.split('.') | last }}}}.j2", "dest": f"{tmp}/{{{{ item }}}}"},
        "loop": wanted,
        # Like the modules' results, these values are data and never templates.
        "vars": {key: "{{ (lookup('ansible.builtin.file', '%s/samples.json') | from_json)[item.split('.') | first] }}" % tmp
                 for key in ("seqera_crypto_rotation__report", "seqera_crypto_rotation__status")},
    }  # fmt: skip
    (tmp / "play.json").write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": [task]}]))
    done = subprocess.run([ROOT / ".venv" / "bin" / "ansible-playbook", tmp / "play.json"], cwd=tmp, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return {(*name.partition(".")[0].split("-"), name.split(".")[-1]): (tmp / name).read_text() for name in wanted}


@pytest.mark.parametrize("kind,name", ALL)
def test_a_page_is_valid_html(rendered, kind, name):
    html5lib.HTMLParser(strict=True).parse(rendered[kind, name, "html"])


@pytest.mark.parametrize("kind,name", [("report", "hostile"), ("status", "hostile")])
def test_what_the_data_say_stays_text(rendered, kind, name):
    page = html5lib.parse(rendered[kind, name, "html"], namespaceHTMLElements=False)
    assert len(page.findall(".//script")) == 1, "the data must not create an element"
    cells = ["".join(cell.itertext()) for cell in page.iter() if cell.tag in ("td", "th", "p", "dd", "h3", "code")]
    said = " ".join(HOSTILE.split())
    assert len([text for text in cells if said in " ".join(text.split())]) >= (5 if kind == "report" else 3)
    assert "{{ 1 + 1 }}" in rendered[kind, name, "txt"], "the data must not be evaluated as a template"


def test_the_metrics_are_what_prometheus_reads(rendered):
    families = {family.name: family for family in text_string_to_metric_families(rendered["status", "fleet", "prom"])}
    assert set(families) == {"seqera_crypto_rotation_" + name for name in (
        "up", "key_age_days", "due_in_days", "half_finished", "phase", "records", "escrow_ok", "status_timestamp_seconds"
    )}  # fmt: skip
    assert len(families["seqera_crypto_rotation_up"].samples) == 200
    known = [state for state in STATUSES["fleet"]["hosts"] if state["verdict"] != "unknown"]
    assert len(families["seqera_crypto_rotation_key_age_days"].samples) == len(known), "unknown ages must be left out"
    halves = {s.labels["host"] for s in families["seqera_crypto_rotation_half_finished"].samples if s.value == 1}
    assert halves == {s["host"] for s in known if s["verdict"] == "half_finished"}
    assert sum(s.value for s in families["seqera_crypto_rotation_phase"].samples) == len(known)
    [hostile] = [f for f in text_string_to_metric_families(rendered["status", "hostile", "prom"]) if f.name == "seqera_crypto_rotation_up"]
    assert hostile.samples[0].labels["host"] == HOSTILE


def test_the_text_begins_with_the_counts_and_the_failures(rendered):
    lines = rendered["report", "fleet", "txt"].splitlines()
    assert lines[0].startswith("Run 20261124T112000Z by alice@control: 200 hosts, 25 FAILED, 25 REFUSED")
    assert sum(": next: " in line for line in lines) == 50
    assert all(len(line) <= 130 for line in rendered["status", "fleet", "txt"].splitlines())


@pytest.fixture(scope="session")
def browser():
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if not program and os.environ.get("REAL_PARTS") == "required":
        pytest.fail("there is no chromium: hack/deps chromium")
    if not program:
        pytest.skip("there is no chromium: hack/deps chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as engine:
        one = engine.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield one
        one.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 375])
@pytest.mark.parametrize("kind,name", [("report", "fleet"), ("report", "hostile"), ("report", "dry"), ("status", "fleet")])
def test_a_page_reads_well_and_asks_nobody_anything(rendered, browser, kind, name, width, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True)
    page, asked = context.new_page(), []
    page.on("request", lambda request: asked.append(request.url))
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.set_content(rendered[kind, name, "html"])
    assert page.evaluate("document.documentElement.scrollWidth") <= width, "the page must not scroll sideways"
    # The checker looks at each element, so keep only a few of the 200 hosts.
    page.evaluate("document.querySelectorAll('#hosts tbody tr').forEach((row, i) => { if (i > 12) row.remove() })")
    page.evaluate("document.querySelectorAll('details').forEach((one, i) => { if (i > 6) one.remove(); else one.open = true })")
    found = axe.Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"{kind}-{name}-{width}-{scheme}.png", clip={"x": 0, "y": 0, "width": width, "height": 2400}, full_page=True)
    assert [url for url in asked if not url.startswith("data:")] == [] and errors == []
    context.close()


def test_rows_are_found_and_sorted(rendered, browser):
    context = browser.new_context()  # with the page's own content security policy
    page = context.new_page()
    page.set_content(rendered["status", "fleet", "html"])
    shown = page.locator("#hosts tbody tr:visible")
    assert shown.count() == 200
    page.select_option("#kind", "overdue")
    assert shown.count() == 40 and "40 of 200" in page.inner_text("#shown")
    page.fill("#find", "platform-012")
    assert shown.count() == 1
    page.fill("#find", "")
    page.select_option("#kind", "")
    ages = page.get_by_role("button", name="Key age, days")
    for direction in ("ascending", "descending"):
        ages.click()
        head = page.locator("#hosts th[aria-sort]")
        assert head.count() == 1 and head.get_attribute("aria-sort") == direction
        days = [int(text) for text in page.locator("#hosts tbody tr td:nth-child(6)").all_inner_texts() if text != "–"]
        assert days == sorted(days, reverse=direction == "descending")
    context.close()


def test_without_scripts_everything_is_there(rendered, browser):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.set_content(rendered["report", "fleet", "html"])
    assert page.locator("#hosts tbody tr").count() == 200
    assert not page.locator("#filters").is_visible(), "filters do not work without scripts, so they must be hidden"
    context.close()
