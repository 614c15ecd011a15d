# shellcheck shell=sh
# The outage of a handover, in one call because users wait: GRACE OLD NEXT NAME FOLLOWER...
#   GRACE  seconds that OLD may take to stop   OLD   the container that served, or empty
#   NEXT   the one that is ready               NAME  the service's, which leads to NEXT from now on
#   FOLLOWER  containers that keep the address of a backend, such as nginx
# It may be cut off anywhere: settle.yml calls it again with what is left.
set -eu
grace=$1 old=$2 next=$3 name=$4
shift 4
if [ -n "$old" ]; then
  docker stop --time "$grace" "$old"
  docker rm "$old"
fi
docker rename "$next" "$name"
# A proxy waits for its open connections, for as long as it is let.
if [ $# -gt 0 ]; then docker restart --time 3 "$@"; fi
