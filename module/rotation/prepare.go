package rotation

import (
	"fmt"
	"strconv"
	"time"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/omnibus"
	"github.com/seqera-tools/crypto-rotation/module/proof"
)

// prepare plans the state prepared. The omnibus is the point of decision: before it changes, nothing has happened
// that a rotation would have to take back; after it, the rotation is on its way.
func prepare(w World, wish Wish, p picture, prints proof.Fingerprinter) (Plan, error) {
	entry, known := w.Custody.Entry(wish.RotationID)
	if known && entry.Stage.Over() {
		plan, err := alreadyOver(w, p, entry)
		if err != nil || plan.Needs != NeedNothing {
			return plan, err
		}
		if entry.Stage == custody.StageFinished {
			return tieLater(w, wish, p, entry, plan)
		}
		return tidy(w, entry, wish, plan)
	}
	if !known && wish.RotationID == "" {
		entry, known = w.Custody.Open()
	}
	if known && entry.Stage == custody.StageProved {
		plan := nothing(PhaseRotated, entry.RotationID, w.SSM.Omnibus.Name, "rotation "+entry.RotationID+" is already proved; state finalized is next", p)
		plan.Baseline, plan.Platform = entry.Baseline, entry.Platform
		if later(wish, entry) {
			return tieLater(w, wish, p, entry, plan)
		}
		return plan, nil
	}
	if known && entry.GoingBack() {
		return Plan{}, aborting(entry)
	}
	if p.traced() {
		return prepareOn(w, wish, p, entry, known)
	}
	return prepareAnew(w, wish, p, prints)
}

// alreadyOver answers for a rotation that the ledger says is over, once the parameters say so as well.
func alreadyOver(w World, p picture, entry custody.Entry) (Plan, error) {
	if p.traced() && p.current.print == entry.Current {
		return Plan{}, &fault.Fault{
			Code: fault.CodeInconsistent,
			What: fmt.Sprintf("The ledger says that rotation %s is over, but the omnibus still has its entries (current %s, previous %s).", entry.RotationID, p.current.print, p.previous.print),
			Next: "Somebody put them back, or terraform ran with an old omnibus: find out who wrote it (aws ssm get-parameter-history), then remove the two entries.",
		}
	}
	left := entry.Left()
	if p.current.print != left {
		if !w.Custody.Complete {
			return Plan{Needs: NeedShelf}, nil
		}
		if !w.Custody.Leads(left, p.current.print) {
			return Plan{}, &fault.Fault{
				Code: fault.CodeInconsistent,
				What: fmt.Sprintf("The ledger says that rotation %s is over and left key %s in use, but the omnibus has key %s, and no later rotation leads there.", entry.RotationID, left, p.current.print),
				Next: "Somebody put another key there, such as an old one with a restored state of terraform: see who wrote it (aws ssm get-parameter-history). If that was meant, name another rotation_id.",
			}
		}
	}
	phase, how := PhaseFinalized, "finished on "+day(entry.FinishedAt)
	if entry.Stage == custody.StageAborted {
		phase, how = PhaseAborted, "aborted on "+day(entry.AbortedAt)
	}
	plan := nothing(phase, entry.RotationID, custodyTarget(entry), fmt.Sprintf("rotation %s was %s and is not done again", entry.RotationID, how), p)
	plan.Platform = entry.Platform // a run that was cut off has left it down
	if phase == PhaseAborted {
		plan.Warnings = []string{fmt.Sprintf("Rotation %s was aborted; to rotate, name another rotation_id.", entry.RotationID)}
	}
	return plan, nil
}

func custodyTarget(entry custody.Entry) string { return "ledger/" + entry.RotationID }

