//go:build !darwin

package control

import "os"

// boot returns the ID of this boot, or "".
func boot() string {
	id, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return string(id)
}
