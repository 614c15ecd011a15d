# shellcheck shell=bash
# docker compose v2 in the sandbox's own DOCKER_CONFIG, .tools/docker. If the machine has none, it comes from Debian's unstable release,
# or it is built from its Go module.

deps_compose() {
  local plugin=$root/.tools/docker/cli-plugins/docker-compose version
  mkdir -p "${plugin%/*}"
  [ -x "$plugin" ] || rm -f "$plugin"
  if compose_works "$root/.tools/docker"; then
    say "docker compose $(DOCKER_CONFIG=$root/.tools/docker docker compose version --short) works"
    return
  fi
  if compose_works "${DOCKER_CONFIG:-$HOME/.docker}"; then
    ln -sf "${DOCKER_CONFIG:-$HOME/.docker}/cli-plugins/docker-compose" "$plugin"
  else
    version=$(compose_default)
    build_compose "$version"
    ln -sf "$(compose_kept "$version")" "$plugin"
  fi
  compose_works "$root/.tools/docker" || fail "docker compose does not work as a plugin" "docker compose version"
  say "docker compose $(DOCKER_CONFIG=$root/.tools/docker docker compose version --short) is ready"
}

# Only builds it, so that `make test` can do this while other stages download.
deps_compose_binary() {
  compose_works "$root/.tools/docker" || compose_works "${DOCKER_CONFIG:-$HOME/.docker}" \
    || build_compose "$(compose_default)"
}

compose_works() { DOCKER_CONFIG=$1 docker compose version --short 2>/dev/null | grep -qE '^v?([2-9]|[1-9][0-9])\.'; }

compose_versions() { sed -n 's/^\(v[^ ]*\) .*/\1/p' "$root/hack/compose.txt"; }
compose_default() { compose_versions | head -n 1; }

# The path of a version's binary in the cache.
compose_kept() { echo "$cache/docker-compose-$1-$(hash_of "$(grep "^$1 " "$root/hack/compose.txt")" "$(go version)")"; }

# build_compose VERSION: downloads or builds the binary unless it is in the cache
build_compose() {
  local version=$1 built module sources pid lock
  built=$(compose_kept "$version")
  mkdir -p "$cache"
  exec {lock}>"$built.lock"
  ! have flock || flock "$lock"
  if [ -x "$built" ] || debian_compose "${version#v}" "$built"; then
    exec {lock}>&-
    return
  fi
  module=github.com/docker/compose/${version%%.*}
  say "building docker compose $version from its Go module (4 minutes with an empty Go cache, once per machine)"
  sources=$(compose_sources "$module" "$version") || fail "the Go module of docker compose $version cannot be downloaded, or it has another checksum than in hack/compose.txt"
  # Its own go.mod and go.sum say which libraries it is built with.
  (cd "$sources" && GOFLAGS='' CGO_ENABLED=0 GOWORK=off go build -trimpath -ldflags "-s -w -X $module/internal.Version=$version" -o "$built.part" ./cmd) &
  pid=$!
  progress "$pid" "still building docker compose"
  wait "$pid" || fail "docker compose $version did not build" "cd $sources && go build ./cmd"
  mv "$built.part" "$built"
  exec {lock}>&-
}

# compose_sources MODULE VERSION: prints the directory of the module, if its checksum is right
compose_sources() {
  local about
  about=$(cd / && GOFLAGS='' go mod download -json "$1@$2") || return
  [ "$(sed -n 's/^\t"Sum": "\(.*\)",*$/\1/p' <<<"$about")" = "$(sed -n "s/^$2 //p" "$root/hack/compose.txt")" ] || return
  sed -n 's/^\t"Dir": "\(.*\)",*$/\1/p' <<<"$about"
}

# debian_compose VERSION BINARY: gets the binary from Debian's unstable release, if this is Debian and the release has that version. apt
# checks the signature, and leaves this machine's packages and lists as they are.
debian_compose() (
  keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  [ -r $keyring ] && have apt-get || exit 1
  say "getting docker compose $1 from Debian's packages"
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  cd "$work"
  mkdir -p lists/partial archives/partial
  printf '%s\n' 'Types: deb' "URIs: $(own_mirror)" 'Suites: sid' 'Components: main' "Signed-By: $keyring" >sid.sources
  elsewhere=(-o Dir::Etc::SourceList="$work/sid.sources" -o Dir::Etc::SourceParts=/dev/null -o Dir::State::Lists="$work/lists"
    -o Dir::Cache="$work" -o Acquire::Languages=none -o APT::Sandbox::User="$(id -un)")
  apt-get -qq "${elsewhere[@]}" update && apt-get -qq "${elsewhere[@]}" download "docker-compose=$1-*" || exit 1
  dpkg-deb -x docker-compose_*.deb .
  usr/libexec/docker/cli-plugins/docker-compose version --short >/dev/null || exit 1 # it may need a newer C library
  cp usr/libexec/docker/cli-plugins/docker-compose "$2.part" && mv "$2.part" "$2"
)

# progress PID TEXT: prints a line every 20 seconds while PID runs.
progress() {
  local seconds=0
  while kill -0 "$1" 2>/dev/null; do
    sleep 1
    seconds=$((seconds + 1))
    [ $((seconds % 20)) != 0 ] || say "$2 (${seconds} s)"
  done
}
