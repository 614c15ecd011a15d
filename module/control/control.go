// Package control is the control node's side, the states prepared, finalized and aborted: observe SSM → plan → lease → apply →
// result. It must not know how containers run or records are read.
package control

import (
	"context"
	"sync"

	"github.com/seqera-tools/crypto-rotation/module/ansible"
	"github.com/seqera-tools/crypto-rotation/module/options"
	"github.com/seqera-tools/crypto-rotation/module/parameters"
	"github.com/seqera-tools/crypto-rotation/module/rotation"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// Run brings one installation to the state that is asked for.
func Run(ctx context.Context, request ansible.Request, env options.Env, version string) (any, error) {
	asked, err := options.ParseRotation(request.Params, env)
	if err != nil {
		return nil, err
	}
	store, err := parameters.Open(ctx, parameters.Config(asked.AWS))
	if err != nil {
		return nil, err
	}
	s, err := New(asked, store, secret.NewFingerprinter(asked.AppName, secret.Rounds))
	if err != nil {
		return nil, err
	}
	s.tool = sync.OnceValue(func() Tool { return tool(version) })
	go s.tool()
	return s.run(ctx, request)
}

func (s *Session) run(ctx context.Context, request ansible.Request) (any, error) {
	plan, err := s.decide(ctx)
	if err == nil && !request.CheckMode {
		plan, err = s.apply(ctx, plan)
	}
	if err == nil && request.CheckMode && s.Desired.State == rotation.StatePrepared && !s.Desired.CaptureOnly {
		plan.Then, err = s.previewFinalize(ctx, plan)
	}
	err = s.withWritten(err)
	return s.result(plan, request, err != nil), err
}

func (s *Session) decide(ctx context.Context) (rotation.Plan, error) {
	if err := s.Observe(ctx); err != nil {
		return rotation.Plan{}, err
	}
	s.Desired.Tool = s.tool().short()
	return s.Plan(ctx)
}

// previewFinalize plans the end of a rotation that is under way or due, for a dry run: by the plan of finalized itself.
func (s *Session) previewFinalize(ctx context.Context, plan rotation.Plan) ([]rotation.Step, error) {
	if !plan.Writes() && plan.Phase != rotation.PhasePrepared && plan.Phase != rotation.PhaseRotated {
		return nil, nil
	}
	for {
		end, err := rotation.PreviewFinalize(s.Observed, s.Desired, plan, s.Fingerprinter)
		if err != nil || end.Needs == rotation.NeedNothing {
			return end.Steps, err
		}
		if err := s.fetch(ctx, end.Needs, end.Lock); err != nil {
			return nil, err
		}
	}
}
