// Package moto runs an SSM server for tests: moto_server in a separate process, or fakessm in memory. A proxy in front of it records the
// calls and simulates faults: it can refuse or throttle a call, or lose its response.
package moto

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/internal/fakessm"
)

// Server is an SSM server behind a proxy.
type Server struct {
	URL    string // of the proxy
	Direct string // URL of the SSM server itself

	mu    sync.Mutex
	calls []Call
	fault func(n int, call Call) Fault
	after func(call Call)
}

// Call is one request to SSM.
type Call struct {
	Action string // GetParameters, PutParameter, …
	Names  []string
	Body   map[string]any
}

// Fault is what the proxy does to a call: it answers with this error code, or does one of the first four.
type Fault string

// The faults.
const (
	None            Fault = ""
	CutBefore       Fault = "the connection breaks before the call is carried out"
	LoseAnswer      Fault = "the call is carried out, but its response is lost"
	FailAfter       Fault = "the call is carried out, and its response has status 500"
	Denied          Fault = "AccessDeniedException"
	NoDecrypt       Fault = Denied // from KMS
	Throttled       Fault = "ThrottlingException"
	TooMany         Fault = "TooManyUpdates"
	Invalid         Fault = "ValidationException"
	KeyDisabled     Fault = "InvalidKeyId" // the KMS key is disabled or missing
	TooManyVersions Fault = "ParameterMaxVersionLimitExceeded"
	TooManyNames    Fault = "ParameterLimitExceeded"
	TooSkewed       Fault = "InvalidSignatureException" // the clock is off by an hour
)

// process is the moto_server of a test binary. Starting it takes seconds, so the tests share it and reset it.
type process struct {
	command *exec.Cmd
	url     string
}

var shared process //nolint:gochecknoglobals // one process for all tests of a binary, ended by Main

// Main runs a package's tests and stops the moto_server that they started: func TestMain(m *testing.M) { os.Exit(moto.Main(m)) }.
func Main(m *testing.M) int {
	defer func() {
		if shared.command != nil {
			_ = shared.command.Process.Kill()
			_ = shared.command.Wait()
		}
	}()
	return m.Run()
}

// Start returns an empty SSM behind a proxy. It is moto_server if REAL_PARTS=required or MOTO_SERVER (the program) is set, or else
// fakessm, which needs no Python. Only tests with fakessm may run in parallel: see InMemory.
func Start(t *testing.T) *Server {
	t.Helper()
	if !InMemory() {
		return Real(t)
	}
	fake := httptest.NewServer(fakessm.New())
	t.Cleanup(fake.Close)
	return before(t, fake.URL)
}

// InMemory reports whether Start gives each test its own SSM in memory. Otherwise all tests share one moto_server.
func InMemory() bool {
	return os.Getenv("MOTO_SERVER") == "" && os.Getenv("REAL_PARTS") != "required"
}

// Real is like Start but always uses moto_server, for features that fakessm lacks. If moto_server is missing, the test is skipped.
func Real(t *testing.T) *Server {
	t.Helper()
	if shared.command == nil {
		launch(t)
	}
	answer, err := http.Post(shared.url+"/moto-api/reset", "", nil) //nolint:noctx // a test's own server
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	return before(t, shared.url)
}

func before(t *testing.T, direct string) *Server {
	t.Helper()
	s := &Server{Direct: direct}
	proxy := httptest.NewServer(s)
	t.Cleanup(proxy.Close)
	s.URL = proxy.URL
	return s
}

func launch(t *testing.T) {
	t.Helper()
	program := find(t)
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := listener.Addr().String()
	require.NoError(t, listener.Close())
	_, port, _ := net.SplitHostPort(address)
	command := exec.CommandContext(context.Background(), program, "-H", "127.0.0.1", "-p", port) //nolint:gosec // the test's own program
	require.NoError(t, command.Start())
	shared = process{command: command, url: "http://" + address}
	require.Eventually(t, func() bool {
		answer, err := http.Get(shared.url + "/moto-api/data.json") //nolint:noctx // a test's poll
		if err != nil {
			return false
		}
		_ = answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	}, 60*time.Second, 50*time.Millisecond, "moto_server did not answer")
}

func find(t *testing.T) string {
	t.Helper()
	if named := os.Getenv("MOTO_SERVER"); named != "" {
		return named
	}
	for dir, err := os.Getwd(); err == nil && dir != "/"; dir = filepath.Dir(dir) {
		program := filepath.Join(dir, ".venv", "bin", "moto_server")
		if _, err := os.Stat(program); err == nil {
			return program
		}
	}
	const missing = "moto_server is missing: run make deps, or set MOTO_SERVER"
	if os.Getenv("REAL_PARTS") == "required" {
		t.Fatal(missing)
	}
	t.Skip(missing)
	return ""
}

