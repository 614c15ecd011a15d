package records

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"slices"
	"strings"
)

// shelf is a database in memory that answers the scanner's three questions, so that what the scanner itself does can be
// tested and measured without a server.
type shelf struct{ seeds []seed }

func shelve(seeds []seed) *DB {
	slices.SortFunc(seeds, func(a, b seed) int { return strings.Compare(a.id, b.id) })
	return &DB{pool: sql.OpenDB(shelf{seeds}), identity: "memory:0/tower", name: "tower"}
}

func (s shelf) Connect(context.Context) (driver.Conn, error) { return s, nil }
func (s shelf) Driver() driver.Driver                        { return nil }
func (s shelf) Prepare(string) (driver.Stmt, error)          { return nil, errors.ErrUnsupported }
func (s shelf) Begin() (driver.Tx, error)                    { return nil, errors.ErrUnsupported }
func (s shelf) Close() error                                 { return nil }

func (s shelf) ExecContext(context.Context, string, []driver.NamedValue) (driver.Result, error) {
	return driver.RowsAffected(0), nil
}

func (s shelf) QueryContext(_ context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	out := &answer{columns: 3}
	if strings.Contains(query, "tw_credentials") {
		out.columns = 4
	}
	for _, one := range s.seeds {
		switch {
		case out.columns == 4:
			out.rows = append(out.rows, []driver.Value{one.credential, one.user, one.salt, nil})
		case len(args) == 1 || one.id > args[0].Value.(string):
			if int64(len(out.rows)) < args[len(args)-1].Value.(int64) {
				out.rows = append(out.rows, []driver.Value{one.id, int64(0), one.secure})
			}
		}
	}
	return out, nil
}

// answer is the rows that are left, of so many columns.
type answer struct {
	columns int
	rows    [][]driver.Value
}

func (a *answer) Columns() []string { return make([]string, a.columns) }
func (a *answer) Close() error      { return nil }

func (a *answer) Next(into []driver.Value) error {
	if len(a.rows) == 0 {
		return io.EOF
	}
	copy(into, a.rows[0])
	a.rows = a.rows[1:]
	return nil
}
