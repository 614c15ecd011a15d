package control

import "syscall"

// boot returns the ID of this boot, or "".
func boot() string {
	id, _ := syscall.Sysctl("kern.bootsessionuuid")
	return id
}
