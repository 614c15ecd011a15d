package platform

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func noon() time.Time { return time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC) }

func TestReadyIs200OrTheRedirectToHTTPS(t *testing.T) {
	tests := []struct {
		status   int
		location string
		ready    bool
	}{
		{200, "", true},
		{301, "https://tower.example.com/api/service-info", true},
		{301, "HTTPS://tower.example.com/", true},
		{301, "http://tower.example.com/", false},
		{301, "/elsewhere", false},
		{301, "https://", false},
		{301, "", false},
		{302, "https://login.example.com/", false},
		{204, "", false},
		{404, "", false},
		{500, "", false},
		{502, "", false},
		{503, "", false},
	}
	for _, test := range tests {
		t.Run(fmt.Sprint(test.status, " ", test.location), func(t *testing.T) {
			asked := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked++
				assert.Equal(t, http.MethodGet, r.Method)
				if test.location != "" {
					w.Header().Set("Location", test.location)
				}
				w.WriteHeader(test.status)
			}))
			defer server.Close()
			got := Ready(t.Context(), server.URL+"/api/service-info", noon)
			assert.Equal(t, test.ready, got.Ready)
			assert.Equal(t, test.status, got.Status)
			assert.Contains(t, got.Detail, fmt.Sprint(test.status))
			assert.Equal(t, noon(), got.At)
			assert.Equal(t, server.URL+"/api/service-info", got.URL)
			assert.Equal(t, 1, asked, "redirects are not followed")
		})
	}
}

func TestWhyThereWasNoAnswerIsSaid(t *testing.T) {
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	tls := httptest.NewUnstartedServer(http.NotFoundHandler())
	tls.Config.ErrorLog = log.New(io.Discard, "", 0)
	tls.StartTLS()
	defer tls.Close()
	gone := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-gone }))
	defer slow.Close()
	defer close(gone)
	cut := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	defer cut.Close()
	usual := func() (context.Context, context.CancelFunc) { return context.WithCancel(t.Context()) }
	soon := func() (context.Context, context.CancelFunc) {
		return context.WithTimeout(t.Context(), 50*time.Millisecond)
	}
	over := func() (context.Context, context.CancelFunc) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		return ctx, cancel
	}
	tests := []struct {
		ctx  func() (context.Context, context.CancelFunc)
		url  string
		says string
	}{
		{usual, closed.URL, "refused"},
		{usual, tls.URL, "certificate"},
		{soon, slow.URL, "within 5s"},
		{over, slow.URL, "interrupted"},
		{usual, cut.URL, "broke"},
		{usual, "http://no-such-host.invalid/", "cannot resolve the host name"},
		{usual, "localhost:8000", "must start with http"},
		{usual, "http://a b/", "must start with http"},
		{usual, "", "must start with http"},
	}
	for _, test := range tests {
		t.Run(test.says, func(t *testing.T) {
			ctx, cancel := test.ctx()
			defer cancel()
			got := Ready(ctx, test.url, noon)
			assert.False(t, got.Ready)
			assert.Zero(t, got.Status)
			assert.Contains(t, got.Detail, test.says)
			assert.Equal(t, noon(), got.At)
		})
	}
}

// The answer of a proxy must not count as the Platform's answer (case 9). Go reads the proxy variables once per process, so the test runs
// a separate process. Go uses no proxy for localhost, so the test uses an unassigned address.
func TestNoProxyIsAskedForTheHealthOfThePlatform(t *testing.T) {
	if os.Getenv("BEHIND_A_PROXY") != "" {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for _, address := range []string{"http://192.0.2.1:8000/api/service-info", "https://192.0.2.1/health"} {
			assert.False(t, Ready(ctx, address, noon).Ready, address)
			assert.False(t, Healthy(ctx, address, noon).Ready, address)
		}
		return
	}
	asked := 0
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	defer proxy.Close()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestNoProxyIsAskedForTheHealthOfThePlatform$")
	child.Env = append(os.Environ(), "BEHIND_A_PROXY=yes")
	for _, name := range []string{"http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"} {
		child.Env = append(child.Env, name+"="+proxy.URL)
	}
	out, err := child.CombinedOutput()
	assert.NoError(t, err, string(out))
	assert.Zero(t, asked)
}

func TestAPasswordInTheHealthURLIsNotShown(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, password, _ := r.BasicAuth()
		assert.Equal(t, canary, password)
	}))
	defer server.Close()
	got := Ready(t.Context(), "http://me:"+canary+"@"+server.Listener.Addr().String(), noon)
	assert.True(t, got.Ready)
	assert.NotContains(t, fmt.Sprint(got), canary)
}
