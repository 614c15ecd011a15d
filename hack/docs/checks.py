"""Checks of a page. Each check takes a page and returns a list of problems, one sentence each."""

import json
import os
import re
from urllib.parse import urlsplit

import facts
import yaml
from pages import ROOT, Page

# The only external hosts that pages may link to. The check does not contact them, so it needs no network.
HOSTS = {"docs.seqera.io", "keepachangelog.com", "semver.org"}
# Names with an underscore that belong to others: the Platform, AWS, Docker, Ansible (whose variables begin with ansible_), Prometheus.
FOREIGN = set(
    """awx_user_name become_user community.docker depends_on docker_compose_v2_run flag_overwrite_ssm_keys flag_vm_copy_files_to_instance skip_name_resolve http_proxy for_each group_by
    group_vars host_pinned inventory_dir include_role max_execution_time max_statement_time no_log remote_tmp run_once service_completed_successfully set_stats
    ssm_key ssm_parameter tw_credentials tw_secret user_id tower_dev aws_ssm_parameter any_errors_fatal delegate_to module_defaults action_groups ssh_config""".split()
)
UNIT = r"(?:ms|s|seconds?|minutes?|hours?|kB|KB|MB|MiB|GB|bytes?|%|times|records?|derivations?|reads?|writes?|puts?|calls?|of \d+)"
FIGURE = re.compile(rf"(?<![\w./-])\d[\d,.]* ?{UNIT}(?![\w-])|\bratio \d")


def links(page):
    found = []
    for block in page.blocks:
        for link in block.links:
            parts = urlsplit(link)
            if parts.scheme:
                if parts.hostname not in HOSTS:
                    found.append(f"{where(page, block)}: {link} leads to a host that is not in HOSTS")
                continue
            path = os.path.normpath(os.path.join(os.path.dirname(page.path), parts.path)) if parts.path else page.path
            if path not in facts.files() | {page.path}:
                found.append(f"{where(page, block)}: {link} leads nowhere")
            elif path in facts.left_out() and page.path not in facts.left_out():
                found.append(f"{where(page, block)}: {link}: {path} is not in the collection's file")
            elif parts.fragment and parts.fragment not in (page if path == page.path else Page(path)).anchors:
                found.append(f"{where(page, block)}: {link}: {path} has no such heading")
    return found


def names(page):
    """Targets, files, variables, options and codes that a page names must exist."""
    found = []
    for block in page.blocks:
        code = block.spans if block.kind == "text" else [block.text]
        for text in code:
            wrong = [f"target make {name}" for name in re.findall(r"\bmake ([a-z][a-z-]*)", text) if name not in facts.targets()]
            wrong += [f"variable {name}" for name in re.findall(r"\bseqera_crypto_\w+", text) if name not in facts.variables()]
            wrong += [f"file {name}" for name in paths(text) if name not in facts.files() and not facts.MADE.match(name)]
            wrong += [f"playbook or module {name}" for name in re.findall(r"\bseqera_tools\.crypto_rotation\.(\w+)", text) if name not in facts.installed()]
            wrong += [f"release {name}" for name in re.findall(r"seqera_tools-crypto_rotation-(\d[\d.]*)\.tar", text) if name != facts.release()]
            if block.kind == "text" and re.fullmatch(r"(?!seqera_crypto_|ansible_)[a-z]+(_[a-z]+)+(: .*)?", text):
                name = text.split(":")[0]
                wrong += [f"option, result or code {name}"] if name not in facts.words() | FOREIGN else []
            found += [f"{where(page, block)}: there is no {what}" for what in wrong]
    return found


def paths(text):
    """The words that look like a path of this repository."""
    ours = r"(?:docs|playbooks|library|module|molecule|roles|hack)/[\w./-]*\w"
    bare = [f"playbooks/{name}" for name in re.findall(r"(?<![\w/.-])([a-z-]+-crypto\.yml)", text)]
    return re.findall(rf"(?<![\w./<-])({ours})(?![\w<*{{…-])", text) + bare


def commands(page):
    """Each block of code must have a language. Each block of commands must name what runs it."""
    found = []
    for block in page.blocks:
        if block.kind == "text":
            continue
        if not block.kind or block.kind in ("sh", "bash", "shell"):
            found.append(f"{where(page, block)}: a block of code needs a language: console for commands, text for what is shown")
        if block.kind in ("json", "yaml"):
            found += [f"{where(page, block)}: {problem}" for problem in parsed(block)]
        if block.kind == "console":
            found += [f"{where(page, block)}: {problem}" for problem in marked(block)]
    return found


def parsed(block):
    try:
        (json.loads if block.kind == "json" else yaml.safe_load)(block.text)
    except ValueError as error:
        return [f"not JSON: {error}"]
    except yaml.YAMLError as error:
        return [f"not YAML: {error}"]
    return []


def marked(block):
    if not block.commands():
        return ["a block of the language console has no line that begins with '$ '"]
    said = [name for name in ("run", "runs", "not run") if name in block.comments]
    if len(said) != 1:
        return ["commands need one comment before them: run, runs: PLACE, or not run: WHY"]
    value = block.comments[said[0]]
    if said[0] == "run":
        return []
    if said[0] == "not run":
        return [] if len(value) > 10 else ["the comment 'not run' needs a reason"]
    wrong = facts.place(value)
    if wrong:
        return [wrong]
    path = value.partition("::")[0]
    if value.startswith("make ") or "run_by(" in (text := (ROOT / path).read_text()):
        return []
    said = " ".join(block.commands()).replace("-i inventory.yml", "")
    subjects = re.findall(r"[\w-]+\.yml|(?<=make )[a-z-]+|hack/\w+|(?<=seqera_tools\.crypto_rotation\.)\w+", said)
    return [f"{path} does not run {subject}" for subject in subjects if subject not in text and subject.replace("_", "-") not in text]


def figures(page):
    """Each figure must name its source. Generated pages are skipped."""
    if "<!-- Generated by `make " in page.text:
        return []
    found = []
    for block in page.blocks:
        said = block.comments.get("figures")
        if said:
            found += [f"{where(page, block)}: {wrong}" for one in said.split("; ") if (wrong := facts.place(one))]
        elif block.kind == "text" and (figure := FIGURE.search(re.sub(r"`[^`]*`", "", block.text))):
            found.append(f"{where(page, block)}: where does the figure {figure.group()!r} come from?")
    return found


def where(page, block):
    return f"{page.path}:{block.line}"
