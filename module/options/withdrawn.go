package options

// Withdrawn says of each option that earlier versions had what to write instead. The role's variables of the same names are
// refused with the same words.
func Withdrawn() map[string]string {
	return map[string]string{
		"other_vms": "an installation has one VM, on which all its backends and cron run; remove the option",
	}
}
