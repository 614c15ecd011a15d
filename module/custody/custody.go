// Package custody has the formats and rules of what must be readable in ten years: escrowed keys, the backups that
// they open, the ledger of rotations, and the lock. It is pure; module/parameters moves its bytes to and from SSM.
//
// Under custody_prefix (default /seqera-crypto-rotation/<app_name>), each a SecureString holding one JSON object:
//
//	escrow/<fingerprint>                        one key, created once, never overwritten
//	escrow/<fingerprint>/backups/<rotation_id>  backups tied to a key after it was captured
//	ledger/<rotation_id>                        one rotation: open, prepared, proved, finished
//	lock/<n>                                    the highest n is the lock; lower ones are leftovers
package custody

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// Lease is how long a lock holds without being renewed.
const Lease = 5 * time.Minute

// Format is the version that every document names; a reader refuses a higher one.
const Format = 1

// ErrDamaged is wrapped by every error about a document that cannot be understood.
var ErrDamaged = errors.New("not a document of this tool")

// Holder is who does something, where. It is written into lock, ledger and escrow.
type Holder struct {
	ARN     string `json:"arn,omitempty"` // sts:GetCallerIdentity; empty when that could not be asked
	Host    string `json:"host"`
	Machine string `json:"machine"` // a hash of machine id and boot id: the same only on one machine, in one boot
	PID     int    `json:"pid"`
	Started int64  `json:"started,omitempty"` // the process's start in clock ticks since boot (proc(5), stat field 22)
	Local   bool   `json:"-"`                 // filled by the observer: is this the machine we run on?
	Alive   bool   `json:"-"`                 // filled by the observer for local holders: does that process still run?
}

// Who names the holder for a sentence.
func (h Holder) Who() string {
	if h.ARN == "" {
		return fmt.Sprintf("process %d on %s", h.PID, h.Host)
	}
	return fmt.Sprintf("%s (process %d on %s)", h.ARN, h.PID, h.Host)
}

// Attributes are what writing onto a parameter leaves as it is. They are empty until DescribeParameters was asked.
type Attributes struct {
	KeyID    string // KMS key; empty lets SSM choose (alias/aws/ssm)
	Tier     string // Standard, Advanced, Intelligent-Tiering; empty lets SSM choose
	Policies string // JSON, as it is to be sent back; usually empty
	Pattern  string // AllowedPattern
	DataType string
}

// Inventory is everything under custody_prefix, as listed.
type Inventory struct {
	Locks    []Lock
	Ledger   []Entry
	Escrow   []EscrowedKey
	Locked   bool // the lock that a ledger's entry names was read
	Asked    bool // the escrow of the keys in use was read by name
	Complete bool // everything was listed
}

// Add reads one parameter under prefix into the inventory. Names that are none of ours are left alone.
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

// Replace makes the inventory what it is once the parameter is written, or is gone. Keys in escrow are added, never replaced.
func (s *Inventory) Replace(prefix, name string, exists bool, value secret.Secret, version int64) error {
	s.Locks = slices.DeleteFunc(s.Locks, func(l Lock) bool { return LockName(prefix, l.Number) == name })
	s.Ledger = slices.DeleteFunc(s.Ledger, func(e Entry) bool { return LedgerName(prefix, e.RotationID) == name })
	if !exists {
		return nil
	}
	return s.Add(prefix, name, value, version, time.Time{})
}

// Rewritable gives the attributes, to be filled in, of the documents that may be written again.
func (s *Inventory) Rewritable(prefix string) map[string]*Attributes {
	found := map[string]*Attributes{}
	for i, lock := range s.Locks {
		if lock.ReleasedAt.IsZero() {
			found[LockName(prefix, lock.Number)] = &s.Locks[i].Attributes
		}
	}
	for i, entry := range s.Ledger {
		if !entry.Stage.Over() {
			found[LedgerName(prefix, entry.RotationID)] = &s.Ledger[i].Attributes
		}
	}
	return found
}

func (s *Inventory) addEscrow(name, rest string, value secret.Secret, version int64) error {
	fingerprint, _, isTie := strings.Cut(rest, "/")
	if isTie {
		tie := BackupRef{}
		if err := decode(name, value, &tie); err != nil {
			return err
		}
		kept := s.place(secret.Fingerprint(fingerprint))
		kept.BackupRefs = append(kept.BackupRefs, tie)
		return nil
	}
	var document storedKey
	if err := decode(name, value, &document); err != nil {
		return err
	}
	if document.Fingerprint != secret.Fingerprint(fingerprint) {
		return fmt.Errorf("%s: %w: it names another key", name, ErrDamaged)
	}
	kept := s.place(document.Fingerprint)
	document.BackupRefs = kept.BackupRefs
	*kept = document.EscrowedKey
	kept.Key, kept.Version, kept.Held = secret.New(document.Key), version, true
	return nil
}

// place finds or makes the place of a key: a reference to a backup may be listed before its key.
func (s *Inventory) place(fingerprint secret.Fingerprint) *EscrowedKey {
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

// Find gives the escrowed key with this fingerprint.
func (s *Inventory) Find(fingerprint secret.Fingerprint) (EscrowedKey, bool) {
	return first(s.Escrow, func(k EscrowedKey) bool { return k.Held && k.Fingerprint == fingerprint })
}

// Made gives the key that was put into escrow as the new one of a rotation.
func (s *Inventory) Made(rotationID string) (EscrowedKey, bool) {
	return first(s.Escrow, func(k EscrowedKey) bool { return k.Held && k.RotationID == rotationID && k.Origin != OriginCaptured })
}

// Unopened gives the key that a run made and put into escrow before it was cut off: its rotation has no entry in the ledger yet.
func (s *Inventory) Unopened() (EscrowedKey, bool) {
	return first(s.Escrow, func(k EscrowedKey) bool {
		_, opened := s.Entry(k.RotationID)
		return k.Held && k.Origin == OriginMade && !opened
	})
}

// Entry gives the ledger's entry of a rotation.
func (s *Inventory) Entry(rotationID string) (Entry, bool) {
	return first(s.Ledger, func(e Entry) bool { return e.RotationID == rotationID })
}

// Lock gives the lock with this number.
func (s *Inventory) Lock(number int) (Lock, bool) {
	return first(s.Locks, func(l Lock) bool { return l.Number == number })
}

// Open gives the entry of a rotation that is not over; there is at most one.
func (s *Inventory) Open() (Entry, bool) {
	return first(s.Ledger, func(e Entry) bool { return !e.Stage.Over() })
}

// Leads says whether rotations of the ledger that were not aborted lead from one key to another.
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

// LastRecords gives the number of records that the last finished rotation proved; nil where the ledger does not say.
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
		return nil // proved in another way, or the proof was too large for the ledger
	}
	return &proof.Total
}

// Encode writes a document as SSM stores it; it may hold a key, hence the type. It panics on anything else.
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
		panic("custody: a document could not be encoded") // strings, integers and times of this century always are
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
