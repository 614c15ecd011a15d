package vm

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/seqera-tools/crypto-rotation/module/ansible"
	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/options"
	"github.com/seqera-tools/crypto-rotation/module/parameters"
	"github.com/seqera-tools/crypto-rotation/module/platform"
	"github.com/seqera-tools/crypto-rotation/module/proof"
	"github.com/seqera-tools/crypto-rotation/module/records"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// readSSMEvery is how often SSM is read if no container changes. All Platforms in the account share SSM's quota.
const readSSMEvery = time.Minute

// Run proves that a rotation is complete. It observes and judges repeatedly, as long as waiting can help. rounds is for
// fingerprints.
func Run(ctx context.Context, request ansible.Request, env options.Env, tool string, rounds int) (any, error) {
	asked, err := options.ParseRotation(request.Params, env)
	if err != nil {
		return nil, err
	}
	store, err := parameters.Open(ctx, parameters.Config(asked.AWS))
	if err != nil {
		return nil, err
	}
	began := time.Now()
	w := &watch{
		VM: New(About{
			App: asked.AppName, ConfigPrefix: asked.ConfigPrefix, Names: proof.NamesBelow(asked.ConfigPrefix),
			Reader: store, Fingerprinter: secret.NewFingerprinter(asked.AppName, rounds), Now: time.Now, Options: asked.VM,
		}),
		asked: proof.Asked{
			App: asked.AppName, RotationID: asked.RotationID, Accept: asked.AcceptUnreadable, AttestedBy: asked.AttestedBy, Tool: tool,
		},
	}
	defer w.Close()
	for _, way := range asked.Verify {
		w.asked.Verify = append(w.asked.Verify, proof.Verify(way))
	}
	w.asked.BackendsReadyAt, _ = time.Parse(time.RFC3339, asked.BackendsReadyAt)
	verdict, err := w.until(ctx, asked)
	return result(verdict, asked.RotationID, store.Calls(), time.Since(began)), err
}

type watch struct {
	*VM
	asked    proof.Asked
	progress progress
	looked   bool      // parameters and containers were read at least once
	read     time.Time // when SSM was last read
}

func (w *watch) until(ctx context.Context, asked options.Rotation) (proof.Verdict, error) {
	if err := w.progress.begin(asked, w.about.Now()); err != nil {
		return proof.Verdict{}, err
	}
	defer w.progress.end()
	return wait{
		wait: asked.Wait, timeout: time.Duration(asked.WaitTimeout) * time.Second, every: time.Duration(asked.PollInterval) * time.Second,
		poll: w.poll, passes: w.passes, unfinished: w.unfinished,
		report: func(ctx context.Context, verdict proof.Verdict) string {
			w.progress.report(ctx, w, verdict)
			return w.progress.note
		},
	}.run(ctx)
}

// wait polls until nothing is pending.
type wait struct {
	wait           bool
	timeout, every time.Duration
	poll           func(context.Context) (proof.Verdict, error)
	passes         func(*fault.Fault) bool                                        // whether the failure may go away by waiting
	report         func(ctx context.Context, verdict proof.Verdict) (note string) // reports the progress; note goes into the final message
	unfinished     func(pending *fault.Fault) *fault.Fault                        // the fault for a poll that ran out of time
}

func (w wait) run(ctx context.Context) (proof.Verdict, error) {
	bounded, over := ctx, time.After(w.timeout)
	if w.wait && w.timeout > 0 { // 0 means one poll, however long it takes
		// Limit the polls as well as the pauses: one poll may judge a million records.
		var cancel context.CancelFunc
		bounded, cancel = context.WithTimeout(ctx, w.timeout)
		defer cancel()
	}
	var last proof.Verdict
	note := ""
	for {
		verdict, err := w.poll(bounded)
		var f *fault.Fault
		if errors.As(err, &f) {
			switch {
			case bounded.Err() != nil && ctx.Err() == nil && (w.passes(f) || cutShort(f)):
				return last, timedOut(w.unfinished(last.Pending), w.timeout, note)
			case w.wait && ctx.Err() == nil && w.passes(f):
				verdict, err = proof.Verdict{Started: last.Started, Msg: f.What, Pending: f}, nil
			}
		}
		if err != nil || verdict.Pending == nil {
			return verdict, err
		}
		last, note = verdict, w.report(bounded, verdict)
		if !w.wait {
			if verdict.Pending.Code == fault.CodeWaitTimeout {
				return verdict, nil // order and readiness are proved; the result has the progress
			}
			return verdict, verdict.Pending
		}
		select {
		case <-ctx.Done():
			return verdict, interrupted()
		case <-over:
			return verdict, timedOut(verdict.Pending, w.timeout, note)
		case <-time.After(w.every):
		}
	}
}

// cutShort reports whether a poll may have failed because its time was over.
func cutShort(f *fault.Fault) bool {
	return f.Code == fault.CodeInterrupted || f.Code == fault.CodeDatabaseUnavailable || errors.Is(f, context.DeadlineExceeded)
}

// passes reports whether a failure may go away by waiting. Re-encryption survives a restart of the database, the Engine or the network.
func (w *watch) passes(f *fault.Fault) bool {
	switch f.Code { //nolint:exhaustive // no other failure goes away by itself
	case fault.CodeDatabaseUnavailable:
		return w.progress.began()
	case fault.CodeDockerUnavailable, fault.CodeAWS, fault.CodeThrottled:
		return w.looked
	}
	return false
}

