package options

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// rotationRules are what no option alone can say. An option that was given wrongly is not called missing as well.
func rotationRules(r Rotation, w *walk) {
	if (r.State == "prepared" || r.State == "finalized" || r.State == "aborted") && !w.has("omnibus_parameter") {
		w.invalid.add("omnibus_parameter", fmt.Sprintf("omnibus_parameter is required when state is %s", r.State))
	}
	if r.State == "prepared" {
		preparedRules(r, w)
	}
	if r.State == "rotating" {
		verifyRules(r, w)
	}
	placeRules(r.AppName, r.ConfigPrefix, r.PreviousKeyName, r.CustodyPrefix, w)
	serviceRules(r.Services, r.State == "rotating", w)
	loginRules(r.AWS, w)
}

// serviceRules let an installation have its services on several VMs.
func serviceRules(s Services, rotating bool, w *walk) {
	switch {
	case w.spoilt["services"]:
	case rotating && len(s.Cron) == 0:
		w.invalid.add("services.cron", "services.cron must not be empty: state rotating runs on the VM that has cron, where the rotation is")
	case len(s.Backends) == 0 && len(s.Cron) == 0:
		w.invalid.add("services.backends", "services.backends and services.cron cannot both be empty: what holds keys on this VM?")
	}
}

// verifyRules want for each way of proving what it proves with.
func verifyRules(r Rotation, w *walk) {
	for _, needs := range []struct{ way, option string }{{"logs", "complete_log_pattern"}, {"attested", "attested_by"}} {
		if slices.Contains(r.Verify, needs.way) && !w.has(needs.option) {
			w.invalid.add(needs.option, fmt.Sprintf("%s is required when verify has %s", needs.option, needs.way))
		}
	}
	if _, err := regexp.Compile(r.CompleteLogPattern); err != nil {
		w.invalid.add("complete_log_pattern", "complete_log_pattern must be a regular expression as RE2 has them: "+strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
}

func infoRules(i Info, w *walk) {
	if i.KeyFromEscrow != "" && !w.has("database") {
		w.invalid.add("key_from_escrow", "key_from_escrow needs database: a key of escrow is tried on a database that was restored, not on the Platform's")
	}
	placeRules(i.AppName, i.ConfigPrefix, i.PreviousKeyName, i.CustodyPrefix, w)
	serviceRules(i.Services, false, w)
	loginRules(i.AWS, w)
}

func preparedRules(r Rotation, w *walk) {
	if !w.has("new_secret") && !w.has("new_secret_from_escrow") && !w.has("rotation_id") && !w.has("max_age_days") {
		w.invalid.add("rotation_id", "state prepared needs at least one of new_secret, rotation_id, max_age_days, or every run would rotate again")
	}
	if w.has("new_secret") && w.has("new_secret_from_escrow") {
		w.invalid.add("new_secret_from_escrow", "new_secret and new_secret_from_escrow cannot be used together: which key is it to be?")
	}
	if len(r.Backups) == 0 && !w.spoilt["backups"] && !r.BackupsWaived && !w.spoilt["backups_waived"] {
		w.invalid.add("backups", "state prepared needs backups, the identifiers of the database backups that the retiring key opens, or backups_waived: true")
	}
}

// maxLevels is SSM's limit of a hierarchy (PutParameter, HierarchyLevelLimitExceededException).
const maxLevels = 15

// placeRules keep our parameters off the Platform's, and the keys in custody away from the VM: the installer's instance
// role reads /config/<app>* and /seqera/<app>/*.
func placeRules(app, config, previous, custody string, w *walk) {
	taken := []string{"tower/crypto/secretKey", "tower/secret-rotation/enabled", "tower/secret-rotation/chunk-size"}
	if slices.Contains(taken, previous) {
		w.invalid.add("previous_key_name", fmt.Sprintf("previous_key_name must not be %q: that parameter holds something else", previous))
	}
	if w.spoilt["app_name"] || w.spoilt["config_prefix"] || w.spoilt["custody_prefix"] {
		return
	}
	// The deepest names are <custody_prefix>/escrow/<fingerprint>/backups/<rotation_id> and <config_prefix>/<previous_key_name>.
	deepest := strings.Count("/"+previous, "/")
	for _, place := range []struct {
		option, prefix string
		below          int
	}{{"custody_prefix", custody, 4}, {"config_prefix", config, max(3, deepest)}} {
		if levels := strings.Count(place.prefix, "/") + place.below; levels > maxLevels {
			w.invalid.add(place.option, fmt.Sprintf("%s makes names of %d levels, and SSM takes %d at most", place.option, levels, maxLevels))
		}
	}
	for _, readable := range []string{config, "/config/" + app, "/seqera/" + app + "/"} {
		if strings.HasPrefix(custody+"/", readable) {
			w.invalid.add("custody_prefix", fmt.Sprintf("custody_prefix must not be below %s, which the Platform's VM may read, but %s is", readable, quote(custody)))
			return
		}
	}
}

// loginRules are amazon.aws's: a profile or keys, not both, wherever they come from.
func loginRules(a AWS, w *walk) {
	if a.AccessKey.IsEmpty() != a.SecretKey.IsEmpty() && !w.spoilt["access_key"] && !w.spoilt["secret_key"] {
		given, missing := "access_key", "secret_key"
		if a.AccessKey.IsEmpty() {
			given, missing = missing, given
		}
		w.invalid.add(missing, fmt.Sprintf("%s needs %s", w.called(given), missing))
	}
	if a.Profile == "" {
		return
	}
	for _, option := range []struct {
		name  string
		empty bool
	}{{"access_key", a.AccessKey.IsEmpty()}, {"secret_key", a.SecretKey.IsEmpty()}, {"session_token", a.SessionToken.IsEmpty()}} {
		if !option.empty {
			w.invalid.add("profile", fmt.Sprintf("%s and %s cannot be used together: set the one that is not meant to \"\"", w.called("profile"), w.called(option.name)))
			return
		}
	}
}
