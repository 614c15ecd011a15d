"""The program that dumps the database, with stand-ins for docker and for the clients of MySQL and MariaDB."""

import gzip
import os
import shutil
import subprocess

import pytest
from conftest import ROOT

SCRIPT = (ROOT / "roles" / "seqera_crypto_rotation" / "files" / "dump.sh").read_text()
BACKEND = 'TOWER_DB_USER=tower\nTOWER_DB_PASSWORD=it"s \\ n3w\n'
DOCKER = """#!/bin/bash
case $1 in
  inspect) printf '%s' "$BACKEND_ENV" ;;
  exec) shift 2; export "${2}"; shift 3; exec env -u BACKEND_ENV PATH="$TMP/inside" "$@" ;;
esac
"""
# The server accepts one login. The client records its input, for comparison with the backend's login.
CLIENT = """#!/bin/sh
case $* in *--help*) echo "$KNOWS"; exit ;; esac
given=$(cat "${1#--defaults-extra-file=}")
echo "$0 $*" >>"$TMP/commands"
case $given in
  *"user=\\"$TAKES\\""*) printf %s "$given" >"$TMP/login" ;;
  *) echo "ERROR 1045 (28000): Access denied" >&2; exit 1 ;;
esac
case $0 in
  *dump) echo "INSERT 1;"; [ -n "$CUT" ] || echo "-- Dump completed on 2026-12-01" ;;
  *) echo "${SIZE:-1000}" ;;
esac
"""


class Dump:
    """A directory for the dump, and the stand-in programs."""

    def __init__(self, tmp):
        self.tmp, self.file = tmp, tmp / "state" / "backups" / "tower-20261201T000000Z.sql.gz"
        for room in ("bin", "inside"):
            (tmp / room).mkdir()
        for name in ("sh", "sed", "cat", "grep"):
            (tmp / "inside" / name).symlink_to(shutil.which(name))
        self.program("bin/docker", DOCKER)

    def program(self, name, text):
        path = self.tmp / name
        path.write_text(text)
        path.chmod(0o755)

    def run(self, check=False, **env):
        given = {"CHECK": str(check).lower(), "CONTAINER": "db-1", "BACKEND": "backend-1", "DUMP": str(self.file), "NAME": "", "BACKEND_ENV": BACKEND}
        given |= {"TMP": str(self.tmp), "PATH": f"{self.tmp}/bin:{os.environ['PATH']}", "TAKES": "tower", "KNOWS": "", "CUT": ""}
        return subprocess.run(["/bin/bash", "-c", SCRIPT, "dump.sh"], env=given | env, capture_output=True, text=True, check=False)

    def commands(self):
        return (self.tmp / "commands").read_text()


@pytest.fixture(params=[("mysql", "mysqldump"), ("mariadb", "mariadb-dump")], ids=["MySQL", "MariaDB"])
def dump(request, tmp_path):
    made = Dump(tmp_path)
    for name in request.param:
        made.program(f"inside/{name}", CLIENT)
    return made


def test_the_login_of_the_backend_goes_through_the_pipe_alone(dump):
    done = dump.run()
    assert done.returncode == 0, done.stderr
    assert gzip.decompress(dump.file.read_bytes()).decode().startswith("INSERT 1;")
    assert (dump.tmp / "login").read_text() == '[client]\nuser="tower"\npassword="it\\"s \\\\ n3w"'
    assert "n3w" not in dump.commands() + done.stdout + done.stderr
    assert "--single-transaction" in dump.commands()
    assert (dump.file.stat().st_mode & 0o777, dump.file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert list(dump.file.parent.iterdir()) == [dump.file]


@pytest.mark.parametrize("prefix", ["MYSQL", "MARIADB"])
def test_the_containers_own_login_is_tried_next_and_root_last(dump, prefix):
    (dump.tmp / "secret").write_text("s3cret\n")
    own = {f"{prefix}_USER": "own", f"{prefix}_PASSWORD_FILE": str(dump.tmp / "secret"), f"{prefix}_ROOT_PASSWORD": "r", f"{prefix}_DATABASE": "platform"}
    assert dump.run(TAKES="own", **own).returncode == 0 and 'password="s3cret"' in (dump.tmp / "login").read_text()
    assert dump.run(TAKES="root", **own).returncode == 0 and "platform" in dump.commands()
    done = dump.run(TAKES="nobody", **own)
    assert done.returncode == 1 and all(f"{user}: ERROR 1045" in done.stderr for user in ("tower", "own", "root"))


def test_what_a_client_knows_is_what_it_is_given(dump):
    dump.run(KNOWS="--set-gtid-purged=x --column-statistics")
    assert "--set-gtid-purged=OFF" in dump.commands() and "--column-statistics=0" in dump.commands()
    (dump.tmp / "commands").unlink()
    dump.run()
    assert "gtid" not in dump.commands() and "statistics" not in dump.commands()


def test_a_check_writes_nothing_and_says_what_is_missing(dump):
    assert dump.run(check=True).returncode == 0 and not dump.file.parent.parent.exists()
    done = dump.run(check=True, SIZE=str(10**18))
    assert done.returncode == 1 and f"The dump of tower may need {10**18} bytes" in done.stderr and f"{dump.tmp} has " in done.stderr
    assert dump.run(SIZE=str(10**18)).returncode == 1 and not dump.file.exists()


def test_a_dump_that_was_cut_is_none_and_what_a_killed_run_left_is_removed(dump):
    dump.file.parent.mkdir(parents=True, mode=0o750)
    (dump.file.parent / "tower-20261130T000000Z.sql.gz.part").write_text("of a run that was killed")
    (dump.file.parent / "tower-20261130T000000Z.sql.gz").write_text("an old dump")
    others = [f"{name}-20261130T000000Z.sql.gz.part" for name in ("other", "tower-dev")]
    for name in others:
        (dump.file.parent / name).write_text("of another Platform")
    done = dump.run(CUT="true")
    assert done.returncode == 1 and "the dump is incomplete" in done.stderr
    assert sorted(one.name for one in dump.file.parent.iterdir()) == sorted([*others, "tower-20261130T000000Z.sql.gz"])
    assert dump.file.parent.stat().st_mode & 0o777 == 0o750, "the directory's mode must stay"
