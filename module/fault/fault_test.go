package fault

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestWhatWasWrittenStandsBetweenWhatHappenedAndWhatToDo(t *testing.T) {
	f := New(CodeLocked, "Wait.", "%s holds the lock.", "Ada")
	assert.EqualError(t, f, "Ada holds the lock. Wait.")
	assert.Equal(t, "Ada holds the lock. Nothing was written. Wait.", f.With("Nothing was written."))
	assert.Equal(t, "Nothing was written. Wait.", New(CodeLocked, "Wait.", "").With("Nothing was written."))
	assert.Equal(t, "It is locked.", New(CodeLocked, "", "It is locked.").With(""))
}

func TestAFaultIsKnownByItsCodeHoweverDeepItIs(t *testing.T) {
	cause := errors.New("refused")
	err := fmt.Errorf("around it: %w", New(CodeDatabaseUnavailable, "Start it.", "It is down.").From(cause))
	assert.ErrorIs(t, err, cause)
	assert.Equal(t, CodeDatabaseUnavailable, CodeOf(err))
	assert.True(t, Is(err, CodeLocked, CodeDatabaseUnavailable))
	assert.False(t, Is(err, CodeLocked))
	assert.False(t, Is(nil, CodeLocked))
	assert.Empty(t, CodeOf(cause))
}
