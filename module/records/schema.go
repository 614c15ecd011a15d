package records

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/seqera-tools/crypto-rotation/module/rotation"
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

// lookAt wants the published tables and columns, and notes what else looks as if it held secrets.
func lookAt(ctx context.Context, connection asker, identity string) (schema, error) {
	tables, err := readTables(ctx, connection)
	if err != nil {
		return schema{}, err
	}
	missing := absent(tables, tableCredentials, "id", "user_id", "salt")
	missing = append(missing, absent(tables, tableSecrets, "id", "secure", "version")...)
	if len(missing) > 0 {
		return schema{}, &rotation.Fault{
			Code: rotation.CodeDatabaseSchema, What: fmt.Sprintf("The database %s does not show %s.", identity, strings.Join(missing, ", ")), State: nothingWritten,
			Next: "Check the option database: is this the Platform's schema, migrated, and may the user SELECT from it? Only records of the published schema can be proved.",
		}
	}
	return schema{deleted: slices.Contains(tables[tableCredentials], "deleted"), notes: notes(tables)}, nil
}

// readTables gives the columns of the tables whose names speak of secrets or credentials, or that have a column as the
// published tables keep secrets in. The server shows only those on which the user has rights.
func readTables(ctx context.Context, connection asker) (map[string][]string, error) {
	rows, err := connection.QueryContext(ctx, `SELECT table_name, LOWER(column_name) FROM information_schema.columns WHERE table_schema = DATABASE()
		AND (LOWER(table_name) LIKE '%secret%' OR LOWER(table_name) LIKE '%credential%' OR table_name IN
			(SELECT table_name FROM information_schema.columns WHERE table_schema = DATABASE() AND LOWER(column_name) IN ('secure', 'salt')))
		ORDER BY table_name, ordinal_position`)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	tables := map[string][]string{}
	for rows.Next() {
		var table, column string
		if err := rows.Scan(&table, &column); err != nil {
			return nil, err
		}
		tables[table] = append(tables[table], column)
	}
	return tables, rows.Err()
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

// notes names what the scan does not look at, in the order of names.
func notes(tables map[string][]string) []string {
	published := []string{"id", "secure", "version", "date_created", "last_updated"}
	var list []string
	for _, table := range slices.Sorted(maps.Keys(tables)) {
		if table != tableSecrets && table != tableCredentials {
			list = append(list, fmt.Sprintf("table %s was not looked at: the published schema does not have it", table))
			continue
		}
		for _, column := range tables[table] {
			if table == tableSecrets && !slices.Contains(published, column) {
				list = append(list, fmt.Sprintf("column %s.%s was not looked at: the published schema does not have it", table, column))
			}
		}
	}
	return list
}
