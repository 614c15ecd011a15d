package proof

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

func TestRecordsThatWereUnreadableBeforeArePassedOverByNameAndNoOthers(t *testing.T) {
	before := &Before{Digest: "d", Total: 5}
	lost := func(ids ...Unread) *Records {
		return &Records{Exact: true, Total: 5, Current: 5 - len(ids), Unreadable: len(ids), Unread: ids, Before: before}
	}
	tests := []struct {
		name    string
		records *Records
		accept  []string
		code    fault.Code
		words   []string
		reasons []string
	}{
		{
			name: "named and unreadable before", records: lost(Unread{ID: "a", Before: true}, Unread{ID: "b", Before: true, Changed: true}), accept: []string{"b", "a", "unheard of"},
			reasons: []string{
				"unreadable before the rotation and unchanged since; skipped by accept_unreadable",
				"unreadable before the rotation, changed since and still unreadable; skipped by accept_unreadable",
			},
		},
		{name: "unreadable before but not named", records: lost(Unread{ID: "a", Before: true}), code: fault.CodeRecordsUnreadable, words: []string{"already unreadable before the rotation: a", "accept_unreadable"}},
		{name: "named but readable before", records: lost(Unread{ID: "a"}), accept: []string{"a"}, code: fault.CodeRecordsUnreadable, words: []string{"readable before the rotation or did not exist: a", "skips only records that were already unreadable in the baseline"}},
		{name: "one of each", records: lost(Unread{ID: "a", Before: true}, Unread{ID: "b"}), accept: []string{"a"}, code: fault.CodeRecordsUnreadable, words: []string{"2 of 5", "did not exist: b"}},
		{name: "named, without a baseline", records: &Records{Exact: true, Total: 1, Unreadable: 1, Unread: []Unread{{ID: "a"}}}, accept: []string{"a"}, code: fault.CodeRecordsUnreadable, words: []string{"no baseline"}},
		{name: "more than are judged one by one", records: &Records{Exact: true, Total: 3, Current: 1, Unreadable: 2, Unread: []Unread{{ID: "a", Before: true}}, Before: before}, accept: []string{"a"}, code: fault.CodeWaitTimeout},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			verdict, err := Judge(watched(test.records), Asked{App: "app", RotationID: "r1", Accept: test.accept}, quick{})
			if verdict.Pending != nil {
				err = verdict.Pending
			}
			if test.code != "" {
				require.Error(t, err)
				assert.Equal(t, test.code, fault.CodeOf(err))
				for _, word := range test.words {
					assert.ErrorContains(t, err, word)
				}
				assert.Nil(t, verdict.Proof)
				return
			}
			require.NoError(t, err)
			require.NotNil(t, verdict.Proof)
			var reasons []string
			for _, exception := range verdict.Proof.Exceptions {
				reasons = append(reasons, exception.Reason)
			}
			assert.Equal(t, test.reasons, reasons)
			assert.Equal(t, verdict.Proof.Total, verdict.Proof.Proved+verdict.Proof.Rewritten+len(verdict.Proof.Exceptions))
			assert.InDelta(t, 100, verdict.Progress.Percent, 0)
		})
	}
}

func TestALostBaselineStopsNothingThatDoesNotNeedIt(t *testing.T) {
	for _, test := range []struct {
		name    string
		records *Records
		code    fault.Code
		words   string
	}{
		{"all under the new key", &Records{Exact: true, Total: 5, Current: 5}, "", ""},
		{"one of no credential", &Records{Exact: true, Total: 5, Current: 4, Orphaned: 1}, fault.CodeBaselineMissing, "the records of it are lost."},
		{"an unreadable one", &Records{Exact: true, Total: 5, Current: 4, Unreadable: 1, Unread: []Unread{{ID: "a"}}}, fault.CodeRecordsUnreadable, "there is no baseline"},
		{"fewer than half of its number", &Records{Exact: true, Total: 2, Current: 2, Database: "db:3306/tower"}, fault.CodeRecordsMissing, "db:3306/tower has 2 encrypted records, fewer than half of the 5"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := watched(test.records)
			w.BaselineLost, w.Known = "the records of it are lost.", []Known{{5, "the baseline"}}
			verdict, err := Judge(w, asked(), quick{})
			if test.code != "" {
				assert.Equal(t, test.code, fault.CodeOf(err))
				assert.ErrorContains(t, err, test.words)
				return
			}
			require.NoError(t, err)
			require.NotNil(t, verdict.Proof)
			assert.Nil(t, verdict.Proof.Before)
			assert.Contains(t, verdict.Warnings, w.BaselineLost)
			entry := entry()
			entry.Baseline = &custody.Baseline{Digest: "d", Total: 5}
			require.NoError(t, verdict.Proof.ValidateComplete(noon, "app", entry, quick{}, secret.New(newKeyed)), "finalized takes it as well")
		})
	}
}

