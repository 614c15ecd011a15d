package rotation

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// ProofFormat is the version of the proof document.
const ProofFormat = 1

// clocksApart is how far a VM's clock may be ahead of the control node's.
const clocksApart = 5 * time.Minute

// Proof says that every record of one installation is under the new key, and how that is known. It holds no secret. MAC binds
// the rest to somebody who has the new key: HMAC-SHA256 over the document with an empty mac, under Prints.MACKey(new key, app).
//
// With the way "database": Total = Proved + Rewritten + the number of Exceptions, and, where there was a baseline,
// Total = Before.Total + Before.Created - Before.Removed.
type Proof struct {
	Format      int                `json:"format"`
	Kind        ProofKind          `json:"kind,omitempty"`
	App         string             `json:"app_name"`
	RotationID  string             `json:"rotation_id"`
	Previous    secret.Fingerprint `json:"previous"`
	Current     secret.Fingerprint `json:"current"`
	Verify      []Verify           `json:"verify"`
	Database    string             `json:"database,omitempty"`
	Total       int                `json:"total"`
	Proved      int                `json:"proved"`    // opened by the new key
	Rewritten   int                `json:"rewritten"` // nobody can open them, but they differ from the baseline
	Orphaned    int                `json:"orphaned"`  // of no credential; the same as Rewritten in a complete proof
	Deleted     int                `json:"deleted"`   // of credentials that are marked deleted; also in Proved or Exceptions
	Exceptions  []Exception        `json:"exceptions,omitempty"`
	Before      *Before            `json:"before,omitempty"`
	Stopped     bool               `json:"stopped,omitempty"` // no backend and no cron ran while the records were read; of untouched
	NotLookedAt []string           `json:"not_looked_at,omitempty"`
	Log         *LogLine           `json:"log,omitempty"`         // of the way logs
	AttestedBy  string             `json:"attested_by,omitempty"` // of the way attested
	MadeAt      time.Time          `json:"made_at"`
	Tool        string             `json:"tool"`
	MAC         string             `json:"mac"`
}

// ProofKind is what a proof proves.
type ProofKind string

// The kinds of proofs.
const (
	ProofComplete  ProofKind = ""          // every record is under the new key
	ProofUntouched ProofKind = "untouched" // none is; Proved counts those under the previous one, and that key signs
)

// Exception is a record that is not under the new key, and why the rotation is complete all the same.
type Exception struct {
	ID     string `json:"id"` // tw_secret.id
	Reason string `json:"reason"`
}

// Sign fills in MAC with the new key.
func (p *Proof) Sign(prints Prints, newKey secret.Secret) {
	p.MAC = p.signed(prints, newKey)
}

func (p Proof) signed(prints Prints, key secret.Secret) string {
	return hex.EncodeToString(p.mac(prints, key))
}

func (p Proof) mac(prints Prints, newKey secret.Secret) []byte {
	p.MAC = ""
	p.MadeAt = p.MadeAt.UTC()
	text, err := json.Marshal(p)
	if err != nil {
		// Strings, integers and a time of this century always encode.
		return nil
	}
	mac := hmac.New(sha256.New, prints.MACKey(newKey, p.App))
	_, _ = mac.Write(text)
	return mac.Sum(nil)
}

// ParseProof reads what rotating returned and a playbook handed on.
func ParseProof(document map[string]any) (*Proof, error) {
	if document == nil {
		return nil, nil //nolint:nilnil // no proof given is not an error here: whether one is needed, the plan decides
	}
	text, err := json.Marshal(document)
	if err == nil {
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.DisallowUnknownFields()
		proof := &Proof{}
		if decoder.Decode(proof) == nil && proof.Format == ProofFormat {
			return proof, nil
		}
	}
	return nil, &Fault{
		Code: CodeProofMismatch, What: "The option proof is not what state rotating returned.",
		State: nothingWritten, Next: "Hand on the value that rotating returned as proof, unchanged.",
	}
}

