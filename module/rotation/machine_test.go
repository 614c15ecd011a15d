package rotation

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/omnibus"
	"github.com/seqera-tools/crypto-rotation/module/proof"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// machine is one installation whose operators do anything, with any options, interrupted anywhere, now and then with terraform
// in between and keys that somebody left; rapid shrinks a history that breaks a promise.
type machine struct {
	t     *testing.T
	s     store
	made  int
	inUse map[string]bool // every key that the Platform has had or been given
}

func TestPlanner_anyHistory(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := &machine{t: t, s: idle(), inUse: map[string]bool{oldKey: true}}
		if rapid.Bool().Draw(rt, "leftover") {
			where := rapid.SampledFrom([]string{names().LegacyPrevious, names().Previous}).Draw(rt, "where")
			m.s.put(where, thirdKey)
			m.inUse[thirdKey] = true
		}
		rt.Repeat(map[string]func(*rapid.T){
			"prepared":  m.prepared,
			"finalized": func(rt *rapid.T) { m.end(rt, StateFinalized, proof.Complete) },
			"aborted":   func(rt *rapid.T) { m.end(rt, StateAborted, proof.Untouched) },
			"reversed":  m.reversed,
			"terraform": m.terraform,
			"":          m.promises,
		})
	})
}

func (m *machine) desired(rt *rapid.T, state State) Desired {
	m.made++
	desired := desiredFor(state)
	desired.Proof, desired.MadeID = nil, fmt.Sprint("made", m.made)
	desired.RotationID = rapid.SampledFrom([]string{"r1", "r2", ""}).Draw(rt, "rotation_id")
	desired.MadeKey = secret.New(fmt.Sprintf("KEY%03dKEYKEYKEYKEYKEYKEYKEYKEY00", m.made))
	return desired
}

func (m *machine) prepared(rt *rapid.T) {
	desired := m.desired(rt, StatePrepared)
	escrow := m.s.observed(m.t).Custody.Escrow
	switch key := rapid.SampledFrom([]string{"made", "made", "given", "from escrow"}).Draw(rt, "key"); {
	case key == "given":
		desired.NewKey = secret.New(rapid.SampledFrom([]string{"GIVEN1GIVENGIVENGIVENGIVENGIVEN", "GIVEN2GIVENGIVENGIVENGIVENGIVEN"}).Draw(rt, "new_secret"))
	case key == "from escrow" && len(escrow) > 0:
		desired.FromEscrow = escrow[rapid.IntRange(0, len(escrow)-1).Draw(rt, "which")].Fingerprint
	}
	if size := rapid.SampledFrom([]int{0, 0, 100, 200}).Draw(rt, "chunk_size"); size > 0 {
		desired.ChunkSize = &size
	}
	if rapid.IntRange(0, 4).Draw(rt, "standalone: delete") == 0 {
		desired.Standalone = StandaloneDelete
	}
	desired.CaptureOnly = rapid.IntRange(0, 3).Draw(rt, "capture_only") == 0
	if dir := rapid.SampledFrom([]string{"", "/a", "/b"}).Draw(rt, "platform"); dir != "" {
		desired.Platform = &custody.Platform{Project: "p", Dir: dir}
	}
	desired.Backups = rapid.SampledFrom([][]string{{"b1"}, {"b1", "b2"}, {"b3"}}).Draw(rt, "backups")
	before := m.s.end()
	plan, done := m.carryOut(rt, desired)
	if !done {
		return
	}
	inventory := m.s.observed(m.t).Custody
	current, previous := m.value(rt, EntryCurrent), m.value(rt, EntryPrevious)
	if desired.CaptureOnly {
		for _, name := range []string{names().Omnibus, names().Current, names().Previous, names().Switch, names().ChunkSize} {
			require.Equal(rt, before[name], m.s.end()[name], "capture_only changes nothing of the Platform's")
		}
		return
	}
	if plan.Phase != PhasePrepared {
		return
	}
	require.NotEmpty(rt, previous)
	require.Equal(rt, "true", m.value(rt, EntrySwitch))
	if desired.Standalone == StandaloneWrite {
		require.Equal(rt, current, m.s.get(names().Current).Value.Reveal())
		require.Equal(rt, previous, m.s.get(names().Previous).Value.Reveal())
		require.Equal(rt, "true", m.s.get(names().Switch).Value.Reveal())
		require.Equal(rt, m.value(rt, EntryChunkSize), m.s.get(names().ChunkSize).Value.Reveal())
	}
	if desired.ChunkSize != nil {
		require.Equal(rt, strconv.Itoa(*desired.ChunkSize), m.value(rt, EntryChunkSize))
	}
	retiring, held := inventory.Find(printOf(previous))
	require.True(rt, held, "the old key is in escrow")
	if entry, _ := inventory.Entry(plan.RotationID); !entry.Reversed() { // whose backups the old key opens, which is the current one
		require.Empty(rt, retiring.Unlinked(desired.Backups), "and tied to every backup that was named")
	}
	_, held = inventory.Find(printOf(current))
	require.True(rt, held, "the new key is in escrow")
	if !desired.NewKey.IsEmpty() {
		require.Equal(rt, desired.NewKey.Reveal(), current)
	}
	if desired.FromEscrow != "" {
		require.Equal(rt, desired.FromEscrow, printOf(current))
	}
}

