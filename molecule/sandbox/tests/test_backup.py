"""Making backups, naming them, and proving that they open with their key."""

import hashlib
import os
import pathlib
import re
import time

import boto3
import pytest
from test_going_back import current, custody


def left(platform):
    """Objects of a drill on a shared Engine. Sandboxes keep their data in directories, so any unused volume belongs to a drill."""
    drills = "--filter=name=seqera-crypto-drill-"
    made = (("ps", "--all", "--quiet", drills), ("network", "ls", "--quiet", drills), ("volume", "ls", "--quiet", "--filter=dangling=true"))
    return [platform.docker(*one) for one in made]


@pytest.mark.long
@pytest.mark.sandbox("--records", "10", "--orphaned", "2")
def test_a_dump_is_made_and_opens_with_its_key_of_escrow_alone(platform):
    backups = platform.kept / "backups"
    made = {"seqera_crypto_rotation_backup": "mysqldump", "seqera_crypto_rotation_backups": [], "seqera_crypto_rotation_backup_dir": str(backups)}
    first = current(platform)
    dry = platform.run("--check", **made)
    assert dry.code == 0 and "mysqldump of the service db" in dry.output and not backups.exists(), dry.output
    nowhere = platform.run(**made | {"seqera_crypto_rotation_backup_service": "mysql"})
    assert nowhere.code != 0 and "no container of the service mysql" in " ".join(nowhere.output.split()) and current(platform) == first

    done = platform.run(**made)
    assert done.code == 0, done.output
    platform.remember_keys()
    [dump] = backups.iterdir()
    assert dump.stat().st_mode & 0o777 == 0o600
    backup = f"mysqldump:{dump.name}:sha256:{hashlib.sha256(dump.read_bytes()).hexdigest()}:{dump.stat().st_size}"
    assert platform.ledger()["backups"] == [backup]
    keys = custody(platform, ["escrow"])["escrow"]
    assert [key["backups"] for key in keys if not key["in_use"]] == [[backup]]
    [wrong] = [key["fingerprint"] for key in keys if key["in_use"]]

    drill = {"playbook": "verify-backup.yml", "seqera_crypto_rotation_drill_backup": backup, "seqera_crypto_rotation_backup_dir": str(backups)}
    there = left(platform)
    proved = platform.run(**drill)
    assert proved.code == 0, proved.output
    total = platform.check()["total"]
    assert f"{total - 2} of {total} records open, 2 belong to no credential" in " ".join(proved.output.split())
    failed = platform.run(**drill | {"seqera_crypto_rotation_drill_key": wrong})
    assert failed.code != 0 and f"it opens 0 of the {total} records" in " ".join(failed.output.split()), failed.output
    dump.write_bytes(dump.read_bytes()[:-20])
    damaged = platform.run(**drill)
    assert damaged.code != 0 and "another checksum" in " ".join(damaged.output.split())
    assert left(platform) == there, "the drill left something behind"
    settings = (pathlib.Path(platform.env["SANDBOX_CONFIG_DIR"]) / "tower.env").read_text()
    [password] = re.findall(r"^TOWER_DB_PASSWORD=(.+)$", settings, re.M)
    assert len(platform.public) > 100 and not any(password in text for text in platform.public), "the database's password is on a command line or in an output"
    assert platform.leaks() == []


@pytest.mark.long
@pytest.mark.sandbox("--records", "10")
def test_backups_that_can_be_seen_are_looked_at_and_rds_makes_one(platform):
    before, started = platform.parameters(), platform.started()
    dump = pathlib.Path(platform.env["SANDBOX_HOME"], "dump.sql.gz")
    rds = boto3.client("rds", region_name="us-east-1", endpoint_url=platform.env["AWS_ENDPOINT_URL"], aws_access_key_id="testing", aws_secret_access_key="testing")
    rds.create_db_instance(DBInstanceIdentifier="tower", DBInstanceClass="db.t3.small", Engine="mysql", AllocatedStorage=10)
    gone = "arn:aws:rds:us-east-1:123456789012:snapshot:gone"

    def refused(*words, **variables):
        run = platform.run(seqera_crypto_rotation_region="us-east-1", **variables)
        text = " ".join(run.output.split())
        assert run.code != 0 and all(word in text for word in words), text
        assert platform.parameters() == before and platform.started() == started

    refused("is missing, empty or not a file", seqera_crypto_rotation_backups=[str(dump)])
    dump.write_text("a dump")
    os.utime(dump, (time.time() - 7200, time.time() - 7200))
    refused("was written 72", "at most 3600 s", seqera_crypto_rotation_backups=[str(dump)], seqera_crypto_rotation_backup_max_age=3600)
    refused("gone is not known to RDS", seqera_crypto_rotation_backups=[gone])
    refused("must name the DB instance", seqera_crypto_rotation_backup="rds_snapshot")
    refused(
        "nobody (seqera_crypto_rotation_rds_instance) is not known to RDS", seqera_crypto_rotation_backup="rds_snapshot", seqera_crypto_rotation_rds_instance="nobody"
    )

    done = platform.run(
        seqera_crypto_rotation_region="us-east-1", seqera_crypto_rotation_backup="rds_snapshot", seqera_crypto_rotation_rds_instance="tower",
        seqera_crypto_rotation_backups=[str(dump)],
    )  # fmt: skip
    assert done.code == 0, done.output
    [snapshot] = rds.describe_db_snapshots(SnapshotType="manual")["DBSnapshots"]
    assert platform.ledger()["backups"] == [str(dump), snapshot["DBSnapshotArn"]]
    assert snapshot["Status"] == "available"
    dry = platform.run(
        "--check", seqera_crypto_rotation_region="us-east-1", seqera_crypto_rotation_rotation_id="r2", seqera_crypto_rotation_backups=[snapshot["DBSnapshotArn"]]
    )
    assert dry.code == 0 and "cannot be checked from here" not in dry.output, dry.output
    assert platform.leaks() == []
