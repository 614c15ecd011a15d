"""One sandbox: its directory, its compose project, its moto, and the variables that it gives to tests."""

import json
import re
import socket
import subprocess
import urllib.error
import urllib.request

from . import engine, external, images, layout, moto, owner, parameters
from .base import BUILD, ROOT, Problem, run, say, wait_for

SERVICES = ("migrate", "cron", "backend")
VECTORS = ROOT / "module" / "sealed" / "testdata" / "lib-crypto.json"


class Sandbox:
    """A sandbox by name. The state of a running sandbox is in its state file, which contains no secret."""

    def __init__(self, name):
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,27}", name):
            raise Problem(f"{name!r} is not a valid name: use lower-case letters, digits and hyphens, at most 28")
        self.name = name
        self.dir = BUILD / "run" / name  # files of the sandbox itself, not of the Platform: state, moto
        self.owner = owner.Owner(name, self.dir)

    @property
    def state(self):
        try:
            return json.loads((self.dir / "state.json").read_text())
        except FileNotFoundError:
            raise Problem(f"no sandbox {self.name} is up; type:  molecule/sandbox/sandbox up {self.name}") from None

    def save(self, state):
        (self.dir / "state.json").write_text(json.dumps(state, indent=2) + "\n")

    @property
    def layout(self):
        return self.state["layout"]

    @property
    def compose_dir(self):
        return layout.directory(self.layout, self.owner.home, self.name)

    @property
    def config(self):
        """The directory of tower.env and tower.yml."""
        return layout.config(self.layout, self.compose_dir)

    @property
    def project(self):
        """The project's name, which compose takes from the directory's name."""
        return self.compose_dir.name

    @property
    def ssm(self):
        return moto.SSM(self.state["endpoint"]["host"])

    @property
    def url(self):
        return f"http://127.0.0.1:{self.state['port']}"

    def complete(self):
        return (self.dir / "state.json").exists() and self.state["complete"] and moto.running(self.dir)

    def create(self, choice):
        """Starts moto with its parameters, and creates the user and the compose project's files. Starts no container."""
        rendered = layout.Rendered(choice.rendered) if choice.rendered else None
        self.owner.claim()
        endpoint = moto.start(self.dir, engine.gateway())
        app = rendered.app if rendered else choice.app_name or f"tower-{self.name}"
        port = 8000 if rendered else free_port()
        self.save({"app": app, "port": port, "endpoint": endpoint, "complete": False, "layout": choice.layout, "kind": images.kind(), "database_image": images.database()})
        self.owner.create()
        self.save(self.state | {"python": self.owner.python()})
        if rendered:
            user, password = self.write_rendered(rendered)
        else:
            user, password = "tower", parameters.alphanumerics(24)
            self.write_project(choice, user, password)
        parameters.seed(self.ssm, app, parameters.invent(app, user, password))
        self.set(choice.set)

    def write_project(self, choice, user, password):
        database = "db:3306/tower?allowPublicKeyRetrieval=true&useSSL=false"
        if choice.external_database:
            write_env(self.dir / "database.env", {"MYSQL_ALLOW_EMPTY_PASSWORD": "yes", "MYSQL_DATABASE": "tower", "MYSQL_USER": user, "MYSQL_PASSWORD": password})
            address = external.start(self.project, self.state["database_image"], self.dir, choice.external_database)
            self.save(self.state | {"network": engine.network(), "database": external.name(self.project), "address": address})
            database = f"{address}/tower?sslMode=trust"
        made, redis_password = images.services(self.name, self.aws("containers")), parameters.alphanumerics(24)
        self.save(self.state | {"images": made})
        values = {
            "port": self.state["port"], "db_user": user, "db_password": password, "db_image": self.state["database_image"], "db_admin": self.tools["admin"],
            "redis_password": redis_password, "redis_image": made["redis"], "migrate_image": made["migrate-db"], "backend_image": made["backend"], "frontend_image": made["frontend"],
        }  # fmt: skip
        text = layout.compose_file(choice.layout, choice.health_interval, choice.external_database, values)
        self.owner.write(self.compose_dir / "docker-compose.yml", text)
        env = layout.tower_env(self.url, database) | {"TOWER_REDIS_PASSWORD": redis_password, "TOWER_DB_USER": user, "TOWER_DB_PASSWORD": password}
        self.owner.write(self.config / "tower.env", "".join(f"{k}={v}\n" for k, v in env.items()))
        self.owner.write(self.config / "tower.yml", layout.tower_yml(self.state["app"]))

    def write_rendered(self, rendered):
        """Writes the installer's files unchanged, and appends the database's login to tower.env as its playbook does. Stand-ins get the real images' names."""
        self.owner.write(self.compose_dir / "docker-compose.yml", rendered.compose)
        self.owner.write(self.config / "tower.env", rendered.tower_env)
        self.owner.write(self.config / "tower.yml", rendered.tower_yml)
        for name in rendered.mounted():
            # The installer's custom_default.conf.tpl begins with this.
            text = "upstream frontend {\n  server frontend:8000;\n}\n" if name.endswith("/custom_default.conf") else ""
            self.owner.write(self.compose_dir / name, text)
        config = json.loads(self.compose("config", "--format", "json").stdout)
        user, password = layout.login(config)
        self.owner.write(self.config / "tower.env", f"{rendered.tower_env.rstrip()}\nTOWER_DB_USER={user}\nTOWER_DB_PASSWORD={password}\n")
        made = images.under_real_names(self.name, self.aws("containers"), layout.stands_in(config), self.state["database_image"])
        self.save(self.state | {"images": {"backend": made}})
        return user, password

    @property
    def tools(self):
        """Names of the database's own programs in its image."""
        if self.state["kind"] == "mariadb":
            return {"client": "mariadb", "dump": "mariadb-dump", "admin": "mariadb-admin"}
        return {"client": "mysql", "dump": "mysqldump", "admin": "mysqladmin"}

    def aws(self, seen_from):
        return {
            "AWS_ENDPOINT_URL": self.state["endpoint"][seen_from],
            "AWS_REGION": moto.REGION,
            "AWS_DEFAULT_REGION": moto.REGION,
            "AWS_ACCESS_KEY_ID": moto.CREDENTIAL,
            "AWS_SECRET_ACCESS_KEY": moto.CREDENTIAL,
        }

    def set(self, settings):
        """Sets options such as SANDBOX_CRON_X=1, from the next start. An empty value removes an option. They are in SSM, where the stand-in
        reads them when it starts, because compose would see a changed env file as a pending change."""
        name = parameters.options(self.state["app"])
        values = json.loads(self.ssm.get(name) or "{}")
        for setting in settings:
            option, _, value = setting.partition("=")
            if not option.startswith(tuple(f"SANDBOX_{service.upper()}_" for service in SERVICES)):
                raise Problem(f"{option} is not an option of the stand-in; use SANDBOX_CRON_…, SANDBOX_BACKEND_… or SANDBOX_MIGRATE_…")
            values.pop(option, None)
            values |= {option: value} if value else {}
        if settings:
            self.ssm.put(name, json.dumps(values))

    def start(self, seed_options):
        """Starts the database, encrypts the seed meanwhile, then runs a plain `up`, which is right outside a rotation."""
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
        """The number of records by key, as the stand-in counts them."""
        return json.loads(run(*self.one_off("check", *options), env=engine.environment()).stdout)

    def one_off(self, *argv):
        network = self.state.get("network", f"{self.project}_backend")
        env = [f"--env-file={self.config / 'tower.env'}", f"--volume={self.config / 'tower.yml'}:/tower.yml:ro"]
        return ["docker", "run", "--rm", "--interactive", f"--network={network}", *env, self.state["images"]["backend"], *argv]

    def snapshot(self):
        """Everything that a run may change, without values. Two equal snapshots show that nothing was written, restarted or re-encrypted."""
        ids = engine.docker("ps", "--all", "--quiet", "--no-trunc", f"--filter=label=com.docker.compose.project={self.project}").stdout.split()
        started = engine.docker("inspect", "--format", "{{.Name}} {{.State.StartedAt}}", *ids).stdout.splitlines() if ids else []
        database = self.state.get("database", f"{self.project}-db-1")
        sums = "CHECKSUM TABLE tw_credentials, tw_secret"
        tables = engine.docker("exec", database, self.tools["client"], "--batch", "--skip-column-names", "tower", "--execute", sums).stdout
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

    def compose(self, *argv, check=True):
        """Runs docker compose as the owner, in the compose directory."""
        return self.owner.run("docker", "compose", *argv, directory=self.compose_dir, check=check)

    def clear(self):
        """Ends everything that belongs to this sandbox, even if its start was interrupted. The Engine must answer."""
        if (self.dir / "state.json").exists():
            run("docker", "compose", "-p", self.project, "down", "--volumes", "--remove-orphans", "--timeout", "5", env=engine.environment())
            external.stop(self.project)
            images.remove(self.name)
            self.owner.remove(self.state["database_image"])
        moto.stop(self.dir)
        for path in self.dir.iterdir():
            path.unlink()

    def destroy(self):
        """Like clear, but also removes the directory. Returns False if there is no such sandbox."""
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
            "DOCKER_CONFIG": str(self.owner.home / ".docker"),
            "SANDBOX_USER": self.owner.name,
            "SANDBOX_HOME": str(self.owner.home),
            "SANDBOX_DIR": str(self.compose_dir),
            "SANDBOX_CONFIG_DIR": str(self.config),
            "SANDBOX_PYTHON": state["python"],
            "SANDBOX_DB_CLIENT": self.tools["client"],
            "SANDBOX_DB_DUMP": self.tools["dump"],
            "SANDBOX_PROJECT": self.project,
            "SANDBOX_APP_NAME": state["app"],
            "SANDBOX_OMNIBUS": parameters.OMNIBUS,
            "SANDBOX_CONFIG_PREFIX": f"/config/{state['app']}",
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


def fetch(url):
    """(status, parsed answer). The status is 0 if nobody answers."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")
    except OSError:
        return 0, None
