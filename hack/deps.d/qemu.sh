# shellcheck shell=bash
# QEMU's user-mode emulation of arm64, for running the arm64 binary.

deps_qemu() {
  if have qemu-aarch64-static || have qemu-aarch64; then
    say "QEMU's emulation of arm64 is installed"
    return
  fi
  apt_install "the test of the arm64 binary" qemu-user-static
}
