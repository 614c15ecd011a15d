package records

import (
	"context"
	"crypto/md5" // a way to name rows in SQL and in Go alike
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path"
	"regexp"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/internal/dbserver"
	"github.com/seqera-tools/crypto-rotation/module/proof"
	"github.com/seqera-tools/crypto-rotation/module/sealed"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// The figures that the README quotes; `make bench-records` prints them. They fail for what is wrong, never for what is slow. Each compares two things in one run.

const (
	few    = 600     // records whose keys are derived for real
	small  = 1000    // rows of the small table
	large  = 200_000 // and of the large one
	asMain = 25      // debug.SetGCPercent of the product
)

// python derives the same ids and keys with OpenSSL's PBKDF2, on one core.
const python = `
import hashlib, sys, time
start = time.perf_counter()
for n in range(int(sys.argv[1])):
    salt = n.to_bytes(16, "big")
    hashlib.pbkdf2_hmac("sha1", b"/user/1/creds/%022d" % n, salt, 65536, 16)
    hashlib.pbkdf2_hmac("sha256", b"NEWcanaryNEWcanaryNEWcanary02", salt, 65536, 32)
print(int(sys.argv[1]) / (time.perf_counter() - start))
`

func openssl(t *testing.T) float64 {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "python3", "-c", python, strconv.Itoa(few/4)).Output()
	require.NoError(t, err)
	rate, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	require.NoError(t, err)
	return rate
}

func TestHowFastRecordsAreOpened(t *testing.T) {
	measured(t)
	s := start(t, dbserver.MariaDB)
	p := fresh(t, s)
	p.credentials(t, few, 7)
	rate := func(keys Keys, workers int) (float64, float64) {
		scanner := NewScanner(p.open(t), keys, Options{Workers: workers})
		start := time.Now()
		got, err := scanner.Scan(t.Context())
		require.NoError(t, err)
		require.Equal(t, few, got.Total)
		return few / time.Since(start).Seconds(), float64(scanner.derived.Load()) / few
	}
	reference := (openssl(t) + openssl(t)) / 2
	one, derivations := rate(Keys{Current: keys().Previous}, 1)
	two, _ := rate(Keys{Current: keys().Previous}, 2)
	worst, most := rate(Keys{Current: secret.New("neither this"), Previous: secret.New("nor that key")}, 1)
	again := openssl(t)
	fmt.Printf("OpenSSL's PBKDF2, id and key of a record, one core: %.1f and %.1f records a second\n", reference, again)
	fmt.Printf("scan, one core: %.1f a second (%.2f derivations a record), ratio %.2f (aim: at least 1.0)\n", one, derivations, one/((reference+again)/2))
	fmt.Printf("scan, two cores: %.1f a second, %.2f times one core (aim: at least 1.8); this machine has %d\n", two, two/one, runtime.NumCPU())
	fmt.Printf("worst case, each record tried with both keys: %.1f a second and core (%.2f derivations a record)\n", worst, most)
}

// TestHowMuchMemoryIsHeldAndWhatAPollCosts measures in a separate process in which all rows open and key derivations are free: two hundred
// thousand real derivations would take an hour and use no more memory.
func TestHowMuchMemoryIsHeldAndWhatAPollCosts(t *testing.T) {
	measured(t)
	s := start(t, dbserver.MariaDB)
	for _, rows := range []int{small, large} {
		p := fresh(t, s)
		crowd(t, p, rows)
		where := s.Reader(p.schema)
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestMeasured$", "-test.v")
		child.Env = append(os.Environ(), fmt.Sprintf("RECORDS_MEASURED=%s %d %s %d", where.Host, where.Port, p.schema, rows))
		out, err := child.CombinedOutput()
		require.NoError(t, err, string(out))
		fmt.Println(regexp.MustCompile(`(?m)^ *measured: (.*)$`).FindStringSubmatch(string(out))[1])
	}
}

