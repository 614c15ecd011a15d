//go:build unix && !linux

package ansible

import "syscall"

// redirect makes to mean what from means.
func redirect(from, to int) error { return syscall.Dup2(from, to) }
