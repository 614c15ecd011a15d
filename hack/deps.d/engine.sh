# shellcheck shell=bash
# Docker Engines of other Debian releases, unpacked from their packages into the cache. SANDBOX_ENGINE_ROOT makes the sandbox run one.

# engine_root VERSION SUITE: makes the Engine of a Debian release if it is not cached, and sets engine_root to its path.
engine_root() {
  local version=$1 suite=$2 mirror found
  engine_root=$cache/engine-$version-$(hash_of "$suite" "$(uname -m)" "$(declare -f engine_root)")
  [ ! -x "$engine_root/usr/sbin/dockerd" ] || return 0
  is_root && have apt-get && ! is_ubuntu || fail "Docker Engine $version is made with debootstrap, which requires root on Debian"
  have debootstrap || apt_install "Docker Engine $version" debootstrap
  mirror=$(own_mirror)
  [ -n "$mirror" ] || fail "apt knows no mirror of Debian" "cat /etc/apt/sources.list /etc/apt/sources.list.d/*"
  say "making Docker Engine $version from $suite packages (two minutes, once per machine)"
  rm -rf "$engine_root.part"
  mkdir -p "$cache"
  (
    eval "$(apt-config shell proxy Acquire::http::Proxy)"
    [ -z "${proxy:-}" ] || export http_proxy=$proxy
    debootstrap --variant=minbase --include=docker.io,iptables "$suite" "$engine_root.part" "$mirror"
  ) | every_25th
  found=$(chroot "$engine_root.part" dockerd --version)
  case $found in
    "Docker version $version"[.+]*) ;;
    *) fail "$suite no longer has Docker Engine $version but: $found" "hack/test-engines lists the Engines; name another release there" ;;
  esac
  (cd "$engine_root.part" && rm -rf boot var/cache/apt var/lib/apt usr/share/doc usr/share/man usr/share/locale)
  mv "$engine_root.part" "$engine_root"
}
