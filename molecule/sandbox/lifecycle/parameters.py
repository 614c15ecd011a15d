"""The SSM parameters of a Platform, as the installer's Terraform leaves them: the omnibus, and one SecureString per entry."""

import json
import secrets
import string

OMNIBUS = "/seqera/sensitive-values/tower-dev/tower"

# Entry names and the ends of their ssm_keys. {app} is the application's name.
ENTRIES = {
    "TOWER_LICENSE": "/config/{app}/tower/license",
    "HARBOR_USERNAME": "/seqera/{app}/scr-username",
    "HARBOR_PASSWORD": "/seqera/{app}/scr-password",
    "TOWER_CRYPTO_SECRET": "/config/{app}/tower/crypto/secretKey",
    "TOWER_JWT_SECRET1": "/config/{app}/micronaut/security/token/jwt/signatures/secret/generator/secret",
    "TOWER_JWT_SECRET2": "/config/{app}/micronaut/security/token/jwt/generator/refresh-token/secret",
    "TOWER_SMTP_USER": "/config/{app}/mail/smtp/user",
    "TOWER_SMTP_PASSWORD": "/config/{app}/mail/smtp/password",
    "TOWER_DB_USER": "/config/{app}/datasources/default/username",
    "TOWER_DB_PASSWORD": "/config/{app}/datasources/default/password",
    "TOWER_DB_MASTER_USER": "/seqera/{app}/db-master-user",
    "TOWER_DB_MASTER_PASSWORD": "/seqera/{app}/db-master-password",
    "TOWER_OIDC_CLIENT": "/config/{app}/micronaut/security/oauth2/clients/oidc/client-id",
    "TOWER_OIDC_SECRET": "/config/{app}/micronaut/security/oauth2/clients/oidc/client-secret",
    "TOWER_OIDC_ISSUER": "/config/{app}/micronaut/security/oauth2/clients/oidc/openid/issuer",
    "TOWER_GOOGLE_CLIENT": "/config/{app}/micronaut/security/oauth2/clients/google/client-id",
    "TOWER_GOOGLE_SECRET": "/config/{app}/micronaut/security/oauth2/clients/google/client-secret",
    "TOWER_GOOGLE_ISSUER": "/config/{app}/micronaut/security/oauth2/clients/google/oidc/openid/issuer",
    "TOWER_GITHUB_CLIENT": "/config/{app}/micronaut/security/oauth2/clients/github/client-id",
    "TOWER_GITHUB_SECRET": "/config/{app}/micronaut/security/oauth2/clients/github/client-secret",
    "TOWER_GITLAB_CLIENT": "/config/{app}/micronaut/security/oauth2/clients/gitlab/client-id",
    "TOWER_GITLAB_SECRET": "/config/{app}/micronaut/security/oauth2/clients/gitlab/client-secret",
}


def alphanumerics(length):
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(length))


def invent(app, db_user, db_password):
    """Invents a value for every entry, in the omnibus's order."""
    values = {name: alphanumerics(24) for name in ENTRIES}
    values.update(
        TOWER_CRYPTO_SECRET=alphanumerics(40),
        TOWER_JWT_SECRET1=alphanumerics(40),
        TOWER_SMTP_USER=f"postmaster@{app}.example.org",
        TOWER_DB_USER=db_user,
        TOWER_DB_PASSWORD=db_password,
        TOWER_DB_MASTER_USER="root",
        TOWER_OIDC_ISSUER="https://login.example.org/realms/seqera",
        TOWER_GOOGLE_ISSUER="https://accounts.example.org",
    )
    values["TOWER_JWT_SECRET2"] = values["TOWER_JWT_SECRET1"]
    described = {"TOWER_SMTP_USER": "Who mail is sent as.", "TOWER_SMTP_PASSWORD": "What the mail server asks for."}
    return {
        name: {"ssm_key": key.format(app=app), "value": values[name]} | ({"description": described[name]} if name in described else {})
        for name, key in ENTRIES.items()
    }


def seed_key(ssm, app, omnibus):
    """Writes an omnibus, and the standalone parameter of only the crypto key. This is enough for runs that only write SSM."""
    entries = invent(app, "tower", alphanumerics(24))
    ssm.put(omnibus, json.dumps(entries, indent="\t"))
    ssm.put(entries["TOWER_CRYPTO_SECRET"]["ssm_key"], entries["TOWER_CRYPTO_SECRET"]["value"])


def seed(ssm, app, entries):
    """Writes the omnibus and its entries, and saves the first crypto key for tests that count records by key."""
    ssm.put(OMNIBUS, json.dumps(entries, indent="\t"))
    for entry in entries.values():
        ssm.put(entry["ssm_key"], entry["value"])
    ssm.put(first_key(app), entries["TOWER_CRYPTO_SECRET"]["value"])


def first_key(app):
    return f"/sandbox/{app}/first-key"


def options(app):
    """The parameter from which the stand-in reads its options when it starts."""
    return f"/sandbox/{app}/options"