// Digest is the SHA-256 of the whole document, in hexadecimal.
func (p Proof) Digest() string {
	text, err := json.Marshal(p)
	if err != nil {
		return "" // as in mac
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// brief is the proof without the parts that could outgrow a ledger entry; their number stays, and the digest of the whole.
func (p Proof) brief() Proof {
	if most := 10; len(p.Exceptions) > most {
		p.Exceptions = []Exception{{ID: "", Reason: fmt.Sprintf("%d records, unreadable before the rotation, were passed over; their ids are in the proof that the run returned", len(p.Exceptions))}}
	}
	if most := 400; len(strings.Join(p.NotLookedAt, "")) > most {
		p.NotLookedAt = []string{fmt.Sprintf("%d tables and columns; they are in the proof that the run returned", len(p.NotLookedAt))}
	}
	return p
}

// says is the proof in a line.
func (p Proof) says() string {
	if weaker := p.weaker(); weaker != "" {
		return weaker
	}
	return fmt.Sprintf("%d of %d records are proved to be under the new key, %d are passed over", p.Proved+p.Rewritten, p.Total, len(p.Exceptions))
}

// weaker says what the proof does not rest on, or nothing.
func (p Proof) weaker() string {
	if slices.Contains(p.Verify, VerifyDatabase) {
		return ""
	}
	return fmt.Sprintf("No record was opened for this proof: it rests on %q alone.", p.Verify)
}

// fits says whether the proof belongs to this rotation and is complete, each refusal with its own message.
func (p *Proof) fits(now time.Time, wish Wish, entry custody.Entry, prints Prints, newKey secret.Secret) error {
	refuse := func(code Code, what string) error {
		return &Fault{Code: code, What: what, State: nothingWritten, Next: "Run state rotating again on the Platform's VM and hand on the proof that it returns."}
	}
	if p == nil {
		return refuse(CodeProofMissing, fmt.Sprintf("There is no proof that every record is under the new key; without one the previous key %s is never removed.", entry.Previous))
	}
	switch {
	case p.Kind != ProofComplete:
		return refuse(CodeProofMismatch, "The proof says that no record is under the new key, not that every one is.")
	case p.App != wish.App:
		return refuse(CodeProofMismatch, fmt.Sprintf("The proof is of another installation: %q, not %q.", p.App, wish.App))
	case p.RotationID != entry.RotationID:
		return refuse(CodeProofMismatch, fmt.Sprintf("The proof is of another rotation: %q, not %q.", p.RotationID, entry.RotationID))
	case p.Previous != entry.Previous || p.Current != entry.Current:
		return refuse(CodeProofMismatch, fmt.Sprintf("The proof is of other keys: from %s to %s, not from %s to %s.", p.Previous, p.Current, entry.Previous, entry.Current))
	}
	if gap := p.gap(); gap != "" {
		return refuse(CodeProofIncomplete, gap)
	}
	mac, err := hex.DecodeString(p.MAC)
	if err != nil || !hmac.Equal(mac, p.mac(prints, newKey)) {
		return refuse(CodeProofMismatch, "The proof was changed after it was made, or was not made with the new key: its mac does not fit.")
	}
	if b := entry.Baseline; b != nil && p.Before != nil && b.Digest != p.Before.Digest {
		return refuse(CodeProofMismatch, fmt.Sprintf("The proof rests on another baseline (%.16s) than the one that the ledger has of this rotation (%.16s).", p.Before.Digest, b.Digest))
	}
	return p.young(now, wish.ProofMaxAge, refuse)
}

func (p *Proof) young(now time.Time, most time.Duration, refuse func(Code, string) error) error {
	age := now.Sub(p.MadeAt)
	switch {
	case most > 0 && age > most:
		return refuse(CodeProofTooOld, fmt.Sprintf("The proof was made %s, %s ago: longer than %s.", stamp(p.MadeAt), age.Round(time.Second), most))
	case age < -clocksApart:
		return refuse(CodeProofTooOld, fmt.Sprintf("The proof was made %s, which is %s in the future: the clocks of the VM and of this machine differ.", stamp(p.MadeAt), (-age).Round(time.Second)))
	}
	return nil
}

// gap says what is missing in a proof, or nothing.
func (p *Proof) gap() string {
	if len(p.Verify) == 0 {
		return "The proof does not say how it was made."
	}
	for _, way := range p.Verify {
		switch {
		case way == VerifyLogs && p.Log == nil:
			return "The proof rests on cron's log and does not quote it."
		case way == VerifyAttested && p.AttestedBy == "":
			return "The proof rests on somebody's word and does not name them."
		}
	}
	if !slices.Contains(p.Verify, VerifyDatabase) {
		return ""
	}
	if p.Total < 1 {
		return fmt.Sprintf("The proof is over no records at all: the database %s had none.", p.Database)
	}
	if done := p.Proved + p.Rewritten + len(p.Exceptions); p.Proved < 0 || p.Rewritten < 0 || done != p.Total {
		return fmt.Sprintf("The proof is not complete: it accounts for %d of %d records (%d under the new key, %d rewritten, %d passed over).", done, p.Total, p.Proved, p.Rewritten, len(p.Exceptions))
	}
	if b := p.Before; b != nil && b.Total+b.Created-b.Removed != p.Total {
		return fmt.Sprintf("The proof does not add up: %d records before, %d created, %d removed, but %d after.", b.Total, b.Created, b.Removed, p.Total)
	}
	return ""
}
