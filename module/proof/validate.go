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

// clocksApart is how far the VM's clock may be ahead of the control node's.
const clocksApart = 5 * time.Minute

// MaxAge is how old a proof may be. The second outage may be hours after it, and a backup may take hours.
const MaxAge = 24 * time.Hour

// untouchedMaxAge is how old an Untouched proof may be: it is over as soon as a backend starts.
const untouchedMaxAge = 15 * time.Minute

// ValidateComplete checks that the proof is complete, belongs to this rotation and is at most a day old. p may be nil. Its errors are
// faults.
func (p *Proof) ValidateComplete(now time.Time, app string, entry custody.Entry, prints Fingerprinter, newKey secret.Secret) error {
	refuse := func(code fault.Code, what string) error {
		return fault.New(code, "Run state rotating again on the Platform's VM and pass the proof that it returns.",
			"%s", what)
	}
	if p == nil {
		return refuse(fault.CodeProofMissing, fmt.Sprintf("There is no proof that every record is under the new key. Without one, the previous key %s is never removed.", entry.Previous))
	}
	switch {
	case p.Kind != Complete:
		return refuse(fault.CodeProofMismatch, "The proof says that no record is under the new key, not that every one is.")
	case p.App != app:
		return refuse(fault.CodeProofMismatch, fmt.Sprintf("The proof belongs to another installation: %q, not %q.", p.App, app))
	case p.RotationID != entry.RotationID:
		return refuse(fault.CodeProofMismatch, fmt.Sprintf("The proof belongs to another rotation: %q, not %q.", p.RotationID, entry.RotationID))
	case p.Previous != entry.Previous || p.Current != entry.Current:
		return refuse(fault.CodeProofMismatch, fmt.Sprintf("The proof is for other keys: from %s to %s, not from %s to %s.", p.Previous, p.Current, entry.Previous, entry.Current))
	}
	if gap := p.gap(); gap != "" {
		return refuse(fault.CodeProofIncomplete, gap)
	}
	if !p.signedWith(prints, newKey) {
		return refuse(fault.CodeProofMismatch, "The proof was changed after it was made, or was not made with the new key: its mac does not match.")
	}
	if other := p.otherBaseline(entry); other != "" {
		return refuse(fault.CodeProofMismatch, other)
	}
	if b := entry.Baseline; b != nil && b.Provisional && p.Rewritten > 0 {
		return refuse(fault.CodeProofMismatch, fmt.Sprintf("A backend was still writing when the baseline in the ledger was taken. So the %d records that changed since then may be under the old key.", p.Rewritten))
	}
	if entry.PreparedAt.After(p.MadeAt.Add(clocksApart)) {
		return refuse(fault.CodeProofTooOld, fmt.Sprintf("The proof was made at %s, before the parameters were last written (%s), or the clocks of the VM and of this machine differ.", stamp(p.MadeAt), stamp(entry.PreparedAt)))
	}
	return p.validateAge(now, MaxAge, refuse)
}

// otherBaseline says that the proof does not rest on the baseline of the rotation, or returns "".
func (p *Proof) otherBaseline(entry custody.Entry) string {
	if b := entry.Baseline; b != nil && p.Before != nil && b.Digest != p.Before.Digest {
		return fmt.Sprintf("The proof uses a different baseline (%.16s) from the one in the ledger for this rotation (%.16s).", p.Before.Digest, b.Digest)
	}
	return ""
}

func (p *Proof) validateAge(now time.Time, most time.Duration, refuse func(fault.Code, string) error) error {
	age := now.Sub(p.MadeAt)
	switch {
	case age > most:
		return refuse(fault.CodeProofTooOld, fmt.Sprintf("The proof was made at %s, %s ago. That is more than %s.", stamp(p.MadeAt), age.Round(time.Second), most))
	case age < -clocksApart:
		return refuse(fault.CodeProofTooOld, fmt.Sprintf("The proof was made at %s, which is %s in the future: the clocks of the VM and of this machine differ.", stamp(p.MadeAt), (-age).Round(time.Second)))
	}
	return nil
}

