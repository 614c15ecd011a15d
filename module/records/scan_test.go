package records

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/internal/mariadb"
	"github.com/seqera-tools/crypto-rotation/module/rotation"
	"github.com/seqera-tools/crypto-rotation/module/sealed"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

const (
	oldKey = "OLDcanaryOLDcanaryOLDcanary01"
	newKey = "NEWcanaryNEWcanaryNEWcanary02"
)

func keys() Keys { return Keys{Current: secret.New(newKey), Previous: secret.New(oldKey)} }

// platform is one Platform's schema under test.
type platform struct {
	server *mariadb.Server
	schema string
	salts  map[string][]byte // of the credentials made, by record id
}

func (p *platform) credential(t *testing.T, user int64, key, plain string) string {
	t.Helper()
	raw := make([]byte, 16)
	_, _ = rand.Read(raw)
	credential := base64.RawURLEncoding.EncodeToString(raw)
	salt := make([]byte, 16)
	_, _ = rand.Read(salt)
	id, err := sealed.ID(sealed.Path(user, credential), salt)
	require.NoError(t, err)
	p.salts[id] = salt
	p.server.Exec(t, "INSERT INTO "+p.schema+".tw_credentials (id, user_id, version, salt) VALUES (?, ?, 0, ?)", credential, user, salt)
	p.server.Exec(t, "INSERT INTO "+p.schema+".tw_secret (id, secure, version) VALUES (?, ?, 0)", id, p.seal(t, id, key, plain))
	return id
}

func (p *platform) seal(t *testing.T, id, key, plain string) []byte {
	t.Helper()
	derived, err := sealed.Derive([]byte(key), p.salts[id])
	require.NoError(t, err)
	secure, err := sealed.Seal(derived, []byte(plain), rand.Reader)
	require.NoError(t, err)
	return secure
}

// rotate does to one record what cron does.
func (p *platform) rotate(t *testing.T, id string) {
	t.Helper()
	p.server.Exec(t, "UPDATE "+p.schema+".tw_secret SET secure = ?, version = version + 1 WHERE id = ?", p.seal(t, id, newKey, `{"a":1}`), id)
}

