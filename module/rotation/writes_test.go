package rotation

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// A parameter that is written over keeps all that is not its value; a new standalone one gets the KMS key that the VM can use.
func TestWrites_keepWhatIsNotOurs(t *testing.T) {
	s := idle()
	o := s.observed(t)
	for i, p := range []*Parameter{&o.SSM.Omnibus, &o.SSM.Current} {
		p.KeyID, p.Tier, p.Policies, p.Pattern, p.DataType = []string{"alias/operator", "alias/vm"}[i], "Advanced", "[p]", "^x$", "text"
	}
	plan, err := Make(o, desiredFor(StatePrepared), quick{})
	require.NoError(t, err)
	for _, step := range plan.Steps {
		write := step.Write
		kept := []string{write.KeyID, write.Tier, write.Policies, write.Pattern, write.DataType}
		switch step.Action {
		case ActPutOmnibus:
			assert.Equal(t, []string{"alias/operator", "Advanced", "[p]", "^x$", "text"}, kept)
		case ActPutCurrent:
			assert.Equal(t, []string{"alias/vm", "Advanced", "[p]", "^x$", "text"}, kept)
		case ActPutPrevious, ActPutSwitch:
			assert.Equal(t, []string{"alias/vm", "", "", "", ""}, kept)
		default:
			assert.Equal(t, "alias/operator", write.KeyID, step.Action)
		}
	}
}

func TestFit_advancedLimit(t *testing.T) {
	for size, code := range map[int]fault.Code{advancedLimit: "", advancedLimit + 1: fault.CodeTooLarge} {
		for _, tier := range []string{"Advanced", "Standard"} {
			step := Step{Write: &Write{Kind: Put, Name: "/x", Value: secret.New(strings.Repeat("x", size)), Attributes: custody.Attributes{Tier: tier}}}
			assert.Equal(t, code, fault.CodeOf(chooseTiers([]Step{step}, Desired{AllowAdvanced: true})))
		}
	}
}

// A rotation that begins must be able to end: a refusal in the second outage would be too late.
func TestFit_theLedgerKeepsSpaceForTheEnd(t *testing.T) {
	for action, code := range map[Action]fault.Code{ActOpenLedger: fault.CodeTooLarge, ActRecordPrepared: fault.CodeTooLarge, ActRecordProof: ""} {
		step := Step{Action: action, Write: &Write{Kind: Put, Name: "/x", Value: secret.New(strings.Repeat("x", standardLimit-ledgerEnd+1))}}
		assert.Equal(t, code, fault.CodeOf(chooseTiers([]Step{step}, Desired{})), action)
	}
}

// What a run with capture_only writes before the outage must leave space for the writes in the outage.
func TestFit_theOpenedLedgerKeepsSpaceForThePreparedOne(t *testing.T) {
	s := idle()
	desired := desiredFor(StatePrepared)
	s.runUntil(t, desired, ActOpenLedger)
	name := custody.LedgerName(desired.Names.Custody, desired.RotationID)
	opened := s[name].Value.Len()
	s.runUntil(t, desired, ActRecordPrepared)
	added := s[name].Value.Len() - opened
	_, later := ledgerLater(ActOpenLedger, desired.Names)
	assert.LessOrEqual(t, added+ledgerEnd, later)
}

// A run that died before it could release the lock leaves nothing to write. The next rotation takes the lock over.
func TestALockOfADeadRunHoldsUpNobody(t *testing.T) {
	s := idle()
	s.runUntil(t, desiredFor(StatePrepared), ActRecordPrepared)
	again, err := Make(s.observed(t), desiredFor(StatePrepared), quick{})
	require.NoError(t, err)
	assert.False(t, again.Writes(), "%v", actions(again))
	assert.Equal(t, PhaseFinalized, s.run(t, desiredFor(StateFinalized)).Phase)
}
