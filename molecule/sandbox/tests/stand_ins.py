"""One stand-in for all modules that the role calls about a Platform. It records the call, fails if the test says so, answers, and keeps
the resulting state of the world in a file."""

import fcntl
import glob
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
    if not ready(world):
        return {"failed": True, "msg": "the Platform is not ready", "error_code": "platform_not_ready"}
    return {"phase": "rotated", "msg": "proved", "proof": {"total": world["records"], "verify": ["database"]}}


def control(world, asked, check):
    """The module on the control node: its writes advance the phase."""
    state, phase, waived = asked["state"], world["phase"], str(asked.get("backups_waived", False)).lower() == "true"
    if state == "rotating":
        return rotating(world)
    if state == "prepared" and not asked.get("backups") and not waived:
        return {"failed": True, "msg": "state prepared needs backups", "error_code": "invalid_options"}
    if state == "prepared" and phase == "idle" and int(asked.get("max_age_days") or 0) > world.get("age", 1000):
        return {"phase": "idle", "msg": "the key is too young", "steps": [], "fingerprints": {"current": "aaaa"}, "evidence": []}
    names = {"idle": CAPTURE + WRITES["prepared"], "captured": WRITES["prepared"]}.get(phase, []) if state == "prepared" else WRITES[state]
    end = state
    if state == "aborted" and asked.get("reverse"):
        names, end = WRITES["reversed"], "prepared"
        world["reversed"] = world.get("reversed") or not check
    if state == "finalized" and world.get("reversed"):
        names, end = [*WRITES["finalized"][:-1], "record_aborted"], "aborted"
    if asked.get("capture_only"):
        names, end = [one for one in names if one in CAPTURE], "captured"
    if (state, phase, asked.get("reverse")) == ("aborted", "captured", False):
        names = ["record_aborted"]
    if state == "aborted" and phase == "rotated":  # the abort is proved
        names, end = [], "rotated"
    if names and not check:
        if end == "captured":  # the ledger's entry
            world["ledger"] = {"backups": asked.get("backups") or [], "waived": waived}
        world["phase"] = phase = end
        world["current"] = asked.get("new_secret_from_escrow") or world.get("current", "aaaa")
        if asked.get("standalone") == "delete" and end == "prepared":
            # What the operator's tasks write once terraform has created the key again.
            world["deleted"], world["terraform"] = True, world.get("terraform", "")
        if asked.get("platform"):
            world["platform"] = {key: asked["platform"].get(key) for key in (*PLATFORM, "dir") if key != "keeps_addresses"}
    if asked.get("baseline") and not check and (names or world.get("baseline", {}).get("provisional")):
        world["baseline"] = asked["baseline"]
    ended = world.get("ended_at", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 60))) if phase == "finalized" and not names else ""
    kept = {key: world[key] for key in ("platform", "baseline") if world.get(key) and phase in (*OPEN, "rotated", *(["finalized"] if key == "platform" else []))}
    return kept | {
        "changed": bool(names), "msg": f"now {phase}", "phase": end if names else phase, "rotation_id": "r1",
        "steps": steps(names, not check), "then": steps(WRITES["finalized"], False),
        "fingerprints": {"current": world.get("current", "aaaa"), "previous": "bbbb"},
        "evidence": [{"check": "standalone_agrees", "ok": holds(world), "detail": ""}] if phase == "prepared" else [],
        "ended_at": ended, "last_records": world.get("last_records"), "escrow": {"parameter": "/escrow/bbbb"},
        "backups": [] if phase == "idle" else world.get("ledger", {}).get("backups", []),
    }  # fmt: skip


def order(services, by_role):
    """Which services stop and start before others. TestOrder tests the real one."""
    on, holders = {name: one["depends_on"] for name, one in services.items()}, {*by_role["backends"], *by_role["cron"]}
    early = [name for name, one in services.items() if (one["running"] or one["enabled"]) and name not in by_role["migrate"] + by_role["cron"]]
    follows = set()
    for _ in services:
        follows |= {name for name in services if name not in holders and {*on[name]} & (holders | follows)}
    return {
        "running": [name for name, one in services.items() if one["running"]], "before_cron": early, "dependents": [name for name in early if name in follows],
        "base": [name for name in early if not on[name] and name not in holders and any(name in others for others in on.values())],
    }  # fmt: skip


def holds(world):
    """The standalone parameter holds the key: nobody deleted it, or terraform made it again."""
    world["deleted"] = world.get("deleted", False) and not os.path.exists(world["terraform"])
    return not world["deleted"]


