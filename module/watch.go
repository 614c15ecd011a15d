package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/seqera-tools/crypto-rotation/module/platform"
	"github.com/seqera-tools/crypto-rotation/module/rotation"
)

// watch observes and judges, again and again while waiting can help, until the rotation is proved.
func (r *run) watch(ctx context.Context) (rotation.Plan, error) {
	view := &vm{run: r, asked: r.asked.VM}
	defer view.close()
	if err := view.progress.begin(r); err != nil {
		return rotation.Plan{}, err
	}
	deadline := r.now().Add(time.Duration(r.asked.WaitTimeout) * time.Second)
	for {
		plan, failed := view.poll(ctx)
		if err := view.mayPass(&plan, failed); err != nil {
			return plan, err
		}
		if plan.Pending == nil {
			return plan, nil
		}
		view.progress.tell(ctx, view, plan)
		if !r.asked.Wait {
			if plan.Pending.Code == rotation.CodeWaitTimeout {
				return plan, nil // order and readiness are proved; how far it is, progress says
			}
			return plan, plan.Pending
		}
		if !r.now().Before(deadline) {
			return plan, timedOut(plan.Pending, r.asked.WaitTimeout, view.progress.note)
		}
		select {
		case <-ctx.Done():
			return plan, interrupted(nil)
		case <-time.After(time.Duration(r.asked.PollInterval) * time.Second):
		}
	}
}

// mayPass takes a database that answered before and does not now as something to wait for.
func (v *vm) mayPass(plan *rotation.Plan, err error) error {
	var fault *rotation.Fault
	if !errors.As(err, &fault) || fault.Code != rotation.CodeDatabaseUnavailable || !v.run.asked.Wait || !v.progress.began() {
		return err
	}
	v.disconnect()
	plan.Pending = fault
	return nil
}

// poll is one look at parameters, containers and, once these are in order, records.
func (v *vm) poll(ctx context.Context) (rotation.Plan, error) {
	r := v.run
	if err := r.observe(ctx); err != nil {
		return rotation.Plan{}, err
	}
	r.world.Now, r.world.Records = r.now(), nil
	found, err := v.containers(ctx, true)
	if err != nil {
		return rotation.Plan{}, err
	}
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

func timedOut(pending *rotation.Fault, seconds int, note string) *rotation.Fault {
	fault := *pending
	if fault.Code != rotation.CodeDatabaseUnavailable {
		fault.Code = rotation.CodeWaitTimeout
	}
	fault.What = "Not complete after " + after(seconds) + " (wait_timeout). " + fault.What
	if note != "" {
		fault.What += " " + note
	}
	return &fault
}
