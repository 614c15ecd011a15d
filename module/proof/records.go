package proof

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seqera-tools/crypto-rotation/module/fault"
)

// provedByRecords judges the scan.
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
	// Where neither is the case, nothing that cron could still do is left.
	busy := r.Previous > 0 || r.Unseen > 0
	switch {
	case left == 0 && !r.Exact:
		v.Unconfirmed = true
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
	if r.Unreadable > 0 {
		keys = "Both keys are still in place."
	}
	v.pend(fault.New(fault.CodeWaitTimeout, "Look at cron's log; run this again, with a longer wait_timeout if it is still working.",
		"The rotation is not complete: %s.", counted(*r, len(exceptions))), keys)
	return "", nil
}

func but(rewritten, exceptions int) string {
	text := ""
	if rewritten > 0 {
		text += fmt.Sprintf("; of %d that nobody can open it is proved that they were rewritten", rewritten)
	}
	if exceptions > 0 {
		text += fmt.Sprintf("; %d, unreadable before the rotation, are skipped as the operator asked", exceptions)
	}
	return text
}

// sift tells the unreadable records that the operator skips, which must have been so before, from those that block.
func sift(r Records, accept []string) (exceptions []Exception, blocked []Unread) {
	for _, one := range r.Unread {
		if !one.Before || !slices.Contains(accept, one.ID) {
			blocked = append(blocked, one)
			continue
		}
		reason := "unreadable before the rotation, and unchanged since; skipped by accept_unreadable"
		if one.Changed {
			reason = "unreadable before the rotation, changed since and still unreadable; skipped by accept_unreadable"
		}
		exceptions = append(exceptions, Exception{ID: one.ID, Reason: reason})
	}
	return exceptions, blocked
}

const keysStay = " Both keys stay in place; the other records are under the new key."

func unreadableRecords(r Records, blocked []Unread, accept []string) *fault.Fault {
	var before, since []string
	for _, one := range blocked {
		switch {
		case one.Before:
			before = append(before, one.ID)
		default:
			since = append(since, one.ID)
		}
	}
	f := &fault.Fault{
		Code: fault.CodeRecordsUnreadable, What: fmt.Sprintf("%d of %d records open with neither key.", r.Unreadable, r.Total),
	}
	if len(since) > 0 {
		known := "were readable before the rotation, or did not exist"
		if r.Before == nil {
			known = "may have been readable before the rotation: there is no baseline that tells"
		}
		f.What += fmt.Sprintf(" These %s: %s.", known, listed(since))
		f.Next = "See the Encryption tab of the Admin panel for them; repair or remove these credentials, then run this again."
		if slices.ContainsFunc(since, func(id string) bool { return slices.Contains(accept, id) }) {
			f.Next += " accept_unreadable skips no record that was not unreadable in the baseline."
		}
	}
	if len(before) > 0 {
		f.What += fmt.Sprintf(" These were unreadable before the rotation already: %s.", listed(before))
		f.Next = strings.TrimSpace(f.Next + " Name those that were lost before in accept_unreadable, or remove their credentials; then run this again.")
	}
	f.What += keysStay
	return f
}

func withoutBaseline(r Records, lost string) *fault.Fault {
	if lost == "" {
		lost = "No baseline was given."
	}
	return fault.New(fault.CodeBaselineMissing, "Pass the baseline that was taken before. Where it is lost, look at the Encryption tab of the Admin panel: if it shows Success or Orphaned for each of them, run this again with verify: [attested] and attested_by.",
		"%s", fmt.Sprintf("%d of %d records are of no credential, so that nobody can open them, and nothing says what they were before the rotation: %s. %s", r.Orphaned, r.Total, listed(r.NotRewritten), lost)+keysStay)
}

func listed(ids []string) string {
	const most = 10
	text := strings.Join(ids[:min(len(ids), most)], ", ")
	if len(ids) > most {
		text += fmt.Sprintf(" and %d more", len(ids)-most)
	}
	return text
}

// ProgressOf counts the records of a scan, of which some are skipped.
func ProgressOf(r Records, passedOver int) *Progress {
	percent := 100.0
	if r.Total > 0 {
		percent = float64((r.Current+r.Rewritten+passedOver)*1000/r.Total) / 10
	}
	return &Progress{Total: r.Total, Current: r.Current, Previous: r.Previous, Unreadable: r.Unreadable, Orphaned: r.Orphaned, Rewritten: r.Rewritten, Percent: percent}
}

func counted(r Records, passedOver int) string {
	text := fmt.Sprintf("%d records: %d under the current key, %d under the previous one, %d unreadable (%d of them skipped), %d orphaned (%d of them rewritten)",
		r.Total, r.Current, r.Previous, r.Unreadable, passedOver, r.Orphaned, r.Rewritten)
	if r.Unseen > 0 {
		text += fmt.Sprintf(", %d that changed while they were read", r.Unseen)
	}
	if b := r.Before; b != nil {
		text += fmt.Sprintf("; of %d before the rotation %d were removed, and %d were created", b.Total, b.Removed, b.Created)
	}
	if len(r.UnreadableIDs) > 0 {
		text += "; unreadable: " + listed(r.UnreadableIDs)
	}
	if len(r.NotRewritten) > 0 {
		text += "; orphaned and not rewritten: " + listed(r.NotRewritten)
	}
	return text
}

// Known is how many records a database had, and by whose word.
type Known struct {
	Total int
	By    string // "the baseline of 2026-01-02T12:00:00Z", "rotation r1 (finished on 2026-01-02)"
}

// TooFew says whether a database has no records, or fewer than half of those known before: then it is another one, and proves
// nothing. The sentence names the database (host:port/name).
func TooFew(database string, total int, known ...Known) (sentence string, bad bool) {
	if total == 0 {
		sentence = fmt.Sprintf("The database %s has no encrypted records (tw_secret is empty), and of none nothing can be proved", database)
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

// RecordsMissing is the failure of a look at a database that has too few records.
func RecordsMissing(sentence string) *fault.Fault {
	return fault.New(fault.CodeRecordsMissing, "Is it the Platform's own database, on its own data directory? Compare TOWER_DB_URL of the backend, or the option database, and the mounts of the database's container (docker inspect) with what they were; then run this again.",
		"%s", sentence)
}

// tooFew compares the scan with all that is known of before.
func (o Observed) tooFew() (string, bool) {
	known := o.Known
	if b := o.Records.Before; b != nil {
		known = append(slices.Clone(known), Known{b.Total, "the baseline of " + stamp(b.TakenAt)})
	}
	return TooFew(o.Records.Database, o.Records.Total, known...)
}
