"""Both layouts, every kind of login, and the refusals of preflight. These tests need a whole sandbox."""

import contextlib
import os
import pathlib
import time
import urllib.request

import pytest
from conftest import ROOT
from logins import LOGINS, logged_in
from test_going_back import current

ALL = os.environ.get("LAYOUTS") == "all"
long = pytest.mark.skipif(not ALL, reason="takes long; make test-layouts runs it")
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give the sandbox its own user")
RENDERED = ROOT.parent / "shared" / "installer" / "vm"


def mounts(platform):
    """Each container's mounts, with the inode of the mounted file or directory, so that a new directory of the same name is noticed."""
    shown = platform.docker("inspect", "--format", "{{$name := .Name}}{{range .Mounts}}{{$name}} {{.Source}} {{.Destination}}\n{{end}}", *platform.containers())
    return sorted((name, source, target, pathlib.Path(source).stat().st_ino) for name, source, target in map(str.split, filter(None, shown.splitlines())))


def untouched(platform):
    return platform.parameters(), platform.started()


def rotates(platform, **variables):
    """A dry run, a rotation of every record, and a second run that changes nothing."""
    before, records, at = untouched(platform), platform.check(), mounts(platform)
    assert records["current"] == records["total"] > 0 and any("/mysql" in target for _, _, target, _ in at)
    dry = platform.run("--check", "--diff", **variables)
    assert dry.code == 0, dry.output
    assert untouched(platform) == before, "the dry run touched something"
    real = platform.run(**variables)
    assert real.code == 0, real.output
    proved(platform, records)
    assert mounts(platform) == at, "the containers mount other directories than before"
    after = untouched(platform)
    again = platform.run(**variables)
    assert again.code == 0 and again.recap["changed"] == 0, again.output
    assert untouched(platform) == after, "the second run touched something"


def proved(platform, records, rotation="r1"):
    counted, proof = platform.check(), platform.ledger(rotation)["proof"]
    assert (counted["current"], counted["total"], proof["total"]) == (records["total"],) * 3
    assert counted["versions"] == records["versions"] + records["total"], "each record must be rewritten once"


def layouts():
    for layout in ("installer", "documentation"):
        for login in LOGINS:
            marks = [pytest.mark.sandbox("--records", "10", "--layout", layout)]
            yield pytest.param(login, id=f"{layout}-{login}", marks=marks if (layout, login) == ("installer", "owner") else [*marks, long])


@pytest.mark.parametrize("login", layouts())
def test_layout(platform, login):
    with logged_in(platform, login):
        rotates(platform)
    assert {path.owner() for path in (platform.kept, *platform.kept.rglob("*"))} == {platform.env["SANDBOX_USER"]}


def rendered():
    for kind in ("default", "everything"):
        marks = [long, pytest.mark.sandbox("--records", "10", "--rendered", str(RENDERED / kind))]
        yield pytest.param(kind, marks=[*marks, pytest.mark.skipif(not (RENDERED / kind).is_dir(), reason=f"{RENDERED / kind} is not there")])


@pytest.mark.parametrize("kind", rendered())
def test_rendered(platform, kind):
    """The installer's own files, unchanged."""
    assert (pathlib.Path(platform.env["SANDBOX_DIR"]) / "docker-compose.yml").read_text() == (RENDERED / kind / "docker-compose.yml").read_text()
    with logged_in(platform, "owner"):
        rotates(platform)


@long
@pytest.mark.skipif(not (RENDERED / "everything").is_dir(), reason=f"{RENDERED / 'everything'} is not there")
@pytest.mark.sandbox("--records", "10", "--rendered", str(RENDERED / "everything"))
@pytest.mark.parametrize("scope", ["key_holders", "handover"])
def test_behind_the_reverse_proxy(platform, scope):
    """Users come through the installer's nginx, which keeps the frontend's address. The health URL does not."""
    with logged_in(platform, "owner"):
        run = platform.run(seqera_crypto_rotation_restart_scope=scope)
    assert run.code == 0, run.output
    with urllib.request.urlopen("http://127.0.0.1:80/health", timeout=10) as answer:
        assert answer.status == 200


def failed_after_start(platform, **variables):
    """Runs a rotation that fails once cron runs, then repairs the cause for the next run."""
    platform.sandbox("set", platform.name, "SANDBOX_CRON_CRASH_AFTER=10")
    run = platform.run(**variables)
    assert run.code != 0 and "cron_failed" in run.output, run.output
    platform.sandbox("set", platform.name, "SANDBOX_CRON_CRASH_AFTER=")