// measured leaves out what takes minutes and proves nothing, unless it is asked for.
func measured(t *testing.T) {
	t.Helper()
	if os.Getenv("BENCH_RECORDS") == "" {
		t.Skip("make bench-records asks for it")
	}
}

func sameKey() sealed.Key { return sealed.Key([]byte("0123456789abcdef0123456789abcdef")) }

// crowd makes rows on the server itself. A record's id is made from its number, in SQL as in identified.
func crowd(t *testing.T, p *platform, rows int) {
	t.Helper()
	secure, err := sealed.Seal(sameKey(), []byte(`{"accessKey":"AKIA","secretKey":"`+strings.Repeat("x", 200)+`"}`), rand.Reader)
	require.NoError(t, err)
	numbers := " WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < " + strconv.Itoa(rows) + ") SELECT "
	p.exec(t, "SET max_recursive_iterations = 1000000; INSERT INTO tw_credentials (id, user_id, version, salt)"+numbers+"LPAD(i, 22, '0'), 1, 0, UNHEX(MD5(CONCAT('s', i))) FROM n")
	p.exec(t, "SET max_recursive_iterations = 1000000; INSERT INTO tw_secret (id, secure, version)"+numbers+"TO_BASE64(UNHEX(MD5(LPAD(i, 22, '0')))), UNHEX('"+hex.EncodeToString(secure)+"'), 0 FROM n")
}

func identified(of string, _ []byte) (string, error) {
	sum := md5.Sum([]byte(path.Base(of)))
	return base64.StdEncoding.EncodeToString(sum[:]), nil
}

// TestMeasured is the process that TestHowMuchMemoryIsHeldAndWhatAPollCosts measures.
func TestMeasured(t *testing.T) {
	asked := os.Getenv("RECORDS_MEASURED")
	if asked == "" {
		t.Skip("it is a part of make bench-records")
	}
	debug.SetGCPercent(asMain)
	where := proof.Database{User: "reader", Password: secret.New(password), TLS: "preferred"}
	var rows int
	_, err := fmt.Sscan(asked, &where.Host, &where.Port, &where.Name, &rows)
	require.NoError(t, err)
	db, err := Open(t.Context(), where)
	require.NoError(t, err)
	scanner := NewScanner(db, keys(), Options{})
	scanner.identify = identified
	scanner.deriveKey = func([]byte, []byte) (sealed.Key, error) { return sameKey(), nil }
	start := time.Now()
	got, err := scanner.Scan(t.Context())
	require.NoError(t, err)
	require.Equal(t, []int{rows, rows}, []int{got.Total, got.Current})
	took := time.Since(start)
	var bare, poll time.Duration
	for range 3 {
		bare += timed(t, func() error { return bareSQL(t.Context(), db.pool) })
		poll += timed(t, func() error { _, err := scanner.Poll(t.Context()); return err })
	}
	status, err := os.ReadFile("/proc/self/status")
	require.NoError(t, err)
	most, err := strconv.Atoi(regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindStringSubmatch(string(status))[1])
	require.NoError(t, err)
	fmt.Printf("measured: %d rows: at most %.1f MiB resident (aim: below 64); all read and judged in %.2f s without derivations; a poll of what did not change %.3f s, bare SQL %.3f s, ratio %.2f (aim: at most 2)\n",
		rows, float64(most)/1024, took.Seconds(), poll.Seconds()/3, bare.Seconds()/3, poll.Seconds()/bare.Seconds())
}

func timed(t *testing.T, do func() error) time.Duration {
	t.Helper()
	start := time.Now()
	require.NoError(t, do())
	return time.Since(start)
}

// bareSQL reads id and version of every record, and does nothing with them.
func bareSQL(ctx context.Context, pool *sql.DB) error {
	rows, err := pool.QueryContext(ctx, "SELECT id, version FROM tw_secret ORDER BY id")
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	var id sql.RawBytes
	var version int64
	for rows.Next() {
		if err := rows.Scan(&id, &version); err != nil {
			return err
		}
	}
	return rows.Err()
}
