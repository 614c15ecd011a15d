package custody

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Lock is one numbered name under <custody_prefix>/lock. SSM has no conditional overwrite, so taking the lock is
// creating the next number with Overwrite=false, the one atomic step there is; the highest number is the lock.
type Lock struct {
	Number     int        `json:"-"`
	Version    int64      `json:"-"` // the parameter's version as observed
	Modified   time.Time  `json:"-"` // when SSM says that this version was put
	Attributes Attributes `json:"-"`
	Holder     Holder     `json:"holder"`
	RotationID string     `json:"rotation_id,omitempty"`
	State      string     `json:"state"`
	AcquiredAt time.Time  `json:"acquired_at"`
	ExpiresAt  time.Time  `json:"expires_at"`
	ReleasedAt time.Time  `json:"released_at,omitzero"`
}

// Claim is what to do about the lock.
type Claim struct {
	Number    int    // the number to create
	HeldBy    *Lock  // not nil: somebody else goes on, we stop
	TakenFrom *Lock  // not nil: a dead or expired holder is overtaken
	Clear     []int  // leftovers to delete once Number is ours
	Reason    string // why the number may be taken
}

// Decide says whether the lock can be taken. A holder on this machine whose process is gone holds up nobody; elsewhere only the
// lease tells.
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

// Dead says whether a lock is not released and nobody holds it any more.
func (l Lock) Dead(now time.Time) bool {
	return l.ReleasedAt.IsZero() && ((l.Holder.Local && !l.Holder.Alive) || now.After(l.Expiry()))
}

// Expiry is when the lease is over: counted from the put itself, which may have waited for its turn, and by SSM's clock.
func (l Lock) Expiry() time.Time {
	if l.Modified.IsZero() {
		return l.ExpiresAt
	}
	return l.Modified.Add(Lease)
}

// LockName gives <prefix>/lock/<n>.
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

// Outcome says whether a write to SSM was carried out. An error may come with each of them.
type Outcome int

// The outcomes.
const (
	NotDone Outcome = iota
	Unknown         // the call was sent, and neither its answer nor a look told
	Done
)
