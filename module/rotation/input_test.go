package rotation

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/proof"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

func replaced(text string) string { return strings.ReplaceAll(text, oldKey, newKeyed) }

func TestBadInputIsRefusedWithoutShowingAKey(t *testing.T) {
	set := func(edit func(store)) store { s := idle(); edit(s); return s }
	omnibus := func(was, is string) store {
		return set(func(s store) { s.put("/omnibus", strings.Replace(document, was, is, 1)) })
	}
	tests := []struct {
		name  string
		world store
		wish  func(*Desired)
		code  fault.Code
	}{
		{"omnibus absent", set(func(s store) { delete(s, "/omnibus") }), nil, fault.CodeOmnibusMissing},
		{"omnibus not JSON", omnibus("{", "["), nil, fault.CodeOmnibusNotJSON},
		{"omnibus with a comment", omnibus("{", "{ // hello\n"), nil, fault.CodeOmnibusNotJSON},
		{"a name twice", omnibus("TOWER_DB_USER", "TOWER_CRYPTO_SECRET"), nil, fault.CodeOmnibusDuplicate},
		{"no crypto secret", omnibus("TOWER_CRYPTO_SECRET", "TOWER_OTHER"), nil, fault.CodeOmnibusEntryMissing},
		{"crypto secret not a string", omnibus(`"`+oldKey+`"`, "12"), nil, fault.CodeOmnibusEntryInvalid},
		{"crypto secret empty", omnibus(`"`+oldKey+`"`, `""`), nil, fault.CodeOmnibusEntryInvalid},
		{"ssm_key of another app", omnibus("/config/app/tower/crypto", "/config/other/tower/crypto"), nil, fault.CodeAppMismatch},
		{"standalone missing", set(func(s store) { delete(s, names().Current) }), nil, fault.CodeStandaloneMissing},
		{"standalone different", set(func(s store) { s.put(names().Current, thirdKey) }), nil, fault.CodeKeyMismatch},
		{"standalone stored in clear", set(func(s store) { p := s.get(names().Current); p.Type = "String"; s[names().Current] = p }), nil, fault.CodeNotSecureString},
		{"new key equal to the old one", idle(), func(w *Desired) { w.NewKey = secret.New(oldKey) }, fault.CodeKeyUnchanged},
		{"omnibus outgrows its tier", omnibus(`"abc"`, `"`+strings.Repeat("x", 3600)+`"`), nil, fault.CodeTooLarge},
		{"escrow holds another key", set(func(s store) {
			other := prepared(t)
			text := other.get("/custody/app/escrow/" + string(printOf(oldKey))).Value.Reveal()
			s.put("/custody/app/escrow/"+string(printOf(oldKey)), strings.Replace(text, oldKey, thirdKey, 1))
		}), nil, fault.CodeEscrowConflict},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			desired := desiredFor(StatePrepared)
			if test.wish != nil {
				test.wish(&desired)
			}
			_, err := Make(test.world.observed(t), desired, quick{})
			require.Error(t, err)
			assert.Equal(t, test.code, fault.CodeOf(err), err.Error())
			assert.NotContains(t, err.Error(), "was written", "who plans does not know what was written")
			for _, key := range []string{oldKey, newKeyed, thirdKey} {
				assert.NotContains(t, err.Error(), key)
			}
		})
	}
}

func TestALargerTierNeedsTheOperatorsWord(t *testing.T) {
	s := idle()
	s.put("/omnibus", strings.Replace(document, `"abc"`, `"`+strings.Repeat("x", 3600)+`"`, 1))
	desired := desiredFor(StatePrepared)
	desired.AllowAdvanced = true
	plan, err := Make(s.observed(t), desired, quick{})
	require.NoError(t, err)
	for _, step := range plan.Steps {
		if step.Action == ActPutOmnibus {
			assert.Equal(t, "Advanced", step.Write.Tier)
		} else if step.Write.Kind != Delete {
			assert.NotEqual(t, "Advanced", step.Write.Tier, step.Action)
		}
	}
}

