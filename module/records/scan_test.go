package records

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"regexp"
	"runtime"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/internal/dbserver"
	"github.com/seqera-tools/crypto-rotation/module/proof"
)

// One server of each kind for all that need a real one.
func TestRecordsOfARealDatabase(t *testing.T) { everywhere(t, testRecords) }

func testRecords(t *testing.T, s *server) {
	t.Helper()
	for _, test := range []struct {
		name string
		test func(*testing.T, *server)
	}{
		{"hundreds of records of several users are read", testMany},
		{"in the middle of a rotation the likelier key is tried first", testMix},
		{"each record is in exactly one class, whatever is wrong with it", testClasses},
		{"a scan derives only what changed", testPolls},
		{"a scan sees one instant, whatever is written meanwhile", testSnapshot},
		{"an empty database is read like any other", testEmpty},
		{"what is missing is named, and what was not looked at is said", testSchema},
		{"refused logins are told apart from servers that do not answer", testLogins},
		{"a connection that is cut in the middle is a clear fault, and the next scan continues", testCut},
		{"an interrupted scan says so and blames nobody", testInterrupted},
		{"the reader sends nothing but reads, and the server would refuse more", testReadsOnly},
		{"the server's own log shows nothing but reads", testLog},
		{"an id that collations sort oddly is read like any other", testOddIDs},
		{"a whole look, polls and scans after it, take one connection", testOneConnection},
		{"records are counted without being read", testCount},
		{"sessions of other hosts are seen, and what was not seen is said", testSessions},
		{"what the official image grants is enough", testGrantAll},
		{"the server itself ends what takes too long", testPatience},
		{"select on two tables is enough", testTwoTables},
		{"records of every size stay below 64 MiB", testMemory},
	} {
		t.Run(test.name, func(t *testing.T) { test.test(t, s) })
	}
}

// oneIsEnough skips, on MariaDB, slow tests that depend only on the scanner.
func oneIsEnough(t *testing.T, s *server) {
	t.Helper()
	if s.Kind == dbserver.MariaDB {
		t.Skip("it runs on MySQL")
	}
}

func testMany(t *testing.T, s *server) {
	t.Helper()
	oneIsEnough(t, s)
	p := fresh(t, s)
	p.credentials(t, many, 7)
	assert.Equal(t, proof.Records{
		Database: net.JoinHostPort(s.host, strconv.Itoa(s.Port)) + "/" + p.schema, Total: many, Current: many, Exact: true,
		UnreadableIDs: []string{}, NotRewritten: []string{}, Notes: []string{},
	}, p.scan(t, Keys{Current: keys().Previous}, Options{Page: 70}))
}

func testMix(t *testing.T, s *server) {
	t.Helper()
	p := fresh(t, s)
	ids := p.credentials(t, 24, 3)
	p.rotate(t, ids[:4]...)
	scanner := NewScanner(p.open(t), keys(), Options{Page: 7})
	got, err := scanner.Scan(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []int{24, 4, 20, 0, 0}, []int{got.Total, got.Current, got.Previous, got.Unreadable, got.Orphaned})
	inVain := scanner.derived.Load() - 2*24
	assert.Less(t, inVain, int64(14), "one derivation a credential, one a record, few in vain")
}

