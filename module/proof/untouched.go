package proof

import (
	"fmt"
	"strings"
	"time"

	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// ProveUntouched is the proof that no record is under the new key, or nil and the reason why there is none.
func ProveUntouched(o Observed, asked Asked, prints Fingerprinter) (*Proof, string) {
	r, previous := o.Records, o.Parameters.Previous.Value
	if r == nil || previous.IsEmpty() {
		return nil, ""
	}
	if says, bad := o.tooFew(); bad {
		return nil, strings.TrimSuffix(says, ".")
	}
	kept, lost := 0, 0
	for _, one := range r.Unread {
		if one.Before && !one.Changed {
			kept++
		} else {
			lost++
		}
	}
	switch {
	case r.Current > 0:
		return nil, fmt.Sprintf("%d of %d records are under the new key already", r.Current, r.Total)
	case !r.Exact || r.Unseen > 0:
		return nil, "records changed while they were read"
	case r.Orphaned > 0 && r.Before == nil:
		return nil, fmt.Sprintf("%d records are of no credential, and without the baseline nothing says whether they were re-encrypted", r.Orphaned)
	case r.Rewritten > 0:
		return nil, fmt.Sprintf("%d records of no credential were re-encrypted or created since the baseline", r.Rewritten)
	case lost > 0 || kept != r.Unreadable:
		return nil, fmt.Sprintf("%d unreadable records were not so, or not these, before the rotation", r.Unreadable-kept)
	}
	if why := o.mayWrite(); why != "" {
		return nil, why
	}
	proof := o.looked(Untouched, asked, prints.Of(o.Parameters.Current.Value), prints.Of(previous))
	proof.Proved, proof.Before, proof.Stopped = r.Previous, r.Before, true
	proof.Sign(prints, previous)
	return proof, ""
}

// looked is what a look at the records says, whatever it proves; it is not signed yet.
func (o Observed) looked(kind Kind, asked Asked, current, previous secret.Fingerprint) *Proof {
	r := o.Records
	return &Proof{
		Format: Format, Kind: kind, App: asked.App, RotationID: asked.RotationID, Previous: previous, Current: current, Verify: []Verify{VerifyDatabase},
		Database: r.Database, Total: r.Total, Orphaned: r.Orphaned, Deleted: r.Deleted, NotLookedAt: r.Notes, MadeAt: o.Now.UTC().Truncate(time.Second), Tool: asked.Tool,
	}
}

// mayWrite says what may write with the new key while the records are read, or nothing.
func (o Observed) mayWrite() string {
	if o.Platform == nil {
		return "the containers were not looked at (gather: platform), and a backend that runs writes with the new key"
	}
	for _, service := range append(o.services(RoleBackend), o.services(RoleCron)...) {
		if service.State != "exited" && service.State != "created" && service.State != "dead" {
			return fmt.Sprintf("%s container %s is %s, and may write with the new key", service.Role, service.Container, service.State)
		}
	}
	return ""
}
