// Package lease owns the lock of an installation while a run writes: it takes it, looks that it is still ours before each write,
// renews it and releases it. SSM has no conditional overwrite, so the lock is a numbered name: taking it is creating the next
// number, the one atomic step there is, and a run that sees a higher number than its own stops.
//
// Times are wall time: the monotonic clock stands still while a laptop sleeps, and the lease of a sleeper ends.
package lease

import (
	"context"
	"time"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

const (
	lookAfter  = 10 * time.Second
	renewAfter = custody.Lease / 3
	margin     = 10 * time.Second // before its end the lease is good for no write any more
)

// Store is what the lease needs of SSM; *custody.Store is one.
type Store interface {
	CreateLock(ctx context.Context, name, keyID string, value secret.Secret) (custody.Outcome, error) // fails if the name exists
	PutLock(ctx context.Context, name, keyID string, value secret.Secret) (custody.Outcome, error)    // onto what this store wrote
	Locks(ctx context.Context, prefix string, first int) ([]custody.Lock, error)
}

// Lease is a lock that this run holds. It is for one goroutine.
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

// Take creates the lock of this name. seen are the locks the plan was made with: if one of them was renewed since, Take gives
// way. Release a lease that comes with an error.
func Take(ctx context.Context, store Store, now func() time.Time, prefix, name, keyID string, lock custody.Lock, seen []custody.Lock) (*Lease, custody.Outcome, error) {
	l := &Lease{store: store, now: now, prefix: prefix, name: name, keyID: keyID}
	l.number, _ = custody.LockNumber(prefix, name)
	l.lock = custody.Lock{Holder: lock.Holder, RotationID: lock.RotationID, State: lock.State, AcquiredAt: l.wall()}
	began := l.wall()
	outcome, err := store.CreateLock(ctx, name, keyID, l.document(began))
	if fault.Is(err, fault.CodeVersionGap) {
		return nil, outcome, fault.New(fault.CodeLocked, "Wait for that run to end, then run again.",
			"Somebody else took the lock %s at the same moment.", name)
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

// Guard returns an error if another run has taken the lease, or may have. Call it before every write, and write under the
// context that it returns: that ends with the lease.
func (l *Lease) Guard(ctx context.Context) (context.Context, context.CancelFunc, error) {
	err := l.hold(ctx)
	bounded, cancel := context.WithTimeout(ctx, l.renewed.Add(custody.Lease-margin).Sub(l.wall()))
	return bounded, cancel, err
}

func (l *Lease) hold(ctx context.Context) error {
	now := l.wall()
	if age := now.Sub(l.looked); l.lost || age > lookAfter || age < 0 {
		if err := l.look(ctx, nil); err != nil {
			return err
		}
	}
	if now.Sub(l.renewed) < renewAfter {
		return nil
	}
	// A run that found the lease over a moment ago may have taken it: look again behind the renewal.
	if _, err := l.put(ctx, now); err != nil {
		return err
	}
	l.renewed = now
	return l.look(ctx, nil)
}

// Release marks the lock as released, so that nobody waits for its end. A lease that was lost is left alone.
func (l *Lease) Release(ctx context.Context) (custody.Outcome, error) {
	if age := l.wall().Sub(l.looked); l.lost || age > lookAfter || age < 0 {
		if err := l.look(ctx, nil); err != nil {
			return custody.NotDone, err
		}
	}
	l.lock.ReleasedAt = l.wall()
	return l.put(ctx, l.renewed)
}

// put writes the lock. One that somebody wrote to or deleted is lost: only who overtakes does that.
func (l *Lease) put(ctx context.Context, from time.Time) (custody.Outcome, error) {
	outcome, err := l.store.PutLock(ctx, l.name, l.keyID, l.document(from))
	if outcome == custody.Done && fault.Is(err, fault.CodeVersionGap) {
		l.lost = true
		err = l.overtaken()
	}
	return outcome, err
}

// look sees whether another run has a higher number. Our own lock that a stale read does not show is not lost.
func (l *Lease) look(ctx context.Context, seen []custody.Lock) error {
	if l.lost {
		return l.overtaken()
	}
	before := l.wall()
	locks, err := l.store.Locks(ctx, l.prefix, max(1, l.number-1)) // the one before, ours, and those after it
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
					"%s, whose lease seemed to be over, has renewed it.", lock.Holder.Who())
			}
		}
	}
	l.looked = before
	return nil
}

func (l *Lease) overtaken() error {
	return fault.New(fault.CodeOvertaken, "This run stops here; let the other one finish, then run again.",
		"The lock %s was taken over by another run.", l.name)
}

func (l *Lease) document(from time.Time) secret.Secret {
	l.lock.ExpiresAt = from.Add(custody.Lease)
	return custody.Encode(l.lock)
}

func (l *Lease) wall() time.Time { return l.now().Round(0) }