func testClasses(t *testing.T, s *server) {
	t.Helper()
	p := fresh(t, s)
	for user := range int64(5) {
		p.credential(t, user, oldKey, `{"accessKey":"x"}`)
		p.credential(t, user, newKey, `{}`)
	}
	deleted := p.credential(t, 9, newKey, `{"deleted":true}`)
	p.exec(t, "UPDATE tw_credentials SET deleted = user_id = 9 WHERE user_id > 3")
	damage := map[string]string{
		p.credential(t, 7, newKey, `don't tell this to anybody!`): "",
		p.credential(t, 7, newKey, `["not an object"]`):           "",
		p.credential(t, 7, newKey, ``):                            "",
		p.credential(t, 7, "another key", `{}`):                   "",
		p.credential(t, 7, newKey, `{}`):                          "NULL",
		p.credential(t, 7, newKey, `{}`):                          "''",
		p.credential(t, 7, newKey, `{}`):                          "LEFT(secure, 15)",
		p.credential(t, 7, newKey, `{}`):                          "LEFT(secure, 16)",
		p.credential(t, 7, newKey, `{}`):                          "LEFT(secure, 31)",
		p.credential(t, 7, newKey, `{"a":"0123456789abcdef"}`):    "CONCAT(secure, 'x')",
		// the IV's first byte turns { into something else; the padding stays right
		p.credential(t, 7, newKey, `{"a":"0123456789abcdef"}`): "INSERT(secure, 1, 1, CHAR(ASCII(LEFT(secure, 1)) ^ 1))",
		p.credential(t, 7, newKey, `{}`):                       "REPEAT('x', 65000)",
	}
	var unreadable []string
	for id, expression := range damage {
		unreadable = append(unreadable, id)
		if expression != "" {
			p.exec(t, "UPDATE tw_secret SET secure = "+expression+" WHERE id = ?", id)
		}
	}
	p.exec(t, "INSERT INTO tw_secret (id, secure, version) VALUES ('of-nobody', 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', NULL), ('empty', NULL, NULL)")
	for _, options := range []Options{{}, {Page: 3, Workers: 1}} {
		got := p.scan(t, keys(), options)
		assert.Equal(t, []int{25, 6, 5, 12, 2, 1}, []int{got.Total, got.Current, got.Previous, got.Unreadable, got.Orphaned, got.Deleted})
		assert.Equal(t, got.Total, got.Current+got.Previous+got.Unreadable+got.Orphaned)
		assert.ElementsMatch(t, unreadable, got.UnreadableIDs)
		assert.NotContains(t, got.UnreadableIDs, deleted)
		assert.Equal(t, []string{"empty", "of-nobody"}, got.NotRewritten, "nothing is proved of them without a baseline")
		assert.Empty(t, got.Notes)
		text, err := json.Marshal(got)
		require.NoError(t, err)
		assert.NotContains(t, string(text), "anybody", "never a plaintext")
	}
	p.exec(t, "INSERT INTO tw_credentials (id, user_id, salt) VALUES ('a', 1, NULL), ('b', 1, '')")
	got := p.scan(t, keys(), Options{})
	assert.Equal(t, []string{"2 records have no credential, and 2 credentials have no record; perhaps they belong together in a way that is not published"}, got.Notes)
}

func testPolls(t *testing.T, s *server) {
	t.Helper()
	p := fresh(t, s)
	ids := p.credentials(t, 12, 3)
	scanner := NewScanner(p.open(t), keys(), Options{Page: 5})
	poll := func(derivations int64) proof.Records {
		t.Helper()
		before := scanner.derived.Load()
		got, err := scanner.Scan(t.Context())
		require.NoError(t, err)
		assert.True(t, got.Exact)
		assert.Equal(t, derivations, scanner.derived.Load()-before)
		return got
	}
	scanner.lean.Store(-1) // else the first records are tried with the current key too
	assert.Equal(t, 12, poll(2*12).Previous)
	assert.Equal(t, 12, poll(0).Previous)
	p.rotate(t, ids[:5]...)
	got := poll(5)
	assert.Equal(t, []int{5, 7}, []int{got.Current, got.Previous})
	p.rotate(t, ids[:5]...)
	assert.Equal(t, 5, poll(5).Current)
	p.exec(t, "UPDATE tw_secret SET version = version + 1 WHERE id = ?", ids[0])
	assert.Equal(t, 5, poll(0).Current, "nor does a new version of the same content")
	p.exec(t, "UPDATE tw_secret SET secure = 'damaged' WHERE id = ?", ids[0])
	assert.Equal(t, 1, poll(2).Unreadable, "another content under the same version is looked at again")
	p.rotate(t, ids[0])
	p.credential(t, 99, newKey, `{}`)
	assert.Equal(t, 13, poll(3).Total, "a credential, its record, and the one that was damaged")
	p.exec(t, "DELETE FROM tw_secret WHERE id = ?", ids[0])
	assert.Equal(t, 12, poll(0).Total)
	p.exec(t, "DELETE FROM tw_credentials WHERE user_id = 99")
	got = poll(0)
	assert.Equal(t, []int{12, 4, 1}, []int{got.Total, got.Current, got.Orphaned}, "whose credential went away is orphaned")
	p.exec(t, "UPDATE tw_credentials SET salt = 'another salt....' WHERE user_id = 1")
	assert.Equal(t, 4, poll(4).Orphaned, "another salt is another record: four ids")
}

func testSnapshot(t *testing.T, s *server) {
	t.Helper()
	s.Exec(t, "SET GLOBAL TRANSACTION ISOLATION LEVEL READ COMMITTED")
	defer s.Exec(t, "SET GLOBAL TRANSACTION ISOLATION LEVEL REPEATABLE READ")
	p := fresh(t, s)
	ids := p.credentials(t, 6, 2)
	wire := s.wire(t)
	scanner := NewScanner(p.openAt(t, wire.through(s.Reader(p.schema))), keys(), Options{Page: 2})
	_, err := scanner.Poll(t.Context())
	require.NoError(t, err)
	wire.at(2, "FROM tw_secret", func() { // the second page of the snapshot
		p.rotate(t, ids...)
		p.exec(t, "INSERT INTO tw_secret (id, secure, version) VALUES ('~', 'x', 0)")
	})
	got, err := scanner.Scan(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []any{6, 0, 6, true}, []any{got.Total, got.Current, got.Previous, got.Exact})
	got, err = scanner.Scan(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []any{7, 6, 0, true}, []any{got.Total, got.Current, got.Previous, got.Exact})
}

