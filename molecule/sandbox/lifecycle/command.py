"""The subcommands of `sandbox`."""

import argparse
import fcntl
import json
import os
import shlex
import signal
import subprocess
import time

from . import engine, light
from .base import BUILD, Problem, say
from .layout import LAYOUTS, RENDERED
from .project import Sandbox, names

USERS = BUILD / "engine.users"  # each `with-engine` has it locked; until the last one ends, no `down` ends the Engine


def main(argv):
    options = parser().parse_args(argv)
    try:
        return options.do(options) or 0
    except Problem as problem:
        say(f"FAILED: {problem}")
        if options.do is up:
            say(f"to remove what was started, type:  molecule/sandbox/sandbox down {options.name}")
        return 1
    except KeyboardInterrupt:
        say("interrupted; `sandbox down NAME` removes the rest")
        return 130


def parser():
    top = argparse.ArgumentParser(prog="sandbox", description="Stand-in Seqera Platforms; see README.md")
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    def command(name, do, text, named=True):
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(do=do)
        if named:
            sub.add_argument("name", metavar="NAME")
        return sub

    sub = command("up", up, "start a sandbox, fill its database and wait until it is ready")
    for kind, default in (("records", 300), ("damaged", 0), ("orphaned", 0), ("deleted", 0)):
        sub.add_argument(f"--{kind}", type=int, default=default, metavar="N", help=f"default {default}")
    sub.add_argument("--app-name", metavar="APP", help="default tower-NAME")
    sub.add_argument("--set", action="append", default=[], metavar="SANDBOX_X=V", help="an option of the stand-in")
    sub.add_argument("--external-database", metavar="DIRECTORY", help="run the database outside the project, with TLS from cert.pem and key.pem in DIRECTORY")
    sub.add_argument("--layout", choices=LAYOUTS, default="installer", help="layout of the compose directory; default: installer")
    sub.add_argument("--rendered", metavar="DIRECTORY", nargs="?", const=os.environ.get("SANDBOX_RENDERED", str(RENDERED / "default")), help="take the files that the installer rendered, unchanged; default: $SANDBOX_RENDERED")
    sub.add_argument("--health-interval", choices=("quick", "real"), default="quick", help="interval of the database's health check: 2 s, or Docker's 30 s as on a real VM")
    command("down", down, "end a sandbox and everything it started")
    sub = command("env", env, "print the variables that a test needs, as shell exports")
    sub.add_argument("--json", action="store_true")
    sub = command("set", set_options, "set options of the stand-in for its next start")
    sub.add_argument("settings", nargs="+", metavar="SANDBOX_X=V")
    sub = command("check", check, "count the records by key, without the product")
    sub.add_argument("rest", nargs=argparse.REMAINDER)
    command("snapshot", snapshot, "print what a run may change: versions of parameters, starts of containers, checksums of tables")
    sub = command("compose", compose, "run docker compose in a sandbox's project")
    sub.add_argument("rest", nargs=argparse.REMAINDER)
    sub = command("light-up", light.up, "start many light installations: real SSM and database, stub VMs")
    sub.add_argument("--count", type=int, default=20)
    sub.add_argument("--records", type=int, default=6)
    sub.add_argument("--damaged", action="append", default=[], metavar="NNN", help="a host with a record that no key opens")
    command("light-down", light.down, "end a light fleet")
    command("light-env", light.env, "print addresses and paths of a light fleet's hosts, as JSON")
    sub = command("light-check", light.check, "count the records of one light host by key")
    sub.add_argument("host", metavar="HOST")
    command("list", lambda _: print("\n".join(names())) if names() else None, "names of the sandboxes", named=False)
    command("docker-host", lambda _: print(engine.docker_host()), "print the address of the Docker Engine", named=False)
    sub = command("with-engine", with_engine, "run a command while one Docker Engine serves all sandboxes; start a private one if none answers", named=False)
    sub.add_argument("rest", nargs=argparse.REMAINDER)
    command("engine-stop", engine_stop, "end the private Docker Engine", named=False)
    return top


def up(options):
    sandbox, begun = Sandbox(options.name), time.monotonic()
    with engine.locked():
        sandbox.dir.mkdir(parents=True, exist_ok=True)  # while this directory exists, no other sandbox's `down` ends the Engine
    engine.start()
    if sandbox.complete():
        sandbox.compose("up", "--detach")
        sandbox.wait_ready()
        say(f"{options.name} is up: {sandbox.url}")
        return
    sandbox.clear()
    say(f"{options.name}: starting moto, seeding parameters, writing the compose project")
    sandbox.create(options)
    seed = [f"--{kind}={getattr(options, kind)}" for kind in ("records", "damaged", "orphaned", "deleted")]
    say(f"{options.name}: starting db, redis, migrate, cron, backend, frontend")
    seeded = sandbox.start(seed)
    say(f"{options.name} is up after {time.monotonic() - begun:.1f} s: {sandbox.url}; {seeded}")


def down(options):
    sandbox = Sandbox(options.name)
    if sandbox.destroy():
        say(f"{options.name} is down and removed")
        with engine.locked():
            if not names():  # another sandbox may be starting, with moto at the network's address and no container yet
                engine.docker("network", "rm", engine.NETWORK, check=False)
    engine.stop(unless=lambda: names() or used())


def env(options):
    exports = Sandbox(options.name).exports()
    if options.json:
        print(json.dumps(exports, indent=2))
        return
    for name, value in exports.items():
        print(f"export {name}={shlex.quote(value)}")


def set_options(options):
    Sandbox(options.name).set(options.settings)


def check(options):
    print(json.dumps(Sandbox(options.name).check(*options.rest)))


def snapshot(options):
    print(json.dumps(Sandbox(options.name).snapshot(), indent=2))


def compose(options):
    sandbox = Sandbox(options.name)
    owner, where = sandbox.owner, sandbox.compose_dir
    return subprocess.run(["docker", "compose", *options.rest], env=owner.environment(where), cwd=where, check=False, **owner.identity()).returncode


def with_engine(options):
    BUILD.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGINT, lambda *_: None)  # Ctrl-C ends the command, and then this one
    with USERS.open("a") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        engine.start()
        code = subprocess.run(options.rest, check=False).returncode
    engine.stop(unless=lambda: names() or used())
    return code if code >= 0 else 128 - code


def used():
    """Whether a `with-engine` still runs."""
    with USERS.open("a") as users:
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def engine_stop(_):
    if names():
        raise Problem(f"these sandboxes are up: {' '.join(names())}; take them down first")
    engine.stop()
