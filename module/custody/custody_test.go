package custody

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/secret"
)

func now() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) }

func TestDocumentsComeBackAsTheyWereWritten(t *testing.T) {
	was := "50"
	entry := Entry{
		App: "app", RotationID: "r1", Stage: StagePrepared, Previous: "aaaa", Current: "bbbb", Backups: []string{"<snap> & co"},
		ChunkSize: &ChunkSize{Omnibus: &was}, OpenedAt: now(), By: Holder{Host: "h", PID: 3}, Versions: map[string]int64{"/omnibus": 4},
	}
	kept := EscrowedKey{App: "app", Fingerprint: "aaaa", Key: secret.New(`k"\ey`), Origin: OriginCaptured, Source: "/omnibus", SourceAt: 3, RotationID: "r1", CapturedAt: now()}
	tie := BackupRef{Fingerprint: "aaaa", RotationID: "r2", Backups: []string{"b"}, At: now()}
	lock := Lock{Holder: Holder{Host: "h"}, State: "prepared", AcquiredAt: now(), ExpiresAt: now().Add(Lease)}
	var inventory Inventory
	for name, document := range map[string]any{LedgerName("/c", "r1"): entry, EscrowName("/c", "aaaa"): kept, BackupRefName("/c", "aaaa", "r2"): tie, LockName("/c", 7): lock} {
		require.NoError(t, inventory.Add("/c", name, Encode(document), 5, time.Time{}))
	}
	entry.Version = 5
	got, ok := inventory.Entry("r1")
	require.True(t, ok)
	assert.Equal(t, entry, got)
	held, ok := inventory.Find("aaaa")
	require.True(t, ok)
	kept.Version, kept.Held, kept.BackupRefs = 5, true, []BackupRef{tie}
	assert.Equal(t, kept, held)
	lock.Number, lock.Version = 7, 5
	assert.Equal(t, []Lock{lock}, inventory.Locks)
	assert.Equal(t, []string{"c"}, held.Unlinked([]string{"b", "c"}))
}

func TestWhatIsNotOursIsDamagedAndNeverQuoted(t *testing.T) {
	for name, text := range map[string]string{
		"not JSON": "CANARY", "no format": `{"body":{"rotation_id":"r1","key":"CANARY"}}`, "a later format": `{"format":99,"body":{"rotation_id":"r1","key":"CANARY"}}`,
		"wrong types": `{"format":1,"body":{"rotation_id":12,"key":"CANARY"}}`, "another rotation": `{"format":1,"body":{"rotation_id":"CANARY"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			var inventory Inventory
			err := inventory.Add("/c", "/c/ledger/r1", secret.New(text), 1, time.Time{})
			require.Error(t, err)
			require.ErrorIs(t, err, ErrDamaged)
			assert.NotContains(t, err.Error(), "CANARY")
		})
	}
}

func TestOnlyTheHighestNumberIsTheLock(t *testing.T) {
	held := Lock{Number: 2, Holder: Holder{Host: "elsewhere"}, ExpiresAt: now().Add(time.Minute)}
	released := Lock{Number: 1, ReleasedAt: now()}
	local := Lock{Number: 3, Holder: Holder{Local: true}, ExpiresAt: now().Add(time.Minute)}
	alive := local
	alive.Holder.Alive = true
	tests := []struct {
		name  string
		locks []Lock
		next  int
		held  bool
		taken bool
		clear []int
	}{
		{"nobody was ever here", nil, 1, false, false, nil},
		{"the last one was released", []Lock{released}, 2, false, false, []int{1}},
		{"held elsewhere", []Lock{held, released}, 3, true, false, []int{1, 2}},
		{"its process is gone", []Lock{local, released}, 4, false, true, []int{1, 3}},
		{"its process runs", []Lock{alive}, 4, true, false, []int{3}},
		{"the lease is over", []Lock{{Number: 9, ExpiresAt: now().Add(-time.Second)}}, 10, false, true, []int{9}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			claim := Decide(test.locks, now())
			assert.Equal(t, test.next, claim.Number)
			assert.Equal(t, test.held, claim.HeldBy != nil)
			assert.Equal(t, test.taken, claim.TakenFrom != nil)
			assert.Equal(t, test.clear, claim.Clear)
		})
	}
}

func TestChunkSize_shownHoldsNumbersAlone(t *testing.T) {
	number, key := "50", "CANARY"
	shown := (&ChunkSize{Omnibus: &number, Standalone: &key}).Shown()
	assert.Equal(t, "50", *shown.Omnibus)
	assert.Equal(t, secret.Mask, *shown.Standalone)
	assert.Equal(t, "CANARY", key, "the entry itself stays")
	assert.Equal(t, &ChunkSize{}, (&ChunkSize{}).Shown())
	assert.Nil(t, (*ChunkSize)(nil).Shown())
}

// The lease counts from the put, by SSM's clock: what the document says of it is the writer's own clock.
func TestExpiry(t *testing.T) {
	lock := Lock{ExpiresAt: now()}
	assert.Equal(t, now(), lock.Expiry())
	lock.Modified = now().Add(time.Hour)
	assert.Equal(t, now().Add(time.Hour+Lease), lock.Expiry())
	assert.NotNil(t, Decide([]Lock{lock}, now().Add(time.Hour)).HeldBy)
	assert.NotNil(t, Decide([]Lock{lock}, now().Add(2*time.Hour)).TakenFrom)
}

func TestLockNumber(t *testing.T) {
	for name, want := range map[string]int{"/c/lock/7": 7, "/c/lock/0": 0, "/c/lock/+7": 0, "/c/lock/x": 0, "/d/lock/7": 0} {
		number, ok := LockNumber("/c", name)
		assert.Equal(t, want > 0, ok, name)
		if ok {
			assert.Equal(t, want, number)
		}
	}
}

// A ledger that an earlier version wrote is read as it was.
func TestEntry_ofAnEarlierVersion(t *testing.T) {
	var inventory Inventory
	require.NoError(t, inventory.Add("/c", "/c/ledger/r1", secret.New(`{"format":1,"body":{"app_name":"app","rotation_id":"r1","stage":"prepared","previous":"a","current":"b","opened_at":"2026-01-01T00:00:00Z","by":{"host":"h","machine":"m","pid":1}}}`), 1, time.Time{}))
	assert.Nil(t, inventory.Ledger[0].Platform)
}
