// Package info is the module seqera_crypto_rotation_info. It reads SSM as the control node does, and containers and records as the
// VM does. It changes nothing.
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

type gatherer struct {
	*control.Session
	vm    *vm.VM
	asked options.Info
	out   Result
}

// Run gathers what the options ask for. The only thing that it may write is the file of a baseline. rounds is for fingerprints.
func Run(ctx context.Context, request ansible.Request, env options.Env, tool string, rounds int) (any, error) {
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
	prints := secret.NewFingerprinter(asked.AppName, rounds)
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
	l := &gatherer{Session: session, vm: vm.New(about), asked: asked, out: Result{Evidence: []proof.Evidence{}}}
	defer l.vm.Close()
	err = l.gather(ctx, request.CheckMode, tool)
	l.out.APICalls, l.out.DurationSeconds = store.Calls(), ansible.Seconds(time.Since(began))
	return l.out, err
}

func (l *gatherer) wants(what string) bool { return slices.Contains(l.asked.Gather, what) }

func (l *gatherer) gather(ctx context.Context, checkMode bool, tool string) error {
	if err := l.Observe(ctx); err != nil {
		return err
	}
	if err := l.custody(ctx); err != nil {
		return err
	}
	if l.Desired.Names.Omnibus != "" && !l.Observed.Custody.Complete {
		// Escrow has the age of a key that this tool made. Only the operator may read it.
		if err := l.ReadEscrow(ctx); err != nil {
			return err
		}
	}
	l.vm.Observed.Parameters = l.Observed.SSM.Standalone()
	if l.vm.Keys.Current.IsEmpty() {
		l.vm.Keys = l.keys()
	}
	if err := l.lookAtVM(ctx); err != nil {
		return err
	}
	l.Observed.Platform, l.Observed.Records = l.vm.Observed.Platform, l.vm.Observed.Records
	plan, err := l.Plan(ctx)
	if err != nil {
		return err
	}
	l.report(plan)
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
		l.out.Evidence = append(l.out.Evidence, proof.Evidence{Check: "explained", Detail: "a rotation started by hand cannot be taken over: " + why})
	}
	return l.takeBaseline(plan, checkMode)
}

// lookAtVM looks at the VM. If that fails, for example because the Platform is down, the result has the parameters all the same: they
// say which keys a start would use.
func (l *gatherer) lookAtVM(ctx context.Context) error {
	err := l.vm.Look(ctx, l.asked.Gather)
	if err != nil && l.wants("parameters") {
		if plan, unread := l.Plan(ctx); unread == nil {
			l.report(plan)
		}
	}
	return err
}

// keys returns the two keys that a record may be under. If omnibus and standalone parameter differ outside a rotation, these are
// their keys, and the scan shows which of them opens the records.
func (l *gatherer) keys() records.Keys {
	keys := records.Keys{Current: l.Observed.SSM.Current.Value, Previous: l.Observed.SSM.Previous.Value}
	if keys.Previous.IsEmpty() {
		keys.Previous = l.Observed.SSM.LegacyPrevious.Value
	}
	if keys.Previous.IsEmpty() {
		keys.Previous = rotation.OtherKey(l.Observed, l.Desired, l.Fingerprinter)
	}
	return keys
}

// quiet reports whether no rotation is running in this phase.
func quiet(phase rotation.Phase) bool {
	return slices.Contains([]rotation.Phase{rotation.PhaseIdle, rotation.PhaseDue, rotation.PhaseFinalized}, phase)
}

// takeBaseline takes the baseline. While a rotation runs, it writes the file only for a run that names a rotation, such as one that
// reverses it: another run could replace a file that the ledger names.
func (l *gatherer) takeBaseline(plan rotation.Plan, checkMode bool) (err error) {
	dir, out, containers := l.asked.BaselineDir, &l.out, l.vm.Observed.Platform
	taking := records.Taking{App: l.asked.AppName, At: l.Observed.Now, Provisional: quiet(plan.Phase) && containers != nil && containers.Writer() != ""}
	if dir == "" || checkMode || !quiet(plan.Phase) && l.asked.RotationID == "" {
		out.Baseline, err = l.vm.Scanner.Baseline(taking, l.Fingerprinter, io.Discard)
		return err
	}
	// One file per key, so that a baseline under the next key does not replace the one from before the rotation.
	path := filepath.Join(dir, fmt.Sprintf("%s-%s.baseline.gz", l.asked.AppName, plan.Current))
	if path == l.asked.VM.Baseline["path"] { // the ledger names this one
		path = filepath.Join(dir, fmt.Sprintf("%s-%s-later.baseline.gz", l.asked.AppName, plan.Current))
	}
	var unkept error
	out.Baseline, unkept, err = l.vm.Scanner.WriteBaseline(taking, l.Fingerprinter, path)
	if unkept != nil {
		text := fmt.Sprintf("The baseline could not be written to %s (%v).", path, unkept)
		if out.Baseline != nil && out.Baseline.Total > records.Inline {
			text += " It has too many records to be returned in the result. Set baseline_dir to a writable directory; without a baseline, records that nobody can open cannot be proved rewritten."
		}
		out.Warnings = append(out.Warnings, text)
	}
	return err
}