func TestTheOtherWaysAreInTheProofAsWhatTheyAre(t *testing.T) {
	all := &Records{Exact: true, Total: 2, Current: 2}
	tests := []struct {
		name    string
		verify  []Verify
		records *Records
		pending bool
		warned  int
		total   int
	}{
		{name: "attested", verify: []Verify{VerifyAttested}, warned: 1},
		{name: "both, of which the records are not there", verify: []Verify{VerifyAttested, VerifyDatabase}, records: &Records{Exact: true, Total: 2, Current: 1, Previous: 1}, pending: true},
		{name: "both", verify: []Verify{VerifyAttested, VerifyDatabase}, records: all, warned: 1, total: 2},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			verdict, err := Judge(watched(test.records), Asked{App: "app", RotationID: "r1", Verify: test.verify, AttestedBy: "Ada"}, quick{})
			require.NoError(t, err)
			assert.Equal(t, test.pending, verdict.Pending != nil)
			assert.Equal(t, test.pending, verdict.Proof == nil)
			if test.pending {
				return
			}
			assert.Len(t, verdict.Warnings, test.warned)
			assert.Len(t, verdict.Proof.Verify, len(test.verify))
			assert.Equal(t, test.total, verdict.Proof.Total)
			require.NoError(t, verdict.Proof.ValidateComplete(noon, "app", entry(), quick{}, secret.New(newKeyed)))
			if test.total == 0 {
				assert.Contains(t, verdict.Proof.Says(), "No record was opened")
			}
		})
	}
}

