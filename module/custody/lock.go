package custody

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Lock is one numbered name under <custody_prefix>/lock. The highest number is the lock. To take it, a run creates the next number
// with Overwrite=false: SSM has no conditional overwrite, and this is its only atomic step.
type Lock struct {
	Number     int       `json:"-"`
	Version    int64     `json:"-"` // the parameter's version as observed
	Modified   time.Time `json:"-"` // when this version was put, by SSM's clock
	Holder     Holder    `json:"holder"`
	RotationID string    `json:"rotation_id,omitempty"`
	State      string    `json:"state"`
	AcquiredAt time.Time `json:"acquired_at"`
	ExpiresAt  time.Time `json:"expires_at"`
	ReleasedAt time.Time `json:"released_at,omitzero"`
}

// Claim is the decision about the lock: take it, or give way to HeldBy.
type Claim struct {
	Number    int    // the number to create
	HeldBy    *Lock  // not nil: another run holds the lock, and this run must stop
	TakenFrom *Lock  // not nil: the lock is taken over from a dead or expired holder
	Clear     []int  // leftover numbers to delete after creating Number
	Reason    string // why the number may be taken
}

// Decide says whether the lock can be taken. If its holder ran on this machine and the process is gone, it can be taken at once.
// If the holder runs elsewhere, it can be taken when the lease has ended.
func Decide(locks []Lock, now time.Time) Claim {
	if len(locks) == 0 {
		return Claim{Number: 1, Reason: "nobody holds it"}
	}
	sorted := slices.Clone(locks)
	slices.SortFunc(sorted, func(a, b Lock) int { return a.Number - b.Number })
	last := sorted[len(sorted)-1]
	claim := Claim{Number: last.Number + 1}
	for _, lock := range sorted {
		claim.Clear = append(claim.Clear, lock.Number)
	}
	switch {
	case !last.ReleasedAt.IsZero():
		claim.Reason = "nobody holds it"
	case last.Holder.Local && !last.Holder.Alive:
		claim.TakenFrom = &last
		claim.Reason = fmt.Sprintf("its holder, process %d on this machine, is gone", last.Holder.PID)
	case now.After(last.Expiry()):
		claim.TakenFrom = &last
		claim.Reason = fmt.Sprintf("the lease of %s ended at %s", last.Holder.Who(), last.Expiry().UTC().Format(time.RFC3339))
	default:
		claim.HeldBy = &last
	}
	return claim
}

// Expiry returns the end of the lease, by SSM's clock. The lease starts when SSM carries out the put, which may be long after the
// call, because SSM throttles.
func (l Lock) Expiry() time.Time {
	if l.Modified.IsZero() {
		return l.ExpiresAt
	}
	return l.Modified.Add(Lease)
}

// LockName returns <prefix>/lock/<n>.
func LockName(prefix string, number int) string {
	return prefix + "/lock/" + strconv.Itoa(number)
}

// LockNumber is the inverse of LockName.
func LockNumber(prefix, name string) (int, bool) {
	rest, ok := strings.CutPrefix(name, prefix+"/lock/")
	number, fine := lockNumber(rest)
	return number, ok && fine
}

func lockNumber(rest string) (int, bool) {
	number, err := strconv.Atoi(rest)
	return number, err == nil && number > 0 && !strings.HasPrefix(rest, "+")
}

// Outcome says whether a write to SSM was carried out. Each outcome may come with an error.
type Outcome int

// The outcomes.
const (
	NotDone Outcome = iota
	Unknown         // the call was sent, and neither its response nor a read shows whether it was carried out
	Done
)
