"""A fleet of light installations. They share a real SSM and a real database server; their VMs are stubs (lightvm.py)."""

import concurrent.futures
import json
import os
import shutil
import socket
import subprocess
import sys

from . import images, moto, parameters
from .base import BUILD, HERE, Problem, end, remember, run, say, wait_for

SERVICES = "services:\n" + "".join(f"  {name}:\n    image: light\n" for name in ("db", "migrate", "cron", "backend", "frontend"))


class Light:
    """A fleet of light installations, by name. The database server accepts any password."""

    def __init__(self, name):
        self.name, self.dir = name, BUILD / "light" / name

    def up(self, count, records, damaged=()):
        """Starts the fleet. Each host whose number is in `damaged` has one more record, which no key opens."""
        self.dir.mkdir(parents=True)
        standin = BUILD / "standin"
        images.build(standin)
        endpoint = moto.start(self.dir, "127.0.0.1")["host"]
        hosts = [self.host(number) for number in range(count)]
        port = self.database([host["database"] for host in hosts])
        aws = {"AWS_ENDPOINT_URL": endpoint, "AWS_REGION": moto.REGION, "AWS_ACCESS_KEY_ID": moto.CREDENTIAL, "AWS_SECRET_ACCESS_KEY": moto.CREDENTIAL}
        vms = {host["name"]: {"env": aws | self.environment(host, port)} for host in hosts}
        (self.dir / "vms.json").write_text(json.dumps(vms))
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda host: self.seed(moto.SSM(endpoint), standin, host, vms[host["name"]]["env"], records, host["name"][-3:] in damaged), hosts))
        self.start(standin)
        for host in hosts:
            web = f"{(self.dir / 'port').read_text()}/{host['name']}"
            host["health_url"], host["backend_health_url"] = f"http://127.0.0.1:{web}/api/service-info", f"http://{{address}}:{web}/health"
            host["database"] = {"host": "127.0.0.1", "port": port, "name": host["database"], "user": "tower", "password": "any"}
        (self.dir / "bin").mkdir()
        shutil.copy(HERE / "lifecycle" / "lightcli", self.dir / "bin" / "docker")
        (self.dir / "state.json").write_text(json.dumps({"aws": aws, "path": str(self.dir / "bin"), "hosts": hosts}))
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda host: self.docker(host, "compose", "up", "--"), hosts))

    def host(self, number):
        name = f"{self.name}-{number:03}"
        directory = self.dir / name
        directory.mkdir()
        (directory / "docker-compose.yml").write_text(f"name: {name}\n{SERVICES}")
        return {
            "name": name, "app_name": f"tower-{name}", "omnibus_parameter": f"/light/{name}/omnibus", "compose_dir": str(directory),
            "docker_host": f"unix://{self.dir}/{name}.sock", "database": f"tower_{number:03}",
        }  # fmt: skip

    def environment(self, host, port):
        return {
            "TOWER_ENABLE_AWS_SSM": "true", "MICRONAUT_APPLICATION_NAME": host["app_name"], "TOWER_DB_USER": "tower", "TOWER_DB_PASSWORD": "any",
            "TOWER_DB_URL": f"jdbc:mysql://127.0.0.1:{port}/{host['database']}?useSSL=false",
        }  # fmt: skip

    def database(self, names):
        """Starts one server with a database for each host. It accepts every login."""
        data, user = self.dir / "mysql", f"--user={'root' if os.getuid() == 0 else os.getuid()}"
        run("mariadb-install-db", "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal", "--skip-test-db", user)
        begin = self.dir / "init.sql"
        begin.write_text("".join(f"CREATE DATABASE IF NOT EXISTS {name} CHARACTER SET utf8mb4;\n" for name in names))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.daemon(
            "mysql", "mariadbd", "--no-defaults", f"--datadir={data}", user, "--bind-address=127.0.0.1", f"--port={port}", f"--socket={data}/s",
            "--skip-grant-tables", "--skip-networking=0", f"--init-file={begin}", "--innodb-flush-log-at-trx-commit=0", "--max-connections=1000",
        )  # fmt: skip
        wait_for("the light database", 60, lambda: answers(port))
        return port

    def seed(self, ssm, standin, host, env, records, damaged):
        parameters.seed_key(ssm, host["app_name"], host["omnibus_parameter"])
        for argv, role in (((), {"SANDBOX_ROLE": "migrate"}), (("seed", "--records", str(records), "--damaged", str(int(damaged))), {})):
            done = subprocess.run([standin, *argv], env={"PATH": os.environ["PATH"]} | env | role, capture_output=True, text=True, check=False)
            if done.returncode:
                raise Problem(f"{host['name']}: {done.stdout}{done.stderr}")

    def start(self, standin):
        self.daemon("vms", sys.executable, "-m", "lifecycle.lightvm", self.dir, standin, cwd=HERE)
        wait_for("the light VMs", 30, lambda: (self.dir / "port").exists())

    def daemon(self, name, *argv, **more):
        with (self.dir / f"{name}.log").open("wb") as log:
            child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, **more)
        remember(self.dir / f"{name}.pid", child.pid)

    def docker(self, host, *argv):
        return run(self.dir / "bin" / "docker", "--host", host["docker_host"], *argv)

    @property
    def state(self):
        try:
            return json.loads((self.dir / "state.json").read_text())
        except FileNotFoundError:
            raise Problem(f"no light fleet {self.name} is up") from None

    def check(self, name):
        """The number of records by key, as the stand-in counts them."""
        env = json.loads((self.dir / "vms.json").read_text())[name]["env"]
        return json.loads(run(BUILD / "standin", "check", env={"PATH": os.environ["PATH"]} | env).stdout)

    def down(self):
        end(self.dir / "vms.pid", "the light VMs")
        end(self.dir / "mysql.pid", "the light database")
        moto.stop(self.dir)
        shutil.rmtree(self.dir, ignore_errors=True)


def answers(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def up(options):
    fleet = Light(options.name)
    if fleet.dir.exists():
        raise Problem(f"the light fleet {options.name} is up already; to end it, type:  molecule/sandbox/sandbox light-down {options.name}")
    fleet.up(options.count, options.records, options.damaged)
    say(f"{options.name}: {options.count} light installations are up")


def down(options):
    Light(options.name).down()


def env(options):
    print(json.dumps(Light(options.name).state, indent=2))


def check(options):
    print(json.dumps(Light(options.name).check(options.host)))