func TestEachReasonToRefuseAProofHasItsOwnMessage(t *testing.T) {
	key := secret.New(newKeyed)
	entry := entry()
	entry.Baseline = &custody.Baseline{Digest: "the ledger's"}
	whole := func() *Proof {
		return &Proof{
			Format: Format, App: "app", RotationID: "r1", Previous: entry.Previous, Current: entry.Current, Verify: []Verify{VerifyDatabase}, MadeAt: noon,
			Total: 10, Proved: 7, Rewritten: 1, Exceptions: []Exception{{ID: "a"}, {ID: "b"}}, Before: &Before{Digest: "the ledger's", Total: 9, Created: 3, Removed: 2},
		}
	}
	provisional, of := whole(), entry
	provisional.Sign(quick{}, key)
	of.Baseline = &custody.Baseline{Digest: provisional.Before.Digest, Provisional: true}
	require.ErrorContains(t, provisional.ValidateComplete(noon, "app", of, quick{}, key), "still writing")
	good := whole()
	good.Sign(quick{}, key)
	require.NoError(t, good.ValidateComplete(noon.Add(time.Hour), "app", entry, quick{}, key))
	seen := map[string]string{}
	for name, test := range map[string]struct {
		change   func(*Proof)
		code     fault.Code
		unsigned bool
	}{
		"another installation":       {func(p *Proof) { p.App = "other" }, fault.CodeProofMismatch, false},
		"another rotation":           {func(p *Proof) { p.RotationID = "r0" }, fault.CodeProofMismatch, false},
		"another key":                {func(p *Proof) { p.Previous = "0123" }, fault.CodeProofMismatch, false},
		"no way":                     {func(p *Proof) { p.Verify = nil }, fault.CodeProofIncomplete, false},
		"one record short":           {func(p *Proof) { p.Proved-- }, fault.CodeProofIncomplete, false},
		"one exception short":        {func(p *Proof) { p.Exceptions = p.Exceptions[:1] }, fault.CodeProofIncomplete, false},
		"before does not add up":     {func(p *Proof) { p.Before.Created++ }, fault.CodeProofIncomplete, false},
		"a way that proves nothing":  {func(p *Proof) { p.Verify = []Verify{"logs"} }, fault.CodeProofIncomplete, false},
		"a person who is not named":  {func(p *Proof) { p.Verify = []Verify{VerifyAttested} }, fault.CodeProofIncomplete, false},
		"edited by one character":    {func(p *Proof) { p.Exceptions[0].ID = "c" }, fault.CodeProofMismatch, true},
		"edited, but adds up":        {func(p *Proof) { p.Total++; p.Proved++; p.Before.Created++ }, fault.CodeProofMismatch, true},
		"another baseline":           {func(p *Proof) { p.Before.Digest = "another" }, fault.CodeProofMismatch, false},
		"too old":                    {func(p *Proof) { p.MadeAt = noon.Add(-23*time.Hour - time.Second) }, fault.CodeProofTooOld, false},
		"of the future":              {func(p *Proof) { p.MadeAt = noon.Add(2 * time.Hour) }, fault.CodeProofTooOld, false},
		"made with another key":      {func(p *Proof) { p.Sign(quick{}, secret.New(oldKey)) }, fault.CodeProofMismatch, true},
		"weaker than it was made as": {func(p *Proof) { p.Verify = []Verify{VerifyAttested}; p.AttestedBy = "Ada" }, fault.CodeProofMismatch, true},
	} {
		t.Run(name, func(t *testing.T) {
			p := whole()
			p.Sign(quick{}, key)
			test.change(p)
			if !test.unsigned {
				p.Sign(quick{}, key)
			}
			err := p.ValidateComplete(noon.Add(time.Hour), "app", entry, quick{}, key)
			require.Error(t, err)
			assert.Equal(t, test.code, fault.CodeOf(err))
			if !test.unsigned {
				assert.Empty(t, seen[err.Error()], "the same message")
				seen[err.Error()] = name
			}
		})
	}
	assert.Error(t, (*Proof)(nil).ValidateComplete(noon, "app", entry, quick{}, key))
}

func TestALedgerEntryDoesNotOutgrowItsParameterForManyExceptions(t *testing.T) {
	p := Proof{Verify: []Verify{VerifyDatabase}, Total: 500}
	for range 500 {
		p.Exceptions = append(p.Exceptions, Exception{ID: "AAAAAAAAAAAAAAAAAAAAAA==", Reason: "unreadable before the rotation"})
	}
	p.NotLookedAt = slices.Repeat([]string{strings.Repeat("a table, ", 20)}, 7)
	brief := p.Brief()
	assert.Len(t, brief.Exceptions, 1)
	assert.Contains(t, brief.Exceptions[0].Reason, "500 records")
	assert.Len(t, p.Exceptions, 500, "the proof itself stays whole")
	assert.Equal(t, []string{"7 tables and columns; they are in the proof that the run returned"}, brief.NotLookedAt)
	assert.NotEqual(t, p.Digest(), brief.Digest())
}

