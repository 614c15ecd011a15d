#!/usr/bin/python
# WANT_JSON
"""One stand-in for all modules that the role calls about a Platform. It records the call, fails if the test says so, answers, and keeps
the resulting state of the world in a file."""

import json
import os
import pwd
import sys
import time

PLATFORM = {"project": "tower", "files": ["/p/docker-compose.yml"], "env_files": [], "profiles": [], "mounts": {}, "keeps_addresses": ["frontend"]}
ROLES = {"backend": "backend", "cron": "cron", "migrate": "migrate"}
CAPTURE = ["escrow_retiring_key", "escrow_new_key", "open_ledger"]
WRITES = {
    "prepared": ["put_omnibus", "put_current_key", "put_switch", "record_prepared"],
    "finalized": ["put_omnibus", "delete_switch", "record_finished"],
    "aborted": ["put_omnibus", "put_current_key", "record_aborted"],
    "reversed": ["record_reversed", "put_omnibus", "put_previous_key", "put_current_key", "record_prepared"],
}
OPEN = ("captured", "prepared")


def steps(names, done):
    return [{"action": name, "target": "/" + name, "reason": "", "done": done} for name in ["take_lock", *names, "release_lock"] if names]


def rotating(world):
    if world["phase"] != "prepared" or not {"backend", "cron"} <= set(world["up"]):
        return {"failed": True, "msg": "not yet", "error_code": "platform_not_found"}
    return {"phase": "rotated", "msg": "proved", "proof": {"total": world["records"], "verify": ["database"]}}


def control(world, asked, check):
    """The module on the control node: its writes advance the phase."""
    state, phase = asked["state"], world["phase"]
    if state == "rotating":
        return rotating(world)
    names = {"idle": CAPTURE + WRITES["prepared"], "captured": WRITES["prepared"]}.get(phase, []) if state == "prepared" else WRITES[state]
    end = state
    if state == "aborted" and asked.get("reverse"):
        names, end = WRITES["reversed"], "prepared"
    if asked.get("capture_only"):
        names, end = [one for one in names if one in CAPTURE], "captured"
    if names and not check:
        world["phase"] = phase = end
        if asked.get("platform"):
            world["platform"] = {key: asked["platform"].get(key) for key in (*PLATFORM, "dir") if key != "keeps_addresses"}
        if asked.get("baseline"):
            world["baseline"] = asked["baseline"]
    kept = {key: world[key] for key in ("platform", "baseline") if world.get(key) and phase in OPEN}
    return kept | {
        "changed": bool(names), "msg": f"now {phase}", "phase": end if names else phase, "rotation_id": "r1",
        "steps": steps(names, not check), "then": steps(WRITES["finalized"], False), "fingerprints": {"current": "aaaa", "previous": "bbbb"},
        "evidence": [], "last_records": world.get("last_records"), "escrow": {"parameter": "/escrow/bbbb"},
    }  # fmt: skip


def info(world, asked, _check):
    """seqera_crypto_rotation_info."""
    gather, phase = asked["gather"], world["phase"]
    out = {"msg": f"SSM is {phase}", "phase": phase if phase in ("prepared", "inconsistent") else "idle", "evidence": [], "key_age_days": world.get("age")}
    out["fingerprints"] = {"current": "aaaa", "previous": "bbbb" if phase == "prepared" else ""}
    if "platform" in gather:
        if not world["up"]:
            return {"failed": True, "msg": "no containers", "error_code": "platform_not_found"}
        services = [
            {"name": one["service"], "container": one["name"], "role": ROLES.get(one["service"], "other"), "image": "x", "state": one["state"]}
            for one in containers(world)
        ]
        out["platform"] = {"services": services, "readiness": {"ready": "backend" in world["up"], "at": "2026-12-01T00:00:00Z", "detail": "", "url": "u"}}
    if "preflight" in gather:
        services = {name: {"running": name in world["up"], "enabled": True, "image": "x"} | one for name, one in world["services"].items()}
        out["compose"] = PLATFORM | {"dir": asked["compose_dir"], "services": services}
    if {"count", "records"} & set(gather):
        total = world.get("records_after", world["records"]) if "count" in gather else world["records"]
        new = total if phase not in ("prepared", world.get("restored_in")) or world.get("rewritten") else 0
        out["records"] = {"total": total, "current": new, "unreadable": 0, "orphaned": 0, "unreadable_ids": [], "database": "db:3306/tower"}
    if "records" in gather:
        new = out["records"]["current"]
        out["baseline"] = {"path": "/b", "digest": "d", "total": world["records"], "taken_at": "t"}
        out |= {"untouched": {"kind": "untouched"}} if phase == "prepared" and not new and not {"backend", "cron"} & set(world["up"]) else {}
    if "escrow" in gather:
        out["escrow"] = world.get("escrow", [])
    if "ledger" in gather and phase in OPEN:
        entry = {"rotation_id": "r1", "stage": {"captured": "open"}.get(phase, phase), "previous": "bbbb", "current": "aaaa"}
        out["ledger"] = [entry | {"platform": world.get("platform", {})}]
    return out


