package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/options"
	"github.com/seqera-tools/crypto-rotation/module/parameters"
	"github.com/seqera-tools/crypto-rotation/module/platform"
	"github.com/seqera-tools/crypto-rotation/module/preflight"
	"github.com/seqera-tools/crypto-rotation/module/records"
	"github.com/seqera-tools/crypto-rotation/module/rotation"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// info is what seqera_crypto_rotation_info returns.
type info struct {
	Changed         bool                `json:"changed"`
	Msg             string              `json:"msg"`
	Phase           rotation.Phase      `json:"phase"`
	KeyAgeDays      *int                `json:"key_age_days"`
	Due             *bool               `json:"due"`
	Fingerprints    fingerprints        `json:"fingerprints"`
	Platform        *rotation.Platform  `json:"platform,omitempty"`
	Compose         *platform.Compose   `json:"compose,omitempty"`
	Records         *rotation.Records   `json:"records,omitempty"`
	Baseline        *records.Baseline   `json:"baseline,omitempty"`
	Untouched       *rotation.Proof     `json:"untouched,omitempty"`
	Escrow          []escrowed          `json:"escrow,omitempty"`
	Ledger          []custody.Entry     `json:"ledger,omitempty"`
	Progress        *rotation.Progress  `json:"progress,omitempty"`
	Evidence        []rotation.Evidence `json:"evidence"`
	Warnings        []string            `json:"warnings,omitempty"`
	APICalls        calls               `json:"api_calls"`
	DurationSeconds float64             `json:"duration_seconds"`
}

// gather looks and never writes.
func gather(ctx context.Context, asked options.Info, checkMode bool) (any, error) {
	store, err := parameters.Open(ctx, access(asked.AWS))
	if err != nil {
		return nil, err
	}
	r, err := newRun(options.Rotation{
		Installation: asked.Installation, Due: asked.Due, Places: asked.Places, AWS: asked.AWS, VM: asked.VM,
	}, store, secret.NewFingerprinter(asked.AppName, secret.Rounds))
	if err != nil {
		return nil, err
	}
	out := info{Evidence: []rotation.Evidence{}}
	view := &vm{run: r, asked: asked.VM, dir: asked.ComposeDir, carry: true}
	defer view.close()
	err = view.look(ctx, asked, &out, checkMode)
	out.APICalls.Reads, out.APICalls.Writes = r.store.Calls()
	out.DurationSeconds = seconds(r.now().Sub(r.began).Seconds())
	return out, err
}

func (v *vm) look(ctx context.Context, asked options.Info, out *info, checkMode bool) error {
	r := v.run
	if err := r.observe(ctx); err != nil {
		return err
	}
	if err := v.custody(ctx, asked, out); err != nil {
		return err
	}
	if r.wish.Names.Omnibus != "" && !r.world.Custody.Complete {
		// Only the operator may read escrow, and only there is the age of a key that we brought.
		if err := r.readEscrow(ctx); err != nil {
			return err
		}
	}
	if err := v.lookAtVM(ctx, asked); err != nil {
		return err
	}
	plan, err := r.plan(ctx)
	if err != nil {
		return err
	}
	v.tell(plan, out)
	out.Warnings = append(out.Warnings, v.drift...)
	if !slices.Contains(asked.Gather, "platform") {
		out.Platform = nil // looked at for the database's address alone
	}
	if slices.Contains(asked.Gather, "preflight") {
		if err := v.preflight(ctx, asked, !quiet(plan.Phase), out); err != nil {
			return err
		}
	}
	if out.Records == nil {
		out.Records = v.counted
	}
	if v.scanner == nil || !v.escrowed.IsEmpty() {
		return nil
	}
	var why string
	if out.Untouched, why = rotation.Untouched(r.world, r.wish, r.prints); why != "" {
		out.Evidence = append(out.Evidence, rotation.Evidence{Check: "untouched", Detail: "the rotation cannot be aborted: " + why})
	}
	return v.keep(plan, out, checkMode)
}

// quiet says whether no rotation is under way, as far as the parameters say.
func quiet(phase rotation.Phase) bool {
	return slices.Contains([]rotation.Phase{rotation.PhaseIdle, rotation.PhaseDue, rotation.PhaseFinalized}, phase)
}

// keep takes the baseline, into a file unless a rotation runs: then it would not be of before.
func (v *vm) keep(plan rotation.Plan, out *info, checkMode bool) (err error) {
	r := v.run
	if v.asked.BaselineDir == "" || checkMode || !quiet(plan.Phase) {
		out.Baseline, err = v.scanner.Baseline(r.asked.AppName, r.prints, r.world.Now, io.Discard)
		return err
	}
	// One file a key: what is seen under the next key does not replace what was seen before a rotation.
	path := filepath.Join(v.asked.BaselineDir, fmt.Sprintf("%s-%s.baseline.gz", r.asked.AppName, plan.Current))
	var unkept error
	out.Baseline, unkept, err = v.scanner.Keep(r.asked.AppName, r.prints, r.world.Now, path)
	if unkept != nil {
		text := fmt.Sprintf("The baseline could not be kept in %s (%v).", path, unkept)
		if out.Baseline != nil && out.Baseline.Total > records.Inline {
			text += " It has too many records to be handed on in the result: set baseline_dir to a directory that may be written, or no record that nobody can open can be proved rewritten."
		}
		out.Warnings = append(out.Warnings, text)
	}
	return err
}

