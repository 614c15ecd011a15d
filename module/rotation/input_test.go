package rotation

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

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
		wish  func(*Wish)
		code  Code
	}{
		{"omnibus absent", set(func(s store) { delete(s, "/omnibus") }), nil, CodeOmnibusMissing},
		{"omnibus not JSON", omnibus("{", "["), nil, CodeOmnibusNotJSON},
		{"omnibus with a comment", omnibus("{", "{ // hello\n"), nil, CodeOmnibusNotJSON},
		{"a name twice", omnibus("TOWER_DB_USER", "TOWER_CRYPTO_SECRET"), nil, CodeOmnibusDuplicate},
		{"no crypto secret", omnibus("TOWER_CRYPTO_SECRET", "TOWER_OTHER"), nil, CodeOmnibusEntryMissing},
		{"crypto secret not a string", omnibus(`"`+oldKey+`"`, "12"), nil, CodeOmnibusEntryInvalid},
		{"crypto secret empty", omnibus(`"`+oldKey+`"`, `""`), nil, CodeOmnibusEntryInvalid},
		{"ssm_key of another app", omnibus("/config/app/tower/crypto", "/config/other/tower/crypto"), nil, CodeAppMismatch},
		{"standalone missing", set(func(s store) { delete(s, names().Current) }), nil, CodeStandaloneMissing},
		{"standalone different", set(func(s store) { s.put(names().Current, thirdKey) }), nil, CodeKeyMismatch},
		{"standalone stored in clear", set(func(s store) { p := s.get(names().Current); p.Type = "String"; s[names().Current] = p }), nil, CodeNotSecureString},
		{"new key equal to the old one", idle(), func(w *Wish) { w.NewKey = secret.New(oldKey) }, CodeKeyUnchanged},
		{"omnibus outgrows its tier", omnibus(`"abc"`, `"`+strings.Repeat("x", 3600)+`"`), nil, CodeTooLarge},
		{"escrow holds another key", set(func(s store) {
			other := prepared(t)
			text := other.get("/custody/app/escrow/" + string(printOf(oldKey))).Value.Reveal()
			s.put("/custody/app/escrow/"+string(printOf(oldKey)), strings.Replace(text, oldKey, thirdKey, 1))
		}), nil, CodeEscrowConflict},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			wish := wishFor(StatePrepared)
			if test.wish != nil {
				test.wish(&wish)
			}
			_, err := Make(test.world.world(t), wish, quick{})
			require.Error(t, err)
			assert.Equal(t, test.code, codeOf(err), err.Error())
			assert.Contains(t, err.Error(), "Nothing was written.")
			for _, key := range []string{oldKey, newKeyed, thirdKey} {
				assert.NotContains(t, err.Error(), key)
			}
		})
	}
}

func TestALargerTierNeedsTheOperatorsWord(t *testing.T) {
	s := idle()
	s.put("/omnibus", strings.Replace(document, `"abc"`, `"`+strings.Repeat("x", 3600)+`"`, 1))
	wish := wishFor(StatePrepared)
	wish.AllowAdvanced = true
	plan, err := Make(s.world(t), wish, quick{})
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
		world := prepared(t).world(t)
		if long {
			world.Custody.Ledger[0].Backups = []string{strings.Repeat("b", 3500)}
		}
		plan, err := Make(world, wishFor(StateFinalized), quick{})
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
		edit func(*Proof)
		code Code
		says string
	}{
		{"another installation", func(p *Proof) { p.App = "other"; p.Sign(quick{}, secret.New(newKeyed)) }, CodeProofMismatch, "another installation"},
		{"another rotation", func(p *Proof) { p.RotationID = "r0"; p.Sign(quick{}, secret.New(newKeyed)) }, CodeProofMismatch, "another rotation"},
		{"other keys", func(p *Proof) { p.Previous = printOf(thirdKey); p.Sign(quick{}, secret.New(newKeyed)) }, CodeProofMismatch, "other keys"},
		{"a record left", func(p *Proof) { p.Proved--; p.Sign(quick{}, secret.New(newKeyed)) }, CodeProofIncomplete, "9 of 10"},
		{"over no records", func(p *Proof) { p.Total, p.Proved = 0, 0; p.Sign(quick{}, secret.New(newKeyed)) }, CodeProofIncomplete, "no records at all"},
		{"edited afterwards", func(p *Proof) { p.Total, p.Proved = 1, 0; p.Rewritten = 1 }, CodeProofMismatch, "mac"},
		{"signed with another key", func(p *Proof) { p.Sign(quick{}, secret.New(oldKey)) }, CodeProofMismatch, "mac"},
	}
	world := prepared(t).world(t)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			wish := wishFor(StateFinalized)
			test.edit(wish.Proof)
			_, err := Make(world, wish, quick{})
			require.Error(t, err)
			assert.Equal(t, test.code, codeOf(err))
			assert.ErrorContains(t, err, test.says)
		})
	}
}

