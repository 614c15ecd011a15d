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

// view is the observed parameters, understood: which keys are where, and what a rotation left.
type view struct {
	prints   proof.Fingerprinter
	document *omnibus.Document // nil when the omnibus was not asked for
	current  key               // TOWER_CRYPTO_SECRET; without an omnibus the standalone key
	previous key               // TOWER_CRYPTO_PREVIOUS_SECRET; without an omnibus the standalone previous key
	enabled  bool              // the omnibus's switch says "true"; without an omnibus the standalone switch

	hasPrevious bool // the omnibus has the entry
	hasSwitch   bool
	chunkSize   *string // the omnibus's chunk size entry

	standaloneCurrent  key
	standalonePrevious key
}

type key struct {
	secret.Secret
	fingerprint secret.Fingerprint
}

// newView understands the parameters and makes every check that needs no more than them.
func newView(o Observed, desired Desired, prints proof.Fingerprinter) (view, error) {
	v := view{prints: prints}
	if err := validateOwner(o.Custody, desired); err != nil {
		return v, err
	}
	for _, parameter := range []Parameter{o.SSM.Omnibus, o.SSM.Current, o.SSM.Previous} {
		if err := parameter.Secure(); err != nil {
			return v, err
		}
	}
	v.standaloneCurrent = keyOf(o.SSM.Current.Value, prints)
	v.standalonePrevious = keyOf(o.SSM.Previous.Value, prints)
	if desired.Names.Omnibus == "" {
		v.current, v.previous = v.standaloneCurrent, v.standalonePrevious
		v.enabled = o.SSM.Switch.On()
		return v, nil
	}
	if !o.SSM.Omnibus.Exists {
		return v, fault.New(fault.CodeOmnibusMissing, "Check omnibus_parameter, the region and the account.",
			"There is no SSM parameter %s.", desired.Names.Omnibus)
	}
	return v.readOmnibus(o, desired)
}

// validateOwner refuses a custody_prefix that another installation uses as well: its ledger says nothing of this one.
func validateOwner(inventory custody.Inventory, desired Desired) error {
	other := ""
	for _, entry := range inventory.Ledger {
		if entry.App != desired.App {
			other = custody.LedgerName(desired.Names.Custody, entry.RotationID) + " is of " + entry.App
		}
	}
	for _, kept := range inventory.Escrow {
		if kept.Held && kept.App != desired.App {
			other = custody.EscrowName(desired.Names.Custody, kept.Fingerprint) + " is of " + kept.App
		}
	}
	if other == "" {
		return nil
	}
	return fault.New(fault.CodeAppMismatch, "Give each installation a custody_prefix of its own, such as the default.",
		"The custody_prefix %s belongs to another installation: %s, not of %s.", desired.Names.Custody, other, desired.App)
}

func (v view) readOmnibus(o Observed, desired Desired) (view, error) {
	document, err := omnibus.Parse([]byte(o.SSM.Omnibus.Value.Reveal()))
	if err != nil {
		return v, omnibusFault(o.SSM.Omnibus.Name, err)
	}
	v.document = document
	entry, ok, err := document.Find(EntryCurrent)
	if err == nil && !ok {
		err = fmt.Errorf("%w: %s", omnibus.ErrMissing, EntryCurrent)
	}
	if err != nil {
		return v, omnibusFault(o.SSM.Omnibus.Name, err)
	}
	if entry.SSMKey != desired.Names.Current {
		return v, fault.New(fault.CodeAppMismatch, "Check app_name, config_prefix and omnibus_parameter.",
			"The omnibus %s is of another installation: its %s has ssm_key %s, expected %s.", o.SSM.Omnibus.Name, EntryCurrent, entry.SSMKey, desired.Names.Current)
	}
	if entry.Value == "" {
		return v, fault.New(fault.CodeOmnibusEntryInvalid, "Put the key that the Platform runs with there.",
			"%s in the omnibus %s is empty.", EntryCurrent, o.SSM.Omnibus.Name)
	}
	v.current = keyOf(secret.New(entry.Value), v.prints)
	return v.readTraces(o)
}

func (v view) readTraces(o Observed) (view, error) {
	for _, name := range []string{EntryPrevious, EntrySwitch, EntryChunkSize} {
		entry, ok, err := v.document.Find(name)
		if err != nil {
			return v, omnibusFault(o.SSM.Omnibus.Name, err)
		}
		if !ok {
			continue
		}
		switch name {
		case EntryPrevious:
			v.hasPrevious, v.previous = true, keyOf(secret.New(entry.Value), v.prints)
		case EntrySwitch:
			v.hasSwitch, v.enabled = true, entry.Value == "true"
		case EntryChunkSize:
			v.chunkSize = &entry.Value
		}
	}
	return v, nil
}

// traced says whether the omnibus shows a rotation. A switch that is off, without a previous key, is the Platform's
// default written out; it is no rotation.
func (v view) traced() bool { return v.hasPrevious || v.enabled }

// whole says whether the omnibus shows all of a prepared rotation.
func (v view) whole() bool { return v.hasPrevious && v.enabled && !v.previous.IsEmpty() }

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
func InUse(o Observed, desired Desired, prints proof.Fingerprinter) []secret.Fingerprint {
	v, err := newView(o, desired, prints)
	if err != nil {
		return nil
	}
	var found []secret.Fingerprint
	for _, k := range v.inUse() {
		if !slices.Contains(found, k.fingerprint) {
			found = append(found, k.fingerprint)
		}
	}
	return found
}

// OtherKey gives the omnibus's key where it differs from the standalone one: one of the two opens the records.
func OtherKey(o Observed, desired Desired, prints proof.Fingerprinter) secret.Secret {
	v, err := newView(o, desired, prints)
	if err != nil || v.document == nil || v.current.Equal(v.standaloneCurrent.Secret) {
		return secret.Secret{}
	}
	return v.current.Secret
}
