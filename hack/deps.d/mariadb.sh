# shellcheck shell=bash
# The database server for the module's own tests. They run it as a process, not as a service. The sandbox has its own in its image.

deps_mariadb() {
  if have mariadbd && have mariadb-install-db && have my_print_defaults; then
    say "MariaDB is installed ($(mariadbd --version | cut -d' ' -f1-4))"
    return
  fi
  # mariadb-install-db calls my_print_defaults, which the server's dependencies do not include.
  apt_install "MariaDB for the tests" mariadb-server-core mariadb-client-core
}
