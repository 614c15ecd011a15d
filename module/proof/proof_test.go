package proof

import (
	"fmt"
	"hash/fnv"
	"time"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// The tests' VM: no network, no file, no clock, and a fingerprint that costs nothing.

const (
	oldKey   = "OLDkeyOLDkeyOLDkeyOLDkeyOLDkey12"
	newKeyed = "NEWkeyNEWkeyNEWkeyNEWkeyNEWkey34"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) //nolint:gochecknoglobals // a fixed time for the tests

type quick struct{}

func (quick) Of(key secret.Secret) secret.Fingerprint {
	if key.IsEmpty() {
		return ""
	}
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(key.Reveal()))
	return secret.Fingerprint(fmt.Sprintf("%016x", hash.Sum64()))
}

func (quick) MACKey(key secret.Secret, app string) []byte {
	return []byte(app + string(quick{}.Of(key)))
}

// watched is a VM on which cron has started in order, a hundred days after the parameters were written.
func watched(records *Records) Observed {
	written := noon.AddDate(0, 0, -100)
	parameter := func(name, value string) Parameter {
		return Parameter{Name: name, Exists: true, Value: secret.New(value), Type: "SecureString", Version: 1, Modified: written}
	}
	names := NamesBelow("/config/app")
	return Observed{
		Now:        noon,
		Parameters: Parameters{Current: parameter(names.Current, newKeyed), Previous: parameter(names.Previous, oldKey), Switch: parameter(names.Switch, "true")},
		Platform: &Platform{Project: "p", Readiness: Readiness{URL: "u", Ready: true}, Services: []Service{
			{Role: RoleBackend, Container: "b", State: "running", StartedAt: written.Add(time.Minute)},
			{Role: RoleCron, Container: "c", State: "running", StartedAt: written.Add(2 * time.Minute)},
		}},
		Records: records,
	}
}

func asked() Asked { return Asked{App: "app", RotationID: "r1", Tool: "test"} }

// entry is the ledger's of the rotation that is watched.
func entry() custody.Entry {
	return custody.Entry{App: "app", RotationID: "r1", Stage: custody.StagePrepared, Previous: quick{}.Of(secret.New(oldKey)), Current: quick{}.Of(secret.New(newKeyed))}
}
