"""The binaries of all platforms: they are small, complete, and the same wherever they are built. The arm64 binary runs under emulation."""

import json
import os
import re
import shutil

import pytest
from conftest import DIST, NAME, PLATFORMS, ROOT, run

LIMIT = 12_000_000
HEADS = {"darwin_amd64": "cffaedfe07000001", "darwin_arm64": "cffaedfe0c000001", "linux_amd64": "3e00", "linux_arm64": "b700"}
BINARIES = {platform: DIST / f"{NAME}_{platform}" for platform in PLATFORMS}


def modules(path):
    """The Go modules that a binary lists."""
    return {tuple(line.split("\t")[2:4]) for line in run("go", "version", "-m", path).stdout.splitlines() if line.startswith("\tdep\t")}


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_binary_is_for_its_platform_small_and_free_of_the_machine_that_built_it(platform):
    content = BINARIES[platform].read_bytes()
    head = content[:8] if platform.startswith("darwin") else content[18:20]
    assert head.hex() == HEADS[platform]
    assert len(content) <= LIMIT
    for trace in (str(ROOT), os.path.expanduser("~/.cache"), os.path.expanduser("~/go/")):
        assert trace.encode() not in content


def test_the_checksums_cover_every_file_and_notice_a_changed_one(tmp_path):
    assert run("sha256sum", "--check", "--strict", "SHA256SUMS", cwd=DIST).stdout.count(": OK") == len(PLATFORMS) + 1
    copy = shutil.copytree(DIST, tmp_path / "dist")
    named = {line.split()[1] for line in (copy / "SHA256SUMS").read_text().splitlines()}
    assert named == {path.name for path in copy.iterdir()} - {"SHA256SUMS"}
    with (copy / f"{NAME}_linux_arm64").open("r+b") as file:
        file.seek(5_000_000)
        file.write(b"changed")
    assert f"{NAME}_linux_arm64: FAILED" in run("sha256sum", "--check", "SHA256SUMS", cwd=copy, ok=False).stdout


def test_the_bill_of_materials_names_every_module_of_every_binary_and_the_standard_library():
    bill = json.loads((DIST / f"{NAME}.cdx.json").read_text())
    assert bill["bomFormat"] == "CycloneDX" and bill["specVersion"] == "1.6"
    assert bill["metadata"]["component"]["version"] == f"v{release()}"
    named = {(one["name"], one["version"]): one for one in bill["components"]}
    for path in BINARIES.values():
        assert modules(path) <= named.keys()
    assert all(one["purl"].startswith("pkg:golang/") for one in named.values())
    assert ("std", run("go", "env", "GOVERSION").stdout.strip()) in named
    assert "timestamp" not in bill["metadata"] and "serialNumber" not in bill, "two builds must give the same bill"


def release():
    return re.search(r"^version: (\S+)$", (ROOT / "galaxy.yml").read_text(), re.MULTILINE).group(1)


def version(*command):
    said = run(*command, "--version").stdout
    found = re.fullmatch(rf"{NAME} (\S+) \(commit (\S+), (go1\S+), (\w+/\w+)\)\n", said)
    assert found, said
    return found.groups()


def test_another_folder_another_cache_and_another_time_give_the_same_bytes(tmp_path):
    source = tmp_path / "a clone elsewhere"
    for name in run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT).stdout.strip("\0").split("\0"):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    made, commit, *_ = version(BINARIES[f"{run('go', 'env', 'GOHOSTOS').stdout.strip()}_{run('go', 'env', 'GOHOSTARCH').stdout.strip()}"])
    environ = os.environ | {"GOCACHE": str(tmp_path / "cache"), "TZ": "Asia/Tokyo", "LC_ALL": "C"}
    wanted = os.environ.get("REPRODUCE", " ".join(PLATFORMS)).split()
    run("make", f"VERSION={made}+{commit}", *(f"build/dist/{NAME}_{platform}" for platform in wanted), cwd=source, env=environ)
    for platform in wanted:
        assert (source / "build" / "dist" / f"{NAME}_{platform}").read_bytes() == BINARIES[platform].read_bytes(), platform


def test_linux_arm64_runs_and_says_what_it_is(emulator):
    arm, schema = BINARIES["linux_arm64"], {}
    made, commit, _, platform = version(emulator, arm)
    assert (made, platform) == (release(), "linux/arm64") and re.fullmatch(r"[0-9a-f]{12}(-dirty)?|unknown", commit)
    assert version(BINARIES["linux_amd64"])[3] == "linux/amd64"
    for path in (arm, ROOT / "library" / f"{NAME}_info_linux_arm64"):
        schema = json.loads(run(emulator, path, "--schema").stdout)
        assert schema["title"] == path.name.removesuffix("_linux_arm64")
        assert schema == json.loads(run(str(path).replace("_arm64", "_amd64"), "--schema").stdout)


def test_linux_arm64_refuses_bad_options_with_one_json_object(emulator, tmp_path):
    arguments = tmp_path / "arguments"
    arguments.write_text(json.dumps({"state": "preparred", "app_name": "tower", "max_age_dais": 3}))
    done = run(emulator, BINARIES["linux_arm64"], arguments, ok=False)
    [line] = done.stdout.splitlines()
    answer = json.loads(line)
    assert answer["failed"] and not answer["changed"] and answer["error_code"] == "invalid_options" and done.stderr == ""
    assert "preparred" in answer["msg"] and "max_age_days" in answer["msg"]
    assert not arguments.exists()


def test_linux_arm64_reads_parameters_and_records_as_amd64_does(emulator, light, tmp_path):
    [host, _] = light["hosts"]
    options = {name: host[name] for name in ("app_name", "omnibus_parameter", "docker_host", "database")}
    answers = []
    for command in ([emulator, ROOT / "library" / f"{NAME}_info_linux_arm64"], [ROOT / "library" / f"{NAME}_info_linux_amd64"]):
        (tmp_path / "arguments").write_text(json.dumps(options | {"gather": ["parameters", "platform", "records"]}))
        answers.append(json.loads(run(*command, tmp_path / "arguments", env=os.environ | light["aws"]).stdout))
    arm, amd = answers
    assert arm["phase"] == "idle" and arm["records"]["total"] >= 10
    arm["platform"].pop("readiness"), amd["platform"].pop("readiness")  # contains the time of the call
    for what in ("phase", "fingerprints", "records", "platform"):
        assert arm[what] == amd[what], what
