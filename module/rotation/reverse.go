package rotation

import (
	"fmt"

	"github.com/seqera-tools/crypto-rotation/module/custody"
)

// reverse plans the way back once records are under the new key: the two keys change places, so that the Platform re-encrypts every
// record under the old one. From then on it is a rotation like any other, to the old key, with the same proof; only its end is
// recorded as aborted. The ledger says so before the omnibus changes, so that a run that is cut off goes on.
func reverse(o Observed, desired Desired, v view, entry custody.Entry) (Plan, error) {
	desired.ChunkSize = nil // of prepared alone
	turned := entry.Reversed()
	if !turned {
		entry.Previous, entry.Current = entry.Current, entry.Previous
	}
	there := v.current.fingerprint == entry.Current && v.previous.fingerprint == entry.Previous // the omnibus says so already
	if !v.whole() || !there && (v.current.fingerprint != entry.Previous || v.previous.fingerprint != entry.Current || turned && entry.Stage != custody.StageOpen) {
		return Plan{}, unexplained(o, v, entry, true)
	}
	c := change{view: v, entry: entry, opened: true, current: v.previous, previous: v.current, omnibus: !there}
	if there {
		c.current, c.previous = v.current, v.previous
	}
	chunk := v.chunkSize
	if entry.ChunkSize == nil {
		chunk = nil // not of this rotation
	}
	standalone := standaloneSteps(o, desired, c.current, c.previous, chunk)
	if turned && there && len(standalone) == 0 && entry.Stage != custody.StageOpen {
		plan := nothing(PhasePrepared, entry.RotationID, o.SSM.Omnibus.Name, "rotation "+entry.RotationID+" goes back already: omnibus and standalone parameters hold both keys, the old one as the current one", v)
		plan.Evidence, plan.Baseline, plan.Platform = agreement(o, desired, c.current, c.previous), entry.Baseline, entry.Platform
		return tidy(o, entry, desired, plan)
	}
	return turn(o, desired, c, standalone, turned)
}

// turn puts the steps of going back into the order of prepared.
func turn(o Observed, desired Desired, c change, standalone []Step, turned bool) (Plan, error) {
	entry := c.entry
	plan := Plan{
		Phase: PhasePrepared, Before: PhasePrepared, RotationID: entry.RotationID, Current: entry.Current, Previous: entry.Previous, Platform: entry.Platform,
		Escrow: custody.EscrowName(desired.Names.Custody, entry.Previous),
		Msg:    fmt.Sprintf("Rotation %s goes back: key %s is to be replaced by the old one, %s.", entry.RotationID, entry.Previous, entry.Current),
	}
	begin, err := locked(o, desired, entry.RotationID)
	if err != nil {
		return Plan{}, err
	}
	entry.Lock = begin.number
	var steps []Step
	if c.omnibus {
		text, err := rewriteOmnibus(o, desired, c)
		if err != nil {
			return Plan{}, omnibusFault(o.SSM.Omnibus.Name, err)
		}
		steps = append(steps, putOmnibus(o, text, "the two keys change places in one put: the Platform re-encrypts every record under the old one"))
	}
	steps = append(steps, standalone...)
	before, err := captures(o, desired, c.view, entry, nil, steps)
	if err != nil {
		return Plan{}, err
	}
	// The baseline of the way there says nothing of the way back. One of the way back counts until the Platform starts to re-encrypt.
	if !turned || entry.Stage == custody.StageOpen && desired.Baseline != nil {
		entry.Baseline = desired.Baseline
	}
	if !turned {
		entry.Stage, entry.ReversedAt, entry.Proof, entry.ProofDigest = custody.StageOpen, o.Now, nil, ""
		before = append(before, ledgerPut(o, desired, entry, ActRecordReversed, "from here on the rotation goes back to the old key"))
		entry.Version++
	}
	entry.Stage, entry.PreparedAt = custody.StagePrepared, o.Now
	plan.Baseline = entry.Baseline
	return plan.with(desired, begin, before, steps, []Step{ledgerPut(o, desired, entry, ActRecordPrepared, "omnibus and standalone parameters are written")})
}
