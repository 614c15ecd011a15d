// Package info is seqera_crypto_rotation_info: it asks both sides, SSM as the control node sees it and the VM, and writes nothing.
package info

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/seqera-tools/crypto-rotation/module/ansible"
	"github.com/seqera-tools/crypto-rotation/module/control"
	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/options"
	"github.com/seqera-tools/crypto-rotation/module/parameters"
	"github.com/seqera-tools/crypto-rotation/module/platform"
	"github.com/seqera-tools/crypto-rotation/module/proof"
	"github.com/seqera-tools/crypto-rotation/module/records"
	"github.com/seqera-tools/crypto-rotation/module/rotation"
	"github.com/seqera-tools/crypto-rotation/module/secret"
	"github.com/seqera-tools/crypto-rotation/module/vm"
)

// Result is what seqera_crypto_rotation_info returns.
type Result struct {
	Changed         bool                `json:"changed"`
	Msg             string              `json:"msg"`
	Phase           rotation.Phase      `json:"phase"`
	KeyAgeDays      *int                `json:"key_age_days"`
	Due             *bool               `json:"due"`
	Fingerprints    secret.Fingerprints `json:"fingerprints"`
	Platform        *proof.Platform     `json:"platform,omitempty"`
	Compose         *platform.Compose   `json:"compose,omitempty"`
	Records         *proof.Records      `json:"records,omitempty"`
	Baseline        *records.Baseline   `json:"baseline,omitempty"`
	Untouched       *proof.Proof        `json:"untouched,omitempty"`
	Explained       *proof.Proof        `json:"explained,omitempty"`
	Escrow          []escrowed          `json:"escrow,omitempty"`
	Ledger          []custody.Entry     `json:"ledger,omitempty"`
	Progress        *proof.Progress     `json:"progress,omitempty"`
	Evidence        []proof.Evidence    `json:"evidence"`
	Warnings        []string            `json:"warnings,omitempty"`
	APICalls        parameters.Calls    `json:"api_calls"`
	DurationSeconds float64             `json:"duration_seconds"`
}

type look struct {
	*control.Session
	vm    *vm.VM
	asked options.Info
	out   Result
}

// Run looks, and never writes but for the file of a baseline.
func Run(ctx context.Context, request ansible.Request, env options.Env, tool string) (any, error) {
	began := time.Now()
	asked, err := options.ParseInfo(request.Params, env)
	if err != nil {
		return nil, err
	}
	before, err := control.ParsePlatform(asked.Platform)
	if err != nil {
		return nil, err
	}
	store, err := parameters.Open(ctx, parameters.Config(asked.AWS))
	if err != nil {
		return nil, err
	}
	prints := secret.NewFingerprinter(asked.AppName, secret.Rounds)
	session, err := control.New(options.Rotation{Installation: asked.Installation, Due: asked.Due, Places: asked.Places}, store, prints)
	if err != nil {
		return nil, err
	}
	about := vm.About{
		App: asked.AppName, ConfigPrefix: asked.ConfigPrefix, Names: session.Desired.Names.Names, Reader: store, Fingerprinter: prints, Now: session.Now,
		Options: asked.VM, Compose: asked.Compose, Carry: true,
	}
	if before != nil {
		about.Before = *before
	}
	l := &look{Session: session, vm: vm.New(about), asked: asked, out: Result{Evidence: []proof.Evidence{}}}
	defer l.vm.Close()
	err = l.look(ctx, request.CheckMode, tool)
	l.out.APICalls, l.out.DurationSeconds = store.Calls(), ansible.Seconds(time.Since(began))
	return l.out, err
}

func (l *look) wants(what string) bool { return slices.Contains(l.asked.Gather, what) }

