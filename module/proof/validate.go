package proof

import (
	"crypto/hmac"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// clocksApart is how far a VM's clock may be ahead of the control node's.
const clocksApart = 5 * time.Minute

// lookMaxAge is how old a look at the records may be that a write rests on: that none is under the new key, while backends and cron
// are stopped, or that each is under one of two keys.
const lookMaxAge = 15 * time.Minute

// ValidateComplete checks that the proof belongs to the rotation of a ledger entry, is complete and is not older than maxAge (0:
// any age). Its errors are faults, each refusal with its own message.
func (p *Proof) ValidateComplete(now time.Time, app string, maxAge time.Duration, entry custody.Entry, prints Fingerprinter, newKey secret.Secret) error {
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
	mac, err := hex.DecodeString(p.MAC)
	if err != nil || !hmac.Equal(mac, p.mac(prints, newKey)) {
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
	case most > 0 && age > most:
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
	case !hmac.Equal([]byte(p.MAC), []byte(p.signed(prints, oldKey))):
		return refuse(fault.CodeProofMismatch, "The proof was changed after it was made, or was not made with the old key: its mac does not fit.")
	case p.Total < 1:
		return refuse(fault.CodeProofIncomplete, fmt.Sprintf("The proof is over no records at all: the database %s had none.", p.Database))
	}
	return p.validateAge(now, lookMaxAge, refuse)
}
