package control

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/internal/fixture"
	"github.com/seqera-tools/crypto-rotation/module/options"
	"github.com/seqera-tools/crypto-rotation/module/rotation"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

const (
	oldKey = fixture.OldKey
	newKey = fixture.NewKey
	prefix = fixture.Custody
	config = fixture.Config
	name   = fixture.Omnibus
)

type args = fixture.Args

func document() string        { return fixture.Document() }
func prepare(more args) args  { return fixture.Prepare(more) }
func finalize(more args) args { return fixture.Finalize(more) }

func TestABaselineReachesEachStateThatRecordsOne(t *testing.T) {
	for _, state := range []rotation.State{rotation.StatePrepared, rotation.StateAborted} {
		asked := options.Rotation{State: string(state), Reverse: state == rotation.StateAborted}
		asked.Baseline = map[string]any{"path": "/b", "digest": "d1", "total": json.Number("3")}
		s, err := New(asked, nil, secret.NewFingerprinter("app", 1))
		require.NoError(t, err)
		assert.Equal(t, &custody.Baseline{Path: "/b", Digest: "d1", Total: 3}, s.Desired.Baseline, state)
	}
}
