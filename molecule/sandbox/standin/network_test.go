package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// listenAt takes connections at an address until the test ends.
func listenAt(t *testing.T, address string) net.Listener {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	return listener
}

// freePort is one that nobody listens on.
func freePort(t *testing.T) string {
	t.Helper()
	listener := listenAt(t, "127.0.0.1:0")
	_, port, err := net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	return port
}

// says serves a word at an address.
func says(t *testing.T, address, word string) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, word+" "+r.Host) }))
	_ = server.Listener.Close()
	server.Listener = listenAt(t, address)
	server.Start()
	t.Cleanup(server.Close)
	return server
}

func TestTheFrontendResolvesTheBackendsNameOnce(t *testing.T) {
	port := freePort(t)
	looks := 0
	look := func(_ context.Context, host string) ([]string, error) {
		assert.Equal(t, "backend", host)
		looks++
		return []string{"127.0.0." + []string{"1", "2"}[looks-1]}, nil
	}
	proxy, err := proxyTo(t.Context(), "backend", port, look)
	require.NoError(t, err)
	assert.Equal(t, 1, looks, "looked up at the start")
	ask := func() (int, string) {
		answer := httptest.NewRecorder()
		proxy.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://example.org/", nil))
		return answer.Code, answer.Body.String()
	}
	backend := says(t, "127.0.0.1:"+port, "backend")
	code, said := ask()
	assert.Equal(t, http.StatusOK, code)
	assert.Equal(t, "backend example.org", said)

	backend.Close() // it comes back under another address, and cron gets its own
	moved := says(t, "127.0.0.2:"+port, "moved")
	defer moved.Close()
	code, _ = ask()
	assert.Equal(t, http.StatusBadGateway, code, "the old address alone is known")
	says(t, "127.0.0.1:"+port, "cron")
	_, said = ask()
	assert.Equal(t, "cron example.org", said, "whoever has the old address is asked")
	assert.Equal(t, 1, looks)
}

func TestTheFrontendEndsWhereTheBackendsNameIsUnknown(t *testing.T) {
	unknown := func(context.Context, string) ([]string, error) { return nil, errors.New("no such host") }
	_, err := proxyTo(t.Context(), "backend", "8080", unknown)
	assert.EqualError(t, err, `host not found in upstream "backend:8080": no such host`)
	conf, err := configFrom(func(name string) string {
		return map[string]string{"NGINX_UPSTREAM_HOST": "there-is-none.invalid"}[name]
	})
	require.NoError(t, err)
	assert.ErrorContains(t, runFrontend(t.Context(), conf, log.New(io.Discard, "", 0)), `host not found in upstream "there-is-none.invalid:8080"`)
}

func TestASettingOfListenIsAListOfPorts(t *testing.T) {
	for said, want := range map[string][]string{"": {"6379"}, "9090,2222": {"9090", "2222"}, "80, 443": {"80", "443"}} {
		conf, err := configFrom(func(name string) string { return map[string]string{"SANDBOX_LISTEN": said}[name] })
		require.NoError(t, err)
		assert.Equal(t, want, conf.Listen)
	}
}

func TestListenTakesConnectionsUntilItIsEnded(t *testing.T) {
	ports := []string{freePort(t), freePort(t)}
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- runListen(ctx, ports, log.New(io.Discard, "", 0)) }()
	for _, port := range ports {
		assert.Eventually(t, func() bool {
			connection, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", "127.0.0.1:"+port)
			if err == nil {
				_ = connection.Close()
			}
			return err == nil
		}, 10*time.Second, 10*time.Millisecond)
	}
	select {
	case err := <-ended:
		t.Fatalf("ended by itself: %v", err)
	default:
	}
	end()
	assert.NoError(t, <-ended)
	assert.Error(t, runListen(t.Context(), []string{"no-port"}, log.New(io.Discard, "", 0)))
}

func TestWaitForItIsFoundInACommand(t *testing.T) {
	for command, want := range map[string]wait{
		"/wait-for-it.sh db:3306 -t 60; /tower.sh": {"db:3306", time.Minute},
		"/wait-for-it.sh db:3306; /tower.sh":       {"db:3306", 15 * time.Second},
		"/wait-for-it.sh db:3306 -t 0; /tower.sh":  {"db:3306", 0},
		"/tower.sh": {},
	} {
		got, found := waitIn([]string{"-c", command})
		assert.Equal(t, want, got, command)
		assert.Equal(t, want != wait{}, found, command)
	}
}

func TestWaitForItWaitsAndThenLetsTheServiceStart(t *testing.T) {
	address := "127.0.0.1:" + freePort(t)
	var said bytes.Buffer
	wait{address, 200 * time.Millisecond}.run(t.Context(), log.New(&said, "", 0))
	assert.Contains(t, said.String(), address+" does not answer")

	said.Reset()
	done := make(chan struct{})
	go func() { wait{address, time.Minute}.run(t.Context(), log.New(&said, "", 0)); close(done) }()
	select {
	case <-done:
		t.Fatal("nobody listens yet")
	case <-time.After(150 * time.Millisecond):
	}
	listenAt(t, address)
	<-done
	assert.Empty(t, said.String())
}

func TestABackendsCommandIsHonoredWhereItWaitsAndIgnoredOtherwise(t *testing.T) {
	t.Setenv("SANDBOX_BACKEND_EXIT", "true")
	t.Setenv("SANDBOX_TOWER_YML", "/there/is/none")
	address := "127.0.0.1:" + freePort(t)
	for command, want := range map[string]string{
		"/wait-for-it.sh " + address + " -t 1; /tower.sh": "WARN wait-for-it.sh: " + address + " does not answer\n",
		"/tower.sh": "",
	} {
		var said bytes.Buffer
		err := run(t.Context(), "backend", []string{"-c", command}, log.New(&said, "", 0))
		assert.ErrorContains(t, err, "SANDBOX_BACKEND_EXIT", "the service starts after the wait")
		assert.Equal(t, want, said.String())
	}
}