// unfinished returns the fault for a poll that ran out of time, with what it still had to do.
func (w *watch) unfinished(pending *fault.Fault) *fault.Fault {
	f := fault.Fault{What: "The first check of parameters, containers and records did not finish."}
	if pending != nil {
		f = *pending
	}
	f.Code, f.Next = fault.CodeWaitTimeout, "Run this again, with a longer wait_timeout."
	if w.Scanner != nil {
		if done, of := w.Scanner.Looked(); done < of {
			f.What += fmt.Sprintf(" The last check opened %d of %d new or changed records.", done, of)
		}
	}
	return &f
}

// poll observes and judges once: parameters, containers and, if these are in order, records.
func (w *watch) poll(ctx context.Context) (proof.Verdict, error) {
	read := stale(w.read, w.about.Now(), nil, nil)
	if read {
		if err := w.readParameters(ctx); err != nil {
			return proof.Verdict{}, err
		}
	}
	before := w.Observed.Platform
	w.Observed.Now, w.Observed.Records = w.about.Now(), nil
	found, err := w.containers(ctx, true)
	if err != nil {
		return proof.Verdict{}, err
	}
	if !read && stale(w.read, w.about.Now(), before, w.Observed.Platform) {
		if err := w.readParameters(ctx); err != nil {
			return proof.Verdict{}, err
		}
		read = true
	}
	w.looked = true
	verdict, err := w.judge(ctx, found)
	if err == nil && verdict.Proof != nil && !read {
		// A proof must rest on parameters that were read in the same poll.
		if err := w.readParameters(ctx); err != nil {
			return proof.Verdict{}, err
		}
		return proof.Judge(w.Observed, w.asked, w.about.Fingerprinter)
	}
	return verdict, err
}

// stale reports whether to read SSM: for the first time, after a minute, or because a container changed.
func stale(read, now time.Time, before, after *proof.Platform) bool {
	return read.IsZero() || now.Sub(read) >= readSSMEvery || (before != nil && after != nil && !reflect.DeepEqual(before.Services, after.Services))
}

// readParameters reads SSM. If a key changed, all records are judged again.
func (w *watch) readParameters(ctx context.Context) (err error) {
	if w.Observed.Parameters, err = w.about.Reader.ReadStandalone(ctx, w.about.Names); err != nil {
		return err
	}
	w.read = w.about.Now()
	keys := records.Keys{Current: w.Observed.Parameters.Current.Value, Previous: w.Observed.Parameters.Previous.Value}
	if !keys.Current.Equal(w.Keys.Current) || !keys.Previous.Equal(w.Keys.Previous) {
		w.Keys, w.Scanner, w.Observed.Records = keys, nil, nil
	}
	return nil
}

func (w *watch) judge(ctx context.Context, found platform.Found) (proof.Verdict, error) {
	verdict, err := proof.Judge(w.Observed, w.asked, w.about.Fingerprinter)
	if err != nil || !verdict.Started || verdict.Proof != nil || !slices.Contains(w.asked.Verify, proof.VerifyDatabase) {
		return verdict, w.withLog(ctx, err)
	}
	return w.judgeRecords(ctx, found)
}

// judgeRecords polls the changed records. If the counts decide the verdict, it confirms them with a full scan in one snapshot.
func (w *watch) judgeRecords(ctx context.Context, found platform.Found) (verdict proof.Verdict, err error) {
	if err := w.open(ctx, found); err != nil {
		return verdict, err
	}
	defer w.progress.whileLooking(w)()
	verdict, err = w.confirmed(ctx, w.Scanner.Poll, w.Scanner.Scan)
	if err == nil && verdict.Pending != nil && verdict.Progress != nil {
		w.progress.estimate(w.about.Now(), verdict.Progress, w.Scanner.Changes())
	}
	return verdict, err
}

// confirmed judges the counts of the reads, one after the other, until one of them decides the verdict.
func (w *watch) confirmed(ctx context.Context, reads ...func(context.Context) (proof.Records, error)) (verdict proof.Verdict, err error) {
	for _, read := range reads {
		counted, failed := read(ctx)
		if failed != nil {
			w.disconnect()
			return verdict, failed
		}
		w.Observed.Records = &counted
		verdict, err = proof.Judge(w.Observed, w.asked, w.about.Fingerprinter)
		if counted.Exact || err == nil && verdict.Pending != nil && !verdict.Unconfirmed {
			break
		}
	}
	return verdict, err
}

func timedOut(pending *fault.Fault, timeout time.Duration, note string) *fault.Fault {
	f := *pending
	switch f.Code {
	case fault.CodeDatabaseUnavailable, fault.CodeDockerUnavailable, fault.CodeAWS, fault.CodeThrottled:
		// If something became unreachable, keep its error code.
	default:
		f.Code = fault.CodeWaitTimeout
	}
	f.What = "Not complete after " + timeout.String() + " (wait_timeout). " + f.What
	if note != "" {
		f.What += " " + note
	}
	return &f
}

func interrupted() *fault.Fault {
	return fault.New(fault.CodeInterrupted, "Run again: the run continues where it stopped.",
		"The run was interrupted.")
}
