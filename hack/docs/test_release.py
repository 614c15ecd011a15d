"""Makes a release folder as `make release` does, signs it with a temporary key, and verifies it with the commands of docs/install.md."""

import os
import subprocess

import pytest
from pages import ROOT, run_by

NAME = "seqera_crypto_rotation"


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """The folder, and an environment whose keyring does not have the key."""
    tmp = tmp_path_factory.mktemp("release")
    (tmp / "dist").mkdir()
    for name in (f"{NAME}_linux_amd64", f"{NAME}_darwin_arm64", f"{NAME}.cdx.json"):
        (tmp / "dist" / name).write_text(name)
    (tmp / "collection.tar.gz").write_text("collection")
    keyrings = {}
    for who in ("owner", "user"):
        (tmp / who).mkdir(mode=0o700)
        keyrings[who] = os.environ | {"GNUPGHOME": str(tmp / who)}
    key = ["gpg", "--batch", "--passphrase", "", "--quick-generate-key", "owner@example.org", "ed25519", "sign"]
    subprocess.run(key, env=keyrings["owner"], check=True, capture_output=True)
    folder = tmp / "release"
    made = [ROOT / "hack" / "release", folder, tmp / "collection.tar.gz", tmp / "dist", "owner@example.org"]
    subprocess.run(made, env=keyrings["owner"], check=True, capture_output=True)
    public = subprocess.run(["gpg", "--armor", "--export", "owner@example.org"], env=keyrings["owner"], check=True, capture_output=True)
    (folder / "release-key.asc").write_bytes(public.stdout)
    yield folder, keyrings["user"]
    for keyring in keyrings.values():
        subprocess.run(["gpgconf", "--kill", "all"], env=keyring, check=False)


def verify(folder, environ):
    commands = run_by("hack/docs/test_release.py")
    assert len(commands) == 3
    return [subprocess.run(["bash", "-euc", command], cwd=folder, env=environ, capture_output=True, text=True, check=False) for command in commands]


def test_a_release_is_verified_without_a_network(release):
    imported, signed, summed = verify(*release)
    assert [imported.returncode, signed.returncode, summed.returncode] == [0, 0, 0], signed.stderr + summed.stdout
    assert "Good signature" in signed.stderr
    assert set(summed.stdout.splitlines()) == {f"{path.name}: OK" for path in release[0].iterdir() if path.name[:6] not in ("SHA256", "releas")}


def test_a_changed_file_and_a_changed_list_are_noticed(release):
    folder, environ = release
    (folder / f"{NAME}_linux_amd64").write_text("changed")
    *_, summed = verify(folder, environ)
    assert summed.returncode and f"{NAME}_linux_amd64: FAILED" in summed.stdout
    (folder / "SHA256SUMS").write_text("changed")
    _, signed, _ = verify(folder, environ)
    assert signed.returncode and "BAD signature" in signed.stderr
