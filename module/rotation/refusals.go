package rotation

import (
	"cmp"
	"fmt"
	"time"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/fault"
)

func aborting(entry custody.Entry) *fault.Fault {
	return fault.New(fault.CodeRotationOpen, "Run state aborted again (playbooks/abort-crypto.yml); it goes on from there.",
		"Rotation %s is being aborted, and that was cut off.", entry.RotationID)
}

func rotationOpen(open custody.Entry, wished string) *fault.Fault {
	return fault.New(fault.CodeRotationOpen, fmt.Sprintf("Finish it first: run the same playbook with rotation_id %s.", open.RotationID),
		"Rotation %s (begun %s by %s) is not finished; rotation %q cannot begin.", open.RotationID, open.OpenedAt.UTC().Format(time.RFC3339), open.By.Who(), wished)
}

// unexplained tells of parameters that neither the ledger nor a cut-off run explains.
func unexplained(o Observed, v view, entry custody.Entry, known bool) *fault.Fault {
	found := fmt.Sprintf("The omnibus %s has current key %s, previous key %s, switch %t", o.SSM.Omnibus.Name, v.current.fingerprint, cmp.Or(v.previous.fingerprint, "none"), v.enabled)
	ledger := "the ledger has no rotation that explains it"
	if known {
		ledger = fmt.Sprintf("the ledger's rotation %s (%s) goes from %s to %s", entry.RotationID, entry.Stage, entry.Previous, entry.Current)
	}
	return fault.New(fault.CodeInconsistent, "Somebody else changed it: see who with aws ssm get-parameter-history, and docs/errors.md (inconsistent) for how to go on.",
		"%s", found+"; "+ledger+".")
}