func TestRotatingProvesTheOrderBeforeTheRecords(t *testing.T) {
	changed := noon.AddDate(0, 0, -100) // as watched has it
	at := func(minutes int) time.Time { return changed.Add(time.Duration(minutes) * time.Minute) }
	backend := Service{Name: "backend", Role: RoleBackend, Container: "b", State: "running", StartedAt: at(1)}
	cron := Service{Name: "cron", Role: RoleCron, Container: "c", State: "running", StartedAt: at(3)}
	tests := []struct {
		name    string
		backend func(*Service)
		cron    func(*Service)
		more    []Service
		unready bool
		records *Records
		known   []Known
		readyAt time.Time
		ahead   time.Duration
		started bool
		pending fault.Code
		code    fault.Code
	}{
		{name: "all in order and every record new", records: &Records{Exact: true, Total: 3, Current: 2, Orphaned: 1, Rewritten: 1}, started: true},
		{name: "of an empty database nothing is proved", records: &Records{Exact: true}, code: fault.CodeRecordsMissing},
		{name: "nor of one that lost most of its records", records: &Records{Exact: true, Total: 49, Current: 49, Before: &Before{Total: 100, Removed: 51}}, code: fault.CodeRecordsMissing},
		{name: "half of them may be removed", records: &Records{Exact: true, Total: 50, Current: 50, Before: &Before{Total: 100, Removed: 50}}, started: true},
		{name: "nor where the total alone is known of a baseline", records: &Records{Exact: true, Total: 3, Current: 3}, known: []Known{{7, "the baseline"}}, code: fault.CodeRecordsMissing},
		{name: "one record left", records: &Records{Exact: true, Total: 3, Current: 2, Previous: 1}, started: true, pending: fault.CodeWaitTimeout},
		{name: "a count that is not of one instant is not a proof", records: &Records{Total: 3, Current: 3}, started: true, pending: fault.CodeWaitTimeout},
		{name: "a record that changed while it was read is not proved", records: &Records{Exact: true, Total: 3, Current: 2, Unseen: 1}, started: true, pending: fault.CodeWaitTimeout},
		{name: "an orphan that nobody rewrote is not proved", records: &Records{Exact: true, Total: 3, Current: 2, Orphaned: 1, Before: &Before{Total: 3}}, started: true, pending: fault.CodeWaitTimeout},
		{name: "nor while others are left", records: &Records{Exact: true, Total: 3, Current: 1, Previous: 1, Orphaned: 1}, started: true, pending: fault.CodeWaitTimeout},
		{name: "without a baseline waiting for an orphan is in vain", records: &Records{Exact: true, Total: 3, Current: 2, Orphaned: 1}, code: fault.CodeBaselineMissing},
		{name: "a baseline from while a backend was writing proves none rewritten", records: &Records{Exact: true, Total: 3, Current: 2, Orphaned: 1, Rewritten: 1, Before: &Before{Total: 3, Provisional: true}}, code: fault.CodeBaselineMissing},
		{name: "and is enough where none has to be", records: &Records{Exact: true, Total: 3, Current: 3, Before: &Before{Total: 3, Provisional: true}}, started: true},
		{name: "an unreadable record while others are left waits", records: &Records{Exact: true, Total: 3, Current: 1, Previous: 1, Unreadable: 1}, started: true, pending: fault.CodeWaitTimeout},
		{name: "only an unreadable record is left", records: &Records{Exact: true, Total: 3, Current: 2, Unreadable: 1, Unread: []Unread{{ID: "x"}}}, code: fault.CodeRecordsUnreadable},
		{name: "backend started before the parameters changed", backend: func(s *Service) { s.StartedAt = at(-1) }, code: fault.CodePlatformOrder},
		{name: "nor may SSM's clock, which is ahead, make it look as if it had not", ahead: 5 * time.Minute, backend: func(s *Service) { s.StartedAt = at(-4) }, cron: func(s *Service) { s.StartedAt = at(-1) }, records: &Records{Exact: true, Total: 1, Current: 1}, started: true},
		{name: "nor one that is behind as if it had", ahead: -5 * time.Minute, backend: func(s *Service) { s.StartedAt = at(4) }, cron: func(s *Service) { s.StartedAt = at(6) }, code: fault.CodePlatformOrder},
		{name: "within the second to which SSM's clock is known", backend: func(s *Service) { s.StartedAt = changed.Add(-clockGrain / 2) }, records: &Records{Exact: true, Total: 1, Current: 1}, started: true},
		{name: "a backend that restarts later has both keys", readyAt: at(2), backend: func(s *Service) { s.StartedAt, s.RestartCount = at(90), 1 }, records: &Records{Exact: true, Total: 1, Current: 1}, started: true},
		{name: "also one that somebody restarts", readyAt: at(2), backend: func(s *Service) { s.StartedAt = at(90) }, records: &Records{Exact: true, Total: 1, Current: 1}, started: true},
		{name: "also where nobody says when they were ready", backend: func(s *Service) { s.StartedAt, s.RestartCount = at(90), 1 }, records: &Records{Exact: true, Total: 1, Current: 1}, started: true},
		{name: "but not with a cron that is older than the parameters", backend: func(s *Service) { s.StartedAt, s.RestartCount = at(90), 1 }, cron: func(s *Service) { s.StartedAt = at(-1) }, code: fault.CodePlatformOrder},
		{name: "backend not running yet", backend: func(s *Service) { s.State = "created" }, pending: fault.CodePlatformNotReady},
		{name: "backend not ready yet", unready: true, pending: fault.CodePlatformNotReady},
		{name: "cron not started yet", cron: func(s *Service) { s.State, s.StartedAt = "created", time.Time{} }, pending: fault.CodePlatformNotReady},
		{name: "cron started before the backend", cron: func(s *Service) { s.StartedAt = at(0) }, code: fault.CodePlatformOrder},
		{name: "cron started before the backends were ready", readyAt: at(4), code: fault.CodePlatformOrder},
		{name: "cron started after the backends were ready", readyAt: at(2), records: &Records{Exact: true, Total: 1, Current: 1}, started: true},
		{name: "cron fell over", cron: func(s *Service) { s.State, s.ExitCode, s.FinishedAt = "exited", 1, at(4) }, code: fault.CodeCronFailed},
		{name: "cron restarts again and again", cron: func(s *Service) { s.StartedAt, s.RestartCount = noon.Add(-30*time.Second), 2 }, code: fault.CodeCronFailed},
		{name: "cron waits for its third start", cron: func(s *Service) { s.State, s.RestartCount = "restarting", 2 }, code: fault.CodeCronFailed},
		{name: "cron waits for its second start", cron: func(s *Service) { s.State, s.RestartCount, s.ExitCode, s.FinishedAt = "restarting", 1, 1, at(4) }, pending: fault.CodePlatformNotReady},
		{name: "cron was restarted once", cron: func(s *Service) { s.RestartCount = 1 }, records: &Records{Exact: true, Total: 1, Current: 1}, started: true},
		{name: "cron was restarted twice, and runs", cron: func(s *Service) { s.RestartCount = 2 }, records: &Records{Exact: true, Total: 1, Current: 1}, started: true},
		{name: "a record is left, and cron is stopped", cron: func(s *Service) { s.State, s.FinishedAt = "exited", at(4) }, records: &Records{Exact: true, Total: 2, Current: 1, Previous: 1}, pending: fault.CodePlatformNotReady},
		{name: "a record is left, and cron is paused", cron: func(s *Service) { s.State = "paused" }, records: &Records{Exact: true, Total: 2, Current: 1, Previous: 1}, pending: fault.CodePlatformNotReady},
		{name: "a record is left, and another cron runs", cron: func(s *Service) { s.State, s.FinishedAt = "exited", at(4) }, more: []Service{cron}, records: &Records{Exact: true, Total: 2, Current: 1, Previous: 1}, started: true, pending: fault.CodeWaitTimeout},
		{name: "cron that ended well is no failure", cron: func(s *Service) { s.State, s.FinishedAt = "exited", at(4) }, records: &Records{Exact: true, Total: 1, Current: 1}, started: true},
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
			w := watched(test.records)
			w.Platform = &Platform{Project: "p", Services: append([]Service{b, c}, test.more...), Readiness: Readiness{URL: "u", Ready: !test.unready, Detail: "no answer"}}
			w.Known, w.Parameters.Ahead = test.known, test.ahead
			verdict, err := Judge(w, Asked{App: "app", RotationID: "r1", BackendsReadyAt: test.readyAt}, quick{})
			if test.code != "" {
				require.Error(t, err)
				assert.Equal(t, test.code, fault.CodeOf(err), err.Error())
				return
			}
			require.NoError(t, err)
			assert.Equal(t, test.started, verdict.Started)
			assert.NotEmpty(t, verdict.Msg)
			if test.pending == "" {
				require.Nil(t, verdict.Pending)
				require.NotNil(t, verdict.Proof)
				require.NoError(t, verdict.Proof.ValidateComplete(noon, "app", entry(), quick{}, secret.New(newKeyed)))
				return
			}
			require.NotNil(t, verdict.Pending)
			assert.Equal(t, test.pending, verdict.Pending.Code)
			assert.Nil(t, verdict.Proof, "never a proof before it is complete")
		})
	}
}

