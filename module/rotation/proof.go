package rotation

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// ProofFormat is the version of the proof document.
const ProofFormat = 1

// Proof says that every record of one installation is under the new key. It holds no secret. MAC binds the rest to
// somebody who has the new key: HMAC-SHA256 over the document with an empty mac, under secret.MACKey(new key, app).
type Proof struct {
	Format     int                `json:"format"`
	App        string             `json:"app_name"`
	RotationID string             `json:"rotation_id"`
	Previous   secret.Fingerprint `json:"previous"`
	Current    secret.Fingerprint `json:"current"`
	Verify     []string           `json:"verify"`
	Database   string             `json:"database"`
	Total      int                `json:"total"`
	Proved     int                `json:"proved"`    // opened by the new key
	Rewritten  int                `json:"rewritten"` // nobody can open them, but they differ from the baseline
	MadeAt     time.Time          `json:"made_at"`
	Tool       string             `json:"tool"`
	MAC        string             `json:"mac"`
}

// Sign fills in MAC with the new key.
func (p *Proof) Sign(newKey secret.Secret) {
	p.MAC = hex.EncodeToString(p.mac(newKey))
}

func (p Proof) mac(newKey secret.Secret) []byte {
	p.MAC = ""
	p.MadeAt = p.MadeAt.UTC()
	text, err := json.Marshal(p)
	if err != nil {
		// Strings, integers and a time of this century always encode.
		return nil
	}
	mac := hmac.New(sha256.New, secret.MACKey(newKey, p.App))
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

// fits says whether the proof belongs to this rotation and is complete, each refusal with its own message.
func (p *Proof) fits(wish Wish, entry custody.Entry, newKey secret.Secret) error {
	next := "Run state rotating again on the Platform's VM and hand on the proof that it returns."
	refuse := func(code Code, what string) error {
		return &Fault{Code: code, What: what, State: nothingWritten, Next: next}
	}
	if p == nil {
		return refuse(CodeProofMissing, fmt.Sprintf("There is no proof that every record is under the new key; without one the previous key %s is never removed.", entry.Previous))
	}
	switch {
	case p.App != wish.App:
		return refuse(CodeProofMismatch, fmt.Sprintf("The proof is of another installation: %q, not %q.", p.App, wish.App))
	case p.RotationID != entry.RotationID:
		return refuse(CodeProofMismatch, fmt.Sprintf("The proof is of another rotation: %q, not %q.", p.RotationID, entry.RotationID))
	case p.Previous != entry.Previous || p.Current != entry.Current:
		return refuse(CodeProofMismatch, fmt.Sprintf("The proof is of other keys: from %s to %s, not from %s to %s.", p.Previous, p.Current, entry.Previous, entry.Current))
	case len(p.Verify) == 0:
		return refuse(CodeProofIncomplete, "The proof does not say how it was made.")
	case p.Total < 0 || p.Proved < 0 || p.Rewritten < 0 || p.Proved+p.Rewritten != p.Total:
		return refuse(CodeProofIncomplete, fmt.Sprintf("The proof is not complete: %d of %d records are under the new key.", p.Proved+p.Rewritten, p.Total))
	}
	mac, err := hex.DecodeString(p.MAC)
	if err != nil || !hmac.Equal(mac, p.mac(newKey)) {
		return refuse(CodeProofMismatch, "The proof was changed after it was made, or was not made with the new key: its mac does not fit.")
	}
	return nil
}
