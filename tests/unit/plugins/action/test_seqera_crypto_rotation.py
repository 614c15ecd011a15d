"""Tests of the action plugin without an Ansible run. molecule/sandbox/tests/test_action_plugin.py and test_platforms.py test whole tasks."""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import subprocess

import pytest
from ansible_collections.seqera_tools.crypto_rotation.plugins.action import seqera_crypto_rotation as plugin

MODULE = "seqera_crypto_rotation"
BINARY = b"""#!/bin/sh\n[ "$1" = --version ] || { printf '{"ran": '; cat "$1"; echo '}'; }\n"""
SUM = hashlib.sha256(BINARY).hexdigest()
NAMES = [f"{SUM}.{MODULE}", f"{SUM}.{MODULE}_info"]
ARGUMENTS = {"password": 'it\'s $HOME `id` \\ "quoted"\nARGUMENTS\n'}


class Host:
    """The home of the user who runs the module on a host, and Ansible's temporary directory."""

    def __init__(self, tmp):
        self.home, self.file = tmp / "home", tmp / "it's tmp" / f"AnsiballZ_{MODULE}"
        self.home.mkdir()
        self.file.parent.mkdir()
        self.top = self.home / ".seqera-crypto-rotation"
        self.bin = self.top / "bin"
        self.kept = self.bin / NAMES[0]

    def run(self, action, **values):
        """Runs a script as Ansible does with pipelining. Returns the word of STORE, or what the module says."""
        text = plugin.script(action, SUM, MODULE, **values)
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.home)}
        done = subprocess.run(["/bin/sh"], input=text, env=environment, capture_output=True, text=True, check=True)
        assert done.stderr == ""
        said = json.loads(done.stdout)
        return said.get(plugin.STORED, said)

    def look(self):
        return self.run(plugin.LOOK)

    def use(self):
        return self.run(plugin.USE, arguments=json.dumps(ARGUMENTS))

    def keep(self, content=BINARY):
        self.file.write_bytes(content)
        self.file.chmod(0o700)
        return self.run(plugin.KEEP, path=plugin.shlex.quote(str(self.file)))

    def names(self):
        return sorted(path.name for path in self.bin.iterdir())


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path)


def mode(path):
    return path.stat().st_mode & 0o7777


def test_a_binary_is_kept_and_used(host):
    assert (host.look(), host.use()) == ("absent", "absent") and not host.top.exists()
    assert host.keep() == "done" and host.names() == NAMES
    assert host.look() == "done" and host.use() == {"ran": ARGUMENTS}
    assert {mode(path) for path in (host.top, host.bin, *host.bin.iterdir())} == {0o700}


def test_a_directory_that_inherits_its_group_is_used(host):
    host.home.chmod(0o2755)
    assert host.keep() == "done" and mode(host.bin) in (0o700, 0o2700) and host.use() == {"ran": ARGUMENTS}


def test_what_differs_from_its_checksum_is_replaced(host):
    host.keep()
    for damage in (BINARY[:-1], b"", BINARY + b"\0"):
        host.kept.write_bytes(damage)
        assert (host.look(), host.use()) == ("absent", "absent")
        assert host.keep() == "done" and host.use() == {"ran": ARGUMENTS}


@pytest.mark.parametrize("content", [BINARY[:-1], b"\x7fELF of another machine", b"#!/nowhere/sh\n"])
def test_what_is_damaged_or_does_not_run_is_not_kept(host, content):
    assert host.keep(content) == "unusable" and list(host.bin.iterdir() if host.bin.exists() else []) == []


def test_older_versions_go_and_what_others_put_there_stays(host):
    host.keep()
    for name in ("0" * 64, f"{'0' * 64}.{MODULE}", ".123", "README"):
        (host.bin / name).touch()
    os.utime(host.bin / ".123", (0, 0))  # left by a run that was killed
    (host.bin / ".124").touch()  # another run is writing it
    host.keep()
    assert host.names() == sorted([".124", "README", *NAMES])


@pytest.mark.parametrize("link", ["top", "bin"])
def test_a_link_in_place_of_a_directory_is_not_used(host, tmp_path, link):
    host.keep()
    path = getattr(host, link)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert (host.look(), host.use(), host.keep()) == ("absent", "absent", "unsafe")


@pytest.mark.parametrize("loose", [0o755, 0o770, 0o1777])
def test_a_directory_that_others_may_enter_is_not_used(host, loose):
    host.keep()
    host.bin.chmod(loose)
    assert (host.look(), host.use(), host.keep()) == ("absent", "absent", "unsafe")


@pytest.mark.parametrize("loose", [0o775, 0o777, 0o1777])
def test_a_home_that_others_may_write_to_is_not_used(host, loose):
    host.keep()
    host.home.chmod(loose)
    assert (host.look(), host.use(), host.keep()) == ("absent", "absent", "unsafe")


@pytest.mark.skipif(os.getuid() != 0, reason="changes a directory's owner, so it requires root")
@pytest.mark.parametrize("which", ["home", "bin"])
def test_a_directory_of_another_user_is_not_used(host, which):
    host.keep()
    os.chown(getattr(host, which), 65534, 65534)
    assert (host.look(), host.use(), host.keep()) == ("absent", "absent", "unsafe")


@pytest.mark.parametrize("spoil", ["link", "mode", "owner"])
def test_a_file_that_is_not_the_users_own_is_replaced(host, tmp_path, spoil):
    host.keep()
    if spoil == "link":
        host.kept.rename(tmp_path / "elsewhere")
        host.kept.symlink_to(tmp_path / "elsewhere")
    elif spoil == "mode":
        host.kept.chmod(0o766)
    elif os.getuid() == 0:
        os.chown(host.kept, 65534, 65534)
    else:
        pytest.skip("changes a file's owner, so it requires root")
    assert (host.look(), host.use()) == ("absent", "absent")
    assert host.keep() == "done" and host.use() == {"ran": ARGUMENTS}
    assert not host.kept.is_symlink() and mode(host.kept) == 0o700 and host.kept.owner() == host.home.owner()


def test_a_home_that_takes_no_directory_is_said(host):
    host.top.touch()
    assert (host.look(), host.use(), host.keep()) == ("absent", "absent", "unusable")


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
