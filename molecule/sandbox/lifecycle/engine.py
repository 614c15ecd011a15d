"""Docker Engine: the one that answers, or a private one with its data under build/ and its socket in a short-named directory."""

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

# The root of another Debian release, whose Engine is taken for a private one. Engines share no data.
OTHER = Path(os.environ["SANDBOX_ENGINE_ROOT"]) if os.environ.get("SANDBOX_ENGINE_ROOT") else None
DATA = BUILD / (OTHER.name if OTHER else "engine")
LOG = BUILD / "engine.log"
PID = BUILD / "engine.pid"
NETWORK = "seqera-sandbox"  # its gateway is the host's address for containers of the private Engine, which has no docker0
# Socket paths may have 107 characters, so the directory is not below the checkout, which may be deep.
SHORT = Path(tempfile.gettempdir()) / ("seqera-sandbox-" + hashlib.sha256(str(ROOT).encode()).hexdigest()[:8])
PRIVATE = f"unix://{SHORT}/docker.sock"


@functools.cache
def docker_host():
    """The Engine to use: the one that DOCKER_HOST names, else a private one that runs or that SANDBOX_ENGINE_ROOT asks for, else
    what answers where docker looks by itself, else the private one's future socket."""
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
        raise Problem("docker compose is not there; type:  hack/deps compose")
    with locked():
        if answers():
            return
        if not is_private():
            raise Problem(f"no Docker Engine answers at {docker_host()}")
        start_private()


def start_private():
    if os.geteuid() != 0 or shutil.which("dockerd") is None:
        raise Problem("no Docker Engine answers, and a private one needs root and dockerd; type:  hack/deps docker")
    SHORT.mkdir(mode=0o711, exist_ok=True)  # ordinary users reach the socket, if their group may
    if SHORT.stat().st_uid != 0:
        raise Problem(f"{SHORT} belongs to somebody else")
    argv = [
        *other_root(), "dockerd", f"--host={PRIVATE}", f"--data-root={DATA}", f"--exec-root={SHORT}/exec",
        f"--pidfile={SHORT}/dockerd.pid", "--log-level=warn", f"--group={group()}",
        # No packet filter rules, no forwarding, no docker0: the machine's own network stays as it was. Services find each other
        # on their bridge, reach the host by its gateway, and publish ports through docker's proxy process. (--bridge=none deletes
        # docker0, so it is not given where another Engine has one.)
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
    """Puts the other release's programs and libraries in the place of this machine's, for the Engine alone: all other paths stay
    what they are, and the mount is gone with the last process that sees it."""
    return ["unshare", "--mount", "--propagation=private", "sh", "-c", 'mount --bind "$0/usr" /usr && exec "$@"', OTHER] if OTHER else []


def group():
    """The number of the group that may use the socket: Debian's package makes it."""
    if run("getent", "group", "docker", check=False).returncode:
        run("groupadd", "--system", "docker")
    return grp.getgrnam("docker").gr_gid


def filtered():
    """'true' on a machine that forwards nothing by default, bridges included: there dockerd must add its exceptions."""
    rules = run("sh", "-c", "iptables -S FORWARD", check=False).stdout
    return "true" if "-P FORWARD DROP" in rules else "false"


def stop(unless=lambda: False):
    """Ends the private Engine, if there is one; what it keeps on disk (images) makes the next start quick."""
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
    """The bridge that the host has an address on: docker's own, or ours where an Engine has none (`--bridge=none`)."""
    if gateways("bridge"):
        return "bridge"
    docker("network", "create", NETWORK, check=False)
    return NETWORK


def gateway():
    """The host's own address on a bridge, where a server on the host is reached by containers and by the host itself."""
    if not (addresses := gateways(network())):
        raise Problem("the Docker Engine has no bridge network through which containers could reach this machine")
    return addresses[0]


def gateways(network):
    """The host's addresses on a network; an Engine that was just started may say the subnet alone, whose first address it is."""
    found = docker("network", "inspect", "--format", "{{json .IPAM.Config}}", network, check=False)
    pools = [one for one in json.loads(found.stdout or "null") or [] if ":" not in one.get("Subnet", ":")]
    return [one.get("Gateway") or str(next(ipaddress.ip_network(one["Subnet"]).hosts())) for one in pools]


@contextlib.contextmanager
def locked():
    """One at a time: two sandboxes may come up at once."""
    BUILD.mkdir(parents=True, exist_ok=True)
    with (BUILD / "lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
