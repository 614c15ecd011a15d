"""Backups that RDS has or can make. These tests use only moto and no Platform."""

import json
import os
import subprocess
import sys

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
