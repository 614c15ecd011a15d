# shellcheck shell=bash
# A server for ssh and sudo, for the tests of connections. They run a server of their own; Debian's service is not started.

deps_ssh() {
  if [ -x /usr/sbin/sshd ] && have ssh && have sudo; then
    say "sshd and sudo are here ($(ssh -V 2>&1))"
    return
  fi
  apt_install "the tests of connections" openssh-server openssh-client sudo
}
