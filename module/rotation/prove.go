package rotation

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Verify is a way to prove that a rotation is complete.
type Verify string

// The ways of the option verify, the strongest first.
const (
	VerifyDatabase Verify = "database" // every record was read and opened
	VerifyLogs     Verify = "logs"     // cron logged a line that matches a pattern of the operator's
	VerifyAttested Verify = "attested" // a named person looked at the Encryption tab
)

// prove wants every way that was asked for to say that the rotation is complete.
func prove(w World, wish Wish, p picture, plan Plan) (Plan, error) {
	proof := &Proof{
		Format: ProofFormat, App: wish.App, RotationID: wish.RotationID, Previous: plan.Previous, Current: plan.Current,
		MadeAt: w.Now.UTC().Truncate(time.Second), Tool: wish.Tool,
	}
	for _, way := range []struct {
		name  Verify
		check func(World, Wish, *Plan, *Proof) (string, error)
	}{{VerifyDatabase, provedByRecords}, {VerifyLogs, provedByLog}, {VerifyAttested, provedByPerson}} {
		if !slices.Contains(wish.Verify, way.name) {
			continue
		}
		said, err := way.check(w, wish, &plan, proof)
		if err != nil {
			return Plan{}, err
		}
		if plan.Pending != nil {
			plan.Msg = plan.Pending.What
			return plan, nil //nolint:nilerr // what is pending is no failure
		}
		proof.Verify = append(proof.Verify, way.name)
		plan.Msg += said
	}
	proof.Sign(p.prints, p.standaloneCurrent.Secret)
	plan.Proof, plan.Phase = proof, PhaseRotated
	plan.Steps[3].Done = true
	return plan, nil
}

func proves(wish Wish) string {
	if slices.Contains(wish.Verify, VerifyDatabase) {
		return "only records that open with the new key prove that the rotation is complete"
	}
	return fmt.Sprintf("completion is taken from %q, which is weaker than opening every record", wish.Verify)
}

// provedByRecords judges the scan.
func provedByRecords(w World, wish Wish, plan *Plan, proof *Proof) (string, error) {
	r := w.Records
	if r == nil {
		plan.Pending = notYet("the records were not scanned")
		return "", nil
	}
	plan.Warnings = append(plan.Warnings, r.Notes...)
	if w.BaselineLost != "" {
		plan.Warnings = append(plan.Warnings, w.BaselineLost)
	}
	if says, bad := tooFew(w); bad {
		fault := RecordsMissing(says)
		fault.State = "Both keys stay in place."
		return "", fault
	}
	exceptions, blocked := sift(*r, wish.Accept)
	plan.Progress = progress(*r, len(exceptions))
	left := r.Total - r.Current - r.Rewritten - len(exceptions)
	plan.Evidence = append(plan.Evidence, Evidence{Check: "records", OK: left == 0, Detail: counted(*r, len(exceptions))})
	// Where neither is the case, nothing that cron could still do is left.
	busy := r.Previous > 0 || r.Unseen > 0
	switch {
	case left == 0 && !r.Exact:
		plan.Unconfirmed = true
	case left == 0:
		proof.Database, proof.Total, proof.Proved, proof.Rewritten, proof.Orphaned, proof.Deleted = r.Database, r.Total, r.Current, r.Rewritten, r.Orphaned, r.Deleted
		proof.Exceptions, proof.Before, proof.NotLookedAt = exceptions, r.Before, r.Notes
		return fmt.Sprintf("All %d records are under the new key %s%s.", r.Total, plan.Current, but(r.Rewritten, len(exceptions))), nil
	case !busy && len(blocked) > 0:
		return "", unreadableRecords(*r, blocked, wish.Accept)
	case !busy && r.Before == nil && r.Unreadable == len(exceptions):
		return "", withoutBaseline(*r, w.BaselineLost)
	}
	plan.Pending = &Fault{
		Code: CodeWaitTimeout, What: fmt.Sprintf("The rotation is not complete: %s.", counted(*r, len(exceptions))),
		State: "Both keys are still in place and every record opens with one of them.",
		Next:  "Look at cron's log; run this again, with a longer wait_timeout if it is still working.",
	}
	if r.Unreadable > 0 {
		plan.Pending.State = "Both keys are still in place."
	}
	return "", nil
}

// tooFew compares the scan with all that is known of before.
func tooFew(w World) (string, bool) {
	known := w.Known
	if b := w.Records.Before; b != nil {
		known = append(slices.Clone(known), Known{b.Total, "the baseline of " + stamp(b.TakenAt)})
	}
	return TooFew(w.Records.Database, w.Records.Total, known...)
}

func but(rewritten, exceptions int) string {
	text := ""
	if rewritten > 0 {
		text += fmt.Sprintf("; of %d that nobody can open it is proved that they were rewritten", rewritten)
	}
	if exceptions > 0 {
		text += fmt.Sprintf("; %d, unreadable before the rotation, are passed over as the operator asked", exceptions)
	}
	return text
}

