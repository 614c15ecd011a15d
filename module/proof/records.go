package proof

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seqera-tools/crypto-rotation/module/fault"
)

// provedByRecords judges the scan of the records.
func (v *Verdict) provedByRecords(o Observed, asked Asked, proof *Proof) (string, error) {
	r := o.Records
	if r == nil {
		v.pend(notYet("the records were not scanned"), "Both keys are in place.")
		return "", nil
	}
	v.Warnings = append(v.Warnings, r.Notes...)
	if o.BaselineLost != "" {
		v.Warnings = append(v.Warnings, o.BaselineLost)
	}
	if says, bad := o.tooFew(); bad {
		f := RecordsMissing(says)
		f.What += " Both keys stay in place."
		return "", f
	}
	exceptions, blocked := sift(*r, asked.Accept)
	v.Progress = ProgressOf(*r, len(exceptions))
	left := r.Total - r.Current - r.Rewritten - len(exceptions)
	v.Evidence = append(v.Evidence, Evidence{Check: "records", OK: left == 0, Detail: counted(*r, len(exceptions))})
	// If not busy, cron has nothing left to do.
	busy := r.Previous > 0 || r.Unseen > 0
	switch {
	case left == 0 && !r.Exact:
		v.Unconfirmed = true
	case left == 0 && r.Rewritten > 0 && r.Before != nil && r.Before.Provisional:
		return "", duringWrites(r.Before.TakenAt, r.Rewritten)
	case left == 0:
		proof.Database, proof.Total, proof.Proved, proof.Rewritten, proof.Orphaned, proof.Deleted = r.Database, r.Total, r.Current, r.Rewritten, r.Orphaned, r.Deleted
		proof.Exceptions, proof.Before, proof.NotLookedAt = exceptions, r.Before, r.Notes
		return fmt.Sprintf("All %d records are under the new key %s%s.", r.Total, v.Current, but(r.Rewritten, len(exceptions))), nil
	case !busy && len(blocked) > 0:
		return "", unreadableRecords(*r, blocked, asked.Accept)
	case !busy && r.Before == nil && r.Unreadable == len(exceptions):
		return "", withoutBaseline(*r, o.BaselineLost)
	}
	keys := "Both keys are still in place and every record opens with one of them."
	if r.Unreadable+r.Orphaned+r.Unseen > 0 {
		keys = "Both keys are still in place."
	}
	if idle := o.idleCron(); idle != "" {
		v.Started = false // so that the next run starts it
		v.pend(notYet(idle), keys)
		return "", nil
	}
	v.pend(fault.New(fault.CodeWaitTimeout, "Read cron's log, then run this again. If cron is still working, set a longer wait_timeout.",
		"The rotation is not complete: %s.", counted(*r, len(exceptions))), keys)
	return "", nil
}

// duringWrites is the fault of a baseline that proves no record rewritten.
func duringWrites(takenAt time.Time, changed int) *fault.Fault {
	return fault.New(fault.CodeBaselineMissing, "Pass a baseline that was taken while no backend ran. If there is none, "+attest,
		"A backend was still writing with the old key when the baseline of %s was taken. So the %d records without a credential that changed since then may be under the old key."+keysStay, stamp(takenAt), changed)
}

func but(rewritten, exceptions int) string {
	text := ""
	if rewritten > 0 {
		text = fmt.Sprintf("; %d that nobody can open are proved rewritten", rewritten)
	}
	if exceptions > 0 {
		text += fmt.Sprintf("; %d that were unreadable before the rotation are skipped, as the operator asked", exceptions)
	}
	return text
}

// sift separates the unreadable records that may be skipped (already unreadable in the baseline, and accepted by the operator) from
// the records that block the rotation.
func sift(r Records, accept []string) (exceptions []Exception, blocked []Unread) {
	for _, one := range r.Unread {
		if !one.Before || !slices.Contains(accept, one.ID) {
			blocked = append(blocked, one)
			continue
		}
		reason := "unreadable before the rotation and unchanged since; skipped by accept_unreadable"
		if one.Changed {
			reason = "unreadable before the rotation, changed since and still unreadable; skipped by accept_unreadable"
		}
		exceptions = append(exceptions, Exception{ID: one.ID, Reason: reason})
	}
	return exceptions, blocked
}

const (
	keysStay = " Both keys stay in place."
	attest   = "check the Encryption tab of the Admin panel. If the tab shows Success or Orphaned for each of these records, run this again with verify: [attested] and attested_by."
)

