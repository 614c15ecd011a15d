package main

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAServiceKnowsItsRoleFromItsEnvironment(t *testing.T) {
	cases := []struct {
		args []string
		env  map[string]string
		want string
	}{
		{want: "backend"},
		{env: map[string]string{"MICRONAUT_ENVIRONMENTS": "prod,redis,ha"}, want: "backend"},
		{env: map[string]string{"MICRONAUT_ENVIRONMENTS": "prod,redis,cron"}, want: "cron"},
		{env: map[string]string{"MICRONAUT_ENVIRONMENTS": "prod,cron,auth-oidc"}, want: "cron"},
		{env: map[string]string{"MICRONAUT_ENVIRONMENTS": "prod,cronies"}, want: "backend"},
		{args: []string{"-c", "/migrate-db.sh"}, env: map[string]string{"SANDBOX_ROLE": "migrate"}, want: "migrate"},
		{args: []string{"seed", "--records", "1"}, want: "seed"},
		{args: []string{"check"}, env: map[string]string{"MICRONAUT_ENVIRONMENTS": "cron"}, want: "check"},
		{args: []string{"-c", "/tower.sh"}, env: map[string]string{"MICRONAUT_ENVIRONMENTS": "prod,redis,cron,,,"}, want: "cron"},
		{args: []string{"-c", "/wait-for-it.sh db:3306 -t 60; /tower.sh"}, env: map[string]string{"MICRONAUT_ENVIRONMENTS": "prod,redis,ha,,,"}, want: "backend"},
		{args: []string{"listen"}, want: "listen"},
		{args: []string{"--appendonly", "yes"}, env: map[string]string{"SANDBOX_ROLE": "listen"}, want: "listen"},
		{args: []string{"redis-server", "--requirepass", "check"}, env: map[string]string{"SANDBOX_ROLE": "listen"}, want: "listen"},
		{args: []string{"sh", "-c", "pip install cryptography; bin/serve.sh"}, env: map[string]string{"SANDBOX_ROLE": "listen"}, want: "listen"},
		{env: map[string]string{"SANDBOX_ROLE": "listen", "MICRONAUT_ENVIRONMENTS": "lite,redis"}, want: "listen"},
		{env: map[string]string{"SANDBOX_ROLE": "frontend"}, want: "frontend"},
	}
	for _, c := range cases {
		assert.Equal(t, c.want, roleOf(c.args, func(name string) string { return c.env[name] }), "%v %v", c.args, c.env)
	}
}

func TestAnOptionThatCannotBeReadIsNamed(t *testing.T) {
	for _, name := range []string{"SANDBOX_CRON_CRASH_AFTER", "SANDBOX_CRON_RECORD_DELAY", "SANDBOX_BACKEND_EXIT"} {
		_, err := configFrom(func(asked string) string { return map[string]string{name: "soon"}[asked] })
		assert.ErrorContains(t, err, name)
	}
}

func TestTheDatabaseIsReadFromAJDBCAddress(t *testing.T) {
	conf, err := driverConfig("jdbc:mysql://db:3306/tower?useSSL=false&permitMysqlScheme=true")
	require.NoError(t, err)
	assert.Equal(t, "db:3306 tower", conf.Addr+" "+conf.DBName)
	conf, err = driverConfig("jdbc:mysql://example.org/tower")
	require.NoError(t, err)
	assert.Equal(t, "example.org:3306", conf.Addr)
	assert.Equal(t, "preferred", conf.TLSConfig)
	conf, err = driverConfig("jdbc:mysql://db:3306/tower?allowPublicKeyRetrieval=true&useSSL=false&permitMysqlScheme=true")
	require.NoError(t, err)
	assert.Equal(t, "false", conf.TLSConfig)
	for _, bad := range []string{"", "mysql://db/tower", "jdbc:mysql:/tower"} {
		_, err := driverConfig(bad)
		assert.Error(t, err, bad)
	}
}

func TestAServiceOpensWhatItsKeysOpenAndWritesWithTheCurrentOne(t *testing.T) {
	salt, plain := orphanSalt("x"), []byte(`{"k":"v"}`)
	old, fresh := []byte("anOldInventedKey"), []byte("aNewInventedKey")
	before := newKeyring(old, nil)
	during := newKeyring(fresh, old)
	after := newKeyring(fresh, nil)
	written := func(k keyring) []byte {
		secure, err := k.seal(salt, plain, randomReader{randomOf(1, "iv")})
		require.NoError(t, err)
		return secure
	}
	cases := []struct {
		name   string
		reader keyring
		secure []byte
		want   which
	}{
		{"during, old record", during, written(before), previous},
		{"during, new record", during, written(during), current},
		{"after, new record", after, written(during), current},
		{"a backend with only the old key, new record", before, written(during), ""},
		{"a backend with only the new key, old record", after, written(before), ""},
	}
	for _, c := range cases {
		opened, by, err := c.reader.open(salt, c.secure)
		assert.Equal(t, c.want, by, c.name)
		if c.want == "" {
			assert.ErrorIs(t, err, errNoKey, c.name)
		} else {
			assert.Equal(t, plain, opened, c.name)
		}
	}
}

