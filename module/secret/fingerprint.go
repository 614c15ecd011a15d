package secret

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/hex"
	"sync"
)

// Rounds are those of a fingerprint's PBKDF2: about 40 ms on one core, so that it is of no use to who guesses keys.
const Rounds = 200_000

// Fingerprint tells keys apart in public: 16 lower-case hexadecimal digits, the first 8 bytes of
// PBKDF2-HMAC-SHA256(key, "seqera-crypto-rotation/fingerprint/v1/"+scope, Rounds). Empty for the empty key.
type Fingerprint string

// Fingerprints are those of the two keys of a rotation, as a result shows them.
type Fingerprints struct {
	Current  Fingerprint `json:"current"`
	Previous Fingerprint `json:"previous"`
}

// Fingerprinter computes fingerprints within one scope (an installation's app_name), each once, because one costs tens of
// milliseconds. Safe for concurrent use: who asks for a key while another goroutine computes it waits for that.
type Fingerprinter struct {
	scope  string
	rounds int

	mu    sync.Mutex
	known map[string]func() Fingerprint
}

// NewFingerprinter makes a Fingerprinter for a scope. A product run uses Rounds; tests may ask for fewer.
func NewFingerprinter(scope string, rounds int) *Fingerprinter {
	return &Fingerprinter{scope: scope, rounds: rounds, known: map[string]func() Fingerprint{}}
}

// Of gives the fingerprint of a key.
func (f *Fingerprinter) Of(key Secret) Fingerprint {
	if key.IsEmpty() {
		return ""
	}
	plain := key.Reveal()
	f.mu.Lock()
	compute, ok := f.known[plain]
	if !ok {
		compute = sync.OnceValue(func() Fingerprint {
			return Fingerprint(hex.EncodeToString(derive(plain, "fingerprint/v1/"+f.scope, f.rounds, 8)))
		})
		f.known[plain] = compute
	}
	f.mu.Unlock()
	return compute()
}

// MACKey derives, as slowly as a fingerprint, the 32-byte key that binds a document to the holder of a crypto key.
func (f *Fingerprinter) MACKey(key Secret, scope string) []byte {
	return derive(key.Reveal(), "mac/v1/"+scope, f.rounds, sha256.Size)
}

func derive(plain, salt string, rounds, length int) []byte {
	// A whole block, whose start does not depend on the length: FIPS-only mode refuses less than 14 bytes.
	out, err := pbkdf2.Key(sha256.New, plain, []byte("seqera-crypto-rotation/"+salt), rounds, sha256.Size)
	if err != nil {
		// Only a length or round count out of range, or FIPS-only mode with a short salt, ends here: programming errors.
		panic("secret: PBKDF2 refused its constants")
	}
	return out[:length]
}
