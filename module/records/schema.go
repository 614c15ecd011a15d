package records

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/seqera-tools/crypto-rotation/module/fault"
)

// The published schema (Wave's entities until December 2022).
const (
	tableSecrets     = "tw_secret"
	tableCredentials = "tw_credentials"
)

// schema is what differs between versions of the Platform.
type schema struct {
	deleted bool     // tw_credentials has the column deleted
	notes   []string // what the scan does not look at
}

// table is what the server says of one without opening it.
type tableInfo struct {
	columns []string
	rows    sql.NullInt64 // estimated
}

// lookAt wants the published tables and columns, and notes what else looks as if it held secrets.
func readSchema(ctx context.Context, connection asker, identity string) (schema, error) {
	tables, err := readTables(ctx, connection)
	if err != nil {
		return schema{}, err
	}
	missing := absent(tables, tableCredentials, "id", "user_id", "salt")
	missing = append(missing, absent(tables, tableSecrets, "id", "secure", "version")...)
	if len(missing) > 0 {
		return schema{}, fault.New(fault.CodeDatabaseSchema, "Check the option database: is this the Platform's schema, migrated, and may the user SELECT from it? Only records of the published schema can be proved.",
			"The database %s does not show %s.", identity, strings.Join(missing, ", "))
	}
	return schema{deleted: slices.Contains(tables[tableCredentials].columns, "deleted"), notes: notes(tables)}, nil
}

// readTables gives the tables whose names or columns speak of secrets, as far as the user has rights on them.
func readTables(ctx context.Context, connection asker) (map[string]tableInfo, error) {
	tables := map[string]tableInfo{}
	err := each(ctx, connection, func(rows *sql.Rows) (bool, error) {
		var name, column string
		var count sql.NullInt64
		if err := rows.Scan(&name, &column, &count); err != nil {
			return false, err
		}
		tables[name] = tableInfo{append(tables[name].columns, column), count}
		return false, nil
	}, `SELECT c.table_name, LOWER(c.column_name), t.table_rows
		FROM information_schema.columns c JOIN information_schema.tables t ON t.table_schema = c.table_schema AND t.table_name = c.table_name
		WHERE c.table_schema = DATABASE() AND (LOWER(c.table_name) REGEXP 'secret|credential|encrypt|crypto|rotat' OR c.table_name IN
			(SELECT table_name FROM information_schema.columns WHERE table_schema = DATABASE() AND LOWER(column_name) IN ('secure', 'salt')))
		ORDER BY c.table_name, c.ordinal_position`)
	return tables, err
}

func absent(tables map[string]tableInfo, name string, columns ...string) []string {
	found, ok := tables[name]
	if !ok {
		return []string{"table " + name}
	}
	var missing []string
	for _, column := range columns {
		if !slices.Contains(found.columns, column) {
			missing = append(missing, "column "+name+"."+column)
		}
	}
	return missing
}

// notes names what the scan does not look at: the Platform's own users can tell what is kept there.
func notes(tables map[string]tableInfo) []string {
	published := []string{"id", "secure", "version", "date_created", "last_updated"}
	var list []string
	for _, name := range slices.Sorted(maps.Keys(tables)) {
		one := tables[name]
		if name != tableSecrets && name != tableCredentials {
			list = append(list, fmt.Sprintf("table %s (%s; about %d rows) was not looked at: the published schema does not have it", name, strings.Join(one.columns, ", "), one.rows.Int64))
			continue
		}
		for _, column := range one.columns {
			if name == tableSecrets && !slices.Contains(published, column) {
				list = append(list, fmt.Sprintf("column %s.%s was not looked at: the published schema does not have it", name, column))
			}
		}
	}
	return list
}

// Sessions is who is connected to the schema. A host is an address, or a name where the server resolves names.
type Sessions struct {
	Own    string   // this connection's host
	Others []string // the distinct hosts of all other sessions that use this schema, sorted; Own may be among them
	// The sessions of every user were seen, which takes the privilege PROCESS; else those of the Platform's user.
	All bool
}

// Sessions asks who else uses this schema now. It reads where sessions come from, never what they do. Its errors are faults.
func (d *DB) Sessions(ctx context.Context) (seen Sessions, err error) {
	var privileges int
	err = d.pool.QueryRowContext(ctx, "SELECT COUNT(*) FROM information_schema.user_privileges WHERE privilege_type = 'PROCESS'").Scan(&privileges)
	if err == nil {
		err = each(ctx, d.pool, func(rows *sql.Rows) (bool, error) {
			var host string
			var own bool
			err := rows.Scan(&host, &own)
			if host = withoutPort(host); own {
				seen.Own = host
			} else {
				seen.Others = append(seen.Others, host)
			}
			return false, err
		}, "SELECT host, id = CONNECTION_ID() FROM information_schema.processlist WHERE db = DATABASE()")
	}
	if err != nil {
		return Sessions{}, d.fault(ctx, err)
	}
	seen.All = privileges > 0
	slices.Sort(seen.Others)
	seen.Others = slices.Compact(seen.Others)
	return seen, nil
}

// withoutPort takes the port off what a process list calls a host: name:port, address:port, also of IPv6, or localhost.
func withoutPort(host string) string {
	if at := strings.LastIndexByte(host, ':'); at >= 0 {
		return strings.Trim(host[:at], "[]")
	}
	return host
}

// Count is the number of records, none of which is read. Its errors are faults.
func (d *DB) Count(ctx context.Context) (int, error) {
	var n int
	if err := d.pool.QueryRowContext(ctx, "SELECT COUNT(*) FROM tw_secret").Scan(&n); err != nil {
		return 0, d.fault(ctx, err)
	}
	return n, nil
}
