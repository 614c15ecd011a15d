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

// view is the interpretation of the observed parameters: which keys are where, and which traces of a rotation there are.
type view struct {
	prints   proof.Fingerprinter
	document *omnibus.Document // nil if omnibus_parameter is not set
	current  key               // TOWER_CRYPTO_SECRET; without an omnibus, the standalone current key
	previous key               // TOWER_CRYPTO_PREVIOUS_SECRET; without an omnibus, the standalone previous key
	enabled  bool              // the switch in the omnibus is on; without an omnibus, the standalone switch

	hasPrevious bool    // the omnibus has an entry for the previous key
	misnamed    bool    // the ssm_key of the previous key or switch is not the one that the Platform reads, as in the page's older revision
	chunkSize   *string // the chunk size in the omnibus; nil if there is no entry

	standaloneCurrent  key
	standalonePrevious key
}

type key struct {
	secret.Secret
	fingerprint secret.Fingerprint
}

// newView interprets the parameters and makes every check that requires nothing else. Its errors are faults.
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

// validateOwner returns a fault if another installation uses the same custody_prefix.
func validateOwner(inventory custody.Inventory, desired Desired) error {
	other := ""
	for _, entry := range inventory.Ledger {
		if entry.App != desired.App {
			other = custody.LedgerName(desired.Names.Custody, entry.RotationID) + " belongs to " + entry.App
		}
	}
	for _, kept := range inventory.Escrow {
		if kept.Held && kept.App != desired.App {
			other = custody.EscrowName(desired.Names.Custody, kept.Fingerprint) + " belongs to " + kept.App
		}
	}
	if other == "" {
		return nil
	}
	return fault.New(fault.CodeAppMismatch, "Give each installation a custody_prefix of its own, such as the default.",
		"The custody_prefix %s belongs to another installation: %s, not to %s.", desired.Names.Custody, other, desired.App)
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
			"The omnibus %s belongs to another installation: its %s has ssm_key %s, but %s was expected.", o.SSM.Omnibus.Name, EntryCurrent, entry.SSMKey, desired.Names.Current)
	}
	if entry.Value == "" {
		return v, fault.New(fault.CodeOmnibusEntryInvalid, "Put the key that the Platform uses into it.",
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

// traced reports whether the omnibus shows a rotation. A switch that is off, without a previous key, does not count.
func (v view) traced() bool { return v.hasPrevious || v.enabled }

func (v view) whole() bool { return v.hasPrevious && v.enabled && !v.previous.IsEmpty() }

func keyOf(s secret.Secret, prints proof.Fingerprinter) key { return key{s, prints.Of(s)} }

func omnibusFault(name string, err error) *fault.Fault {
	f := &fault.Fault{Cause: err}
	switch {
	case errors.Is(err, omnibus.ErrDuplicate):
		f.Code, f.Next = fault.CodeOmnibusDuplicate, "Find out which of the two is right, and remove the other."
	case errors.Is(err, omnibus.ErrMissing):
		f.Code, f.Next = fault.CodeOmnibusEntryMissing, "Check omnibus_parameter: it must name the parameter with the installer's sensitive values for the Platform itself."
	case errors.Is(err, omnibus.ErrInvalid):
		f.Code, f.Next = fault.CodeOmnibusEntryInvalid, `An entry is {"ssm_key": "…", "value": "…"}, both strings.`
	default:
		f.Code, f.Next = fault.CodeOmnibusNotJSON, "The parameter must be plain JSON like the installer's template, without comments and trailing commas. Correct it."
	}
	f.What = fmt.Sprintf("The omnibus %s: %v.", name, err)
	return f
}

// InUse returns the fingerprints of the keys in use, or nil if the parameters are invalid.
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

// OtherKey returns the key in the omnibus if it differs from the standalone key, or else the empty secret.
func OtherKey(o Observed, desired Desired, prints proof.Fingerprinter) secret.Secret {
	v, err := newView(o, desired, prints)
	if err != nil || v.document == nil || v.current.Equal(v.standaloneCurrent.Secret) {
		return secret.Secret{}
	}
	return v.current.Secret
}

// observedPlan returns a plan with the phase and without steps. Without an omnibus, the phase depends only on the standalone parameters.
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
		return PhaseInconsistent, "The omnibus shows a rotation, but the standalone parameters do not, or only a part of it. Run the interrupted state (prepared or aborted) again."
	case !o.SSM.Current.Exists || !v.standaloneCurrent.Equal(v.current.Secret):
		return PhaseInconsistent, fmt.Sprintf("The omnibus (key %s) and the standalone parameter (key %s) hold different keys.", v.current.fingerprint, cmp.Or(v.standaloneCurrent.fingerprint, "none"))
	case o.SSM.Previous.Exists || o.SSM.Switch.On():
		return PhaseRotated, "The omnibus shows no rotation, but standalone parameters of a rotation are left. State finalized of that rotation removes them. If the ledger has no such rotation, the next one puts their key into escrow and replaces them."
	}
	return v.idle(o, desired, how)
}

func (v view) phaseOnVM(o Observed, desired Desired, how string) (Phase, string) {
	switch {
	case o.SSM.Previous.Exists && o.SSM.Switch.On():
		return v.running(o)
	case o.SSM.Previous.Exists || o.SSM.Switch.On():
		return PhaseInconsistent, "Only one of previous key and switch exists."
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
	if entry, ok := o.Custody.Open(); ok {
		return PhaseIdle, fmt.Sprintf("Rotation %s is open, but no parameter was changed yet. Key %s is in use.", entry.RotationID, v.current.fingerprint)
	}
	return PhaseIdle, fmt.Sprintf("No rotation is running. Key %s is %d days old (%s).", v.current.fingerprint, age, how)
}
