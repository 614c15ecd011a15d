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

// schema says how the database differs from the published schema.
type schema struct {
	deleted bool     // tw_credentials has the column deleted
	notes   []string // what the scan does not read
}

// tableInfo is what information_schema has about a table.
type tableInfo struct {
	columns []string
	rows    sql.NullInt64 // an estimate
}

// readSchema checks that the published tables and columns exist, and notes what else may contain secrets.
func readSchema(ctx context.Context, connection asker, identity string) (schema, error) {
	tables, err := readTables(ctx, connection)
	if err != nil {
		return schema{}, err
	}
	missing := absent(tables, tableCredentials, "id", "user_id", "salt")
	missing = append(missing, absent(tables, tableSecrets, "id", "secure", "version")...)
	if len(missing) > 0 {
		return schema{}, fault.New(fault.CodeDatabaseSchema, "Check the option database. It must name the Platform's migrated schema, and the user must have SELECT on it. Only records of the published schema can be proved.",
			"In the database %s, this user cannot see %s.", identity, strings.Join(missing, ", "))
	}
	return schema{deleted: slices.Contains(tables[tableCredentials].columns, "deleted"), notes: notes(tables)}, nil
}

// readTables returns the tables whose names or columns suggest secrets, if the user has rights on them.
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

// notes lists what the scan does not read, for people who know what is stored there.
func notes(tables map[string]tableInfo) []string {
	published := []string{"id", "secure", "version", "date_created", "last_updated"}
	var list []string
	for _, name := range slices.Sorted(maps.Keys(tables)) {
		one := tables[name]
		if name != tableSecrets && name != tableCredentials {
			list = append(list, fmt.Sprintf("table %s (%s; about %d rows) was not read: it is not in the published schema", name, strings.Join(one.columns, ", "), one.rows.Int64))
			continue
		}
		for _, column := range one.columns {
			if name == tableSecrets && !slices.Contains(published, column) {
				list = append(list, fmt.Sprintf("column %s.%s was not read: it is not in the published schema", name, column))
			}
		}
	}
	return list
}

// Sessions says who is connected to the schema. A host is an address, or a name if the server resolves names.
type Sessions struct {
	Own    string   // this connection's host
	Others []string // the hosts of all other sessions that use this schema, sorted, without duplicates; Own may be among them
	// All: the sessions of all users were visible, which requires the privilege PROCESS. Otherwise only the user's own sessions were.
	All bool
}

// Sessions returns who uses this schema now. It reads the hosts of the sessions, never their statements. Its errors are faults.
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

// withoutPort removes the port from a host in the process list, such as name:port, address:port (also IPv6) or localhost.
func withoutPort(host string) string {
	if at := strings.LastIndexByte(host, ':'); at >= 0 {
		return strings.Trim(host[:at], "[]")
	}
	return host
}

// Count returns the number of records without reading them. Its errors are faults.
func (d *DB) Count(ctx context.Context) (int, error) {
	var n int
	if err := d.pool.QueryRowContext(ctx, "SELECT COUNT(*) FROM tw_secret").Scan(&n); err != nil {
		return 0, d.fault(ctx, err)
	}
	return n, nil
}
