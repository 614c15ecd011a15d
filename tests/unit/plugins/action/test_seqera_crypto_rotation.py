"""Tests of the action plugin without an Ansible run. molecule/sandbox/tests/test_action_plugin.py and test_platforms.py test whole tasks."""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import subprocess

import pytest
from ansible_collections.seqera_tools.crypto_rotation.plugins.action import seqera_crypto_rotation as plugin

BINARY = b"\x7fELF of this version"
SUM = hashlib.sha256(BINARY).hexdigest()


class Login:
    """A home on a host, and Ansible's temporary directory."""

    def __init__(self, tmp):
        self.home, self.file = tmp / "home", tmp / "it's tmp" / "AnsiballZ_seqera_crypto_rotation"
        self.home.mkdir()
        self.file.parent.mkdir()
        self.top = self.home / ".seqera-crypto-rotation"
        self.bin = self.top / "bin"
        self.kept = self.bin / SUM

    def store(self, action):
        """Runs STORE as the plugin does, and returns the word that it prints."""
        command = plugin.STORE.format(action=action, path=plugin.shlex.quote(str(self.file)), digest=SUM)
        done = subprocess.run(["/bin/sh", "-c", command], env={"PATH": os.environ["PATH"], "HOME": str(self.home)}, capture_output=True, text=True, check=True)
        assert done.stderr == ""
        return done.stdout.strip().removeprefix("seqera_crypto_rotation_store=")

    def keep(self):
        self.file.write_bytes(BINARY)
        assert self.store("keep") == "done"
        self.file.unlink()


@pytest.fixture
def login(tmp_path):
    return Login(tmp_path)


def mode(path):
    return path.stat().st_mode & 0o7777


def test_a_binary_is_kept_and_used(login):
    assert login.store("use") == "absent" and not login.file.exists()
    login.keep()
    assert login.store("use") == "done" and login.file.read_bytes() == BINARY
    assert (mode(login.top), mode(login.bin), mode(login.kept), mode(login.file)) == (0o700, 0o700, 0o600, 0o600)


def test_a_directory_that_inherits_its_group_is_used(login):
    login.home.chmod(0o2755)
    login.keep()
    assert mode(login.bin) in (0o700, 0o2700) and login.store("use") == "done"


def test_what_differs_from_its_checksum_is_replaced(login):
    login.keep()
    for damage in (BINARY[:-1], b"", BINARY + b"\0"):
        login.kept.write_bytes(damage)
        assert login.store("use") == "absent"
        login.keep()
        assert login.store("use") == "done" and login.file.read_bytes() == BINARY


def test_what_was_uploaded_damaged_is_not_kept(login):
    login.file.write_bytes(BINARY[:-1])
    assert login.store("keep") == "unusable" and list(login.bin.iterdir()) == []


def test_older_versions_go_and_what_others_put_there_stays(login):
    login.keep()
    for name in ("0" * 64, ".123", "README"):
        (login.bin / name).touch()
    os.utime(login.bin / ".123", (0, 0))  # left by a run that was killed
    (login.bin / ".124").touch()  # another run is writing it
    login.keep()
    assert sorted(path.name for path in login.bin.iterdir()) == sorted([".124", "README", SUM])


@pytest.mark.parametrize("link", ["top", "bin"])
def test_a_link_in_place_of_a_directory_is_not_used(login, tmp_path, link):
    login.keep()
    path = getattr(login, link)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert [login.store(action) for action in ("use", "keep")] == ["unsafe", "unsafe"]


@pytest.mark.parametrize("loose", [0o755, 0o770, 0o1777])
def test_a_directory_that_others_may_enter_is_not_used(login, loose):
    login.keep()
    login.bin.chmod(loose)
    assert [login.store(action) for action in ("use", "keep")] == ["unsafe", "unsafe"]


@pytest.mark.skipif(os.getuid() != 0, reason="changes a directory's owner, so it requires root")
def test_a_directory_of_another_user_is_not_used(login):
    login.keep()
    os.chown(login.bin, 65534, 65534)
    assert [login.store(action) for action in ("use", "keep")] == ["unsafe", "unsafe"]


@pytest.mark.parametrize("spoil", ["link", "mode", "owner"])
def test_a_file_that_is_not_the_logins_own_is_replaced(login, tmp_path, spoil):
    login.keep()
    if spoil == "link":
        login.kept.rename(tmp_path / "elsewhere")
        login.kept.symlink_to(tmp_path / "elsewhere")
    elif spoil == "mode":
        login.kept.chmod(0o666)
    elif os.getuid() == 0:
        os.chown(login.kept, 65534, 65534)
    else:
        pytest.skip("changes a file's owner, so it requires root")
    assert login.store("use") == "absent" and not login.file.exists()
    login.keep()
    assert not login.kept.is_symlink() and mode(login.kept) == 0o600 and login.kept.owner() == login.home.owner()


def test_a_home_that_takes_no_directory_is_said(login):
    login.top.touch()
    assert [login.store(action) for action in ("use", "keep")] == ["unusable", "unusable"]


