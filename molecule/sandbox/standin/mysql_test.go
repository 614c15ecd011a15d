package main

import (
	"bytes"
	"context"
	"database/sql"
	"log"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// startMySQL runs MySQL with a database and a user as the official image makes them, and gives the JDBC address that the installer
// writes. It takes long, so
// that only REAL_PARTS=required does it (make test-module); a machine without MySQL then fails.
func startMySQL(t *testing.T) string {
	t.Helper()
	if os.Getenv("REAL_PARTS") != "required" {
		t.Skip("starts MySQL: make test-module")
	}
	program, err := filepath.Abs("../../../.tools/mysql/native/mysqld")
	require.NoError(t, err)
	require.FileExists(t, program, "MySQL is missing: run make deps")
	dir, err := os.MkdirTemp("", "standin-") //nolint:usetesting // t.TempDir is too long for the socket's name
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	first := filepath.Join(dir, "init.sql")
	require.NoError(t, os.WriteFile(first, []byte(`CREATE DATABASE tower;
CREATE USER tower@'%' IDENTIFIED WITH caching_sha2_password BY 'invented';
GRANT ALL ON tower.* TO tower@'%';`), 0o600))
	common := []string{"--datadir=" + filepath.Join(dir, "data"), "--log-error=" + filepath.Join(dir, "error.log"), "--innodb-buffer-pool-size=32M"}
	if os.Getuid() == 0 {
		common = append(common, "--user=root")
	}
	said, err := exec.CommandContext(t.Context(), program, append(common, "--initialize-insecure")...).CombinedOutput()
	require.NoError(t, err, string(said))
	port := freePort(t)
	command := exec.CommandContext(context.Background(), program, append(common, "--init-file="+first, "--port="+port, "--bind-address=127.0.0.1",
		"--skip-name-resolve", "--mysqlx=OFF", "--socket="+filepath.Join(dir, "s"), "--pid-file="+filepath.Join(dir, "pid"))...)
	require.NoError(t, command.Start())
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	return "jdbc:mysql://127.0.0.1:" + port + "/tower?allowPublicKeyRetrieval=true&useSSL=false&permitMysqlScheme=true"
}

// service is a role that runs in this process, with what it logged.
type service struct {
	mutex sync.Mutex
	text  bytes.Buffer
}

func (s *service) Write(p []byte) (int, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.text.Write(p)
}

func (s *service) said() string {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.text.String()
}

// begin runs a role until the returned function ends it.
func begin(t *testing.T, role func(context.Context, config, *log.Logger) error, conf config) (*service, func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	s, ended := &service{}, make(chan error, 1)
	go func() { ended <- role(ctx, conf, log.New(s, "", 0)) }()
	var once sync.Once
	end := func() {
		once.Do(func() {
			cancel()
			if err := <-ended; err != nil {
				assert.ErrorIs(t, err, context.Canceled, s.said())
			}
		})
	}
	t.Cleanup(end)
	return s, end
}

// status is the answer's, 0 where nobody answers.
func status(t *testing.T, method, url, body string) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0
	}
	_ = answer.Body.Close()
	return answer.StatusCode
}

// statuses asks until the answer is wanted, and gives the distinct answers on the way.
func statuses(t *testing.T, url string, wanted int) []int {
	t.Helper()
	var seen []int
	for begun := time.Now(); time.Since(begun) < 30*time.Second; time.Sleep(5 * time.Millisecond) {
		code := status(t, http.MethodGet, url, "")
		if len(seen) == 0 || seen[len(seen)-1] != code {
			seen = append(seen, code)
		}
		if code == wanted {
			break
		}
	}
	return seen
}

func TestTheServicesRunOnMySQLWithoutTLS(t *testing.T) {
	variables := map[string]string{"TOWER_DB_URL": startMySQL(t), "TOWER_DB_USER": "tower", "TOWER_DB_PASSWORD": "invented"}
	configured := func(more ...string) config {
		said := map[string]string{"TOWER_CRYPTO_SECRETKEY": "anOldInventedKey", "SANDBOX_TOWER_YML": "/there/is/none"}
		for name, value := range variables {
			said[name] = value
		}
		for _, one := range more {
			name, value, _ := strings.Cut(one, "=")
			said[name] = value
		}
		conf, err := configFrom(func(name string) string { return said[name] })
		require.NoError(t, err)
		assert.Equal(t, ":8080", conf.API)
		conf.API = "127.0.0.1:" + freePort(t)
		return conf
	}
	conf := configured("SANDBOX_BACKEND_DELAY=500ms")
	require.NoError(t, runMigrate(t.Context(), conf, log.New(&service{}, "", 0)), "the first login goes by an RSA exchange")
	db, err := openDatabase(t.Context(), loginFrom(conf.Properties), log.New(&service{}, "", 0))
	require.NoError(t, err)
	defer func() { _ = db.Close() }()
	var name, cipher string
	require.NoError(t, db.QueryRowContext(t.Context(), "SHOW SESSION STATUS LIKE 'Ssl_cipher'").Scan(&name, &cipher))
	assert.Empty(t, cipher, "no TLS")

	_, end := begin(t, runBackend, conf)
	seen := statuses(t, "http://"+conf.API+"/health", http.StatusOK)
	assert.Equal(t, []int{http.StatusServiceUnavailable, http.StatusOK}, seen[max(0, len(seen)-2):], "503 until it is ready")
	assert.Equal(t, http.StatusOK, status(t, http.MethodGet, "http://"+conf.API+"/api/service-info", ""))
	assert.Equal(t, http.StatusCreated, status(t, http.MethodPost, "http://"+conf.API+"/credentials", `{"user_id": 1, "name": "n", "keys": {"k": "v"}}`))
	end()

	conf = configured("MICRONAUT_ENVIRONMENTS=prod,redis,cron,,,", "TOWER_CRYPTO_SECRETKEY=aNewInventedKey",
		"TOWER_SECRET_ROTATION_PREVIOUS_KEY=anOldInventedKey", "TOWER_SECRET_ROTATION_ENABLED=true")
	_, _ = begin(t, runCron, conf)
	seen = statuses(t, "http://"+conf.API+"/health", http.StatusOK)
	assert.Equal(t, http.StatusOK, seen[len(seen)-1], "cron answers too")
	assert.Eventually(t, func() bool { return keyOfTheCredential(t, db) == current }, 30*time.Second, 20*time.Millisecond)

	other, _ := begin(t, runCron, conf) // as in a light installation, whose crons share one port
	assert.Eventually(t, func() bool {
		return strings.Contains(other.said(), "WARN no /health") && strings.Contains(other.said(), "INFO Startup completed")
	}, 30*time.Second, 20*time.Millisecond)
}

// keyOfTheCredential says which key opens the one credential.
func keyOfTheCredential(t *testing.T, db *sql.DB) which {
	t.Helper()
	var id string
	require.NoError(t, db.QueryRowContext(t.Context(), "SELECT id FROM tw_credentials").Scan(&id))
	by, err := (&store{db: db, keys: newKeyring([]byte("aNewInventedKey"), []byte("anOldInventedKey"))}).check(t.Context(), id)
	require.NoError(t, err)
	return by
}
