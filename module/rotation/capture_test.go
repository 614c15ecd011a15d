package rotation

import (
	"encoding/json"
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

func toCapture() Desired {
	desired := desiredFor(StatePrepared)
	desired.CaptureOnly = true
	desired.Platform = &custody.Platform{Project: "tower", Dir: "/home/ec2-user", Mounts: map[string][]string{"db": {"/data:/var/lib/mysql"}}}
	return desired
}

func TestCaptureOnly(t *testing.T) {
	s := idle()
	before := map[string]string{"/omnibus": s.get("/omnibus").Value.Reveal(), names().Current: s.get(names().Current).Value.Reveal()}
	plan := s.run(t, toCapture())
	assert.Equal(t, []Action{ActLock, ActEscrowRetiring, ActEscrowNew, ActOpenLedger, ActUnlock}, actions(plan))
	assert.Equal(t, PhaseDue, plan.Phase)
	assert.Equal(t, printOf(oldKey), plan.Current, "the key in use is the old one")
	for name, value := range before {
		assert.Equal(t, value, s.get(name).Value.Reveal(), "the Platform's parameters are as before")
	}
	inventory := s.observed(t).Custody
	entry, _ := inventory.Open()
	assert.Equal(t, custody.StageOpen, entry.Stage)
	assert.Equal(t, toCapture().Platform, entry.Platform)

	again, err := Make(s.observed(t), toCapture(), quick{})
	require.NoError(t, err)
	assert.False(t, again.Writes(), "idempotent: %v", actions(again))
	assert.Equal(t, entry.Platform, again.Platform)

	desired := desiredFor(StatePrepared)
	desired.MadeKey = secret.New(thirdKey)
	plan = s.run(t, desired)
	assert.Equal(t, PhasePrepared, plan.Phase)
	assert.Equal(t, printOf(newKeyed), plan.Current, "it continues with the captured key")
	assert.Equal(t, prepared(t).end(), s.end())
	inventory = s.observed(t).Custody
	entry, _ = inventory.Open()
	assert.Equal(t, toCapture().Platform, entry.Platform, "the Platform stays on record")

	again, err = Make(s.observed(t), toCapture(), quick{})
	require.NoError(t, err)
	assert.False(t, again.Writes())
	assert.Equal(t, PhasePrepared, again.Phase)
	plan = s.run(t, desiredFor(StateFinalized))
	assert.Equal(t, toCapture().Platform, plan.Platform)

	over, err := Make(s.observed(t), desiredFor(StatePrepared), quick{})
	require.NoError(t, err)
	assert.Equal(t, PhaseFinalized, over.Phase)
	assert.Equal(t, toCapture().Platform, over.Platform, "a run that was interrupted after finalized may have left it down")
}

func TestCaptureOnly_anotherPlatform(t *testing.T) {
	s := idle()
	s.run(t, toCapture())
	desired := toCapture()
	desired.Platform.Dir = "/opt/tower"
	plan := s.run(t, desired)
	assert.Equal(t, []Action{ActLock, ActClearLocks, ActUpdateLedger, ActUnlock}, actions(plan))
	inventory := s.observed(t).Custody
	entry, _ := inventory.Open()
	assert.Equal(t, "/opt/tower", entry.Platform.Dir)
}

// What Ansible hands on has empty lists, and the ledger has none: that is the same Platform.
func TestCaptureOnly_emptyLists(t *testing.T) {
	s := idle()
	desired := toCapture()
	desired.Platform.Profiles, desired.Platform.EnvFiles = []string{}, []string{}
	s.run(t, desired)
	again, err := Make(s.observed(t), desired, quick{})
	require.NoError(t, err)
	assert.False(t, again.Writes())
}

func TestCaptureOnly_cutAnywhere(t *testing.T) {
	whole := idle()
	steps := whole.run(t, toCapture()).Steps
	for cut := range steps {
		s := idle()
		for _, step := range steps[:cut] {
			s.carry(t, step)
		}
		s.run(t, toCapture())
		assert.Equal(t, whole.end(), s.end(), "cut before %s", steps[cut].Action)
	}
}

func TestPlatformIsTooLargeForTheLedger(t *testing.T) {
	desired := toCapture()
	desired.Platform.Files = []string{strings.Repeat("x", platformLimit)}
	_, err := Make(idle().observed(t), desired, quick{})
	assert.Equal(t, fault.CodeTooLarge, fault.CodeOf(err))
	assert.ErrorContains(t, err, "allow_advanced_tier")
	desired.AllowAdvanced = true
	_, err = Make(idle().observed(t), desired, quick{})
	assert.NoError(t, err)
}

func TestLastRecords(t *testing.T) {
	s := finalized(t)
	inventory := s.observed(t).Custody
	require.NotNil(t, inventory.LastRecords())
	assert.Equal(t, 10, *inventory.LastRecords())
	inventory = prepared(t).observed(t).Custody
	assert.Nil(t, inventory.LastRecords())
	desired := desiredFor(StateFinalized)
	desired.Proof.Verify, desired.Proof.Database, desired.Proof.Total, desired.Proof.AttestedBy = []proof.Verify{proof.VerifyAttested}, "", 0, "jo"
	desired.Proof.Sign(quick{}, secret.New(newKeyed))
	s = prepared(t)
	s.run(t, desired)
	inventory = s.observed(t).Custody
	assert.Nil(t, inventory.LastRecords(), "somebody's word counts no records")
}

func TestTheLedgerHasRoomForThePlatform(t *testing.T) {
	const app = "seqera-platform-production"
	at, platform := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC), custody.Platform{Files: []string{""}}
	empty, err := json.Marshal(platform)
	require.NoError(t, err)
	platform.Files[0] = strings.Repeat("x", platformLimit-len(empty))
	entry := custody.Entry{
		App: app, RotationID: "2026-q4-after-the-incident", Stage: custody.StageFinished, Previous: printOf(oldKey), Current: printOf(newKeyed),
		Backups:   []string{"arn:aws:rds:eu-central-1:123456789012:snapshot:seqera-platform-production-20261126-120000"},
		ChunkSize: &custody.ChunkSize{Omnibus: &[]string{"100"}[0], Standalone: &[]string{"100"}[0]},
		OpenedAt:  at, PreparedAt: at, ProvedAt: at, FinishedAt: at, ReversedAt: at,
		By: custody.Holder{
			ARN:  "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_PlatformOperators_0123456789abcdef/somebody.with.a.long.name@example.org",
			Host: "ip-10-100-100-100.eu-central-1.compute.internal", Machine: "0123456789abcdef", PID: 1234567, Started: 1234567890,
		},
		Tool: "1.10.10+053b1300125b-dirty 0123456789abcdef", ApprovedBy: strings.Repeat("a", 100),
		Versions: map[string]int64{"/seqera/sensitive-values/" + app + "/tower": 123},
		Baseline: &custody.Baseline{Path: "/home/ec2-user/.seqera-crypto-rotation/" + app + "-9b3ac41de0f27765.baseline.gz", Digest: strings.Repeat("0", 64), Total: 123456, TakenAt: at},
		Platform: &platform, ProofDigest: strings.Repeat("0", 64),
	}
	for _, name := range []string{"crypto/secretKey", "crypto/previousSecretKey", "secret-rotation/enabled", "secret-rotation/chunk-size"} {
		entry.Versions["/config/"+app+"/tower/"+name] = 12
	}
	assert.LessOrEqual(t, custody.Encode(entry).Len(), standardLimit)
}
