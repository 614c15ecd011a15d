package rotation

import (
	"fmt"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/fault"
)

// adopt takes over a rotation that somebody began by hand, by either revision of the page: both keys go into escrow, the ledger gets
// its entry, and what the parameters lack is written. A signed look at the records must have found that the two keys open them.
func adopt(w World, wish Wish, p picture, entry custody.Entry, known bool) (Plan, error) {
	previous := p.previous
	for _, other := range []key{p.standalonePrevious, p.legacy} {
		if previous.IsEmpty() {
			previous = other
		}
	}
	switch {
	case previous.IsEmpty() || previous.Equal(p.current.Secret):
		return Plan{}, &fault.Fault{
			Code: fault.CodeInconsistent, What: fmt.Sprintf("The omnibus %s has the switch of a rotation, but no parameter has its previous key (the current one is %s).", w.SSM.Omnibus.Name, p.current.print),
			Next: "Find the previous key (aws ssm get-parameter-history of the omnibus and of the standalone parameters) and put it there, or switch the rotation off; docs/errors.md (inconsistent) has the commands.",
		}
	case known && (entry.Previous != previous.print || entry.Current != p.current.print):
		return Plan{}, unexplained(w, p, entry, known)
	case !wish.NewKey.IsEmpty() && !wish.NewKey.Equal(p.current.Secret) || wish.FromEscrow != "" && wish.FromEscrow != p.current.print:
		return Plan{}, &fault.Fault{
			Code: fault.CodeRotationOpen, What: fmt.Sprintf("The rotation that was begun by hand goes to key %s; new_secret or new_secret_from_escrow is another one.", p.current.print),
			Next: "Leave both out and finish this rotation first.",
		}
	}
	if err := wish.Proof.ValidateExplained(w.Now, wish.App, p.current.print, previous.print, p.prints, p.current.Secret); err != nil {
		return Plan{}, err
	}
	if !known {
		if entry = (custody.Entry{RotationID: wish.RotationID}); entry.RotationID == "" {
			entry.RotationID = wish.MadeID
		}
	}
	c := change{p: p, entry: entry, opened: known, current: p.current, previous: previous, omnibus: !p.whole() || p.misnamed, adopted: true}
	c.standalone = standaloneSteps(w, wish, c.current, c.previous, chunkWanted(wish))
	return assemble(w, wish, c)
}
