package sealed

import (
	"crypto/pbkdf2"
	"crypto/sha1" //nolint:gosec // the published format of tw_secret.id; it names a row and guards nothing
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
)

// Rounds is the number of PBKDF2 iterations of lib-crypto 1.1.0, for keys and for ids: about 13 ms on one core of 2024.
const Rounds = 65536

const (
	idBytes = 16
	mask    = "[key]"
)

// Key is the AES-256 key of one record (each credential has a salt of its own). It has no door that prints its bytes but
// one: fmt reads unexported fields of other packages' structs without asking their methods, so never print a struct that
// holds a Key.
type Key [32]byte

// Derive makes the key of a record from the Platform's crypto secret (UTF-8) and the credential's salt (tw_credentials.salt,
// 16 bytes in practice, any length here). It fails only where Go's FIPS 140-only mode refuses the arguments.
func Derive(secretKey, salt []byte) (Key, error) {
	derived, err := pbkdf2.Key(sha256.New, string(secretKey), salt, Rounds, len(Key{}))
	if err != nil {
		return Key{}, errors.New("derive the key of a record: this build's FIPS mode refuses PBKDF2 with this secret or salt")
	}
	return Key(derived), nil
}

// Path names a credential the way its id is derived from. credentialID is tw_credentials.id.
func Path(userID int64, credentialID string) string {
	return fmt.Sprintf("/user/%d/creds/%s", userID, credentialID)
}

// ID is tw_secret.id of the credential at path: standard base64 with padding, 24 characters. It costs as much as Derive
// and fails only where Derive does.
func ID(path string, salt []byte) (string, error) {
	derived, err := pbkdf2.Key(sha1.New, path, salt, Rounds, idBytes)
	if err != nil {
		return "", errors.New("derive the id of a record: this build's FIPS mode refuses PBKDF2 with SHA-1 or this salt")
	}
	return base64.StdEncoding.EncodeToString(derived), nil
}

// String gives a mask.
func (Key) String() string { return mask }

// GoString gives the mask, for %#v.
func (Key) GoString() string { return mask }

// Format gives the mask for every verb and flag.
func (Key) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(mask)) }

// MarshalJSON gives the mask as a JSON string.
func (Key) MarshalJSON() ([]byte, error) { return []byte(`"` + mask + `"`), nil }

// MarshalText gives the mask; it serves map keys and log/slog.
func (Key) MarshalText() ([]byte, error) { return []byte(mask), nil }