// On sets a function that decides what happens to the nth call (from 1) since the last Reset.
func (s *Server) On(fault func(n int, call Call) Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = fault
}

// After sets a hook that runs after a call is carried out and before its response is returned. Use it to write as another client.
func (s *Server) After(hook func(call Call)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.after = hook
}

// Reset forgets calls and faults.
func (s *Server) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls, s.fault, s.after = nil, nil, nil
}

// Calls returns the calls to SSM since the last Reset.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Call(nil), s.calls...)
}

// Writes returns the calls that change something.
func (s *Server) Writes() []Call {
	var writes []Call
	for _, call := range s.Calls() {
		if strings.HasPrefix(call.Action, "Put") || strings.HasPrefix(call.Action, "Delete") {
			writes = append(writes, call)
		}
	}
	return writes
}

// ServeHTTP is the proxy.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	call := parse(r, body)
	fault, after := None, func(Call) {}
	s.mu.Lock()
	if call.Action != "" {
		s.calls = append(s.calls, call)
		if s.fault != nil {
			fault = s.fault(len(s.calls), call)
		}
		if s.after != nil {
			after = s.after
		}
	}
	s.mu.Unlock()
	switch fault {
	case None, LoseAnswer, FailAfter:
	case CutBefore:
		hangUp(w)
		return
	default: // AWS quotes the invalid value
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]any{"__type": fault, "message": fmt.Sprintf("Value '%v' is refused", call.Body["Value"])})
		return
	}
	answer, err := forward(r, s.Direct, body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer func() { _ = answer.Body.Close() }()
	content, _ := io.ReadAll(answer.Body)
	after(call)
	if fault == LoseAnswer {
		hangUp(w)
		return
	}
	for name, values := range answer.Header {
		w.Header()[name] = values
	}
	if fault == FailAfter {
		answer.StatusCode, content = http.StatusInternalServerError, []byte(`{"__type": "InternalFailure"}`)
		w.Header().Del("Content-Length")
	}
	w.WriteHeader(answer.StatusCode)
	_, _ = w.Write(content)
}

func parse(r *http.Request, body []byte) Call {
	_, action, _ := strings.Cut(r.Header.Get("X-Amz-Target"), "AmazonSSM.")
	call := Call{Action: action}
	_ = json.Unmarshal(body, &call.Body)
	if name, ok := call.Body["Name"].(string); ok {
		call.Names = append(call.Names, name)
	}
	if names, ok := call.Body["Names"].([]any); ok {
		for _, name := range names {
			call.Names = append(call.Names, fmt.Sprint(name))
		}
	}
	return call
}

func forward(r *http.Request, to string, body []byte) (*http.Response, error) {
	request, err := http.NewRequestWithContext(r.Context(), r.Method, to+r.URL.Path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header = r.Header.Clone()
	return http.DefaultClient.Do(request)
}

func hangUp(w http.ResponseWriter) {
	if hijacker, ok := w.(http.Hijacker); ok {
		if connection, _, err := hijacker.Hijack(); err == nil {
			_ = connection.Close()
		}
	}
}

// Client returns a client of the SSM server that bypasses the proxy.
func (s *Server) Client() *ssm.Client {
	return ssm.New(ssm.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(s.Direct), Credentials: credentials.NewStaticCredentialsProvider("testing", "testing", ""),
	})
}

// Put writes a SecureString, overwriting an existing parameter.
func (s *Server) Put(t *testing.T, name, value string) {
	t.Helper()
	_, err := s.Client().PutParameter(t.Context(), &ssm.PutParameterInput{
		Name: aws.String(name), Value: aws.String(value), Type: types.ParameterTypeSecureString, Overwrite: aws.Bool(true),
	})
	require.NoError(t, err)
}

// PutString writes a parameter that is not encrypted.
func (s *Server) PutString(t *testing.T, name, value string) {
	t.Helper()
	_, err := s.Client().PutParameter(t.Context(), &ssm.PutParameterInput{Name: aws.String(name), Value: aws.String(value), Type: types.ParameterTypeString})
	require.NoError(t, err)
}

// Delete removes a parameter.
func (s *Server) Delete(t *testing.T, name string) {
	t.Helper()
	_, err := s.Client().DeleteParameters(t.Context(), &ssm.DeleteParametersInput{Names: []string{name}})
	require.NoError(t, err)
}

// All returns all parameters by name.
func (s *Server) All(t *testing.T) map[string]types.Parameter {
	t.Helper()
	all := map[string]types.Parameter{}
	pages := ssm.NewGetParametersByPathPaginator(s.Client(), &ssm.GetParametersByPathInput{Path: aws.String("/"), Recursive: aws.Bool(true), WithDecryption: aws.Bool(true)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		require.NoError(t, err)
		for _, parameter := range page.Parameters {
			all[aws.ToString(parameter.Name)] = parameter
		}
	}
	return all
}
