package proof

import (
	"crypto/hmac"
	"fmt"
	"strings"
	"time"

	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// ProveExplained is the proof that every record opens with the key in use or with the previous one, so that a rotation that somebody
// began by hand can be taken over; or nil and the reason why there is none. Both are empty where there is no previous key.
func ProveExplained(o Observed, previous secret.Secret, asked Asked, prints Fingerprinter) (*Proof, string) {
	r, current := o.Records, o.Parameters.Current.Value
	if r == nil || previous.IsEmpty() || current.IsEmpty() || current.Equal(previous) {
		return nil, ""
	}
	if says, bad := o.tooFew(); bad {
		return nil, strings.TrimSuffix(says, ".")
	}
	switch {
	case r.Unreadable > 0:
		return nil, fmt.Sprintf("%d of %d records open with neither key: %s", r.Unreadable, r.Total, listed(r.UnreadableIDs))
	case r.Current+r.Previous == 0:
		return nil, fmt.Sprintf("neither key opens any of the %d records", r.Total)
	}
	proof := o.looked(Explained, asked, prints.Of(current), prints.Of(previous))
	proof.Proved = r.Current
	proof.Sign(prints, current)
	return proof, ""
}

// ValidateExplained checks that the proof is of these two keys, signed with the one in use. Its errors are faults.
func (p *Proof) ValidateExplained(now time.Time, app string, current, previous secret.Fingerprint, prints Fingerprinter, key secret.Secret) error {
	refuse := func(code fault.Code, what string) error {
		return fault.New(code, "Look at the records on the VM (seqera_crypto_rotation_info, gather: records), and pass as proof what it returns as explained. Where it returns none, its evidence says why.", "%s", what)
	}
	switch {
	case p == nil:
		return refuse(fault.CodeProofMissing, "There is no proof that the two keys open the records, so this rotation is not taken over (adopt).")
	case p.Kind != Explained:
		return refuse(fault.CodeProofMismatch, "The proof does not say which keys open the records.")
	case p.App != app || p.Previous != previous || p.Current != current:
		return refuse(fault.CodeProofMismatch, fmt.Sprintf("The records of %q were opened with keys %s and %s; the parameters of %q have %s and %s.", p.App, p.Current, p.Previous, app, current, previous))
	case !hmac.Equal([]byte(p.MAC), []byte(p.signed(prints, key))):
		return refuse(fault.CodeProofMismatch, "The proof was changed after it was made, or was not made with the key in use: its mac does not fit.")
	case p.Total < 1:
		return refuse(fault.CodeProofIncomplete, fmt.Sprintf("The proof is over no records at all: the database %s had none.", p.Database))
	}
	return p.validateAge(now, lookMaxAge, refuse)
}
