package records

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/proof"
)

func TestAScanGivesTheSameWhateverItsWorkersAndPages(t *testing.T) {
	db := inMemory(seeds(t, 7, 3))
	for _, options := range []Options{{}, {Workers: 1}, {Workers: 7, Page: 3}, {Workers: 100, Page: 1}} {
		got, err := NewScanner(db, keys(), options).Scan(t.Context())
		require.NoError(t, err)
		assert.Equal(t, proof.Records{Database: "memory:0/tower", Total: 7, Previous: 7, Exact: true, UnreadableIDs: []string{}, NotRewritten: []string{}, Notes: []string{}}, got)
	}
}

func TestTheSameKeyTwiceIsTriedOnce(t *testing.T) {
	scanner := NewScanner(inMemory(seeds(t, 4, 1)), Keys{Current: keys().Current, Previous: keys().Current}, Options{})
	got, err := scanner.Scan(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 4, got.Unreadable)
	assert.Equal(t, int64(2*4), scanner.derived.Load())
}

func TestAWorkerThatPanicsIsAFaultAndNotATraceOnStderr(t *testing.T) {
	scanner := NewScanner(inMemory(nil), keys(), Options{Workers: 3})
	err := scanner.onAllWorkers(t.Context(), 10, func(i int) error {
		if i == 4 {
			panic("four")
		}
		return nil
	})
	assert.Equal(t, fault.CodeInternal, faultOf(t, err).Code)
	err = scanner.onAllWorkers(t.Context(), 10, func(int) error { return errors.New("five") })
	require.ErrorContains(t, err, "five")
}

func TestAPollOfWhatDidNotChangeAsksOnceAndDerivesNothing(t *testing.T) {
	scanner := NewScanner(inMemory(seeds(t, 9, 2)), keys(), Options{})
	first, err := scanner.Poll(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []int{9, 9, 9}, []int{first.Total, first.Previous, scanner.Changes()})
	assert.False(t, first.Exact, "a poll is no scan")
	derived := scanner.derived.Load()
	again, err := scanner.Poll(t.Context())
	require.NoError(t, err)
	assert.Equal(t, first, again)
	assert.Equal(t, derived, scanner.derived.Load())
	assert.Equal(t, 9, scanner.Changes())
	exact, err := scanner.Scan(t.Context())
	require.NoError(t, err)
	assert.True(t, exact.Exact)
	assert.Equal(t, derived, scanner.derived.Load(), "what was judged is not judged again")
}

func TestNoTextOfAScannerShowsAKey(t *testing.T) {
	scanner := NewScanner(inMemory(seeds(t, 2, 2)), keys(), Options{})
	_, err := scanner.Scan(t.Context())
	require.NoError(t, err)
	text := fmt.Sprintf("%v %+v %#v", scanner, scanner, scanner.keys)
	assert.NotContains(t, text, oldKey)
	assert.NotContains(t, text, newKey)
}