class Clock:
    """A clock that the test sets, and the displayed lines."""

    def __init__(self, monkeypatch):
        self.now, self.shown = 1000.0, []
        monkeypatch.setattr(plugin.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(plugin, "Display", lambda: self)

    def display(self, text):
        self.shown.append(text)

    def lines(self, *news, interval, every, silent=False):
        """Passes the module's output to the plugin, some seconds apart."""
        lines = plugin.Lines("vm-1", interval, silent)
        for one in news:
            lines.progress(one)
            self.now += every
        return lines


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def looks(count, notes=(), vague=0):
    return [{"line": f"look {n}", "note": dict(notes).get(n, ""), "progress": {"total": 2} if n != vague else None} for n in range(1, count + 1)]


def test_a_note_is_shown_at_once_and_only_once(clock):
    stall, other = "no record changed for 120 s;\ncron: \x1b[2Jgone", "no record changed for 240 s"
    clock.lines(*looks(6, notes={2: stall, 3: stall, 5: stall, 6: other}.items(), vague=4), interval=30, every=1)
    assert clock.shown == ["vm-1: look 1", "vm-1: no record changed for 120 s;", "vm-1: cron:  [2Jgone", "vm-1: no record changed for 240 s"]


def test_a_line_comes_again_after_the_interval(clock):
    clock.lines(*looks(6), interval=3, every=1)
    assert clock.shown == ["vm-1: look 1", "vm-1: look 4"]


def test_a_silent_module_is_mentioned(clock):
    lines = clock.lines(*looks(1), interval=2, every=1)
    lines.silence(2)
    assert clock.shown == ["vm-1: look 1"]
    clock.now += 1
    lines.silence(2)
    assert clock.shown[1:] == ["vm-1: the module has not said anything for 2 s; waiting"]


def test_no_log_shows_nothing(clock):
    clock.lines(*looks(3, notes={2: "a note"}.items()), interval=0, every=1, silent=True)
    assert clock.shown == []


@pytest.mark.parametrize(
    "said, platform",
    [
        ("Linux x86_64\n", "linux_amd64"),
        ("Last login: today\r\nLinux aarch64\r\n", "linux_arm64"),
        ("Darwin arm64\n", "darwin_arm64"),
        ("Linux armv7l\n", "linux_armv7l"),
        ("uname: not found\n", ""),
        ("", ""),
    ],
)
def test_the_platform_is_what_uname_says(said, platform):
    assert plugin.platform_of(said) == platform


@pytest.mark.parametrize(
    "text, key, found",
    [
        ('{"line": "look 1"}', "line", {"line": "look 1"}),
        ('Welcome {to} {"changed": true}\r\n{"line": "look 1"}\r\nbye', "line", {"line": "look 1"}),
        ('{"line": "loo', "line", {}),
        ('\n{"changed": false, "msg": "a {brace}"}\n', "", {"changed": False, "msg": "a {brace}"}),
        ("", "", {}),
    ],
)
def test_an_object_is_found_between_a_logins_words(text, key, found):
    assert plugin.read(text, key) == found


@pytest.mark.parametrize("value, number", [(None, 5), (7, 7), ("7", 7), ("soon", None), ([], None)])
def test_seconds_are_taken_as_ansible_does(value, number):
    assert plugin.seconds(value, 5) == number


@pytest.mark.parametrize(
    "status, code, words",
    [
        ({}, "wait_timeout", "did not end within 9 s"),
        ({"failed": True, "child_pid": 7, "msg": "Timeout exceeded"}, "wait_timeout", "did not end within 9 s"),
        ({"failed": True, "msg": "Traceback (most recent call last)", "data": "x"}, "interrupted", "ended without a result"),
        ({"failed": True, "msg": "could not find job"}, "interrupted", "left no result: could not find job."),
        ({"failed": True, "error_code": "locked", "msg": "Somebody else.", "ansible_job_id": "j1"}, "locked", "Somebody else."),
    ],
)
def test_the_end_of_a_job_is_told_in_plain_words(status, code, words):
    result = plugin.verdict(status, 9)
    assert result["failed"] and result["error_code"] == code and words in result["msg"] and "ansible_job_id" not in result
    assert "Traceback" not in json.dumps(result["msg"])


HEADS = {"linux_amd64": b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\x3e\x00", "linux_arm64": b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\xb7\x00"}


def test_the_binary_is_the_one_of_the_platform(tmp_path: pathlib.Path):
    plain = tmp_path / "seqera_crypto_rotation"
    plain.write_bytes(HEADS["linux_amd64"] + bytes(64))
    (tmp_path / "seqera_crypto_rotation_darwin_arm64").touch()
    binaries = plugin.Binaries("seqera_crypto_rotation", str(plain))
    assert binaries.plain == "linux_amd64"
    chosen = {platform: binaries.of(platform) for platform in ("linux_amd64", "", "darwin_arm64", "linux_arm64")}
    assert chosen == {
        "linux_amd64": "seqera_crypto_rotation",
        "": "seqera_crypto_rotation",
        "darwin_arm64": "seqera_crypto_rotation_darwin_arm64",
        "linux_arm64": None,
    }
