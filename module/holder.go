package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/seqera-tools/crypto-rotation/module/custody"
)

// self says who runs this, for lock, ledger and escrow.
func self() custody.Holder {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return custody.Holder{Host: host, Machine: machine(host), PID: os.Getpid(), Started: started(os.Getpid())}
}

// machine is the same only on one machine in one boot. Without machine id and boot id (macOS) the host name has to do.
func machine(host string) string {
	hash := sha256.New()
	for _, path := range []string{"/etc/machine-id", "/proc/sys/kernel/random/boot_id"} {
		text, err := os.ReadFile(path) //nolint:gosec // two constants
		if err != nil {
			text = []byte(path)
		}
		_, _ = hash.Write(text)
	}
	_, _ = hash.Write([]byte(host))
	return hex.EncodeToString(hash.Sum(nil))[:16]
}

// alive says whether a process of this machine is the one that took the lock, not a later one with its number.
func alive(holder custody.Holder) bool {
	if err := syscall.Kill(holder.PID, 0); err != nil && !errors.Is(err, syscall.EPERM) {
		return false
	}
	return started(holder.PID) == holder.Started
}

// started is field 22 of /proc/<pid>/stat, in clock ticks since boot; 0 where there is no /proc. A zombie has ended.
func started(pid int) int64 {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0
	}
	// The second field is the command in parentheses and may hold blanks and parentheses itself.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 20 || fields[0] == "Z" {
		return -1
	}
	ticks, err := strconv.ParseInt(fields[19], 10, 64)
	if err != nil {
		return 0
	}
	return ticks
}
