package rotation

import (
	"crypto/hmac"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// untouchedMaxAge is how long nothing may have changed since a look that found no record under the new key: backends and cron
// are stopped meanwhile.
const untouchedMaxAge = 15 * time.Minute

// abort plans the state aborted: the old key is back and the rotation's entries are gone. While a record is under the new key
// that would lose it, so a look at the records, signed with the old key, must have found none.
func abort(w World, wish Wish, p picture) (Plan, error) {
	entry, known := w.Custody.Entry(wish.RotationID)
	if !known && !w.Custody.Complete {
		return Plan{Needs: NeedShelf}, nil
	}
	if !known {
		open, ok := w.Custody.Open()
		switch {
		case ok && wish.RotationID != "":
			return Plan{}, rotationOpen(open, wish.RotationID)
		case !ok && !p.traced():
			return nothing(PhaseIdle, wish.RotationID, w.SSM.Omnibus.Name, "there is no rotation to abort", p), nil
		case !ok:
			return Plan{}, unexplained(w, p, entry, false)
		}
		entry = open
	}
	switch entry.Stage {
	case custody.StageAborted:
		return tidy(w, entry, wish, nothing(PhaseAborted, entry.RotationID, custodyTarget(entry), fmt.Sprintf("rotation %s was aborted on %s", entry.RotationID, day(entry.AbortedAt)), p))
	case custody.StageProved, custody.StageFinished:
		return Plan{}, &Fault{
			Code: CodeTooLateToAbort, What: fmt.Sprintf("Rotation %s is %s: every record is under the new key %s, which the old one does not open.", entry.RotationID, entry.Stage, entry.Current),
			State: nothingWritten, Next: fmt.Sprintf("Finish it (state finalized). To go back to the old key, rotate once more with new_secret_from_escrow: %s.", entry.Previous),
		}
	case custody.StageOpen, custody.StagePrepared, custody.StageAborting:
	}
	if !w.Custody.Complete {
		return Plan{Needs: NeedShelf}, nil
	}
	if !w.SSM.Described {
		return Plan{Needs: NeedDescription}, nil
	}
	return goBack(w, wish, p, entry)
}

// goBack checks that the world is one that this rotation made, and puts the steps in order.
func goBack(w World, wish Wish, p picture, entry custody.Entry) (Plan, error) {
	explained := p.whole() && entry.Previous == p.previous.print && entry.Current == p.current.print
	if !p.traced() {
		explained = p.current.print == entry.Previous
	}
	if !explained {
		return Plan{}, unexplained(w, p, entry, true)
	}
	old, held := w.Custody.Find(entry.Previous)
	if !held {
		return Plan{}, &Fault{
			Code: CodeCustodyDamaged, What: fmt.Sprintf("The old key %s of rotation %s is not in escrow.", entry.Previous, entry.RotationID), State: nothingWritten,
			Next: "Find out who deleted it (CloudTrail, DeleteParameter) and put it back before anything else.",
		}
	}
	// The new key was never in use: the omnibus did not change, and the standalone parameters change after it.
	unused := entry.Stage == custody.StageOpen && !p.traced() && p.standaloneCurrent.Equal(old.Key) && !w.SSM.Switch.Exists
	proved := entry.Stage == custody.StageAborting
	if !unused && !proved {
		if err := wish.Proof.spares(w.Now, wish, entry, p.prints, old.Key); err != nil {
			return Plan{}, err
		}
	}
	plan := Plan{
		Phase: PhaseAborted, Before: PhasePrepared, RotationID: entry.RotationID, Current: entry.Previous, Escrow: custody.EscrowName(wish.Names.Custody, entry.Previous),
		Msg: fmt.Sprintf("Aborted rotation %s: key %s is in use again; %s is in escrow only.", entry.RotationID, entry.Previous, entry.Current),
	}
	begin, end, err := locked(w, wish, entry.RotationID)
	if err != nil {
		return Plan{}, err
	}
	back, err := backSteps(w, wish, p, entry, old.Key)
	if err != nil {
		return Plan{}, err
	}
	kept, err := captures(w, wish, p, entry, nil, back)
	if err != nil {
		return Plan{}, err
	}
	plan.Warnings, plan.Steps, entry.Lock = begin.warnings, slices.Concat(begin.steps, kept), begin.number
	if !unused && !proved {
		entry.Stage, entry.ProofDigest = custody.StageAborting, wish.Proof.Digest()
		if entry.Proof, err = json.Marshal(wish.Proof.brief()); err != nil {
			return Plan{}, err
		}
		step, err := ledgerPut(w, wish, entry, ActRecordProof, fmt.Sprintf("no record is under the new key; %d are under the old one", wish.Proof.Proved))
		if err != nil {
			return Plan{}, err
		}
		plan.Steps = append(plan.Steps, step)
		entry.Version++
	}
	entry.Stage, entry.AbortedAt = custody.StageAborted, w.Now
	record, err := ledgerPut(w, wish, entry, ActRecordAborted, "the old key is back, no trace of the rotation is left in the parameters")
	if err != nil {
		return Plan{}, err
	}
	plan.Steps = slices.Concat(plan.Steps, back, []Step{record}, end)
	return plan, fit(plan.Steps, wish)
}

// backSteps undo prepared: the omnibus first, so that terraform, whenever it runs, does what is wanted; then the standalone
// key, so that nothing that starts from here on writes with the new one; then the switch, before its key.
func backSteps(w World, wish Wish, p picture, entry custody.Entry, old secret.Secret) ([]Step, error) {
	var steps []Step
	if p.traced() {
		text, err := clearOmnibus(w, entry, &old)
		if err != nil {
			return nil, omnibusFault(w.SSM.Omnibus.Name, err)
		}
		steps = append(steps, Step{
			Action: ActPutOmnibus, Target: w.SSM.Omnibus.Name, Write: over(w.SSM.Omnibus, secret.New(string(text)), ""),
			Reason: "the document as it was before the rotation, in one put",
		})
	}
	if !w.SSM.Current.Exists || !w.SSM.Current.Value.Equal(old) {
		steps = append(steps, Step{Action: ActPutCurrent, Target: w.SSM.Current.Name, Write: over(w.SSM.Current, old, w.SSM.Omnibus.KeyID), Reason: "the Platform writes with the old key from its next start on"})
	}
	return append(steps, removeStandalones(w, wish, entry)...), nil
}

// spares says whether the proof is that going back loses no record.
func (p *Proof) spares(now time.Time, wish Wish, entry custody.Entry, prints Prints, oldKey secret.Secret) error {
	refuse := func(code Code, what string) error {
		return &Fault{
			Code: code, What: what, State: nothingWritten,
			Next: "Stop backends and cron, look at the records on the VM (seqera_crypto_rotation_info, gather: records, with the baseline), and hand on as proof what it returns as untouched; playbooks/abort-crypto.yml does all of this.",
		}
	}
	switch {
	case p == nil:
		return refuse(CodeProofMissing, "There is no proof that no record is under the new key; going back would lose those that are.")
	case p.Kind != ProofUntouched:
		return refuse(CodeProofMismatch, "The proof says that every record is under the new key, not that none is.")
	case p.App != wish.App || p.RotationID != entry.RotationID || p.Previous != entry.Previous || p.Current != entry.Current:
		return refuse(CodeProofMismatch, fmt.Sprintf("The proof is of rotation %q of %q from %s to %s, not of %q of %q from %s to %s.",
			p.RotationID, p.App, p.Previous, p.Current, entry.RotationID, wish.App, entry.Previous, entry.Current))
	case !p.Stopped:
		return refuse(CodeProofMismatch, "The proof does not say that backends and cron were stopped while the records were read.")
	case !hmac.Equal([]byte(p.MAC), []byte(p.signed(prints, oldKey))):
		return refuse(CodeProofMismatch, "The proof was changed after it was made, or was not made with the old key: its mac does not fit.")
	case p.Total < 1:
		return refuse(CodeProofIncomplete, fmt.Sprintf("The proof is over no records at all: the database %s had none.", p.Database))
	}
	return p.young(now, untouchedMaxAge, refuse)
}

// Untouched is the proof that no record is under the new key, or nil and the reason why there is none.
func Untouched(w World, wish Wish, prints Prints) (*Proof, string) {
	p, err := look(w, wish, prints)
	r := w.Records
	if err != nil || r == nil || p.standalonePrevious.IsEmpty() {
		return nil, ""
	}
	if says, bad := tooFew(w); bad {
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
	if why := mayWrite(w); why != "" {
		return nil, why
	}
	proof := &Proof{
		Format: ProofFormat, Kind: ProofUntouched, App: wish.App, RotationID: wish.RotationID, Previous: p.standalonePrevious.print, Current: p.standaloneCurrent.print,
		Verify: []Verify{VerifyDatabase}, Database: r.Database, Total: r.Total, Proved: r.Previous, Orphaned: r.Orphaned, Deleted: r.Deleted, Before: r.Before, Stopped: true,
		NotLookedAt: r.Notes, MadeAt: w.Now.UTC().Truncate(time.Second), Tool: wish.Tool,
	}
	proof.Sign(prints, p.standalonePrevious.Secret)
	return proof, ""
}

// mayWrite says what may write with the new key while the records are read, or nothing.
func mayWrite(w World) string {
	if w.Platform == nil {
		return "the containers were not looked at (gather: platform), and a backend that runs writes with the new key"
	}
	for _, service := range append(services(w, RoleBackend), services(w, RoleCron)...) {
		if service.State != "exited" && service.State != "created" && service.State != "dead" {
			return fmt.Sprintf("%s container %s is %s, and may write with the new key", service.Role, service.Container, service.State)
		}
	}
	return ""
}
