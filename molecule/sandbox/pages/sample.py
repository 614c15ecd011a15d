"""Sample data as the role gathers it: a fleet with every outcome, one whose values look like markup, and one with almost no values."""

HOSTILE = """<script>alert("x")</script> '&amp;' {{ 1 + 1 }} \\" \\\\ é
second line"""
BEGUN = 1795519200.0
OUTCOMES = ("done", "done", "done", "failed", "refused", "not_begun", "waiting", "not_due")


def host(number, outcome, name=None):
    """One host of a report."""
    begin = BEGUN + number
    took = (("outage 1", 0, 31), ("prepare", 4, 9), ("backends ready", 9, 31), ("re-encryption", 31, 95), ("outage 2", 95, 107), ("restart", 98, 107))
    spans = [{"name": part, "begin": begin + a, "end": begin + b} for part, a, b in took]
    one = {"host": name or f"platform-{number:03}", "app_name": "tower-prod", "region": "eu-west-1", "outcome": outcome, "reason": "The reason.", "begun": begin}
    if outcome in ("not_due", "not_begun"):
        return one
    one |= {"rotation_id": "2026-q4", "previous": "0123456789abcdef", "current": "fedcba9876543210", "steps": ["outage: docker compose down"], "warnings": []}
    if outcome in ("failed", "refused"):
        failed = {"next": "Mend it.", "failed_at": "watch", "error_code": "cron_failed", "records": 0, "outage_seconds": {"first": 31.2, "second": 0}}
        return one | failed | {"timeline": spans[:3] + [spans[3] | {"end": None}], "reencryption_seconds": 0, "proof": {}}
    proof = {"verify": ["database"], "total": 40123, "proved": 40120, "rewritten": 2, "made_at": "2026-11-24T11:00:00Z", "mac": "ab" * 32}
    proof |= {"exceptions": [{"id": "x1", "reason": "unreadable before"}], "before": {"total": 40123, "created": 1, "removed": 1}}
    return one | {
        "phase": "finalized", "records": 40123, "timeline": spans, "outage_seconds": {"first": 31.2, "second": 12.0}, "reencryption_seconds": 64.0,
        "escrow": "/seqera-crypto-rotation/tower-prod/escrow/0123456789abcdef", "ledger": "/seqera-crypto-rotation/tower-prod/ledger/2026-q4",
        "proof": proof, "backups": ["arn:aws:rds:eu-west-1:123456789012:snapshot:tower-2026-11-24"],
    }  # fmt: skip


def report(hosts, check_mode=False, stopped=""):
    """A report of these hosts."""
    counts = {"hosts": len(hosts)} | {o: sum(h["outcome"] == o for h in hosts) for o in {*OUTCOMES, "foreseen"}}
    run = {"id": "20261124T112000Z", "begun": BEGUN, "ended": BEGUN + 800, "by": "alice@control", "check_mode": check_mode, "ansible": "2.19.1", "stopped": stopped}
    return {"kind": "crypto-rotation-report", "version": 1, "run": run, "counts": counts, "hosts": hosts}


def state(number, verdict, name=None):
    """One host of a status."""
    phase = {"half_finished": "rotating", "unknown": ""}.get(verdict, "idle")
    one = {"host": name or f"platform-{number:03}", "app_name": "tower-prod", "region": "eu-west-1", "phase": phase, "verdict": verdict, "warnings": [], "error": ""}
    if verdict == "unknown":
        return one | {"error": "The host could not be reached."}
    left = {"overdue": -3, "due_soon": 9}.get(verdict, 49)
    return one | {
        "key_age_days": 90 - left, "due": left <= 0, "due_in_days": left, "due_date": "2027-01-12", "escrow_ok": verdict != "overdue", "current": "0123456789abcdef",
        "records": {"total": 40123, "current": 40000, "previous": 120, "unreadable": 3, "orphaned": 0},
        "last_rotation": {"rotation_id": "2026-q3", "stage": "finished", "finished_at": "2026-10-14T02:11:09Z"},
    }  # fmt: skip


def status(hosts):
    """A status of these hosts."""
    verdicts = ("overdue", "half_finished", "due_soon", "unknown", "ok")
    counts = {"hosts": len(hosts)} | {v: sum(h["verdict"] == v for h in hosts) for v in verdicts}
    return {
        "kind": "crypto-rotation-status", "version": 1, "made": BEGUN, "by": "alice@control", "max_age_days": 90, "warn_days": 14, "counts": counts, "hosts": hosts,
    }  # fmt: skip


REPORTS = {
    "fleet": report([host(n, OUTCOMES[n % len(OUTCOMES)]) for n in range(200)], stopped="Not begun: platform-003 of the first batch failed."),
    "dry": report([host(1, "foreseen") | {"expected": {"records": 5, "outage_seconds": 43.1, "reencryption_seconds": None}}], check_mode=True),
    "none": report([]),
    "bare": report([{"host": "h", "outcome": o} for o in OUTCOMES if o != "done"]),
    "hostile": report([host(1, "failed", HOSTILE) | {"reason": HOSTILE, "next": HOSTILE, "app_name": HOSTILE, "steps": [HOSTILE], "warnings": [HOSTILE]}]),
}
STATUSES = {
    "fleet": status([state(n, ("ok", "due_soon", "overdue", "half_finished", "unknown")[n % 5]) for n in range(200)]),
    "none": status([]),
    "hostile": status([state(1, "ok", HOSTILE) | {"warnings": [HOSTILE], "region": HOSTILE}]),
}
