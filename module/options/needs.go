package options

import (
	"fmt"
	"slices"
	"strings"
)

// Need is a requirement between options, like Ansible's required_if. It is checked, and it goes into the documentation.
type Need struct {
	Kind NeedKind
	// When the requirement applies: option (it is given), or option=value (for a list: it contains the value).
	When string
	// The options that are required or excluded.
	Of []string
	// The reason, which a message appends to the mistake. It starts with its punctuation.
	Why string
}

// NeedKind is the kind of a requirement.
type NeedKind int

// The kinds of requirements.
const (
	All      NeedKind = iota // all of the options are required
	Any                      // at least one of the options is required
	None                     // none of the options may be given
	Together                 // all of the options or none; When is empty
)

// RotationNeeds returns the requirements of seqera_crypto_rotation.
func RotationNeeds() []Need {
	return append([]Need{
		{Kind: All, When: "state=prepared", Of: []string{"omnibus_parameter"}},
		{Kind: All, When: "state=finalized", Of: []string{"omnibus_parameter"}},
		{Kind: All, When: "state=aborted", Of: []string{"omnibus_parameter"}},
		{Kind: Any, When: "state=prepared", Of: []string{"new_secret", "new_secret_from_escrow", "rotation_id", "max_age_days"}, Why: "; without one, every run would rotate again"},
		{Kind: None, When: "new_secret", Of: []string{"new_secret_from_escrow"}, Why: ": each of them names the new key"},
		{Kind: All, When: "verify=attested", Of: []string{"attested_by"}},
	}, loginNeeds()...)
}

// InfoNeeds returns the requirements of seqera_crypto_rotation_info.
func InfoNeeds() []Need {
	return append([]Need{
		{Kind: All, When: "key_from_escrow", Of: []string{"database"}, Why: ": a key from escrow is tried on a restored database, not on the Platform's own"},
	}, loginNeeds()...)
}

// loginNeeds are the requirements of amazon.aws: a profile or keys but not both, wherever they come from.
func loginNeeds() []Need {
	return []Need{
		{Kind: Together, Of: []string{"access_key", "secret_key"}},
		{Kind: None, When: "profile", Of: []string{"access_key", "secret_key", "session_token"}, Why: `: set the one that you do not want to ""`},
	}
}

// Condition returns the option and the value that When names. The value is empty if any value will do.
func (n Need) Condition() (option, value string) {
	option, value, _ = strings.Cut(n.When, "=")
	return option, value
}

// check collects the violated requirements. It does not report an option with a wrong value as missing.
func (w *walk) check(needs []Need, values map[string]any) {
	for _, n := range needs {
		has := slices.DeleteFunc(slices.Clone(n.Of), func(option string) bool { return !w.has(option, values) })
		lacks := slices.DeleteFunc(slices.Clone(n.Of), func(option string) bool { return slices.Contains(has, option) })
		option, value := n.Condition()
		list, isList := values[option].([]any)
		missing := "%s is required when " + option + " is " + value
		var holds bool
		switch {
		case n.Kind == Together:
			if holds = len(has) > 0; holds {
				missing = w.called(has[0]) + " needs %s"
			}
		case value == "":
			holds, missing = w.has(option, values), w.called(option)+" needs %s"
		case isList:
			holds, missing = slices.Contains(list, any(value)), "%s is required when "+option+" has "+value
		default:
			holds = values[option] == any(value)
		}
		switch {
		case !holds:
		case n.Kind == All, n.Kind == Together:
			for _, one := range lacks {
				w.invalid.add(one, fmt.Sprintf(missing, one)+n.Why)
			}
		case n.Kind == Any && len(has) == 0:
			w.invalid.add(n.Of[0], fmt.Sprintf("%s %s needs at least one of %s", option, value, strings.Join(n.Of, ", "))+n.Why)
		case n.Kind == None && len(has) > 0:
			w.invalid.add(has[0], fmt.Sprintf("%s and %s cannot be used together", w.called(option), w.called(has[0]))+n.Why)
		}
	}
}

// has reports whether an option was given, even with a wrong value.
func (w *walk) has(option string, values map[string]any) bool {
	_, set := values[option]
	return w.invalidValue[option] || set && w.from[option] != ""
}

// rotationRules checks what neither a single option nor a Need can express.
func rotationRules(r Rotation, w *walk) {
	if r.State == "prepared" && len(r.Backups) == 0 && !w.invalidValue["backups"] && !r.BackupsWaived && !w.invalidValue["backups_waived"] {
		w.invalid.add("backups", "state prepared requires backups (the identifiers of the database backups that the old key opens) or backups_waived: true")
	}
	placeRules(r.AppName, r.Places, w)
}

// maxLevels is SSM's limit on the levels of a name (PutParameter, HierarchyLevelLimitExceededException).
const maxLevels = 15

// placeRules keeps the escrowed keys away from the VM, whose role may read /config/<app>* and /seqera/<app>/*.
func placeRules(app string, p Places, w *walk) {
	if w.invalidValue["app_name"] || w.invalidValue["config_prefix"] || w.invalidValue["custody_prefix"] {
		return
	}
	// The deepest names are <custody_prefix>/escrow/<fingerprint>/backups/<rotation_id> and <config_prefix>/tower/crypto/secretKey.
	for _, place := range []struct {
		option, prefix string
		below          int
	}{{"custody_prefix", p.CustodyPrefix, 4}, {"config_prefix", p.ConfigPrefix, 3}} {
		if levels := strings.Count(place.prefix, "/") + place.below; levels > maxLevels {
			w.invalid.add(place.option, fmt.Sprintf("%s leads to parameter names of %d levels, and SSM allows at most %d", place.option, levels, maxLevels))
		}
	}
	for _, readable := range []string{p.ConfigPrefix, "/config/" + app, "/seqera/" + app + "/"} {
		if strings.HasPrefix(p.CustodyPrefix+"/", readable) {
			w.invalid.add("custody_prefix", fmt.Sprintf("custody_prefix must not be below %s, which the Platform's VM may read, but %s is", readable, quote(p.CustodyPrefix)))
			return
		}
	}
}

// Withdrawn maps an option (or option=value) of an earlier version to the advice what to write instead. The role uses it as well.
func Withdrawn() map[string]string {
	return map[string]string{
		"other_vms":            "an installation has one VM, on which all its backends and cron run; remove the option",
		"previous_key_name":    "the Platform reads one name, tower/secret-rotation/previous-key; remove the option",
		"complete_log_pattern": "no line in cron's log is documented to mark the end; remove the option and use verify: [database]",
		"verify=logs":          "no line in cron's log is documented to mark the end; use verify: [database], or [attested] with attested_by",
		"force":                "write max_age_days: 0",
		"max_unreadable":       "list the lost records in accept_unreadable",
		"restoring":            "run playbooks/restore-crypto.yml, which does not need this variable",
		"proof_max_age":        "a proof is valid for one day; remove the option, and run again if the proof is older",
		"backup_timeout":       "a backup may take up to four hours; if yours takes longer, create it yourself and name it in backups",
		"backup_options":       "if your dump needs other options, create it yourself and name it in backups",
		"stop_timeout":         "set stop_grace_period in the compose file",
		"progress_interval":    "a line of progress is shown every 10 seconds; remove the option",
	}
}
