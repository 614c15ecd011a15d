"""The targets, files, options, variables, codes and tests that a page may name, read from their definitions."""

import fnmatch
import functools
import re

import yaml
from pages import ROOT, tracked

ROLES = [ROOT / "roles" / name for name in ("seqera_crypto_rotation", "seqera_crypto_fleet")]
MODULES = ("seqera_crypto_rotation", "seqera_crypto_rotation_info")
# Files that a run or a build makes. They are never committed.
MADE = re.compile(r"^(library/seqera_crypto_rotation(_info)?|build/.*|reports(/.*)?|\.venv/.*|\.tools/.*|\.config/.*)$")


@functools.cache
def files():
    found = set(tracked())
    return found | {parent.as_posix() for path in found for parent in (ROOT / path).relative_to(ROOT).parents}


@functools.cache
def left_out():
    """The files that are in the repository but not in the collection's file."""
    ignored = yaml.safe_load((ROOT / "galaxy.yml").read_text())["build_ignore"]
    return {path for path in files() for one in ignored if fnmatch.fnmatch(path, one) or path.startswith(f"{one}/")}


@functools.cache
def targets():
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))


@functools.cache
def installed():
    """Names in the collection's namespace: playbooks, modules, roles, the group of defaults."""
    return {path.stem for path in (ROOT / "playbooks").glob("*.yml")} | set(MODULES) | {role.name for role in ROLES} | {"rotation"}


@functools.cache
def release():
    return re.search(r"^version: (\S+)$", (ROOT / "galaxy.yml").read_text(), re.M).group(1)


@functools.cache
def codes():
    return re.findall(r'Code = "(\w+)"', (ROOT / "module" / "fault" / "fault.go").read_text())


@functools.cache
def variables():
    """Variables of the roles, their playbooks, results and metrics."""
    entries = [entry for role in ROLES for entry in yaml.safe_load((role / "meta" / "argument_specs.yml").read_text())["argument_specs"].values()]
    found = {name for entry in entries for name in entry.get("options", {})} | set(MODULES)
    found |= set(re.findall(r"# TYPE (\w+)", (ROLES[1] / "templates" / "status.prom.j2").read_text()))
    for path in sorted((ROOT / "playbooks").glob("*.yml")) + [path for role in ROLES for path in sorted((role / "tasks").glob("*.yml"))]:
        found |= set(re.findall(r"\bseqera_crypto_\w+", path.read_text()))
    return found


@functools.cache
def words():
    """All names with an underscore: codes, and words of the modules' documentation, the roles, the playbooks and the results."""
    found = set(codes()) | {name.removeprefix("seqera_crypto_rotation_") for name in variables()}
    for path in [path for folder in ("library", "playbooks", "roles") for path in (ROOT / folder).rglob("*.yml")]:
        found |= set(re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", path.read_text()))
    for path in (ROOT / "module").rglob("*.go"):
        found |= set(re.findall(r'json:"([a-z_]+)', path.read_text()))
    return found


def place(text):
    """The problem with a place where something is tested or measured, or None."""
    if text.startswith("documented by "):
        return None
    if text.startswith("make "):
        return None if text.split()[1] in targets() else f"there is no target {text}"
    path, _, name = text.partition("::")
    if path not in files():
        return f"there is no file {path}"
    if name and not re.search(rf"\b{re.escape(name)}\b", (ROOT / path).read_text()):
        return f"{path} has no {name}"
    return None
