package options

import (
	"fmt"
	"strings"
)

// rotationRules are what neither an option alone nor a need can say.
func rotationRules(r Rotation, w *walk) {
	if r.State == "prepared" && len(r.Backups) == 0 && !w.spoilt["backups"] && !r.BackupsWaived && !w.spoilt["backups_waived"] {
		w.invalid.add("backups", "state prepared needs backups, the identifiers of the database backups that the old key opens, or backups_waived: true")
	}
	placeRules(r.AppName, r.Places, w)
}

// maxLevels is SSM's limit of a hierarchy (PutParameter, HierarchyLevelLimitExceededException).
const maxLevels = 15

// placeRules keep our parameters off the Platform's, and the keys in custody away from the VM: the installer's instance
// role reads /config/<app>* and /seqera/<app>/*.
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
