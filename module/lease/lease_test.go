package lease

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/internal/fakessm"
	"github.com/seqera-tools/crypto-rotation/module/parameters"
)

// scene is SSM with a clock that the test moves, and a run that may hold the lock there.
type scene struct {
	ssm   *fakessm.SSM
	store *parameters.Store
	time  time.Time
}

func begin() *scene {
	r := &scene{ssm: fakessm.New(), time: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	r.ssm.Now = r.now
	r.store = parameters.New(r.ssm)
	return r
}

func (r *scene) now() time.Time { return r.time }

func (r *scene) take(ctx context.Context) (*Lease, custody.Outcome, error) {
	seen, _ := r.store.Locks(ctx, "/c", 1)
	return Take(ctx, r.store, r.now, "/c", custody.LockName("/c", 1), "alias/k", custody.Lock{Holder: custody.Holder{Host: "here"}, RotationID: "r1", State: "prepared"}, seen)
}

func (r *scene) held(t *testing.T) *Lease {
	t.Helper()
	l, outcome, err := r.take(t.Context())
	require.NoError(t, err)
	assert.Equal(t, custody.Done, outcome)
	return l
}

func (r *scene) lock(t *testing.T) custody.Lock {
	t.Helper()
	locks, err := r.store.Locks(t.Context(), "/c", 1)
	require.NoError(t, err)
	require.Len(t, locks, 1)
	return locks[0]
}

func guard(t *testing.T, l *Lease) error {
	t.Helper()
	_, cancel, err := l.Guard(t.Context())
	cancel()
	return err
}

func TestGuard_looksWhenTheLastLookIsOlderThanTenSeconds(t *testing.T) {
	r := begin()
	l := r.held(t)
	calls := len(r.ssm.Calls)
	r.time = r.time.Add(9 * time.Second)
	require.NoError(t, guard(t, l))
	assert.Len(t, r.ssm.Calls, calls, "a look is good for ten seconds")
	r.time = r.time.Add(2 * time.Second)
	require.NoError(t, guard(t, l))
	assert.Len(t, r.ssm.Calls, calls+1)
	r.time = r.time.Add(-time.Hour)
	require.NoError(t, guard(t, l), "a clock that goes back")
	assert.Len(t, r.ssm.Calls, calls+2)
}

func TestGuard_stopsBeforeTheNextWrite(t *testing.T) {
	r := begin()
	l := r.held(t)
	r.ssm.Put("/c/lock/2", `{"format":1,"body":{}}`)
	r.ssm.Delete("/c/lock/1")          // the new holder clears old numbers
	r.time = r.time.Add(8 * time.Hour) // a laptop that slept: no monotonic clock saw it
	assert.Equal(t, fault.CodeOvertaken, fault.CodeOf(guard(t, l)))
	writes := r.store
	before := writes.Calls().Writes
	_, err := l.Release(t.Context())
	assert.Equal(t, fault.CodeOvertaken, fault.CodeOf(err))
	assert.Equal(t, fault.CodeOvertaken, fault.CodeOf(guard(t, l)), "for good")
	after := writes.Calls().Writes
	assert.Equal(t, before, after, "a run that was overtaken writes nothing more")
	assert.NotContains(t, r.ssm.All(), "/c/lock/1", "numbers are not used twice")
}

func TestGuard_renewsWhenAThirdIsOver(t *testing.T) {
	r := begin()
	l := r.held(t)
	taken := r.lock(t)
	assert.Equal(t, r.time.Add(custody.Lease), taken.ExpiresAt)
	for range 20 {
		r.time = r.time.Add(custody.Lease/3 - time.Second)
		require.NoError(t, guard(t, l))
		lock := r.lock(t)
		assert.True(t, lock.ExpiresAt.After(r.time.Add(custody.Lease/3)) && lock.Expiry().After(r.time), "the lease continues")
		assert.Equal(t, taken.AcquiredAt, lock.AcquiredAt)
		assert.Equal(t, "here", lock.Holder.Host)
	}
	assert.Equal(t, int64(11), r.lock(t).Version, "every second time")
	assert.Equal(t, "alias/k", *r.ssm.Parameter("/c/lock/1").KeyId)
	_, err := l.Release(t.Context())
	require.NoError(t, err)
	assert.Equal(t, r.time, r.lock(t).ReleasedAt)
}

func TestGuard_renewalFails(t *testing.T) {
	r := begin()
	l := r.held(t)
	r.time = r.time.Add(custody.Lease / 2)
	r.ssm.Hook = func(c fakessm.Call) fakessm.Fault {
		return fakessm.Fault{Code: map[bool]string{true: "AccessDeniedException"}[c.Write]}
	}
	assert.Equal(t, fault.CodeAccessDenied, fault.CodeOf(guard(t, l)))
	r.ssm.Hook = nil
	_, err := l.Release(t.Context())
	require.NoError(t, err)
	assert.False(t, r.lock(t).ReleasedAt.IsZero(), "the next run need not wait for the lease")
}

func TestGuard_boundsTheWritesRetriesByTheLease(t *testing.T) {
	r := begin()
	l := r.held(t)
	bounded, cancel, err := l.Guard(t.Context())
	defer cancel()
	require.NoError(t, err)
	deadline, ok := bounded.Deadline()
	assert.True(t, ok)
	r.time = r.time.Add(30 * time.Second)
	bounded, cancel, err = l.Guard(t.Context())
	defer cancel()
	require.NoError(t, err)
	sooner, _ := bounded.Deadline()
	assert.InDelta(t, 30, deadline.Sub(sooner).Seconds(), 1, "30 s of the lease are over")
	r.time = r.time.Add(custody.Lease/3 - 31*time.Second)
	bounded, cancel, err = l.Guard(t.Context())
	defer cancel()
	require.NoError(t, err)
	require.NoError(t, bounded.Err(), "and most of it is left")
}

// The lease is counted from the put of the lock itself, which may have waited for its turn for minutes.
func TestTake_leaseCountsFromThePut(t *testing.T) {
	r := begin()
	r.ssm.Hook = func(c fakessm.Call) fakessm.Fault {
		if c.Write {
			r.time = r.time.Add(6 * time.Minute) // throttled
		}
		return fakessm.Fault{}
	}
	l := r.held(t)
	r.ssm.Hook = nil
	lock := r.lock(t)
	assert.True(t, lock.Expiry().After(r.time.Add(4*time.Minute)), "it was not born expired")
	claim := custody.Decide([]custody.Lock{lock}, r.time.Add(time.Minute))
	assert.NotNil(t, claim.HeldBy)
	require.NoError(t, guard(t, l))
	assert.Equal(t, int64(2), r.lock(t).Version, "and is renewed before the first write")
}

// Our own lock that a stale read does not show yet is not lost.
func TestTake_staleRead(t *testing.T) {
	r := begin()
	r.ssm.Hook = func(c fakessm.Call) fakessm.Fault { return fakessm.Fault{Stale: !c.Write} }
	require.NoError(t, guard(t, r.held(t)))
}

func TestTake_outcomes(t *testing.T) {
	r := begin()
	r.ssm.Put("/c/lock/1", `{"format":1,"body":{}}`)
	l, outcome, err := r.take(t.Context())
	assert.Nil(t, l)
	assert.Equal(t, custody.NotDone, outcome)
	assert.Equal(t, fault.CodeLocked, fault.CodeOf(err))

	// Two runs came and went since the locks were listed: number 1 is free again, and there is a higher one.
	r = begin()
	r.ssm.Put("/c/lock/3", `{"format":1,"body":{}}`)
	_, outcome, err = r.take(t.Context())
	assert.Equal(t, custody.Done, outcome)
	assert.Equal(t, fault.CodeOvertaken, fault.CodeOf(err))

	r = begin()
	ctx, cancel := context.WithCancel(t.Context())
	r.ssm.Hook = func(c fakessm.Call) fakessm.Fault {
		if !c.Write && len(r.ssm.Calls) > 1 {
			cancel()
		}
		return fakessm.Fault{}
	}
	l, outcome, err = r.take(ctx)
	assert.Equal(t, custody.Done, outcome)
	assert.Equal(t, fault.CodeInterrupted, fault.CodeOf(err))
	r.ssm.Hook = nil
	_, err = l.Release(context.WithoutCancel(ctx))
	require.NoError(t, err)
	assert.False(t, r.lock(t).ReleasedAt.IsZero())
}

// A holder that renews a lease that seemed to have ended is alive, so the run that wants to take over must give way.
func TestTake_renewedMeanwhile(t *testing.T) {
	r := begin()
	first := r.held(t)
	seen, err := r.store.Locks(t.Context(), "/c", 1)
	require.NoError(t, err)
	r.time = r.time.Add(custody.Lease + time.Second)
	require.NotNil(t, custody.Decide(seen, r.time).TakenFrom)
	require.NoError(t, guard(t, first))
	other, outcome, err := Take(t.Context(), r.store, r.now, "/c", "/c/lock/2", "", custody.Lock{}, seen)
	assert.Equal(t, custody.Done, outcome)
	assert.Equal(t, fault.CodeLocked, fault.CodeOf(err))
	_, err = other.Release(t.Context())
	require.NoError(t, err)
	r.time = r.time.Add(11 * time.Second)
	assert.Equal(t, fault.CodeOvertaken, fault.CodeOf(guard(t, first)), "and the first stops, too: safe, and the next run continues")
}
