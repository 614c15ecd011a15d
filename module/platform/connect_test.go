package platform

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/fault"
)

func TestAnEngineThatCannotBeAskedIsToldApartByWhy(t *testing.T) {
	dir, err := os.MkdirTemp("", "engine-") //nolint:usetesting // a short path: the socket's name must fit
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	dead := filepath.Join(dir, "dead.sock")
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", dead)
	require.NoError(t, err)
	listener.(*net.UnixListener).SetUnlinkOnClose(false)
	require.NoError(t, listener.Close())
	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	tls := httptest.NewUnstartedServer(http.NotFoundHandler())
	tls.Config.ErrorLog = log.New(io.Discard, "", 0)
	tls.StartTLS()
	defer tls.Close()
	tests := []struct {
		name, host, says, next string
	}{
		{"absent", "unix://" + dir + "/absent.sock", "the socket does not exist", "systemctl start docker"},
		{"absent folder", "unix:///no/such/folder/docker.sock", "the socket does not exist", "set docker_host"},
		{"refused", "unix://" + dead, "refused", "systemctl start docker"},
		{"refused over TCP", "tcp://127.0.0.1:1", "refused", "systemctl start docker"},
		{"unknown host", "tcp://no-such-host.invalid:2375", "cannot resolve the host name", "docker_host"},
		{"something else", strings.Replace(web.URL, "http", "tcp", 1), "does not answer like an Engine", "docker_host"},
		{"TLS", strings.Replace(tls.URL, "https", "tcp", 1), "without TLS", "docker_host"},
		{"a path alone", "/var/run/docker.sock", "not understood", "unix:///path"},
		{"ssh", "ssh://someone@host", "not understood", "unix:///path"},
		{"nothing after the scheme", "unix://", "not understood", "unix:///path"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := Connect(t.Context(), test.host)
			f := faultOf(t, err)
			assert.Equal(t, fault.CodeDockerUnavailable, f.Code)
			assert.Contains(t, f.What, test.host)
			assert.Contains(t, f.What, test.says)
			assert.Contains(t, f.Next, test.next)
		})
	}
}

func TestASocketThatMayNotBeOpenedAsksForMoreRights(t *testing.T) {
	dir, err := os.MkdirTemp("", "engine-") //nolint:usetesting // a short path: the socket's name must fit
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", path)
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	require.NoError(t, os.Chmod(path, 0))
	if os.Getuid() == 0 { // root may open everything; this thread must not
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		require.NoError(t, syscall.Setfsuid(65534))
		defer func() { _ = syscall.Setfsuid(0) }()
	}
	f := diagnose(t.Context(), "unix://"+path, "unix", path, os.ErrInvalid)
	assert.Contains(t, f.What, "permission denied")
	assert.Contains(t, f.Next, "become: true")
}

func TestAnEngineThatHangsIsNotOneThatIsAbsent(t *testing.T) {
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	f := diagnose(t.Context(), "tcp://x", "tcp", listener.Addr().String(), context.DeadlineExceeded)
	assert.Contains(t, f.What, "does not answer within 10s")
}

func TestAnInterruptedRunIsNotAFaultOfTheEngine(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Connect(ctx, "tcp://127.0.0.1:1")
	assert.Equal(t, fault.CodeInterrupted, faultOf(t, err).Code)
}

func TestALogIsShownWithoutTheTerminalsColours(t *testing.T) {
	assert.Equal(t, "a red b\n\tc é", plain([]byte("a \x1b[1;31mred\x1b[0m b\r\n\tc\x07 é")))
	var out tailBuffer
	for range 100 {
		_, _ = out.Write([]byte(strings.Repeat("x", 1000) + "y"))
	}
	assert.Len(t, out.kept, tailBytes)
	assert.True(t, strings.HasSuffix(string(out.kept), "xy"))
}
