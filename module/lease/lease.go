// Package lease owns the lock of an installation while a run writes. It takes the lock, checks before each write that this run still
// holds it, renews it and releases it. A lock is a numbered name in SSM (see custody.Lock). A run that sees a higher number than its
// own stops.
//
// All times are wall time: the monotonic clock stops while a laptop sleeps, and the lease does not.
package lease

import (
	"context"
	"time"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

const (
	lookAfter  = 10 * time.Second // how old the last read of the locks may be
	renewAfter = custody.Lease / 3
	margin     = 10 * time.Second // no write may start or continue this close to the end of the lease
)

// Store is what the lease needs from SSM; *parameters.Store implements it.
type Store interface {
	CreateLock(ctx context.Context, name, keyID string, value secret.Secret) (custody.Outcome, error) // fails if the name exists
	PutLock(ctx context.Context, name, keyID string, value secret.Secret) (custody.Outcome, error)    // overwrites a lock that this store created
	Locks(ctx context.Context, prefix string, first int) ([]custody.Lock, error)                      // from this number on
}

// Lease is a lock that this run holds. It is not safe for concurrent use.
type Lease struct {
	store   Store
	now     func() time.Time
	prefix  string
	name    string
	number  int
	keyID   string
	lock    custody.Lock
	looked  time.Time
	renewed time.Time
	lost    bool
}

// Take creates the lock called name. seen are the locks that the plan is based on: if one of them was renewed since, Take gives way
// and returns an error. If it returns both a lease and an error, release the lease.
func Take(ctx context.Context, store Store, now func() time.Time, prefix, name, keyID string, lock custody.Lock, seen []custody.Lock) (*Lease, custody.Outcome, error) {
	l := &Lease{store: store, now: now, prefix: prefix, name: name, keyID: keyID}
	l.number, _ = custody.LockNumber(prefix, name)
	l.lock = custody.Lock{Holder: lock.Holder, RotationID: lock.RotationID, State: lock.State, AcquiredAt: l.wall()}
	began := l.wall()
	outcome, err := store.CreateLock(ctx, name, keyID, l.document(began))
	if fault.Is(err, fault.CodeVersionGap) {
		return nil, outcome, fault.New(fault.CodeLocked, "Wait for that run to end, then run again.",
			"Another run took the lock %s at the same time.", name)
	}
	if outcome != custody.Done {
		return nil, outcome, err
	}
	l.renewed = began
	if err == nil {
		err = l.look(ctx, seen)
	}
	return l, outcome, err
}

// Guard returns an error if another run has taken the lease, or may have. Call it before every write, and write with the context
// that it returns, which ends 10 seconds before the lease does. It reads the locks if the last read is older than 10 seconds of wall
// time, and renews the lease when a third of it is over.
func (l *Lease) Guard(ctx context.Context) (context.Context, context.CancelFunc, error) {
	err := l.hold(ctx)
	bounded, cancel := context.WithTimeout(ctx, l.renewed.Add(custody.Lease-margin).Sub(l.wall()))
	return bounded, cancel, err
}

func (l *Lease) hold(ctx context.Context) error {
	now := l.wall()
	if err := l.check(ctx); err != nil {
		return err
	}
	if now.Sub(l.renewed) < renewAfter {
		return nil
	}
	// Another run may have taken the lease just before it was renewed, so read the locks again.
	if _, err := l.put(ctx, now); err != nil {
		return err
	}
	l.renewed = now
	return l.look(ctx, nil)
}

// Release marks the lock as released, so that nobody has to wait for the lease to end. It leaves a lost lease alone.
func (l *Lease) Release(ctx context.Context) (custody.Outcome, error) {
	if err := l.check(ctx); err != nil {
		return custody.NotDone, err
	}
	l.lock.ReleasedAt = l.wall()
	return l.put(ctx, l.renewed)
}

// check reads the locks if the last read is too old.
func (l *Lease) check(ctx context.Context) error {
	if age := l.wall().Sub(l.looked); l.lost || age > lookAfter || age < 0 {
		return l.look(ctx, nil)
	}
	return nil
}

// put writes the lock. If somebody else wrote or deleted the lock, it is lost: only a run that takes the lock over does that.
func (l *Lease) put(ctx context.Context, from time.Time) (custody.Outcome, error) {
	outcome, err := l.store.PutLock(ctx, l.name, l.keyID, l.document(from))
	if outcome == custody.Done && fault.Is(err, fault.CodeVersionGap) {
		l.lost = true
		err = l.overtaken()
	}
	return outcome, err
}

// look reads the locks and returns an error if another run has a higher number. A read may be stale: if it does not show our own
// lock, the lock is not lost.
func (l *Lease) look(ctx context.Context, seen []custody.Lock) error {
	if l.lost {
		return l.overtaken()
	}
	before := l.wall()
	locks, err := l.store.Locks(ctx, l.prefix, max(1, l.number-1)) // the previous lock, our own, and the later ones
	if err != nil {
		return err
	}
	for _, lock := range locks {
		if lock.Number > l.number {
			l.lost = true
			return l.overtaken()
		}
		for _, earlier := range seen {
			if lock.Number == earlier.Number && lock.Version > earlier.Version && lock.ReleasedAt.IsZero() {
				return fault.New(fault.CodeLocked, "Wait for that run to end, then run again.",
					"%s has renewed the lease that seemed to have ended.", lock.Holder.Who())
			}
		}
	}
	l.looked = before
	return nil
}

func (l *Lease) overtaken() error {
	return fault.New(fault.CodeOvertaken, "This run stops here. Let the other run finish, then run again.",
		"Another run has taken over the lock %s.", l.name)
}

func (l *Lease) document(from time.Time) secret.Secret {
	l.lock.ExpiresAt = from.Add(custody.Lease)
	return custody.Encode(l.lock)
}

func (l *Lease) wall() time.Time { return l.now().Round(0) }