func testEmpty(t *testing.T, s *server) {
	t.Helper()
	p := fresh(t, s)
	got := p.scan(t, keys(), Options{})
	text, err := json.Marshal(got)
	require.NoError(t, err)
	assert.Zero(t, got.Total)
	assert.NotContains(t, string(text), "null", "lists are lists")
	baseline, err := NewScanner(p.open(t), keys(), Options{}).Baseline(Taking{App: "app", At: noon()}, quick{}, io.Discard)
	require.NoError(t, err)
	assert.Empty(t, baseline.Records)
}

func testSchema(t *testing.T, s *server) {
	t.Helper()
	p := fresh(t, s)
	p.exec(t, "ALTER TABLE tw_secret ADD COLUMN more BLOB")
	p.exec(t, "CREATE TABLE tw_pipeline_secret (id INT)")
	p.exec(t, "CREATE TABLE tw_vault (id INT, Secure BLOB)")
	p.exec(t, "CREATE TABLE tw_encryption_task (id INT, Path TEXT, status TEXT)")
	p.exec(t, "CREATE TABLE tw_user (id INT, name TEXT)")
	assert.Equal(t, []string{
		"table tw_encryption_task (id, path, status; about 0 rows) was not read: it is not in the published schema",
		"table tw_pipeline_secret (id; about 0 rows) was not read: it is not in the published schema",
		"column tw_secret.more was not read: it is not in the published schema",
		"table tw_vault (id, secure; about 0 rows) was not read: it is not in the published schema",
	}, p.scan(t, keys(), Options{}).Notes)
	p.exec(t, "ALTER TABLE tw_credentials DROP COLUMN deleted")
	p.scan(t, keys(), Options{}) // may be absent
	for _, change := range []struct{ statement, missing string }{
		{"ALTER TABLE tw_secret DROP COLUMN secure", "cannot see column tw_secret.secure."},
		{"ALTER TABLE tw_credentials DROP COLUMN salt", "cannot see column tw_credentials.salt, column tw_secret.secure."},
		{"DROP TABLE tw_secret", "cannot see column tw_credentials.salt, table tw_secret."},
	} {
		p.exec(t, change.statement)
		_, err := Open(t.Context(), s.Reader(p.schema))
		assert.Equal(t, fault.CodeDatabaseSchema, faultOf(t, err).Code)
		assert.ErrorContains(t, err, change.missing)
	}
}

func testReadsOnly(t *testing.T, s *server) {
	t.Helper()
	p := fresh(t, s)
	p.exec(t, "INSERT INTO tw_secret (id, secure, version) VALUES ('a', 'x', 0), ('b', 'x', 0)")
	wire := s.wire(t)
	db := p.openAt(t, wire.through(s.Reader(p.schema)))
	_, err := NewScanner(db, keys(), Options{Page: 1}).Scan(t.Context())
	require.NoError(t, err)
	reading := regexp.MustCompile(`^(SELECT .*|SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY|SET SESSION lock_wait_timeout = 10 .*|START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY|ROLLBACK|command (1|14|23|25))(\s|$)`)
	for _, statement := range wire.statements() {
		assert.Regexp(t, reading, statement)
	}
	assert.Greater(t, len(wire.statements()), 8)
	s.Exec(t, "GRANT ALL ON "+p.schema+".* TO reader@'%'")
	all := p.open(t)
	_, err = all.pool.ExecContext(t.Context(), "UPDATE tw_secret SET version = 9")
	assert.ErrorContains(t, err, "READ ONLY", "also for a user that may write")
}

func testOddIDs(t *testing.T, s *server) {
	t.Helper()
	p := fresh(t, s)
	p.exec(t, "ALTER TABLE tw_secret CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci")
	odd := []string{"", "+/==", "a", "B", "c", "Æ", "ß-", "é\"'\\", "%", "_", "~", "日本"}
	for _, id := range odd {
		p.exec(t, "INSERT INTO tw_secret (id, secure, version) VALUES (?, 'x', 0)", id)
	}
	for _, page := range []int{1, 2, 5, 100} {
		assert.ElementsMatch(t, odd, p.scan(t, keys(), Options{Page: page}).NotRewritten, "pages of %d", page)
	}
}