func (l *gatherer) report(plan rotation.Plan) {
	out := &l.out
	out.Msg, out.Phase, out.Warnings, out.Progress = plan.Msg, plan.Phase, plan.Warnings, plan.Progress
	out.Fingerprints = secret.Fingerprints{Current: plan.Current, Previous: plan.Previous}
	if lost := l.vm.Observed.BaselineLost; lost != "" {
		out.Warnings = append(out.Warnings, lost)
	}
	out.Warnings = append(out.Warnings, l.vm.Drift...)
	if out.Records = l.vm.Observed.Records; l.wants("platform") {
		out.Platform = l.vm.Observed.Platform // otherwise it was only needed to find the database
	}
	if out.KeyAgeDays = l.KeyAge(plan); out.KeyAgeDays != nil && l.Desired.MaxAgeDays != nil {
		due := *out.KeyAgeDays >= *l.Desired.MaxAgeDays
		out.Due = &due
	}
}

// escrowed is a key in escrow as a result shows it, without the key.
type escrowed struct {
	Fingerprint   secret.Fingerprint `json:"fingerprint"`
	Parameter     string             `json:"parameter"`
	Held          bool               `json:"held"` // false: backups are tied to a key that is missing
	InUse         bool               `json:"in_use"`
	Origin        custody.Origin     `json:"origin,omitempty"`
	Source        string             `json:"source,omitempty"` // the parameter from which it was captured
	SourceVersion int64              `json:"source_version,omitempty"`
	RotationID    string             `json:"rotation_id,omitempty"`
	CapturedAt    time.Time          `json:"captured_at,omitzero"`
	By            string             `json:"by,omitempty"`
	Backups       []string           `json:"backups"`
}

// custody reads escrow and ledger, which only the operator may read.
func (l *gatherer) custody(ctx context.Context) error {
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
		Check: "key_from_escrow", OK: true, Detail: fmt.Sprintf("records are opened with key %s from escrow, tied to %q", kept.Fingerprint, kept.AllBackups()),
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

func (l *gatherer) escrow() []escrowed {
	inUse := rotation.InUse(l.Observed, l.Desired, l.Fingerprinter)
	list := []escrowed{}
	for _, d := range l.Observed.Custody.Escrow {
		one := escrowed{
			Fingerprint: d.Fingerprint, Parameter: custody.EscrowName(l.Desired.Names.Custody, d.Fingerprint), Held: d.Held, InUse: slices.Contains(inUse, d.Fingerprint),
			Origin: d.Origin, Source: d.Source, SourceVersion: d.SourceAt, RotationID: d.RotationID, CapturedAt: d.CapturedAt, Backups: d.AllBackups(),
		}
		if d.Held {
			one.By = d.By.Who()
		}
		list = append(list, one)
	}
	slices.SortFunc(list, func(a, b escrowed) int { return a.CapturedAt.Compare(b.CapturedAt) })
	return list
}

// findKey finds a key by its fingerprint, or by a backup that is tied to it (backup:<identifier>). Its error is a fault.
func findKey(inventory custody.Inventory, which string) (custody.EscrowedKey, error) {
	var found []custody.EscrowedKey
	backup, byBackup := strings.CutPrefix(which, "backup:")
	for _, d := range inventory.Escrow {
		if d.Held && (d.Fingerprint == secret.Fingerprint(which) || byBackup && slices.Contains(d.AllBackups(), backup)) {
			found = append(found, d)
		}
	}
	f := fault.New(fault.CodeEscrowMissing, "List the keys and their backups with gather: escrow.",
		"Escrow has no key %q.", which)
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		f.What = fmt.Sprintf("The backup %q is tied to %d keys.", backup, len(found))
		f.Next = "Name the key by its fingerprint; gather: escrow shows when each key was captured."
	case byBackup:
		f.What = fmt.Sprintf("No key in escrow is tied to the backup %q.", backup)
	}
	return custody.EscrowedKey{}, f
}
