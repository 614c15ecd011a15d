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

// fault tells a driver's error to the operator. What is a fault already stays as it is.
func (d *DB) fault(ctx context.Context, err error) error {
	var known *fault.Fault
	if errors.As(err, &known) {
		return known
	}
	f := &fault.Fault{Code: fault.CodeDatabaseUnavailable, Cause: err}
	var answer *mysql.MySQLError
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		f.Code, f.What, f.Next = fault.CodeInterrupted, fmt.Sprintf("Reading the database %s was interrupted.", d.identity), "Run again."
	case errors.As(err, &answer):
		d.answered(f, answer)
	default:
		d.unanswered(f, err)
	}
	return f
}

// answered is for errors that the server sent. Their text names user, host or table; the password is not in it, and if it
// were, it would be masked.
func (d *DB) answered(f *fault.Fault, answer *mysql.MySQLError) {
	text := secret.Scrub(strings.Join(strings.Fields(answer.Message), " "), d.password)
	said := fmt.Sprintf("error %d: %s", answer.Number, text[:min(len(text), 200)])
	switch answer.Number {
	case 1044, 1045, 1130, 1142, 1143, 1227, 1251, 1698, 1820, 1862, 3118, 4151: // wrong, expired, locked, without rights, from elsewhere
		f.Code = fault.CodeDatabaseLoginRefused
		f.What = fmt.Sprintf("The database %s refused user %q (%s).", d.identity, d.user, said)
		f.Next = "Check user and password (the option database, the backend's environment, SSM); SELECT on this schema is enough."
	case 3159: // ER_SECURE_TRANSPORT_REQUIRED
		f.Code = fault.CodeDatabaseLoginRefused
		f.What = fmt.Sprintf("The database %s refused user %q without TLS (%s).", d.identity, d.user, said)
		f.Next = "Set the option database with tls: required."
	case 1049: // ER_BAD_DB_ERROR
		f.Code = fault.CodeDatabaseSchema
		f.What = fmt.Sprintf("There is no database of that name at %s (%s).", d.identity, said)
		f.Next = "Check the option database, or TOWER_DB_URL of the backend."
	case 1040, 1129, 1203, 1226: // too many connections, of all or of this user; too many failed ones from this host
		f.What = fmt.Sprintf("The database %s takes no more connections (%s).", d.identity, said)
		f.Next = "Wait, or look at its limits (max_connections, max_user_connections, FLUSH HOSTS); then run again."
	case 1969, 3024: // ER_STATEMENT_TIMEOUT of MariaDB, ER_QUERY_TIMEOUT of MySQL
		f.What = fmt.Sprintf("The database %s did not answer a statement within a minute (%s).", d.identity, said)
		f.Next = "It is under heavy load, or its disk is slow. Run again when it is less busy; max_records_per_second makes the scan gentler."
	case 1205: // ER_LOCK_WAIT_TIMEOUT
		f.What = fmt.Sprintf("A table of the database %s is held by somebody else, perhaps a migration (%s).", d.identity, said)
		f.Next = "Run again when that is over."
	default:
		f.What = fmt.Sprintf("The database %s answered with %s.", d.identity, said)
		f.Next = "Look at the database's log; run again when it is well: the scan starts anew."
	}
}

// unanswered is for everything before the server's answer, or instead of it.
func (d *DB) unanswered(f *fault.Fault, err error) {
	const reachable = "Is it running, and may this VM reach it (security group, address, port)? Run again when it does."
	var dns *net.DNSError
	var network net.Error
	switch {
	case distrusted(err) != "":
		f.What = fmt.Sprintf("The certificate of the database %s %s.", d.identity, distrusted(err))
		f.Next = "Set database.ca_file to the authorities that sign it (of RDS: the bundle of its region). tls: required would take any certificate."
	case errors.Is(err, mysql.ErrNoTLS):
		f.What = fmt.Sprintf("The database %s does not speak TLS, and the option database asks for it.", d.identity)
		f.Next = "Turn TLS on in the database, or set the option database with tls: preferred."
	case errors.Is(err, mysql.ErrUnknownPlugin), errors.Is(err, mysql.ErrOldPassword), errors.Is(err, mysql.ErrCleartextPassword), errors.Is(err, mysql.ErrNativePassword):
		f.Code = fault.CodeDatabaseLoginRefused
		f.What = fmt.Sprintf("The database %s wants user %q to log in by a method that is not supported: %v.", d.identity, d.user, err)
		f.Next = "Set the option database with a user that logs in with a password (caching_sha2_password, mysql_native_password or ed25519)."
	case errors.As(err, &dns):
		f.What = fmt.Sprintf("This machine does not know the host of the database %s.", d.identity)
		f.Next = "Check the option database, or TOWER_DB_URL of the backend."
	case errors.Is(err, syscall.ECONNREFUSED):
		f.What = fmt.Sprintf("The connection to the database %s was refused: nothing listens there.", d.identity)
		f.Next = "Start it, or check the option database; then run again."
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		f.What, f.Next = fmt.Sprintf("The database %s does not answer in time.", d.identity), reachable
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		f.What, f.Next = fmt.Sprintf("There is no route to the database %s.", d.identity), reachable
	default:
		f.What = fmt.Sprintf("The connection to the database %s broke.", d.identity)
		f.Next = "Is it running and reachable from this VM? Run again when it is: the scan starts anew."
	}
}
