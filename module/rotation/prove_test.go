package rotation

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// watched is a world in which cron has started in order.
func watched(t *testing.T, records *Records) World {
	t.Helper()
	w := prepared(t).world(t)
	started := changed(w).Add(time.Minute)
	w.Platform = &Platform{Project: "p", Readiness: Readiness{URL: "u", Ready: true}, Services: []Service{
		{Role: RoleBackend, Container: "b", State: "running", StartedAt: started},
		{Role: RoleCron, Container: "c", State: "running", StartedAt: started.Add(time.Minute)},
	}}
	w.Records = records
	return w
}

func TestRecordsThatWereUnreadableBeforeArePassedOverByNameAndNoOthers(t *testing.T) {
	before := &Before{Digest: "d", Total: 5}
	lost := func(ids ...Unread) *Records {
		return &Records{Exact: true, Total: 5, Current: 5 - len(ids), Unreadable: len(ids), Unread: ids, Before: before}
	}
	tests := []struct {
		name    string
		records *Records
		accept  []string
		code    Code
		words   []string
		reasons []string
	}{
		{
			name: "named and unreadable before", records: lost(Unread{ID: "a", Before: true}, Unread{ID: "b", Before: true, Changed: true}), accept: []string{"b", "a", "unheard of"},
			reasons: []string{
				"unreadable before the rotation, and unchanged since; passed over by accept_unreadable",
				"unreadable before the rotation, changed since and still unreadable; passed over by accept_unreadable",
			},
		},
		{name: "unreadable before but not named", records: lost(Unread{ID: "a", Before: true}), code: CodeRecordsUnreadable, words: []string{"unreadable before the rotation already: a", "accept_unreadable"}},
		{name: "named but readable before", records: lost(Unread{ID: "a"}), accept: []string{"a"}, code: CodeRecordsUnreadable, words: []string{"readable before the rotation, or did not exist: a", "passes over no record that was not unreadable in the baseline"}},
		{name: "one of each", records: lost(Unread{ID: "a", Before: true}, Unread{ID: "b"}), accept: []string{"a"}, code: CodeRecordsUnreadable, words: []string{"2 of 5", "did not exist: b"}},
		{name: "named, without a baseline", records: &Records{Exact: true, Total: 1, Unreadable: 1, Unread: []Unread{{ID: "a"}}}, accept: []string{"a"}, code: CodeRecordsUnreadable, words: []string{"no baseline"}},
		{name: "more than are judged one by one", records: &Records{Exact: true, Total: 3, Current: 1, Unreadable: 2, Unread: []Unread{{ID: "a", Before: true}}, Before: before}, accept: []string{"a"}, code: CodeWaitTimeout},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			wish := wishFor(StateRotating)
			wish.Accept = test.accept
			plan, err := Make(watched(t, test.records), wish, quick{})
			if plan.Pending != nil {
				err = plan.Pending
			}
			if test.code != "" {
				require.Error(t, err)
				assert.Equal(t, test.code, codeOf(err))
				for _, word := range test.words {
					assert.ErrorContains(t, err, word)
				}
				assert.Nil(t, plan.Proof)
				return
			}
			require.NoError(t, err)
			require.NotNil(t, plan.Proof)
			var reasons []string
			for _, exception := range plan.Proof.Exceptions {
				reasons = append(reasons, exception.Reason)
			}
			assert.Equal(t, test.reasons, reasons)
			assert.Equal(t, plan.Proof.Total, plan.Proof.Proved+plan.Proof.Rewritten+len(plan.Proof.Exceptions))
			assert.InDelta(t, 100, plan.Progress.Percent, 0)
		})
	}
}