func (l *look) look(ctx context.Context, checkMode bool, tool string) error {
	if err := l.Observe(ctx); err != nil {
		return err
	}
	if err := l.custody(ctx); err != nil {
		return err
	}
	if l.Desired.Names.Omnibus != "" && !l.Observed.Custody.Complete {
		// Only the operator may read escrow, and only there is the age of a key that we brought.
		if err := l.ReadEscrow(ctx); err != nil {
			return err
		}
	}
	l.vm.Observed.Parameters = l.Observed.SSM.Standalone()
	if l.vm.Keys.Current.IsEmpty() {
		l.vm.Keys = l.keys()
	}
	if err := l.vm.Look(ctx, l.asked.Gather); err != nil {
		return err
	}
	l.Observed.Platform, l.Observed.Records = l.vm.Observed.Platform, l.vm.Observed.Records
	plan, err := l.Plan(ctx)
	if err != nil {
		return err
	}
	l.tell(plan)
	if l.wants("preflight") {
		found, err := l.vm.Preflight(ctx, !quiet(plan.Phase), l.wants("handover"))
		l.out.Compose, l.out.Warnings, l.out.Evidence = found.Compose, append(l.out.Warnings, found.Warnings...), append(l.out.Evidence, found.Evidence...)
		if err != nil {
			return err
		}
	}
	if l.out.Records == nil {
		l.out.Records = l.vm.Counted
	}
	if l.vm.Scanner == nil || l.asked.KeyFromEscrow != "" {
		return nil
	}
	asked := proof.Asked{App: l.asked.AppName, RotationID: l.asked.RotationID, Tool: tool}
	var why string
	if l.out.Untouched, why = proof.ProveUntouched(l.vm.Observed, asked, l.Fingerprinter); why != "" {
		l.out.Evidence = append(l.out.Evidence, proof.Evidence{Check: "untouched", Detail: "the rotation cannot be aborted: " + why})
	}
	if l.out.Explained, why = proof.ProveExplained(l.vm.Observed, l.vm.Keys.Previous, asked, l.Fingerprinter); why != "" {
		l.out.Evidence = append(l.out.Evidence, proof.Evidence{Check: "explained", Detail: "a rotation begun by hand cannot be taken over: " + why})
	}
	return l.keep(plan, checkMode)
}

// keys are the two that a record may be under. Omnibus and standalone key, where they differ: the scan tells which it is.
func (l *look) keys() records.Keys {
	keys := records.Keys{Current: l.Observed.SSM.Current.Value, Previous: l.Observed.SSM.Previous.Value}
	if keys.Previous.IsEmpty() {
		keys.Previous = l.Observed.SSM.LegacyPrevious.Value
	}
	if keys.Previous.IsEmpty() {
		keys.Previous = rotation.OtherKey(l.Observed, l.Desired, l.Fingerprinter)
	}
	return keys
}

// quiet says whether no rotation is under way, as far as the parameters say.
func quiet(phase rotation.Phase) bool {
	return slices.Contains([]rotation.Phase{rotation.PhaseIdle, rotation.PhaseDue, rotation.PhaseFinalized}, phase)
}

// keep takes the baseline. It writes a file where no rotation runs, and for a run that names its rotation, such as the one that
// turns it back. A mere look at a rotation that runs writes none: it could replace a file that the ledger names.
func (l *look) keep(plan rotation.Plan, checkMode bool) (err error) {
	dir, out := l.asked.BaselineDir, &l.out
	if dir == "" || checkMode || !quiet(plan.Phase) && l.asked.RotationID == "" {
		out.Baseline, err = l.vm.Scanner.Baseline(l.asked.AppName, l.Fingerprinter, l.Observed.Now, io.Discard)
		return err
	}
	// One file a key: what is seen under the next key does not replace what was seen before a rotation.
	path := filepath.Join(dir, fmt.Sprintf("%s-%s.baseline.gz", l.asked.AppName, plan.Current))
	var unkept error
	out.Baseline, unkept, err = l.vm.Scanner.WriteBaseline(l.asked.AppName, l.Fingerprinter, l.Observed.Now, path)
	if unkept != nil {
		text := fmt.Sprintf("The baseline could not be kept in %s (%v).", path, unkept)
		if out.Baseline != nil && out.Baseline.Total > records.Inline {
			text += " It has too many records to be returned in the result: set baseline_dir to a directory that may be written, or no record that nobody can open can be proved rewritten."
		}
		out.Warnings = append(out.Warnings, text)
	}
	return err
}

func (l *look) tell(plan rotation.Plan) {
	out := &l.out
	out.Msg, out.Phase, out.Warnings, out.Progress = plan.Msg, plan.Phase, plan.Warnings, plan.Progress
	out.Fingerprints = secret.Fingerprints{Current: plan.Current, Previous: plan.Previous}
	if lost := l.vm.Observed.BaselineLost; lost != "" {
		out.Warnings = append(out.Warnings, lost)
	}
	out.Warnings = append(out.Warnings, l.vm.Drift...)
	if out.Records = l.vm.Observed.Records; l.wants("platform") {
		out.Platform = l.vm.Observed.Platform // else looked at for the database's address alone
	}
	if out.KeyAgeDays = l.KeyAge(plan); out.KeyAgeDays != nil && l.Desired.MaxAgeDays != nil {
		due := *out.KeyAgeDays >= *l.Desired.MaxAgeDays
		out.Due = &due
	}
}

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
