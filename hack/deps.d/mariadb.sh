# shellcheck shell=bash
# The database server of the module's own tests, a process without a service: the sandbox has another one in its image.

deps_mariadb() {
  if have mariadbd && have mariadb-install-db && have my_print_defaults; then
    say "MariaDB is here ($(mariadbd --version | cut -d' ' -f1-4))"
    return
  fi
  # mariadb-install-db calls my_print_defaults, which no dependency of the server brings.
  apt_install "MariaDB for the tests" mariadb-server-core mariadb-client-core
}
