package rotation

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/proof"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

func captureWish() Wish {
	wish := wishFor(StatePrepared)
	wish.CaptureOnly = true
	wish.Platform = &custody.Platform{Project: "tower", Dir: "/home/ec2-user", Mounts: map[string][]string{"db": {"/data:/var/lib/mysql"}}}
	return wish
}

func TestCaptureOnly(t *testing.T) {
	s := idle()
	before := map[string]string{"/omnibus": s.get("/omnibus").Value.Reveal(), names().Current: s.get(names().Current).Value.Reveal()}
	plan := s.run(t, captureWish())
	assert.Equal(t, []Action{ActLock, ActEscrowRetiring, ActEscrowNew, ActOpenLedger, ActUnlock}, actions(plan))
	assert.Equal(t, PhaseDue, plan.Phase)
	assert.Equal(t, printOf(oldKey), plan.Current, "the key in use is the old one")
	for name, value := range before {
		assert.Equal(t, value, s.get(name).Value.Reveal(), "the Platform's parameters are as before")
	}
	shelf := s.world(t).Custody
	entry, _ := shelf.Open()
	assert.Equal(t, custody.StageOpen, entry.Stage)
	assert.Equal(t, captureWish().Platform, entry.Platform)

	again, err := Make(s.world(t), captureWish(), quick{})
	require.NoError(t, err)
	assert.False(t, again.Writes(), "idempotent: %v", actions(again))
	assert.Equal(t, entry.Platform, again.Platform)

	wish := wishFor(StatePrepared)
	wish.MadeKey = secret.New(thirdKey)
	plan = s.run(t, wish)
	assert.Equal(t, PhasePrepared, plan.Phase)
	assert.Equal(t, printOf(newKeyed), plan.Current, "it continues with the captured key")
	assert.Equal(t, prepared(t).end(), s.end())
	shelf = s.world(t).Custody
	entry, _ = shelf.Open()
	assert.Equal(t, captureWish().Platform, entry.Platform, "the Platform stays on record")

	again, err = Make(s.world(t), captureWish(), quick{})
	require.NoError(t, err)
	assert.False(t, again.Writes())
	assert.Equal(t, PhasePrepared, again.Phase)
	plan = s.run(t, wishFor(StateFinalized))
	assert.Equal(t, captureWish().Platform, plan.Platform)

	over, err := Make(s.world(t), wishFor(StatePrepared), quick{})
	require.NoError(t, err)
	assert.Equal(t, PhaseFinalized, over.Phase)
	assert.Equal(t, captureWish().Platform, over.Platform, "a run that was cut off after finalized may have left it down")
}

func TestCaptureOnly_anotherPlatform(t *testing.T) {
	s := idle()
	s.run(t, captureWish())
	wish := captureWish()
	wish.Platform.Dir = "/opt/tower"
	plan := s.run(t, wish)
	assert.Equal(t, []Action{ActLock, ActClearLocks, ActUpdateLedger, ActUnlock}, actions(plan))
	shelf := s.world(t).Custody
	entry, _ := shelf.Open()
	assert.Equal(t, "/opt/tower", entry.Platform.Dir)
}

// What Ansible hands on has empty lists, and the ledger has none: that is the same Platform.
func TestCaptureOnly_emptyLists(t *testing.T) {
	s := idle()
	wish := captureWish()
	wish.Platform.Profiles, wish.Platform.EnvFiles = []string{}, []string{}
	s.run(t, wish)
	again, err := Make(s.world(t), wish, quick{})
	require.NoError(t, err)
	assert.False(t, again.Writes())
}

func TestCaptureOnly_cutAnywhere(t *testing.T) {
	whole := idle()
	steps := whole.run(t, captureWish()).Steps
	for cut := range steps {
		s := idle()
		for _, step := range steps[:cut] {
			s.carry(t, step)
		}
		s.run(t, captureWish())
		assert.Equal(t, whole.end(), s.end(), "cut before %s", steps[cut].Action)
	}
}

func TestPlatformIsTooLargeForTheLedger(t *testing.T) {
	wish := captureWish()
	wish.Platform.Files = []string{strings.Repeat("x", platformLimit)}
	_, err := Make(idle().world(t), wish, quick{})
	assert.Equal(t, fault.CodeTooLarge, fault.CodeOf(err))
	assert.ErrorContains(t, err, "allow_advanced_tier")
	wish.AllowAdvanced = true
	_, err = Make(idle().world(t), wish, quick{})
	assert.NoError(t, err)
}

func TestLastRecords(t *testing.T) {
	s := finalized(t)
	shelf := s.world(t).Custody
	require.NotNil(t, shelf.LastRecords())
	assert.Equal(t, 10, *shelf.LastRecords())
	shelf = prepared(t).world(t).Custody
	assert.Nil(t, shelf.LastRecords())
	wish := wishFor(StateFinalized)
	wish.Proof.Verify, wish.Proof.Database, wish.Proof.Total, wish.Proof.AttestedBy = []proof.Verify{proof.VerifyAttested}, "", 0, "jo"
	wish.Proof.Sign(quick{}, secret.New(newKeyed))
	s = prepared(t)
	s.run(t, wish)
	shelf = s.world(t).Custody
	assert.Nil(t, shelf.LastRecords(), "somebody's word counts no records")
}
