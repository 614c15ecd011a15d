# shellcheck shell=bash
# Dumps the Platform's database out of its container, or with CHECK=true only finds out whether that can be done.
#   CONTAINER  of the database        BACKEND  a container of the backend, whose login is tried first
#   DUMP       the file to write      NAME     of the database, or empty
# A shell, since Ansible's docker_container_exec keeps the whole dump in memory. The passwords go from the environments of
# the containers through a pipe to the client: they are on no command line and in no file, and Ansible never has them.
set -euo pipefail
umask 077

# shellcheck disable=SC2016 # the container's shell expands it
inside='
set -eu
app_user= app_password=
while IFS= read -r line; do
  case $line in
    TOWER_DB_USER=*) app_user=${line#*=} ;;
    TOWER_DB_PASSWORD=*) app_password=${line#*=} ;;
  esac
done
given() { # NAME: what the environment says, as the official images have it
  for prefix in MYSQL MARIADB; do
    eval "value=\${${prefix}_$1:-} file=\${${prefix}_$1_FILE:-}"
    [ -n "$value" ] || [ -z "$file" ] || value=$(cat "$file")
    [ -z "$value" ] || { printf %s "$value"; return; }
  done
}
quoted() { printf %s "$1" | sed "s/[\\\\\"]/\\\\&/g"; }
as() { # PROGRAM ARGUMENT...: with the login that is tried
  program=$1; shift
  printf "[client]\nuser=\"%s\"\npassword=\"%s\"\n" "$(quoted "$user")" "$(quoted "$password")" | "$program" --defaults-extra-file=/dev/stdin "$@"
}
client=$(command -v mariadb || command -v mysql)
dump=$(command -v mariadb-dump || command -v mysqldump)
name=${1:-$(given DATABASE)} name=${name:-tower}
shift
refused=
for login in app user root; do
  case $login in
    app) user=$app_user password=$app_password ;;
    user) user=$(given USER) password=$(given PASSWORD) ;;
    root) user=root password=$(given ROOT_PASSWORD) ;;
  esac
  [ -n "$user" ] || continue
  said=$(as "$client" --batch --skip-column-names --execute \
    "SELECT COALESCE(SUM(data_length), 0) FROM information_schema.tables WHERE table_schema = DATABASE()" "$name" 2>&1) && refused= && break
  refused="$refused $user: $said"
done
[ -z "$refused" ] || { echo "The database $name cannot be read.$refused" >&2; exit 1; }
[ "$CHECK" = false ] || { echo "$name $said"; exit; }
for option in --set-gtid-purged=OFF --column-statistics=0; do # MySQL has them, MariaDB has not
  ! "$dump" --help 2>/dev/null | grep -q -e "${option%=*}" || set -- "$option" "$@"
done
as "$dump" --single-transaction --quick --hex-blob --no-tablespaces --triggers "$@" "$name"
'
in_database() { # CHECK
  docker inspect --format '{{range .Config.Env}}{{println .}}{{end}}' "$BACKEND" |
    docker exec --interactive --env "CHECK=$1" "$CONTAINER" sh -c "$inside" dump "$NAME"
}

said=$(in_database true)
directory=${DUMP%/*}
until [ -d "$directory" ]; do directory=$(dirname "$directory"); done
[ -w "$directory" ] || { echo "$(id -un) may not write to $directory." >&2; exit 1; }
free=$(df --output=avail --block-size=1 "$directory" | tail -n 1)
[ "$free" -ge "${said##* }" ] || {
  echo "The dump of ${said% *} may need ${said##* } bytes (information_schema), and $directory has $free bytes free." >&2; exit 1; }
[ "$CHECK" = false ] || exit 0

mkdir -p "${DUMP%/*}"
rm -f "${DUMP%-*}"-*.sql.gz.part # of a run that was killed
trap 'rm -f "$DUMP.part"' EXIT
in_database false | gzip >"$DUMP.part"
gzip -dc "$DUMP.part" | tail -n 1 | grep -q '^-- Dump completed' || { echo 'the dump has no end' >&2; exit 1; }
mv "$DUMP.part" "$DUMP"
