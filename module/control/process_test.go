package control

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/custody"
)

func TestAlive(t *testing.T) {
	us := self()
	assert.True(t, alive(us))
	assert.False(t, alive(custody.Holder{PID: us.PID, Started: us.Started + 1}), "the number is another process's now")
	assert.True(t, alive(custody.Holder{PID: us.PID}), "a holder that did not know its own start")

	gone := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^$")
	require.NoError(t, gone.Start())
	holder := custody.Holder{PID: gone.Process.Pid, Started: started(gone.Process.Pid)}
	require.NoError(t, gone.Process.Kill())
	_ = gone.Wait()
	assert.False(t, alive(holder))

	// No number of a process is as high, so that nothing of it can be read; a process that exists and cannot be looked at is
	// told from one that is gone by kill alone.
	assert.Equal(t, int64(unknown), started(1<<30))
	assert.False(t, alive(custody.Holder{PID: 1 << 30, Started: 7}))
}

// Another user's process under hidepid: kill says EPERM, and there is no /proc/<pid>/stat.
func TestAlive_hidden(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to become another user in a /proc of its own")
	}
	script := `mount -t proc -o hidepid=2 proc /proc 2>/dev/null || exit 77; exec setpriv --reuid 65534 --regid 65534 --clear-groups "$0" -test.run '^TestAlive_asSomebodyElse$' -test.v`
	dir := t.TempDir()
	binary := dir + "/test"
	text, err := os.ReadFile(os.Args[0])
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(binary, text, 0o755))
	require.NoError(t, os.Chmod(dir, 0o755))
	command := exec.CommandContext(t.Context(), "unshare", "--mount", "sh", "-c", script, binary)
	command.Env = append(os.Environ(), "LOOK_AT_HIDDEN=1")
	out, err := command.CombinedOutput()
	if command.ProcessState != nil && command.ProcessState.ExitCode() != 0 && command.ProcessState.ExitCode() != 1 {
		t.Skipf("cannot make a /proc of its own here: %s", out)
	}
	require.NoError(t, err, string(out))
	assert.Contains(t, string(out), "--- PASS")
}

func TestAlive_asSomebodyElse(t *testing.T) {
	if os.Getenv("LOOK_AT_HIDDEN") == "" {
		t.Skip("run by TestAlive_hidden")
	}
	_, err := os.Stat("/proc/1/stat")
	require.ErrorIs(t, err, os.ErrNotExist, "the process is hidden")
	assert.True(t, alive(custody.Holder{PID: 1, Started: 12345}), "what cannot be looked at counts as alive")
}
