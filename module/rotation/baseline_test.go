package rotation

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/custody"
)

func TestAProvisionalBaselineGivesWayOnceAndNoOtherDoes(t *testing.T) {
	baseline := func(digit string, provisional bool) *custody.Baseline {
		return &custody.Baseline{Path: "/b", Digest: strings.Repeat(digit, 64), Total: 3, Provisional: provisional}
	}
	s, desired := idle(), desiredFor(StatePrepared)
	desired.Baseline = baseline("1", true)
	s.run(t, desired)
	kept := func() *custody.Baseline {
		inventory := s.observed(t).Custody
		entry, ok := inventory.Open()
		require.True(t, ok)
		assert.Equal(t, custody.StagePrepared, entry.Stage)
		return entry.Baseline
	}
	assert.Equal(t, desired.Baseline, kept())
	end := s.end()

	desired.Baseline = baseline("2", true)
	plan, err := Make(s.observed(t), desired, quick{})
	require.NoError(t, err)
	assert.False(t, plan.Writes(), "another provisional one is no better")

	desired.Baseline = baseline("3", false)
	plan = s.run(t, desired)
	assert.Contains(t, actions(plan), ActUpdateLedger)
	assert.Equal(t, desired.Baseline, kept())
	assert.Equal(t, end, s.end(), "the ledger alone is written")

	for _, other := range []*custody.Baseline{baseline("3", false), baseline("4", false), nil} {
		desired.Baseline = other
		plan, err = Make(s.observed(t), desired, quick{})
		require.NoError(t, err)
		assert.False(t, plan.Writes(), "records may be re-encrypted by now")
		assert.Equal(t, baseline("3", false), plan.Baseline)
	}
}