// prepareOn goes on where the omnibus already shows a rotation.
func prepareOn(w World, wish Wish, p picture, entry custody.Entry, known bool) (Plan, error) {
	if !known && !w.Custody.Complete {
		return Plan{Needs: NeedShelf}, nil
	}
	if !known {
		if open, ok := w.Custody.Open(); ok {
			return Plan{}, rotationOpen(open, wish.RotationID)
		}
	}
	if wish.Adopt && (!known || entry.Stage == custody.StageOpen && (!p.whole() || p.misnamed)) {
		return adopt(w, wish, p, entry, known)
	}
	if !known || !p.whole() || entry.Previous != p.previous.print || entry.Current != p.current.print {
		return Plan{}, unexplained(w, p, entry, known)
	}
	if !wish.NewKey.IsEmpty() && !wish.NewKey.Equal(p.current.Secret) {
		return Plan{}, &fault.Fault{
			Code: fault.CodeRotationOpen, What: fmt.Sprintf("Rotation %s is already prepared with the key %s; new_secret is another one.", entry.RotationID, p.current.print),
			Next: "Leave new_secret out and finish this rotation first.",
		}
	}
	if wish.CaptureOnly {
		return assemble(w, wish, change{p: p, entry: entry, opened: true, current: p.current, previous: p.previous})
	}
	if wish.FromEscrow != "" && wish.FromEscrow != p.current.print {
		return Plan{}, &fault.Fault{
			Code: fault.CodeRotationOpen, What: fmt.Sprintf("Rotation %s is already prepared with the key %s; new_secret_from_escrow is %s.", entry.RotationID, p.current.print, wish.FromEscrow),
			Next: "Leave new_secret_from_escrow out and finish this rotation first.",
		}
	}
	chunk := chunkWanted(wish)
	if chunk != nil && (p.chunkSize == nil || *chunk != *p.chunkSize) {
		return Plan{}, &fault.Fault{
			Code: fault.CodeRotationOpen, What: fmt.Sprintf("Rotation %s is already prepared with another chunk_size than %s.", entry.RotationID, *chunk),
			Next: "Give the chunk_size that it was begun with, or none, and finish this rotation.",
		}
	}
	if entry.ChunkSize != nil {
		chunk = p.chunkSize // of this rotation, also where this run does not name it
	}
	steps := standaloneSteps(w, wish, p.current, p.previous, chunk)
	if len(steps) == 0 && entry.Stage == custody.StagePrepared {
		plan := nothing(PhasePrepared, entry.RotationID, w.SSM.Omnibus.Name, "omnibus and standalone parameters already hold both keys of rotation "+entry.RotationID, p)
		plan.Evidence = agreement(w, wish, p.current, p.previous)
		plan.Escrow, plan.Baseline, plan.Platform = custody.EscrowName(wish.Names.Custody, p.previous.print), entry.Baseline, entry.Platform
		return tieLater(w, wish, p, entry, plan)
	}
	return assemble(w, wish, change{p: p, entry: entry, opened: true, current: p.current, previous: p.previous, standalone: steps})
}

// prepareAnew begins a rotation, or one that was cut off before the omnibus changed.
func prepareAnew(w World, wish Wish, p picture, prints proof.Fingerprinter) (Plan, error) {
	if err := agree(w, p); err != nil {
		return Plan{}, err
	}
	if wish.FromEscrow != "" && wish.FromEscrow == p.current.print && wish.RotationID == "" {
		return nothing(PhaseFinalized, "", w.SSM.Current.Name, fmt.Sprintf("the key in use is %s already", wish.FromEscrow), p), nil
	}
	due, err := isDue(w, wish, p)
	if err != nil || due.Needs != NeedNothing || len(due.Steps) > 0 {
		return due, err
	}
	if !w.Custody.Complete {
		return Plan{Needs: NeedShelf}, nil
	}
	entry, opened := w.Custody.Open()
	switch {
	case opened && wish.RotationID != "" && entry.RotationID != wish.RotationID:
		return Plan{}, rotationOpen(entry, wish.RotationID)
	case opened && (entry.Stage != custody.StageOpen || entry.Previous != p.current.print):
		return Plan{}, unexplained(w, p, entry, true)
	case !opened:
		entry = custody.Entry{RotationID: wish.RotationID}
		if entry.RotationID == "" {
			entry.RotationID = wish.MadeID
		}
	}
	next, fresh, err := newKey(w, wish, p, entry, prints)
	if err != nil {
		return Plan{}, err
	}
	c := change{p: p, entry: entry, opened: opened, current: next, previous: p.current, fresh: fresh}
	c.standalone = standaloneSteps(w, wish, c.current, c.previous, chunkWanted(wish))
	c.omnibus = true
	return assemble(w, wish, c)
}

// agree wants omnibus and standalone key to be the same: with which one the Platform runs is not ours to guess.
func agree(w World, p picture) error {
	if !w.SSM.Current.Exists {
		return &fault.Fault{
			Code: fault.CodeStandaloneMissing, What: fmt.Sprintf("There is no SSM parameter %s, which the Platform reads its key from.", w.SSM.Current.Name),
			Next: "Check app_name and config_prefix; run terraform apply if the parameter was deleted.",
		}
	}
	if !p.standaloneCurrent.Equal(p.current.Secret) {
		return &fault.Fault{
			Code: fault.CodeKeyMismatch,
			What: fmt.Sprintf("The key in the omnibus %s has fingerprint %s, the one in %s has %s. Only one of them opens the records, and which is not ours to guess.",
				w.SSM.Omnibus.Name, p.current.print, w.SSM.Current.Name, p.standaloneCurrent.print),
			Next: "Find out with seqera_crypto_rotation_info (gather: records) which key opens them, make both parameters hold it, and run again.",
		}
	}
	return nil
}