// gap says what is missing in a proof, or returns "".
func (p *Proof) gap() string {
	if len(p.Verify) == 0 {
		return "The proof does not say how it was made."
	}
	for _, way := range p.Verify {
		switch {
		case way == VerifyAttested && p.AttestedBy == "":
			return "The proof rests on a person's word but does not name the person."
		case way != VerifyAttested && way != VerifyDatabase:
			return fmt.Sprintf("The proof rests on %q, which proves nothing.", way)
		}
	}
	if !slices.Contains(p.Verify, VerifyDatabase) {
		return ""
	}
	if p.Total < 1 {
		return fmt.Sprintf("The proof covers no records: the database %s had none.", p.Database)
	}
	if done := p.Proved + p.Rewritten + len(p.Exceptions); p.Proved < 0 || p.Rewritten < 0 || done != p.Total {
		return fmt.Sprintf("The proof is not complete: it accounts for %d of %d records (%d under the new key, %d rewritten, %d skipped).", done, p.Total, p.Proved, p.Rewritten, len(p.Exceptions))
	}
	if b := p.Before; b != nil && b.Total+b.Created-b.Removed != p.Total {
		return fmt.Sprintf("The proof does not add up: %d records before, %d created, %d removed, but %d after.", b.Total, b.Created, b.Removed, p.Total)
	}
	return ""
}

// ValidateUntouched checks a proof that no record is under the new key, so that restoring the old key loses no record. p may be nil.
// Its errors are faults.
func (p *Proof) ValidateUntouched(now time.Time, app string, entry custody.Entry, prints Fingerprinter, oldKey secret.Secret) error {
	refuse := func(code fault.Code, what string) error {
		return fault.New(code, "Stop backends and cron, run seqera_crypto_rotation_info on the VM (gather: platform and records, with the baseline), and pass what it returns as untouched as proof. playbooks/abort_crypto.yml does all of this.",
			"%s", what)
	}
	switch {
	case p == nil:
		return refuse(fault.CodeProofMissing, "There is no proof that no record is under the new key. Going back to the old key would lose such records.")
	case p.Kind != Untouched:
		return refuse(fault.CodeProofMismatch, "This is not a proof that no record is under the new key.")
	case p.App != app || p.RotationID != entry.RotationID || p.Previous != entry.Previous || p.Current != entry.Current:
		return refuse(fault.CodeProofMismatch, fmt.Sprintf("The proof belongs to rotation %q of %q from key %s to %s, not to %q of %q from key %s to %s.",
			p.RotationID, p.App, p.Previous, p.Current, entry.RotationID, app, entry.Previous, entry.Current))
	case !p.Stopped:
		return refuse(fault.CodeProofMismatch, "The proof does not say that backends and cron were stopped while the records were read.")
	case !p.signedWith(prints, oldKey):
		return refuse(fault.CodeProofMismatch, "The proof was changed after it was made, or was not made with the old key: its mac does not match.")
	case p.Total < 1:
		return refuse(fault.CodeProofIncomplete, fmt.Sprintf("The proof covers no records: the database %s had none.", p.Database))
	}
	// A later baseline hides the records without a credential that were re-encrypted before it.
	if other := p.otherBaseline(entry); other != "" {
		return refuse(fault.CodeProofMismatch, other)
	}
	return p.validateAge(now, untouchedMaxAge, refuse)
}

// ProveExplained returns a proof that every record opens with one of the two keys, so that a rotation that was started by hand can be
// taken over, or the reason why there is none. If there is no previous key, it returns neither.
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
	proof := o.unsigned(Explained, asked, prints.Of(current), prints.Of(previous))
	proof.Proved = r.Current
	proof.Sign(prints, current)
	return proof, ""
}

