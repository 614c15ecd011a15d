# shellcheck shell=bash
# Functions that the stages share: messages, the cache, and apt without questions.

cache=${XDG_CACHE_HOME:-$HOME/.cache}/seqera-crypto-rotation

say() { printf 'deps: %s\n' "$*"; }

# fail WHAT COMMAND: prints what is missing and which command to type, then exits.
fail() {
  printf 'deps: %s\n' "$1" >&2
  [ -z "${2:-}" ] || printf 'deps: type:  %s\n' "$2" >&2
  exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

is_root() { [ "$(id -u)" = 0 ]; }

# hash_of TEXT...: prints 16 hex digits, for naming a cached result by its inputs.
hash_of() { printf '%s\n' "$@" | sha256sum | cut -c1-16; }

# apt_install REASON PACKAGE...: installs packages without starting their services.
apt_install() {
  local reason=$1
  shift
  have apt-get && is_root || fail "$reason needs: $*" "sudo apt-get install -y --no-install-recommends $*"
  say "$reason: apt-get install $*"
  [ -n "$(find /var/lib/apt/lists -name '*_Packages*' -print -quit 2>/dev/null)" ] || apt-get update
  local policy=/usr/sbin/policy-rc.d ours=no status=0
  if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod +x $policy
    ours=yes
  fi
  DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" </dev/null || status=$?
  [ $ours = no ] || rm -f $policy
  [ $status = 0 ] || fail "apt-get could not install $*" "apt-get update && apt-get install -y $*"
}

is_ubuntu() { grep -qi '^ID=ubuntu' /etc/os-release 2>/dev/null; }

# The Debian or Ubuntu release of this machine.
own_suite() {
  local VERSION_CODENAME=bookworm
  # shellcheck source=/dev/null
  [ ! -r /etc/os-release ] || . /etc/os-release
  echo "$VERSION_CODENAME"
}

# The mirror of this release, or nothing. A mirror of Debian also has Debian's other releases. apt prints its sources in reverse order,
# and Debian's own come before others.
own_mirror() { apt-get --print-uris update | sed -n "s,^'\(.*\)/dists/$(own_suite)/InRelease'.*,\1,p" | awk 'END { print }'; }
