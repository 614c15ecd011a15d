"""A light installation with the interface of Platform. SSM, database and records are real; the VM is a stub."""

import http.client
import json
import os
import socket

from conftest import Platform


class LightPlatform(Platform):
    """One installation of a light fleet."""

    forks = True
    report_dir = "reports"

    def __init__(self, fleet, number, tmp):
        state = json.loads(self.sandbox("light-env", fleet))
        host = state["hosts"][number]
        self.fleet, self.name, self.tmp, self.database, self.health = fleet, host["name"], tmp, host["database"], host["backend_health_url"]
        self.env = state["aws"] | {
            "SANDBOX_APP_NAME": host["app_name"], "SANDBOX_OMNIBUS": host["omnibus_parameter"], "SANDBOX_DIR": host["compose_dir"], "SANDBOX_PROJECT": host["name"],
            "SANDBOX_HEALTH_URL": host["health_url"], "SANDBOX_CONFIG_PREFIX": f"/config/{host['app_name']}", "DOCKER_HOST": host["docker_host"],
        }  # fmt: skip
        self.path = state["path"]  # the directory of the light `docker`
        self.environ = os.environ | self.env | {"PATH": f"{self.path}:{os.environ['PATH']}"}
        self.seen, self.public, self.outputs, self.keys = [], [], [], set()
        self.remember_keys()

    def inventory(self, **more):
        own = {"database": self.database, "compose_project": self.name, "baseline_dir": str(self.tmp / "baselines"), "backend_health_url": self.health}
        return super().inventory(**{f"seqera_crypto_rotation_{name}": value for name, value in own.items()} | more)

    def engine(self, path, **body):
        """Calls the VM's Docker Engine stub and returns its answer. With a body the call is a POST."""
        connection = http.client.HTTPConnection("light")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(self.env["DOCKER_HOST"].removeprefix("unix://"))
        connection.request("POST" if body else "GET", path, json.dumps(body))
        return json.loads(connection.getresponse().read())

    def set(self, **options):
        """Sets options of the stand-in, from its next start."""
        self.engine("/env", **options)

    def compose(self, *argv):
        return self.docker("--host", self.env["DOCKER_HOST"], "compose", *argv)

    def restart_by_hand(self):
        """Restarts as a person would: a plain up, which starts cron first, then a restart of cron."""
        for argv in (("down",), ("up", "--"), ("restart", "--", "cron")):
            self.compose(*argv)

    def started(self):
        names = [one["Id"] for one in self.engine("/containers/json")]
        return sorted(f"{name} {self.engine(f'/containers/{name}/json')['State']['StartedAt']}" for name in names)

    def check(self):
        return json.loads(self.sandbox("light-check", self.fleet, self.name))

    def said_by_containers(self):
        return {}

    def trace(self):
        """Names of parameters that a rotation removes at its end."""
        return [name for name in self.parameters() if "secret-rotation" in name and name.startswith(self.env["SANDBOX_CONFIG_PREFIX"] + "/")]

    def current(self):
        return self.value(f"{self.env['SANDBOX_CONFIG_PREFIX']}/tower/crypto/secretKey")
