package rotation

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/proof"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// rotating is planned by nobody: the judge answers.
const rotating State = "rotating"

func TestEveryPhaseAndStateHasItsAnswer(t *testing.T) {
	half := func(t *testing.T) store { // prepared was interrupted after the omnibus
		t.Helper()
		s := idle()
		s.runUntil(t, desiredFor(StatePrepared), ActPutOmnibus)
		return s
	}
	removing := func(t *testing.T) store { // finalized was interrupted after the omnibus
		t.Helper()
		s := prepared(t)
		s.runUntil(t, desiredFor(StateFinalized), ActPutOmnibus)
		return s
	}
	foreign := func(*testing.T) store { // somebody followed the page by hand
		s := idle()
		w := prepared(t)
		s.put("/omnibus", w.get("/omnibus").Value.Reveal())
		return s
	}
	leftOn := func(*testing.T) store { // somebody followed the page's older revision by hand, and put the omnibus back
		s := idle()
		s.put(names().LegacyPrevious, oldKey)
		s.put(names().Switch, "true")
		return s
	}
	always := func(*testing.T) store { return idle() }
	young := func(w Desired) Desired { days := 365; w.RotationID, w.MaxAgeDays = "", &days; return w }
	tests := []struct {
		name  string
		world func(*testing.T) store
		state State
		wish  func(Desired) Desired
		phase Phase
		does  bool
		code  fault.Code
	}{
		{"due is prepared", always, StatePrepared, nil, PhasePrepared, true, ""},
		{"idle stays idle when the key is young", always, StatePrepared, young, PhaseIdle, false, ""},
		{"a switch that was left on without a key is no obstacle", leftOn, StatePrepared, nil, PhasePrepared, true, ""},
		{"nor where terraform makes the parameters", leftOn, StatePrepared, func(w Desired) Desired { w.Standalone = StandaloneDelete; return w }, PhasePrepared, true, ""},
		{"idle cannot rotate", always, rotating, nil, "", false, fault.CodeNotPrepared},
		{"idle has nothing to finalize", always, StateFinalized, nil, PhaseIdle, false, ""},
		{"a half prepared world is prepared to its end", half, StatePrepared, nil, PhasePrepared, true, ""},
		{"a half prepared world cannot rotate", half, rotating, nil, "", false, fault.CodeNotPrepared},
		{"a half prepared world cannot be finalized", half, StateFinalized, nil, "", false, fault.CodeKeyMismatch},
		{"prepared stays prepared", prepared, StatePrepared, nil, PhasePrepared, false, ""},
		{"prepared is finalized with a proof", prepared, StateFinalized, nil, PhaseFinalized, true, ""},
		{"prepared is not finalized without a proof", prepared, StateFinalized, func(w Desired) Desired { w.Proof = nil; return w }, "", false, fault.CodeProofMissing},
		{"a half finalized world is not prepared again", removing, StatePrepared, nil, PhaseRotated, false, ""},
		{"a half finalized world is finalized without another proof", removing, StateFinalized, func(w Desired) Desired { w.Proof = nil; return w }, PhaseFinalized, true, ""},
		{"finalized stays finalized", finalized, StateFinalized, nil, PhaseFinalized, false, ""},
		{"a finished rotation is not done again", finalized, StatePrepared, nil, PhaseFinalized, false, ""},
		{"a finished rotation cannot rotate", finalized, rotating, nil, "", false, fault.CodeNotPrepared},
		{"the next rotation begins", finalized, StatePrepared, func(w Desired) Desired {
			w.RotationID, w.MadeKey, w.Proof = "r2", secret.New(thirdKey), nil
			return w
		}, PhasePrepared, true, ""},
		{"what the ledger does not explain is not touched", foreign, StatePrepared, nil, "", false, fault.CodeInconsistent},
		{"what the ledger does not explain is not finalized", foreign, StateFinalized, nil, "", false, fault.CodeInconsistent},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			desired := desiredFor(test.state)
			if test.wish != nil {
				desired = test.wish(desired)
			}
			o := test.world(t).observed(t)
			plan, err := Make(o, desired, quick{})
			if test.state == rotating {
				_, err = proof.Judge(proof.Observed{Parameters: o.SSM.Standalone()}, proof.Asked{}, quick{})
			}
			if test.code != "" {
				require.Error(t, err)
				assert.Equal(t, test.code, fault.CodeOf(err), err.Error())
				return
			}
			require.NoError(t, err)
			assert.Equal(t, test.phase, plan.Phase)
			assert.Equal(t, test.does, plan.Writes(), "%v", actions(plan))
			entry, _ := o.Custody.Entry(desired.RotationID)
			assert.Equal(t, entry.FinishedAt, plan.EndedAt, "zero, unless the rotation is over")
			assert.NotEmpty(t, plan.Msg)
			require.NotEmpty(t, plan.Steps, "nothing to do is a step that says why")
		})
	}
}

