# shellcheck shell=sh
# The outage of a handover, in one call because users wait: OLD NEXT NAME FOLLOWER...
#   OLD   the container that served, or empty  NEXT  the one that is ready
#   NAME  the service's, which leads to NEXT from now on
#   FOLLOWER  containers that keep the address of a backend, such as nginx
# It may be cut off anywhere: settle.yml calls it again with what is left.
set -eu
old=$1 next=$2 name=$3
shift 3
if [ -n "$old" ]; then
  docker stop "$old"
  docker rm "$old"
fi
docker rename "$next" "$name"
# A proxy waits for its open connections, for as long as it is let.
if [ $# -gt 0 ]; then docker restart --time 3 "$@"; fi
