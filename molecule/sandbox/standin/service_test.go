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
	"path/filepath"
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
	}
	for _, c := range cases {
		assert.Equal(t, c.want, roleOf(c.args, func(name string) string { return c.env[name] }), "%v %v", c.args, c.env)
	}
}

func TestAnOptionThatCannotBeReadIsNamed(t *testing.T) {
	for _, name := range []string{"SANDBOX_CRON_CRASH_AFTER", "SANDBOX_CRON_RECORD_DELAY", "SANDBOX_MIGRATE_FAIL"} {
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
	for _, bad := range []string{"", "mysql://db/tower", "jdbc:mysql:/tower"} {
		_, err := driverConfig(bad)
		assert.Error(t, err, bad)
	}
}

func TestSettingsComeFromTheParametersUnderTheApplicationsName(t *testing.T) {
	prefix := "/config/app"
	values := map[string]string{prefix + "/tower/crypto/secretKey": "k1"}
	set, err := settingsFrom(values, prefix, config{DBUser: "u", DBPassword: "p"})
	require.NoError(t, err)
	assert.Equal(t, settings{current: []byte("k1"), previous: []byte{}, chunkSize: 50, dbUser: "u", dbPass: "p"}, set)

	values[prefix+"/tower/secret-rotation/previous-key"] = "k0"
	values[prefix+"/tower/secret-rotation/enabled"] = "true"
	values[prefix+"/tower/secret-rotation/chunk-size"] = "7"
	values[prefix+"/datasources/default/username"] = "ssm-user"
	set, err = settingsFrom(values, prefix, config{DBUser: "u", DBPassword: "p"})
	require.NoError(t, err)
	assert.Equal(t, settings{
		current: []byte("k1"), previous: []byte("k0"), rotate: true, chunkSize: 7, dbUser: "ssm-user", dbPass: "p",
	}, set)

	values[prefix+"/tower/secret-rotation/chunk-size"] = "none"
	_, err = settingsFrom(values, prefix, config{})
	assert.ErrorContains(t, err, "chunk-size")
	_, err = settingsFrom(map[string]string{"/config/other/tower/crypto/secretKey": "k"}, prefix, config{})
	assert.ErrorContains(t, err, "secretKey is not there")
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

func TestCronCrashesWhereItIsToldAndOnlyOnceIfSo(t *testing.T) {
	var said bytes.Buffer
	crashes := 0
	r := rotator{
		opts:  options{CronCrashAfter: 2, CronCrashOnce: true, CrashMark: filepath.Join(t.TempDir(), "mark")},
		log:   log.New(&said, "", 0),
		crash: func() { crashes++ },
	}
	for range 2 {
		require.NoError(t, r.pace(t.Context()))
	}
	assert.Zero(t, crashes)
	require.NoError(t, r.pace(t.Context()))
	assert.Equal(t, 1, crashes)

	r.done = 2 // as after a restart
	require.NoError(t, r.pace(t.Context()))
	assert.Equal(t, 1, crashes)
	r.done, r.opts.CronCrashOnce = 2, false
	require.NoError(t, r.pace(t.Context()))
	assert.Equal(t, 2, crashes)
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
	ask := func(conf config, method, path, body string) *httptest.ResponseRecorder {
		answer := httptest.NewRecorder()
		request := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
		routes(&store{db: noDatabase(t), keys: testKeys()}, conf).ServeHTTP(answer, request)
		return answer
	}
	ready := ask(config{Version: "25.3.0"}, http.MethodGet, "/api/service-info", "")
	assert.Equal(t, http.StatusOK, ready.Code)
	assert.JSONEq(t, `{"serviceInfo": {"version": "25.3.0"}}`, ready.Body.String())

	never := config{Options: options{BackendNeverReady: true}}
	assert.Equal(t, http.StatusServiceUnavailable, ask(never, http.MethodGet, "/api/service-info", "").Code)
	for _, body := range []string{"", "{}", `{"keys": 1}`, `{"keys": [1]}`} {
		assert.Equal(t, http.StatusBadRequest, ask(config{}, http.MethodPost, "/credentials", body).Code, body)
	}
	assert.Equal(t, http.StatusInternalServerError, ask(config{}, http.MethodGet, "/credentials/x/check", "").Code)
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
