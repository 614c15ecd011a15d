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

// byHand is what somebody leaves who follows the page by hand: ssmKey is the previous key's name.
func byHand(ssmKey string) store {
	s := store{}
	s.put("/omnibus", strings.Replace(strings.Replace(document, oldKey, newKeyed, 1), `"TOWER_DB_USER"`, `"TOWER_CRYPTO_PREVIOUS_SECRET": {
		"ssm_key": "`+ssmKey+`",
		"value": "`+oldKey+`"
	},
	"TOWER_CRYPTO_ROTATE_KEYS": {
		"ssm_key": "/config/app/tower/secret-rotation/enabled",
		"value": "true"
	},
	"TOWER_DB_USER"`, 1))
	s.put(names().Current, newKeyed)
	s.put(ssmKey, oldKey)
	s.put(names().Switch, "true")
	return s
}

func explained(t *testing.T) *proof.Proof {
	t.Helper()
	made, why := proof.ProveExplained(proof.Observed{
		Now: noon, Parameters: proof.Parameters{Current: proof.Parameter{Value: secret.New(newKeyed)}}, Records: &proof.Records{Database: "db", Total: 4, Current: 1, Previous: 2, Orphaned: 1},
	}, secret.New(oldKey), proof.Asked{App: "app"}, quick{})
	require.NotNil(t, made, why)
	return made
}

func adoption(t *testing.T) Desired {
	t.Helper()
	desired := desiredFor(StatePrepared)
	desired.Adopt, desired.Proof = true, explained(t)
	return desired
}

func TestARotationThatWasBegunByHandIsTakenOverWhereverItIsCut(t *testing.T) {
	for _, ssmKey := range []string{names().Previous, names().LegacyPrevious} {
		whole, err := Make(byHand(ssmKey).observed(t), adoption(t), quick{})
		require.NoError(t, err)
		assert.Equal(t, PhasePrepared, whole.Phase)
		for cut := range len(whole.Steps) + 1 {
			s := byHand(ssmKey)
			for _, step := range whole.Steps[:cut] {
				s.carry(t, step)
				needsNoKeyThatIsGoneByHand(t, s)
			}
			s.run(t, adoption(t))
			again, err := Make(s.observed(t), adoption(t), quick{})
			require.NoError(t, err)
			assert.False(t, again.Writes(), "%s, cut after %d steps: a second run writes %v", ssmKey, cut, actions(again))
			assert.Equal(t, []string{newKeyed, oldKey, "true"}, []string{s.get(names().Current).Value.Reveal(), s.get(names().Previous).Value.Reveal(), s.get(names().Switch).Value.Reveal()})
			seen := s.observed(t)
			entry, _ := seen.Custody.Entry("r1")
			assert.Equal(t, custody.StagePrepared, entry.Stage)
			retiring, held := seen.Custody.Find(printOf(oldKey))
			assert.True(t, held)
			assert.Equal(t, []string{"snap-1"}, retiring.Backups)
			_, held = seen.Custody.Find(printOf(newKeyed))
			assert.True(t, held)

			assert.Equal(t, PhaseFinalized, s.run(t, desiredFor(StateFinalized)).Phase)
			needsNoKeyThatIsGoneByHand(t, s)
			assert.Equal(t, strings.Replace(document, oldKey, newKeyed, 1), s.get("/omnibus").Value.Reveal(), "%s, cut after %d steps", ssmKey, cut)
			for _, name := range []string{names().Previous, names().LegacyPrevious, names().Switch} {
				assert.False(t, s.get(name).Exists, name)
			}
		}
	}
}

// needsNoKeyThatIsGoneByHand leaves out the switch without its key: that is how the older page leaves it.
func needsNoKeyThatIsGoneByHand(t *testing.T, s store) {
	t.Helper()
	for _, key := range []string{oldKey, newKeyed} {
		require.NotEmpty(t, s.holding(key), "key %.3s is nowhere", key)
	}
}

func TestARotationThatTheRecordsDoNotExplainIsNotTakenOver(t *testing.T) {
	another := func(change func(*proof.Proof), signer string) func(*Desired) {
		return func(desired *Desired) { change(desired.Proof); desired.Proof.Sign(quick{}, secret.New(signer)) }
	}
	for name, test := range map[string]struct {
		change func(*Desired)
		store  func() store
		code   fault.Code
		words  string
	}{
		"without adopt":       {func(d *Desired) { d.Adopt = false }, nil, fault.CodeInconsistent, "the ledger has no rotation that explains it"},
		"no proof":            {func(d *Desired) { d.Proof = nil }, nil, fault.CodeProofMissing, "no proof that the two keys open the records"},
		"of completion":       {func(d *Desired) { d.Proof = proofOf() }, nil, fault.CodeProofMismatch, "does not say which keys"},
		"of other keys":       {another(func(p *proof.Proof) { p.Previous = printOf(thirdKey) }, newKeyed), nil, fault.CodeProofMismatch, "were opened with keys"},
		"of another":          {another(func(p *proof.Proof) { p.App = "other" }, newKeyed), nil, fault.CodeProofMismatch, `"other"`},
		"signed with the old": {another(func(*proof.Proof) {}, oldKey), nil, fault.CodeProofMismatch, "mac"},
		"old":                 {another(func(p *proof.Proof) { p.MadeAt = noon.Add(-25 * time.Hour) }, newKeyed), nil, fault.CodeProofTooOld, "That is more than"},
		"another new_secret":  {func(d *Desired) { d.NewKey = secret.New(thirdKey) }, nil, fault.CodeRotationOpen, "goes to key " + string(printOf(newKeyed))},
		"no previous key there": {func(*Desired) {}, func() store {
			s := byHand(names().Previous)
			s.put("/omnibus", strings.Replace(s.get("/omnibus").Value.Reveal(), oldKey, "", 1))
			delete(s, names().Previous)
			return s
		}, fault.CodeInconsistent, "no parameter has the previous key"},
	} {
		t.Run(name, func(t *testing.T) {
			s, desired := byHand(names().Previous), adoption(t)
			if test.store != nil {
				s = test.store()
			}
			test.change(&desired)
			_, err := Make(s.observed(t), desired, quick{})
			require.Error(t, err)
			assert.Equal(t, test.code, fault.CodeOf(err), "%v", err)
			assert.ErrorContains(t, err, test.words)
		})
	}
	open := prepared(t)
	other := adoption(t)
	other.RotationID = "r2"
	_, err := Make(open.observed(t), other, quick{})
	assert.Equal(t, fault.CodeRotationOpen, fault.CodeOf(err), "one that is ours is not taken over")
	quiet := idle()
	plan := quiet.run(t, adoption(t))
	assert.Equal(t, PhasePrepared, plan.Phase, "where nothing was begun, adopt changes nothing: this is a rotation like any other")
}
