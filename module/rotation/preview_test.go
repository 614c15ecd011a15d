package rotation

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestThePreviewOfTheEndIsWhatTheEndDoes(t *testing.T) {
	chunk := 100
	withLegacy := idle()
	withLegacy.put("/config/app/tower/secret-rotation/secretKey", thirdKey)
	tests := []struct {
		name  string
		store store
		edit  func(*Desired)
	}{
		{"from the beginning", idle(), func(*Desired) {}},
		{"with a chunk size", idle(), func(w *Desired) { w.ChunkSize = &chunk }},
		{"with a leftover under the old name", withLegacy, func(*Desired) {}},
		{"already prepared", prepared(t), func(*Desired) {}},
		{"by age, without a name", idle(), func(w *Desired) { days := 1; w.RotationID, w.MaxAgeDays = "", &days }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			desired := desiredFor(StatePrepared)
			test.edit(&desired)
			world := test.store.observed(t)
			plan, err := Make(world, desired, quick{})
			require.NoError(t, err)
			preview, err := PreviewFinalize(world, desired, plan, quick{})
			require.NoError(t, err)
			require.NotEmpty(t, preview.Steps)
			require.True(t, preview.Writes())
			assert.Equal(t, test.store.observed(t), world, "what was observed is left as it was")

			for _, step := range plan.Steps {
				test.store.carry(t, step)
			}
			end := desiredFor(StateFinalized)
			end.RotationID, end.Proof.RotationID = plan.RotationID, plan.RotationID
			end.Proof.Sign(quick{}, end.MadeKey)
			done, err := Make(test.store.observed(t), end, quick{})
			require.NoError(t, err)
			require.Len(t, preview.Steps, len(done.Steps))
			for i, step := range done.Steps {
				assert.Equal(t, [2]string{string(step.Action), step.Target}, [2]string{string(preview.Steps[i].Action), preview.Steps[i].Target})
			}
		})
	}
}
