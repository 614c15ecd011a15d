package secret

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/hex"
	"sync"
)

// Rounds is the number of PBKDF2 iterations for a fingerprint: about 40 ms on one core, which makes guessing keys expensive.
const Rounds = 200_000

// Fingerprint identifies a key and may be published. It has 16 lowercase hexadecimal digits, the first 8 bytes of
// PBKDF2-HMAC-SHA256(key, "seqera-crypto-rotation/fingerprint/v1/"+scope, Rounds). It is empty for the empty key.
type Fingerprint string

// Fingerprints are the fingerprints of the two keys of a rotation, as a result shows them.
type Fingerprints struct {
	Current  Fingerprint `json:"current"`
	Previous Fingerprint `json:"previous"`
}

// Fingerprinter computes fingerprints within one scope (an installation's app_name). It caches them, because each takes tens of
// milliseconds. It is safe for concurrent use: if two goroutines need the same fingerprint, it is computed once.
type Fingerprinter struct {
	scope  string
	rounds int

	mu    sync.Mutex
	known map[string]func() Fingerprint
}

// NewFingerprinter returns a Fingerprinter for a scope. rounds must be Rounds; only tests may use fewer.
func NewFingerprinter(scope string, rounds int) *Fingerprinter {
	return &Fingerprinter{scope: scope, rounds: rounds, known: map[string]func() Fingerprint{}}
}

// Of returns the fingerprint of a key.
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

// MACKey returns a 32-byte MAC key for documents, derived from a crypto key. It takes as long as a fingerprint and is not cached.
func (f *Fingerprinter) MACKey(key Secret, scope string) []byte {
	return derive(key.Reveal(), "mac/v1/"+scope, f.rounds, sha256.Size)
}

func derive(plain, salt string, rounds, length int) []byte {
	// Derive a whole block and cut it: FIPS-only mode refuses less than 14 bytes, and the first bytes do not depend on the length.
	out, err := pbkdf2.Key(sha256.New, plain, []byte("seqera-crypto-rotation/"+salt), rounds, sha256.Size)
	if err != nil {
		// Unreachable: only an invalid length or number of rounds, or a short salt in FIPS-only mode, is an error.
		panic("secret: PBKDF2 refused its constants")
	}
	return out[:length]
}
