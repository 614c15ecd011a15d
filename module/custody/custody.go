// Package custody defines the documents that must still be readable in ten years: escrowed keys, the backups that they open, the
// ledger of rotations, and the lock. It is pure: package parameters reads and writes the documents in SSM.
//
// Each document is a SecureString that contains one JSON object, under custody_prefix (default /seqera-crypto-rotation/<app_name>):
//
//	escrow/<fingerprint>                        one key, created once, never overwritten
//	escrow/<fingerprint>/backups/<rotation_id>  backups tied to a key after it was captured
//	ledger/<rotation_id>                        one rotation: open, prepared, proved, finished
//	lock/<n>                                    the highest n is the lock; lower numbers are leftovers
package custody

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// Lease is how long a lock is valid without being renewed.
const Lease = 5 * time.Minute

// Format is the format version in every document. A reader refuses a document with a higher version.
const Format = 1

// ErrDamaged is wrapped by every error about a document that cannot be understood.
var ErrDamaged = errors.New("not a document of this tool")

// Holder identifies a process and its AWS identity. It is stored in locks, ledger entries and escrow documents.
type Holder struct {
	ARN     string `json:"arn,omitempty"` // from sts:GetCallerIdentity; empty if that call failed
	Host    string `json:"host"`
	Machine string `json:"machine"` // a hash of machine ID, boot ID and PID namespace
	PID     int    `json:"pid"`
	Started int64  `json:"started,omitempty"` // the process's start in clock ticks since boot (proc(5), stat field 22)
	Local   bool   `json:"-"`                 // set by the observer: the process is on this machine
	Alive   bool   `json:"-"`                 // set by the observer for local holders: the process may still be running
}

// Who describes the holder, for a message.
func (h Holder) Who() string {
	if h.ARN == "" {
		return fmt.Sprintf("process %d on %s", h.PID, h.Host)
	}
	return fmt.Sprintf("%s (process %d on %s)", h.ARN, h.PID, h.Host)
}

// Attributes are the attributes that an overwrite of a parameter must keep. They are empty until DescribeParameters was called.
type Attributes struct {
	KeyID    string // KMS key; empty lets SSM choose (alias/aws/ssm)
	Tier     string // Standard, Advanced, Intelligent-Tiering; empty lets SSM choose
	Policies string // JSON, as PutParameter takes it; usually empty
	Pattern  string // AllowedPattern
	DataType string
}

// Inventory is what was read of the documents under custody_prefix.
type Inventory struct {
	Locks    []Lock
	Ledger   []Entry
	Escrow   []EscrowedKey
	Asked    bool // the escrow of the keys in use was read by name
	Complete bool // everything was listed
}

// Add parses one parameter under prefix and adds it to the inventory. It ignores names that do not belong to this tool. Its errors
// wrap ErrDamaged.
func (s *Inventory) Add(prefix, name string, value secret.Secret, version int64, modified time.Time) error {
	rest, ok := strings.CutPrefix(name, prefix+"/")
	if !ok {
		return nil
	}
	kind, rest, _ := strings.Cut(rest, "/")
	switch kind {
	case "lock":
		number, ok := lockNumber(rest)
		if !ok {
			return nil
		}
		lock := Lock{Number: number, Version: version, Modified: modified}
		if err := decode(name, value, &lock); err != nil {
			return err
		}
		s.Locks = append(s.Locks, lock)
	case "ledger":
		entry := Entry{Version: version}
		if err := decode(name, value, &entry); err != nil {
			return err
		}
		if entry.RotationID != rest {
			return fmt.Errorf("%s: %w: it names another rotation", name, ErrDamaged)
		}
		s.Ledger = append(s.Ledger, entry)
	case "escrow":
		return s.addEscrow(name, rest, value, version)
	}
	return nil
}

// Replace updates the inventory as if the parameter was written or, unless exists, deleted. It adds escrowed keys but never
// replaces them.
func (s *Inventory) Replace(prefix, name string, exists bool, value secret.Secret, version int64) error {
	s.Locks = slices.DeleteFunc(s.Locks, func(l Lock) bool { return LockName(prefix, l.Number) == name })
	s.Ledger = slices.DeleteFunc(s.Ledger, func(e Entry) bool { return LedgerName(prefix, e.RotationID) == name })
	if !exists {
		return nil
	}
	return s.Add(prefix, name, value, version, time.Time{})
}

// Rewritable returns, by parameter name, pointers to the attributes of the documents that may be written again.
func (s *Inventory) Rewritable(prefix string) map[string]*Attributes {
	found := map[string]*Attributes{}
	for i, entry := range s.Ledger {
		if !entry.Stage.Over() {
			found[LedgerName(prefix, entry.RotationID)] = &s.Ledger[i].Attributes
		}
	}
	return found
}

func (s *Inventory) addEscrow(name, rest string, value secret.Secret, version int64) error {
	fingerprint, _, isBackupRef := strings.Cut(rest, "/")
	if isBackupRef {
		ref := BackupRef{}
		if err := decode(name, value, &ref); err != nil {
			return err
		}
		kept := s.upsert(secret.Fingerprint(fingerprint))
		kept.BackupRefs = append(kept.BackupRefs, ref)
		return nil
	}
	var document storedKey
	if err := decode(name, value, &document); err != nil {
		return err
	}
	if document.Fingerprint != secret.Fingerprint(fingerprint) {
		return fmt.Errorf("%s: %w: it names another key", name, ErrDamaged)
	}
	kept := s.upsert(document.Fingerprint)
	document.BackupRefs = kept.BackupRefs
	*kept = document.EscrowedKey
	kept.Key, kept.Version, kept.Held = secret.New(document.Key), version, true
	return nil
}

