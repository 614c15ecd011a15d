"""Backups that RDS has or can make. These tests use only moto and no Platform."""

import http.server
import json
import os
import re
import subprocess
import sys
import threading
import urllib.error
import urllib.request

import boto3
import pytest
from conftest import ROOT, VENV
from test_steps import ROTATION, Lab

sys.path.insert(0, str(ROOT / "molecule" / "sandbox"))

from lifecycle import moto  # noqa: E402  the path above makes it importable

ARN = f"arn:aws:rds:{moto.REGION}:123456789012"


class Account:
    """An AWS account, and the role's check of the backups in it."""

    def __init__(self, tmp):
        self.tmp, self.url = tmp, moto.start(tmp, "127.0.0.1")["host"]
        given = {"aws_access_key_id": moto.CREDENTIAL, "aws_secret_access_key": moto.CREDENTIAL}
        self.rds = boto3.client("rds", region_name=moto.REGION, endpoint_url=self.url, **given)
        self.environ = {"AWS_ENDPOINT_URL": self.url, "AWS_ACCESS_KEY_ID": moto.CREDENTIAL, "AWS_SECRET_ACCESS_KEY": moto.CREDENTIAL}

    def check(self, **variables):
        """Runs the check. Returns whether it passes, and its message."""
        owner = {"become": False, "user": "root", "method": "sudo", "home": str(self.tmp)}
        vm = {"ansible_connection": "local", "ansible_python_interpreter": str(VENV / "python"), "seqera_crypto_rotation_region": moto.REGION}
        vm |= {"seqera_crypto_rotation__owner": owner, "seqera_crypto_rotation__is_down": False}
        vm |= {f"seqera_crypto_rotation_{name}": value for name, value in variables.items()}
        play = [{"hosts": "all", "gather_facts": False, "tasks": [{"include_role": {"name": "seqera_crypto_rotation", "tasks_from": "backup_check"}}]}]
        (self.tmp / "hosts.json").write_text(json.dumps({"all": {"hosts": {"vm": vm}}}))
        (self.tmp / "play.json").write_text(json.dumps(play))
        environ = os.environ | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_ROLES_PATH": str(ROOT / "roles")}
        environ |= self.environ
        command = [VENV / "ansible-playbook", "-i", self.tmp / "hosts.json", self.tmp / "play.json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environ, cwd=self.tmp)
        return done.returncode == 0, " ".join((done.stdout + done.stderr).split())


@pytest.fixture
def account(tmp_path):
    try:
        yield Account(tmp_path)
    finally:
        moto.stop(tmp_path)


def test_a_member_of_a_cluster_is_told_to_use_a_snapshot_of_the_cluster(account):
    account.rds.create_db_cluster(DBClusterIdentifier="aurora", Engine="aurora-mysql", MasterUsername="u", MasterUserPassword="password")
    account.rds.create_db_instance(DBInstanceIdentifier="member", DBInstanceClass="db.r5.large", Engine="aurora-mysql", DBClusterIdentifier="aurora")
    account.rds.create_db_instance(DBInstanceIdentifier="alone", DBInstanceClass="db.t3.small", Engine="mysql", AllocatedStorage=10)
    fine, said = account.check(backup="rds_snapshot", rds_instance="member")
    assert not fine and "member (seqera_crypto_rotation_rds_instance) belongs to the cluster aurora" in said and "name its ARN" in said, said
    fine, said = account.check(backup="rds_snapshot", rds_instance="alone")
    assert fine, said


def test_a_snapshot_of_a_cluster_is_looked_at_as_one_of_an_instance_is(account):
    account.rds.create_db_cluster(DBClusterIdentifier="aurora", Engine="aurora-mysql", MasterUsername="u", MasterUserPassword="password")
    account.rds.create_db_cluster_snapshot(DBClusterSnapshotIdentifier="s1", DBClusterIdentifier="aurora")
    there, gone = f"{ARN}:cluster-snapshot:s1", f"{ARN}:cluster-snapshot:s2"
    fine, said = account.check(backup="provided", backups=[there])
    assert fine and "cannot be checked from here" not in said, said
    fine, said = account.check(backup="provided", backups=[there, gone])
    assert not fine and f"The backup {gone} is not known to RDS" in said, said


def test_a_rotation_with_a_snapshot_starts_everything_as_one_without(account, tmp_path_factory):
    account.rds.create_db_cluster(DBClusterIdentifier="aurora", Engine="aurora-mysql", MasterUsername="u", MasterUserPassword="password")
    account.rds.create_db_cluster_snapshot(DBClusterSnapshotIdentifier="s1", DBClusterIdentifier="aurora")
    lab = Lab(tmp_path_factory.mktemp("lab"))
    code, said = lab.play(["rotate_crypto.yml"], environ=account.environ, seqera_crypto_rotation_backups=[f"{ARN}:cluster-snapshot:s1"])
    assert code == 0, said
    assert lab.did() == ROTATION, said


def test_another_instance_than_the_database_of_the_platform_is_refused(account):
    for name in ("a", "b"):
        account.rds.create_db_instance(DBInstanceIdentifier=name, DBInstanceClass="db.t3.small", Engine="mysql", AllocatedStorage=10)
    [own] = account.rds.describe_db_instances(DBInstanceIdentifier="a")["DBInstances"]
    address = own["Endpoint"]["Address"]
    assert ".rds.amazonaws.com" in address
    for host, instance, ok in ((address, "a", True), (address, "b", False), (address.upper(), "a", True), ("db.example.org", "b", True), ("10.0.0.7", "b", True)):
        fine, said = account.check(backup="rds_snapshot", rds_instance=instance, _seen={"records": {"database": f"{host}:3306/tower"}})
        assert fine == ok and (ok or f"but the database of the Platform is at {address}" in said), said


def test_a_role_is_assumed_although_the_environment_has_a_profile(account):
    account.rds.create_db_instance(DBInstanceIdentifier="alone", DBInstanceClass="db.t3.small", Engine="mysql", AllocatedStorage=10)
    (account.tmp / "config").write_text(f"[profile theirs]\naws_access_key_id = {moto.CREDENTIAL}\naws_secret_access_key = {moto.CREDENTIAL}\n")
    account.environ = {"AWS_ENDPOINT_URL": account.url, "AWS_CONFIG_FILE": str(account.tmp / "config"), "AWS_PROFILE": "theirs"}
    fine, said = account.check(backup="rds_snapshot", rds_instance="alone", aws={"region": moto.REGION, "assume_role_arn": "arn:aws:iam::123456789012:role/rotation"})
    assert fine, said


@pytest.mark.parametrize("becomes", ["available", "failed"])
def test_a_snapshot_is_waited_for_and_tied_when_it_is_available(account, tmp_path_factory, becomes):
    account.rds.create_db_instance(DBInstanceIdentifier="alone", DBInstanceClass="db.t3.small", Engine="mysql", AllocatedStorage=10)
    looks = []

    class Slow(http.server.BaseHTTPRequestHandler):
        """moto, whose snapshots are being created for the first three looks."""

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            try:
                response = urllib.request.urlopen(urllib.request.Request(account.url, body, dict(self.headers)))
            except urllib.error.HTTPError as error:
                response = error
            with response:
                said, headers = response.read(), response.headers
            if b"Action=DescribeDBSnapshots" in body or b"Action=CreateDBSnapshot" in body:
                looks.append(body)
                status = b"creating" if len(looks) < 4 else becomes.encode()
                said = re.sub(rb"<Status>\w+</Status>", b"<Status>" + status + b"</Status>", said)
            self.send_response(response.status)
            self.send_header("Content-Type", headers["Content-Type"])
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow) as slow:
        threading.Thread(target=slow.serve_forever, daemon=True).start()
        lab = Lab(tmp_path_factory.mktemp("lab"))
        given = {"seqera_crypto_rotation_backup": "rds_snapshot", "seqera_crypto_rotation_backups": [], "seqera_crypto_rotation_rds_instance": "alone"}
        environ = account.environ | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{slow.server_port}"}
        code, said = lab.play(["rotate_crypto.yml"], environ=environ, seqera_crypto_rotation_aws={"region": moto.REGION}, **given)
        slow.shutdown()
    assert len(looks) >= 4
    [snapshot] = account.rds.describe_db_snapshots(SnapshotType="manual")["DBSnapshots"]
    if becomes == "failed":
        assert code == 2 and lab.did() == [] and f"RDS has not made the snapshot {snapshot['DBSnapshotArn']}: its status is failed" in " ".join(said.split()), said
        return
    assert code == 0 and lab.did() == ROTATION, said
    assert lab.world["ledger"]["backups"] == [snapshot["DBSnapshotArn"]]
