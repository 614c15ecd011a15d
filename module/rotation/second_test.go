package rotation

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/proof"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// Second runs with other options, or with other parameters, than the first.

func TestSecondRun_anotherInstallationsCustody(t *testing.T) {
	s := finalized(t)
	other := Names{Names: proof.NamesBelow("/config/bee"), Omnibus: "/omnibus-bee", Custody: "/custody/app"}
	s.put("/omnibus-bee", strings.ReplaceAll(strings.ReplaceAll(document, "/config/app", "/config/bee"), oldKey, thirdKey))
	s.put(other.Current, thirdKey)
	for _, state := range []State{StatePrepared, StateFinalized, StateAborted} {
		o := s.observed(t)
		o.SSM = Parameters{Omnibus: s.get("/omnibus-bee"), Current: s.get(other.Current), Previous: s.get(other.Previous), Described: true}
		desired := desiredFor(state)
		desired.App, desired.Names = "bee", other
		_, err := Make(o, desired, quick{})
		assert.Equal(t, fault.CodeAppMismatch, fault.CodeOf(err), state)
		assert.ErrorContains(t, err, "custody_prefix")
	}
}

func TestSecondRun_theLedgerAloneDoesNotDecide(t *testing.T) {
	s := finalized(t)
	s.put("/omnibus", document) // an old state of terraform
	s.put(names().Current, oldKey)
	for _, state := range []State{StatePrepared, StateFinalized} {
		_, err := Make(s.observed(t), desiredFor(state), quick{})
		assert.Equal(t, fault.CodeInconsistent, fault.CodeOf(err), state)
	}
	later := finalized(t)
	desired := desiredFor(StatePrepared)
	desired.RotationID, desired.MadeKey = "r2", secret.New(thirdKey)
	later.run(t, desired)
	plan, err := Make(later.observed(t), desiredFor(StatePrepared), quick{})
	require.NoError(t, err, "a later rotation explains the key in use")
	assert.Equal(t, PhaseFinalized, plan.Phase)
	o := later.observed(t)
	o.Custody.Complete = false
	plan, err = Make(o, desiredFor(StatePrepared), quick{})
	require.NoError(t, err)
	assert.Equal(t, NeedInventory, plan.Needs, "the rest of the ledger is read first")
}

func TestSecondRun_aFinalizeThatWasCutIsContinuedWithoutARotationID(t *testing.T) {
	for _, cut := range []Action{ActPutOmnibus, ActDeleteSwitch} {
		s := prepared(t)
		s.runUntil(t, desiredFor(StateFinalized), cut)
		desired, days := desiredFor(StatePrepared), 90
		desired.RotationID, desired.MaxAgeDays = "", &days
		o := s.observed(t)
		o.Custody = custody.Inventory{}
		plan, err := Make(o, desired, quick{})
		require.NoError(t, err)
		assert.Equal(t, NeedInventory, plan.Needs, "cut after %s", cut)
		plan, err = Make(s.observed(t), desired, quick{})
		require.NoError(t, err)
		assert.Equal(t, PhaseRotated, plan.Phase)
	}
}

func TestSecondRun_aProofOfLongAgoCountsOnlyOnceTheOmnibusIsCleared(t *testing.T) {
	for cut, gone := range map[Action]bool{ActRecordProof: false, ActPutOmnibus: true} {
		s := prepared(t)
		s.runUntil(t, desiredFor(StateFinalized), cut)
		o := s.observed(t)
		o.Now = noon.Add(proof.MaxAge + time.Minute)
		plan, err := Make(o, desiredFor(StatePrepared), quick{})
		require.NoError(t, err)
		assert.Equal(t, map[bool]Phase{false: PhasePrepared, true: PhaseRotated}[gone], plan.Phase, cut)
		desired := desiredFor(StateFinalized)
		desired.Proof = nil
		_, err = Make(o, desired, quick{})
		assert.Equal(t, gone, err == nil, cut)
		assert.Equal(t, !gone, fault.Is(err, fault.CodeProofMissing), cut)
		o.Now = noon.Add(proof.MaxAge)
		_, err = Make(o, desired, quick{})
		require.NoError(t, err)
	}
}

func TestSecondRun_anAbortedRotationIsNeverFinishedByHand(t *testing.T) {
	s := prepared(t)
	both := s.get("/omnibus").Value.Reveal()
	s.run(t, toAbort(spared(t)))
	s.put("/omnibus", both)
	_, err := Make(s.observed(t), desiredFor(StatePrepared), quick{})
	require.ErrorContains(t, err, "put key "+string(printOf(oldKey))+" back")
}