func TestRotating_twoKeysThatAreOne(t *testing.T) {
	w := watched(nil)
	w.Parameters.Previous.Value = w.Parameters.Current.Value
	_, err := Judge(w, asked(), quick{})
	assert.Equal(t, fault.CodeNotPrepared, fault.CodeOf(err))
	assert.ErrorContains(t, err, "same key")
}

func TestNothingProvesThatRecordsAreUntouchedThatMayNotBe(t *testing.T) {
	before := &Before{Digest: "d", Total: 3}
	for name, test := range map[string]struct {
		records Records
		why     string
	}{
		"one under the new key":          {Records{Exact: true, Total: 3, Previous: 2, Current: 1}, "1 of 3 records are already under the new key"},
		"not of one instant":             {Records{Total: 3, Previous: 3}, "changed while"},
		"none at all":                    {Records{Exact: true, Database: "db:3306/tower"}, "db:3306/tower has no encrypted records"},
		"few of those of before":         {Records{Exact: true, Total: 1, Previous: 1, Before: before}, "fewer than half of the 3"},
		"one of nobody, no baseline":     {Records{Exact: true, Total: 3, Previous: 2, Orphaned: 1}, "without the baseline"},
		"one of nobody, rewritten":       {Records{Exact: true, Total: 3, Previous: 2, Orphaned: 1, Rewritten: 1, Before: before}, "re-encrypted or created"},
		"unreadable, was not before":     {Records{Exact: true, Total: 3, Previous: 2, Unreadable: 1, Unread: []Unread{{ID: "a"}}, Before: before}, "1 unreadable"},
		"unreadable before, but changed": {Records{Exact: true, Total: 3, Previous: 2, Unreadable: 1, Unread: []Unread{{ID: "a", Before: true, Changed: true}}, Before: before}, "1 unreadable"},
	} {
		t.Run(name, func(t *testing.T) {
			w := watched(&test.records)
			w.Platform = nil
			proof, why := ProveUntouched(w, asked(), quick{})
			assert.Nil(t, proof)
			assert.Contains(t, why, test.why)
		})
	}
	w := watched(&Records{Exact: true, Total: 3, Previous: 1, Orphaned: 1, Unreadable: 1, Unread: []Unread{{ID: "a", Before: true}}, Before: before})
	w.Platform = stopped()
	proof, why := ProveUntouched(w, asked(), quick{})
	require.NotNil(t, proof, why)
	of := entry()
	require.NoError(t, proof.ValidateUntouched(noon, "app", of, quick{}, secret.New(oldKey)))
	of.Baseline = &custody.Baseline{Digest: "of the ledger"}
	err := proof.ValidateUntouched(noon, "app", of, quick{}, secret.New(oldKey))
	assert.ErrorContains(t, err, "a different baseline")
}