func (v *vm) tell(plan rotation.Plan, out *info) {
	r := v.run
	out.Msg, out.Phase, out.Warnings, out.Progress = plan.Msg, plan.Phase, plan.Warnings, plan.Progress
	out.Fingerprints = fingerprints{plan.Current, plan.Previous}
	if r.world.BaselineLost != "" {
		out.Warnings = append(out.Warnings, r.world.BaselineLost)
	}
	out.Platform, out.Records = r.world.Platform, r.world.Records
	if out.KeyAgeDays = r.keyAge(plan); out.KeyAgeDays != nil && r.wish.MaxAgeDays != nil {
		due := *out.KeyAgeDays >= *r.wish.MaxAgeDays
		out.Due = &due
	}
}

// lookAtVM asks Docker only when it is wanted, or needed to find the database.
func (v *vm) lookAtVM(ctx context.Context, asked options.Info) error {
	scan, count := slices.Contains(asked.Gather, "records"), slices.Contains(asked.Gather, "count")
	var found platform.Found
	var err error
	switch {
	case slices.Contains(asked.Gather, "platform"):
		found, err = v.started(ctx, asked)
	case (scan || count) && asked.Database == nil:
		found, err = v.containers(ctx, false)
	}
	if err != nil {
		return err
	}
	if count {
		if err := v.count(ctx, found); err != nil {
			return err
		}
	}
	if !scan {
		return nil
	}
	if err := v.open(ctx, found); err != nil {
		return err
	}
	counted, err := v.scanner.Scan(ctx)
	if err != nil {
		return err
	}
	v.run.world.Records = &counted
	return nil
}

// count is the number of records alone: none is read.
func (v *vm) count(ctx context.Context, found platform.Found) error {
	if err := v.connectDatabase(ctx, found); err != nil {
		return err
	}
	total, err := v.database.Count(ctx)
	v.counted = &rotation.Records{Database: v.database.Identity(), Total: total, UnreadableIDs: []string{}, NotRewritten: []string{}, Notes: []string{}}
	return err
}

// started looks at the containers, until all is ready where that is waited for, and compares them with an earlier look.
func (v *vm) started(ctx context.Context, asked options.Info) (platform.Found, error) {
	deadline := v.run.now().Add(time.Duration(asked.ReadyTimeout) * time.Second)
	for {
		found, err := v.containers(ctx, true)
		if err != nil {
			return found, err
		}
		if err := v.moved(asked, found); err != nil || asked.ReadyTimeout == 0 {
			return found, err
		}
		late := v.late(ctx, asked, found)
		if late == "" {
			return found, nil
		}
		if !v.run.now().Before(deadline) {
			return found, &rotation.Fault{
				Code: rotation.CodePlatformNotReady, What: fmt.Sprintf("The Platform is not ready after %s (ready_timeout): %s.", time.Duration(asked.ReadyTimeout)*time.Second, late),
				State: "Nothing was changed by this look.", Next: "Read the backend's log (docker logs), fix the cause, then run the same command again.",
			}
		}
		select {
		case <-ctx.Done():
			return found, interrupted()
		case <-time.After(time.Second):
		}
	}
}

// late says what is not ready yet, or nothing.
func (v *vm) late(ctx context.Context, asked options.Info, found platform.Found) string {
	if r := found.Platform.Readiness; !r.Ready {
		return fmt.Sprintf("%s: %s", r.URL, r.Detail)
	}
	unhealthy, _ := v.askBackends(ctx, asked.BackendHealthURL, found.Containers())
	for _, name := range slices.Sorted(maps.Keys(unhealthy)) {
		return fmt.Sprintf("backend %s: %s", name, unhealthy[name])
	}
	return ""
}

// moved compares what runs with the option platform: before anything that cannot be taken back, the database must be the
// one that was there.
func (v *vm) moved(asked options.Info, found platform.Found) error {
	before, err := earlier(asked.Platform)
	if err != nil {
		return err
	}
	differences := preflight.Moved(preflight.Before{Project: before.Project, Mounts: before.Mounts}, found.Platform.Project, found.Platform.Mounts)
	if asked.AllowDrift {
		v.drift, differences = differences, nil
	}
	if len(differences) == 0 {
		return nil
	}
	return &rotation.Fault{
		Code: rotation.CodePlatformDiffers, What: "This is not the Platform that ran before. " + strings.Join(differences, " "), State: "Nothing was changed by this look.",
		Next: "Stop it (docker compose down), start it as it was started before (same user, directory and files), then run the same command again.",
	}
}
