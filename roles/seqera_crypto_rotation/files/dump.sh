# shellcheck shell=bash
# Dumps the Platform's database from its container, and prints <checksum>:<bytes>. With CHECK=true, only checks that a dump is possible.
#   CONTAINER  container of the database      BACKEND  container of the backend; its login is tried first
#   DUMP       the file to write              NAME     name of the database, or empty
# This is a shell script because Ansible's docker_container_exec holds the whole dump in memory. The passwords go through a pipe
# from the containers' environments to the client. They appear on no command line and in no file, and Ansible never sees them.
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
given() { # NAME: the value of MYSQL_NAME or MARIADB_NAME, also from a file, as in the official images
  for prefix in MYSQL MARIADB; do
    eval "value=\${${prefix}_$1:-} file=\${${prefix}_$1_FILE:-}"
    [ -n "$value" ] || [ -z "$file" ] || value=$(cat "$file")
    [ -z "$value" ] || { printf %s "$value"; return; }
  done
}
quoted() { printf %s "$1" | sed "s/[\\\\\"]/\\\\&/g"; }
as() { # PROGRAM ARGUMENT...: run the program with the login being tried
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
for option in --set-gtid-purged=OFF --column-statistics=0; do # MySQL has these options, MariaDB does not
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
[ -w "$directory" ] || { echo "$(id -un) cannot write to $directory." >&2; exit 1; }
free=$(df --output=avail --block-size=1 "$directory" | tail -n 1)
[ "$free" -ge "${said##* }" ] || {
  echo "The dump of ${said% *} may need ${said##* } bytes (information_schema), and $directory has $free bytes free." >&2; exit 1; }
[ "$CHECK" = false ] || exit 0

mkdir -p "${DUMP%/*}"
rm -f "${DUMP%-*}"-????????T??????Z.sql.gz.part # left by a run that was killed; other Platforms have longer names
trap 'rm -f "$DUMP.part"' EXIT
in_database false | gzip >"$DUMP.part"
gzip -dc "$DUMP.part" | tail -n 1 | grep -q '^-- Dump completed' || { echo 'the dump is incomplete: its last line is missing' >&2; exit 1; }
mv "$DUMP.part" "$DUMP"
printf '%s:%s\n' "$(sha256sum <"$DUMP" | cut -d' ' -f1)" "$(stat -c %s "$DUMP")"