// ValidateExplained checks a proof that every record opens with one of these two keys, signed with the key in use. p may be nil. Its
// errors are faults.
func (p *Proof) ValidateExplained(now time.Time, app string, current, previous secret.Fingerprint, prints Fingerprinter, key secret.Secret) error {
	refuse := func(code fault.Code, what string) error {
		return fault.New(code, "Run seqera_crypto_rotation_info on the VM (gather: records), and pass what it returns as explained as proof. If it returns none, its evidence says why.", "%s", what)
	}
	switch {
	case p == nil:
		return refuse(fault.CodeProofMissing, "There is no proof that the two keys open the records, so this rotation cannot be taken over (adopt).")
	case p.Kind != Explained:
		return refuse(fault.CodeProofMismatch, "The proof does not say which keys open the records.")
	case p.App != app || p.Previous != previous || p.Current != current:
		return refuse(fault.CodeProofMismatch, fmt.Sprintf("The records of %q were opened with keys %s and %s; the parameters of %q have %s and %s.", p.App, p.Current, p.Previous, app, current, previous))
	case !p.signedWith(prints, key):
		return refuse(fault.CodeProofMismatch, "The proof was changed after it was made, or was not made with the key in use: its mac does not match.")
	case p.Total < 1:
		return refuse(fault.CodeProofIncomplete, fmt.Sprintf("The proof covers no records: the database %s had none.", p.Database))
	}
	return p.validateAge(now, MaxAge, refuse)
}

// ProveUntouched returns a proof that no record is under the new key, or the reason why there is none. If there is no previous key that
// differs from the current one, it returns neither.
func ProveUntouched(o Observed, asked Asked, prints Fingerprinter) (*Proof, string) {
	r, previous := o.Records, o.Parameters.Previous.Value
	if r == nil || previous.IsEmpty() || previous.Equal(o.Parameters.Current.Value) {
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
		return nil, fmt.Sprintf("%d of %d records are already under the new key", r.Current, r.Total)
	case !r.Exact || r.Unseen > 0:
		return nil, "records changed while they were read"
	case r.Orphaned > 0 && r.Before == nil:
		return nil, fmt.Sprintf("%d records have no credential, and without the baseline it is not known whether they were re-encrypted", r.Orphaned)
	case r.Rewritten > 0:
		return nil, fmt.Sprintf("%d records without a credential were re-encrypted or created since the baseline", r.Rewritten)
	case lost > 0 || kept != r.Unreadable:
		return nil, fmt.Sprintf("%d unreadable records were readable or different before the rotation", r.Unreadable-kept)
	}
	if why := o.mayWrite(); why != "" {
		return nil, why
	}
	proof := o.unsigned(Untouched, asked, prints.Of(o.Parameters.Current.Value), prints.Of(previous))
	proof.Proved, proof.Before, proof.Stopped = r.Previous, r.Before, true
	proof.Sign(prints, previous)
	return proof, ""
}

// unsigned returns a proof with what the observation shows, without a signature.
func (o Observed) unsigned(kind Kind, asked Asked, current, previous secret.Fingerprint) *Proof {
	r := o.Records
	return &Proof{
		Format: Format, Kind: kind, App: asked.App, RotationID: asked.RotationID, Previous: previous, Current: current, Verify: []Verify{VerifyDatabase},
		Database: r.Database, Total: r.Total, Orphaned: r.Orphaned, Deleted: r.Deleted, NotLookedAt: r.Notes, MadeAt: o.Now.UTC().Truncate(time.Second), Tool: asked.Tool,
	}
}

// mayWrite says what may have written with the new key while the records were read, or returns "".
func (o Observed) mayWrite() string {
	if o.Platform == nil {
		return "the containers were not observed (gather: platform), and a running backend writes with the new key"
	}
	return o.Platform.Writer()
}

// Writer says which backend or cron is not stopped and may write records, or returns "".
func (p Platform) Writer() string {
	for _, service := range append(p.Of(RoleBackend), p.Of(RoleCron)...) {
		if !p.ReadSince.IsZero() && service.StartedAt.After(p.ReadSince) {
			return fmt.Sprintf("%s container %s was started while the records were read, and may have written with the new key", service.Role, service.Container)
		}
		if service.State != "exited" && service.State != "created" && service.State != "dead" {
			return fmt.Sprintf("%s container %s is %s and may write with the new key", service.Role, service.Container, service.State)
		}
	}
	return ""
}