def info(world, asked, _check):
    """seqera_crypto_rotation_info."""
    gather, phase = asked["gather"], world["phase"]
    seen = {"prepared": "prepared", "rotated": "prepared", "aborting": "prepared", "inconsistent": "inconsistent"}.get(phase, "idle")
    out = {"msg": f"SSM is {phase}", "phase": seen, "evidence": [], "key_age_days": world.get("age")}
    current = "bbbb" if phase in ("idle", "captured", "aborted") and "omnibus_parameter" not in asked else "aaaa"
    out["fingerprints"] = {"current": current, "previous": "bbbb" if seen == "prepared" and phase != "rotated" else ""}
    if "holds" in world and "omnibus_parameter" not in asked:  # what a run that was cut left in the standalone parameters
        out["phase"], out["fingerprints"]["current"], out["fingerprints"]["previous"] = world["holds"]
    known = out if "parameters" in gather else {}
    if "mounts" in world and world["up"] and asked.get("platform") and asked["platform"].get("mounts", {}) not in ({}, world["mounts"]):
        return known | {"failed": True, "msg": "This is not the Platform that ran before", "error_code": "platform_differs"}
    if "platform" in gather:
        if not world["up"]:
            return known | {"failed": True, "msg": "no containers", "error_code": "platform_not_found"}
        if asked.get("ready_timeout") and not ready(world):
            return known | {"failed": True, "msg": "the Platform is not ready", "error_code": "platform_not_ready"}
        services = [
            {"name": one["service"], "container": one["name"], "role": ROLES.get(one["service"], "other"), "image": "x", "state": one["state"]}
            | ({} if one["state"] == "created" else {"started_at": world.get("started_at", {}).get(one["service"], "2026-12-01T00:00:00.5Z")})
            for one in containers(world)
        ]
        late = not asked.get("ready_timeout") and world.get("late_answers", 0) > 0
        world["late_answers"] = world.get("late_answers", 0) - late
        out["platform"] = {"services": services, "readiness": {"ready": ready(world) and not late, "at": "2026-12-01T00:00:00Z", "detail": "", "url": "u"}}
    if "handover" in gather and taken(world["path"], world, "backend"):
        return {
            "failed": True,
            "msg": "A container that does not belong to this Platform is called backend. The next backend needs this name.",
            "error_code": "platform_unsuitable",
        }
    missing = [name for name, one in world["services"].items() if one.get("enabled", True) and name not in (*world["up"], "migrate")]
    if "preflight" in gather and world.get("edited_in") == phase:
        return {"failed": True, "msg": "The compose file was edited", "error_code": "platform_differs"}
    if "preflight" in gather and missing and not asked.get("platform") and {"backend", "cron"} <= set(world["up"]):
        return {"failed": True, "msg": f"Service {missing[0]} is in the compose files but is not running", "error_code": "platform_differs"}
    if "preflight" in gather:
        services = {name: {"running": name in world["up"], "enabled": True, "image": "x"} | one for name, one in world["services"].items()}
        out["compose"] = PLATFORM | {"dir": asked["compose_dir"], "services": services} | order(services, asked["services"])
        out["compose"]["keeps_addresses"] = world.get("keeps_addresses", PLATFORM["keeps_addresses"])
        twins = world.get("twins", [])
        out["compose"]["second_backends"] = [one["name"] for one in twins if len(twins) > 1 and (one["state"] == "created" or one["name"].endswith("-next"))]
    if "records" in gather and "backend" not in world.get("made", world["up"]):
        return {"failed": True, "msg": "no backend container whose environment names the database", "error_code": "database_unknown"}
    if {"count", "records"} & set(gather):
        total = world.get("records_after", world["records"]) if "count" in gather else world["records"]
        new = total if phase not in ("prepared", "aborting", world.get("restored_in")) or world.get("rewritten") else 0
        lost = world.get("lost", [])
        out["records"] = {"total": total, "current": new, "unreadable": len(lost), "orphaned": 0, "unreadable_ids": lost[:100]}
        out["records"]["database"] = world.get("database", "db:3306/tower")
    if "records" in gather:
        new = out["records"]["current"]
        out["baseline"] = {"path": "/b", "digest": "d", "total": world["records"], "taken_at": "t"}
        out |= {"explained": {"current": "aaaa"}} if world.get("by_hand") else {}
        out |= (
            {"untouched": {"kind": "untouched", "total": world["records"]}}
            if phase in ("prepared", "aborting") and not new and not {"backend", "cron"} & set(world["up"])
            else {}
        )
    if asked.get("key_from_escrow"):
        tied = [one for one in world.get("escrow", []) if asked["key_from_escrow"].removeprefix("backup:") in one["backups"] + [one["fingerprint"]]]
        if len(tied) != 1:
            return {"failed": True, "msg": f"{len(tied)} keys in escrow are tied to {asked['key_from_escrow']}", "error_code": "key_not_found"}
        out["evidence"] = [{"check": "key_from_escrow", "ok": True, "detail": f"key {tied[0]['fingerprint']}"}]
    if "escrow" in gather:
        out["escrow"] = world.get("escrow", [])
    if "ledger" in gather and phase in [*OPEN, "rotated", "finalized", "aborting", "aborted"]:
        entry = {
            "rotation_id": "r1",
            "stage": {"captured": "open", "rotated": "proved", "finalized": "finished"}.get(phase, phase),
            "previous": "bbbb",
            "current": "aaaa",
        }
        entry |= {"reversed_at": "t", "previous": "aaaa", "current": "bbbb"} if world.get("reversed") else {}
        entry |= {"aborted_at": world.get("aborted_at", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))} if phase == "aborted" else {}
        out["ledger"] = [entry | {"platform": world.get("platform", {})}]
    return out