func TestPreparedWritesInTheContractsOrder(t *testing.T) {
	plan, err := Make(idle().observed(t), desiredFor(StatePrepared), quick{})
	require.NoError(t, err)
	assert.Equal(t, []Action{
		ActLock, ActEscrowRetiring, ActEscrowNew, ActOpenLedger, ActPutOmnibus, ActPutPrevious, ActPutCurrent, ActPutSwitch, ActRecordPrepared, ActUnlock,
	}, actions(plan))
}

func TestFinalizedWritesInTheContractsOrder(t *testing.T) {
	plan, err := Make(prepared(t).observed(t), desiredFor(StateFinalized), quick{})
	require.NoError(t, err)
	assert.Equal(t, []Action{
		ActLock, ActRecordProof, ActPutOmnibus, ActDeleteSwitch, ActDeletePrevious, ActRecordFinished, ActUnlock,
	}, actions(plan))
}

func TestStandaloneDeleteIsOneDeletion(t *testing.T) {
	desired := desiredFor(StatePrepared)
	desired.Standalone = StandaloneDelete
	s := idle()
	plan := s.run(t, desired)
	assert.Equal(t, []Action{
		ActLock, ActEscrowRetiring, ActEscrowNew, ActOpenLedger, ActPutOmnibus, ActDeleteCurrent, ActRecordPrepared, ActUnlock,
	}, actions(plan))
	again, err := Make(s.observed(t), desired, quick{})
	require.NoError(t, err)
	assert.False(t, again.Writes())
	assert.False(t, again.Evidence[0].OK, "the standalone parameters do not agree until terraform ran")
	back := desiredFor(StateAborted)
	back.Proof = nil
	_, err = Make(s.observed(t), back, quick{})
	assert.Equal(t, fault.CodeStandaloneMissing, fault.CodeOf(err))
	assert.ErrorContains(t, err, "Run terraform apply")
	s.put(names().Current, newKeyed)
	s.put(names().Previous, oldKey)
	s.put(names().Switch, "true")
	again, err = Make(s.observed(t), desired, quick{})
	require.NoError(t, err)
	assert.True(t, again.Evidence[0].OK)
}

func TestFinalizedGivesTheDocumentBackButForTheKey(t *testing.T) {
	chunk := 200
	for name, desired := range map[string]Desired{"plain": desiredFor(StatePrepared), "with chunk size": func() Desired { w := desiredFor(StatePrepared); w.ChunkSize = &chunk; return w }()} {
		t.Run(name, func(t *testing.T) {
			s := idle()
			s.run(t, desired)
			if desired.ChunkSize != nil {
				assert.Equal(t, "200", s.get(names().ChunkSize).Value.Reveal())
			}
			s.run(t, desiredFor(StateFinalized))
			assert.Equal(t, replaced(document), s.get("/omnibus").Value.Reveal())
			for _, gone := range []string{names().Previous, names().Switch, names().ChunkSize} {
				assert.False(t, s.get(gone).Exists, gone)
			}
			assert.Equal(t, newKeyed, s.get(names().Current).Value.Reveal())
		})
	}
}

func TestARunCutAfterAnyStepEndsAsOneThatWasNot(t *testing.T) {
	rotate := func(t *testing.T, s store) {
		t.Helper()
		s.run(t, desiredFor(StatePrepared))
		s.run(t, desiredFor(StateFinalized))
	}
	whole := idle()
	rotate(t, whole)
	for _, phase := range []struct {
		state State
		from  func(*testing.T) store
	}{{StatePrepared, func(*testing.T) store { return idle() }}, {StateFinalized, prepared}} {
		plan, err := Make(phase.from(t).observed(t), desiredFor(phase.state), quick{})
		require.NoError(t, err)
		for cut := range plan.Steps {
			s := phase.from(t)
			for _, step := range plan.Steps[:cut] {
				s.carry(t, step)
			}
			desired := desiredFor(phase.state)
			desired.MadeKey = secret.New(thirdKey) // a run that is repeated makes another key, and must not use it
			if cut < 3 {
				desired.MadeKey = secret.New(newKeyed) // nothing was in escrow yet: the other key would be as good
			}
			s.run(t, desired)
			s.run(t, desiredFor(StateFinalized))
			assert.Equal(t, whole.end(), s.end(), "%s cut before step %d (%s)", phase.state, cut+1, plan.Steps[cut].Action)
			assert.LessOrEqual(t, len(s.observed(t).Custody.Locks), 3, "old locks are deleted")
		}
	}
}

func TestAPlanThatWouldLoseAKeyIsRefused(t *testing.T) {
	s := idle()
	o := s.observed(t)
	lose := Plan{Steps: []Step{{Action: ActDeleteCurrent, Write: remove(idle().get(names().Current))}, {Action: ActPutOmnibus, Write: &Write{Kind: Put, Name: "/omnibus", Value: secret.New("{}")}}}}
	require.ErrorContains(t, lose.Check(o, desiredFor(StatePrepared)), "not in escrow")
	early := Plan{Steps: []Step{{Action: ActPutCurrent, Write: &Write{Kind: Put, Name: names().Current, Value: secret.New(thirdKey)}}}}
	require.ErrorContains(t, early.Check(o, desiredFor(StatePrepared)), "not in escrow")
	bare := Plan{Steps: []Step{{Action: ActPutSwitch, Write: &Write{Kind: Create, Name: names().Switch, Value: secret.New("true")}}}}
	require.ErrorContains(t, bare.Check(o, desiredFor(StatePrepared)), "without a previous key")
}