// isDue answers with an empty plan when the rotation is to be done, else with the reason why not, or with a need.
func isDue(w World, wish Wish, p picture) (Plan, error) {
	unchanged := !wish.NewKey.IsEmpty() && wish.NewKey.Equal(p.current.Secret)
	if !unchanged && wish.MaxAgeDays == nil {
		return Plan{}, nil
	}
	deposit, held := w.Custody.Find(p.current.print)
	if !held && !w.Custody.Complete && !w.Custody.Asked {
		return Plan{Needs: NeedEscrow}, nil
	}
	if unchanged {
		if held && wish.RotationID == "" && deposit.Origin != custody.OriginCaptured {
			return nothing(PhaseFinalized, deposit.RotationID, w.SSM.Current.Name,
				fmt.Sprintf("new_secret is the key in use since rotation %s", deposit.RotationID), p), nil
		}
		return Plan{}, &fault.Fault{
			Code: fault.CodeKeyUnchanged, What: fmt.Sprintf("new_secret is the key already in use (fingerprint %s).", p.current.print),
			Next: "Give another key, or leave new_secret out and let the module make one.",
		}
	}
	if _, opened := w.Custody.Open(); opened {
		return Plan{}, nil
	}
	since, how := born(w, p)
	if age := int(w.Now.Sub(since) / (24 * time.Hour)); age < *wish.MaxAgeDays {
		plan := nothing(PhaseIdle, wish.RotationID, w.SSM.Current.Name,
			fmt.Sprintf("the key is %d days old (%s), less than the %d of max_age_days", age, how, *wish.MaxAgeDays), p)
		plan.Born = since
		if deposit.Origin != custody.OriginCaptured {
			plan.BroughtBy = deposit.RotationID
		}
		return plan, nil
	}
	return Plan{}, nil
}

// newKey finds the key to rotate to. A key that a cut-off run put into escrow is used again, whatever was made since.
func newKey(w World, wish Wish, p picture, entry custody.Entry, prints proof.Fingerprinter) (key, bool, error) {
	next, fresh := wish.NewKey, false
	if wish.FromEscrow != "" {
		deposit, ok := w.Custody.Find(wish.FromEscrow)
		if !ok {
			return key{}, false, &fault.Fault{
				Code: fault.CodeEscrowMissing, What: fmt.Sprintf("Escrow has no key %s (new_secret_from_escrow) of %s.", wish.FromEscrow, wish.App),
				Next: "seqera_crypto_rotation_info with gather: escrow lists the keys that there are.",
			}
		}
		next = deposit.Key
	}
	if deposit, ok := w.Custody.Made(entry.RotationID); ok {
		if !next.IsEmpty() && !next.Equal(deposit.Key) {
			return key{}, false, &fault.Fault{
				Code: fault.CodeRotationOpen, What: fmt.Sprintf("Rotation %s has the key %s in escrow already; new_secret is another one.", entry.RotationID, deposit.Fingerprint),
				Next: "Leave new_secret out to go on with that key, or name another rotation_id.",
			}
		}
		next = deposit.Key
	} else if begun, ok := w.Custody.Find(entry.Current); ok && next.IsEmpty() {
		next = begun.Key // a cut-off rotation to a key of escrow goes on with it
	} else if next.IsEmpty() {
		next, fresh = wish.MadeKey, true
	}
	if next.Equal(p.current.Secret) {
		return key{}, false, &fault.Fault{
			Code: fault.CodeKeyUnchanged, What: fmt.Sprintf("The new key is the key already in use (fingerprint %s).", p.current.print),
			Next: "Give another key, or leave new_secret out and let the module make one.",
		}
	}
	found := keyOf(next, prints)
	if entry.Current != "" && entry.Current != found.print {
		return key{}, false, &fault.Fault{
			Code: fault.CodeCustodyDamaged, What: fmt.Sprintf("The ledger says rotation %s goes to key %s, which is not in escrow.", entry.RotationID, entry.Current),
			Next: "Find out who deleted it. No record needs it yet; delete the ledger entry to begin anew.",
		}
	}
	return found, fresh, nil
}

func chunkWanted(wish Wish) *string {
	if wish.ChunkSize == nil {
		return nil
	}
	text := strconv.Itoa(*wish.ChunkSize)
	return &text
}

// rewriteOmnibus makes the document of a prepared rotation: page step 2.1.
func rewriteOmnibus(w World, wish Wish, c change) ([]byte, error) {
	document, err := omnibus.Parse([]byte(w.SSM.Omnibus.Value.Reveal()))
	if err != nil {
		return nil, err
	}
	edit := func(after, name, ssmKey, value string) error {
		entry, there, err := document.Find(name)
		switch {
		case err != nil:
			return err
		case there && entry.SSMKey == ssmKey:
			return document.SetValue(name, value)
		case there: // somebody gave it a name that the Platform does not read
			if err := document.Remove(name); err != nil {
				return err
			}
		}
		return document.InsertAfter(after, name, ssmKey, value)
	}
	if err := edit(EntryCurrent, EntryPrevious, wish.Names.Previous, c.previous.Reveal()); err != nil {
		return nil, err
	}
	if err := edit(EntryPrevious, EntrySwitch, wish.Names.Switch, "true"); err != nil {
		return nil, err
	}
	if chunk := chunkWanted(wish); chunk != nil {
		if err := edit(EntrySwitch, EntryChunkSize, wish.Names.ChunkSize, *chunk); err != nil {
			return nil, err
		}
	}
	if err := document.SetValue(EntryCurrent, c.current.Reveal()); err != nil {
		return nil, err
	}
	return document.Bytes(), nil
}
