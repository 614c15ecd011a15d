package main

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/seqera-tools/crypto-rotation/module/platform"
	"github.com/seqera-tools/crypto-rotation/module/rotation"
)

// readSSMEvery: versions do not change by themselves, and the account's quota is shared by all Platforms that are watched.
const readSSMEvery = time.Minute

// watch observes and judges, again and again while waiting can help, until the rotation is proved.
func (r *run) watch(ctx context.Context) (rotation.Plan, error) {
	view := &vm{run: r, asked: r.asked.VM}
	defer view.close()
	if err := view.progress.begin(r); err != nil {
		return rotation.Plan{}, err
	}
	return wait{
		wait: r.asked.Wait, timeout: time.Duration(r.asked.WaitTimeout) * time.Second, every: time.Duration(r.asked.PollInterval) * time.Second,
		poll: view.poll, passes: view.passes, unfinished: view.unfinished,
		tell: func(ctx context.Context, plan rotation.Plan) string {
			view.progress.tell(ctx, view, plan)
			return view.progress.note
		},
	}.run(ctx)
}

// wait polls until nothing is pending any more.
type wait struct {
	wait           bool
	timeout, every time.Duration
	poll           func(context.Context) (rotation.Plan, error)
	passes         func(*rotation.Fault) bool                                  // may it be waited for that this failure goes away?
	tell           func(ctx context.Context, plan rotation.Plan) (note string) // reports what is pending; note is worth saying at the end
	unfinished     func(pending *rotation.Fault) *rotation.Fault               // what a look that the time did not suffice for left undone
}

func (w wait) run(ctx context.Context) (rotation.Plan, error) {
	bounded := ctx
	if w.wait {
		// Not only the pauses: one look may judge a million records.
		var cancel context.CancelFunc
		bounded, cancel = context.WithTimeout(ctx, w.timeout)
		defer cancel()
	}
	var last rotation.Plan
	note := ""
	for {
		plan, err := w.poll(bounded)
		var fault *rotation.Fault
		if errors.As(err, &fault) {
			switch {
			case bounded.Err() != nil && ctx.Err() == nil && (w.passes(fault) || cutShort(fault)):
				return last, timedOut(w.unfinished(last.Pending), w.timeout, note)
			case w.wait && ctx.Err() == nil && w.passes(fault):
				plan, err = rotation.Plan{Phase: last.Phase, Before: last.Before, Pending: fault}, nil
			}
		}
		if err != nil || plan.Pending == nil {
			return plan, err
		}
		last, note = plan, w.tell(bounded, plan)
		if !w.wait {
			if plan.Pending.Code == rotation.CodeWaitTimeout {
				return plan, nil // order and readiness are proved; how far it is, progress says
			}
			return plan, plan.Pending
		}
		select {
		case <-bounded.Done():
			if ctx.Err() != nil {
				return plan, interrupted(nil)
			}
			return plan, timedOut(plan.Pending, w.timeout, note)
		case <-time.After(w.every):
		}
	}
}

// cutShort says whether a look ended because its time was over.
func cutShort(fault *rotation.Fault) bool {
	return fault.Code == rotation.CodeInterrupted || fault.Code == rotation.CodeDatabaseUnavailable || errors.Is(fault, context.DeadlineExceeded)
}

// passes takes what answered before and does not now as something to wait for: hours of re-encryption outlast a restart of the
// database, of the Engine, or of the network.
func (v *vm) passes(fault *rotation.Fault) bool {
	switch fault.Code { //nolint:exhaustive // no other failure goes away by itself
	case rotation.CodeDatabaseUnavailable:
		return v.progress.began()
	case rotation.CodeDockerUnavailable, rotation.CodeAWS, rotation.CodeThrottled:
		return v.looked
	}
	return false
}

// unfinished says what the look that was cut short had still to do.
func (v *vm) unfinished(pending *rotation.Fault) *rotation.Fault {
	fault := rotation.Fault{What: "The first look at parameters, containers and records was not over.", State: "Nothing was written."}
	if pending != nil {
		fault = *pending
	}
	fault.Code, fault.Next = rotation.CodeWaitTimeout, "Run this again, with a longer wait_timeout."
	if v.scanner != nil {
		if done, of := v.scanner.Looked(); done < of {
			fault.What += fmt.Sprintf(" Of %d records that are new or changed %d were opened in the last look.", of, done)
		}
	}
	return &fault
}

