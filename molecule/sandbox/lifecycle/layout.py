"""The compose directory of a sandbox: which files are written, where, and with which content.

installer: docker-compose.yml in the user's home, tower.env and tower.yml in ~/target/tower_config, as cx-field-tools-installer has it.
documentation: all three in a directory below the home, found by relative paths and $PWD, as Seqera's documentation has it.
"""

import re
import string
from pathlib import Path

from . import images
from .base import HERE, ROOT, Problem

# What differs between the compose files. Only the installer's has commas after the environments.
LAYOUTS = {
    "installer": {"version": "", "config": "$HOME/target/tower_config/", "env": "$HOME/target/tower_config/", "commas": ",,,"},
    "documentation": {"version": 'version: "3"\n', "config": "$PWD/", "env": "", "commas": ""},
}
RENDERED = ROOT.parent / "shared" / "installer" / "vm"  # files rendered by the installer's templates, if somebody put them there


def directory(layout, home, name):
    return home / f"seqera-{name}" if layout == "documentation" else home


def config(layout, compose_dir):
    """The directory of tower.env and tower.yml."""
    return compose_dir if layout == "documentation" else compose_dir / "target" / "tower_config"


def compose_file(layout, interval, external, values):
    text = (HERE / "docker-compose.yml.in").read_text()
    if external:
        text = re.sub(r"^ *# <db>$.*?^ *# </db>\n", "", text, flags=re.M | re.S)
    text = re.sub(r"^ *# </?db>\n", "", text, flags=re.M)
    if interval == "quick":
        text = text.replace("      timeout: 20s\n      retries: 10\n", "      interval: 2s\n      timeout: 20s\n      retries: 30\n")
    return string.Template(text).substitute(values | LAYOUTS[layout])


def tower_env(url, database):
    """tower.env as the installer renders it, without the settings that no test needs."""
    return {
        "TOWER_ENABLE_AWS_SSM": "true",
        "LICENSE_SERVER_URL": "https://licenses.seqera.io",
        "TOWER_SERVER_URL": url,
        "TOWER_CONTACT_EMAIL": "platform@example.org",
        "TOWER_ENABLE_PLATFORMS": "awsbatch-platform",
        "TOWER_ALLOW_INSTANCE_CREDENTIALS": "true",
        "TOWER_DB_URL": f"jdbc:mysql://{database}&permitMysqlScheme=true",
        "TOWER_DB_DRIVER": "org.mariadb.jdbc.Driver",
        "TOWER_DB_DIALECT": "io.seqera.util.MySQL55DialectCollateBin",
        "TOWER_DB_MIN_POOL_SIZE": "5",
        "TOWER_DB_MAX_POOL_SIZE": "10",
        "TOWER_DB_MAX_LIFETIME": "18000000",
        "TOWER_REDIS_URL": "redis://redis:6379",
        "TOWER_ENABLE_UNSAFE_MODE": "true",
    }


def tower_yml(app):
    return f"micronaut:\n  application:\n    name: {app}\n"


class Rendered:
    """A directory with the installer's rendered docker-compose.yml and tower.env, and tower.yml in it or in its parent. Nothing in it changes."""

    def __init__(self, path):
        self.path = Path(path).resolve()
        for name in ("docker-compose.yml", "tower.env"):
            if not (self.path / name).is_file():
                raise Problem(f"{self.path} has no {name}: --rendered takes a directory with the files that the installer rendered")
        tower = next((one for one in (self.path / "tower.yml", self.path.parent / "tower.yml") if one.is_file()), None)
        if tower is None:
            raise Problem(f"neither {self.path} nor the directory above it has a tower.yml")
        self.compose, self.tower_env, self.tower_yml = (self.path / "docker-compose.yml").read_text(), (self.path / "tower.env").read_text(), tower.read_text()
        found = re.search(r"^ +name: *(\S+)", self.tower_yml, re.M)
        if not found:
            raise Problem(f"{tower} does not name the application (micronaut.application.name)")
        self.app = found[1]

    def mounted(self):
        """Files below $HOME that the compose file mounts but the Platform does not need. They may be empty."""
        named = re.findall(r"\$HOME/(target/[^:\s]+)", self.compose)
        return sorted(set(named) - {"target/tower_config/tower.env", "target/tower_config/tower.yml"})


def stands_in(config):
    """{image: environment of the stand-in, or None for the database} for each image of a compose project (`config --format json`)."""
    found = {}
    for service in config["services"].values():
        image = service["image"]
        kind = next((kind for kind in ("migrate-db", "backend", "frontend") if f"/{kind}:" in image), None)
        if re.match(r"(mysql|mariadb):", image):
            found[image] = None
        elif kind:
            found[image] = images.ROLES[kind]
        else:
            ports = {str(port["target"]) for port in service.get("ports", [])} | set(service.get("expose", []))
            ports |= set(filter(None, found.get(image, {}).get("SANDBOX_LISTEN", "").split(",")))
            found[image] = {"SANDBOX_ROLE": "listen", "SANDBOX_LISTEN": ",".join(sorted(ports))}
    return found


def login(config):
    """The database's user and password, which are inline in the compose file."""
    environment = config["services"].get("db", {}).get("environment", {})
    if "MYSQL_USER" not in environment:
        raise Problem("the rendered compose file has no service db; use one that was rendered with a database container")
    return environment["MYSQL_USER"], environment["MYSQL_PASSWORD"]