@pytest.mark.sandbox("--records", "10")
@pytest.mark.parametrize("baseline", ["inline", pytest.param("file", marks=long), pytest.param("lost", marks=long)])
def test_resumed(platform, baseline):
    """A run continues as an ordinary user, for each place and state of the first run's baseline."""
    records, variables = platform.check(), {"seqera_crypto_rotation_baseline_dir": ""} if baseline == "inline" else {}
    with logged_in(platform, "owner"):
        failed_after_start(platform, **variables)
        kept = platform.ledger()["baseline"]
        if baseline == "inline":
            assert not kept.get("path"), kept
        else:
            file = pathlib.Path(kept["path"])
            assert file.is_relative_to(platform.kept) and file.owner() == platform.env["SANDBOX_USER"]
        if baseline == "lost":
            file.unlink()
        run = platform.run(**variables)
        assert run.code == 0, run.output
    proved(platform, records)


@long
@pytest.mark.sandbox("--records", "10")
def test_later_and_abort(platform):
    """As an ordinary user with an inline baseline: a postponed second outage, and an aborted rotation."""
    records, inline = platform.check(), {"seqera_crypto_rotation_baseline_dir": ""}
    platform.report_dir = "reports"
    with logged_in(platform, "owner"):
        later = platform.run(seqera_crypto_rotation_second_outage="later", **inline)
        assert later.code == 0 and later.host["outcome"] == "waiting", later.output
        now = platform.run(**inline)
        assert now.code == 0 and now.host["outcome"] == "done", now.output
        proved(platform, records)

        old, records, at = current(platform), platform.check(), mounts(platform)
        platform.killed("TASK [seqera_crypto_rotation : Run migrate", seqera_crypto_rotation_rotation_id="r2", **inline)
        assert current(platform) != old, "the rotation was prepared"
        aborted = platform.run(playbook="abort-crypto.yml", **inline)
        assert aborted.code == 0, aborted.output
    platform.wait_ready()
    assert current(platform) == old and platform.ledger("r2")["stage"] == "aborted"
    assert platform.check() == records and mounts(platform) == at


@long
@pytest.mark.sandbox("--records", "10", "--layout", "documentation")
def test_named_project(platform):
    """The project was started with -p. The role must not start a second Platform on its data."""
    records = platform.check()
    platform.compose("down")
    try:
        platform.compose("-p", f"{platform.name}-other", "up", "--detach")
        platform.wait_ready()
        platform.env["SANDBOX_PROJECT"] = f"{platform.name}-other"
        at = mounts(platform)
        with logged_in(platform, "owner"):
            run = platform.run()
        assert run.code == 0, run.output
        assert mounts(platform) == at and platform.ledger()["proof"]["total"] == records["total"]
        projects = platform.docker("ps", "--all", "--format", '{{.Label "com.docker.compose.project"}}').split()
        assert f"seqera-{platform.name}" not in projects, "a second Platform"
    finally:
        platform.compose("-p", f"{platform.name}-other", "down")


@long
@pytest.mark.sandbox("--records", "10")
def test_key_holders(platform):
    """nginx keeps the backend's address. It must reach the backend after both outages."""
    rotates(platform, seqera_crypto_rotation_restart_scope="key_holders")
    platform.wait_ready(5)
    [frontend] = [line for line in platform.started() if "-frontend-" in line]
    [backend] = [line for line in platform.started() if "-backend-" in line]
    assert frontend.split()[1] > backend.split()[1], "the frontend must start after the backend"


class Edited:
    """Files of the Platform with different content, for a while."""

    def __init__(self, platform):
        self.platform = platform
        self.compose_file = pathlib.Path(platform.env["SANDBOX_DIR"], "docker-compose.yml")
        self.tower_env, self.tower_yml = (pathlib.Path(platform.env["SANDBOX_CONFIG_DIR"], name) for name in ("tower.env", "tower.yml"))

    @contextlib.contextmanager
    def text(self, path, change, apply=False):
        before = path.read_text()
        assert change(before) != before, path
        path.write_text(change(before))
        try:
            if apply:
                self.up()
            yield
        finally:
            path.write_text(before)
            if apply:
                self.up()

    def up(self):
        self.platform.compose("up", "--detach")
        self.platform.wait_ready()

    def pending_image(self):
        return self.text(self.compose_file, lambda text: text.replace("/backend:v26.1.3", "/backend:v26.1.4"))

    def environment(self, change):
        return self.text(self.tower_env, change, apply=True)

    @contextlib.contextmanager
    def gone(self, path):
        aside = path.rename(path.with_suffix(".aside"))
        try:
            yield
        finally:
            aside.rename(path)