def ready(world):
    """The backend answers through the frontend, which knows the address that the backend had when the frontend started."""
    stale = "frontend" in world["up"] and world.get("cached", world.get("address", 0)) != world.get("address", 0)
    return {"backend", "frontend"} & {*world["services"]} <= {*world["up"]} and not stale


def started(world, names):
    """Notes for each service that starts what it then knows: the frontend the backend's address, cron that the backend has both keys."""
    world["started_at"] = world.get("started_at", {}) | dict.fromkeys(names, "2026-12-01T00:00:00.5Z")
    if "backend" in names:
        if not holds(world):
            world.setdefault("wrong", []).append("the backend started without a key")
        world["cached"] = world.get("cached", world.get("address", 0))
        world["address"] = world.get("address", 0) + 1
        world["backend_knows"] = world["phase"]
    if "frontend" in names:
        world["cached"] = world.get("address", 0)
    if "cron" in names and world["phase"] == "prepared" and world.get("backend_knows", "prepared") != "prepared":
        world.setdefault("wrong", []).append("cron started with both keys before the backend")


def containers(world):
    """One container for each running service. A test may set other containers for the backend."""
    made = [{"id": one, "name": f"tower-{one}-1", "service": one, "state": "running"} for one in world["up"] if one != "backend" or "twins" not in world]
    return made + world.get("twins", [])


def taken(path, world, name):
    """Another Platform on the same Engine has a container of this name. Worlds share an Engine if they say so with the same "engine"."""
    if not world.get("engine") or world.get("late") and not any(one["state"] == "running" and one["name"].endswith("-next") for one in world.get("twins", [])):
        return False
    base = path[: path.index("world.json")] + "world.json"
    for one in glob.glob(base + "*"):
        if one != path:
            with open(one) as file:
                fcntl.flock(file, fcntl.LOCK_SH)
                other = json.load(file)
            if other.get("engine") == world["engine"] and any(twin["name"] == name for twin in other.get("twins", [])):
                return True
    return False


def docker(argv, path):
    """The command docker, as far as a handover, a restart and a dump call it. The name of a second Platform is that of its engine's socket."""
    own = f"{path}.{os.path.basename(os.environ.get('DOCKER_HOST', ''))}"
    path = own if os.path.exists(own) else path
    with open(path) as file:
        world = json.load(file)
    verb, *more = argv
    if verb == "compose" and (called := {"restart", "stop"} & {*more}):
        [action] = called
        named = [word for word in more[more.index(action) + 1 :] if word in world["services"]]
        what = {"restart": "restarted", "stop": "stopped"}[action]
        compose(world, {"state": what, "services": named}, False)
        world["calls"].append({"what": what, "of": named, "check": False, "given": {}})
        fault = world["fails"].get(f"docker {action}")
        save(world, path)
        sys.exit(fault)
    twins = world.setdefault("twins", [one for one in containers(world) if one["service"] == "backend"])
    mine = [one for one in twins if {one["id"], one["name"]} & set(more)]
    if verb == "inspect":
        sys.exit(print("TOWER_DB_USER=tower"))
    if verb == "exec":
        sys.stdin.read()
        sys.exit(print("tower 1000" if "CHECK=true" in more else "INSERT 1;\n-- Dump completed"))
    named = next((word.removeprefix("name=^/").rstrip("$") for word in more if word.startswith("name=^/")), "")
    if verb == "ps" and named:
        print("\n".join([one["id"] for one in twins if one["name"] == named] or (["foreign"] if taken(path, world, named) else [])))
    elif verb == "ps":
        print("\n".join(json.dumps({"networks": "tower_frontend,tower_backend"} | one) for one in containers(world)))
    elif verb == "compose":
        free = next(name for name in ("next", "next1", "next2") if name not in [one["id"] for one in twins])
        twins.append({"id": free, "name": "tower-backend-2", "service": "backend", "state": "created"})
    elif verb == "rename":
        if taken(path, world, more[1]):
            save(world, path)
            sys.exit(f"Error response from daemon: Conflict. The container name /{more[1]} is already in use")
        mine[0]["name"] = more[1]
        started(world, ["backend"] if more[1] == "backend" else [])
    elif verb in ("start", "stop"):
        mine[0]["state"] = {"start": "running", "stop": "exited"}[verb]
    elif verb == "restart":
        started(world, [one for one in more if one == "frontend"])
    elif verb == "rm":
        twins[:] = [one for one in twins if one not in mine]
    serves = any(one["state"] == "running" and not one["name"].endswith("-next") for one in twins)
    world["up"] = sorted({*world["up"], "backend"} - (set() if serves else {"backend"}))
    what = " ".join(["docker", verb, *(word for word in more if not word.startswith("-") and not word.isdigit())]) if verb != "compose" else "docker compose up"
    if verb not in ("ps", "network"):
        world["calls"].append({"what": what, "of": None, "check": False, "given": {}})
    fault = world["fails"].get(what)
    save(world, path)
    sys.exit(f"{what} fails" if fault else 0)


