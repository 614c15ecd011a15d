package records

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"

	"github.com/go-sql-driver/mysql"

	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// fault converts an error of the driver. It returns an error that is already a fault unchanged.
func (d *DB) fault(ctx context.Context, err error) error {
	var known *fault.Fault
	var answer *mysql.MySQLError
	switch {
	case errors.As(err, &known):
		return known
	case errors.Is(ctx.Err(), context.Canceled):
		return fault.New(fault.CodeInterrupted, "Run again.",
			"Reading the database %s was interrupted.", d.identity).From(err)
	case errors.As(err, &answer):
		return d.answered(answer).From(err)
	}
	return d.unanswered(err).From(err)
}

// answered converts an error that the server sent. Its text may name user, host or table; the password is masked in it.
func (d *DB) answered(answer *mysql.MySQLError) *fault.Fault {
	text := secret.Scrub(strings.Join(strings.Fields(answer.Message), " "), d.password)
	said := fmt.Sprintf("error %d: %s", answer.Number, text[:min(len(text), 200)])
	switch answer.Number {
	case 1044, 1045, 1130, 1142, 1143, 1227, 1251, 1698, 1820, 1862, 3118, 4151: // wrong, expired, locked, without rights, from elsewhere
		return fault.New(fault.CodeDatabaseLoginRefused, "Check user and password (the option database, the backend's environment, SSM); SELECT on this schema is enough.",
			"The database %s refused user %q (%s).", d.identity, d.user, said)
	case 3159: // ER_SECURE_TRANSPORT_REQUIRED
		return fault.New(fault.CodeDatabaseLoginRefused, "Set the option database with tls: required.",
			"The database %s refused user %q without TLS (%s).", d.identity, d.user, said)
	case 1049: // ER_BAD_DB_ERROR
		return fault.New(fault.CodeDatabaseSchema, "Check the option database, or TOWER_DB_URL of the backend.",
			"There is no database of that name at %s (%s).", d.identity, said)
	case 1040, 1129, 1203, 1226: // too many connections, of all or of this user; too many failed ones from this host
		return fault.New(fault.CodeDatabaseUnavailable, "Wait, or check its limits (max_connections, max_user_connections, FLUSH HOSTS). Then run again.",
			"The database %s accepts no more connections (%s).", d.identity, said)
	case 1969, 3024: // ER_STATEMENT_TIMEOUT of MariaDB, ER_QUERY_TIMEOUT of MySQL
		return fault.New(fault.CodeDatabaseUnavailable, "It is under heavy load, or its disk is slow. Run again when it is less busy, or set max_records_per_second.",
			"The database %s did not answer a statement within a minute (%s).", d.identity, said)
	case 1205: // ER_LOCK_WAIT_TIMEOUT
		return fault.New(fault.CodeDatabaseUnavailable, "Run again when the table is no longer locked.",
			"A table of the database %s is locked, perhaps by a migration (%s).", d.identity, said)
	}
	return fault.New(fault.CodeDatabaseUnavailable, "Read the database's log and fix the cause. Then run again: the scan starts over.",
		"The database %s answered with %s.", d.identity, said)
}

// unanswered converts an error that occurred before or instead of a response of the server.
func (d *DB) unanswered(err error) *fault.Fault {
	const reachable = "Check that it is running and that this VM can reach it (security group, address, port). Then run again."
	var dns *net.DNSError
	var network net.Error
	switch {
	case distrusted(err) != "":
		return fault.New(fault.CodeDatabaseUnavailable, "Set database.ca_file to a file with the authority that signed it (for RDS: the bundle of its region). tls: required would accept any certificate.",
			"The certificate of the database %s %s.", d.identity, distrusted(err))
	case errors.Is(err, mysql.ErrNoTLS):
		return fault.New(fault.CodeDatabaseUnavailable, "Turn TLS on in the database, or set the option database with tls: preferred.",
			"The database %s does not support TLS, but the option database requires it.", d.identity)
	case errors.Is(err, mysql.ErrUnknownPlugin), errors.Is(err, mysql.ErrOldPassword), errors.Is(err, mysql.ErrCleartextPassword), errors.Is(err, mysql.ErrNativePassword):
		return fault.New(fault.CodeDatabaseLoginRefused, "Set the option database with a user that logs in with a password (caching_sha2_password, mysql_native_password or ed25519).",
			"The database %s requires a login method for user %q that is not supported: %v.", d.identity, d.user, err)
	case errors.As(err, &dns):
		return fault.New(fault.CodeDatabaseUnavailable, "Check the option database, or TOWER_DB_URL of the backend.",
			"This machine cannot resolve the host name of the database %s.", d.identity)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fault.New(fault.CodeDatabaseUnavailable, "Start it, or check the option database. Then run again.",
			"The connection to the database %s was refused: nothing listens there.", d.identity)
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return fault.New(fault.CodeDatabaseUnavailable, reachable, "The database %s did not answer in time.", d.identity)
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return fault.New(fault.CodeDatabaseUnavailable, reachable, "There is no route to the database %s.", d.identity)
	}
	return fault.New(fault.CodeDatabaseUnavailable, "Check that it is running and that this VM can reach it. Then run again: the scan starts over.",
		"The connection to the database %s broke.", d.identity)
}
