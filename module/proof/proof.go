// Package proof decides whether a rotation is complete. Judge turns what was observed on the VM (Observed) and the options (Asked) into
// a Verdict, which says whether every record is under the new key and how that is known. The package makes the proof document, and
// checks a proof that a playbook passes back. It is pure, and must not know how containers and records are read, or what is planned.
package proof

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

	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// Format is the version of the proof document.
const Format = 1

// Proof says that every record of one installation is under the new key, and how that is known. It contains no secret. MAC shows that
// its maker had the new key: it is the HMAC-SHA256 of the document with an empty mac, with Fingerprinter.MACKey(new key, app) as key.
//
// With "database" in Verify: Total = Proved + Rewritten + the number of Exceptions, and, if there was a baseline,
// Total = Before.Total + Before.Created - Before.Removed.
type Proof struct {
	Format      int                `json:"format"`
	Kind        Kind               `json:"kind,omitempty"`
	App         string             `json:"app_name"`
	RotationID  string             `json:"rotation_id"`
	Previous    secret.Fingerprint `json:"previous"`
	Current     secret.Fingerprint `json:"current"`
	Verify      []Verify           `json:"verify"`
	Database    string             `json:"database,omitempty"`
	Total       int                `json:"total"`
	Proved      int                `json:"proved"`    // opened by the new key
	Rewritten   int                `json:"rewritten"` // records that nobody can open but that differ from the baseline
	Orphaned    int                `json:"orphaned"`  // records without a credential; equals Rewritten in a complete proof
	Deleted     int                `json:"deleted"`   // records of credentials that are marked as deleted; also counted in Proved or Exceptions
	Exceptions  []Exception        `json:"exceptions,omitempty"`
	Before      *Before            `json:"before,omitempty"`
	Stopped     bool               `json:"stopped,omitempty"` // for Untouched: no backend and no cron ran while the records were read
	NotLookedAt []string           `json:"not_looked_at,omitempty"`
	AttestedBy  string             `json:"attested_by,omitempty"` // for VerifyAttested
	MadeAt      time.Time          `json:"made_at"`
	Tool        string             `json:"tool"`
	MAC         string             `json:"mac"`
}

// Kind is what a proof proves.
type Kind string

// The kinds of proofs.
const (
	Complete  Kind = ""          // every record is under the new key
	Untouched Kind = "untouched" // no record is under the new key; Proved counts records under the previous key, which signs the proof
	Explained Kind = "explained" // each record is under one of the two keys; Proved counts records under the current key, which signs the proof
)

// Exception is a record that is not under the new key, and the reason why the rotation is complete anyway.
type Exception struct {
	ID     string `json:"id"` // tw_secret.id
	Reason string `json:"reason"`
}

// Sign fills in MAC with the new key.
func (p *Proof) Sign(prints Fingerprinter, newKey secret.Secret) { p.MAC = p.mac(prints, newKey) }

func (p Proof) signedWith(prints Fingerprinter, key secret.Secret) bool {
	return p.MAC != "" && hmac.Equal([]byte(p.MAC), []byte(p.mac(prints, key)))
}

func (p Proof) mac(prints Fingerprinter, key secret.Secret) string {
	p.MAC, p.MadeAt = "", p.MadeAt.UTC()
	text, err := json.Marshal(p)
	if err != nil {
		return "" // unreachable: strings, integers and times of this century always encode
	}
	mac := hmac.New(sha256.New, prints.MACKey(key, p.App))
	_, _ = mac.Write(text)
	return hex.EncodeToString(mac.Sum(nil))
}

// Parse decodes the option proof, or returns nil if it is not set. Its error is a fault.
func Parse(document map[string]any) (*Proof, error) {
	if document == nil {
		return nil, nil //nolint:nilnil // the planner decides whether a proof is required
	}
	text, err := json.Marshal(document)
	if err == nil {
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.DisallowUnknownFields()
		proof := &Proof{}
		if decoder.Decode(proof) == nil && proof.Format == Format {
			return proof, nil
		}
	}
	return nil, fault.New(fault.CodeProofMismatch, "Pass the value that rotating returned as proof, unchanged.",
		"The option proof is not what state rotating returned.")
}

// Digest returns the SHA-256 of the whole document, in hexadecimal.
func (p Proof) Digest() string {
	text, err := json.Marshal(p)
	if err != nil {
		return "" // as in mac
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// Brief returns the proof without the lists that may be too long for a ledger entry. It keeps their lengths.
func (p Proof) Brief() Proof {
	if most := 10; len(p.Exceptions) > most {
		p.Exceptions = []Exception{{ID: "", Reason: fmt.Sprintf("%d records, unreadable before the rotation, were skipped; their ids are in the proof that the run returned", len(p.Exceptions))}}
	}
	if most := 400; len(strings.Join(p.NotLookedAt, "")) > most {
		p.NotLookedAt = []string{fmt.Sprintf("%d tables and columns; they are in the proof that the run returned", len(p.NotLookedAt))}
	}
	return p
}

// Says summarizes the proof in one line.
func (p Proof) Says() string {
	if weaker := p.Weaker(); weaker != "" {
		return weaker
	}
	return fmt.Sprintf("%d of %d records are proved to be under the new key, and %d are skipped", p.Proved+p.Rewritten, p.Total, len(p.Exceptions))
}

// Weaker returns a warning if the proof does not rest on the database, or "".
func (p Proof) Weaker() string {
	if slices.Contains(p.Verify, VerifyDatabase) {
		return ""
	}
	return fmt.Sprintf("No record was opened for this proof: it rests on %q alone.", p.Verify)
}
