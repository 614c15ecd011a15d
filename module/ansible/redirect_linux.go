package ansible

import "syscall"

// redirect makes the file descriptor to refer to the same file as from. It uses dup3 because Linux on arm64 has no dup2.
func redirect(from, to int) error { return syscall.Dup3(from, to, 0) }