func TestSecondRun_backupsNamedLater(t *testing.T) {
	proved := prepared(t)
	proved.runUntil(t, desiredFor(StateFinalized), ActRecordProof)
	open := idle()
	open.runUntil(t, desiredFor(StatePrepared), ActOpenLedger)
	half := idle()
	half.runUntil(t, desiredFor(StatePrepared), ActPutOmnibus)
	for name, s := range map[string]store{"open": open, "half prepared": half, "prepared": prepared(t), "proved": proved, "finished": finalized(t)} {
		t.Run(name, func(t *testing.T) {
			desired := desiredFor(StatePrepared)
			desired.Backups = []string{"snap-1", "snap-2"}
			s.run(t, desired)
			inventory := s.observed(t).Custody
			kept, _ := inventory.Find(printOf(oldKey))
			assert.Empty(t, kept.Unlinked(desired.Backups))
			again, err := Make(s.observed(t), desired, quick{})
			require.NoError(t, err)
			assert.False(t, again.Writes())
		})
	}
}

func TestSecondRun_aLaterBackupIsTiedAlsoWithALaterBaseline(t *testing.T) {
	s, desired := idle(), desiredFor(StatePrepared)
	desired.Baseline = &custody.Baseline{Path: "/b", Digest: strings.Repeat("1", 64), Total: 3, Provisional: true}
	s.run(t, desired)
	desired.Baseline = &custody.Baseline{Path: "/b", Digest: strings.Repeat("2", 64), Total: 3}
	desired.Backups = []string{"snap-1", "snap-2"}
	plan := s.run(t, desired)
	assert.Subset(t, actions(plan), []Action{ActTieBackups, ActUpdateLedger})
	again, err := Make(s.observed(t), desired, quick{})
	require.NoError(t, err)
	assert.False(t, again.Writes())
}

func TestSecondRun_chunkSize(t *testing.T) {
	size, other := 100, 200
	desired := desiredFor(StatePrepared)
	desired.ChunkSize = &size
	_, err := Make(prepared(t).observed(t), desired, quick{})
	assert.Equal(t, fault.CodeRotationOpen, fault.CodeOf(err), "prepared without one")

	s := idle()
	s.run(t, desired)
	desired.ChunkSize = &other
	_, err = Make(s.observed(t), desired, quick{})
	assert.Equal(t, fault.CodeRotationOpen, fault.CodeOf(err), "prepared with another one")

	for _, cut := range []Action{ActOpenLedger, ActPutOmnibus} {
		for name, chunks := range map[string][2]*int{"added": {nil, &size}, "left out": {&size, nil}, "the same": {&size, &size}} {
			if cut == ActPutOmnibus && name == "added" {
				continue // refused, see above
			}
			for _, end := range []Desired{desiredFor(StateFinalized), toAbort(spared(t))} {
				s := idle()
				desired.ChunkSize = chunks[0]
				s.runUntil(t, desired, cut)
				desired.ChunkSize = chunks[1]
				s.run(t, desired)
				assert.Equal(t, strings.Contains(s.get("/omnibus").Value.Reveal(), EntryChunkSize), s.get(names().ChunkSize).Exists, "%s: omnibus and standalone agree", name)
				s.run(t, end)
				assert.False(t, s.get(names().ChunkSize).Exists, "%s, cut after %s, %s", name, cut, end.State)
				assert.NotContains(t, s.get("/omnibus").Value.Reveal(), EntryChunkSize, "%s, cut after %s, %s", name, cut, end.State)
			}
		}
	}
}

func TestSecondRun_newSecretFromEscrow(t *testing.T) {
	for _, other := range []secret.Fingerprint{printOf(oldKey), "ffffffffffffffff"} {
		desired := desiredFor(StatePrepared)
		desired.FromEscrow = other
		_, err := Make(prepared(t).observed(t), desired, quick{})
		assert.Equal(t, fault.CodeRotationOpen, fault.CodeOf(err))
	}
	desired := desiredFor(StatePrepared)
	desired.FromEscrow = printOf(newKeyed)
	_, err := Make(prepared(t).observed(t), desired, quick{})
	assert.NoError(t, err)
}

