"""Shared by the tests of the built files: light installations for running them, and a control node that has nothing of the clone."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "molecule" / "sandbox"))

from lifecycle import moto, parameters  # noqa: E402  the path above makes it importable

DIST = ROOT / "build" / "dist"
NAME = "seqera_crypto_rotation"
PLATFORMS = ("darwin_amd64", "darwin_arm64", "linux_amd64", "linux_arm64")
VENV = ROOT / ".venv" / "bin"
SANDBOX = ROOT / "molecule" / "sandbox" / "sandbox"


def run(*argv, ok=True, **more):
    """Runs a command and returns the completed process. `ok`: True if it must succeed, False if it must fail, None if both are fine."""
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, **more)
    assert ok is None or (done.returncode == 0) == ok, f"{argv}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="session")
def emulator():
    """QEMU's user-mode emulation of arm64."""
    found = shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")
    assert found, "QEMU is missing; type:  hack/deps qemu"
    return found


@pytest.fixture(scope="session")
def ssm(tmp_path_factory):
    """An installation that exists only in SSM: the options that describe it, and the environment for reaching it."""
    folder = tmp_path_factory.mktemp("ssm")
    url = moto.start(folder, "127.0.0.1")["host"]
    try:
        options = {"app_name": "tower-release", "omnibus_parameter": "/release/omnibus"}
        parameters.seed_key(moto.SSM(url), *options.values())
        yield options, {
            "AWS_ENDPOINT_URL": url,
            "AWS_REGION": moto.REGION,
            "AWS_ACCESS_KEY_ID": moto.CREDENTIAL,
            "AWS_SECRET_ACCESS_KEY": moto.CREDENTIAL,
        }
    finally:
        moto.stop(folder)


@pytest.fixture(scope="session")
def light():
    """Two light installations. SSM and database are real; the VMs are stubs."""
    name = f"dist-{os.getpid()}"
    run(SANDBOX, "light-up", name, "--count", "2", "--records", "10")
    try:
        yield json.loads(run(SANDBOX, "light-env", name).stdout)
    finally:
        run(SANDBOX, "light-down", name)
