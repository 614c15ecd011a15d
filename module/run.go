package main

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/seqera-tools/crypto-rotation/module/ansible"
	"github.com/seqera-tools/crypto-rotation/module/options"
	"github.com/seqera-tools/crypto-rotation/module/parameters"
	"github.com/seqera-tools/crypto-rotation/module/rotation"
)

// handle is the one way through, for both modules: options → observe → plan → apply → result.
func handle(ctx context.Context, request ansible.Request) (any, error) {
	if request.Module == infoModule {
		asked, err := options.ParseInfo(request.Params, os.LookupEnv)
		if err != nil {
			return nil, err
		}
		return gather(ctx, asked, request.CheckMode)
	}
	asked, err := options.ParseRotation(request.Params, os.LookupEnv)
	if err != nil {
		return nil, err
	}
	r, err := newRun(ctx, asked)
	if err != nil {
		return nil, err
	}
	plan, err := r.decide(ctx)
	applied := false
	if err == nil && plan.Writes() && !request.CheckMode {
		applied = true
		plan, err = r.apply(ctx, plan)
	}
	if err == nil && request.CheckMode && asked.State == string(rotation.StatePrepared) && !asked.CaptureOnly {
		plan.Then, err = r.foretell(ctx, plan)
	}
	return r.result(plan, request, applied), err
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

// apply carries out the plan. The lock comes first; then, because the world may have changed until it was ours, the
// parameters are looked at once more, and if they have, the plan is made anew.
func (r *run) apply(ctx context.Context, plan rotation.Plan) (rotation.Plan, error) {
	for try := 0; ; try++ {
		err := r.applyStep(ctx, &plan, 0)
		if err == nil {
			var same bool
			if same, err = r.unchanged(ctx); err == nil && same {
				break
			}
			err = errors.Join(err, r.release(ctx, plan))
		}
		var fault *rotation.Fault
		if raced := err == nil || (errors.As(err, &fault) && fault.Code == rotation.CodeLocked); !raced || try == lockTries {
			return plan, err
		}
		if plan, err = r.decide(ctx); err != nil || !plan.Writes() {
			return plan, err
		}
	}
	for at := 1; at < len(plan.Steps); at++ {
		if err := r.renew(ctx, plan); err != nil {
			return plan, err
		}
		if err := r.applyStep(ctx, &plan, at); err != nil {
			// The next run must not have to wait for the lease. Not ours any more, or SSM out of reach: then it has to.
			_ = r.release(ctx, plan)
			return plan, err
		}
	}
	if plan.Made != "" {
		plan.Current = plan.Made
	}
	return plan, nil
}

func (r *run) applyStep(ctx context.Context, plan *rotation.Plan, at int) error {
	step := &plan.Steps[at]
	if step.Write == nil {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return interrupted(plan.Steps[:at])
	}
	if err := r.store.Apply(ctx, *step, sofar(plan.Steps[:at])); err != nil {
		return err
	}
	step.Done = true
	return nil
}

// renew prolongs the lease when a third of it is over: SSM's quota may make a run wait.
func (r *run) renew(ctx context.Context, plan rotation.Plan) error {
	if r.now().Sub(r.renewed) < lease/3 || plan.Steps[0].Action != rotation.ActLock {
		return nil
	}
	write, err := rotation.Renewal(r.world, r.wish, plan.Steps[0].Write.Name, plan.RotationID, r.now())
	if err == nil {
		err = r.store.Apply(ctx, rotation.Step{Write: write}, sofar(plan.Steps))
	}
	r.renewed = r.now()
	return err
}

// release marks the lock as released after a failure, also when the run was interrupted.
func (r *run) release(ctx context.Context, plan rotation.Plan) error {
	last := plan.Steps[len(plan.Steps)-1]
	if !plan.Steps[0].Done || last.Action != rotation.ActUnlock || last.Done {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return r.store.Apply(ctx, last, sofar(plan.Steps))
}

// unchanged says whether the parameters are still as the plan saw them.
func (r *run) unchanged(ctx context.Context) (bool, error) {
	now, _, err := r.store.ReadPlatform(ctx, r.wish.Names)
	return err == nil && parameters.SameVersions(now, r.world.SSM), err
}