func unreadableRecords(r Records, blocked []Unread, accept []string) *fault.Fault {
	var before, since []string
	for _, one := range blocked {
		if one.Before {
			before = append(before, one.ID)
		} else {
			since = append(since, one.ID)
		}
	}
	f := &fault.Fault{
		Code: fault.CodeRecordsUnreadable, What: fmt.Sprintf("%d of %d records open with neither key.", r.Unreadable, r.Total),
	}
	if len(since) > 0 {
		known := "were readable before the rotation or did not exist"
		if r.Before == nil {
			known = "may have been readable before the rotation (there is no baseline)"
		}
		f.What += fmt.Sprintf(" These %s: %s.", known, listed(since))
		f.Next = "Find them on the Encryption tab of the Admin panel. Repair or remove their credentials, then run this again."
		if slices.ContainsFunc(since, func(id string) bool { return slices.Contains(accept, id) }) {
			f.Next += " accept_unreadable skips only records that were already unreadable in the baseline."
		}
	}
	if len(before) > 0 {
		f.What += fmt.Sprintf(" These were already unreadable before the rotation: %s.", listed(before))
		f.Next = strings.TrimSpace(f.Next + " List the records that were already lost in accept_unreadable, or remove their credentials. Then run this again.")
	}
	f.What += keysStay
	return f
}

func withoutBaseline(r Records, lost string) *fault.Fault {
	if lost == "" {
		lost = "No baseline was given."
	}
	return fault.New(fault.CodeBaselineMissing, "Pass the baseline that was taken before the rotation. If it is lost, "+attest,
		"%s", fmt.Sprintf("%d of %d records have no credential, so nobody can open them, and it is not known what they were before the rotation: %s. %s", r.Orphaned, r.Total, listed(r.NotRewritten), lost)+keysStay)
}

func listed(ids []string) string {
	const most = 10
	text := strings.Join(ids[:min(len(ids), most)], ", ")
	if len(ids) > most {
		text += fmt.Sprintf(" and %d more", len(ids)-most)
	}
	return text
}

// ProgressOf returns the progress after a scan. skipped is the number of skipped records, which count as done.
func ProgressOf(r Records, skipped int) *Progress {
	percent := 100.0
	if r.Total > 0 {
		percent = float64((r.Current+r.Rewritten+skipped)*1000/r.Total) / 10
	}
	return &Progress{Total: r.Total, Current: r.Current, Previous: r.Previous, Unreadable: r.Unreadable, Orphaned: r.Orphaned, Rewritten: r.Rewritten, Percent: percent}
}

func counted(r Records, skipped int) string {
	text := fmt.Sprintf("%d records: %d under the current key, %d under the previous one, %d unreadable (%d of them skipped), %d orphaned (%d of them rewritten)",
		r.Total, r.Current, r.Previous, r.Unreadable, skipped, r.Orphaned, r.Rewritten)
	if r.Unseen > 0 {
		text += fmt.Sprintf(", %d changed while they were read", r.Unseen)
	}
	if b := r.Before; b != nil {
		text += fmt.Sprintf("; of %d records before the rotation, %d were removed, and %d were created since", b.Total, b.Removed, b.Created)
	}
	if len(r.UnreadableIDs) > 0 {
		text += "; unreadable: " + listed(r.UnreadableIDs)
	}
	if len(r.NotRewritten) > 0 {
		text += "; orphaned and not rewritten: " + listed(r.NotRewritten)
	}
	return text
}

// Known is an earlier number of records, and where that number comes from.
type Known struct {
	Total int
	By    string // "the baseline of 2026-01-02T12:00:00Z", "rotation r1 (finished on 2026-01-02)"
}

// TooFew reports whether a database has no records, or fewer than half of an earlier number. Such a database is probably the wrong
// one, and proves nothing. The sentence names the database (host:port/name).
func TooFew(database string, total int, known ...Known) (sentence string, bad bool) {
	if total == 0 {
		sentence = fmt.Sprintf("The database %s has no encrypted records (tw_secret is empty), so nothing can be proved", database)
	}
	for _, earlier := range known {
		if 2*total >= earlier.Total {
			continue
		}
		if total == 0 {
			return fmt.Sprintf("%s; %s has %d.", sentence, earlier.By, earlier.Total), true
		}
		return fmt.Sprintf("The database %s has %d encrypted records, fewer than half of the %d that %s has.", database, total, earlier.Total, earlier.By), true
	}
	if total == 0 {
		return sentence + ".", true
	}
	return "", false
}

// RecordsMissing returns the fault for a database that has too few records (see TooFew).
func RecordsMissing(sentence string) *fault.Fault {
	return fault.New(fault.CodeRecordsMissing, "Check that this is the Platform's own database with its own data directory. Compare TOWER_DB_URL of the backend, or the option database, and the mounts of the database container (docker inspect) with their earlier values. Then run this again.",
		"%s", sentence)
}

// tooFew compares the scan with all earlier numbers of records.
func (o Observed) tooFew() (string, bool) {
	known := o.Known
	if b := o.Records.Before; b != nil {
		known = append(slices.Clone(known), Known{b.Total, "the baseline of " + stamp(b.TakenAt)})
	}
	return TooFew(o.Records.Database, o.Records.Total, known...)
}
