package custody

import (
	"slices"
	"time"

	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// Origin is where an escrowed key comes from.
type Origin string

// The origins of keys.
const (
	OriginCaptured Origin = "captured" // found in the parameter it was in use in
	OriginMade     Origin = "made"     // made by this tool
	OriginGiven    Origin = "given"    // handed over by the operator (new_secret)
)

// EscrowedKey is one escrowed key with what is known of it, at <custody_prefix>/escrow/<fingerprint>. Created once.
type EscrowedKey struct {
	Version    int64         `json:"-"` // the parameter's version as observed
	Held       bool          `json:"-"` // the key itself is there (a backup may be listed before its key)
	Key        secret.Secret `json:"-"` // storedKey writes it
	BackupRefs []BackupRef   `json:"-"` // documents of their own

	App         string             `json:"app_name"`
	Fingerprint secret.Fingerprint `json:"fingerprint"`
	Origin      Origin             `json:"origin"`
	Source      string             `json:"source,omitempty"`         // the SSM parameter it was captured from; empty for made and given keys
	SourceAt    int64              `json:"source_version,omitempty"` // that parameter's version
	RotationID  string             `json:"rotation_id"`              // the rotation that retired (captured) or introduced (made, given) it
	CapturedAt  time.Time          `json:"captured_at"`
	By          Holder             `json:"by"`
	Backups     []string           `json:"backups,omitempty"`
}

// storedKey is an EscrowedKey as it is stored: the one place where a key is written out.
type storedKey struct {
	EscrowedKey
	Key string `json:"key"`
}

// BackupRef binds backups to a key that was captured earlier.
type BackupRef struct {
	Fingerprint secret.Fingerprint `json:"fingerprint"`
	RotationID  string             `json:"rotation_id"`
	Backups     []string           `json:"backups"`
	At          time.Time          `json:"at"`
	By          Holder             `json:"by"`
}

// Unlinked gives those of backups that no document binds to the key yet, in their order.
func (d EscrowedKey) Unlinked(backups []string) []string {
	var left []string
	for _, backup := range backups {
		known := slices.Contains(d.Backups, backup)
		for _, tie := range d.BackupRefs {
			known = known || slices.Contains(tie.Backups, backup)
		}
		if !known {
			left = append(left, backup)
		}
	}
	return left
}

// EscrowName gives <prefix>/escrow/<fingerprint>.
func EscrowName(prefix string, fingerprint secret.Fingerprint) string {
	return prefix + "/escrow/" + string(fingerprint)
}

// BackupRefName gives <prefix>/escrow/<fingerprint>/backups/<rotation_id>.
func BackupRefName(prefix string, fingerprint secret.Fingerprint, rotationID string) string {
	return EscrowName(prefix, fingerprint) + "/backups/" + rotationID
}
