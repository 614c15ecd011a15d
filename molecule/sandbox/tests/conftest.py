"""Shared by the tests of the whole playbook: a sandbox, runs of the playbook, and a search for keys in everything that they leave."""

import contextlib
import glob
import json
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import threading
import time
import urllib.request
from dataclasses import dataclass, field

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
SANDBOX = ROOT / "molecule" / "sandbox" / "sandbox"
VENV = pathlib.Path(os.environ.get("ANSIBLE_VENV", ROOT / ".venv")) / "bin"  # the venv whose ansible-playbook is tested
# one_process.py is for the ansible-core of .venv. `make test-sandbox-all` and `make test-matrix` run every task in a process of its own.
FORKS = "ANSIBLE_VENV" in os.environ or os.environ.get("SANDBOX_TESTS") == "all"


def program(forks):
    """ansible-playbook as users run it, or with all tasks in one process."""
    return [VENV / "ansible-playbook"] if forks else [VENV / "python", pathlib.Path(__file__).parent / "one_process.py"]


@dataclass
class Run:
    """One run of ansible-playbook."""

    code: int
    output: str
    recap: dict
    report: dict = field(default_factory=dict)  # the JSON report of this run, if there is one

    @property
    def host(self):
        """The only host of the report."""
        assert self.report, "this run wrote no report: set platform.report_dir"
        [one] = self.report["hosts"]
        return one


