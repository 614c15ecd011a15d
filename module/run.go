package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/seqera-tools/crypto-rotation/module/ansible"
	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/lease"
	"github.com/seqera-tools/crypto-rotation/module/options"
	"github.com/seqera-tools/crypto-rotation/module/parameters"
	"github.com/seqera-tools/crypto-rotation/module/rotation"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// handle is the one way through, for both modules: options → observe → plan → apply → result.
func handle(ctx context.Context, request ansible.Request) (any, error) {
	if request.Module == infoModule {
		asked, err := options.ParseInfo(request.Params, os.LookupEnv)
		if err != nil {
			return nil, err
		}
		out, err := gather(ctx, asked, request.CheckMode)
		return out, (&run{}).stopped(err)
	}
	asked, err := options.ParseRotation(request.Params, os.LookupEnv)
	if err != nil {
		return nil, err
	}
	store, err := parameters.Open(ctx, access(asked.AWS))
	if err != nil {
		return nil, (&run{}).stopped(err)
	}
	r, err := newRun(asked, store, secret.NewFingerprinter(asked.AppName, secret.Rounds))
	if err != nil {
		return nil, (&run{}).stopped(err)
	}
	return r.handle(ctx, request)
}

func (r *run) handle(ctx context.Context, request ansible.Request) (any, error) {
	plan, err := r.decide(ctx)
	if err == nil && !request.CheckMode {
		plan, err = r.apply(ctx, plan)
	}
	if err == nil && request.CheckMode && r.wish.State == rotation.StatePrepared && !r.wish.CaptureOnly {
		plan.Then, err = r.foretell(ctx, plan)
	}
	if err != nil {
		err = r.stopped(err)
	}
	return r.result(plan, request, err != nil), err
}

// foretell plans the end of a rotation that is under way or due, for a dry run: by the plan of finalized itself.
func (r *run) foretell(ctx context.Context, plan rotation.Plan) ([]rotation.Step, error) {
	if !plan.Writes() && plan.Phase != rotation.PhasePrepared && plan.Phase != rotation.PhaseRotated {
		return nil, nil
	}
	for {
		end, err := rotation.Foretell(r.world, r.wish, plan, r.prints)
		if err != nil || end.Needs == rotation.NeedNothing {
			return end.Steps, err
		}
		if err := r.fetch(ctx, end.Needs, end.Lock); err != nil {
			return nil, err
		}
	}
}

// decide observes what the plan needs, and no more, until there is a plan; for rotating it polls until all is proved.
func (r *run) decide(ctx context.Context) (rotation.Plan, error) {
	if r.wish.State == rotation.StateRotating {
		return r.watch(ctx)
	}
	if err := r.observe(ctx); err != nil {
		return rotation.Plan{}, err
	}
	return r.plan(ctx)
}

func (r *run) plan(ctx context.Context) (rotation.Plan, error) {
	for {
		plan, err := rotation.Make(r.world, r.wish, r.prints)
		if err != nil || plan.Needs == rotation.NeedNothing {
			return plan, err
		}
		if err := r.fetch(ctx, plan.Needs, plan.Lock); err != nil {
			return rotation.Plan{}, err
		}
	}
}

// observe reads the Platform's parameters, and the ledger's entry where the rotation has a name: one call.
func (r *run) observe(ctx context.Context) error {
	ssm, ledger, err := r.readParameters(ctx)
	if err != nil {
		return err
	}
	r.world.SSM, r.world.Custody = ssm, ledger
	return nil
}

// fetch reads what costs more and is wanted only sometimes.
func (r *run) fetch(ctx context.Context, need rotation.Need, lock int) error {
	var err error
	switch need {
	case rotation.NeedEscrow:
		err = r.readEscrow(ctx)
	case rotation.NeedLock:
		err = r.readLock(ctx, lock)
	case rotation.NeedShelf:
		r.world.Custody, err = r.readShelf(ctx)
	case rotation.NeedDescription:
		r.world.Caller.ARN = r.store.Caller(ctx)
		err = r.store.Describe(ctx, &r.world.SSM)
	case rotation.NeedNothing:
	}
	return err
}

// apply carries out the plan, if it writes, and makes it anew where the world changed until the lock was ours.
func (r *run) apply(ctx context.Context, plan rotation.Plan) (rotation.Plan, error) {
	for try := 0; plan.Writes(); try++ {
		raced, err := r.attempt(ctx, &plan)
		if !raced {
			return plan, err
		}
		if try == lockTries {
			return plan, cmp.Or(err, error(&rotation.Fault{
				Code: rotation.CodeVersionGap, What: fmt.Sprintf("The Platform's parameters were changed by somebody each of the %d times that this run took the lock.", lockTries+1),
				Next: "See who writes them (aws ssm get-parameter-history), such as a terraform apply that runs; then run again.",
			}))
		}
		if plan, err = r.decide(ctx); err != nil {
			return plan, err
		}
	}
	return plan, nil
}

