// Package records reads the Platform's encrypted records, tells for each under which key it is, and counts. It only
// reads. How one record is encrypted is in package sealed; what the counts mean for a rotation is in package rotation.
package records

import (
	"context"
	"crypto/tls"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/seqera-tools/crypto-rotation/module/rotation"
)

// DB is the Platform's database, opened for reading alone.
type DB struct {
	pool     *sql.DB
	identity string // host:port/name
	user     string
	deleted  bool // tw_credentials has the column deleted
	notes    []string
}

// Open connects and looks the schema up. Its errors are faults: database_unavailable, database_login_refused,
// database_schema; they name address and user, never the password.
func Open(ctx context.Context, where rotation.Database) (*DB, error) {
	settings := mysql.NewConfig()
	settings.Net, settings.Addr = "tcp", net.JoinHostPort(where.Host, strconv.Itoa(where.Port))
	settings.User, settings.Passwd, settings.DBName = where.User, where.Password.Reveal(), where.Name
	settings.Timeout, settings.ReadTimeout, settings.WriteTimeout = 10*time.Second, 2*time.Minute, 30*time.Second
	settings.Logger = &mysql.NopLogger{}
	// READ ONLY for every transaction of the session: a second guard beside the rights of the user.
	settings.Params = map[string]string{"transaction_read_only": "1"}
	switch where.TLS {
	case "required":
		settings.TLS = &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12} //nolint:gosec // required asks for encryption; verifying needs a CA, which is not an option yet
	case "disabled":
	default:
		settings.TLSConfig = "preferred"
	}
	db := &DB{identity: settings.Addr + "/" + where.Name, user: where.User}
	connector, err := mysql.NewConnector(settings)
	if err != nil {
		return nil, db.fault(err)
	}
	db.pool = sql.OpenDB(connector)
	db.pool.SetMaxOpenConns(2)
	if err := db.pool.PingContext(ctx); err != nil {
		_ = db.pool.Close()
		// MariaDB before 11 knows the variable as tx_read_only.
		var refused *mysql.MySQLError
		if errors.As(err, &refused) && refused.Number == unknownVariable {
			settings.Params = map[string]string{"tx_read_only": "1"}
			return db.again(ctx, settings)
		}
		return nil, db.fault(err)
	}
	return db.ready(ctx)
}

const unknownVariable = 1193 // ER_UNKNOWN_SYSTEM_VARIABLE

func (d *DB) again(ctx context.Context, settings *mysql.Config) (*DB, error) {
	connector, err := mysql.NewConnector(settings)
	if err != nil {
		return nil, d.fault(err)
	}
	d.pool = sql.OpenDB(connector)
	d.pool.SetMaxOpenConns(2)
	return d.ready(ctx)
}

func (d *DB) ready(ctx context.Context) (*DB, error) {
	err := d.pool.PingContext(ctx)
	if err != nil {
		err = d.fault(err)
	} else {
		err = d.lookAtSchema(ctx)
	}
	if err != nil {
		_ = d.pool.Close()
		return nil, err
	}
	return d, nil
}

// Close ends the connections.
func (d *DB) Close() error { return d.pool.Close() }

// lookAtSchema wants the published tables and columns, and notes what else looks as if it held secrets.
func (d *DB) lookAtSchema(ctx context.Context) error {
	rows, err := d.pool.QueryContext(ctx, `SELECT LOWER(table_name), LOWER(column_name) FROM information_schema.columns
		WHERE table_schema = DATABASE() AND (LOWER(table_name) LIKE '%secret%' OR LOWER(table_name) LIKE '%credential%') ORDER BY 1, ordinal_position`)
	if err != nil {
		return d.fault(err)
	}
	defer func() { _ = rows.Close() }()
	tables := map[string][]string{}
	for rows.Next() {
		var table, column string
		if err := rows.Scan(&table, &column); err != nil {
			return d.fault(err)
		}
		tables[table] = append(tables[table], column)
	}
	if err := rows.Err(); err != nil {
		return d.fault(err)
	}
	missing := absent(tables, "tw_credentials", "id", "user_id", "salt")
	missing = append(missing, absent(tables, "tw_secret", "id", "secure", "version")...)
	if len(missing) > 0 {
		return &rotation.Fault{
			Code: rotation.CodeDatabaseSchema, What: fmt.Sprintf("The database %s does not have %s.", d.identity, strings.Join(missing, ", ")), State: "Nothing was written.",
			Next: "Check the option database: is this the Platform's schema, migrated? The published schema of its records is the only one that can be proved.",
		}
	}
	d.deleted = slices.Contains(tables["tw_credentials"], "deleted")
	d.notes = notes(tables)
	return nil
}

func absent(tables map[string][]string, table string, columns ...string) []string {
	found, ok := tables[table]
	if !ok {
		return []string{"table " + table}
	}
	var missing []string
	for _, column := range columns {
		if !slices.Contains(found, column) {
			missing = append(missing, "column "+table+"."+column)
		}
	}
	return missing
}

// notes names what the scan does not look at.
func notes(tables map[string][]string) []string {
	published := []string{"id", "secure", "version", "date_created", "last_updated"}
	var list []string
	for table, columns := range tables {
		if table != "tw_secret" && table != "tw_credentials" {
			list = append(list, fmt.Sprintf("table %s was not looked at: the published schema does not have it", table))
			continue
		}
		for _, column := range columns {
			if table == "tw_secret" && !slices.Contains(published, column) {
				list = append(list, fmt.Sprintf("column tw_secret.%s was not looked at: the published schema does not have it", column))
			}
		}
	}
	slices.Sort(list)
	return list
}

// fault tells a driver's error to the operator. The server's text is shown for refused logins only; it names user and
// host, never a password.
func (d *DB) fault(err error) *rotation.Fault {
	f := &rotation.Fault{Code: rotation.CodeDatabaseUnavailable, State: "Nothing was written.", Cause: err}
	var refused *mysql.MySQLError
	var dns *net.DNSError
	switch {
	case errors.As(err, &refused) && slices.Contains([]uint16{1044, 1045, 1130, 1142, 1143, 1227, 1698}, refused.Number):
		f.Code = rotation.CodeDatabaseLoginRefused
		f.What = fmt.Sprintf("The database %s refused user %q (error %d).", d.identity, d.user, refused.Number)
		f.Next = "Check user and password (the option database, the backend's environment, SSM); SELECT on this schema is enough."
	case errors.As(err, &refused):
		f.What = fmt.Sprintf("The database %s answered with error %d.", d.identity, refused.Number)
		f.Next = "Look at the database's log; run again when it is well."
	case errors.As(err, &dns):
		f.What = fmt.Sprintf("The database host of %s is not known on this machine.", d.identity)
		f.Next = "Check the option database, or TOWER_DB_URL of the backend."
	case errors.Is(err, context.Canceled):
		f.Code = rotation.CodeInterrupted
		f.What, f.Next = fmt.Sprintf("Reading the database %s was interrupted.", d.identity), "Run again."
	default:
		f.What = fmt.Sprintf("The database %s does not answer, or the connection broke.", d.identity)
		f.Next = "Is it running and reachable from this VM? Run again when it is: the scan starts anew."
	}
	return f
}
