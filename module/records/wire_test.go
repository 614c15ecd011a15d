package records

import (
	"encoding/binary"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/proof"
)

// wire stands between the scanner and the server: it keeps what is asked, and can act, or cut, just before a question.
// It sees MySQL's protocol without TLS.
type wire struct {
	listener net.Listener
	target   string

	mu     sync.Mutex
	from   string // the address to come from, where not the usual one
	asked  []string
	before func(statement string) // called with each statement before it is passed
	open   []net.Conn
	made   int // connections
}

func (s *server) wire(t *testing.T) *wire {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	w := &wire{listener: listener, target: net.JoinHostPort(s.host, strconv.Itoa(s.Port)), before: func(string) {}}
	go w.serve(t)
	t.Cleanup(func() { _ = listener.Close(); w.cut() })
	return w
}

// through gives the same database by way of the wire.
func (w *wire) through(where proof.Database) proof.Database {
	where.Host, where.Port, where.TLS = "127.0.0.1", w.listener.Addr().(*net.TCPAddr).Port, "disabled"
	return where
}

func (w *wire) serve(t *testing.T) {
	t.Helper()
	for {
		client, err := w.listener.Accept()
		if err != nil {
			return
		}
		dialer := &net.Dialer{}
		w.mu.Lock()
		if w.from != "" {
			dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(w.from)}
		}
		w.mu.Unlock()
		server, err := dialer.DialContext(t.Context(), "tcp", w.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		w.mu.Lock()
		w.open, w.made = append(w.open, client, server), w.made+1
		w.mu.Unlock()
		go func() { _, _ = io.Copy(client, server); _ = client.Close() }()
		go func() { w.hear(client, server); _ = server.Close() }()
	}
}

// hear hands on the client's packets: 3 bytes length, 1 byte number, payload; a command is number 0.
func (w *wire) hear(client io.Reader, server io.Writer) {
	for {
		head := make([]byte, 4)
		if _, err := io.ReadFull(client, head); err != nil {
			return
		}
		body := make([]byte, int(binary.LittleEndian.Uint32(head)&0xffffff))
		if _, err := io.ReadFull(client, body); err != nil {
			return
		}
		if head[3] == 0 && len(body) > 0 {
			statement := "command " + strconv.Itoa(int(body[0]))
			if body[0] == 0x03 || body[0] == 0x16 { // COM_QUERY, COM_STMT_PREPARE
				statement = string(body[1:])
			}
			w.mu.Lock()
			w.asked = append(w.asked, statement)
			before := w.before
			w.mu.Unlock()
			before(statement)
		}
		if _, err := server.Write(slices.Concat(head, body)); err != nil {
			return
		}
	}
}

// at calls do once, before the nth statement that has the words.
func (w *wire) at(nth int, words string, do func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	seen := 0
	w.before = func(statement string) {
		if strings.Contains(statement, words) {
			if seen++; seen == nth {
				do()
			}
		}
	}
}

// comesFrom sets the address that later connections come from.
func (w *wire) comesFrom(address string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.from = address
}

func (w *wire) connections() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.made
}

func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, connection := range w.open {
		_ = connection.Close()
	}
	w.open = nil
}

func (w *wire) statements() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string{}, w.asked...)
}

func (w *wire) count(t *testing.T, words string) int {
	t.Helper()
	n := 0
	for _, statement := range w.statements() {
		if strings.Contains(statement, words) {
			n++
		}
	}
	assert.NotEmpty(t, w.statements(), "nothing went through the wire")
	return n
}
