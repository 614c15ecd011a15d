package rotation

import (
	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/fault"
)

// adopt takes over a rotation that somebody began by hand, by either revision of the page: both keys go into escrow, the ledger gets
// its entry, and what the parameters lack is written. A signed look at the records must have found that the two keys open them.
func adopt(o Observed, desired Desired, v view, entry custody.Entry, known bool) (Plan, error) {
	previous := v.previous
	for _, other := range []key{v.standalonePrevious, keyOf(o.SSM.LegacyPrevious.Value, v.prints)} {
		if previous.IsEmpty() {
			previous = other
		}
	}
	switch {
	case previous.IsEmpty() || previous.Equal(v.current.Secret):
		return Plan{}, fault.New(fault.CodeInconsistent, "Find the previous key (aws ssm get-parameter-history of the omnibus and of the standalone parameters) and put it there, or switch the rotation off; docs/errors.md (inconsistent) has the commands.",
			"The omnibus %s has the switch of a rotation, but no parameter has its previous key (the current one is %s).", o.SSM.Omnibus.Name, v.current.fingerprint)
	case known && (entry.Previous != previous.fingerprint || entry.Current != v.current.fingerprint):
		return Plan{}, unexplained(o, v, entry, known)
	case !desired.NewKey.IsEmpty() && !desired.NewKey.Equal(v.current.Secret) || desired.FromEscrow != "" && desired.FromEscrow != v.current.fingerprint:
		return Plan{}, fault.New(fault.CodeRotationOpen, "Leave both out and finish this rotation first.",
			"The rotation that was begun by hand goes to key %s; new_secret or new_secret_from_escrow is another one.", v.current.fingerprint)
	}
	if err := desired.Proof.ValidateExplained(o.Now, desired.App, v.current.fingerprint, previous.fingerprint, v.prints, v.current.Secret); err != nil {
		return Plan{}, err
	}
	if !known {
		entry = desired.namedEntry()
	}
	c := change{view: v, entry: entry, opened: known, current: v.current, previous: previous, omnibus: !v.whole() || v.misnamed, adopted: true}
	c.standalone = standaloneSteps(o, desired, c.current, c.previous, chunkWanted(desired))
	return assemble(o, desired, c)
}
