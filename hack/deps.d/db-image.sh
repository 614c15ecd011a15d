# shellcheck shell=bash
# The sandbox's database image: a root filesystem made from the distribution's packages, cached as a tarball. The sandbox imports it
# and adds database/entrypoint. SANDBOX_DATABASE_KIND selects the database: mysql (default) or mariadb.

deps_db_image() {
  if [ -n "${SANDBOX_DB_IMAGE:-}" ]; then
    say "the database image is $SANDBOX_DB_IMAGE"
    return
  fi
  need_db_tarball "export SANDBOX_DB_IMAGE=mysql:8"
}

# deps_mysql unpacks the MySQL image into .tools/mysql, for tests that run a server without Docker. .tools/mysql/native has mysqld,
# mysql, mysqladmin and mysqldump, which need neither root nor chroot.
deps_mysql() {
  local SANDBOX_DATABASE_KIND=mysql tarball root tool
  need_db_tarball "make test   # without MySQL, its tests are skipped"
  tarball=$(db_image_tarball)
  root=$cache/mysql-root-$(hash_of "$tarball" "$(declare -f deps_mysql)" "$(cat molecule/sandbox/database/native)")
  if [ ! -d "$root" ]; then
    say "unpacking MySQL"
    rm -rf "$root.part"
    mkdir -p "$root.part/native"
    tar -C "$root.part" --exclude=./dev --no-same-owner -xzf "$tarball"
    for tool in mysqld mysql mysqladmin mysqldump; do
      install -m 755 molecule/sandbox/database/native "$root.part/native/$tool"
    done
    mv "$root.part" "$root"
  fi
  mkdir -p .tools
  ln -sfn "$root" .tools/mysql
  say "MySQL for the tests: .tools/mysql/native ($(.tools/mysql/native/mysqld --version | grep -o 'Ver [^ ]*'))"
}

# need_db_tarball OTHERWISE: makes the tarball if it is not cached. OTHERWISE is the command to suggest if this machine cannot make it.
need_db_tarball() {
  local tarball
  tarball=$(db_image_tarball)
  if [ -s "$tarball" ]; then
    say "the $(db_kind) image is cached: ${tarball##*/}"
    return
  fi
  is_root && have apt-get || fail "the $(db_kind) image is made with debootstrap, which requires root on Debian or Ubuntu" "$1"
  have debootstrap || apt_install "the database image" debootstrap
  make_db_image "$tarball"
}

db_kind() { echo "${SANDBOX_DATABASE_KIND:-mysql}"; }

db_image_tarball() {
  echo "$cache/sandbox-db-$(hash_of "$(declare -f make_db_image shrink_db_image "prepare_$(db_kind)")" \
    "$(uname -m)" "$(db_kind)" "$(db_suite)").tar.gz"
}

# The Debian or Ubuntu release that has the packages. Debian has MySQL only in unstable.
db_suite() {
  if [ -n "${SANDBOX_DB_SUITE:-}" ]; then
    echo "$SANDBOX_DB_SUITE"
  elif [ "$(db_kind)" = mysql ] && ! is_ubuntu; then
    echo sid
  else
    own_suite
  fi
}

make_db_image() (
  tarball=$1 kind=$(db_kind) suite=$(db_suite) started=$SECONDS
  mirror=$(own_mirror)
  [ -n "$mirror" ] || fail "apt knows no mirror of $(own_suite)" "cat /etc/apt/sources.list /etc/apt/sources.list.d/*"
  eval "$(apt-config shell proxy Acquire::http::Proxy)"
  [ -z "${proxy:-}" ] || export http_proxy=$proxy
  components=main
  ! is_ubuntu || components=main,universe
  say "making the $kind image from $suite packages (two to four minutes, once per machine)"
  mkdir -p "$cache"
  work=$(mktemp -d "$cache/db-image.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  debootstrap --variant=minbase --components=$components --include="$kind-server" "$suite" "$work/root" "$mirror" | every_25th
  shrink_db_image "$work/root"
  "prepare_$kind" "$work/root"
  say "packing the database image"
  tar -C "$work/root" --numeric-owner -c . | gzip -1 >"$work/image.tar.gz"
  mv "$work/image.tar.gz" "$tarball"
  say "the $kind image is ready: $(du -h "$tarball" | cut -f1), $((SECONDS - started)) s"
)

# every_25th: prints every 25th line of debootstrap, and all warnings and errors.
every_25th() {
  local line count=0
  while IFS= read -r line; do
    count=$((count + 1))
    case $line in
      [WE]:*) echo "$line" ;;
      *) [ $((count % 25)) != 0 ] || say "  ${line#I: }" ;;
    esac
  done
}

# Removes documentation, locales, package lists, programs that only an installer runs, and the packages' own configuration, so that
# the server does not read addresses or sockets from it.
shrink_db_image() {
  (cd "$1" && rm -rf var/cache/apt/* var/lib/apt/lists/* var/cache/debconf/* var/log/* usr/share/doc/* usr/share/man/* \
    usr/share/info/* usr/share/locale/* usr/share/i18n usr/share/lintian usr/share/bug usr/share/zoneinfo usr/lib/locale/* \
    boot/* usr/lib/systemd usr/lib/gcc usr/share/gcc usr/include etc/mysql var/lib/mysql* usr/share/mysql/mysql-test)
  mkdir -p "$1/var/lib/mysql" "$1/var/log/mysql" "$1/run/mysqld" "$1/etc/mysql/conf.d" "$1/docker-entrypoint-initdb.d"
  chroot "$1" chown mysql:mysql /var/lib/mysql /var/log/mysql /run/mysqld
}

# Makes the system tables once; the entrypoint copies them into an empty data directory. Files that must differ between servers (the
# UUID that GTIDs begin with, keys and certificates) are removed, because a server makes them at its first start.
prepare_mysql() {
  (cd "$1/usr" && rm -f bin/mysql_migrate_keyring bin/mysqlslap bin/mysqlimport bin/mysqlcheck bin/mysqlanalyze bin/mysqloptimize \
    bin/mysqlrepair bin/mysqlshow bin/mysql_secure_installation bin/mysql_tzinfo_to_sql bin/mysql*_safe lib/mysql/plugin/*test*)
  chroot "$1" mysqld --no-defaults --initialize-insecure --user=mysql --datadir=/var/lib/mysql-template --innodb-redo-log-capacity=16M \
    >"$1.log" 2>&1 || fail "mysqld --initialize-insecure: $(cat "$1.log")"
  (cd "$1/var/lib/mysql-template" && rm -f auto.cnf ./*.pem)
}

prepare_mariadb() {
  (cd "$1/usr" && rm -rf bin/mariabackup bin/mariadb-backup bin/mbstream bin/aria_* lib/galera bin/garb*)
  chroot "$1" mariadb-install-db --user=mysql --datadir=/var/lib/mysql-template --skip-test-db --force --skip-name-resolve \
    --innodb-log-file-size=16M --auth-root-authentication-method=normal >"$1.log" 2>&1 || fail "mariadb-install-db: $(cat "$1.log")"
}
