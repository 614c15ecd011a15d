// Package records scans the Platform's encrypted records, finds out under which key each record is, and counts them. It only reads
// the database. Package sealed knows how a record is encrypted, and package proof decides what the counts mean for a rotation.
package records

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"database/sql/driver"
	"errors"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/proof"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

const (
	openTimeout  = 45 * time.Second // a server whose name server is down may spend 10 s and more on looking up the client
	dialTimeout  = 10 * time.Second
	readTimeout  = 2 * time.Minute // for one response
	writeTimeout = 30 * time.Second

	readOnly = "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
	// The server limits a statement to one minute, and the wait for a table that a migration has locked to ten seconds. MariaDB and
	// MySQL have different names for the first limit; each treats the other's version comment as a comment.
	sessionLimits = "SET SESSION lock_wait_timeout = 10 /*M!100101 , max_statement_time = 60 */ /*!50708 , max_execution_time = 60000 */"
)

// DB is the database, read only, over one connection. The connection stays open, because a server that resolves names is slow to accept
// another.
type DB struct {
	pool     *sql.DB
	identity string // host:port/name
	name     string
	user     string
	password secret.Secret
	schema   schema
}

// Open connects and reads the schema. The user needs only SELECT. Its errors are faults (database_*, interrupted) that do not contain
// the password.
func Open(ctx context.Context, where proof.Database) (*DB, error) {
	settings, err := settingsFor(where)
	if err != nil {
		return nil, err
	}
	db := &DB{identity: settings.Addr + "/" + where.Name, name: where.Name, user: where.User, password: where.Password}
	connector, err := mysql.NewConnector(settings)
	if err != nil {
		return nil, db.fault(ctx, err)
	}
	db.pool = sql.OpenDB(reading{connector})
	db.pool.SetMaxOpenConns(1)
	limited, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	if db.schema, err = readSchema(limited, db.pool, db.identity); err != nil {
		_ = db.pool.Close()
		return nil, db.fault(ctx, err)
	}
	return db, nil
}

// Close ends the connection.
func (d *DB) Close() error { return d.pool.Close() }

// Identity returns host:port/name, for messages.
func (d *DB) Identity() string { return d.identity }

// asker is the database (which reconnects if the connection breaks) or the connection of a transaction.
type asker interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// snapshot calls read within one consistent snapshot of the database. read must not use the pool, which has only this connection.
func (d *DB) snapshot(ctx context.Context, read func(*sql.Conn) error) (err error) {
	connection, err := d.pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = connection.Close() }()
	if _, err := connection.ExecContext(ctx, "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"); err != nil {
		return err
	}
	defer func() {
		// If the rollback fails, discard the connection: otherwise the next read would still see this snapshot.
		if _, failed := connection.ExecContext(ctx, "ROLLBACK"); failed != nil {
			_ = connection.Raw(func(any) error { return driver.ErrBadConn })
		}
	}()
	return read(connection)
}

func settingsFor(where proof.Database) (*mysql.Config, error) {
	settings := mysql.NewConfig()
	settings.Net, settings.Addr = "tcp", net.JoinHostPort(where.Host, strconv.Itoa(where.Port))
	settings.User, settings.Passwd, settings.DBName = where.User, where.Password.Reveal(), where.Name
	settings.Timeout, settings.ReadTimeout, settings.WriteTimeout = dialTimeout, readTimeout, writeTimeout
	settings.Logger = &mysql.NopLogger{} // the default logger writes to stderr, which may be merged into Ansible's stdout
	return settings, encrypt(settings, where)
}

// reading makes connections that cannot write, whatever the user may do, and that support snapshots: with READ COMMITTED, which a
// server may have as its default, WITH CONSISTENT SNAPSHOT is ignored.
type reading struct{ driver.Connector }

func (r reading) Connect(ctx context.Context) (driver.Conn, error) {
	connection, err := r.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	session, ok := connection.(driver.ExecerContext)
	if !ok {
		_ = connection.Close()
		return nil, errors.New("the driver cannot set up a session")
	}
	for _, statement := range []string{readOnly, sessionLimits} {
		if _, err := session.ExecContext(ctx, statement, nil); err != nil {
			_ = connection.Close()
			return nil, err
		}
	}
	return connection, nil
}

// encrypt sets how the connection is encrypted. Its error is a fault about ca_file.
func encrypt(settings *mysql.Config, where proof.Database) error {
	if where.CAFile != "" && where.TLS != "verify-ca" {
		return caFault(where.CAFile, "it is used only with tls: verify-ca, but tls is "+where.TLS)
	}
	switch where.TLS {
	case "verify-ca":
		roots, err := authorities(where.CAFile)
		if err != nil {
			return err
		}
		settings.TLS = &tls.Config{InsecureSkipVerify: true, VerifyConnection: signedBy(roots), MinVersion: tls.VersionTLS12} //nolint:gosec // VerifyConnection does it
	case "required":
		settings.TLS = &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12} //nolint:gosec // required means encrypted, with any certificate
	case "disabled":
		settings.TLSConfig = "false"
	default:
		settings.TLSConfig = "preferred"
	}
	return nil
}

// signedBy verifies as MySQL's VERIFY_CA does: it checks the chain but not the name. No certificate contains a container's address.
func signedBy(roots *x509.CertPool) func(tls.ConnectionState) error {
	return func(state tls.ConnectionState) error {
		options := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
		for _, certificate := range state.PeerCertificates[1:] {
			options.Intermediates.AddCert(certificate)
		}
		_, err := state.PeerCertificates[0].Verify(options)
		return err
	}
}

// authorities reads a PEM file. Without a path it returns nil, which means the system's authorities.
func authorities(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil //nolint:nilnil // for x509, nil means the system's pool
	}
	text, err := os.ReadFile(path) //nolint:gosec // the operator's own
	if err != nil {
		return nil, caFault(path, "it cannot be read: "+fault.Reason(err))
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, caFault(path, "it contains no certificate")
	}
	return roots, nil
}

func caFault(path, why string) *fault.Fault {
	return fault.New(fault.CodeInvalidOptions, "Name a PEM file on the VM with the certificate authorities of the database, together with tls: verify-ca.",
		"The option database.ca_file (%s) cannot be used: %s.", path, why)
}

// distrusted says why a certificate was refused, or returns "".
func distrusted(err error) string {
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "has expired or is not valid yet"
	case errors.As(err, &invalid):
		return "is not valid: " + invalid.Error()
	case errors.As(err, &unknown):
		return "is not signed by an authority in ca_file (or, without ca_file, in this machine's list)"
	}
	return ""
}
