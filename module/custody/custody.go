// Package custody has the formats and rules of what must be readable in ten years: escrowed keys and their tie to
// backups, the ledger of rotations, and the lock. It is pure; module/parameters moves its bytes to and from SSM.
//
// Under custody_prefix (default /seqera-crypto-rotation/<app_name>), each a SecureString holding one JSON object:
//
//	escrow/<fingerprint>                        one key, created once, never overwritten
//	escrow/<fingerprint>/backups/<rotation_id>  backups tied to a key after it was captured
//	ledger/<rotation_id>                        one rotation: open, prepared, proved, finished
//	lock/<n>                                    the highest n is the lock; lower ones are leftovers
package custody

import "time"

// Holder is who does something, where. It is written into lock, ledger and escrow.
type Holder struct {
	ARN     string `json:"arn,omitempty"` // sts:GetCallerIdentity; empty when that could not be asked
	Host    string `json:"host"`
	Machine string `json:"machine"` // a hash of machine id and boot id: the same only on one machine, in one boot
	PID     int    `json:"pid"`
	Started int64  `json:"started"` // the process's start in clock ticks since boot (proc(5), stat field 22); 0 where unknown
	Alive   bool   `json:"-"`       // filled by the observer for holders on this machine: does that process still run?
}

// Shelf is everything under custody_prefix, as listed.
type Shelf struct {
	Locks  []Lock
	Ledger []Entry
	Escrow []Deposit
}

// Lease is how long a lock holds without being renewed.
const Lease = 5 * time.Minute