func (p *platform) open(t *testing.T) *DB {
	t.Helper()
	db, err := Open(t.Context(), p.server.Reader(p.schema))
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func fresh(t *testing.T, server *mariadb.Server, schema string) *platform {
	t.Helper()
	server.Schema(t, schema)
	return &platform{server: server, schema: schema, salts: map[string][]byte{}}
}

func faultOf(t *testing.T, err error) *rotation.Fault {
	t.Helper()
	var fault *rotation.Fault
	require.True(t, errors.As(err, &fault), "%v", err)
	for _, hidden := range []string{oldKey, newKey, "readers-pass"} {
		assert.NotContains(t, err.Error(), hidden)
	}
	return fault
}

func TestRecords(t *testing.T) {
	server := mariadb.Start(t)

	t.Run("each record is in exactly one class", func(t *testing.T) {
		p := fresh(t, server, "classes")
		for user := range int64(5) {
			p.credential(t, user, oldKey, `{"accessKey":"x"}`)
			p.credential(t, user, newKey, `{}`)
		}
		deleted := p.credential(t, 9, newKey, `{"deleted":true}`)
		server.Exec(t, "UPDATE classes.tw_credentials SET deleted = 1 WHERE user_id = 9")
		damage := map[string]string{
			p.credential(t, 7, newKey, `don't tell this to anybody!`): "",
			p.credential(t, 7, "another key", `{}`):                   "",
			p.credential(t, 7, newKey, `{}`):                          "NULL",
			p.credential(t, 7, newKey, `{}`):                          "''",
			p.credential(t, 7, newKey, `{}`):                          "LEFT(secure, 15)",
			p.credential(t, 7, newKey, `{}`):                          "LEFT(secure, 31)",
			p.credential(t, 7, newKey, `{}`):                          "REPEAT('x', 65000)",
		}
		var unreadable []string
		for id, expression := range damage {
			unreadable = append(unreadable, id)
			if expression != "" {
				server.Exec(t, "UPDATE classes.tw_secret SET secure = "+expression+" WHERE id = ?", id)
			}
		}
		server.Exec(t, "INSERT INTO classes.tw_secret (id, secure, version) VALUES ('of-nobody', 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', NULL)")
		for _, options := range []Options{{}, {Page: 1}, {Page: 3, Workers: 1}} {
			scanner := NewScanner(p.open(t), keys(), options)
			got, err := scanner.Scan(t.Context())
			require.NoError(t, err)
			assert.Equal(t, []int{19, 6, 5, 7, 1, 1}, []int{got.Total, got.Current, got.Previous, got.Unreadable, got.Orphaned, got.Deleted})
			assert.ElementsMatch(t, unreadable, got.UnreadableIDs)
			assert.NotContains(t, got.UnreadableIDs, deleted)
			assert.Equal(t, []string{"of-nobody"}, got.NotRewritten)
			assert.Empty(t, got.Notes)
			assert.Equal(t, fmt.Sprintf("127.0.0.1:%d/classes", server.Port), got.Database)
			text, err := json.Marshal(got)
			require.NoError(t, err)
			assert.NotContains(t, string(text), "anybody", "never a plaintext")
		}
	})

	t.Run("a poll derives only what changed", func(t *testing.T) {
		p := fresh(t, server, "polls")
		ids := make([]string, 0, 12)
		for user := range int64(12) {
			ids = append(ids, p.credential(t, user, oldKey, `{}`))
		}
		scanner := NewScanner(p.open(t), keys(), Options{})
		got, err := scanner.Scan(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 12, got.Previous)
		before := scanner.derived.Load()
		got, err = scanner.Scan(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 12, got.Previous)
		assert.Equal(t, before, scanner.derived.Load(), "nothing changed, nothing is derived")
		for _, id := range ids[:5] {
			p.rotate(t, id)
		}
		p.credential(t, 99, newKey, `{}`)
		got, err = scanner.Scan(t.Context())
		require.NoError(t, err)
		assert.Equal(t, []int{13, 6, 7}, []int{got.Total, got.Current, got.Previous})
		assert.LessOrEqual(t, scanner.derived.Load()-before, int64(5*2+3))
		server.Exec(t, "DELETE FROM polls.tw_secret WHERE id = ?", ids[0])
		got, err = scanner.Scan(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 12, got.Total)
	})

	t.Run("a record that nobody can open is proved rewritten against the baseline", func(t *testing.T) {
		p := fresh(t, server, "baseline")
		p.credential(t, 1, oldKey, `{}`)
		server.Exec(t, "INSERT INTO baseline.tw_secret (id, secure, version) VALUES ('a', 'before', 0), ('b', 'before', 0)")
		scanner := NewScanner(p.open(t), Keys{Current: secret.New(oldKey)}, Options{})
		_, err := scanner.Scan(t.Context())
		require.NoError(t, err)
		text, err := json.Marshal(scanner.Baseline(time.Now()))
		require.NoError(t, err)
		var handed map[string]any
		require.NoError(t, json.Unmarshal(text, &handed))
		baseline, err := ParseBaseline(handed)
		require.NoError(t, err)
		server.Exec(t, "UPDATE baseline.tw_secret SET secure = 'after', version = 1 WHERE id = 'a'; INSERT INTO baseline.tw_secret (id, secure, version) VALUES ('c', 'new', 0)")
		got, err := NewScanner(p.open(t), keys(), Options{Baseline: baseline}).Scan(t.Context())
		require.NoError(t, err)
		assert.Equal(t, []int{3, 2}, []int{got.Orphaned, got.Rewritten})
		assert.Equal(t, []string{"b"}, got.NotRewritten)
		assert.Len(t, got.Notes, 1, "one was created since, and that is said")
		_, err = ParseBaseline(map[string]any{"format": 2})
		assert.Equal(t, rotation.CodeInvalidOptions, faultOf(t, err).Code)
	})

	t.Run("an empty database is complete and tables that are not there are named", func(t *testing.T) {
		p := fresh(t, server, "empty")
		got, err := NewScanner(p.open(t), keys(), Options{}).Scan(t.Context())
		require.NoError(t, err)
		assert.Zero(t, got.Total)
		server.Exec(t, "ALTER TABLE empty.tw_secret ADD COLUMN more BLOB; CREATE TABLE empty.tw_pipeline_secret (id INT)")
		got, err = NewScanner(p.open(t), keys(), Options{}).Scan(t.Context())
		require.NoError(t, err)
		assert.Len(t, got.Notes, 2, "what was not looked at is said")
		server.Exec(t, "ALTER TABLE empty.tw_credentials DROP COLUMN deleted")
		_, err = NewScanner(p.open(t), keys(), Options{}).Scan(t.Context())
		require.NoError(t, err, "the column deleted may be absent")
		server.Exec(t, "ALTER TABLE empty.tw_secret DROP COLUMN secure")
		_, err = Open(t.Context(), server.Reader("empty"))
		assert.Equal(t, rotation.CodeDatabaseSchema, faultOf(t, err).Code)
		assert.ErrorContains(t, err, "tw_secret.secure")
	})

	t.Run("a refused login is told apart from a server that is down", func(t *testing.T) {
		fresh(t, server, "logins")
		where := server.Reader("logins")
		where.Password = secret.New("wrong" + newKey)
		_, err := Open(t.Context(), where)
		assert.Equal(t, rotation.CodeDatabaseLoginRefused, faultOf(t, err).Code)
		assert.ErrorContains(t, err, `"reader"`)
		_, err = Open(t.Context(), server.Reader("mysql"))
		assert.Equal(t, rotation.CodeDatabaseLoginRefused, faultOf(t, err).Code)
		where = server.Reader("logins")
		where.Port = 1
		_, err = Open(t.Context(), where)
		assert.Equal(t, rotation.CodeDatabaseUnavailable, faultOf(t, err).Code)
		where.Host = "no-such-host.invalid"
		_, err = Open(t.Context(), where)
		assert.Equal(t, rotation.CodeDatabaseUnavailable, faultOf(t, err).Code)
	})

	t.Run("a thousand records stay below 64 MiB", func(t *testing.T) {
		p := fresh(t, server, "thousand")
		var values []string
		for i := range 1000 {
			values = append(values, fmt.Sprintf("('o%04d', REPEAT('x', 4000), 0)", i))
		}
		server.Exec(t, "INSERT INTO thousand.tw_secret (id, secure, version) VALUES "+strings.Join(values, ","))
		scanner := NewScanner(p.open(t), keys(), Options{})
		_, err := scanner.Scan(t.Context())
		require.NoError(t, err)
		var memory runtime.MemStats
		runtime.ReadMemStats(&memory)
		assert.Less(t, memory.Sys, uint64(64<<20))
	})

	t.Run("the reader sends nothing but reads", func(t *testing.T) {
		log, err := os.ReadFile(server.Log())
		require.NoError(t, err)
		reading := regexp.MustCompile(`(?i)^(select|set transaction_read_only|set tx_read_only|set names|start transaction with consistent snapshot, read only|rollback|close stmt)`)
		mine := map[string]bool{}
		seen := 0
		for line := range strings.SplitSeq(string(log), "\n") {
			fields := regexp.MustCompile(`^(?:\S+\s+\S+)?\s*(\d+) (Connect|Query|Prepare|Execute|Close stmt)\s+(.*)$`).FindStringSubmatch(line)
			if fields == nil {
				continue
			}
			if fields[2] == "Connect" {
				mine[fields[1]] = strings.HasPrefix(fields[3], "reader@")
			} else if mine[fields[1]] && fields[2] != "Close stmt" {
				seen++
				assert.Regexp(t, reading, strings.TrimSpace(fields[3]))
			}
		}
		assert.Greater(t, seen, 20)
	})

	t.Run("a connection that breaks in the middle is one clear fault", func(t *testing.T) {
		p := fresh(t, server, "broken")
		p.credential(t, 1, oldKey, `{}`)
		scanner := NewScanner(p.open(t), keys(), Options{})
		_, err := scanner.Scan(t.Context())
		require.NoError(t, err)
		server.Stop()
		_, err = scanner.Scan(t.Context())
		assert.Equal(t, rotation.CodeDatabaseUnavailable, faultOf(t, err).Code)
	})
}
