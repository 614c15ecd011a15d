# shellcheck shell=bash
# Docker Engine. If one answers, the sandbox uses it. If one is only installed, the sandbox starts it privately.

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

# apt_has PACKAGE: prints the name if this release has the package (in Debian 13 the client is a separate package).
apt_has() {
  if apt-cache show "$1" >/dev/null 2>&1; then echo "$1"; fi
}
