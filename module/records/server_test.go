package records

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/internal/dbserver"
	"github.com/seqera-tools/crypto-rotation/module/proof"
	"github.com/seqera-tools/crypto-rotation/module/sealed"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

const (
	oldKey   = "OLDcanaryOLDcanaryOLDcanary01"
	newKey   = "NEWcanaryNEWcanaryNEWcanary02"
	password = "readers-pass"
)

func keys() Keys { return Keys{Current: secret.New(newKey), Previous: secret.New(oldKey)} }

// server is a real one.
type server struct {
	*dbserver.Server
	host string
}

// everywhere runs a test on MySQL, with TEST_DATABASES=all on MariaDB as well, or on the server that TEST_MYSQL_DSN names
// (user:password@tcp(host:port)/, who may make schemas and users).
func everywhere(t *testing.T, test func(*testing.T, *server)) {
	t.Helper()
	if dsn := os.Getenv("TEST_MYSQL_DSN"); dsn != "" {
		test(t, named(t, dsn))
		return
	}
	for _, kind := range kinds() {
		t.Run(string(kind), func(t *testing.T) { test(t, start(t, kind)) })
	}
}

func kinds() []dbserver.Kind {
	if os.Getenv("TEST_DATABASES") == "all" {
		return dbserver.Kinds()
	}
	return []dbserver.Kind{dbserver.MySQL}
}

func start(t *testing.T, kind dbserver.Kind, more ...string) *server {
	t.Helper()
	return &server{dbserver.Start(t, kind, more...), "127.0.0.1"}
}

func named(t *testing.T, dsn string) *server {
	t.Helper()
	settings, err := mysql.ParseDSN(dsn)
	require.NoError(t, err)
	settings.MultiStatements = true
	connector, err := mysql.NewConnector(settings)
	require.NoError(t, err)
	host, port, err := net.SplitHostPort(settings.Addr)
	require.NoError(t, err)
	s := &server{&dbserver.Server{Admin: sql.OpenDB(connector)}, host}
	s.Port, err = strconv.Atoi(port)
	require.NoError(t, err)
	s.Exec(t, "DROP USER IF EXISTS reader@'%'; CREATE USER reader@'%' IDENTIFIED BY '"+password+"'")
	t.Cleanup(func() {
		_, err := s.Admin.ExecContext(context.WithoutCancel(t.Context()), "DROP USER reader@'%'")
		assert.NoError(t, err)
		assert.NoError(t, s.Admin.Close())
	})
	return s
}

func (s *server) Reader(schema string) proof.Database {
	where := s.Server.Reader(schema)
	where.Host = s.host
	return where
}

// platform is one Platform's schema under test.
type platform struct {
	server *server
	schema string
	salts  map[string][]byte // of the credentials made, by record id
}

func fresh(t *testing.T, s *server) *platform {
	t.Helper()
	p := &platform{server: s, schema: "test_" + strings.ToLower(rand.Text()[:10]), salts: map[string][]byte{}}
	s.Schema(t, p.schema)
	t.Cleanup(func() {
		_, _ = s.Admin.ExecContext(context.WithoutCancel(t.Context()), "DROP DATABASE IF EXISTS "+p.schema)
	})
	return p
}

// exec runs statements in this schema.
func (p *platform) exec(t *testing.T, statement string, args ...any) {
	t.Helper()
	p.server.Exec(t, strings.ReplaceAll(statement, " tw_", " "+p.schema+".tw_"), args...)
}

func (p *platform) credential(t *testing.T, user int64, key, plain string) string {
	t.Helper()
	credential, salt := base64.RawURLEncoding.EncodeToString(random()), random()
	id, err := sealed.ID(sealed.Path(user, credential), salt)
	require.NoError(t, err)
	p.salts[id] = salt
	p.exec(t, "INSERT INTO tw_credentials (id, user_id, version, salt) VALUES (?, ?, 0, ?)", credential, user, salt)
	p.exec(t, "INSERT INTO tw_secret (id, secure, version) VALUES (?, ?, 0)", id, seal(t, p.salts[id], key, plain))
	return id
}