@contextlib.contextmanager
def no_image(platform):
    """Removes the image of migrate, which no container uses, as a nightly docker image prune does."""
    image = next(line for line in platform.compose("config", "--images").split() if "migrate" in line)
    platform.docker("tag", image, f"{platform.name}:kept")
    platform.docker("image", "rm", image)
    try:
        yield
    finally:
        platform.docker("tag", f"{platform.name}:kept", image)
        platform.docker("image", "rm", f"{platform.name}:kept")


@contextlib.contextmanager
def second_cron(platform):
    platform.compose("up", "--detach", "--no-deps", "--no-recreate", "--scale", "cron=2", "cron")
    try:
        yield
    finally:
        platform.compose("up", "--detach", "--no-deps", "--no-recreate", "--scale", "cron=1", "cron")


@contextlib.contextmanager
def unnamed_backend(platform):
    """A backend container whose service is not in `services`. Only its labels put it into the project."""
    project, name = platform.env["SANDBOX_PROJECT"], f"{platform.name}-api"
    image = platform.docker("inspect", "--format", "{{.Config.Image}}", f"{project}-backend-1").strip()
    labels = {"com.docker.compose.project": project, "com.docker.compose.service": "api"}
    settings = ("TOWER_ENABLE_AWS_SSM=true", "MICRONAUT_ENVIRONMENTS=prod,redis,ha")
    platform.docker("create", f"--name={name}", *[f"--label={key}={value}" for key, value in labels.items()], *[f"--env={one}" for one in settings], image)
    try:
        yield
    finally:
        platform.docker("rm", "--force", name)


@contextlib.contextmanager
def strange_session(platform):
    """Another container uses the Platform's database."""
    project, name, client = platform.env["SANDBOX_PROJECT"], f"{platform.name}-elsewhere", platform.env["SANDBOX_DB_CLIENT"]
    image = platform.docker("inspect", "--format", "{{.Config.Image}}", f"{project}-db-1").strip()
    login = dict(line.split("=", 1) for line in Edited(platform).tower_env.read_text().splitlines() if line.startswith("TOWER_DB_"))
    command = [client, "--host=db", f"--user={login['TOWER_DB_USER']}", f"--password={login['TOWER_DB_PASSWORD']}", "tower", "--execute=SELECT SLEEP(600)"]
    platform.docker("run", "--detach", f"--name={name}", f"--network={project}_backend", f"--entrypoint={command[0]}", image, *command[1:])
    try:
        for _ in range(100):
            if platform.sql("SELECT 1 FROM information_schema.processlist WHERE info LIKE 'SELECT SLEEP(600)%'"):
                break
            time.sleep(0.2)
        else:
            raise AssertionError(platform.docker("logs", name))
        yield
    finally:
        platform.docker("rm", "--force", name)


@contextlib.contextmanager
def second_project(platform):
    """The files of the same directory, also started under another project name."""
    other = f"{platform.name}-other"
    try:
        platform.compose("-p", other, "up", "--detach", "--no-deps", "backend")
        yield
    finally:
        platform.compose("-p", other, "down")


@contextlib.contextmanager
def empty_database(platform):
    tables = ("tw_secret", "tw_credentials")
    for table in tables:
        platform.sql(f"RENAME TABLE {table} TO kept_{table}; CREATE TABLE {table} LIKE kept_{table}")
    try:
        yield
    finally:
        for table in tables:
            platform.sql(f"DROP TABLE {table}; RENAME TABLE kept_{table} TO {table}")


@contextlib.contextmanager
def overriding_parameter(platform):
    name = f"{platform.env['SANDBOX_CONFIG_PREFIX']}_prod/tower/crypto/secretKey"
    platform.put(name, "x" * 40)
    try:
        yield
    finally:
        platform.ssm("DeleteParameter", Name=name)


@contextlib.contextmanager
def old_version(platform):
    platform.sandbox("set", platform.name, "SANDBOX_BACKEND_VERSION=25.1.5")
    platform.compose("restart", "backend")
    platform.wait_ready()
    try:
        yield
    finally:
        platform.sandbox("set", platform.name, "SANDBOX_BACKEND_VERSION=")
        platform.compose("restart", "backend")
        platform.wait_ready()