func TestTheKeyOfACutOffRunIsUsedAgain(t *testing.T) {
	s := idle()
	s.runUntil(t, desiredFor(StatePrepared), ActEscrowNew)
	desired := desiredFor(StatePrepared)
	desired.MadeKey = secret.New(thirdKey)
	plan := s.run(t, desired)
	assert.Equal(t, printOf(newKeyed), plan.Current)
	assert.Equal(t, newKeyed, s.get(names().Current).Value.Reveal())
}

func TestAnotherRotationWaitsForTheOpenOne(t *testing.T) {
	desired := desiredFor(StatePrepared)
	desired.RotationID = "r2"
	_, err := Make(prepared(t).observed(t), desired, quick{})
	assert.Equal(t, fault.CodeRotationOpen, fault.CodeOf(err))
	assert.ErrorContains(t, err, "r1")
}

func TestAnotherRotationWaitsForOneThatWasCutOffBeforeTheOmnibusChanged(t *testing.T) {
	s := idle()
	s.runUntil(t, desiredFor(StatePrepared), ActOpenLedger)
	desired := desiredFor(StatePrepared)
	desired.RotationID = "r2"
	_, err := Make(s.observed(t), desired, quick{})
	assert.Equal(t, fault.CodeRotationOpen, fault.CodeOf(err))
	desired.RotationID = ""
	again := s.run(t, desired)
	assert.Equal(t, "r1", again.RotationID, "without a name of its own a run continues with the open rotation")
}

func TestALiveLockIsRespectedAndADeadOneTakenOver(t *testing.T) {
	s := idle()
	plan, err := Make(s.observed(t), desiredFor(StatePrepared), quick{})
	require.NoError(t, err)
	s.carry(t, plan.Steps[0])

	o := s.observed(t)
	o.Custody.Locks[0].Holder.Alive = true
	_, err = Make(o, desiredFor(StatePrepared), quick{})
	assert.Equal(t, fault.CodeLocked, fault.CodeOf(err))

	o.Custody.Locks[0].Holder.Local, o.Custody.Locks[0].Holder.Alive = false, false
	_, err = Make(o, desiredFor(StatePrepared), quick{})
	assert.Equal(t, fault.CodeLocked, fault.CodeOf(err), "elsewhere only the lease tells")

	o.Now, o.SSM.Ahead = o.Now.Add(custody.Lease+time.Second), -time.Minute
	_, err = Make(o, desiredFor(StatePrepared), quick{})
	assert.Equal(t, fault.CodeLocked, fault.CodeOf(err), "the lease ends by SSM's clock")

	o.SSM.Ahead = 0
	plan, err = Make(o, desiredFor(StatePrepared), quick{})
	require.NoError(t, err)
	require.Len(t, plan.Warnings, 1)
	assert.Contains(t, plan.Warnings[0], "process 1 on here")
	assert.Equal(t, "/custody/app/lock/2", plan.Steps[0].Target)
}

func TestWhatIsAskedForIsAskedForOnlyWhenTheAnswerDependsOnIt(t *testing.T) {
	o := idle().observed(t)
	o.SSM.Described, o.Custody = false, custody.Inventory{}
	days := 365
	desired := desiredFor(StatePrepared)
	desired.RotationID, desired.MaxAgeDays = "", &days
	plan, err := Make(o, desired, quick{})
	require.NoError(t, err)
	assert.Equal(t, NeedEscrow, plan.Needs)
	o.Custody.Asked = true
	plan, err = Make(o, desired, quick{})
	require.NoError(t, err)
	assert.Equal(t, PhaseIdle, plan.Phase)

	// A key in escrow may be retired by an open rotation, and that one goes on, whatever the key's age.
	o.Custody.Escrow = []custody.EscrowedKey{{App: "app", Held: true, Fingerprint: quick{}.Of(o.SSM.Current.Value), Key: o.SSM.Current.Value, Origin: custody.OriginCaptured}}
	plan, err = Make(o, desired, quick{})
	require.NoError(t, err)
	assert.Equal(t, NeedInventory, plan.Needs)
	o.Custody = custody.Inventory{}

	plan, err = Make(o, desiredFor(StatePrepared), quick{})
	require.NoError(t, err)
	assert.Equal(t, NeedInventory, plan.Needs)
	o.Custody.Complete = true
	plan, err = Make(o, desiredFor(StatePrepared), quick{})
	require.NoError(t, err)
	assert.Equal(t, NeedDescription, plan.Needs)
}
