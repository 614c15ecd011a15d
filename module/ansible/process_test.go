package ansible

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestMain runs the test binary as a module if TEST_AS_MODULE is set: signals, exit codes and file descriptors can only be tested from
// outside the process.
func TestMain(m *testing.M) {
	handlers := map[string]Handler{"noisy": noisy, "silent panic": silentPanic, "patient": patient}
	if handle, ok := handlers[os.Getenv("TEST_AS_MODULE")]; ok {
		os.Exit(Run(context.Background(), os.Args, os.Stdout, handle))
	}
	os.Exit(m.Run())
}

// noisy writes to stdout and stderr in every way that a library could.
func noisy(ctx context.Context, _ Request) (any, error) {
	fmt.Println(`{"changed": false, "msg": "` + canary + `"}`)
	fmt.Fprintln(os.Stderr, canary)
	log.Print(canary)
	println(canary)
	_, _ = syscall.Write(syscall.Stdout, []byte("{"+canary))
	_, _ = syscall.Write(syscall.Stderr, []byte(canary))
	child := exec.CommandContext(ctx, "sh", "-c", "echo '{"+canary+"'; echo "+canary+" >&2")
	child.Stdout, child.Stderr = os.Stdout, os.Stderr
	return map[string]any{"changed": true, "child": child.Run() == nil}, nil
}

func silentPanic(context.Context, Request) (any, error) { panic(canary) }

// patient signals that it has started, waits to be interrupted and cleans up.
func patient(ctx context.Context, r Request) (any, error) {
	started, err := os.OpenFile(r.Params["started"].(string), os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	_ = started.Close()
	<-ctx.Done()
	return map[string]any{"changed": true, "cleaned": true}, ctx.Err()
}

func module(t *testing.T, handler, args string) (command *exec.Cmd, stdout, stderr *bytes.Buffer) {
	t.Helper()
	stdout, stderr = &bytes.Buffer{}, &bytes.Buffer{}
	command = exec.CommandContext(t.Context(), os.Args[0], arguments(t, args))
	command.Env = append(os.Environ(), "TEST_AS_MODULE="+handler)
	command.Stdout, command.Stderr = stdout, stderr
	return command, stdout, stderr
}

func TestNothingButTheResultGetsOutOfTheProcess(t *testing.T) {
	command, stdout, stderr := module(t, "noisy", `{}`)
	require.NoError(t, command.Run())
	assert.Equal(t, map[string]any{"changed": true, "child": true}, result(t, stdout.Bytes()))
	assert.Empty(t, stderr.String())
}

func TestAPanicLeavesNoTraceOnStderr(t *testing.T) {
	command, stdout, stderr := module(t, "silent panic", `{}`)
	require.Error(t, command.Run())
	assert.Equal(t, 1, command.ProcessState.ExitCode())
	assert.Equal(t, "internal", result(t, stdout.Bytes())["error_code"])
	assert.NotContains(t, stdout.String(), canary)
	assert.Empty(t, stderr.String())
}

func TestASignalLetsTheHandlerCleanUpAndAResultIsStillPrinted(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGHUP, syscall.SIGTERM, syscall.SIGINT} {
		t.Run(signal.String(), func(t *testing.T) {
			// Opening a FIFO waits for its other end: no clock is needed to know that the handler runs.
			fifo := filepath.Join(t.TempDir(), "started")
			require.NoError(t, syscall.Mkfifo(fifo, 0o600))
			command, stdout, stderr := module(t, "patient", `{"started": "`+fifo+`"}`)
			require.NoError(t, command.Start())
			started, err := os.Open(fifo)
			require.NoError(t, err)
			_ = started.Close()
			require.NoError(t, command.Process.Signal(signal))
			require.Error(t, command.Wait())
			assert.Equal(t, 1, command.ProcessState.ExitCode())
			out := result(t, stdout.Bytes())
			assert.Equal(t, true, out["cleaned"])
			assert.Equal(t, true, out["changed"])
			assert.Equal(t, "interrupted", out["error_code"])
			assert.Contains(t, out["msg"], signal.String())
			assert.Empty(t, stderr.String())
		})
	}
}
