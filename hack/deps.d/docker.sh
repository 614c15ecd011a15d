# shellcheck shell=bash
# Docker Engine. One that answers is used as it is; one that is only installed is started privately by the sandbox.

deps_docker() {
  if have docker && docker version --format '{{.Server.Version}}' >/dev/null 2>&1; then
    say "Docker Engine $(docker version --format '{{.Server.Version}}') answers"
    return
  fi
  [ -z "${DOCKER_HOST:-}" ] || fail "no Docker Engine answers at DOCKER_HOST=$DOCKER_HOST" "unset DOCKER_HOST"
  if ! have dockerd || ! have docker; then
    [ "$(uname -s)" = Linux ] || fail "Docker does not answer" "open -a Docker   # or: colima start"
    apt_install "Docker Engine" docker.io $(apt_has docker-cli) iptables
  fi
  is_root || fail "Docker Engine is installed but does not answer, and only root may start a private one" \
    "sudo systemctl start docker && sudo usermod -aG docker $(id -un)   # then log in again"
  say "Docker Engine is installed; the sandbox starts a private one ($(dockerd --version))"
}

# apt_has PACKAGE: prints the name where this release has it (Debian 13 splits the client off).
apt_has() {
  if apt-cache show "$1" >/dev/null 2>&1; then echo "$1"; fi
}