// upsert returns the entry of a key, adding it if it is new: a backup reference may be listed before its key.
func (s *Inventory) upsert(fingerprint secret.Fingerprint) *EscrowedKey {
	for i := range s.Escrow {
		if s.Escrow[i].Fingerprint == fingerprint {
			return &s.Escrow[i]
		}
	}
	s.Escrow = append(s.Escrow, EscrowedKey{Fingerprint: fingerprint})
	return &s.Escrow[len(s.Escrow)-1]
}

func first[T any](list []T, is func(T) bool) (found T, ok bool) {
	if at := slices.IndexFunc(list, is); at >= 0 {
		return list[at], true
	}
	return found, false
}

// Find returns the escrowed key with this fingerprint.
func (s *Inventory) Find(fingerprint secret.Fingerprint) (EscrowedKey, bool) {
	return first(s.Escrow, func(k EscrowedKey) bool { return k.Held && k.Fingerprint == fingerprint })
}

// Made returns the key that was put into escrow as the new key of a rotation.
func (s *Inventory) Made(rotationID string) (EscrowedKey, bool) {
	return first(s.Escrow, func(k EscrowedKey) bool { return k.Held && k.RotationID == rotationID && k.Origin != OriginCaptured })
}

// resumable is how long a later run uses the key that an interrupted run made. The age of a key counts from its escrow, so an older one
// would soon be due again.
const resumable = 24 * time.Hour

// Unopened returns a key that an interrupted run made and put into escrow within the last day, and whose rotation has no ledger entry
// yet.
func (s *Inventory) Unopened(now time.Time) (EscrowedKey, bool) {
	return first(s.Escrow, func(k EscrowedKey) bool {
		_, opened := s.Entry(k.RotationID)
		return k.Held && k.Origin == OriginMade && !opened && now.Sub(k.CapturedAt) < resumable
	})
}

// Entry returns the ledger entry of a rotation.
func (s *Inventory) Entry(rotationID string) (Entry, bool) {
	return first(s.Ledger, func(e Entry) bool { return e.RotationID == rotationID })
}

// Open returns the ledger entry of the rotation that is not over; there is at most one.
func (s *Inventory) Open() (Entry, bool) {
	return first(s.Ledger, func(e Entry) bool { return !e.Stage.Over() })
}

// SameRotations reports whether two inventories have the same versions of the same ledger entries, escrowed keys and references to
// backups.
func (s *Inventory) SameRotations(other Inventory) bool {
	return maps.Equal(s.versions(), other.versions())
}

func (s *Inventory) versions() map[string]int64 {
	seen := map[string]int64{}
	for _, entry := range s.Ledger {
		seen["ledger/"+entry.RotationID] = entry.Version
	}
	for _, key := range s.Escrow {
		name := "escrow/" + string(key.Fingerprint)
		seen[name], seen[name+"/backups"] = key.Version, int64(len(key.BackupRefs))
	}
	return seen
}

// Leads reports whether the rotations in the ledger, without the aborted ones, lead from one key to another.
func (s *Inventory) Leads(from, to secret.Fingerprint) bool {
	reached := []secret.Fingerprint{from}
	for i := 0; i < len(reached); i++ {
		for _, entry := range s.Ledger {
			if entry.Previous == reached[i] && entry.Stage != StageAborted && !slices.Contains(reached, entry.Current) {
				reached = append(reached, entry.Current)
			}
		}
	}
	return slices.Contains(reached, to)
}

// Last returns the rotation that was over last, of those that left this key in use.
func (s *Inventory) Last(left secret.Fingerprint) (last Entry, ok bool) {
	for _, entry := range s.Ledger {
		if entry.Stage.Over() && entry.Left() == left && (!ok || entry.over().After(last.over())) {
			last, ok = entry, true
		}
	}
	return last, ok
}

// LastRecords returns the number of records that the last finished rotation proved, or nil if the ledger does not say.
func (s *Inventory) LastRecords() *int {
	var last Entry
	for _, entry := range s.Ledger {
		if entry.Stage == StageFinished && entry.FinishedAt.After(last.FinishedAt) {
			last = entry
		}
	}
	var proof struct {
		Database string `json:"database"`
		Total    int    `json:"total"`
	}
	if json.Unmarshal(last.Proof, &proof) != nil || proof.Database == "" {
		return nil // proved without the database, or the proof was too large for the ledger
	}
	return &proof.Total
}

// Encode returns a document as SSM stores it. It returns a Secret because the document may contain a key. It panics if the document
// cannot be encoded as JSON.
func Encode(document any) secret.Secret {
	if kept, ok := document.(EscrowedKey); ok {
		document = storedKey{kept, kept.Key.Reveal()}
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(struct {
		Format int `json:"format"`
		Body   any `json:"body"`
	}{Format, document}); err != nil {
		panic("custody: a document could not be encoded") // unreachable: strings, integers and times of this century always encode
	}
	return secret.New(strings.TrimSuffix(out.String(), "\n"))
}

func decode(name string, value secret.Secret, into any) error {
	var outer struct {
		Format int             `json:"format"`
		Body   json.RawMessage `json:"body"`
	}
	if json.Unmarshal([]byte(value.Reveal()), &outer) != nil || outer.Format == 0 {
		return fmt.Errorf("%s: %w", name, ErrDamaged)
	}
	if outer.Format > Format {
		return fmt.Errorf("%s: %w: format %d is from a later version", name, ErrDamaged, outer.Format)
	}
	if json.Unmarshal(outer.Body, into) != nil {
		return fmt.Errorf("%s: %w", name, ErrDamaged)
	}
	return nil
}
