package records

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The server's own word, its general log: a line is time, connection, command, statement.
func testLog(t *testing.T, s *server) {
	t.Helper()
	if s.Log() == "" {
		t.Skip("the log of a server that is not ours is out of reach")
	}
	p := fresh(t, s)
	p.exec(t, "INSERT INTO tw_secret (id, secure, version) VALUES ('a', 'x', 0), ('b', 'x', 0)")
	db := p.open(t)
	scanner := NewScanner(db, keys(), Options{Page: 1})
	_, err := db.Sessions(t.Context())
	require.NoError(t, err)
	for range 2 {
		_, err = scanner.Poll(t.Context())
		require.NoError(t, err)
		_, err = scanner.Scan(t.Context())
		require.NoError(t, err)
	}
	text, err := os.ReadFile(s.Log())
	require.NoError(t, err)
	line := regexp.MustCompile(`(?m)^(?:\d{6} +[\d:]+|\d{4}-\S+)?\s+(\d+) (Connect|Query|Prepare|Execute|Close stmt|Reset stmt|Quit)\s*(.*)$`)
	var ours, sent []string
	for _, found := range line.FindAllStringSubmatch(string(text), -1) {
		if found[2] == "Connect" && strings.HasPrefix(found[3], "reader@") && strings.Contains(found[3], " on "+p.schema+" ") {
			ours = append(ours, found[1])
		}
		if slices.Contains(ours, found[1]) && slices.Contains([]string{"Query", "Prepare", "Execute"}, found[2]) {
			sent = append(sent, found[3])
		}
	}
	assert.Greater(t, len(sent), 20)
	for _, statement := range sent {
		assert.Regexp(t, `^(SELECT |SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY$|SET SESSION lock_wait_timeout = 10 |START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY$|ROLLBACK$)`, statement)
		assert.NotRegexp(t, `(?i)for update|lock in share|into outfile|sleep`, statement)
	}
}
