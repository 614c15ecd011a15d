package records

import (
	"context"
	"slices"
	"strings"
)

// Sessions is who is connected to the Platform's schema. Hosts are as the server sees them: an address, or a name where it
// resolves names.
type Sessions struct {
	Own    string   // this connection's host
	Others []string // the distinct hosts of all other sessions that use this schema, sorted; Own may be among them
	// All: the sessions of every user were seen. Without the privilege PROCESS a server shows a user its own alone; the Platform's
	// user sees the Platform's.
	All bool
}

// Sessions asks who else uses this schema now. It reads where sessions come from, never what they do. Its errors are faults.
func (d *DB) Sessions(ctx context.Context) (Sessions, error) {
	seen, err := d.sessions(ctx)
	if err != nil {
		return Sessions{}, d.fault(ctx, err)
	}
	return seen, nil
}

func (d *DB) sessions(ctx context.Context) (seen Sessions, err error) {
	var privileges int
	if err := d.pool.QueryRowContext(ctx, "SELECT COUNT(*) FROM information_schema.user_privileges WHERE privilege_type = 'PROCESS'").Scan(&privileges); err != nil {
		return seen, err
	}
	seen.All = privileges > 0
	rows, err := d.pool.QueryContext(ctx, "SELECT host, id = CONNECTION_ID() FROM information_schema.processlist WHERE db = DATABASE()")
	if err != nil {
		return seen, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var host string
		var own bool
		if err := rows.Scan(&host, &own); err != nil {
			return seen, err
		}
		if host = withoutPort(host); own {
			seen.Own = host
		} else {
			seen.Others = append(seen.Others, host)
		}
	}
	slices.Sort(seen.Others)
	seen.Others = slices.Compact(seen.Others)
	return seen, rows.Err()
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