// poll is one look at parameters, containers and, once these are in order, records.
func (v *vm) poll(ctx context.Context) (rotation.Plan, error) {
	r := v.run
	read := stale(v.read, r.now(), nil, nil)
	if read {
		if err := v.readParameters(ctx); err != nil {
			return rotation.Plan{}, err
		}
	}
	before := r.world.Platform
	r.world.Now, r.world.Records = r.now(), nil
	found, err := v.containers(ctx, true)
	if err != nil {
		return rotation.Plan{}, err
	}
	if !read && stale(v.read, r.now(), before, r.world.Platform) {
		if err := v.readParameters(ctx); err != nil {
			return rotation.Plan{}, err
		}
		read = true
	}
	v.looked = true
	plan, err := v.judge(ctx, found)
	if err == nil && plan.Proof != nil && !read {
		// A proof rests on parameters of the same look.
		if err := v.readParameters(ctx); err != nil {
			return rotation.Plan{}, err
		}
		return r.plan(ctx)
	}
	return plan, err
}

// stale says whether SSM is to be read again: for the first time, after a minute, or because a container changed.
func stale(read, now time.Time, before, after *rotation.Platform) bool {
	return read.IsZero() || now.Sub(read) >= readSSMEvery || (before != nil && after != nil && !reflect.DeepEqual(before.Services, after.Services))
}

// readParameters reads SSM. Records that were judged under other keys are judged anew.
func (v *vm) readParameters(ctx context.Context) error {
	first, before := v.read.IsZero(), v.keys()
	if err := v.run.observe(ctx); err != nil {
		return err
	}
	v.read = v.run.now()
	if now := v.keys(); !first && (!now.Current.Equal(before.Current) || !now.Previous.Equal(before.Previous)) {
		v.scanner, v.run.world.Records = nil, nil
	}
	return nil
}

func (v *vm) judge(ctx context.Context, found platform.Found) (rotation.Plan, error) {
	r := v.run
	if slices.Contains(r.wish.Verify, rotation.VerifyLogs) {
		if err := v.search(ctx, r.wish.LogPattern); err != nil {
			return rotation.Plan{}, err
		}
	}
	plan, err := r.plan(ctx)
	if err != nil {
		return plan, v.withLog(ctx, err)
	}
	if plan.Phase != rotation.PhaseRotating || !slices.Contains(r.wish.Verify, rotation.VerifyDatabase) {
		return plan, nil
	}
	return v.judgeRecords(ctx, found)
}

// judgeRecords counts what changed. What that decides, a whole scan in one snapshot must confirm.
func (v *vm) judgeRecords(ctx context.Context, found platform.Found) (plan rotation.Plan, err error) {
	if err := v.open(ctx, found); err != nil {
		return plan, err
	}
	defer v.progress.whileLooking(v)()
	for _, read := range []func(context.Context) (rotation.Records, error){v.scanner.Poll, v.scanner.Scan} {
		counted, err := read(ctx)
		if err != nil {
			v.disconnect()
			return plan, err
		}
		v.run.world.Records = &counted
		plan, err = v.run.plan(ctx)
		if err == nil && plan.Pending != nil && !plan.Unconfirmed {
			break
		}
		if counted.Exact {
			return plan, err
		}
	}
	if err == nil && plan.Progress != nil {
		v.progress.estimate(v.run.now(), plan.Progress, v.scanner.Changes())
	}
	return plan, err
}

func timedOut(pending *rotation.Fault, timeout time.Duration, note string) *rotation.Fault {
	fault := *pending
	switch fault.Code { //nolint:exhaustive // what cannot be asked any more keeps its own name
	case rotation.CodeDatabaseUnavailable, rotation.CodeDockerUnavailable, rotation.CodeAWS, rotation.CodeThrottled:
	default:
		fault.Code = rotation.CodeWaitTimeout
	}
	fault.What = "Not complete after " + timeout.String() + " (wait_timeout). " + fault.What
	if note != "" {
		fault.What += " " + note
	}
	return &fault
}