func testMemory(t *testing.T, s *server) {
	t.Helper()
	oneIsEnough(t, s)
	if raced {
		t.Skip("the race detector needs memory of its own")
	}
	p := fresh(t, s)
	p.exec(t, "INSERT INTO tw_secret (id, secure, version) WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 1000) SELECT CONCAT('o', i), REPEAT('x', 65000), 0 FROM n")
	wire := s.wire(t)
	scanner := NewScanner(p.openAt(t, wire.through(s.Reader(p.schema))), keys(), Options{Page: 1000})
	got, err := scanner.Scan(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 1000, got.Orphaned)
	assert.Greater(t, wire.count(t, "FROM tw_secret"), 10, "a page ends when it holds enough")
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	assert.Less(t, memory.Sys, uint64(64<<20))
}

func testCut(t *testing.T, s *server) {
	t.Helper()
	p := fresh(t, s)
	p.credentials(t, 6, 2)
	wire := s.wire(t)
	scanner := NewScanner(p.openAt(t, wire.through(s.Reader(p.schema))), keys(), Options{Page: 2})
	wire.at(6, "FROM tw_secret", wire.cut) // in the snapshot of the scan: count, list, three pages that are judged, confirm
	_, err := scanner.Scan(t.Context())
	f := faultOf(t, err)
	assert.Equal(t, fault.CodeDatabaseUnavailable, f.Code)
	assert.Contains(t, f.What, "broke")
	before := scanner.derived.Load()
	got, err := scanner.Scan(t.Context())
	require.NoError(t, err, "the next scan makes a new connection")
	assert.Equal(t, 6, got.Previous)
	assert.LessOrEqual(t, scanner.derived.Load()-before, int64(2*4), "what was learnt is kept")
	wire.cut() // between two scans
	_, err = scanner.Scan(t.Context())
	require.NoError(t, err)
	_ = wire.listener.Close()
	wire.cut()
	_, err = scanner.Scan(t.Context())
	assert.Contains(t, faultOf(t, err).What, "nothing listens there")
}

func testInterrupted(t *testing.T, s *server) {
	t.Helper()
	p := fresh(t, s)
	p.credentials(t, 6, 2)
	wire := s.wire(t)
	scanner := NewScanner(p.openAt(t, wire.through(s.Reader(p.schema))), keys(), Options{Page: 2})
	ctx, cancel := context.WithCancel(t.Context())
	wire.at(2, "FROM tw_secret", cancel)
	_, err := scanner.Scan(ctx)
	assert.Equal(t, fault.CodeInterrupted, faultOf(t, err).Code)
	got, err := scanner.Scan(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 6, got.Previous)
	assert.NotContains(t, fmt.Sprintf("%v %+v %#v", scanner, scanner, scanner.keys), oldKey)
}

func testOneConnection(t *testing.T, s *server) {
	t.Helper()
	p := fresh(t, s)
	ids := p.credentials(t, 12, 3)
	wire := s.wire(t)
	db := p.openAt(t, wire.through(s.Reader(p.schema)))
	scanner := NewScanner(db, keys(), Options{Page: 5})
	for range 2 {
		_, err := scanner.Poll(t.Context())
		require.NoError(t, err)
		_, err = scanner.Scan(t.Context())
		require.NoError(t, err)
		p.rotate(t, ids[:4]...)
	}
	_, err := db.Sessions(t.Context())
	require.NoError(t, err)
	p.exec(t, "INSERT INTO tw_secret (id, secure, version) VALUES ('~', 'x', 0)")
	n, err := db.Count(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 13, n, "no look sees the view of the one before")
	got, err := scanner.Scan(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 4, got.Current)
	assert.Equal(t, 1, wire.connections())
	wire.cut()
	_, err = db.Count(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 2, wire.connections(), "one that broke is made again")
}

func testCount(t *testing.T, s *server) {
	t.Helper()
	p := fresh(t, s)
	db := p.open(t)
	n, err := db.Count(t.Context())
	require.NoError(t, err)
	assert.Zero(t, n)
	p.exec(t, "INSERT INTO tw_secret (id, secure, version) VALUES ('a', 'x', 0), ('b', NULL, NULL)")
	n, err = db.Count(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 2, n)
	assert.Equal(t, net.JoinHostPort(s.host, strconv.Itoa(s.Port))+"/"+p.schema, db.Identity())
	p.exec(t, "DROP TABLE tw_secret")
	_, err = db.Count(t.Context())
	assert.Contains(t, faultOf(t, err).What, p.schema)
}

