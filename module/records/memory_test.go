package records

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// memory is a database in memory that answers the scanner's questions, so that what the scanner itself does can be
// tested and measured without a server.
type memory struct{ seeds, byCredential []seed }

func inMemory(seeds []seed) *DB {
	slices.SortFunc(seeds, func(a, b seed) int { return strings.Compare(a.id, b.id) })
	byCredential := slices.Clone(seeds)
	slices.SortFunc(byCredential, func(a, b seed) int { return strings.Compare(a.credential, b.credential) })
	return &DB{pool: sql.OpenDB(memory{seeds, byCredential}), identity: "memory:0/tower", name: "tower"}
}

func (s memory) Connect(context.Context) (driver.Conn, error) { return s, nil }
func (s memory) Driver() driver.Driver                        { return nil }
func (s memory) Prepare(string) (driver.Stmt, error)          { return nil, errors.ErrUnsupported }
func (s memory) Begin() (driver.Tx, error)                    { return nil, errors.ErrUnsupported }
func (s memory) Close() error                                 { return nil }

func (s memory) ExecContext(context.Context, string, []driver.NamedValue) (driver.Result, error) {
	return driver.RowsAffected(0), nil
}

func (s memory) QueryContext(_ context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if strings.HasPrefix(query, "SELECT (SELECT COUNT") {
		n := int64(len(s.seeds))
		return &answer{columns: 2, rows: [][]driver.Value{{n, n}}}, nil
	}
	columns, _, _ := strings.Cut(query, " FROM")
	out := &answer{columns: strings.Count(columns, ",") + 1}
	after, limit := "", int64(len(s.seeds))
	among := map[string]bool{}
	switch {
	case strings.Contains(query, " IN ("):
		for _, one := range args {
			among[one.Value.(string)] = true
		}
	case len(args) == 2:
		after = args[0].Value.(string)
		fallthrough
	default:
		limit = args[len(args)-1].Value.(int64)
	}
	table := s.seeds
	if out.columns == 4 {
		table = s.byCredential
	}
	for i := range table {
		one := &table[i]
		key := one.id
		if out.columns == 4 {
			key = one.credential
		}
		if (len(among) > 0 && !among[key]) || key <= after || int64(len(out.rows)) == limit {
			continue
		}
		switch out.columns {
		case 2:
			out.rows = append(out.rows, []driver.Value{one.id, int64(0)})
		case 3:
			out.rows = append(out.rows, []driver.Value{one.id, int64(0), one.secure})
		default:
			out.rows = append(out.rows, []driver.Value{one.credential, one.user, one.salt, nil})
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

// A scan that is canceled while it leaves a page early must end. With Err and Close in the wrong order, database/sql deadlocks about once
// in a thousand times.
func TestRowsThatAreLeftEarlyEndWhenTheLookIsCancelled(t *testing.T) {
	db := inMemory(seeds(t, 3, 1))
	for i := range 10_000 {
		ctx, cancel := context.WithCancel(t.Context())
		rows, err := db.pool.QueryContext(ctx, "SELECT id, version, secure FROM tw_secret ORDER BY id LIMIT ?", 3) //nolint:rowserrcheck // ended does
		require.NoError(t, err)
		var id, secure sql.RawBytes
		require.True(t, rows.Next())
		require.NoError(t, rows.Scan(&id, new(sql.NullInt64), &secure)) // RawBytes are held from here on
		go cancel()
		done := make(chan struct{})
		go func() { _ = ended(rows); close(done) }()
		select {
		case <-done:
		case <-time.After(5 * time.Second):
			t.Fatal("it waits for ever, at try ", i)
		}
	}
}
