"""One sandbox: its directory, its compose project, its moto, and what it tells a test about itself."""

import json
import re
import socket
import string
import subprocess
import urllib.error
import urllib.request

from . import engine, external, images, moto, parameters
from .base import BUILD, DOCKER_CONFIG, HERE, ROOT, Problem, run, say, wait_for

SERVICES = ("migrate", "cron", "backend")
VECTORS = ROOT / "module" / "sealed" / "testdata" / "lib-crypto.json"


class Sandbox:
    """A sandbox by name. What is known of a running one is in its state file, which holds no secret."""

    def __init__(self, name):
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,30}", name):
            raise Problem(f"{name!r} is not a sandbox's name: lower-case letters, digits and hyphens, at most 31")
        self.name = name
        self.dir = BUILD / "run" / name
        self.project = f"seqera-sandbox-{name}"

    @property
    def state(self):
        try:
            return json.loads((self.dir / "state.json").read_text())
        except FileNotFoundError:
            raise Problem(f"no sandbox {self.name} is up; type:  molecule/sandbox/sandbox up {self.name}") from None

    def save(self, state):
        (self.dir / "state.json").write_text(json.dumps(state, indent=2) + "\n")

    @property
    def ssm(self):
        return moto.SSM(self.state["endpoint"]["host"])

    @property
    def url(self):
        return f"http://127.0.0.1:{self.state['port']}"

    def complete(self):
        return (self.dir / "state.json").exists() and self.state["complete"] and moto.running(self.dir)

    def create(self, app=None, port=None, settings=(), external_tls=None):
        """moto with its parameters, and the compose project's files. No container yet."""
        endpoint = moto.start(self.dir, engine.gateway())
        state = {"app": app or f"tower-{self.name}", "port": port or free_port(), "endpoint": endpoint, "complete": False}
        state["images"] = images.services() | {"db": images.database()}
        self.save(state)
        user, password = "tower", parameters.alphanumerics(24)
        parameters.seed(self.ssm, state["app"], parameters.invent(state["app"], user, password))
        self.write_project(state, user, password, external_tls)
        self.set(settings)

    def write_project(self, state, user, password, external_tls):
        text, database = (HERE / "docker-compose.yml.in").read_text(), "db:3306/tower?allowPublicKeyRetrieval=true&useSSL=false"
        if external_tls:
            text = re.sub(r"^ *# <db>$.*?^ *# </db>\n", "", text, flags=re.M | re.S)
            write_env(self.dir / "database.env", {"MYSQL_DATABASE": "tower", "MYSQL_USER": user, "MYSQL_PASSWORD": password})
            address = external.start(self.project, state["images"]["db"], self.dir / "database.env", external_tls)
            self.save(state | {"network": engine.network(), "database": external.name(self.project), "address": address})
            database = f"{address}/tower?sslMode=trust"
        made = state["images"]
        text = string.Template(text).substitute(
            project=self.project, port=state["port"], db_user=user, db_password=password, db_image=made["db"],
            migrate_image=made["migrate-db"], backend_image=made["backend"], frontend_image=made["frontend"],
        )  # fmt: skip
        (self.dir / "docker-compose.yml").write_text(text)
        tower = {
            "TOWER_ENABLE_AWS_SSM": "true",
            "MICRONAUT_APPLICATION_NAME": state["app"],
            "TOWER_SERVER_URL": f"http://127.0.0.1:{state['port']}",
            "TOWER_CONTACT_EMAIL": "platform@example.org",
            "TOWER_DB_URL": f"jdbc:mysql://{database}&permitMysqlScheme=true",
            "TOWER_DB_DRIVER": "org.mariadb.jdbc.Driver",
            "TOWER_DB_MIN_POOL_SIZE": "2",
            "TOWER_DB_MAX_POOL_SIZE": "20",
            "TOWER_ENABLE_UNSAFE_MODE": "true",
            "TOWER_DB_USER": user,
            "TOWER_DB_PASSWORD": password,
        }
        write_env(self.dir / "tower.env", tower)
        write_env(self.dir / "sandbox.env", self.aws("containers"))
        for service in SERVICES:
            write_env(self.dir / f"{service}.env", {})

    def aws(self, seen_from):
        return {
            "AWS_ENDPOINT_URL": self.state["endpoint"][seen_from],
            "AWS_REGION": moto.REGION,
            "AWS_DEFAULT_REGION": moto.REGION,
            "AWS_ACCESS_KEY_ID": moto.CREDENTIAL,
            "AWS_SECRET_ACCESS_KEY": moto.CREDENTIAL,
        }

    def set(self, settings):
        """SANDBOX_CRON_X=1 and the like: written beside the compose file, in force from the next start. An empty value removes."""
        for setting in settings:
            name, _, value = setting.partition("=")
            service = next((s for s in SERVICES if name.startswith(f"SANDBOX_{s.upper()}_")), None)
            if service is None:
                raise Problem(f"{name} is no option of the stand-in: SANDBOX_CRON_…, SANDBOX_BACKEND_… or SANDBOX_MIGRATE_…")
            path = self.dir / f"{service}.env"
            values = dict(line.split("=", 1) for line in path.read_text().splitlines())
            values.pop(name, None)
            write_env(path, values | ({name: value} if value else {}))

    def start(self, seed_options):
        """Database first; the seed is sealed while it starts; then a plain `up`, which is right outside a rotation."""
        if "database" not in self.state:
            self.compose("up", "--detach", "db")
        seeding = self.seed(seed_options)
        self.compose("up", "--detach")
        self.wait_ready()
        out, _ = seeding.communicate(timeout=600)
        if seeding.returncode != 0:
            raise Problem(f"the seed failed: {out.decode().strip()}")
        self.save(self.state | {"complete": True})
        return out.decode().strip().partition("INFO ")[2]

    def seed(self, options):
        argv = self.one_off("seed", "--vectors", "-", *options)
        with VECTORS.open("rb") as vectors:
            return subprocess.Popen(
                argv, env=engine.environment(), stdin=vectors, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )  # fmt: skip

    def check(self, *options):
        """Counts of records by key, by the stand-in's own reading."""
        return json.loads(run(*self.one_off("check", *options), env=engine.environment()).stdout)

    def one_off(self, *argv):
        files = [f"--env-file={self.dir / name}" for name in ("tower.env", "sandbox.env")]
        image = self.state["images"]["backend"]
        network = self.state.get("network", f"{self.project}_backend")
        return ["docker", "run", "--rm", "--interactive", f"--network={network}", *files, image, *argv]

    def snapshot(self):
        """What a run may change, without a value: two that are equal show that nothing was written, restarted or re-encrypted."""
        ids = engine.docker("ps", "--all", "--quiet", "--no-trunc", f"--filter=label=com.docker.compose.project={self.project}").stdout.split()
        started = engine.docker("inspect", "--format", "{{.Name}} {{.State.StartedAt}}", *ids).stdout.splitlines() if ids else []
        database = self.state.get("database", f"{self.project}-db-1")
        sums = "CHECKSUM TABLE tw_credentials, tw_secret"
        tables = engine.docker("exec", database, "mariadb", "--batch", "--skip-column-names", "tower", "--execute", sums).stdout
        return {"parameters": self.ssm.under("/"), "containers": sorted(started), "tables": tables.splitlines()}

    def wait_ready(self, seconds=60):
        try:
            wait_for(f"the Platform at {self.url}", seconds, self.ready)
        except Problem as problem:
            said = self.compose("logs", "--tail", "3", "migrate", "cron", "backend", "frontend", check=False).stdout
            raise Problem(f"{problem}\n{said}") from None

    def ready(self):
        return self.get("/api/service-info")[0] == 200

    def get(self, path):
        return fetch(self.url + path)

    def post(self, path, body):
        return fetch(self.url + path, json.dumps(body).encode())

    def compose(self, *argv, check=True):
        return run("docker", "compose", *argv, env=engine.environment(), cwd=self.dir, check=check)

    def clear(self):
        """Ends everything that belongs to this sandbox, however far it had come; the Engine must answer."""
        run("docker", "compose", "-p", self.project, "down", "--volumes", "--remove-orphans", "--timeout", "5", env=engine.environment())
        external.stop(self.project)
        moto.stop(self.dir)
        for path in self.dir.iterdir():
            path.unlink()

    def destroy(self):
        """As clear, and the directory goes too. False if there is no such sandbox."""
        if not self.dir.exists():
            return False
        engine.start()
        self.clear()
        self.dir.rmdir()
        return True

    def exports(self):
        state = self.state
        external_database = {"SANDBOX_DATABASE": state["address"]} if "address" in state else {}
        return self.aws("host") | external_database | {
            "DOCKER_HOST": engine.docker_host(),
            "DOCKER_CONFIG": str(DOCKER_CONFIG),
            "SANDBOX_NAME": self.name,
            "SANDBOX_DIR": str(self.dir),
            "SANDBOX_PROJECT": self.project,
            "SANDBOX_APP_NAME": state["app"],
            "SANDBOX_OMNIBUS": parameters.OMNIBUS,
            "SANDBOX_CONFIG_PREFIX": f"/config/{state['app']}",
            "SANDBOX_FIRST_KEY_PARAMETER": parameters.first_key(state["app"]),
            "SANDBOX_URL": self.url,
            "SANDBOX_HEALTH_URL": f"{self.url}/api/service-info",
        }


def names():
    return sorted(p.name for p in (BUILD / "run").glob("*") if p.is_dir())


def write_env(path, values):
    path.touch(mode=0o600)
    path.write_text("".join(f"{k}={v}\n" for k, v in values.items()))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def fetch(url, body=None):
    """(status, parsed answer); status 0 where nobody answers."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(url, body), timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")
    except OSError:
        return 0, None