// end is finalized or aborted, with the proof that a scan would have made.
func (m *machine) end(rt *rapid.T, state State, kind proof.Kind) {
	desired := m.desired(rt, state)
	inventory := m.s.observed(m.t).Custody
	open, ok := inventory.Open()
	if ok {
		signer := open.Current
		if kind == proof.Untouched {
			signer = open.Previous
		}
		if kept, held := inventory.Find(signer); held {
			desired.Proof = &proof.Proof{
				Format: proof.Format, Kind: kind, App: "app", RotationID: open.RotationID, Previous: open.Previous, Current: open.Current,
				Verify: []proof.Verify{proof.VerifyDatabase}, Database: "db", Total: 1, Proved: 1, Stopped: kind == proof.Untouched, MadeAt: noon,
			}
			desired.Proof.Sign(quick{}, kept.Key)
		}
	}
	plan, done := m.carryOut(rt, desired)
	if !done || !plan.Writes() || !ok || plan.RotationID != open.RotationID || plan.Phase == PhasePrepared { // it continues to go back
		return
	}
	for _, entry := range []string{EntryPrevious, EntrySwitch, EntryChunkSize} {
		require.Empty(rt, m.value(rt, entry), "no trace is left in the omnibus")
	}
	for _, name := range []string{names().Previous, names().LegacyPrevious, names().Switch, names().ChunkSize} {
		require.False(rt, m.s.get(name).Exists, "no trace is left: %s", name)
	}
	want := open.Current
	if state == StateAborted {
		want = open.Previous
	}
	require.Equal(rt, want, printOf(m.value(rt, EntryCurrent)))
}

// reversed goes back with the keys in each other's place.
func (m *machine) reversed(rt *rapid.T) {
	desired := m.desired(rt, StateAborted)
	desired.Reverse = true
	inventory := m.s.observed(m.t).Custody
	open, ok := inventory.Open()
	plan, done := m.carryOut(rt, desired)
	if !done || !ok || plan.Phase != PhasePrepared {
		return
	}
	want := open.Previous
	if open.Reversed() {
		want = open.Current
	}
	require.Equal(rt, want, printOf(m.value(rt, EntryCurrent)), "the old key is the current one")
	require.NotEmpty(rt, m.value(rt, EntryPrevious))
	require.Equal(rt, "true", m.value(rt, EntrySwitch))
}

func (m *machine) terraform(*rapid.T) {
	document, err := omnibus.Parse([]byte(m.s.get("/omnibus").Value.Reveal()))
	require.NoError(m.t, err)
	for _, name := range []string{EntryCurrent, EntryPrevious, EntrySwitch, EntryChunkSize} {
		if entry, ok, _ := document.Find(name); ok && m.s.get(entry.SSMKey).Value.Reveal() != entry.Value {
			m.s.put(entry.SSMKey, entry.Value)
		}
	}
}

// carryOut runs a plan, or the beginning of it. done: to its end; then a second run changes nothing.
func (m *machine) carryOut(rt *rapid.T, desired Desired) (Plan, bool) {
	plan, err := Make(m.s.observed(m.t), desired, quick{})
	if err != nil {
		require.NotEqual(rt, fault.CodeInternal, fault.CodeOf(err), "a state of the world is no mistake of this tool: %s", err)
		return plan, false
	}
	steps := len(plan.Steps)
	if rapid.IntRange(0, 2).Draw(rt, "cut") == 0 {
		steps = rapid.IntRange(0, steps).Draw(rt, "after")
	}
	for _, step := range plan.Steps[:steps] {
		m.s.carry(m.t, step)
		m.promises(rt)
	}
	if steps < len(plan.Steps) {
		return plan, false
	}
	again, err := Make(m.s.observed(m.t), desired, quick{})
	require.NoError(rt, err, "a second run")
	require.False(rt, again.Writes(), "a second run writes: %v", actions(again))
	return plan, true
}

// promises hold at every instant.
func (m *machine) promises(rt *rapid.T) {
	m.inUse[m.s.get(names().Current).Value.Reveal()] = true
	delete(m.inUse, "")
	for key := range m.inUse {
		require.NotEmpty(rt, m.s.holding(key), "key %.6s is lost", key)
	}
	open := 0
	for _, entry := range m.s.observed(m.t).Custody.Ledger {
		if !entry.Stage.Over() {
			open++
		}
	}
	require.LessOrEqual(rt, open, 1, "one rotation at a time")
}

func (m *machine) value(rt *rapid.T, name string) string {
	document, err := omnibus.Parse([]byte(m.s.get("/omnibus").Value.Reveal()))
	require.NoError(rt, err)
	entry, _, err := document.Find(name)
	require.NoError(rt, err)
	return entry.Value
}