func TestALedgerEntryThatWouldOutgrowItsTierKeepsTheProofsDigest(t *testing.T) {
	for _, long := range []bool{false, true} {
		world := prepared(t).observed(t)
		if long {
			world.Custody.Ledger[0].Backups = []string{strings.Repeat("b", 3500)}
		}
		plan, err := Make(world, desiredFor(StateFinalized), quick{})
		require.NoError(t, err)
		for _, step := range plan.Steps {
			if step.Action == ActRecordProof || step.Action == ActRecordFinished {
				assert.LessOrEqual(t, step.Write.Value.Len(), standardLimit)
				assert.Contains(t, step.Write.Value.Reveal(), `"proof_digest"`)
				assert.Equal(t, !long, strings.Contains(step.Write.Value.Reveal(), `"proof":`))
			}
		}
	}
}

func TestEachWrongProofIsRefusedWithItsOwnMessage(t *testing.T) {
	tests := []struct {
		name string
		edit func(*proof.Proof)
		code fault.Code
		says string
	}{
		{"another installation", func(p *proof.Proof) { p.App = "other"; p.Sign(quick{}, secret.New(newKeyed)) }, fault.CodeProofMismatch, "another installation"},
		{"another rotation", func(p *proof.Proof) { p.RotationID = "r0"; p.Sign(quick{}, secret.New(newKeyed)) }, fault.CodeProofMismatch, "another rotation"},
		{"other keys", func(p *proof.Proof) { p.Previous = printOf(thirdKey); p.Sign(quick{}, secret.New(newKeyed)) }, fault.CodeProofMismatch, "other keys"},
		{"a record left", func(p *proof.Proof) { p.Proved--; p.Sign(quick{}, secret.New(newKeyed)) }, fault.CodeProofIncomplete, "9 of 10"},
		{"over no records", func(p *proof.Proof) { p.Total, p.Proved = 0, 0; p.Sign(quick{}, secret.New(newKeyed)) }, fault.CodeProofIncomplete, "covers no records"},
		{"edited afterwards", func(p *proof.Proof) { p.Total, p.Proved = 1, 0; p.Rewritten = 1 }, fault.CodeProofMismatch, "mac"},
		{"older than the parameters", func(p *proof.Proof) { p.MadeAt = noon.Add(-time.Hour); p.Sign(quick{}, secret.New(newKeyed)) }, fault.CodeProofTooOld, "before the parameters were last written"},
		{"signed with another key", func(p *proof.Proof) { p.Sign(quick{}, secret.New(oldKey)) }, fault.CodeProofMismatch, "mac"},
	}
	world := prepared(t).observed(t)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			desired := desiredFor(StateFinalized)
			test.edit(desired.Proof)
			_, err := Make(world, desired, quick{})
			require.Error(t, err)
			assert.Equal(t, test.code, fault.CodeOf(err))
			assert.ErrorContains(t, err, test.says)
		})
	}
}

func TestTheLedgerNamesTheBaselineThatWasTakenLastBeforeTheOmnibusChanged(t *testing.T) {
	s := idle()
	desired := desiredFor(StatePrepared)
	desired.Baseline = &custody.Baseline{Path: "/b", Digest: "first", Total: 3, TakenAt: noon}
	plan, err := Make(s.observed(t), desired, quick{})
	require.NoError(t, err)
	for _, step := range plan.Steps {
		if step.Action == ActPutOmnibus {
			break // interrupted
		}
		s.carry(t, step)
	}
	desired.Baseline = &custody.Baseline{Digest: "second"}
	plan, err = Make(s.observed(t), desired, quick{})
	require.NoError(t, err)
	assert.Equal(t, "second", plan.Baseline.Digest)
	for _, step := range plan.Steps {
		s.carry(t, step)
	}
	desired.Baseline = &custody.Baseline{Digest: "third"}
	plan, err = Make(s.observed(t), desired, quick{})
	require.NoError(t, err)
	assert.False(t, plan.Writes())
	assert.Equal(t, "second", plan.Baseline.Digest, "it is told to a run that continues")
}
