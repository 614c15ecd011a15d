package vm

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/options"
	"github.com/seqera-tools/crypto-rotation/module/proof"
	"github.com/seqera-tools/crypto-rotation/module/records"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// A scan of many records takes longer than the proofs of an abort are valid.
func TestAnObservationIsDatedAtTheEndOfTheScan(t *testing.T) {
	began := time.Date(2026, 11, 28, 2, 0, 0, 0, time.UTC)
	ended := began.Add(22 * time.Minute)
	cron := func(state string) *proof.Platform {
		return &proof.Platform{Services: []proof.Service{{Name: "cron", Role: proof.RoleCron, Container: "c", State: state}}}
	}
	v := &VM{about: About{Now: func() time.Time { return ended }, Options: options.VM{DockerHost: "unix:///nonexistent.sock"}}}
	for _, platform := range []*proof.Platform{nil, cron("running")} {
		v.Observed = proof.Observed{Now: began, Platform: platform}
		require.NoError(t, v.lookAgain(t.Context()))
		assert.Equal(t, ended, v.Observed.Now)
		assert.Same(t, platform, v.Observed.Platform, "cron wrote, even if it stops later")
	}
	v.Observed.Platform = cron("exited")
	assert.ErrorContains(t, v.lookAgain(t.Context()), "nonexistent.sock", "cron may have started")
}

func TestTheLogOfCronShowsNoValueOfAnEnvironment(t *testing.T) {
	v := &VM{Keys: records.Keys{Current: secret.New("the-new-key")}, values: []secret.Secret{secret.New("jdbc:mysql://db/tower"), secret.New("redispass")}}
	assert.Equal(t, "cannot connect to [secret] with [secret]: [secret]", v.masked("cannot connect to jdbc:mysql://db/tower with redispass: the-new-key"))
}