@pytest.mark.sandbox("--records", "10", "--layout", "documentation")
def test_refused(platform):
    """The dry run and the run refuse these Platforms in the same words, and touch nothing."""
    edited, nothing, variable = Edited(platform), contextlib.nullcontext, "seqera_crypto_rotation_"
    key = platform.value(f"{platform.env['SANDBOX_CONFIG_PREFIX']}/tower/crypto/secretKey")
    exchanged = {f"{variable}services": {"migrate": ["migrate"], "backends": ["cron"], "cron": ["backend"]}}
    cases = {
        "pending image": (edited.pending_image, {}, ["platform_differs", "a different image", "v26.1.4 instead of"]),
        "second project": (lambda: second_project(platform), {}, ["platform_ambiguous", f"{platform.name}-other"]),
        "empty database": (lambda: empty_database(platform), {}, ["records_missing", ":3306/tower"]),
        "left switch": (lambda: edited.environment(lambda text: f"{text}TOWER_SECRET_ROTATION_ENABLED=false\n"), {}, ["platform_unsuitable", "TOWER_SECRET_ROTATION_ENABLED"]),
        "overriding parameter": (lambda: overriding_parameter(platform), {}, ["platform_unsuitable", "_prod/tower/crypto/secretKey overrides"]),
        "exchanged services": (nothing, exchanged, ["platform_unsuitable", "MICRONAUT_ENVIRONMENTS"]),
        "old version": (lambda: old_version(platform), {}, ["platform_unsuitable", "25.1.5", "25.2 or later"]),
        "no SSM": (
            lambda: edited.environment(lambda text: text.replace("TOWER_ENABLE_AWS_SSM=true", f"TOWER_ENABLE_AWS_SSM=false\nTOWER_CRYPTO_SECRETKEY={key}")),
            {}, ["platform_unsuitable", "does not read SSM"],
        ),
        "no env file": (lambda: edited.gone(edited.tower_env), {}, ["compose_unavailable", "tower.env"]),
        "no image": (lambda: no_image(platform), {}, ["platform_differs", "of service migrate is not on this VM"]),
        "left switch in tower.yml": (
            lambda: edited.text(edited.tower_yml, lambda text: f"{text}tower.secret-rotation.enabled: true\n"), {}, ["platform_unsuitable", "has settings of a rotation (tower.secret-rotation)"],
        ),
        "another application": (
            lambda: edited.text(edited.tower_yml, lambda text: text.replace("name: ", "name: other-")), {}, ["platform_unsuitable", "has the application name other-"],
        ),
        "second cron": (lambda: second_cron(platform), {}, ["There are 2 cron containers"]),
        "unnamed backend": (lambda: unnamed_backend(platform), {}, ["platform_unsuitable", "does not name its service api"]),
        "unhealthy backend": (nothing, {f"{variable}backend_health_url": "http://{address}:8080/nowhere"}, ["platform_unsuitable", "is not healthy", "status 404"]),
        "session from elsewhere": (lambda: strange_session(platform), {}, ["platform_unsuitable", "has sessions from other hosts"]),
        # This must be last: root's docker leaves files in the owner's DOCKER_CONFIG, which this test passes on.
        "another home": (nothing, {f"{variable}compose_user": "root"}, ["platform_differs", "/root/.tower/db/mysql"]),
    }  # fmt: skip
    some = ("pending image", "another home")
    for name, (changed, variables, words) in cases.items():
        if not ALL and name not in some:
            print(f"{name}: SKIPPED, make test-layouts runs it", flush=True)
            continue
        begun = time.monotonic()
        with changed():
            before = untouched(platform)
            for argv in (["--check"], []):
                run = platform.run(*argv, **variables)
                said = " ".join(run.output.split())
                assert run.code != 0 and [word for word in words if word not in said] == [], f"{name} {argv}: {run.output}"
                assert untouched(platform) == before, f"{name} {argv}: something was touched"
            if name == "pending image":
                allowed = platform.run("--check", **{f"{variable}allow_drift": True})
                assert allowed.code == 0 and "v26.1.4 instead of" in " ".join(allowed.output.split()), allowed.output
        print(f"{name}: {time.monotonic() - begun:.0f} s", flush=True)