func TestALostBaselineStopsNothingThatDoesNotNeedIt(t *testing.T) {
	for _, test := range []struct {
		name    string
		records *Records
		code    Code
		words   string
	}{
		{"all under the new key", &Records{Exact: true, Total: 5, Current: 5}, "", ""},
		{"one of no credential", &Records{Exact: true, Total: 5, Current: 4, Orphaned: 1}, CodeBaselineMissing, "the records of it are lost."},
		{"an unreadable one", &Records{Exact: true, Total: 5, Current: 4, Unreadable: 1, Unread: []Unread{{ID: "a"}}}, CodeRecordsUnreadable, "no baseline that tells"},
		{"fewer than half of its number", &Records{Exact: true, Total: 2, Current: 2, Database: "db:3306/tower"}, CodeRecordsMissing, "db:3306/tower has 2 encrypted records, fewer than half of the 5"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := watched(t, test.records)
			w.BaselineLost, w.Known = "the records of it are lost.", []Known{{5, "the baseline"}}
			plan, err := Make(w, wishFor(StateRotating), quick{})
			if test.code != "" {
				assert.Equal(t, test.code, codeOf(err))
				assert.ErrorContains(t, err, test.words)
				return
			}
			require.NoError(t, err)
			require.NotNil(t, plan.Proof)
			assert.Nil(t, plan.Proof.Before)
			assert.Contains(t, plan.Warnings, w.BaselineLost)
			entry, _ := w.Custody.Entry("r1")
			entry.Baseline = &custody.Baseline{Digest: "d", Total: 5}
			require.NoError(t, plan.Proof.fits(noon, wishFor(StateFinalized), entry, quick{}, secret.New(newKeyed)), "finalized takes it as well")
		})
	}
}

func TestTheOtherWaysAreInTheProofAsWhatTheyAre(t *testing.T) {
	line := &LogLine{Container: "c", Pattern: "done", Line: "all done"}
	all := &Records{Exact: true, Total: 2, Current: 2}
	tests := []struct {
		name    string
		verify  []Verify
		log     *LogLine
		records *Records
		pending bool
		warned  int
		total   int
	}{
		{name: "logs without the line", verify: []Verify{VerifyLogs}, pending: true},
		{name: "logs with the line", verify: []Verify{VerifyLogs}, log: line, warned: 1},
		{name: "attested", verify: []Verify{VerifyAttested}, warned: 1},
		{name: "all three, of which the records are not there", verify: []Verify{VerifyAttested, VerifyLogs, VerifyDatabase}, log: line, records: &Records{Exact: true, Total: 2, Current: 1, Previous: 1}, pending: true},
		{name: "all three, of which the line is not there", verify: []Verify{VerifyAttested, VerifyLogs, VerifyDatabase}, records: all, pending: true},
		{name: "all three", verify: []Verify{VerifyAttested, VerifyLogs, VerifyDatabase}, log: line, records: all, warned: 2, total: 2},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			wish := wishFor(StateRotating)
			wish.Verify, wish.AttestedBy, wish.LogPattern = test.verify, "Ada", "done"
			w := watched(t, test.records)
			w.Log = test.log
			plan, err := Make(w, wish, quick{})
			require.NoError(t, err)
			assert.Equal(t, test.pending, plan.Pending != nil)
			assert.Equal(t, test.pending, plan.Proof == nil)
			if test.pending {
				return
			}
			assert.Len(t, plan.Warnings, test.warned)
			assert.Len(t, plan.Proof.Verify, len(test.verify))
			assert.Equal(t, test.total, plan.Proof.Total)
			entry, _ := w.Custody.Entry("r1")
			require.NoError(t, plan.Proof.fits(noon, wishFor(StateFinalized), entry, quick{}, secret.New(newKeyed)))
			if test.total == 0 {
				assert.Contains(t, plan.Proof.says(), "No record was opened")
			}
		})
	}
}

