"""moto, the stand-in for AWS, one per sandbox. It keeps everything in memory, so all keys are gone when it ends."""

import json
import re
import socket
import subprocess
import urllib.error
import urllib.request

from .base import ROOT, Problem, alive, end, remember, wait_for

REGION = "us-east-1"
CREDENTIAL = "testing"  # both halves of the access key for moto


def start(directory, gateway):
    """Starts a server for one sandbox. Returns {"host": url, "containers": url}."""
    program = ROOT / ".venv" / "bin" / "moto_server"
    if not program.exists():
        raise Problem("moto is not installed; type:  hack/deps venv")
    local = is_local(gateway)
    address = gateway if local else "127.0.0.1"
    log, pid_file = directory / "moto.log", directory / "moto.pid"
    with log.open("wb") as out:
        child = subprocess.Popen(
            [program, "-H", address, "-p", "0"], stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
        )
    remember(pid_file, child.pid)
    port = []

    def listening():
        port[:] = re.findall(r"Running on http://[^:]+:(\d+)", log.read_text(errors="replace"))
        return bool(port)

    wait_for("moto", 60, listening, failed=lambda: None if alive(pid_file) else f"it ended; see {log}")
    # Docker Desktop's bridge is inside its own virtual machine. There, containers reach the host's loopback by this name.
    return {"host": f"http://{address}:{port[0]}", "containers": f"http://{address if local else 'host.docker.internal'}:{port[0]}"}


def stop(directory):
    return end(directory / "moto.pid", "moto")


def running(directory):
    return alive(directory / "moto.pid") is not None


def is_local(address):
    with socket.socket() as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


class SSM:
    """The few SSM calls that a sandbox needs, over HTTP, without an SDK. No value is in a process's arguments."""

    def __init__(self, endpoint):
        self.endpoint = endpoint

    def call(self, action, **body):
        scope = f"Credential={CREDENTIAL}/20250101/{REGION}/ssm/aws4_request"
        headers = {
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": f"AmazonSSM.{action}",
            "Authorization": f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=none",
        }
        request = urllib.request.Request(self.endpoint, json.dumps(body).encode(), headers)
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise Problem(f"SSM {action}: {json.load(error).get('__type', error.code)}") from None
        except OSError:
            raise Problem(f"SSM {action}: moto does not answer at {self.endpoint}") from None

    def put(self, name, value, overwrite=True):
        return self.call("PutParameter", Name=name, Value=value, Type="SecureString", Overwrite=overwrite)["Version"]

    def get(self, name):
        found = self.call("GetParameters", Names=[name], WithDecryption=True)["Parameters"]
        return found[0]["Value"] if found else None

    def under(self, path):
        """Every parameter below a path, without its value."""
        out, token = [], {}
        while token is not None:
            page = self.call("GetParametersByPath", Path=path, Recursive=True, **token)
            out += [{field: p[field] for field in ("Name", "Version", "LastModifiedDate")} for p in page["Parameters"]]
            token = {"NextToken": page["NextToken"]} if page.get("NextToken") else None
        return out