func testSessions(t *testing.T, s *server) {
	t.Helper()
	p := fresh(t, s)
	db := p.open(t)
	seen, err := db.Sessions(t.Context())
	require.NoError(t, err)
	assert.Equal(t, Sessions{Own: seen.Own}, seen, "nobody else is there")
	assert.Contains(t, []string{"127.0.0.1", "localhost"}, seen.Own)

	p.open(t) // the same user, idle
	other, elsewhere := fresh(t, s), s.wire(t)
	other.openAt(t, elsewhere.through(s.Reader(other.schema))) // on another schema
	seen, err = db.Sessions(t.Context())
	require.NoError(t, err)
	assert.Equal(t, Sessions{Own: seen.Own, Others: []string{seen.Own}}, seen)

	s.Exec(t, "CREATE USER neighbor@'%' IDENTIFIED BY '"+password+"'; GRANT SELECT ON "+p.schema+".* TO neighbor@'%'")
	defer s.Exec(t, "DROP USER neighbor@'%'")
	// From another address of this machine, as from another host.
	elsewhere.comesFrom("127.0.0.2")
	where := elsewhere.through(s.Reader(p.schema))
	where.User = "neighbor"
	p.openAt(t, where)
	seen, err = db.Sessions(t.Context())
	require.NoError(t, err)
	assert.Equal(t, Sessions{Own: seen.Own, Others: []string{seen.Own}}, seen, "another user's session is not seen without PROCESS, and All says so")

	s.Exec(t, "GRANT PROCESS ON *.* TO reader@'%'")
	defer s.Exec(t, "REVOKE PROCESS ON *.* FROM reader@'%'")
	seen, err = p.open(t).Sessions(t.Context())
	require.NoError(t, err)
	assert.True(t, seen.All)
	assert.Contains(t, seen.Others, "127.0.0.2")
	assert.Len(t, seen.Others, 2)
}

func testGrantAll(t *testing.T, s *server) {
	t.Helper()
	p := fresh(t, s)
	p.credentials(t, 4, 2)
	s.Exec(t, "CREATE USER tower@'%' IDENTIFIED BY '"+password+"'; GRANT ALL ON "+p.schema+".* TO tower@'%'")
	defer s.Exec(t, "DROP USER tower@'%'")
	where := s.Reader(p.schema)
	where.User = "tower"
	// The installer's JDBC URL has useSSL=false. MySQL's caching_sha2_password has not met this user yet: the password goes under
	// the server's RSA key.
	where.TLS = "disabled"
	db := p.openAt(t, where)
	var plugin, cipher string
	require.NoError(t, s.Admin.QueryRowContext(t.Context(), "SELECT plugin FROM mysql.user WHERE user = 'tower'").Scan(&plugin))
	assert.Equal(t, map[dbserver.Kind]string{dbserver.MySQL: "caching_sha2_password", dbserver.MariaDB: "mysql_native_password"}[s.Kind], plugin)
	require.NoError(t, db.pool.QueryRowContext(t.Context(), "SHOW SESSION STATUS LIKE 'Ssl_cipher'").Scan(new(string), &cipher))
	assert.Empty(t, cipher)
	got, err := NewScanner(db, keys(), Options{}).Scan(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []any{4, 4, true}, []any{got.Total, got.Previous, got.Exact})
	seen, err := db.Sessions(t.Context())
	require.NoError(t, err)
	assert.False(t, seen.All)
	_, err = db.pool.ExecContext(t.Context(), "UPDATE tw_secret SET version = 9")
	assert.ErrorContains(t, err, "READ ONLY")
}

func testPatience(t *testing.T, s *server) {
	t.Helper()
	db := fresh(t, s).open(t)
	var statement, lock float64
	limit := map[dbserver.Kind]string{dbserver.MySQL: "@@max_execution_time / 1000", dbserver.MariaDB: "@@max_statement_time"}[s.Kind]
	require.NoError(t, db.pool.QueryRowContext(t.Context(), "SELECT "+limit+", @@lock_wait_timeout").Scan(&statement, &lock))
	assert.InDelta(t, 60, statement, 0)
	assert.InDelta(t, 10, lock, 0)
}

func testTwoTables(t *testing.T, s *server) {
	t.Helper()
	p := fresh(t, s)
	p.asRoot(t, "REVOKE SELECT ON SCHEMA.* FROM reader@'%'; GRANT SELECT ON SCHEMA.tw_credentials TO reader@'%'; GRANT SELECT ON SCHEMA.tw_secret TO reader@'%'")
	got := p.scan(t, keys(), Options{})
	assert.True(t, got.Exact)
}