def containers(world):
    """One container for each running service. A test may set other containers for the backend."""
    made = [{"id": one, "name": f"tower-{one}-1", "service": one, "state": "running"} for one in world["up"] if one != "backend" or "twins" not in world]
    return made + world.get("twins", [])


def docker(argv, path):
    """The docker commands that a handover calls."""
    with open(path) as file:
        world = json.load(file)
    twins, (verb, *more) = world.setdefault("twins", [one for one in containers(world) if one["service"] == "backend"]), argv
    mine = [one for one in twins if {one["id"], one["name"]} & set(more)]
    if verb == "ps":
        print("\n".join(json.dumps({"networks": "tower_frontend,tower_backend"} | one) for one in containers(world)))
    elif verb == "compose":
        free = next(name for name in ("next", "next1", "next2") if name not in [one["id"] for one in twins])
        twins.append({"id": free, "name": "tower-backend-2", "service": "backend", "state": "created"})
    elif verb == "rename":
        mine[0]["name"] = more[1]
    elif verb in ("start", "stop"):
        mine[0]["state"] = {"start": "running", "stop": "exited"}[verb]
    elif verb == "rm":
        twins[:] = [one for one in twins if one not in mine]
    serves = any(one["state"] == "running" and not one["name"].endswith("-next") for one in twins)
    world["up"] = sorted({*world["up"], "backend"} - (set() if serves else {"backend"}))
    what = " ".join(["docker", verb, *(word for word in more if not word.startswith("-") and not word.isdigit())]) if verb != "compose" else "docker compose up"
    if verb not in ("ps", "network"):
        world["calls"].append({"what": what, "of": None, "check": False, "given": {}})
    fault = world["fails"].get(what)
    with open(path, "w") as file:
        json.dump(world, file)
    sys.exit(f"{what} fails" if fault else 0)


def compose(world, asked, check):
    """docker compose. Without services it acts on all enabled services."""
    named = asked.get("services") or [name for name, one in world["services"].items() if one.get("enabled", True)]
    if not check:
        starts = asked["state"] in ("present", "restarted")
        gone = [] if starts else named if asked["state"] == "stopped" else world["up"]
        world["up"] = sorted(({*world["up"], *(named if starts else [])} - {*gone}) - {"migrate"})
    return {"changed": True, "containers": [{"Command": "redis --requirepass a-password-of-redis"}], "actions": []}


def run(world, _asked, check):
    """docker compose run migrate, which starts the database."""
    world["up"] = world["up"] if check else sorted({*world["up"], "db"})
    return {"changed": True, "rc": 0, "stdout_lines": [], "stderr_lines": []}


def main(kind, path):
    with open(sys.argv[1]) as file:
        given = json.load(file)
    asked, check = {key: value for key, value in given.items() if key[0] != "_"}, given.get("_ansible_check_mode", False)
    # A second Platform has its own world file, named after its app or its directory.
    own = f"{path}.{asked.get('app_name') or os.path.basename(asked.get('project_src', ''))}"
    path = own if os.path.exists(own) else path
    with open(path) as file:
        world = json.load(file)
    what = "captured" if asked.get("capture_only") else asked.get("state") or ",".join(asked.get("gather", [])) or "migrate"
    as_whom = {"user": pwd.getpwuid(os.geteuid()).pw_name, "home": os.environ.get("HOME"), "pwd": os.environ.get("PWD")}
    world["calls"].append({"what": what, "of": asked.get("services") if kind is compose else None, "check": check, "given": asked} | as_whom)
    fault = world["fails"].get(what)
    if fault and "hangs" in fault:
        time.sleep(fault["hangs"])
    if fault and (not check or fault.pop("in_check", False)):
        answer = {"failed": True, "changed": False, "steps": [], "msg": f"{what} fails"} | fault
        world["phase"] = "inconsistent" if answer["changed"] else world["phase"]
    else:
        answer = kind(world, asked, check)
    with open(path, "w") as file:
        json.dump(world, file)
    print(json.dumps({"changed": False} | answer))
