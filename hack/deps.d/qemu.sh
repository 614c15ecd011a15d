# shellcheck shell=bash
# User-mode emulation of arm64: there the binary for VMs of that architecture is run.

deps_qemu() {
  if have qemu-aarch64-static || have qemu-aarch64; then
    say "QEMU's emulation of arm64 is here"
    return
  fi
  apt_install "the test of the arm64 binary" qemu-user-static
}
