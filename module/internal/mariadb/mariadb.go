// Package mariadb gives tests a real database server in a process of its own, with the Platform's published schema.
package mariadb

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/rotation"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// Server is a mariadbd with an empty data directory.
type Server struct {
	Admin   *sql.DB
	Port    int
	command *exec.Cmd
	dir     string
}

// Reader is the login of the user that may SELECT and no more.
func (s *Server) Reader(schema string) rotation.Database {
	return rotation.Database{Host: "127.0.0.1", Port: s.Port, Name: schema, User: "reader", Password: secret.New("readers-pass"), TLS: "preferred"}
}

// Start runs mariadbd (Debian's mariadb-server), with more arguments where a test has them, until it ends.
func Start(t *testing.T, more ...string) *Server {
	t.Helper()
	install, err := exec.LookPath("mariadb-install-db")
	program, err2 := exec.LookPath("mariadbd")
	if err != nil || err2 != nil {
		if os.Getenv("REAL_PARTS") == "required" {
			t.Fatal("mariadbd is missing: run make deps (apt-get install mariadb-server-core)")
		}
		t.Skip("mariadbd is missing: run make deps (apt-get install mariadb-server-core)")
	}
	dir, err := os.MkdirTemp("", "mariadb-") //nolint:usetesting // t.TempDir is too long for the socket's name
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	user := "--user=" + strconv.Itoa(os.Getuid())
	if os.Getuid() == 0 {
		user = "--user=root"
	}
	out, err := exec.CommandContext(t.Context(), install, "--no-defaults", "--datadir="+dir, "--auth-root-authentication-method=normal", "--skip-test-db", user).CombinedOutput() //nolint:gosec // the test's own program
	require.NoError(t, err, string(out))
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address, ok := listener.Addr().(*net.TCPAddr)
	require.True(t, ok)
	require.NoError(t, listener.Close())
	s := &Server{Port: address.Port, dir: dir}
	s.command = exec.CommandContext( //nolint:gosec // the test's own program
		context.Background(), program, append([]string{
			"--no-defaults", "--datadir=" + dir, "--bind-address=127.0.0.1", user,
			"--port=" + strconv.Itoa(s.Port), "--socket=" + filepath.Join(dir, "s"), "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=32M", "--general-log=1", "--general-log-file=" + s.Log(),
		}, more...)...)
	require.NoError(t, s.command.Start())
	t.Cleanup(s.Stop)
	settings := mysql.NewConfig()
	settings.Net, settings.Addr, settings.User, settings.MultiStatements, settings.Logger = "tcp", address.String(), "root", true, &mysql.NopLogger{}
	settings.TLSConfig = "preferred"
	connector, err := mysql.NewConnector(settings)
	require.NoError(t, err)
	s.Admin = sql.OpenDB(connector)
	t.Cleanup(func() { _ = s.Admin.Close() })
	require.Eventually(t, func() bool { return s.Admin.PingContext(t.Context()) == nil }, 30*time.Second, 50*time.Millisecond, "mariadbd did not answer")
	s.Exec(t, "CREATE USER reader@'%' IDENTIFIED BY 'readers-pass'")
	return s
}

// Stop ends the server as a machine that fails would.
func (s *Server) Stop() {
	_ = s.command.Process.Signal(syscall.SIGKILL)
	_ = s.command.Wait()
}

// Log is the path of the general query log.
func (s *Server) Log() string { return filepath.Join(s.dir, "general.log") }

// Exec runs statements as root.
func (s *Server) Exec(t *testing.T, statement string, args ...any) {
	t.Helper()
	_, err := s.Admin.ExecContext(t.Context(), statement, args...)
	require.NoError(t, err, statement)
}

// Schema makes an empty schema with the Platform's published tables (Wave's entities until December 2022).
func (s *Server) Schema(t *testing.T, name string) {
	t.Helper()
	s.Exec(t, fmt.Sprintf(`DROP DATABASE IF EXISTS %[1]s; CREATE DATABASE %[1]s CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
		CREATE TABLE %[1]s.tw_credentials (id VARCHAR(22) PRIMARY KEY, user_id BIGINT NOT NULL, organization_id BIGINT, workspace_id BIGINT, name VARCHAR(100),
			provider VARCHAR(20), deleted BIT(1), version BIGINT, salt VARBINARY(16), keys_meta TEXT);
		CREATE TABLE %[1]s.tw_secret (id VARCHAR(255) PRIMARY KEY, secure BLOB, date_created DATETIME, version BIGINT);
		GRANT SELECT ON %[1]s.* TO reader@'%%'`, name))
}
