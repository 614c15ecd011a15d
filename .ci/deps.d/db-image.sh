# shellcheck shell=bash
# The database image's root filesystem: MariaDB from the Debian or Ubuntu packages that apt is set to, as a tarball.
# The sandbox imports it; the image's tag is the hash in the tarball's name.

deps_db_image() {
  if [ -n "${SANDBOX_DB_IMAGE:-}" ]; then
    say "the database image is $SANDBOX_DB_IMAGE"
    return
  fi
  local tarball
  tarball=$(db_image_tarball)
  if [ -s "$tarball" ]; then
    say "the database image is kept: ${tarball##*/}"
    return
  fi
  is_root && have apt-get || fail "the database image is made with debootstrap, which needs root on Debian or Ubuntu" \
    "export SANDBOX_DB_IMAGE=mysql:8"
  have debootstrap || apt_install "the database image" debootstrap
  make_db_image "$tarball"
}

db_image_tarball() {
  echo "$cache/sandbox-db-$(hash_of "$(declare -f shrink_db_image)" "$(cat molecule/sandbox/database/entrypoint)" "$(uname -m)" "$(db_suite)").tar.gz"
}

db_suite() {
  local VERSION_CODENAME=bookworm
  # shellcheck source=/dev/null
  [ ! -r /etc/os-release ] || . /etc/os-release
  echo "${SANDBOX_DB_SUITE:-$VERSION_CODENAME}"
}

# apt's own mirror and proxy serve the image as well; neither is written anywhere.
db_mirror() { apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' | awk -v s="$1" '$2 == s { print $1; exit }'; }

make_db_image() (
  tarball=$1 suite=$(db_suite) started=$SECONDS
  [ -n "$(db_mirror "$suite")" ] || apt-get update
  mirror=$(db_mirror "$suite")
  [ -n "$mirror" ] || fail "apt knows no mirror of $suite" "apt-get update"
  eval "$(apt-config shell proxy Acquire::http::Proxy)"
  [ -z "${proxy:-}" ] || export http_proxy=$proxy
  components=main
  ! grep -qi '^ID=ubuntu' /etc/os-release || components=main,universe
  say "making the database image from $suite packages (about a minute and a half, once per machine)"
  mkdir -p "$cache"
  work=$(mktemp -d "$cache/db-image.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  debootstrap --variant=minbase --components=$components --include=mariadb-server "$suite" "$work/root" "$mirror" | every_25th
  shrink_db_image "$work/root"
  install -m 755 molecule/sandbox/database/entrypoint "$work/root/entrypoint"
  say "packing the database image"
  tar -C "$work/root" --numeric-owner -c . | gzip -1 >"$work/image.tar.gz"
  mv "$work/image.tar.gz" "$tarball"
  say "the database image is ready: $(du -h "$tarball" | cut -f1), $((SECONDS - started)) s"
)

# every_25th: thins debootstrap's lines out; warnings and errors all pass.
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

# Documentation, locales, package lists, and what only an installer or a backup would run. Then the empty system tables are
# made once, here, so that no container's first start has to.
shrink_db_image() {
  (cd "$1" && rm -rf var/cache/apt/* var/lib/apt/lists/* var/cache/debconf/* var/log/* usr/share/doc/* usr/share/man/* \
    usr/share/info/* usr/share/locale/* usr/share/i18n usr/share/lintian usr/share/bug usr/share/zoneinfo \
    usr/lib/locale/* boot/* usr/lib/systemd usr/share/mysql/mysql-test usr/bin/mariabackup usr/bin/mariadb-backup \
    usr/bin/mbstream usr/bin/aria_* usr/lib/galera usr/bin/garb* usr/lib/gcc usr/share/gcc usr/include)
  # the server reads no package's opinion of addresses or sockets
  rm -rf "$1/etc/mysql/mariadb.conf.d" "$1/etc/mysql/conf.d" "$1/var/lib/mysql"
  mkdir -p "$1/var/lib/mysql" "$1/run/mysqld" "$1/etc/mysql/conf.d" "$1/etc/mysql/mariadb.conf.d"
  chroot "$1" chown mysql:mysql /var/lib/mysql /run/mysqld
  chroot "$1" mariadb-install-db --user=mysql --datadir=/var/lib/mysql --skip-test-db --force --skip-name-resolve \
    --innodb-log-file-size=16M --auth-root-authentication-method=normal >"$1.log" 2>&1 || fail "mariadb-install-db: $(cat "$1.log")"
}
