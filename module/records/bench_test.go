package records

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// The first scan of a rotation, when all is under the previous key, and a poll after it that finds nothing new.
func BenchmarkScan1000(b *testing.B) {
	db := shelve(seeds(b, 1000, 20))
	for _, workers := range []int{1, runtime.GOMAXPROCS(0)} {
		b.Run(fmt.Sprintf("first/workers=%d", workers), func(b *testing.B) {
			for b.Loop() {
				scanner := NewScanner(db, keys(), Options{Workers: workers})
				_, err := scanner.Scan(b.Context())
				require.NoError(b, err)
				b.ReportMetric(float64(scanner.derived.Load())/1000, "derivations/record")
			}
			var memory runtime.MemStats
			runtime.ReadMemStats(&memory)
			b.ReportMetric(float64(memory.Sys)/(1<<20), "MiB")
		})
	}
	b.Run("poll", func(b *testing.B) {
		scanner := NewScanner(db, keys(), Options{})
		_, err := scanner.Scan(b.Context())
		require.NoError(b, err)
		for b.Loop() {
			_, err := scanner.Poll(b.Context())
			require.NoError(b, err)
		}
	})
}
