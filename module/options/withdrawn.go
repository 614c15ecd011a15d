package options

// Withdrawn says of each option, or option=value, that earlier versions had what to write instead. The role's variables of the same names are
// refused with the same words.
func Withdrawn() map[string]string {
	return map[string]string{
		"other_vms":            "an installation has one VM, on which all its backends and cron run; remove the option",
		"previous_key_name":    "the Platform reads one name, tower/secret-rotation/previous-key; remove the option",
		"complete_log_pattern": "no line of cron's log is documented to mean the end; remove the option and use verify: [database]",
		"verify=logs":          "no line of cron's log is documented to mean the end; use verify: [database], or [attested] with attested_by",
		"force":                "write max_age_days: 0",
		"max_unreadable":       "name the records that are lost in accept_unreadable",
		"restoring":            "run playbooks/restore-crypto.yml, which needs no such variable",
	}
}
