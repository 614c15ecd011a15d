package options

import (
	"fmt"
	"slices"
	"strings"
)

// Need is what some options require of others, as Ansible's required_if and its kin. The documentation says it, too.
type Need struct {
	Kind NeedKind
	// When it holds: an option that is given, or option=value; of a list, one that contains the value.
	When string
	// The options that it is about.
	Of []string
	// What a message says after the mistake, with the punctuation before it.
	Why string
}

// NeedKind tells the needs apart.
type NeedKind int

// The kinds of needs.
const (
	All      NeedKind = iota // each of them is required
	Any                      // at least one of them is
	None                     // none of them may be given
	Together                 // all of them or none: it has no When
)

// RotationNeeds are those of seqera_crypto_rotation.
func RotationNeeds() []Need {
	return append([]Need{
		{Kind: All, When: "state=prepared", Of: []string{"omnibus_parameter"}},
		{Kind: All, When: "state=finalized", Of: []string{"omnibus_parameter"}},
		{Kind: All, When: "state=aborted", Of: []string{"omnibus_parameter"}},
		{Kind: Any, When: "state=prepared", Of: []string{"new_secret", "new_secret_from_escrow", "rotation_id", "max_age_days"}, Why: ", or every run would rotate again"},
		{Kind: None, When: "new_secret", Of: []string{"new_secret_from_escrow"}, Why: ": which key is it to be?"},
		{Kind: All, When: "verify=attested", Of: []string{"attested_by"}},
	}, loginNeeds()...)
}

// InfoNeeds are those of seqera_crypto_rotation_info.
func InfoNeeds() []Need {
	return append([]Need{
		{Kind: All, When: "key_from_escrow", Of: []string{"database"}, Why: ": a key of escrow is tried on a database that was restored, not on the Platform's"},
	}, loginNeeds()...)
}

// loginNeeds are amazon.aws's: a profile or keys, not both, wherever they come from.
func loginNeeds() []Need {
	return []Need{
		{Kind: Together, Of: []string{"access_key", "secret_key"}},
		{Kind: None, When: "profile", Of: []string{"access_key", "secret_key", "session_token"}, Why: `: set the one that is not meant to ""`},
	}
}

// Condition is the option that When names, and its value, empty where any will do.
func (n Need) Condition() (option, value string) {
	option, value, _ = strings.Cut(n.When, "=")
	return option, value
}

// check collects what is missing or too much. An option that was given wrongly is not called missing as well.
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

// has says whether somebody gave an option, right or wrong.
func (w *walk) has(option string, values map[string]any) bool {
	_, set := values[option]
	return w.spoilt[option] || set && w.from[option] != ""
}

// rotationRules are what neither an option alone nor a need can say.
func rotationRules(r Rotation, w *walk) {
	if r.State == "prepared" && len(r.Backups) == 0 && !w.spoilt["backups"] && !r.BackupsWaived && !w.spoilt["backups_waived"] {
		w.invalid.add("backups", "state prepared needs backups, the identifiers of the database backups that the old key opens, or backups_waived: true")
	}
	placeRules(r.AppName, r.Places, w)
}

// maxLevels is SSM's limit of a hierarchy (PutParameter, HierarchyLevelLimitExceededException).
const maxLevels = 15

// placeRules keep the keys in custody away from the VM, whose role reads /config/<app>* and /seqera/<app>/*.
func placeRules(app string, p Places, w *walk) {
	if w.spoilt["app_name"] || w.spoilt["config_prefix"] || w.spoilt["custody_prefix"] {
		return
	}
	// The deepest names are <custody_prefix>/escrow/<fingerprint>/backups/<rotation_id> and <config_prefix>/tower/crypto/secretKey.
	for _, place := range []struct {
		option, prefix string
		below          int
	}{{"custody_prefix", p.CustodyPrefix, 4}, {"config_prefix", p.ConfigPrefix, 3}} {
		if levels := strings.Count(place.prefix, "/") + place.below; levels > maxLevels {
			w.invalid.add(place.option, fmt.Sprintf("%s makes names of %d levels, and SSM takes %d at most", place.option, levels, maxLevels))
		}
	}
	for _, readable := range []string{p.ConfigPrefix, "/config/" + app, "/seqera/" + app + "/"} {
		if strings.HasPrefix(p.CustodyPrefix+"/", readable) {
			w.invalid.add("custody_prefix", fmt.Sprintf("custody_prefix must not be below %s, which the Platform's VM may read, but %s is", readable, quote(p.CustodyPrefix)))
			return
		}
	}
}

// Withdrawn says what to write instead of an option, or option=value, of earlier versions. The role uses the same words.
func Withdrawn() map[string]string {
	return map[string]string{
		"other_vms":            "an installation has one VM, on which all its backends and cron run; remove the option",
		"previous_key_name":    "the Platform reads one name, tower/secret-rotation/previous-key; remove the option",
		"complete_log_pattern": "no line of cron's log is documented to mean the end; remove the option and use verify: [database]",
		"verify=logs":          "no line of cron's log is documented to mean the end; use verify: [database], or [attested] with attested_by",
		"force":                "write max_age_days: 0",
		"max_unreadable":       "name the records that are lost in accept_unreadable",
		"restoring":            "run playbooks/restore-crypto.yml, which needs no such variable",
		"proof_max_age":        "a proof is valid for a day; remove the option, and run again if a proof is older",
		"backup_timeout":       "a backup may take four hours; make one that takes longer yourself, and name it in backups",
		"backup_options":       "make a dump that needs other options yourself, and name it in backups",
		"stop_timeout":         "write stop_grace_period into the compose file",
		"progress_interval":    "a line of progress is shown every 10 seconds; remove the option",
	}
}
