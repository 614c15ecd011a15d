package vm

import (
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/options"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// refuse is a server that takes connections after a while, and then refuses each login: error 1045 in MySQL's protocol.
func refuse(t *testing.T, after time.Duration) int {
	t.Helper()
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	at, ok := listener.Addr().(*net.TCPAddr)
	require.True(t, ok)
	require.NoError(t, listener.Close())
	time.AfterFunc(after, func() {
		again, err := net.ListenTCP("tcp", at)
		if err != nil {
			return
		}
		t.Cleanup(func() { _ = again.Close() })
		for {
			connection, err := again.Accept()
			if err != nil {
				return
			}
			said := "\xff\x15\x04#28000Access denied"
			_, _ = connection.Write(append([]byte{byte(len(said)), 0, 0, 0}, said...))
			_ = connection.Close()
		}
	})
	return at.Port
}

func TestADatabaseThatStartsIsWaitedForAndNoLonger(t *testing.T) {
	for name, test := range map[string]struct {
		patience int
		after    time.Duration
		code     fault.Code
		says     string
	}{
		"it answers in time": {20, 500 * time.Millisecond, fault.CodeDatabaseLoginRefused, "refused user"},
		"it does not":        {1, time.Hour, fault.CodeDatabaseUnavailable, "does not answer after 1s (ready_timeout)"},
	} {
		t.Run(name, func(t *testing.T) {
			about := About{Now: time.Now, Compose: options.Compose{ReadyTimeout: test.patience}}
			about.Options.Database = &options.Database{Host: "127.0.0.1", Port: refuse(t, test.after), Name: "tower", User: "tower", Password: secret.New("canary")}
			v := New(about)
			defer v.Close()
			err := v.Look(t.Context(), []string{"database"})
			var f *fault.Fault
			require.ErrorAs(t, err, &f)
			assert.Equal(t, test.code, f.Code)
			assert.Contains(t, f.What, test.says)
		})
	}
}