// sift tells the unreadable records that the operator passes over, which must have been so before, from those that block.
func sift(r Records, accept []string) (exceptions []Exception, blocked []Unread) {
	for _, one := range r.Unread {
		if !one.Before || !slices.Contains(accept, one.ID) {
			blocked = append(blocked, one)
			continue
		}
		reason := "unreadable before the rotation, and unchanged since; passed over by accept_unreadable"
		if one.Changed {
			reason = "unreadable before the rotation, changed since and still unreadable; passed over by accept_unreadable"
		}
		exceptions = append(exceptions, Exception{ID: one.ID, Reason: reason})
	}
	return exceptions, blocked
}

func unreadableRecords(r Records, blocked []Unread, accept []string) *Fault {
	var before, since []string
	for _, one := range blocked {
		switch {
		case one.Before:
			before = append(before, one.ID)
		default:
			since = append(since, one.ID)
		}
	}
	fault := &Fault{
		Code: CodeRecordsUnreadable, State: "Both keys stay in place; the other records are under the new key.",
		What: fmt.Sprintf("%d of %d records open with neither key.", r.Unreadable, r.Total),
	}
	if len(since) > 0 {
		known := "were readable before the rotation, or did not exist"
		if r.Before == nil {
			known = "may have been readable before the rotation: there is no baseline that tells"
		}
		fault.What += fmt.Sprintf(" These %s: %s.", known, listed(since))
		fault.Next = "See the Encryption tab of the Admin panel for them; repair or remove these credentials, then run this again."
		if slices.ContainsFunc(since, func(id string) bool { return slices.Contains(accept, id) }) {
			fault.Next += " accept_unreadable passes over no record that was not unreadable in the baseline."
		}
	}
	if len(before) > 0 {
		fault.What += fmt.Sprintf(" These were unreadable before the rotation already: %s.", listed(before))
		fault.Next = strings.TrimSpace(fault.Next + " Name those that were lost before in accept_unreadable, or remove their credentials; then run this again.")
	}
	return fault
}

func withoutBaseline(r Records, lost string) *Fault {
	if lost == "" {
		lost = "No baseline was given."
	}
	return &Fault{
		Code: CodeBaselineMissing, What: fmt.Sprintf("%d of %d records are of no credential, so that nobody can open them, and nothing says what they were before the rotation: %s. %s", r.Orphaned, r.Total, listed(r.NotRewritten), lost),
		State: "Both keys stay in place; the other records are under the new key.",
		Next:  "Hand on the baseline that was taken before. Where it is lost, look at the Encryption tab of the Admin panel: if it shows Success or Orphaned for each of them, run this again with verify: [attested] and attested_by.",
	}
}

func listed(ids []string) string {
	const most = 10
	text := strings.Join(ids[:min(len(ids), most)], ", ")
	if len(ids) > most {
		text += fmt.Sprintf(" and %d more", len(ids)-most)
	}
	return text
}

// provedByLog takes a line of cron's log, found by the operator's pattern, for the end. No such line is documented.
func provedByLog(w World, wish Wish, plan *Plan, proof *Proof) (string, error) {
	evidence := Evidence{Check: "logs", Detail: "no line of cron's log since its start matches complete_log_pattern"}
	if w.Log == nil {
		plan.Evidence = append(plan.Evidence, evidence)
		plan.Pending = &Fault{
			Code: CodeWaitTimeout, What: fmt.Sprintf("No line of cron's log since its start matches %q (complete_log_pattern).", wish.LogPattern),
			State: "Both keys are still in place.", Next: "Look at cron's log: is the pattern right, and has it finished? Then run this again.",
		}
		return "", nil
	}
	plan.Evidence = append(plan.Evidence, Evidence{Check: "logs", OK: true, Detail: fmt.Sprintf("%s: %s", w.Log.Container, w.Log.Line)})
	plan.Warnings = append(plan.Warnings, "Completion is taken from a line of cron's log, whose meaning is the operator's word: it is weaker than opening every record.")
	proof.Log = w.Log
	return " Cron logged that it is complete.", nil
}

// provedByPerson takes somebody's word.
func provedByPerson(_ World, wish Wish, plan *Plan, proof *Proof) (string, error) {
	plan.Evidence = append(plan.Evidence, Evidence{Check: "attested", OK: true, Detail: wish.AttestedBy + " attests that the Encryption tab shows no record that is left"})
	plan.Warnings = append(plan.Warnings, "Completion is attested by "+wish.AttestedBy+", who looked at the Encryption tab: it is weaker than opening every record.")
	proof.AttestedBy = wish.AttestedBy
	return fmt.Sprintf(" %s attests that it is complete.", wish.AttestedBy), nil
}

func progress(r Records, passedOver int) *Progress {
	percent := 100.0
	if r.Total > 0 {
		percent = float64((r.Current+r.Rewritten+passedOver)*1000/r.Total) / 10
	}
	return &Progress{Total: r.Total, Current: r.Current, Previous: r.Previous, Unreadable: r.Unreadable, Orphaned: r.Orphaned, Rewritten: r.Rewritten, Percent: percent}
}

func counted(r Records, passedOver int) string {
	text := fmt.Sprintf("%d records: %d under the current key, %d under the previous one, %d unreadable (%d of them passed over), %d orphaned (%d of them rewritten)",
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