func TestSecondRun_withoutARotationIDKnowsThePlatformAndTheEnd(t *testing.T) {
	s, days := idle(), 90
	first := desiredFor(StatePrepared)
	first.Platform = &custody.Platform{Project: "tower", Dir: "/p"}
	s.run(t, first)
	s.run(t, desiredFor(StateFinalized))
	o := s.observed(t)
	entry, _ := o.Custody.Entry("r1")
	for name, set := range map[string]func(*Desired){
		"by age":          func(w *Desired) { w.MaxAgeDays = &days },
		"the key in use":  func(w *Desired) { w.NewKey = secret.New(newKeyed) },
		"from escrow":     func(w *Desired) { w.FromEscrow = printOf(newKeyed) },
		"the rotation_id": func(w *Desired) { w.RotationID = "r1" },
	} {
		desired := desiredFor(StatePrepared)
		desired.RotationID = ""
		set(&desired)
		plan, err := Make(o, desired, quick{})
		require.NoError(t, err, name)
		assert.False(t, plan.Writes(), name)
		assert.Equal(t, first.Platform, plan.Platform, name)
		assert.Equal(t, entry.FinishedAt, plan.EndedAt, name)
	}
}

func TestSecondRun_aRotationThatIsOverKeepsItsEndWhileALaterOneIsOpen(t *testing.T) {
	s := finalized(t)
	later := desiredFor(StatePrepared)
	later.RotationID, later.MadeKey = "r2", secret.New(thirdKey)
	s.run(t, later)
	o := s.observed(t)
	entry, _ := o.Custody.Entry("r1")
	plan, err := Make(o, desiredFor(StatePrepared), quick{})
	require.NoError(t, err)
	assert.Equal(t, entry.FinishedAt, plan.EndedAt)
}

func TestLast(t *testing.T) {
	at := func(day int) time.Time { return time.Date(2026, 11, day, 0, 0, 0, 0, time.UTC) }
	inventory := custody.Inventory{Ledger: []custody.Entry{
		{RotationID: "a", Previous: "1", Current: "2", Stage: custody.StageFinished, FinishedAt: at(1)},
		{RotationID: "b", Previous: "2", Current: "3", Stage: custody.StageAborted, AbortedAt: at(2)},
		{RotationID: "c", Previous: "2", Current: "1", Stage: custody.StageAborted, ReversedAt: at(3), AbortedAt: at(4)},
		{RotationID: "d", Previous: "2", Current: "4", Stage: custody.StagePrepared},
	}}
	for key, want := range map[secret.Fingerprint]struct {
		id    string
		ended time.Time
	}{"2": {"b", time.Time{}}, "1": {"c", at(4)}, "3": {}, "4": {}} {
		last, ok := inventory.Last(key)
		assert.Equal(t, want.id, last.RotationID, key)
		assert.Equal(t, want.id != "", ok, key)
		assert.Equal(t, want.ended, last.EndedAt(), key)
	}
}

func TestLeads(t *testing.T) {
	inventory := custody.Inventory{Ledger: []custody.Entry{
		{RotationID: "a", Previous: "1", Current: "2", Stage: custody.StageFinished},
		{RotationID: "b", Previous: "2", Current: "3", Stage: custody.StageAborted},
		{RotationID: "c", Previous: "2", Current: "4", Stage: custody.StageFinished},
		{RotationID: "d", Previous: "4", Current: "1", Stage: custody.StagePrepared},
	}}
	assert.True(t, inventory.Leads("1", "4"))
	assert.True(t, inventory.Leads("2", "1"))
	assert.False(t, inventory.Leads("1", "3"))
}

func TestAnotherRotationThatIsOpenIsNamedInsteadOfBlamingSomebody(t *testing.T) {
	s := prepared(t)
	s.run(t, toAbort(spared(t)))
	second := desiredFor(StatePrepared)
	second.RotationID, second.NewKey = "r2", secret.New(newKeyed)
	s.run(t, second)
	_, err := Make(s.observed(t), desiredFor(StatePrepared), quick{})
	assert.Equal(t, fault.CodeRotationOpen, fault.CodeOf(err), "%v", err)
	assert.ErrorContains(t, err, "r2")
}

func TestASecondRunWithAnotherKeyIsNotToldThatTheFirstKeyIsGone(t *testing.T) {
	s := finalized(t)
	first := desiredFor(StatePrepared)
	first.RotationID, first.FromEscrow, first.CaptureOnly = "r2", printOf(oldKey), true
	s.run(t, first)
	other := desiredFor(StatePrepared)
	other.RotationID, other.NewKey = "r2", secret.New(thirdKey)
	_, err := Make(s.observed(t), other, quick{})
	assert.Equal(t, fault.CodeRotationOpen, fault.CodeOf(err), "%v", err)
	assert.ErrorContains(t, err, string(printOf(oldKey)))
}
