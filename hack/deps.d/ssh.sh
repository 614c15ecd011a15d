# shellcheck shell=bash
# A server for ssh, sudo, and acl, without which one ordinary user becomes no other, for the tests of connections. They run a server of their own; Debian's service is not started.

deps_ssh() {
  if [ -x /usr/sbin/sshd ] && have ssh && have sudo && have setfacl; then
    say "sshd, sudo and setfacl are here ($(ssh -V 2>&1))"
    return
  fi
  apt_install "the tests of connections" openssh-server openssh-client sudo acl
}
