package main

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/rotation"
)

func TestRefused_isOneFaultWithEverythingInIt(t *testing.T) {
	cause := errors.New("the database does not answer")
	for name, test := range map[string]struct {
		differences, problems []string
		err                   error
		code                  rotation.Code
		says                  []string
	}{
		"another Platform":     {[]string{"Another image."}, nil, nil, rotation.CodePlatformDiffers, []string{"Another image.", "allow_drift"}},
		"both":                 {[]string{"Another image."}, []string{"Two crons."}, nil, rotation.CodePlatformDiffers, []string{"Another image. Two crons."}},
		"cannot rotate":        {nil, []string{"Two crons.", "Too old."}, nil, rotation.CodePlatformUnsuitable, []string{"Two crons. Too old."}},
		"with a failed check":  {nil, []string{"Two crons."}, cause, rotation.CodePlatformUnsuitable, []string{"Two crons.", cause.Error()}},
		"differs and a failed": {[]string{"Another image."}, nil, cause, rotation.CodePlatformDiffers, []string{"Another image.", cause.Error()}},
	} {
		t.Run(name, func(t *testing.T) {
			err := refused(test.differences, test.problems, test.err)
			var fault *rotation.Fault
			require.ErrorAs(t, err, &fault)
			assert.Equal(t, test.code, fault.Code)
			assert.Contains(t, err.Error(), "Nothing was changed.")
			for _, words := range test.says {
				assert.Contains(t, err.Error(), words)
			}
			if test.err != nil {
				require.ErrorIs(t, err, test.err)
			}
		})
	}
	assert.NoError(t, refused(nil, nil, nil))
	assert.Equal(t, cause, refused(nil, nil, cause), "the failure of a check alone is told as it is")
}
