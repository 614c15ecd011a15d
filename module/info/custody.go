package info

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/proof"
	"github.com/seqera-tools/crypto-rotation/module/records"
	"github.com/seqera-tools/crypto-rotation/module/rotation"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// escrowed is a key in escrow as a result shows it: everything but the key.
type escrowed struct {
	Fingerprint   secret.Fingerprint `json:"fingerprint"`
	Parameter     string             `json:"parameter"`
	Held          bool               `json:"held"` // false: backups are tied to a key that is not there
	InUse         bool               `json:"in_use"`
	Origin        custody.Origin     `json:"origin,omitempty"`
	Source        string             `json:"source,omitempty"` // the parameter that it was captured from
	SourceVersion int64              `json:"source_version,omitempty"`
	RotationID    string             `json:"rotation_id,omitempty"`
	CapturedAt    time.Time          `json:"captured_at,omitzero"`
	By            string             `json:"by,omitempty"`
	Backups       []string           `json:"backups"`
}

// custody looks at escrow and ledger, which only the operator may read.
func (l *look) custody(ctx context.Context) error {
	asked, out := l.asked, &l.out
	if !l.wants("escrow") && !l.wants("ledger") && asked.KeyFromEscrow == "" {
		return nil
	}
	if err := l.ReadInventory(ctx); err != nil {
		return err
	}
	inventory := l.Observed.Custody
	if l.wants("escrow") {
		out.Escrow = l.escrow()
	}
	if l.wants("ledger") {
		out.Ledger = ledger(inventory)
	}
	if asked.KeyFromEscrow == "" {
		return nil
	}
	kept, err := findKey(inventory, asked.KeyFromEscrow)
	if err != nil {
		return err
	}
	l.vm.Keys = records.Keys{Current: kept.Key}
	out.Evidence = append(out.Evidence, proof.Evidence{
		Check: "key_from_escrow", OK: true, Detail: fmt.Sprintf("records are opened with key %s of escrow, tied to %q", kept.Fingerprint, backups(kept)),
	})
	return nil
}

// ledger gives the entries as a result shows them, oldest first.
func ledger(inventory custody.Inventory) []custody.Entry {
	list := slices.Clone(inventory.Ledger)
	for i := range list {
		list[i].ChunkSize = list[i].ChunkSize.Shown()
	}
	slices.SortFunc(list, func(a, b custody.Entry) int { return a.OpenedAt.Compare(b.OpenedAt) })
	return list
}

func (l *look) escrow() []escrowed {
	inUse := rotation.InUse(l.Observed, l.Desired, l.Fingerprinter)
	list := []escrowed{}
	for _, d := range l.Observed.Custody.Escrow {
		one := escrowed{
			Fingerprint: d.Fingerprint, Parameter: custody.EscrowName(l.Desired.Names.Custody, d.Fingerprint), Held: d.Held, InUse: slices.Contains(inUse, d.Fingerprint),
			Origin: d.Origin, Source: d.Source, SourceVersion: d.SourceAt, RotationID: d.RotationID, CapturedAt: d.CapturedAt, Backups: backups(d),
		}
		if d.Held {
			one.By = d.By.Who()
		}
		list = append(list, one)
	}
	slices.SortFunc(list, func(a, b escrowed) int { return a.CapturedAt.Compare(b.CapturedAt) })
	return list
}

// backups gives all that are tied to a key, in the order in which they were.
func backups(d custody.EscrowedKey) []string {
	list := append([]string{}, d.Backups...) // never null
	for _, tie := range d.BackupRefs {
		list = append(list, tie.Backups...)
	}
	return list
}

// take finds a key by its fingerprint, or by a backup that is tied to it.
func findKey(inventory custody.Inventory, which string) (custody.EscrowedKey, error) {
	var found []custody.EscrowedKey
	backup, byBackup := strings.CutPrefix(which, "backup:")
	for _, d := range inventory.Escrow {
		if d.Held && (d.Fingerprint == secret.Fingerprint(which) || byBackup && slices.Contains(backups(d), backup)) {
			found = append(found, d)
		}
	}
	f := fault.New(fault.CodeEscrowMissing, "gather: escrow lists the keys and the backups that are tied to them.",
		"Escrow has no key %q.", which)
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		f.What = fmt.Sprintf("The backup %q is tied to %d keys.", backup, len(found))
		f.Next = "Name the key by its fingerprint; gather: escrow shows when each tie was made."
	case byBackup:
		f.What = fmt.Sprintf("No key in escrow is tied to the backup %q.", backup)
	}
	return custody.EscrowedKey{}, f
}
