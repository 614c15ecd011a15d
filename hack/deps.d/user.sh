# shellcheck shell=bash
# What makes an ordinary user for a sandbox and lets the tests become that user.

deps_user() {
  if ! is_root; then
    say "sandboxes belong to you: only root makes a user of its own for each"
    return
  fi
  if have useradd && have sudo && have setfacl; then
    say "useradd, sudo and setfacl are here"
    return
  fi
  apt_install "sandboxes of ordinary users" passwd sudo acl
}
