package records

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/rotation"
)

func TestAScanGivesTheSameWhateverItsWorkersAndPages(t *testing.T) {
	db := shelve(seeds(t, 7, 3))
	for _, options := range []Options{{}, {Workers: 1}, {Workers: 7, Page: 3}, {Workers: 100, Page: 1}} {
		got, err := NewScanner(db, keys(), options).Scan(t.Context())
		require.NoError(t, err)
		assert.Equal(t, rotation.Records{Database: "memory:0/tower", Total: 7, Previous: 7, UnreadableIDs: []string{}, NotRewritten: []string{}, Notes: []string{}}, got)
	}
}

func TestTheSameKeyTwiceIsTriedOnce(t *testing.T) {
	scanner := NewScanner(shelve(seeds(t, 4, 1)), Keys{Current: keys().Current, Previous: keys().Current}, Options{})
	got, err := scanner.Scan(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 4, got.Unreadable)
	assert.Equal(t, int64(2*4), scanner.derived.Load())
}

func TestAWorkerThatPanicsIsAFaultAndNotATraceOnStderr(t *testing.T) {
	scanner := NewScanner(shelve(nil), keys(), Options{Workers: 3})
	err := scanner.spread(t.Context(), 10, func(i int) error {
		if i == 4 {
			panic("four")
		}
		return nil
	})
	assert.Equal(t, rotation.CodeInternal, faultOf(t, err).Code)
	err = scanner.spread(t.Context(), 10, func(int) error { return errors.New("five") })
	require.ErrorContains(t, err, "five")
}

func TestCloseLeavesNoDerivedKeyBehind(t *testing.T) {
	scanner := NewScanner(shelve(seeds(t, 6, 2)), Keys{Current: keys().Previous}, Options{})
	_, err := scanner.Scan(t.Context())
	require.NoError(t, err)
	var held []*[32]byte
	for _, one := range scanner.records {
		held = append(held, (*[32]byte)(one.key))
		assert.NotZero(t, *one.key)
	}
	assert.NotContains(t, fmt.Sprintf("%v %+v %#v", scanner, scanner.records, scanner.keys), fmt.Sprint(held[0][:8])[1:10])
	scanner.Close()
	assert.Len(t, held, 6)
	for _, key := range held {
		assert.Zero(t, *key)
	}
}