func TestRotatingProvesTheOrderBeforeTheRecords(t *testing.T) {
	changed := noon.AddDate(0, 0, -100) // when store.put says it wrote
	at := func(minutes int) time.Time { return changed.Add(time.Duration(minutes) * time.Minute) }
	backend := Service{Name: "backend", Role: RoleBackend, Container: "b", State: "running", StartedAt: at(1)}
	cron := Service{Name: "cron", Role: RoleCron, Container: "c", State: "running", StartedAt: at(3)}
	tests := []struct {
		name    string
		backend func(*Service)
		cron    func(*Service)
		unready bool
		records *Records
		known   []Known
		readyAt time.Time
		ahead   time.Duration
		phase   Phase
		pending Code
		code    Code
	}{
		{name: "all in order and every record new", records: &Records{Exact: true, Total: 3, Current: 2, Orphaned: 1, Rewritten: 1}, phase: PhaseRotated},
		{name: "of an empty database nothing is proved", records: &Records{Exact: true}, code: CodeRecordsMissing},
		{name: "nor of one that lost most of its records", records: &Records{Exact: true, Total: 49, Current: 49, Before: &Before{Total: 100, Removed: 51}}, code: CodeRecordsMissing},
		{name: "half of them may be removed", records: &Records{Exact: true, Total: 50, Current: 50, Before: &Before{Total: 100, Removed: 50}}, phase: PhaseRotated},
		{name: "nor where the total alone is known of a baseline", records: &Records{Exact: true, Total: 3, Current: 3}, known: []Known{{7, "the baseline"}}, code: CodeRecordsMissing},
		{name: "one record left", records: &Records{Exact: true, Total: 3, Current: 2, Previous: 1}, phase: PhaseRotating, pending: CodeWaitTimeout},
		{name: "a count that is not of one instant is not a proof", records: &Records{Total: 3, Current: 3}, phase: PhaseRotating, pending: CodeWaitTimeout},
		{name: "a record that changed while it was read is not proved", records: &Records{Exact: true, Total: 3, Current: 2, Unseen: 1}, phase: PhaseRotating, pending: CodeWaitTimeout},
		{name: "an orphan that nobody rewrote is not proved", records: &Records{Exact: true, Total: 3, Current: 2, Orphaned: 1, Before: &Before{Total: 3}}, phase: PhaseRotating, pending: CodeWaitTimeout},
		{name: "nor while others are left", records: &Records{Exact: true, Total: 3, Current: 1, Previous: 1, Orphaned: 1}, phase: PhaseRotating, pending: CodeWaitTimeout},
		{name: "without a baseline waiting for an orphan is in vain", records: &Records{Exact: true, Total: 3, Current: 2, Orphaned: 1}, code: CodeBaselineMissing},
		{name: "an unreadable record while others are left waits", records: &Records{Exact: true, Total: 3, Current: 1, Previous: 1, Unreadable: 1}, phase: PhaseRotating, pending: CodeWaitTimeout},
		{name: "only an unreadable record is left", records: &Records{Exact: true, Total: 3, Current: 2, Unreadable: 1, Unread: []Unread{{ID: "x"}}}, code: CodeRecordsUnreadable},
		{name: "backend started before the parameters changed", backend: func(s *Service) { s.StartedAt = at(-1) }, code: CodePlatformOrder},
		{name: "nor may SSM's clock, which is ahead, make it look as if it had not", ahead: 5 * time.Minute, backend: func(s *Service) { s.StartedAt = at(-4) }, cron: func(s *Service) { s.StartedAt = at(-1) }, records: &Records{Exact: true, Total: 1, Current: 1}, phase: PhaseRotated},
		{name: "nor one that is behind as if it had", ahead: -5 * time.Minute, backend: func(s *Service) { s.StartedAt = at(4) }, cron: func(s *Service) { s.StartedAt = at(6) }, code: CodePlatformOrder},
		{name: "within the second to which SSM's clock is known", backend: func(s *Service) { s.StartedAt = changed.Add(-clockGrain / 2) }, records: &Records{Exact: true, Total: 1, Current: 1}, phase: PhaseRotated},
		{name: "a backend that restarts later has both keys", readyAt: at(2), backend: func(s *Service) { s.StartedAt, s.RestartCount = at(90), 1 }, records: &Records{Exact: true, Total: 1, Current: 1}, phase: PhaseRotated},
		{name: "also one that somebody restarts", readyAt: at(2), backend: func(s *Service) { s.StartedAt = at(90) }, records: &Records{Exact: true, Total: 1, Current: 1}, phase: PhaseRotated},
		{name: "also where nobody says when they were ready", backend: func(s *Service) { s.StartedAt, s.RestartCount = at(90), 1 }, records: &Records{Exact: true, Total: 1, Current: 1}, phase: PhaseRotated},
		{name: "backend not running yet", backend: func(s *Service) { s.State = "created" }, phase: PhasePrepared, pending: CodePlatformNotReady},
		{name: "backend not ready yet", unready: true, phase: PhasePrepared, pending: CodePlatformNotReady},
		{name: "cron not started yet", cron: func(s *Service) { s.State, s.StartedAt = "created", time.Time{} }, phase: PhasePrepared, pending: CodePlatformNotReady},
		{name: "cron started before the backend", cron: func(s *Service) { s.StartedAt = at(0) }, code: CodePlatformOrder},
		{name: "cron started before the backends were ready", readyAt: at(4), code: CodePlatformOrder},
		{name: "cron started after the backends were ready", readyAt: at(2), records: &Records{Exact: true, Total: 1, Current: 1}, phase: PhaseRotated},
		{name: "cron fell over", cron: func(s *Service) { s.State, s.ExitCode, s.FinishedAt = "exited", 1, at(4) }, code: CodeCronFailed},
		{name: "cron restarts", cron: func(s *Service) { s.RestartCount = 2 }, code: CodeCronFailed},
		{name: "cron that ended well is no failure", cron: func(s *Service) { s.State, s.FinishedAt = "exited", at(4) }, records: &Records{Exact: true, Total: 1, Current: 1}, phase: PhaseRotated},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b, c := backend, cron
			if test.backend != nil {
				test.backend(&b)
			}
			if test.cron != nil {
				test.cron(&c)
			}
			w := prepared(t).world(t)
			w.Platform = &Platform{Project: "p", Services: []Service{b, c}, Readiness: Readiness{URL: "u", Ready: !test.unready, Detail: "no answer"}}
			w.Records, w.Known, w.SSM.Ahead = test.records, test.known, test.ahead
			wish := wishFor(StateRotating)
			wish.BackendsReadyAt = test.readyAt
			plan, err := Make(w, wish, quick{})
			if test.code != "" {
				require.Error(t, err)
				assert.Equal(t, test.code, codeOf(err), err.Error())
				return
			}
			require.NoError(t, err)
			assert.Equal(t, test.phase, plan.Phase)
			assert.False(t, plan.Writes())
			if test.pending == "" {
				require.Nil(t, plan.Pending)
				require.NotNil(t, plan.Proof)
				entry, _ := w.Custody.Entry("r1")
				require.NoError(t, plan.Proof.fits(noon, wishFor(StateFinalized), entry, quick{}, secret.New(newKeyed)))
				return
			}
			require.NotNil(t, plan.Pending)
			assert.Equal(t, test.pending, plan.Pending.Code)
			assert.Nil(t, plan.Proof, "never a proof before it is complete")
		})
	}
}
