package proof

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// clocksApart is how far a VM's clock may be ahead of the control node's.
const clocksApart = 5 * time.Minute

// maxAge is how old a proof may be when the previous key is removed: the second outage may be put off by hours.
const maxAge = 24 * time.Hour

// lookMaxAge is how old a look may be that a write rests on: at untouched records, or at those of a rotation begun by hand.
const lookMaxAge = 15 * time.Minute

// ValidateComplete checks that the proof is complete, of this rotation, and at most a day old. Its errors are faults.
func (p *Proof) ValidateComplete(now time.Time, app string, entry custody.Entry, prints Fingerprinter, newKey secret.Secret) error {
	refuse := func(code fault.Code, what string) error {
		return fault.New(code, "Run state rotating again on the Platform's VM and pass the proof that it returns.",
			"%s", what)
	}
	if p == nil {
		return refuse(fault.CodeProofMissing, fmt.Sprintf("There is no proof that every record is under the new key; without one the previous key %s is never removed.", entry.Previous))
	}
	switch {
	case p.Kind != Complete:
		return refuse(fault.CodeProofMismatch, "The proof says that no record is under the new key, not that every one is.")
	case p.App != app:
		return refuse(fault.CodeProofMismatch, fmt.Sprintf("The proof is of another installation: %q, not %q.", p.App, app))
	case p.RotationID != entry.RotationID:
		return refuse(fault.CodeProofMismatch, fmt.Sprintf("The proof is of another rotation: %q, not %q.", p.RotationID, entry.RotationID))
	case p.Previous != entry.Previous || p.Current != entry.Current:
		return refuse(fault.CodeProofMismatch, fmt.Sprintf("The proof is of other keys: from %s to %s, not from %s to %s.", p.Previous, p.Current, entry.Previous, entry.Current))
	}
	if gap := p.gap(); gap != "" {
		return refuse(fault.CodeProofIncomplete, gap)
	}
	if !p.signedWith(prints, newKey) {
		return refuse(fault.CodeProofMismatch, "The proof was changed after it was made, or was not made with the new key: its mac does not fit.")
	}
	if b := entry.Baseline; b != nil && p.Before != nil && b.Digest != p.Before.Digest {
		return refuse(fault.CodeProofMismatch, fmt.Sprintf("The proof rests on another baseline (%.16s) than the one that the ledger has of this rotation (%.16s).", p.Before.Digest, b.Digest))
	}
	return p.validateAge(now, maxAge, refuse)
}

func (p *Proof) validateAge(now time.Time, most time.Duration, refuse func(fault.Code, string) error) error {
	age := now.Sub(p.MadeAt)
	switch {
	case age > most:
		return refuse(fault.CodeProofTooOld, fmt.Sprintf("The proof was made %s, %s ago: longer than %s.", stamp(p.MadeAt), age.Round(time.Second), most))
	case age < -clocksApart:
		return refuse(fault.CodeProofTooOld, fmt.Sprintf("The proof was made %s, which is %s in the future: the clocks of the VM and of this machine differ.", stamp(p.MadeAt), (-age).Round(time.Second)))
	}
	return nil
}

// gap says what is missing in a proof, or nothing.
func (p *Proof) gap() string {
	if len(p.Verify) == 0 {
		return "The proof does not say how it was made."
	}
	for _, way := range p.Verify {
		switch {
		case way == VerifyAttested && p.AttestedBy == "":
			return "The proof rests on somebody's word and does not name them."
		case way != VerifyAttested && way != VerifyDatabase:
			return fmt.Sprintf("The proof rests on %q, by which nothing is proved.", way)
		}
	}
	if !slices.Contains(p.Verify, VerifyDatabase) {
		return ""
	}
	if p.Total < 1 {
		return fmt.Sprintf("The proof is over no records at all: the database %s had none.", p.Database)
	}
	if done := p.Proved + p.Rewritten + len(p.Exceptions); p.Proved < 0 || p.Rewritten < 0 || done != p.Total {
		return fmt.Sprintf("The proof is not complete: it accounts for %d of %d records (%d under the new key, %d rewritten, %d skipped).", done, p.Total, p.Proved, p.Rewritten, len(p.Exceptions))
	}
	if b := p.Before; b != nil && b.Total+b.Created-b.Removed != p.Total {
		return fmt.Sprintf("The proof does not add up: %d records before, %d created, %d removed, but %d after.", b.Total, b.Created, b.Removed, p.Total)
	}
	return ""
}

// ValidateUntouched checks that the proof is of no record under the new key, so that going back loses none. Its errors are faults.
func (p *Proof) ValidateUntouched(now time.Time, app string, entry custody.Entry, prints Fingerprinter, oldKey secret.Secret) error {
	refuse := func(code fault.Code, what string) error {
		return fault.New(code, "Stop backends and cron, look at the records on the VM (seqera_crypto_rotation_info, gather: records, with the baseline), and pass as proof what it returns as untouched; playbooks/abort-crypto.yml does all of this.",
			"%s", what)
	}
	switch {
	case p == nil:
		return refuse(fault.CodeProofMissing, "There is no proof that no record is under the new key; going back would lose those that are.")
	case p.Kind != Untouched:
		return refuse(fault.CodeProofMismatch, "The proof says that every record is under the new key, not that none is.")
	case p.App != app || p.RotationID != entry.RotationID || p.Previous != entry.Previous || p.Current != entry.Current:
		return refuse(fault.CodeProofMismatch, fmt.Sprintf("The proof is of rotation %q of %q from %s to %s, not of %q of %q from %s to %s.",
			p.RotationID, p.App, p.Previous, p.Current, entry.RotationID, app, entry.Previous, entry.Current))
	case !p.Stopped:
		return refuse(fault.CodeProofMismatch, "The proof does not say that backends and cron were stopped while the records were read.")
	case !p.signedWith(prints, oldKey):
		return refuse(fault.CodeProofMismatch, "The proof was changed after it was made, or was not made with the old key: its mac does not fit.")
	case p.Total < 1:
		return refuse(fault.CodeProofIncomplete, fmt.Sprintf("The proof is over no records at all: the database %s had none.", p.Database))
	}
	return p.validateAge(now, lookMaxAge, refuse)
}

// ProveExplained proves that every record opens with one of the two keys, so that a rotation begun by hand can be taken over; or it
// says why not. Without a previous key both are empty.
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
	case !p.signedWith(prints, key):
		return refuse(fault.CodeProofMismatch, "The proof was changed after it was made, or was not made with the key in use: its mac does not fit.")
	case p.Total < 1:
		return refuse(fault.CodeProofIncomplete, fmt.Sprintf("The proof is over no records at all: the database %s had none.", p.Database))
	}
	return p.validateAge(now, lookMaxAge, refuse)
}

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
