package rotation

import (
	"fmt"
	"slices"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// reverse plans the way back once records are under the new key: the two keys change places, so that the Platform re-encrypts every
// record under the old one. From then on it is a rotation like any other, to the old key, with the same proof; only its end is
// recorded as aborted. The ledger says so before the omnibus changes, so that a run that is cut off goes on.
func reverse(w World, wish Wish, p picture, entry custody.Entry) (Plan, error) {
	wish.ChunkSize = nil // of prepared alone
	turned := entry.Reversed()
	if !turned {
		entry.Previous, entry.Current = entry.Current, entry.Previous
	}
	there := p.current.print == entry.Current && p.previous.print == entry.Previous // the omnibus says so already
	if !p.whole() || !there && (p.current.print != entry.Previous || p.previous.print != entry.Current || turned && entry.Stage != custody.StageOpen) {
		return Plan{}, unexplained(w, p, entry, true)
	}
	c := change{p: p, entry: entry, opened: true, current: p.previous, previous: p.current, omnibus: !there}
	if there {
		c.current, c.previous = p.current, p.previous
	}
	chunk := p.chunkSize
	if entry.ChunkSize == nil {
		chunk = nil // not of this rotation
	}
	standalone := standaloneSteps(w, wish, c.current, c.previous, chunk)
	if turned && there && len(standalone) == 0 && entry.Stage != custody.StageOpen {
		plan := nothing(PhasePrepared, entry.RotationID, w.SSM.Omnibus.Name, "rotation "+entry.RotationID+" goes back already: omnibus and standalone parameters hold both keys, the old one as the current one", p)
		plan.Evidence, plan.Baseline, plan.Platform = agreement(w, wish, c.current, c.previous), entry.Baseline, entry.Platform
		return tidy(w, entry, wish, plan)
	}
	return turn(w, wish, c, standalone, turned)
}

// turn puts the steps of going back into the order of prepared.
func turn(w World, wish Wish, c change, standalone []Step, turned bool) (Plan, error) {
	entry := c.entry
	plan := Plan{
		Phase: PhasePrepared, Before: PhasePrepared, RotationID: entry.RotationID, Current: entry.Current, Previous: entry.Previous, Platform: entry.Platform,
		Escrow: custody.EscrowName(wish.Names.Custody, entry.Previous),
		Msg:    fmt.Sprintf("Rotation %s goes back: key %s is to be replaced by the old one, %s.", entry.RotationID, entry.Previous, entry.Current),
	}
	begin, end, err := locked(w, wish, entry.RotationID)
	if err != nil {
		return Plan{}, err
	}
	plan.Warnings, plan.Steps, entry.Lock = begin.warnings, begin.steps, begin.number
	var steps []Step
	if c.omnibus {
		text, err := rewriteOmnibus(w, wish, c)
		if err != nil {
			return Plan{}, omnibusFault(w.SSM.Omnibus.Name, err)
		}
		steps = append(steps, Step{
			Action: ActPutOmnibus, Target: w.SSM.Omnibus.Name, Write: over(w.SSM.Omnibus, secret.New(string(text)), ""),
			Reason: "the two keys change places in one put: the Platform re-encrypts every record under the old one",
		})
	}
	steps = append(steps, standalone...)
	kept, err := captures(w, wish, c.p, entry, nil, steps)
	if err != nil {
		return Plan{}, err
	}
	plan.Steps = append(plan.Steps, kept...)
	if wish.Baseline != nil || !turned {
		entry.Baseline = wish.Baseline // an earlier one is of before the rotation, and says nothing of the way back
	}
	if !turned {
		entry.Stage, entry.ReversedAt, entry.Proof, entry.ProofDigest = custody.StageOpen, w.Now, nil, ""
		step, err := ledgerPut(w, wish, entry, ActRecordReversed, "from here on the rotation goes back to the old key")
		if err != nil {
			return Plan{}, err
		}
		plan.Steps = append(plan.Steps, step)
		entry.Version++
	}
	entry.Stage, entry.PreparedAt = custody.StagePrepared, w.Now
	record, err := ledgerPut(w, wish, entry, ActRecordPrepared, "omnibus and standalone parameters are written")
	if err != nil {
		return Plan{}, err
	}
	plan.Baseline = entry.Baseline
	plan.Steps = slices.Concat(plan.Steps, steps, []Step{record}, end)
	return plan, fit(plan.Steps, wish)
}