def compose(world, asked, check):
    """docker compose; without services it takes every one that is enabled."""
    if asked["state"] == "restarted" and not world["up"]:
        return {"changed": False, "containers": [], "actions": []}  # restart makes no container
    named = asked.get("services") or [name for name, one in world["services"].items() if one.get("enabled", True)]
    if not check:
        starts = asked["state"] in ("present", "restarted")
        made = {*world.get("made", world["up"])}  # the containers, running or not; restart makes none
        named = [name for name in named if name in made] if asked["state"] == "restarted" else named
        world["made"] = [] if asked["state"] == "absent" else sorted(made | {*named})
        gone = [] if starts else named if asked["state"] == "stopped" else world["up"]
        if starts and not asked.get("services") and world["phase"] == "prepared" and "cron" not in world["up"] and "backend" not in world["up"]:
            world.setdefault("wrong", []).append("up starts cron before the backend")
        started(world, [one for one in named if asked["state"] == "restarted" or starts and one not in world["up"]])
        world["up"] = sorted(({*world["up"], *(named if starts else [])} - {*gone}) - {"migrate"})
    return {"changed": True, "containers": [{"Command": "redis --requirepass a-password-of-redis"}], "actions": []}


def run(world, _asked, check):
    """docker compose run migrate, which starts the database."""
    world["up"] = world["up"] if check else sorted({*world["up"], "db"})
    return {"changed": True, "rc": 0, "stdout_lines": [], "stderr_lines": []}


def save(world, path):
    """Writes the file under a lock, because the stand-in of another host may be reading it."""
    with open(path, "r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(json.dumps(world))
        file.truncate()


def main(kind, path, given):
    given = json.loads(given)
    asked, check = {key: value for key, value in given.items() if key[0] != "_"}, given.get("_ansible_check_mode", False)
    # A second Platform has its own world file, named after its app or its directory.
    own = f"{path}.{asked.get('app_name') or os.path.basename(asked.get('project_src', ''))}"
    path = own if os.path.exists(own) else path
    with open(path) as file:
        world = json.load(file)
    world["path"] = path
    what = "captured" if asked.get("capture_only") else asked.get("state") or ",".join(asked.get("gather", [])) or "migrate"
    as_whom = {"user": pwd.getpwuid(os.geteuid()).pw_name, "home": os.environ.get("HOME"), "pwd": os.environ.get("PWD")}
    world["calls"].append({"what": what, "of": asked.get("services") if kind is compose else None, "check": check, "given": asked} | as_whom)
    fault = world["fails"].get(what)
    if fault and "hangs" in fault:
        time.sleep(fault["hangs"])
    if fault and fault.get("later"):  # the first calls are answered
        fault["later"], fault = fault["later"] - 1, None
    if fault and (not check or fault.pop("in_check", False)):
        answer = {"failed": True, "changed": False, "steps": [], "msg": f"{what} fails"} | fault
        world["phase"] = "inconsistent" if answer["changed"] else world["phase"]
        if answer["changed"] and "holds" in fault:
            world["holds"] = fault["holds"]
    else:
        answer = kind(world, asked, check)
    save(world, path)
    print(json.dumps({"changed": False} | answer))
