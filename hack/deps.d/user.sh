# shellcheck shell=bash
# Programs that create an ordinary user for a sandbox and let the tests become that user.

deps_user() {
  if ! is_root; then
    say "you own the sandboxes: only root creates a separate user for each"
    return
  fi
  if have useradd && have sudo && have setfacl; then
    say "useradd, sudo and setfacl are installed"
    return
  fi
  apt_install "sandboxes of ordinary users" passwd sudo acl
}
