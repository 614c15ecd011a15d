package custody

import (
	"slices"
	"time"

	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// Origin says where an escrowed key comes from.
type Origin string

// The origins of keys.
const (
	OriginCaptured Origin = "captured" // found in the Platform's parameters
	OriginMade     Origin = "made"     // made by this tool
	OriginGiven    Origin = "given"    // passed by the operator (new_secret)
)

// EscrowedKey is a key in escrow, at <custody_prefix>/escrow/<fingerprint>. It is created once and never changed.
type EscrowedKey struct {
	Version    int64         `json:"-"` // the parameter's version as observed
	Held       bool          `json:"-"` // the key itself was read, not only its backup references
	Key        secret.Secret `json:"-"` // written by storedKey
	BackupRefs []BackupRef   `json:"-"` // stored as separate documents

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

// storedKey is an EscrowedKey as SSM stores it: the only type that writes a key in clear text.
type storedKey struct {
	EscrowedKey
	Key string `json:"key"`
}

// BackupRef ties backups to a key that was captured earlier.
type BackupRef struct {
	Fingerprint secret.Fingerprint `json:"fingerprint"`
	RotationID  string             `json:"rotation_id"`
	Backups     []string           `json:"backups"`
	At          time.Time          `json:"at"`
	By          Holder             `json:"by"`
}

// Unlinked returns the backups that no document ties to the key yet, in the given order.
func (d EscrowedKey) Unlinked(backups []string) []string {
	known := d.AllBackups()
	return slices.DeleteFunc(slices.Clone(backups), func(backup string) bool { return slices.Contains(known, backup) })
}

// AllBackups returns the backups that are tied to the key. It is never nil.
func (d EscrowedKey) AllBackups() []string {
	all := append([]string{}, d.Backups...)
	for _, ref := range d.BackupRefs {
		all = append(all, ref.Backups...)
	}
	return all
}

// EscrowName returns <prefix>/escrow/<fingerprint>.
func EscrowName(prefix string, fingerprint secret.Fingerprint) string {
	return prefix + "/escrow/" + string(fingerprint)
}

// BackupRefName returns <prefix>/escrow/<fingerprint>/backups/<rotation_id>.
func BackupRefName(prefix string, fingerprint secret.Fingerprint, rotationID string) string {
	return EscrowName(prefix, fingerprint) + "/backups/" + rotationID
}
