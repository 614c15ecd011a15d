"""Light VMs: one process simulates many VMs for a rotation, without containers.

Each VM has the socket of a Docker Engine (only the part of the API that looks at containers), the answers of `docker compose` (in
its own words, so that community.docker can parse them), and a health URL. The "containers" of migrate and cron are processes of the
stand-in, so records are really re-encrypted. For db, backend and frontend this process only claims that they run. light.py runs it:

    python -m lifecycle.lightvm DIRECTORY STANDIN        DIRECTORY/vms.json: {name: {"env": {…}}}
"""

import datetime
import json
import os
import socketserver
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMPOSE = "2.28.1"  # the last version whose events are text
NEEDS = {"db": (), "migrate": ("db",), "cron": ("migrate",), "backend": ("db", "cron"), "frontend": ("backend",)}
ENVIRONMENTS = {"cron": "prod,redis,cron,,,", "backend": "prod,redis,ha,,,"}
ROLES = {"migrate": {"SANDBOX_ROLE": "migrate"}, "cron": {"MICRONAUT_ENVIRONMENTS": ENVIRONMENTS["cron"]}}
IMAGE = {"Id": "sha256:" + "0" * 64, "RepoTags": ["light:latest"], "Config": {"Env": []}}  # the image of every service


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Container:
    """One service's container: its times and, if it has one, its process."""

    def __init__(self, vm, service):
        self.vm, self.service, self.name = vm, service, f"{vm.name}-{service}-1"
        self.state, self.created, self.started, self.finished, self.code = "created", now(), "", "", 0
        self.process = None

    def start(self):
        self.state, self.started, self.code = "running", now(), 0
        if self.service in ROLES:
            self.process = self.vm.spawn(self.service)
        if self.service == "migrate":
            self.process.communicate()
            self.look()

    def look(self):
        """Records the end of a process that has exited by itself."""
        if self.state == "running" and self.process and self.process.poll() is not None:
            self.state, self.finished, self.code = "exited", now(), self.process.returncode

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait()
        if self.state == "running":
            self.state, self.finished = "exited", now()

    def labels(self):
        compose = "com.docker.compose"
        return {
            f"{compose}.project": self.vm.name, f"{compose}.service": self.service, f"{compose}.oneoff": "False", f"{compose}.version": COMPOSE,
            f"{compose}.project.working_dir": str(self.vm.dir), f"{compose}.project.config_files": str(self.vm.dir / "docker-compose.yml"),
        }  # fmt: skip

    def summary(self):
        return {"Id": self.name, "Names": ["/" + self.name], "Image": self.service, "State": self.state, "Labels": self.labels()}

    def inspected(self):
        state = {"Status": self.state, "Running": self.state == "running", "ExitCode": self.code, "StartedAt": self.started, "FinishedAt": self.finished}
        env = [f"{name}={value}" for name, value in self.vm.environment(self.service).items()]
        return {
            "Id": self.name, "Name": "/" + self.name, "Created": self.created, "RestartCount": 0, "State": state, "Image": IMAGE["Id"],
            "Config": {"Labels": self.labels(), "Env": env, "Image": "light"}, "HostConfig": {}, "Mounts": [],
            "NetworkSettings": {"Networks": {"light": {"IPAddress": "127.0.0.1" if self.state == "running" else ""}}},
        }  # fmt: skip

    def listed(self):
        return {"ID": self.name, "Name": self.name, "Names": self.name, "Project": self.vm.name, "Service": self.service, "State": self.state, "Labels": ""}


