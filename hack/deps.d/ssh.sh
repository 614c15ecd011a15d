# shellcheck shell=bash
# sshd, sudo and acl for the tests of connections. Without acl, an ordinary user cannot become another one. The tests start their own
# sshd; Debian's service is not started.

deps_ssh() {
  if [ -x /usr/sbin/sshd ] && have ssh && have sudo && have setfacl; then
    say "sshd, sudo and setfacl are installed ($(ssh -V 2>&1))"
    return
  fi
  apt_install "the tests of connections" openssh-server openssh-client sudo acl
}