func stopped() *Platform {
	return &Platform{Project: "p", Services: []Service{{Name: "backend", Role: RoleBackend, Container: "b", State: "exited"}, {Name: "cron", Role: RoleCron, Container: "c", State: "created"}}}
}

func TestUntouched_nothingMayRun(t *testing.T) {
	w := watched(&Records{Exact: true, Total: 3, Previous: 3})
	w.Platform = nil
	proof, why := ProveUntouched(w, asked(), quick{})
	assert.Nil(t, proof)
	assert.Contains(t, why, "gather: platform")
	for i, what := range []string{"backend container b", "cron container c"} {
		for _, state := range []string{"running", "restarting", "paused"} {
			w.Platform = stopped()
			w.Platform.Services[i].State = state
			proof, why = ProveUntouched(w, asked(), quick{})
			assert.Nil(t, proof)
			assert.Contains(t, why, what)
		}
	}
	w.Platform = stopped()
	proof, why = ProveUntouched(w, asked(), quick{})
	require.NotNil(t, proof, why)

	w.Platform.ReadSince = noon
	w.Platform.Services[0].StartedAt = noon.Add(time.Second)
	proof, why = ProveUntouched(w, asked(), quick{})
	assert.Nil(t, proof)
	assert.Contains(t, why, "backend container b was started while the records were read")
}