class VM:
    """One compose project."""

    def __init__(self, name, directory, env, standin):
        self.name, self.dir, self.env, self.standin, self.containers, self.lock = name, directory, env, standin, {}, threading.Lock()

    def environment(self, service):
        """The environment of a container of the service: the Platform's settings, and the service's role."""
        if service not in ENVIRONMENTS:
            return {}
        settings = {name: value for name, value in self.env.items() if name.startswith(("TOWER_", "MICRONAUT_"))}
        return settings | {"MICRONAUT_ENVIRONMENTS": ENVIRONMENTS[service]}

    def config(self):
        """`docker compose config --format json`."""
        services = {
            name: {
                "image": "light", "environment": self.environment(name), "restart": "no" if name == "migrate" else "always",
                "depends_on": {need: {"condition": "service_completed_successfully" if need == "migrate" else "service_started"} for need in needs},
            }
            for name, needs in NEEDS.items()
        }  # fmt: skip
        return {"name": self.name, "services": services}

    def spawn(self, service):
        environ = {"PATH": os.environ["PATH"]} | self.env | ROLES[service]
        return subprocess.Popen([self.standin], env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)

    def all(self):
        for one in self.containers.values():
            one.look()
        return list(self.containers.values())

    def closure(self, services):
        wanted = set(services or NEEDS)
        while more := {need for one in wanted for need in NEEDS[one]} - wanted:
            wanted |= more
        return [one for one in NEEDS if one in wanted]

    def up(self, services, start=True):
        """Starts services and returns compose's events. The services must be in the order of their dependencies."""
        said = []
        self.all()
        for service in (one for one in NEEDS if one in services):
            one = self.containers.get(service)
            if one is None:
                one = self.containers[service] = Container(self, service)
                said += [(one, "Creating"), (one, "Created")]
            if start and one.state != "running" and not (service == "migrate" and one.state == "exited" and one.code == 0 and one.started):
                one.start()
                said += [(one, "Starting"), (one, "Started")]
        return said

    def down(self, dry):
        said = []
        for one in self.all()[::-1]:
            said += [(one, "Stopping"), (one, "Stopped")] if one.state == "running" else []
            said += [(one, "Removing"), (one, "Removed")]
            if not dry:
                one.stop()
        if not dry:
            self.containers = {}
        return said

    def stop(self, services):
        said = []
        for one in self.all():
            if one.service in services:
                one.stop()
                said += [(one, "Stopping"), (one, "Stopped")]
        return said

    def restart(self, services):
        said = []
        for one in self.all():
            if one.service in services:
                one.stop()
                one.start()
                said += [(one, "Restarting"), (one, "Started")]
        return said

    def cli(self, argv):
        """(exit code, stdout, stderr) of `docker ARGV`."""
        if argv[0] == "version":
            return 0, json.dumps({"Client": {"Version": "28.5.2"}, "Server": {"Version": "28.5.2", "ApiVersion": "1.51"}}), ""
        if argv[0] == "info":  # community.docker before 4 finds compose this way
            return 0, json.dumps({"ServerVersion": "28.5.2", "ClientInfo": {"Plugins": [{"Name": "compose", "Version": COMPOSE}]}}), ""
        if argv[0] != "compose":
            return 1, "", f"light: docker {argv[0]} is not known here"
        if argv[1] == "version":
            return 0, COMPOSE if "--short" in argv else json.dumps({"version": COMPOSE}), ""
        words, services = argv, []
        if "--" in argv:
            words, services = argv[: argv.index("--")], argv[argv.index("--") + 1 :]
        verb = next(word for word in words[1:] if word in ("config", "ps", "images", "up", "down", "stop", "restart", "run"))
        with self.lock:
            return self.compose(verb, set(words), services)

    def compose(self, verb, flags, services):
        dry = "--dry-run" in flags
        if verb == "config":
            return 0, json.dumps(self.config()), ""
        if verb == "ps":
            return 0, "\n".join(json.dumps(one.listed()) for one in self.all()), ""
        if verb == "images":
            return 0, "[]", ""
        if verb == "run":
            self.up([] if "--no-deps" in flags else [need for need in self.closure(services) if need not in services])
            return self.spawn(services[0]).wait(), "", ""
        if dry and verb != "down":
            return 0, "", ""
        if verb == "up":
            wanted = (services or list(NEEDS)) if "--no-deps" in flags else self.closure(services)
            said = self.up(wanted, start="--no-start" not in flags)
            failed = [one for one in self.all() if one.service == "migrate" and one.code]
            if failed:
                return 1, "", f'service "migrate" didn\'t complete successfully: exit {failed[0].code}'
        else:
            said = {"down": lambda: self.down(dry), "stop": lambda: self.stop(services or NEEDS), "restart": lambda: self.restart(services or NEEDS)}[verb]()
        return 0, "", "".join(f"{'DRY-RUN MODE - ' if dry else ''} Container {one.name}  {word}\n" for one, word in said)


def handler(vm):
    class Handler(BaseHTTPRequestHandler):
        """A Docker Engine's socket. Also: POST /cli runs a command line for lightcli, POST /env sets options of the stand-in from its next start."""

        protocol_version = "HTTP/1.1"

        def answer(self, status, body, kind="application/json"):
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Api-Version", "1.51")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def do_HEAD(self):
            self.do_GET()

        def do_GET(self):
            path = self.path.partition("?")[0]
            parts = path.split("/containers/")
            if "/images/" in path:
                return self.answer(200, IMAGE)
            if path.endswith("/_ping"):
                return self.answer(200, b"OK", "text/plain")
            if len(parts) < 2:
                return self.answer(404, {"message": f"light: {path} is not known here"})
            with vm.lock:
                found = {one.name: one for one in vm.all()}
            if parts[1] == "json":
                return self.answer(200, [one.summary() for one in found.values()])
            name, _, what = parts[1].partition("/")
            if name not in found:
                return self.answer(404, {"message": f"No such container: {name}"})
            return self.answer(200, found[name].inspected() if what == "json" else b"")

        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path == "/env":
                vm.env |= asked
                return self.answer(200, {})
            code, out, err = vm.cli(asked)
            self.answer(200, {"code": code, "stdout": out, "stderr": err})

        def address_string(self):
            return "light"

        def log_message(self, *_):
            pass

    return Handler


class Socket(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads, request_queue_size = True, 64

    def handle_error(self, request, client_address):
        """Ignores clients that disconnect."""


class Web(ThreadingHTTPServer):
    daemon_threads, request_queue_size = True, 256


def health(vms):
    class Handler(BaseHTTPRequestHandler):
        """GET /NAME/…, for the service-info and the backend's health of a VM: 200 while that VM's backend runs."""

        def do_GET(self):
            vm = vms.get(self.path.split("/")[1])
            ready = vm is not None and any(one.service == "backend" and one.state == "running" for one in vm.containers.copy().values())
            self.send_response(200 if ready else 503)
            content = json.dumps({"serviceInfo": {"version": "26.1.3"}}).encode() if ready else b"{}"
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    return Handler


def main(directory, standin):
    directory = Path(directory)
    vms = {name: VM(name, directory / name, vm["env"], standin) for name, vm in json.loads((directory / "vms.json").read_text()).items()}
    for name, vm in vms.items():
        server = Socket(str(directory / f"{name}.sock"), handler(vm))
        threading.Thread(target=server.serve_forever, daemon=True).start()
    web = Web(("127.0.0.1", 0), health(vms))
    (directory / "port").write_text(str(web.server_port))
    try:
        web.serve_forever()
    finally:
        for vm in vms.values():
            for one in vm.all():
                one.stop()


if __name__ == "__main__":
    import signal

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    main(*sys.argv[1:])