// attempt carries out the steps in their order, the lock first. raced: somebody else had the lock, or had changed the parameters
// until it was ours, so that the plan is of yesterday.
func (r *run) attempt(ctx context.Context, plan *rotation.Plan) (raced bool, err error) {
	var held *lease.Lease
	defer func() {
		if held == nil || err == nil && !raced {
			return
		}
		// The next run must not have to wait for the lease. Not ours any more, or SSM out of reach: then it has to.
		err = r.stopped(err)
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		if last := len(plan.Steps) - 1; plan.Steps[last].Action == rotation.ActUnlock && !plan.Steps[last].Done {
			outcome, _ := held.Release(ctx)
			r.record(&plan.Steps[last], outcome)
		}
	}()
	for at := range plan.Steps {
		step := &plan.Steps[at]
		if step.Write == nil {
			continue
		}
		if ctx.Err() != nil {
			return false, interrupted()
		}
		var outcome parameters.Outcome
		switch {
		case step.Action == rotation.ActLock:
			lock := custody.Lock{Holder: r.world.Caller, RotationID: plan.RotationID, State: string(r.wish.State)}
			held, outcome, err = lease.Take(ctx, r.store, r.now, r.wish.Names.Custody, *step.Write, lock, r.world.Custody.Locks)
			if r.record(step, outcome); err == nil {
				var same bool
				same, err = r.unchanged(ctx)
				raced = err == nil && !same
			}
		case step.Action == rotation.ActUnlock && held != nil:
			outcome, err = held.Release(ctx)
			r.record(step, outcome)
		default:
			outcome, err = r.write(ctx, held, step.Write)
			r.record(step, outcome)
		}
		var fault *rotation.Fault
		if raced = raced || errors.As(err, &fault) && fault.Code == rotation.CodeLocked; raced || err != nil {
			return raced, err
		}
	}
	if plan.Made != "" {
		plan.Current = plan.Made
	}
	return false, nil
}

// write carries out one write as long as the lease holds.
func (r *run) write(ctx context.Context, held *lease.Lease, write *rotation.Write) (parameters.Outcome, error) {
	if held != nil {
		bounded, cancel, err := held.Guard(ctx)
		defer cancel()
		if err != nil {
			return parameters.NotDone, err
		}
		ctx = bounded
	}
	return r.store.Apply(ctx, write)
}

// record keeps what was carried out, for the step's result and for what a failure says.
func (r *run) record(step *rotation.Step, outcome parameters.Outcome) {
	switch outcome {
	case parameters.Done:
		step.Done = true
		r.done = append(r.done, *step)
	case parameters.Unknown:
		r.unsure = append(r.unsure, string(step.Action)+" "+step.Target)
	case parameters.NotDone:
	}
}

// stopped adds to a failure what was written. Nobody else says so, since nobody else knows.
func (r *run) stopped(err error) error {
	var fault *rotation.Fault
	if !errors.As(err, &fault) || r.told == fault {
		return err
	}
	told := *fault
	if told.State == nothingWritten || told.State == "" {
		told.State = r.sofar()
	}
	r.told = &told
	return r.told
}

const nothingWritten = "Nothing was written."

func (r *run) sofar() string {
	state := nothingWritten
	if len(r.done) > 0 {
		done := make([]string, 0, len(r.done))
		for _, step := range r.done {
			done = append(done, string(step.Action))
		}
		state = fmt.Sprintf("Done before that: %s.", strings.Join(done, ", "))
	}
	if len(r.unsure) > 0 {
		state = fmt.Sprintf("%s Whether %s was carried out is not known.", strings.TrimPrefix(state, nothingWritten), strings.Join(r.unsure, ", "))
	}
	return strings.TrimSpace(state)
}

func interrupted() *rotation.Fault {
	return &rotation.Fault{Code: rotation.CodeInterrupted, What: "The run was interrupted.", Next: "Run again: it goes on from where the parameters are."}
}

// unchanged says whether the parameters are still as the plan saw them.
func (r *run) unchanged(ctx context.Context) (bool, error) {
	now, _, err := r.store.ReadPlatform(ctx, r.wish.Names)
	return err == nil && parameters.Same(now, r.world.SSM), err
}
