package rotation

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWhatIsForetoldOfTheEndIsWhatTheEndDoes(t *testing.T) {
	chunk := 100
	withLegacy := idle()
	withLegacy.put("/config/app/tower/secret-rotation/secretKey", thirdKey)
	tests := []struct {
		name  string
		store store
		edit  func(*Wish)
	}{
		{"from the beginning", idle(), func(*Wish) {}},
		{"with a chunk size", idle(), func(w *Wish) { w.ChunkSize = &chunk }},
		{"with a leftover under the old name", withLegacy, func(*Wish) {}},
		{"already prepared", prepared(t), func(*Wish) {}},
		{"by age, without a name", idle(), func(w *Wish) { days := 1; w.RotationID, w.MaxAgeDays = "", &days }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			wish := wishFor(StatePrepared)
			test.edit(&wish)
			world := test.store.world(t)
			plan, err := Make(world, wish, quick{})
			require.NoError(t, err)
			foretold, err := Foretell(world, wish, plan, quick{})
			require.NoError(t, err)
			require.NotEmpty(t, foretold.Steps)
			require.True(t, foretold.Writes())
			assert.Equal(t, test.store.world(t), world, "the world that was observed is left as it was")

			for _, step := range plan.Steps {
				test.store.carry(t, step)
			}
			end := wishFor(StateFinalized)
			end.RotationID, end.Proof.RotationID = plan.RotationID, plan.RotationID
			end.Proof.Sign(quick{}, end.MadeKey)
			done, err := Make(test.store.world(t), end, quick{})
			require.NoError(t, err)
			require.Len(t, foretold.Steps, len(done.Steps))
			for i, step := range done.Steps {
				assert.Equal(t, [2]string{string(step.Action), step.Target}, [2]string{string(foretold.Steps[i].Action), foretold.Steps[i].Target})
			}
		})
	}
}
