// Package dbserver runs a real database server for tests, MySQL or MariaDB, in a separate process, with the Platform's published schema.
package dbserver

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/proof"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// Kind is the kind of server.
type Kind string

// The kinds.
const (
	MariaDB Kind = "mariadb"
	MySQL   Kind = "mysql"
)

// Kinds returns all kinds. Tests should run with each of them.
func Kinds() []Kind { return []Kind{MySQL, MariaDB} }

// Server is a database server with an empty data directory.
type Server struct {
	Kind    Kind
	Admin   *sql.DB
	Port    int
	command *exec.Cmd
	ended   <-chan struct{}
	dir     string
}

// Reader returns the login of a user who may only SELECT.
func (s *Server) Reader(schema string) proof.Database {
	return proof.Database{Host: "127.0.0.1", Port: s.Port, Name: schema, User: "reader", Password: secret.New("readers-pass"), TLS: "preferred"}
}

// Start runs a server until the test ends. more are further arguments of the server. If this machine does not have the server, the test
// is skipped, or fails with REAL_PARTS=required.
func Start(t *testing.T, kind Kind, more ...string) *Server {
	t.Helper()
	install := mariadb
	if kind == MySQL {
		install = mysqld
	}
	s := &Server{Kind: kind}
	command := append(install(t, s), "--bind-address=127.0.0.1", "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=32M", "--general-log=1")
	command = append(command, more...)
	t.Cleanup(s.Stop)
	for range 3 { // another process may take the free port first
		if s.begin(t, command) {
			break
		}
	}
	if s.Admin == nil {
		said, _ := os.ReadFile(filepath.Join(s.dir, "error.log"))
		t.Fatalf("%s did not answer: %s", kind, said)
	}
	t.Cleanup(func() { _ = s.Admin.Close() })
	s.Exec(t, "CREATE USER reader@'%' IDENTIFIED BY 'readers-pass'")
	return s
}

func (s *Server) begin(t *testing.T, command []string) bool {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address, ok := listener.Addr().(*net.TCPAddr)
	require.True(t, ok)
	require.NoError(t, listener.Close())
	s.Port = address.Port
	s.command = exec.CommandContext(context.Background(), command[0], append(slices.Clone(command[1:]), "--port="+strconv.Itoa(s.Port))...) //nolint:gosec // the test's own program
	require.NoError(t, s.command.Start())
	ended := make(chan struct{})
	s.ended = ended
	go func() { _ = s.command.Wait(); close(ended) }()
	settings := mysql.NewConfig()
	settings.Net, settings.Addr, settings.User, settings.MultiStatements, settings.Logger = "tcp", address.String(), "root", true, &mysql.NopLogger{}
	settings.TLSConfig = "preferred"
	connector, err := mysql.NewConnector(settings)
	require.NoError(t, err)
	admin := sql.OpenDB(connector)
	for start := time.Now(); time.Since(start) < time.Minute; {
		if admin.PingContext(t.Context()) == nil {
			s.Admin = admin
			return true
		}
		select {
		case <-ended:
			start = time.Time{}
		case <-time.After(50 * time.Millisecond):
		}
	}
	_ = admin.Close()
	s.Stop()
	return false
}

// mariadb prepares mariadbd (Debian's mariadb-server-core) and returns the command that runs it.
func mariadb(t *testing.T, s *Server) []string {
	t.Helper()
	install, err := exec.LookPath("mariadb-install-db")
	program, err2 := exec.LookPath("mariadbd")
	if err != nil || err2 != nil {
		missing(t, "mariadbd is missing: run make deps (apt-get install mariadb-server-core)")
	}
	s.dir = directory(t)
	user := "--user=" + strconv.Itoa(os.Getuid())
	if os.Getuid() == 0 {
		user = "--user=root"
	}
	// A server that starts deletes the temporary tables of every other server with the same tmpdir.
	where := []string{"--no-defaults", "--datadir=" + filepath.Join(s.dir, "data"), "--tmpdir=" + s.dir}
	run(t, install, append(slices.Clone(where), "--auth-root-authentication-method=normal", "--skip-test-db", user)...)
	return append(append([]string{program}, where...), "--socket="+filepath.Join(s.dir, "s"), user, "--general-log-file="+s.Log())
}

// mysqld prepares MySQL, which make deps unpacks into .tools/mysql, and returns the command that runs it.
func mysqld(t *testing.T, s *Server) []string {
	t.Helper()
	root, err := filepath.Abs(".")
	require.NoError(t, err)
	for root != "/" && !exists(filepath.Join(root, "go.mod")) {
		root = filepath.Dir(root)
	}
	program := filepath.Join(root, ".tools", "mysql", "native", "mysqld")
	if !exists(program) {
		missing(t, "MySQL is missing: run make deps")
	}
	s.dir = directory(t)
	command := []string{program, "--datadir=" + filepath.Join(s.dir, "data"), "--log-error=" + filepath.Join(s.dir, "error.log")}
	if os.Getuid() == 0 {
		command = append(command, "--user=root")
	}
	run(t, command[0], append(command[1:], "--initialize-insecure")...)
	return append(command, "--socket="+filepath.Join(s.dir, "s"), "--pid-file="+filepath.Join(s.dir, "pid"), "--mysqlx=OFF", "--general-log-file="+s.Log())
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("REAL_PARTS") == "required" {
		t.Fatal(what)
	}
	t.Skip(what)
}

func directory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "database-") //nolint:usetesting // t.TempDir is too long for the socket's name
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func run(t *testing.T, program string, args ...string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput() //nolint:gosec // the test's own program
	require.NoError(t, err, string(out))
}

// Stop kills the server, as if the machine crashed.
func (s *Server) Stop() {
	if s.command != nil {
		_ = s.command.Process.Signal(syscall.SIGKILL)
		<-s.ended
	}
}

// Log returns the path of the general query log, or "" for a server that Start did not start.
func (s *Server) Log() string {
	if s.dir == "" {
		return ""
	}
	return filepath.Join(s.dir, "general.log")
}

// Exec runs a statement as root.
func (s *Server) Exec(t *testing.T, statement string, args ...any) {
	t.Helper()
	_, err := s.Admin.ExecContext(t.Context(), statement, args...)
	require.NoError(t, err, statement)
}

// Schema creates an empty schema with the Platform's published tables (Wave's entities until December 2022).
func (s *Server) Schema(t *testing.T, name string) {
	t.Helper()
	s.Exec(t, fmt.Sprintf(`DROP DATABASE IF EXISTS %[1]s; CREATE DATABASE %[1]s CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
		CREATE TABLE %[1]s.tw_credentials (id VARCHAR(22) PRIMARY KEY, user_id BIGINT NOT NULL, organization_id BIGINT, workspace_id BIGINT, name VARCHAR(100),
			provider VARCHAR(20), deleted BIT(1), version BIGINT, salt VARBINARY(16), keys_meta TEXT);
		CREATE TABLE %[1]s.tw_secret (id VARCHAR(255) PRIMARY KEY, secure BLOB, date_created DATETIME, version BIGINT);
		GRANT SELECT ON %[1]s.* TO reader@'%%'`, name))
}