class Platform:
    """A running sandbox."""

    forks = FORKS  # whether each task of run() has a process of its own
    report_dir = ""  # Writing a report takes ten modules, so only the tests that read it set "reports".

    def __init__(self, name, tmp):
        self.name, self.tmp = name, tmp
        self.env = json.loads(self.sandbox("env", name, "--json"))
        self.environ = os.environ | self.env
        self.seen = []  # all texts that must not contain a key
        self.public = []  # of these, the texts that must not contain the database's password either: outputs and command lines
        self.outputs = []  # of these, the texts that must not contain any secret: outputs, events and reports of runs
        self.keys = {self.value(f"{self.env['SANDBOX_CONFIG_PREFIX']}/tower/crypto/secretKey")}

    @property
    def kept(self):
        """The directory of baselines and dumps, below the home of the user who runs compose."""
        return pathlib.Path(self.env["SANDBOX_HOME"], ".seqera-crypto-rotation")

    @property
    def events(self):
        """The events that AWX would store, if a test has asked for them with store_events."""
        return self.tmp / "events.jsonl"

    def store_events(self):
        plugins = pathlib.Path(__file__).parent / "callback_plugins"
        self.environ |= {"ANSIBLE_CALLBACKS_ENABLED": "events", "ANSIBLE_CALLBACK_PLUGINS": str(plugins), "EVENTS": str(self.events)}

    @staticmethod
    def sandbox(*argv):
        done = subprocess.run([SANDBOX, *argv], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    def ssm(self, action, **body):
        request = urllib.request.Request(
            self.env["AWS_ENDPOINT_URL"],
            json.dumps(body).encode(),
            {
                "X-Amz-Target": f"AmazonSSM.{action}",
                "Content-Type": "application/x-amz-json-1.1",
                "Authorization": "AWS4-HMAC-SHA256 Credential=testing/20260101/us-east-1/ssm/aws4_request, SignedHeaders=host, Signature=0",
            },
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)

    def parameters(self):
        """Every parameter with its value and version."""
        found, token = {}, {}
        while True:
            page = self.ssm("GetParametersByPath", Path="/", Recursive=True, WithDecryption=True, MaxResults=10, **token)
            found |= {p["Name"]: (p["Value"], p["Version"]) for p in page["Parameters"]}
            if not page.get("NextToken"):
                return found
            token = {"NextToken": page["NextToken"]}

    def value(self, name):
        return self.parameters()[name][0]

    def put(self, name, value):
        self.ssm("PutParameter", Name=name, Value=value, Type="SecureString", Overwrite=True)

    def docker(self, *argv):
        return subprocess.run(["docker", *argv], env=self.environ, capture_output=True, text=True, check=True).stdout

    def sql(self, statement):
        """Rows of the database, as lists of text."""
        out = self.docker("exec", f"{self.env['SANDBOX_PROJECT']}-db-1", self.env["SANDBOX_DB_CLIENT"], "--batch", "--skip-column-names", "tower", "--execute", statement)
        return [line.split("\t") for line in out.splitlines()]

    def ledger(self, rotation="r1"):
        """The ledger's entry of a rotation."""
        [text] = [value for name, (value, _) in self.parameters().items() if name.endswith(f"/ledger/{rotation}")]
        return json.loads(text)["body"]

    def compose(self, *argv):
        return self.sandbox("compose", self.name, *argv)

    def wait_ready(self, seconds=60):
        """Returns when the Platform answers. (compose's --wait uses health checks, and the backend has none.)"""
        end = time.monotonic() + seconds
        while True:
            try:
                with urllib.request.urlopen(self.env["SANDBOX_HEALTH_URL"], timeout=5):
                    return
            except OSError as error:
                assert time.monotonic() < end, f"the Platform is not ready after {seconds} s: {error}"
                time.sleep(0.2)

    def containers(self, *more):
        """IDs of this sandbox's own containers. Others may run on the same Engine."""
        return self.docker("ps", "--quiet", "--no-trunc", f"--filter=label=com.docker.compose.project={self.env['SANDBOX_PROJECT']}", *more).split()

    def started(self):
        """When each container started. An outage changes these times."""
        ids = self.containers()
        return sorted(self.docker("inspect", "--format", "{{.Name}} {{.State.StartedAt}}", *ids).splitlines()) if ids else []

    def oldest_start(self):
        """When the first of the containers that hold keys started."""
        return min(line.split()[1] for line in self.started() if re.search("backend|cron", line.split()[0]))

    def check(self):
        return json.loads(self.sandbox("check", self.name))

    def inventory(self, **more):
        variables = {
            "ansible_connection": "local",
            "ansible_python_interpreter": self.env.get("SANDBOX_PYTHON", str(VENV / "python")),
            "seqera_crypto_rotation_app_name": self.env["SANDBOX_APP_NAME"],
            "seqera_crypto_rotation_omnibus_parameter": self.env["SANDBOX_OMNIBUS"],
            "seqera_crypto_rotation_compose_dir": self.env["SANDBOX_DIR"],
            "seqera_crypto_rotation_health_url": self.env["SANDBOX_HEALTH_URL"],
            "seqera_crypto_rotation_docker_host": self.env["DOCKER_HOST"],
            "seqera_crypto_rotation_rotation_id": "r1",
            "seqera_crypto_rotation_poll_interval": 1,
            "seqera_crypto_rotation_ready_timeout": 60,
            "seqera_crypto_rotation_wait_timeout": 120,
            "seqera_crypto_rotation_backups": ["backup-of-the-test"],
            "seqera_crypto_rotation_report_dir": self.report_dir,
        }
        path = self.tmp / "inventory.json"
        path.write_text(json.dumps({"seqera_platforms": {"hosts": {self.name: variables | more}}}))
        return path

    def start(self, *argv, playbook="rotate-crypto.yml", forks=True, **variables):
        """Starts the playbook; the output goes to a file."""
        log = self.tmp / f"run-{time.monotonic_ns()}.txt"
        command = [*program(forks), "-i", self.inventory(**variables), ROOT / "playbooks" / playbook, *argv]
        environ = self.environ | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_LOG_PATH": str(self.tmp / "ansible.log")}
        with log.open("w") as out:
            process = subprocess.Popen(command, env=environ, cwd=self.tmp, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
        return process, log

    def run(self, *argv, playbook="rotate-crypto.yml", limit=400, **variables):
        """Runs the playbook from a directory outside the clone, and records the command lines and environments of all processes."""
        known = self.reports()
        with Eyes() as eyes:
            process, log = self.start(*argv, playbook=playbook, forks=self.forks, **variables)
            code = process.wait(timeout=limit)
        output = log.read_text()
        self.seen += [output, eyes.text()]
        self.public += [output, *eyes.commands]
        self.outputs += [output, self.events.read_text() if self.events.exists() else ""]
        recap = re.search(rf"^{self.name} +: (.*)$", output, re.M)
        counts = dict(pair.split("=") for pair in recap.group(1).split()) if recap else {}
        return Run(code, output, {name: int(count) for name, count in counts.items()}, self.report(known))

    def reports(self):
        return set((self.tmp / "reports").glob("2*.json"))

    def report(self, known):
        """The report that was written since `known` was listed."""
        new = self.reports() - known
        written = [path.read_text() for one in new for path in one.parent.glob(f"{one.stem}.*")]
        self.seen += written
        self.outputs += written
        assert len(new) < 2, new
        return json.loads(new.pop().read_text()) if new else {}

    def killed(self, until, also=lambda: True, **variables):
        """Starts a run, and kills it with all its processes as soon as its output contains these words and also() is true."""
        process, log = self.start(**variables)
        deadline = time.monotonic() + 300
        while not (until in log.read_text() and also()) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        assert process.poll() is None and time.monotonic() < deadline, log.read_text()
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self.seen.append(log.read_text())

    def remember_keys(self):
        for name, (value, _) in self.parameters().items():
            if name.endswith(("/secretKey", "/previous-key")):
                self.keys.add(value)

    def passwords(self):
        """All other secrets of the Platform (database, Redis, Wave, mail, registry), by their place: SSM, an environment or a command line."""
        said = json.loads(self.docker("inspect", *self.containers("--all")))
        named = [pair.partition("=")[::2] for one in said for pair in one["Config"]["Env"] or []]
        named += [(one["Name"], word) for one in said for word in one["Config"]["Cmd"] or [] if "requirepass" in str(one["Config"]["Cmd"])]
        named += [(name, value) for name, (value, _) in self.parameters().items()]
        secret = re.compile(r"password|secret|token|requirepass|redis", re.I)
        return {value: name for name, value in named if secret.search(name) and re.fullmatch(r"[A-Za-z0-9]{16,}", value) and value not in self.keys}

    def told_passwords(self):
        """The outputs, events and reports that contain such a secret, and the names of the secrets."""
        secrets = self.passwords()
        return [f"output {i}: {name}" for i, text in enumerate(self.outputs) for one, name in secrets.items() if one in text]

    def said_by_containers(self):
        ids = self.containers("--all")
        places = {"docker inspect": self.docker("inspect", *ids)} if ids else {}
        for container in ids:
            log = subprocess.run(["docker", "logs", container], env=self.environ, capture_output=True, text=True, check=True)
            places[f"log of {container}"] = log.stdout + log.stderr
        return places

    def leaks(self):
        """The places that contain a key: output, processes, containers, files."""
        self.remember_keys()
        places = {f"text {i}": text for i, text in enumerate(self.seen)} | self.said_by_containers()
        for pattern in (
            f"{self.env['SANDBOX_DIR']}/*",
            f"{self.env.get('SANDBOX_CONFIG_DIR', self.env['SANDBOX_DIR'])}/*",
            f"{self.tmp}/**",
            *(f"{home}/.ansible/tmp/**" for home in (pathlib.Path.home(), self.env.get("SANDBOX_HOME", ""))),
            f"{self.env.get('SANDBOX_HOME', self.tmp)}/.seqera-crypto-rotation/**",
            "/tmp/ansible*/**",
        ):
            for path in glob.glob(pattern, recursive=True):
                if os.path.isfile(path):
                    with contextlib.suppress(FileNotFoundError):  # a run of another test removes its own
                        places[path] = pathlib.Path(path).read_text(errors="replace")
        return sorted(place for place, text in places.items() if any(key in text for key in self.keys))


class Eyes:
    """Records the command line and environment of every program that runs while a playbook runs."""

    def __enter__(self):
        self.samples, self.commands, self.done = set(), set(), threading.Event()
        self.programs = Programs()
        self.look(everything())
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()
        self.programs.close()

    def watch(self):
        while not self.done.is_set():
            self.look(self.programs.started())

    def look(self, processes):
        for process in processes:
            with contextlib.suppress(OSError):  # it has ended, or it is a kernel process
                if command := pathlib.Path("/proc", process, "cmdline").read_text(errors="replace"):
                    self.commands.add(command)
                    self.samples |= {command, pathlib.Path("/proc", process, "environ").read_text(errors="replace")}

    def text(self):
        return "\n".join(self.samples)


def everything():
    return {name for name in os.listdir("/proc") if name.isdecimal()}


class Programs:
    """The programs that start. The kernel reports them to root (netlink, proc connector). In a container it does not: there, all processes are listed."""

    HEADER, EVENT = struct.Struct("=IHHIIIIIIHH"), struct.Struct("=IIQI")  # nlmsghdr and cn_msg; proc_event as far as the process ID

    def __init__(self):
        self.known, self.whole, self.news, self.hears = {}, 0, None, False
        with contextlib.suppress(OSError):
            self.news = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, 11)  # NETLINK_CONNECTOR
            self.news.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
            self.news.settimeout(0.2)
            self.news.bind((0, 1))  # CN_IDX_PROC
            self.news.send(self.HEADER.pack(self.HEADER.size + 4, 3, 0, 0, 0, 1, 1, 0, 0, 4, 0) + struct.pack("=I", 1))  # PROC_CN_MCAST_LISTEN
            self.hears = os.readlink("/proc/self/ns/pid") == "pid:[4026531836]"  # the numbers are those of the first PID namespace

    def close(self):
        if self.news:
            self.news.close()

    def started(self):
        """The IDs of the processes in which a program has started since the last call. Waits for at most 0.2 s."""
        if not self.hears:
            time.sleep(0.02)
            now = time.monotonic()
            self.known = {process: self.known.get(process, now) for process in everything()}
            # A new process may still run its parent's program, so it is read for a second. The others are read once a second.
            if now - self.whole >= 1:
                self.whole = now
                return set(self.known)
            return {process for process, since in self.known.items() if now - since < 1}
        try:
            what, _, _, process = self.EVENT.unpack_from(self.news.recv(256), self.HEADER.size)
        except TimeoutError:
            return set()
        except OSError:  # more events than the buffer holds
            return everything()
        return {str(process)} if what == 2 else set()  # PROC_EVENT_EXEC


def pytest_collection_modifyitems(items):
    """Skips the long tests, to keep `make test` below half an hour. Tests of a whole Platform come first: they take minutes, mostly waiting.
    They are in the order of their names, because neighbors in a file may wait for the same lock."""
    items.sort(key=lambda item: (0, item.name) if "platform" in item.fixturenames else (1, ""))
    skip = pytest.mark.skip(reason="it takes minutes: make test-sandbox-all runs it")
    for item in items:
        if item.get_closest_marker("long") and os.environ.get("SANDBOX_TESTS") != "all":
            item.add_marker(skip)


@pytest.fixture
def platform(tmp_path, request):
    """A sandbox for this test only. @pytest.mark.sandbox("--records", "10") sets its options."""
    marker = request.node.get_closest_marker("sandbox")
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower())[:24].strip("-")
    try:
        Platform.sandbox("up", name, *(marker.args if marker else ("--records", "10")))
        yield Platform(name, tmp_path)
    finally:
        Platform.sandbox("down", name)
