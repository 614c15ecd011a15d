# shellcheck shell=sh
# The outage of a handover, in one call because users are waiting: OLD NEXT NAME FOLLOWER...
#   OLD       the old backend container, or empty
#   NEXT      the next backend container, which is ready
#   NAME      the name of the service, given to NEXT
#   FOLLOWER  containers that cache the backend's address, such as nginx
# If the script is interrupted, settle.yml runs it again with the containers that remain.
set -eu
old=$1 next=$2 name=$3
shift 3
taken=$(docker ps --all --quiet --no-trunc --filter "name=^/$name\$")
if [ -n "$taken" ] && [ "$taken" != "$old" ] && [ "$taken" != "$next" ]; then
  [ -z "$old" ] || docker start "$old"
  echo "The container $taken, which is not of this Platform, is called $name. The old backend runs." >&2
  exit 1
fi
if [ -n "$old" ]; then
  docker stop "$old"
  docker rm "$old"
fi
docker rename "$next" "$name"
# A proxy waits for its open connections until the timeout is over.
if [ $# -gt 0 ]; then docker restart --time 3 "$@"; fi
