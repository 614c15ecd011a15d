package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/lease"
	"github.com/seqera-tools/crypto-rotation/module/parameters"
	"github.com/seqera-tools/crypto-rotation/module/rotation"
)

const lockTries = 3

// apply carries out the plan if it contains writes. If what the plan read changed before this run got the lock, it plans again.
func (s *Session) apply(ctx context.Context, plan rotation.Plan) (rotation.Plan, error) {
	for try := 0; plan.Writes(); try++ {
		raced, err := s.attempt(ctx, &plan)
		if !raced {
			return plan, err
		}
		if try == lockTries {
			return plan, cmp.Or(err, error(fault.New(fault.CodeVersionGap, "See who changes them (aws ssm get-parameter-history), such as a running terraform apply. Then run again.",
				"Somebody changed the Platform's parameters, the ledger or the escrow each of the %d times that this run took the lock.", lockTries+1)))
		}
		if plan, err = s.decide(ctx); err != nil {
			return plan, err
		}
	}
	return plan, nil
}

// attempt carries out the steps in order. raced means that another run took the lock at the same time, or that what the plan read
// changed before this run got it.
func (s *Session) attempt(ctx context.Context, plan *rotation.Plan) (raced bool, err error) {
	var held *lease.Lease
	defer func() {
		if held == nil || err == nil && !raced {
			return
		}
		// Release the lock so that the next run need not wait for the lease to end. If that fails, the next run waits.
		err = s.withWritten(err)
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		if last := len(plan.Steps) - 1; !plan.Steps[last].Done {
			outcome, _ := held.Release(ctx)
			s.record(&plan.Steps[last], outcome)
		}
	}()
	for at := range plan.Steps {
		step := &plan.Steps[at]
		if step.Write == nil {
			continue
		}
		if ctx.Err() != nil {
			return false, fault.New(fault.CodeInterrupted, "Run again: the run continues where it stopped.",
				"The run was interrupted.")
		}
		var outcome custody.Outcome
		switch {
		case step.Action == rotation.ActLock:
			lock := custody.Lock{Holder: s.Observed.Caller, RotationID: plan.RotationID, State: string(s.Desired.State)}
			held, outcome, err = lease.Take(ctx, s.Store, s.Now, s.Desired.Names.Custody, step.Write.Name, step.Write.KeyID, lock, s.Observed.Custody.Locks)
			if s.record(step, outcome); err == nil {
				raced, err = s.outdated(ctx)
			}
		case step.Action == rotation.ActUnlock:
			outcome, err = held.Release(ctx)
			s.record(step, outcome)
		default:
			outcome, err = s.write(ctx, held, step.Write)
			s.record(step, outcome)
		}
		// A run that has taken the lock and then gives way must not take it again.
		if raced = raced || held == nil && fault.Is(err, fault.CodeLocked); raced || err != nil {
			return raced, err
		}
	}
	if plan.Made != "" {
		plan.Current = plan.Made
	}
	return false, nil
}

// outdated reports whether the Platform's parameters, the ledger or the escrow changed since the plan read them. Another run may have
// opened its rotation since then.
func (s *Session) outdated(ctx context.Context) (bool, error) {
	now, _, err := s.Store.ReadPlatform(ctx, s.Desired.Names)
	if err != nil || !parameters.Same(now, s.Observed.SSM) {
		return err == nil, err
	}
	documents, err := s.Store.ReadInventory(ctx, s.Desired.Names.Custody)
	return err == nil && !documents.SameRotations(s.Observed.Custody), err
}

func (s *Session) write(ctx context.Context, held *lease.Lease, write *rotation.Write) (custody.Outcome, error) {
	bounded, cancel, err := held.Guard(ctx)
	defer cancel()
	if err != nil {
		return custody.NotDone, err
	}
	return s.Store.Apply(bounded, write)
}

func (s *Session) record(step *rotation.Step, outcome custody.Outcome) {
	switch outcome {
	case custody.Done:
		step.Done = true
		s.done = append(s.done, *step)
	case custody.Unknown:
		s.unsure = append(s.unsure, string(step.Action)+" "+step.Target)
	case custody.NotDone:
	}
}

// Failure is a fault plus a sentence about what this run wrote before the fault.
type Failure struct {
	*fault.Fault
	Written string
}

// Error joins the sentences.
func (f *Failure) Error() string { return f.With(f.Written) }

// Unwrap returns the fault.
func (f *Failure) Unwrap() error { return f.Fault }

// WithoutWrites adds "Nothing was written." to a fault. Use it where the code cannot write.
func WithoutWrites(err error) error { return (&Session{}).withWritten(err) }

// withWritten adds to a fault what was written. Only the session knows this, so no other code may say it.
// The role looks for these words (tasks/refused.yml).
func (s *Session) withWritten(err error) error {
	var f *fault.Fault
	var known *Failure
	if !errors.As(err, &f) || errors.As(err, &known) {
		return err
	}
	var written []string
	if len(s.done) > 0 {
		var done []string
		for _, step := range s.done {
			done = append(done, string(step.Action))
		}
		written = append(written, fmt.Sprintf("Done before that: %s.", strings.Join(done, ", ")))
	}
	if len(s.unsure) > 0 {
		written = append(written, fmt.Sprintf("It is not known whether %s was carried out.", strings.Join(s.unsure, ", ")))
	}
	if written == nil {
		written = []string{"Nothing was written."}
	}
	return &Failure{Fault: f, Written: strings.Join(written, " ")}
}
