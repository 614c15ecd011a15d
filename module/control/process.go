package control

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/seqera-tools/crypto-rotation/module/custody"
)

// self identifies this process for the lock, the ledger and escrow.
func self() custody.Holder {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return custody.Holder{Host: host, Machine: machine(host), PID: os.Getpid(), Started: started(os.Getpid())}
}

// Tool identifies this binary for the report and the ledger.
type Tool struct {
	Version string `json:"version"`
	SHA256  string `json:"sha256"` // of its file; empty if the file cannot be read
}

func tool(version string) Tool {
	path, _ := os.Executable()
	file, err := os.Open(path) //nolint:gosec // our own file
	if err != nil {
		return Tool{Version: version}
	}
	defer func() { _ = file.Close() }()
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return Tool{Version: version}
	}
	return Tool{Version: version, SHA256: hex.EncodeToString(hash.Sum(nil))}
}

func (t Tool) short() string {
	return strings.TrimSpace(t.Version + " " + t.SHA256[:min(16, len(t.SHA256))])
}

// machine returns an ID of this machine, boot and PID namespace. macOS has only the ID of the boot.
func machine(host string) string {
	id, _ := os.ReadFile("/etc/machine-id")
	namespace, _ := os.Readlink("/proc/self/ns/pid")
	hash := sha256.Sum256([]byte(strings.Join([]string{string(id), boot(), host, namespace}, "\n")))
	return hex.EncodeToString(hash[:])[:16]
}

// alive reports whether the process that took the lock may still be running. A process that is not visible (hidepid) counts as alive.
func alive(holder custody.Holder) bool {
	if errors.Is(syscall.Kill(holder.PID, 0), syscall.ESRCH) {
		return false
	}
	now := started(holder.PID)
	return now == unknown || holder.Started == unknown || now == holder.Started
}

const (
	unknown = 0  // the start time cannot be read
	ended   = -1 // the process is a zombie
)

// started returns when a process started, in clock ticks since boot (field 22 of /proc/<pid>/stat), or unknown or ended.
func started(pid int) int64 {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return unknown
	}
	// The second field is the command in parentheses, and may itself contain spaces and parentheses.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	switch {
	case len(fields) < 20:
		return unknown
	case fields[0] == "Z" || fields[0] == "X":
		return ended
	}
	ticks, _ := strconv.ParseInt(fields[19], 10, 64) // the kernel writes a number
	return ticks
}
