"""Docker Engine: one that answers, or a private one with its data below build/ and its socket in a directory with a short name."""

import contextlib
import fcntl
import functools
import grp
import hashlib
import ipaddress
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from .base import BUILD, DOCKER_CONFIG, ROOT, Problem, alive, end, remember, run, say, wait_for

# The root directory of another Debian release, whose Engine becomes the private one. Engines share no data.
OTHER = Path(os.environ["SANDBOX_ENGINE_ROOT"]) if os.environ.get("SANDBOX_ENGINE_ROOT") else None
DATA = BUILD / (OTHER.name if OTHER else "engine")
LOG = BUILD / "engine.log"
PID = BUILD / "engine.pid"
NETWORK = "seqera-sandbox"  # the private Engine has no docker0, so its containers reach the host by this network's gateway
# A socket's path may have at most 107 characters, so this directory is not below the checkout, whose path may be long.
SHORT = Path(tempfile.gettempdir()) / ("seqera-sandbox-" + hashlib.sha256(str(ROOT).encode()).hexdigest()[:8])
PRIVATE = f"unix://{SHORT}/docker.sock"


@functools.cache
def docker_host():
    """The address of the Engine to use. In this order: DOCKER_HOST; a private Engine that runs or that SANDBOX_ENGINE_ROOT requests; an
    Engine that answers at docker's default address; the socket that a private Engine will have."""
    named = os.environ.get("DOCKER_HOST", "")
    if named and named != PRIVATE:
        return named
    if not alive(PID) and not OTHER:
        env = {k: v for k, v in os.environ.items() if k != "DOCKER_HOST"}
        found = run("docker", "context", "inspect", "--format", "{{.Endpoints.docker.Host}}", env=env, check=False)
        default = found.stdout.strip() or "unix:///var/run/docker.sock"
        if run("docker", "-H", default, "version", env=env, check=False).returncode == 0:
            return default
    return PRIVATE


def is_private():
    return docker_host() == PRIVATE


def environment():
    """The environment for docker and compose commands."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("COMPOSE_")}
    env.update(DOCKER_HOST=docker_host(), DOCKER_CONFIG=str(DOCKER_CONFIG))
    return env


def docker(*argv, **kwargs):
    return run("docker", *argv, env=environment(), **kwargs)


def answers():
    return docker("version", "--format", "{{.Server.Version}}", check=False).returncode == 0


def start():
    """Makes sure that an Engine answers; starts a private one if none does."""
    if shutil.which("docker") is None:
        raise Problem("docker is not installed; type:  hack/deps docker compose")
    if docker("compose", "version", check=False).returncode != 0:
        raise Problem("docker compose is not installed; type:  hack/deps compose")
    with locked():
        if answers():
            return
        if not is_private():
            raise Problem(f"no Docker Engine answers at {docker_host()}")
        start_private()


def start_private():
    if os.geteuid() != 0 or shutil.which("dockerd") is None:
        raise Problem("no Docker Engine answers, and a private one requires root and dockerd; type:  hack/deps docker")
    SHORT.mkdir(mode=0o711, exist_ok=True)  # lets ordinary users reach the socket, if their group may use it
    if SHORT.stat().st_uid != 0:
        raise Problem(f"{SHORT} belongs to another user")
    argv = [
        *other_root(), "dockerd", f"--host={PRIVATE}", f"--data-root={DATA}", f"--exec-root={SHORT}/exec",
        f"--pidfile={SHORT}/dockerd.pid", "--log-level=warn", f"--group={group()}",
        # Without packet filter rules, forwarding and docker0, the machine's own network stays unchanged. Services find each other
        # on their bridge, reach the host by its gateway, and publish ports through docker's proxy process. (--bridge=none deletes
        # docker0, so it is left out if another Engine has one.)
        *([] if Path("/sys/class/net/docker0").exists() else ["--bridge=none"]), f"--iptables={filtered()}", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false",
        "--userland-proxy=true",
    ]
    DATA.mkdir(parents=True, exist_ok=True)
    say("starting a private Docker Engine")
    with LOG.open("ab") as log:
        child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, close_fds=True)
    remember(PID, child.pid)
    took = wait_for("the Docker Engine", 60, answers, failed=lambda: None if alive(PID) else f"it ended; see {LOG}")
    say(f"the private Docker Engine answers after {took:.1f} s")


def other_root():
    """The prefix of a command that runs with the other release's /usr instead of this machine's. All other paths stay the same. The mount
    ends with the last process that sees it."""
    return ["unshare", "--mount", "--propagation=private", "sh", "-c", 'mount --bind "$0/usr" /usr && exec "$@"', OTHER] if OTHER else []


def group():
    """The ID of the group that may use the socket. Debian's package creates this group."""
    if run("getent", "group", "docker", check=False).returncode:
        run("groupadd", "--system", "docker")
    return grp.getgrnam("docker").gr_gid


def filtered():
    """'true' if the machine forwards nothing by default, not even on bridges. Then dockerd must add its exceptions."""
    rules = run("sh", "-c", "iptables -S FORWARD", check=False).stdout
    return "true" if "-P FORWARD DROP" in rules else "false"


def stop(unless=lambda: False):
    """Ends the private Engine, if there is one. Its images stay on disk, so the next start is quick."""
    with locked():
        if unless():
            return
        if alive(PID):
            run("docker", "-H", PRIVATE, "network", "rm", NETWORK, check=False)
            end(PID, "the private Docker Engine", seconds=60)
            say("the private Docker Engine has ended")
        PID.unlink(missing_ok=True)
        shutil.rmtree(SHORT, ignore_errors=True)
    docker_host.cache_clear()


def network():
    """The bridge on which the host has an address: docker's own, or ours if the Engine has none (`--bridge=none`)."""
    if gateways("bridge"):
        return "bridge"
    docker("network", "create", NETWORK, check=False)
    return NETWORK


def gateway():
    """The host's own address on a bridge. Containers and the host itself reach a server on the host at this address."""
    if not (addresses := gateways(network())):
        raise Problem("the Docker Engine has no bridge network through which containers could reach this machine")
    return addresses[0]


def gateways(network):
    """The host's addresses on a network. An Engine that has just started may list only the subnet; the host then has its first address."""
    found = docker("network", "inspect", "--format", "{{json .IPAM.Config}}", network, check=False)
    pools = [one for one in json.loads(found.stdout.strip() or "null") or [] if ":" not in one.get("Subnet", ":")]
    return [one.get("Gateway") or str(next(ipaddress.ip_network(one["Subnet"]).hosts())) for one in pools]


@contextlib.contextmanager
def locked():
    """A lock between processes, because two sandboxes may start at once."""
    BUILD.mkdir(parents=True, exist_ok=True)
    with (BUILD / "lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
