package rotation

import (
	"errors"
	"fmt"
	"slices"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/omnibus"
	"github.com/seqera-tools/crypto-rotation/module/proof"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// picture is the world's parameters, understood: which keys are where, and what a rotation left.
type picture struct {
	prints   proof.Fingerprinter
	document *omnibus.Document // nil when the omnibus was not asked for
	current  key               // TOWER_CRYPTO_SECRET; without an omnibus the standalone key
	previous key               // TOWER_CRYPTO_PREVIOUS_SECRET; without an omnibus the standalone previous key
	enabled  bool              // the omnibus's switch says "true"; without an omnibus the standalone switch

	hasPrevious bool // the omnibus has the entry
	hasSwitch   bool
	misnamed    bool    // one of the two has another ssm_key than the Platform reads, as in the page's older revision
	chunkSize   *string // the omnibus's chunk size entry

	standaloneCurrent  key
	standalonePrevious key
	legacy             key // under the page's older name
}

type key struct {
	secret.Secret
	print secret.Fingerprint
}

// look understands the parameters and makes every check that needs no more than them.
func look(w World, wish Wish, prints proof.Fingerprinter) (picture, error) {
	p := picture{prints: prints}
	if err := ours(w.Custody, wish); err != nil {
		return p, err
	}
	for _, parameter := range []Parameter{w.SSM.Omnibus, w.SSM.Current, w.SSM.Previous} {
		if err := parameter.Secure(); err != nil {
			return p, err
		}
	}
	p.standaloneCurrent = keyOf(w.SSM.Current.Value, prints)
	p.standalonePrevious = keyOf(w.SSM.Previous.Value, prints)
	p.legacy = keyOf(w.SSM.LegacyPrevious.Value, prints)
	if wish.Names.Omnibus == "" {
		p.current, p.previous = p.standaloneCurrent, p.standalonePrevious
		p.enabled = w.SSM.Switch.On()
		return p, nil
	}
	if !w.SSM.Omnibus.Exists {
		return p, &fault.Fault{
			Code: fault.CodeOmnibusMissing, What: fmt.Sprintf("There is no SSM parameter %s.", wish.Names.Omnibus),
			Next: "Check omnibus_parameter, the region and the account.",
		}
	}
	return p.lookAtOmnibus(w, wish, prints)
}

// ours refuses a custody_prefix that another installation uses as well: its ledger says nothing of this one.
func ours(shelf custody.Shelf, wish Wish) error {
	other := ""
	for _, entry := range shelf.Ledger {
		if entry.App != wish.App {
			other = custody.LedgerName(wish.Names.Custody, entry.RotationID) + " is of " + entry.App
		}
	}
	for _, deposit := range shelf.Escrow {
		if deposit.Held && deposit.App != wish.App {
			other = custody.EscrowName(wish.Names.Custody, deposit.Fingerprint) + " is of " + deposit.App
		}
	}
	if other == "" {
		return nil
	}
	return &fault.Fault{
		Code: fault.CodeAppMismatch, What: fmt.Sprintf("The custody_prefix %s belongs to another installation: %s, not of %s.", wish.Names.Custody, other, wish.App),
		Next: "Give each installation a custody_prefix of its own, such as the default.",
	}
}

func (p picture) lookAtOmnibus(w World, wish Wish, prints proof.Fingerprinter) (picture, error) {
	document, err := omnibus.Parse([]byte(w.SSM.Omnibus.Value.Reveal()))
	if err != nil {
		return p, omnibusFault(w.SSM.Omnibus.Name, err)
	}
	p.document = document
	entry, ok, err := document.Find(EntryCurrent)
	if err == nil && !ok {
		err = fmt.Errorf("%w: %s", omnibus.ErrMissing, EntryCurrent)
	}
	if err != nil {
		return p, omnibusFault(w.SSM.Omnibus.Name, err)
	}
	if entry.SSMKey != wish.Names.Current {
		return p, &fault.Fault{
			Code: fault.CodeAppMismatch,
			What: fmt.Sprintf("The omnibus %s is of another installation: its %s has ssm_key %s, expected %s.", w.SSM.Omnibus.Name, EntryCurrent, entry.SSMKey, wish.Names.Current),
			Next: "Check app_name, config_prefix and omnibus_parameter.",
		}
	}
	if entry.Value == "" {
		return p, &fault.Fault{
			Code: fault.CodeOmnibusEntryInvalid, What: fmt.Sprintf("%s in the omnibus %s is empty.", EntryCurrent, w.SSM.Omnibus.Name),
			Next: "Put the key that the Platform runs with there.",
		}
	}
	p.current = keyOf(secret.New(entry.Value), prints)
	return p.lookAtTraces(w, wish, prints)
}

func (p picture) lookAtTraces(w World, wish Wish, prints proof.Fingerprinter) (picture, error) {
	for _, name := range []string{EntryPrevious, EntrySwitch, EntryChunkSize} {
		entry, ok, err := p.document.Find(name)
		if err != nil {
			return p, omnibusFault(w.SSM.Omnibus.Name, err)
		}
		if !ok {
			continue
		}
		switch name {
		case EntryPrevious:
			p.hasPrevious, p.previous = true, keyOf(secret.New(entry.Value), prints)
			p.misnamed = p.misnamed || entry.SSMKey != wish.Names.Previous
		case EntrySwitch:
			p.hasSwitch, p.enabled = true, entry.Value == "true"
			p.misnamed = p.misnamed || entry.SSMKey != wish.Names.Switch
		case EntryChunkSize:
			p.chunkSize = &entry.Value
		}
	}
	return p, nil
}

// traced says whether the omnibus shows a rotation. A switch that is off, without a previous key, is the Platform's
// default written out; it is no rotation.
func (p picture) traced() bool { return p.hasPrevious || p.enabled }

// whole says whether the omnibus shows all of a prepared rotation.
func (p picture) whole() bool { return p.hasPrevious && p.enabled && !p.previous.IsEmpty() }

func keyOf(s secret.Secret, prints proof.Fingerprinter) key { return key{s, prints.Of(s)} }

func omnibusFault(name string, err error) *fault.Fault {
	f := &fault.Fault{Cause: err}
	switch {
	case errors.Is(err, omnibus.ErrDuplicate):
		f.Code, f.Next = fault.CodeOmnibusDuplicate, "Remove one of the two: which of them counts is not ours to guess."
	case errors.Is(err, omnibus.ErrMissing):
		f.Code, f.Next = fault.CodeOmnibusEntryMissing, "Check omnibus_parameter: it must name the installer's sensitive values of the Platform itself."
	case errors.Is(err, omnibus.ErrInvalid):
		f.Code, f.Next = fault.CodeOmnibusEntryInvalid, `An entry is {"ssm_key": "…", "value": "…"}, both strings.`
	default:
		f.Code, f.Next = fault.CodeOmnibusNotJSON, "The installer's template is plain JSON, without comments and trailing commas; correct the parameter."
	}
	f.What = fmt.Sprintf("The omnibus %s: %v.", name, err)
	return f
}

// InUse gives the fingerprints of the keys in use, for who wants to ask escrow about them.
func InUse(w World, wish Wish, prints proof.Fingerprinter) []secret.Fingerprint {
	p, err := look(w, wish, prints)
	if err != nil {
		return nil
	}
	var found []secret.Fingerprint
	for _, k := range p.inUse() {
		if !slices.Contains(found, k.print) {
			found = append(found, k.print)
		}
	}
	return found
}

// OtherKey gives the omnibus's key where it differs from the standalone one: one of the two opens the records.
func OtherKey(w World, wish Wish, prints proof.Fingerprinter) secret.Secret {
	p, err := look(w, wish, prints)
	if err != nil || p.document == nil || p.current.Equal(p.standaloneCurrent.Secret) {
		return secret.Secret{}
	}
	return p.current.Secret
}
