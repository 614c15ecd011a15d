// Package records reads the Platform's encrypted records, tells for each under which key it is, and counts. It only
// reads. How one record is encrypted is in package sealed; what the counts mean for a rotation is in package rotation.
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
	openTimeout  = 45 * time.Second // a server without a name server looks up who comes for 10 s and more, before it says a word
	dialTimeout  = 10 * time.Second
	readTimeout  = 2 * time.Minute // of one answer of the server
	writeTimeout = 30 * time.Second

	readOnly = "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
	// A minute for a statement, on the server itself, and ten seconds for a table that a migration holds. MariaDB and MySQL call
	// the first by different names; each takes the other's comment for one.
	sessionLimits = "SET SESSION lock_wait_timeout = 10 /*M!100101 , max_statement_time = 60 */ /*!50708 , max_execution_time = 60000 */"
)

// DB is the database, read only, on one connection: it is kept, since a server that resolves names is slow to let another in.
type DB struct {
	pool     *sql.DB
	identity string // host:port/name
	name     string
	user     string
	password secret.Secret
	schema   schema
}

// Open connects and looks the schema up; SELECT is enough. Its errors are faults (database_*, interrupted) without the password.
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

// Identity names the database for people: host:port/name.
func (d *DB) Identity() string { return d.identity }

// asker is the database, or one transaction's connection. The database itself connects again after a break.
type asker interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// snapshot reads in one consistent view of the database. Within read nothing else may ask: there is one connection.
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
		// Whose end fails must not be used again: the next look would see this one's view.
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
	settings.Logger = &mysql.NopLogger{} // its own writes to stderr, which a terminal joins with Ansible's stdout
	return settings, encrypt(settings, where)
}

// reading makes connections on which nothing can be written, whatever the user may do, and on which a snapshot holds:
// under READ COMMITTED, which a server may have as its default, WITH CONSISTENT SNAPSHOT is ignored.
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

// encrypt says how the connection is encrypted. Its error is a fault, about ca_file.
func encrypt(settings *mysql.Config, where proof.Database) error {
	if where.CAFile != "" && where.TLS != "verify-ca" {
		return caFault(where.CAFile, "it is used with tls: verify-ca alone, and tls is "+where.TLS)
	}
	switch where.TLS {
	case "verify-ca":
		roots, err := authorities(where.CAFile)
		if err != nil {
			return err
		}
		settings.TLS = &tls.Config{InsecureSkipVerify: true, VerifyConnection: signedBy(roots), MinVersion: tls.VersionTLS12} //nolint:gosec // VerifyConnection does it
	case "required":
		settings.TLS = &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12} //nolint:gosec // encrypted, whoever it is: what required means
	case "disabled":
		settings.TLSConfig = "false"
	default:
		settings.TLSConfig = "preferred"
	}
	return nil
}

// signedBy is MySQL's VERIFY_CA: the chain counts, the name does not. A container's address is in no certificate.
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

// authorities reads a PEM file; nil, which means the system's, where none is named.
func authorities(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil //nolint:nilnil // x509's own meaning of no pool
	}
	text, err := os.ReadFile(path) //nolint:gosec // the operator's own
	if err != nil {
		return nil, caFault(path, "it cannot be read: "+fault.Reason(err))
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, caFault(path, "there is no certificate in it")
	}
	return roots, nil
}

func caFault(path, why string) *fault.Fault {
	return fault.New(fault.CodeInvalidOptions, "Name a PEM file on the VM with the certificate authorities of the database, together with tls: verify-ca.",
		"The option database.ca_file (%s) is of no use: %s.", path, why)
}

// distrusted says why a certificate was not taken, or nothing.
func distrusted(err error) string {
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "has expired, or is not valid yet"
	case errors.As(err, &invalid):
		return "is not valid: " + invalid.Error()
	case errors.As(err, &unknown):
		return "is signed by nobody in ca_file (or, without it, in this machine's list)"
	}
	return ""
}
