package rotation

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

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

	hasPrevious bool    // the omnibus has the entry
	misnamed    bool    // one of the two has another ssm_key than the Platform reads, as in the page's older revision
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
	return v.readTraces(o, desired)
}

func (v view) readTraces(o Observed, desired Desired) (view, error) {
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
			v.misnamed = v.misnamed || entry.SSMKey != desired.Names.Previous
		case EntrySwitch:
			v.enabled = entry.Value == "true"
			v.misnamed = v.misnamed || entry.SSMKey != desired.Names.Switch
		case EntryChunkSize:
			v.chunkSize = &entry.Value
		}
	}
	return v, nil
}

// traced says whether the omnibus shows a rotation. A switch that is off, without a previous key, is a default.
func (v view) traced() bool { return v.hasPrevious || v.enabled }

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

// observedPlan gives the phase for somebody who only looks; without an omnibus by the standalone parameters alone.
func observedPlan(o Observed, desired Desired, v view) Plan {
	plan := Plan{RotationID: desired.RotationID, Current: v.current.fingerprint, Previous: v.previous.fingerprint}
	since, how := born(o, v)
	plan.Born = since
	plan.Phase, plan.Msg = v.phase(o, desired, how)
	plan.Before = plan.Phase
	if o.Records != nil {
		plan.Progress = proof.ProgressOf(*o.Records, 0)
		plan.Warnings = o.Records.Notes
	}
	return plan
}

func (v view) phase(o Observed, desired Desired, how string) (Phase, string) {
	switch {
	case desired.Names.Omnibus == "" && !o.SSM.Current.Exists:
		return PhaseInconsistent, "There is no SSM parameter " + o.SSM.Current.Name + "."
	case desired.Names.Omnibus == "":
		return v.phaseOnVM(o, desired, how)
	case v.whole() && v.standaloneCurrent.Equal(v.current.Secret) && v.standalonePrevious.Equal(v.previous.Secret) && o.SSM.Switch.On():
		return v.running(o)
	case v.traced():
		return PhaseInconsistent, "The omnibus shows a rotation that the standalone parameters do not (or only half of one): run state prepared again."
	case !o.SSM.Current.Exists || !v.standaloneCurrent.Equal(v.current.Secret):
		return PhaseInconsistent, fmt.Sprintf("Omnibus (%s) and standalone parameter (%s) do not hold the same key.", v.current.fingerprint, cmp.Or(v.standaloneCurrent.fingerprint, "none"))
	case o.SSM.Previous.Exists || o.SSM.Switch.On():
		return PhaseRotated, "The omnibus shows no rotation, but standalone parameters of one are left. State finalized of that rotation removes them; where the ledger has none, the next rotation puts their key into escrow and replaces them."
	}
	return v.idle(o, desired, how)
}

func (v view) phaseOnVM(o Observed, desired Desired, how string) (Phase, string) {
	switch {
	case o.SSM.Previous.Exists && o.SSM.Switch.On():
		return v.running(o)
	case o.SSM.Previous.Exists || o.SSM.Switch.On():
		return PhaseInconsistent, "Only one of previous key and switch is there."
	}
	return v.idle(o, desired, how)
}

func (v view) running(o Observed) (Phase, string) {
	switch {
	case o.Records != nil && o.Records.Total == o.Records.Current+o.Records.Rewritten:
		return PhaseRotated, fmt.Sprintf("All %d records are under the current key %s.", o.Records.Total, v.current.fingerprint)
	case proof.Observed{Parameters: o.SSM.Standalone(), Platform: o.Platform}.CronStarted():
		return PhaseRotating, "Cron has started with both keys."
	}
	return PhasePrepared, "Both keys and the switch are in place."
}

func (v view) idle(o Observed, desired Desired, how string) (Phase, string) {
	if entry, ok := o.Custody.Entry(desired.RotationID); ok && entry.Stage == custody.StageFinished {
		return PhaseFinalized, fmt.Sprintf("Rotation %s was finished on %s.", entry.RotationID, day(entry.FinishedAt))
	}
	since, _ := born(o, v)
	age := int(o.Now.Sub(since) / (24 * time.Hour))
	if desired.MaxAgeDays != nil && age >= *desired.MaxAgeDays {
		return PhaseDue, fmt.Sprintf("The key is %d days old (%s); max_age_days is %d.", age, how, *desired.MaxAgeDays)
	}
	return PhaseIdle, fmt.Sprintf("No rotation is under way; key %s, %d days old (%s).", v.current.fingerprint, age, how)
}
