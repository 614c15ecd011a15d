package rotation

import (
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/proof"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// The tests' installation: no network, no file, no clock, and a fingerprint that costs nothing.

const (
	oldKey   = "OLDkeyOLDkeyOLDkeyOLDkeyOLDkey12"
	newKeyed = "NEWkeyNEWkeyNEWkeyNEWkeyNEWkey34"
	thirdKey = "ODDkeyODDkeyODDkeyODDkeyODDkey56"
)

const document = `{
	"TOWER_LICENSE": {
		"ssm_key": "/config/app/tower/license",
		"value": "abc"
	},
	"TOWER_CRYPTO_SECRET": {
		"ssm_key": "/config/app/tower/crypto/secretKey",
		"value": "` + oldKey + `"
	},
	"TOWER_DB_USER": {
		"ssm_key": "/config/app/datasources/default/username",
		"value": "tower"
	}
}`

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

func printOf(key string) secret.Fingerprint { return quick{}.Of(secret.New(key)) }

func names() Names {
	return Names{Names: proof.NamesBelow("/config/app"), Omnibus: "/omnibus", Custody: "/custody/app"}
}

// store is SSM as a map: what Apply would do, without SSM.
type store map[string]Parameter

func (s store) put(name, value string) {
	p := s[name]
	seen := proof.Parameter{Name: name, Exists: true, Value: secret.New(value), Type: "SecureString", Version: p.Version + 1, Modified: noon.AddDate(0, 0, -100)}
	s[name] = Parameter{Parameter: seen, Attributes: custody.Attributes{KeyID: "alias/k", Tier: "Standard"}}
}

func (s store) get(name string) Parameter {
	if p, ok := s[name]; ok {
		return p
	}
	return Parameter{Parameter: proof.Parameter{Name: name}}
}

// observed is everything there is to see, fully observed.
func (s store) observed(t *testing.T) Observed {
	t.Helper()
	n := names()
	o := Observed{Now: noon, Caller: custody.Holder{Host: "here", Machine: "m", PID: 1}, SSM: Parameters{
		Omnibus: s.get(n.Omnibus), Current: s.get(n.Current), Previous: s.get(n.Previous), LegacyPrevious: s.get(n.LegacyPrevious),
		Switch: s.get(n.Switch), ChunkSize: s.get(n.ChunkSize), Described: true,
	}, Custody: custody.Inventory{Complete: true}}
	for _, name := range slices.Sorted(maps.Keys(s)) { // as SSM lists them: in one order
		require.NoError(t, o.Custody.Add(n.Custody, name, s[name].Value, s[name].Version, time.Time{}))
	}
	for i := range o.Custody.Locks {
		o.Custody.Locks[i].Holder.Local = true // of a process that is gone
	}
	return o
}

// carry does what Apply does for one step.
func (s store) carry(t *testing.T, step Step) {
	t.Helper()
	write := step.Write
	if write == nil {
		return
	}
	switch write.Kind {
	case Create:
		require.False(t, s.get(write.Name).Exists, "%s is created twice", write.Name)
		s.put(write.Name, write.Value.Reveal())
	case Put:
		require.GreaterOrEqual(t, s.get(write.Name).Version, write.After, "%s was not observed", write.Name)
		s.put(write.Name, write.Value.Reveal())
	case Delete:
		for _, name := range write.Names {
			delete(s, name)
		}
	}
}

func (s store) run(t *testing.T, desired Desired) Plan {
	t.Helper()
	plan, err := Make(s.observed(t), desired, quick{})
	require.NoError(t, err)
	for _, step := range plan.Steps {
		s.carry(t, step)
	}
	return plan
}

// runUntil is a run that is interrupted after a step.
func (s store) runUntil(t *testing.T, desired Desired, last Action) {
	t.Helper()
	plan, err := Make(s.observed(t), desired, quick{})
	require.NoError(t, err)
	for _, step := range plan.Steps {
		s.carry(t, step)
		if step.Action == last {
			return
		}
	}
	t.Fatalf("the plan has no step %s", last)
}

// end is what counts at the end: every parameter's value, but the locks and the ledger's times and versions.
func (s store) end() map[string]string {
	values := map[string]string{}
	for name, p := range s {
		if !strings.Contains(name, "/lock/") && !strings.Contains(name, "/ledger/") {
			values[name] = p.Value.Reveal()
		}
	}
	return values
}

// holding are the parameters that hold a key.
func (s store) holding(key string) []string {
	var found []string
	for name, p := range s {
		if strings.Contains(p.Value.Reveal(), key) {
			found = append(found, name)
		}
	}
	slices.Sort(found)
	return found
}

func idle() store {
	s := store{}
	s.put("/omnibus", document)
	s.put(names().Current, oldKey)
	return s
}

func prepared(t *testing.T) store {
	t.Helper()
	s := idle()
	s.run(t, desiredFor(StatePrepared))
	return s
}

func finalized(t *testing.T) store {
	t.Helper()
	s := prepared(t)
	s.run(t, desiredFor(StateFinalized))
	return s
}

func desiredFor(state State) Desired {
	desired := Desired{
		State: state, App: "app", Names: names(), RotationID: "r1", MadeID: "made", MadeKey: secret.New(newKeyed), Backups: []string{"snap-1"},
		Standalone: StandaloneWrite,
	}
	if state == StateFinalized {
		desired.Proof = proofOf()
	}
	return desired
}

func proofOf() *proof.Proof {
	made := &proof.Proof{
		Format: proof.Format, App: "app", RotationID: "r1", Previous: printOf(oldKey), Current: printOf(newKeyed), Verify: []proof.Verify{proof.VerifyDatabase},
		Database: "db:3306/tower", Total: 10, Proved: 9, Rewritten: 1, MadeAt: noon,
	}
	made.Sign(quick{}, secret.New(newKeyed))
	return made
}

func actions(plan Plan) []Action {
	var list []Action
	for _, step := range plan.Steps {
		list = append(list, step.Action)
	}
	return list
}
