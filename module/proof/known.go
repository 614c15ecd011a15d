package proof

import (
	"fmt"
	"slices"

	"github.com/seqera-tools/crypto-rotation/module/fault"
)

// Known is how many records a database had, and by whose word.
type Known struct {
	Total int
	By    string // "the baseline of 2026-01-02T12:00:00Z", "rotation r1 (finished on 2026-01-02)"
}

// TooFew says whether a database holds none of the Platform's records, or fewer than half of what is known of it: then it is
// another one than is meant, or an empty one, and what a look at it says of keys proves nothing. The sentence names the
// database (host:port/name) that was read.
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