// credentials makes many under the old key, on all cores.
func (p *platform) credentials(t *testing.T, n int, users int64) []string {
	t.Helper()
	made := seeds(t, n, users)
	ids := make([]string, n)
	for i, one := range made {
		ids[i], p.salts[one.id] = one.id, one.salt
		p.exec(t, "INSERT INTO tw_credentials (id, user_id, version, salt) VALUES (?, ?, 0, ?)", one.credential, one.user, one.salt)
		p.exec(t, "INSERT INTO tw_secret (id, secure, version) VALUES (?, ?, 0)", one.id, one.secure)
	}
	return ids
}

// rotate does to records what cron does.
func (p *platform) rotate(t *testing.T, ids ...string) {
	t.Helper()
	for _, id := range ids {
		p.exec(t, "UPDATE tw_secret SET secure = ?, version = version + 1 WHERE id = ?", seal(t, p.salts[id], newKey, `{"a":1}`), id)
	}
}

func (p *platform) open(t *testing.T) *DB {
	t.Helper()
	return p.openAt(t, p.server.Reader(p.schema))
}

func (p *platform) openAt(t *testing.T, where proof.Database) *DB {
	t.Helper()
	db, err := Open(t.Context(), where)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, db.Close()) })
	return db
}

func (p *platform) scan(t *testing.T, keys Keys, options Options) proof.Records {
	t.Helper()
	scanner := NewScanner(p.open(t), keys, options)
	got, err := scanner.Scan(t.Context())
	require.NoError(t, err)
	return got
}

// seed is a credential and its record.
type seed struct {
	user       int64
	credential string
	salt       []byte
	id         string
	secure     []byte
}

// seeds makes records of several users under the old key. Their salts repeat, so that making them costs one derivation each and
// not two; for what reads them nothing is different.
func seeds(t testing.TB, n int, users int64) []seed {
	t.Helper()
	salts := [][]byte{random(), random(), random(), random()}
	derived := make([]sealed.Key, len(salts))
	for i, salt := range salts {
		var err error
		derived[i], err = sealed.Derive([]byte(oldKey), salt)
		require.NoError(t, err)
	}
	made := make([]seed, n)
	var group sync.WaitGroup
	work := make(chan int)
	for range 4 {
		group.Go(func() {
			for i := range work {
				one := seed{user: int64(i)%users + 1, credential: base64.RawURLEncoding.EncodeToString(random()), salt: salts[i%len(salts)]}
				one.id, _ = sealed.ID(sealed.Path(one.user, one.credential), one.salt)
				one.secure, _ = sealed.Seal(derived[i%len(salts)], []byte(`{"accessKey":"AKIA","secretKey":"`+strings.Repeat("x", 200)+`"}`), rand.Reader)
				made[i] = one
			}
		})
	}
	for i := range n {
		work <- i
	}
	close(work)
	group.Wait()
	return made
}

func seal(t testing.TB, salt []byte, key, plain string) []byte {
	t.Helper()
	derived, err := sealed.Derive([]byte(key), salt)
	require.NoError(t, err)
	secure, err := sealed.Seal(derived, []byte(plain), rand.Reader)
	require.NoError(t, err)
	return secure
}

func random() []byte {
	b := make([]byte, 16)
	_, _ = rand.Read(b)
	return b
}

func faultOf(t *testing.T, err error) *fault.Fault {
	t.Helper()
	var f *fault.Fault
	require.ErrorAs(t, err, &f)
	assert.NotEmpty(t, f.What)
	assert.NotEmpty(t, f.Next)
	for _, hidden := range []string{oldKey, newKey, password} {
		assert.NotContains(t, err.Error(), hidden)
	}
	return f
}