func TestEachReasonToRefuseAProofHasItsOwnMessage(t *testing.T) {
	key := secret.New(newKeyed)
	w := prepared(t).world(t)
	entry, _ := w.Custody.Entry("r1")
	entry.Baseline = &custody.Baseline{Digest: "the ledger's"}
	whole := func() *Proof {
		return &Proof{
			Format: ProofFormat, App: "app", RotationID: "r1", Previous: entry.Previous, Current: entry.Current, Verify: []Verify{VerifyDatabase}, MadeAt: noon,
			Total: 10, Proved: 7, Rewritten: 1, Exceptions: []Exception{{ID: "a"}, {ID: "b"}}, Before: &Before{Digest: "the ledger's", Total: 9, Created: 3, Removed: 2},
		}
	}
	wish := wishFor(StateFinalized)
	wish.ProofMaxAge = time.Hour
	good := whole()
	good.Sign(quick{}, key)
	require.NoError(t, good.fits(noon.Add(time.Hour), wish, entry, quick{}, key))
	seen := map[string]string{}
	for name, test := range map[string]struct {
		change   func(*Proof)
		code     Code
		unsigned bool
	}{
		"another installation":       {func(p *Proof) { p.App = "other" }, CodeProofMismatch, false},
		"another rotation":           {func(p *Proof) { p.RotationID = "r0" }, CodeProofMismatch, false},
		"another key":                {func(p *Proof) { p.Previous = "0123" }, CodeProofMismatch, false},
		"no way":                     {func(p *Proof) { p.Verify = nil }, CodeProofIncomplete, false},
		"one record short":           {func(p *Proof) { p.Proved-- }, CodeProofIncomplete, false},
		"one exception short":        {func(p *Proof) { p.Exceptions = p.Exceptions[:1] }, CodeProofIncomplete, false},
		"before does not add up":     {func(p *Proof) { p.Before.Created++ }, CodeProofIncomplete, false},
		"a log that is not quoted":   {func(p *Proof) { p.Verify = []Verify{VerifyLogs} }, CodeProofIncomplete, false},
		"a person who is not named":  {func(p *Proof) { p.Verify = []Verify{VerifyAttested} }, CodeProofIncomplete, false},
		"edited by one character":    {func(p *Proof) { p.Exceptions[0].ID = "c" }, CodeProofMismatch, true},
		"edited, but adds up":        {func(p *Proof) { p.Total++; p.Proved++; p.Before.Created++ }, CodeProofMismatch, true},
		"another baseline":           {func(p *Proof) { p.Before.Digest = "another" }, CodeProofMismatch, false},
		"too old":                    {func(p *Proof) { p.MadeAt = noon.Add(-time.Second) }, CodeProofTooOld, false},
		"of the future":              {func(p *Proof) { p.MadeAt = noon.Add(2 * time.Hour) }, CodeProofTooOld, false},
		"made with another key":      {func(p *Proof) { p.Sign(quick{}, secret.New(oldKey)) }, CodeProofMismatch, true},
		"weaker than it was made as": {func(p *Proof) { p.Verify = []Verify{VerifyAttested}; p.AttestedBy = "Ada" }, CodeProofMismatch, true},
	} {
		t.Run(name, func(t *testing.T) {
			p := whole()
			p.Sign(quick{}, key)
			test.change(p)
			if !test.unsigned {
				p.Sign(quick{}, key)
			}
			err := p.fits(noon.Add(time.Hour), wish, entry, quick{}, key)
			require.Error(t, err)
			assert.Equal(t, test.code, codeOf(err))
			if !test.unsigned {
				assert.Empty(t, seen[err.Error()], "the same message")
				seen[err.Error()] = name
			}
		})
	}
	assert.Error(t, (*Proof)(nil).fits(noon, wish, entry, quick{}, key))
}

func TestALedgerEntryDoesNotOutgrowItsParameterForManyExceptions(t *testing.T) {
	p := Proof{Verify: []Verify{VerifyDatabase}, Total: 500}
	for range 500 {
		p.Exceptions = append(p.Exceptions, Exception{ID: "AAAAAAAAAAAAAAAAAAAAAA==", Reason: "unreadable before the rotation"})
	}
	brief := p.brief()
	assert.Len(t, brief.Exceptions, 1)
	assert.Contains(t, brief.Exceptions[0].Reason, "500 records")
	assert.Len(t, p.Exceptions, 500, "the proof itself stays whole")
	assert.NotEqual(t, p.Digest(), brief.Digest())
}

func TestTheLedgerNamesTheBaselineThatWasTakenLastBeforeTheOmnibusChanged(t *testing.T) {
	s := idle()
	wish := wishFor(StatePrepared)
	wish.Baseline = &custody.Baseline{Path: "/b", Digest: "first", Total: 3, TakenAt: noon}
	plan, err := Make(s.world(t), wish, quick{})
	require.NoError(t, err)
	for _, step := range plan.Steps {
		if step.Action == ActPutOmnibus {
			break // cut off
		}
		s.carry(t, step)
	}
	wish.Baseline = &custody.Baseline{Digest: "second"}
	plan, err = Make(s.world(t), wish, quick{})
	require.NoError(t, err)
	assert.Equal(t, "second", plan.Baseline.Digest)
	for _, step := range plan.Steps {
		s.carry(t, step)
	}
	wish.Baseline = &custody.Baseline{Digest: "third"}
	plan, err = Make(s.world(t), wish, quick{})
	require.NoError(t, err)
	assert.False(t, plan.Writes())
	assert.Equal(t, "second", plan.Baseline.Digest, "it is told to a run that goes on")
}