func TestCronCrashesWhereItIsTold(t *testing.T) {
	var said bytes.Buffer
	crashes := 0
	r := rotator{
		opts:  options{CronCrashAfter: 2},
		log:   log.New(&said, "", 0),
		crash: func() { crashes++ },
	}
	for range 2 {
		require.NoError(t, r.pace(t.Context()))
	}
	assert.Zero(t, crashes)
	require.NoError(t, r.pace(t.Context()))
	assert.Equal(t, 1, crashes)
}

func TestCronStopsWhereItIsTold(t *testing.T) {
	r := rotator{opts: options{CronStopAfter: 1}}
	require.NoError(t, r.pace(t.Context()))
	assert.ErrorIs(t, r.pace(t.Context()), errStopped)
}

func TestWorkKeepsItsOrderAndReportsAnError(t *testing.T) {
	got, err := onEveryCore([]int{3, 1, 2}, func(n int) (int, error) { return n * n, nil })
	require.NoError(t, err)
	assert.Equal(t, []int{9, 1, 4}, got)
	_, err = onEveryCore([]int{1, 2}, func(n int) (int, error) {
		if n == 2 {
			return 0, io.ErrUnexpectedEOF
		}
		return n, nil
	})
	assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
	none, err := onEveryCore([]int{}, func(int) (int, error) { return 0, errors.New("not called") })
	require.NoError(t, err)
	assert.Empty(t, none)
}

func TestTheBackendAnswersAsDocumentedAndAsTold(t *testing.T) {
	ask := func(method, path, body string, said map[string]string) *httptest.ResponseRecorder {
		conf, err := configFrom(func(name string) string { return said[name] })
		require.NoError(t, err)
		answer := httptest.NewRecorder()
		request := httptest.NewRequestWithContext(t.Context(), method, "http://example.org:8000"+path, strings.NewReader(body))
		routes(&store{db: noDatabase(t), keys: testKeys()}, conf).ServeHTTP(answer, request)
		return answer
	}
	const info, health = "/api/service-info", "/health"
	ready := ask(http.MethodGet, info, "", nil)
	assert.Equal(t, http.StatusOK, ready.Code)
	assert.JSONEq(t, `{"serviceInfo": {"version": "26.1.3", "apiVersion": "1.181.0", "commitId": "standin"}}`, ready.Body.String())
	assert.Contains(t, ask(http.MethodGet, info, "", map[string]string{"SANDBOX_BACKEND_VERSION": "25.1.0"}).Body.String(), `"version":"25.1.0"`)
	healthy := ask(http.MethodGet, health, "", nil)
	assert.Equal(t, http.StatusOK, healthy.Code)
	assert.JSONEq(t, `{"status": "UP"}`, healthy.Body.String())

	unhealthy := map[string]string{"SANDBOX_BACKEND_UNHEALTHY": "true"}
	assert.Equal(t, http.StatusOK, ask(http.MethodGet, info, "", unhealthy).Code)
	assert.Equal(t, http.StatusServiceUnavailable, ask(http.MethodGet, health, "", unhealthy).Code)

	for _, body := range []string{"", "{}", `{"keys": 1}`, `{"keys": [1]}`} {
		assert.Equal(t, http.StatusBadRequest, ask(http.MethodPost, "/credentials", body, nil).Code, body)
	}
	assert.Equal(t, http.StatusInternalServerError, ask(http.MethodGet, "/credentials/x/check", "", nil).Code)
}

// noDatabase is a handle whose every use fails.
func noDatabase(t *testing.T) *sql.DB {
	t.Helper()
	conf, err := driverConfig("jdbc:mysql://127.0.0.1:1/tower")
	require.NoError(t, err)
	conf.Logger = log.New(io.Discard, "", 0)
	db, err := sql.Open("mysql", conf.FormatDSN())
	require.NoError(t, err)
	require.NoError(t, db.Close())
	require.Error(t, db.PingContext(context.WithoutCancel(t.Context())))
	return db
}
