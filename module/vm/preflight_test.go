package vm

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/options"
	"github.com/seqera-tools/crypto-rotation/module/platform"
	"github.com/seqera-tools/crypto-rotation/module/preflight"
	"github.com/seqera-tools/crypto-rotation/module/proof"
)

func TestRefused_isOneFaultWithEverythingInIt(t *testing.T) {
	cause := errors.New("the database does not answer")
	for name, test := range map[string]struct {
		differences, problems []string
		err                   error
		code                  fault.Code
		says                  []string
	}{
		"another Platform":     {[]string{"Another image."}, nil, nil, fault.CodePlatformDiffers, []string{"Another image.", "allow_drift"}},
		"both":                 {[]string{"Another image."}, []string{"Two crons."}, nil, fault.CodePlatformDiffers, []string{"Another image. Two crons."}},
		"cannot rotate":        {nil, []string{"Two crons.", "Too old."}, nil, fault.CodePlatformUnsuitable, []string{"Two crons. Too old."}},
		"with a failed check":  {nil, []string{"Two crons."}, cause, fault.CodePlatformUnsuitable, []string{"Two crons.", cause.Error()}},
		"differs and a failed": {[]string{"Another image."}, nil, cause, fault.CodePlatformDiffers, []string{"Another image.", cause.Error()}},
	} {
		t.Run(name, func(t *testing.T) {
			err := refused(test.differences, test.problems, test.err)
			var f *fault.Fault
			require.ErrorAs(t, err, &f)
			assert.Equal(t, test.code, f.Code)
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

func TestToRun_keepsTheMountsOfWhatAnInterruptedRunRemoved(t *testing.T) {
	before := &preflight.Before{Mounts: map[string][]string{"db": {"/old:/var/lib/mysql"}, "backend": {"/tower.yml:/tower.yml"}}}
	db := preflight.Container{Service: "db", Running: true, Mounts: []preflight.Mount{{Source: "/data", Target: "/var/lib/mysql"}}}
	backend, cron := preflight.Container{Service: "backend", Role: proof.RoleBackend, Running: true}, preflight.Container{Service: "cron", Role: proof.RoleCron, Running: true}
	next := preflight.Container{Name: "tower-backend-next"}
	for name, test := range map[string]struct {
		containers []preflight.Container
		want       map[string][]string
	}{
		"only the database is left": {[]preflight.Container{db}, map[string][]string{"db": {"/data:/var/lib/mysql"}, "backend": {"/tower.yml:/tower.yml"}}},
		"nothing is left":           {nil, before.Mounts},
		"it runs":                   {[]preflight.Container{db, backend, cron}, map[string][]string{"db": {"/data:/var/lib/mysql"}}},
	} {
		t.Run(name, func(t *testing.T) {
			made := toRun(preflight.Comparison{Before: before, Containers: test.containers, Second: []preflight.Container{next}}, platform.Composer{}, options.Services{})
			assert.Equal(t, test.want, made.Mounts)
			assert.Equal(t, []string{"tower-backend-next"}, made.SecondBackends)
		})
	}
	assert.Equal(t, map[string][]string{"db": {"/old:/var/lib/mysql"}, "backend": {"/tower.yml:/tower.yml"}}, before.Mounts)
}
