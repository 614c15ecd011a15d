# shellcheck shell=bash
# docker compose v2 in the sandbox's own DOCKER_CONFIG, .tools/docker. Where the machine has none it is built from its Go module.

deps_compose() {
  local plugin=$root/.tools/docker/cli-plugins/docker-compose version built
  mkdir -p "${plugin%/*}"
  [ -x "$plugin" ] || rm -f "$plugin"
  if compose_works "$root/.tools/docker"; then
    say "docker compose $(DOCKER_CONFIG=$root/.tools/docker docker compose version --short) works"
    return
  fi
  if compose_works "${DOCKER_CONFIG:-$HOME/.docker}"; then
    ln -sf "${DOCKER_CONFIG:-$HOME/.docker}/cli-plugins/docker-compose" "$plugin"
  else
    version=$(sed -n 's,.*github.com/docker/compose/v2 \(v[^ ]*\).*,\1,p' molecule/sandbox/compose/go.mod)
    built=$cache/docker-compose-$version-$(hash_of "$(cat molecule/sandbox/compose/go.mod)" "$(go version)")
    [ -x "$built" ] || build_compose "$version" "$built"
    ln -sf "$built" "$plugin"
  fi
  compose_works "$root/.tools/docker" || fail "docker compose does not work as a plugin" "docker compose version"
  say "docker compose $(DOCKER_CONFIG=$root/.tools/docker docker compose version --short) is ready"
}

compose_works() { DOCKER_CONFIG=$1 docker compose version --short 2>/dev/null | grep -qE '^v?([2-9]|[1-9][0-9])\.'; }

build_compose() {
  local version=$1 built=$2 pid
  say "building docker compose $version from its Go module (4 minutes with an empty Go cache, once per machine)"
  mkdir -p "$cache"
  (cd molecule/sandbox/compose && CGO_ENABLED=0 go build -trimpath \
    -ldflags "-s -w -X github.com/docker/compose/v2/internal.Version=$version" \
    -o "$built.part" github.com/docker/compose/v2/cmd) &
  pid=$!
  progress "$pid" "still building docker compose"
  wait "$pid" || fail "docker compose $version did not build" "cd molecule/sandbox/compose && go build github.com/docker/compose/v2/cmd"
  mv "$built.part" "$built"
}

# progress PID TEXT: a line every 20 seconds for as long as PID runs.
progress() {
  local seconds=0
  while kill -0 "$1" 2>/dev/null; do
    sleep 1
    seconds=$((seconds + 1))
    [ $((seconds % 20)) != 0 ] || say "$2 (${seconds} s)"
  done
}
