// Package sealed implements the Platform's format for encrypted records, as published in Seqera's lib-crypto 1.1.0 (CryptoHelper) and
// Wave's CredentialServiceImpl (until December 2022). It is pure, and must not know where records or secrets come from.
//
//	key    = PBKDF2-HMAC-SHA256(secret, salt, 65536 rounds, 256 bit)
//	secure = IV (16 bytes) ‖ AES-256-CBC(key, IV, plain with PKCS5 padding)
//	path   = /user/<user id>/creds/<credential id>
//	id     = base64(PBKDF2-HMAC-SHA1(path, salt, 65536 rounds, 128 bit))
//
// The format has no authentication. With a wrong key or a damaged record, the padding check passes about once in 256 times. So use
// OpenObject, not Open, to find out whether a record is under a key.
package sealed

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/sha1" //nolint:gosec // the published format of tw_secret.id; it names a row and guards nothing
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// Errors about a record. They reveal nothing about its content.
var (
	// ErrTruncated: the record is not an IV followed by at least one whole block.
	ErrTruncated = errors.New("the record is not an IV and whole AES blocks")
	// ErrPadding: the key is wrong or the record is damaged.
	ErrPadding = errors.New("the record does not decrypt with this key: wrong padding")
	// ErrNotObject: the padding is right by chance, or the record is of another kind.
	ErrNotObject = errors.New("the record decrypts to something that is not a JSON object")
)

// Open decrypts a record into a new slice, which is not nil even if it is empty. Its errors are ErrTruncated and ErrPadding.
func Open(key Key, secure []byte) ([]byte, error) {
	if len(secure) < 2*aes.BlockSize || len(secure)%aes.BlockSize != 0 {
		return nil, ErrTruncated
	}
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, fmt.Errorf("AES-256: %w", err)
	}
	plain := make([]byte, len(secure)-aes.BlockSize)
	cipher.NewCBCDecrypter(block, secure[:aes.BlockSize]).CryptBlocks(plain, secure[aes.BlockSize:])
	return unpad(plain)
}

// OpenObject is like Open, but the plaintext must be a JSON object, as in every record of the Platform. It adds the error
// ErrNotObject.
func OpenObject(key Key, secure []byte) ([]byte, error) {
	plain, err := Open(key, secure)
	if err != nil {
		return nil, err
	}
	if !IsObject(plain) {
		clear(plain)
		return nil, ErrNotObject
	}
	return plain, nil
}

// Seal encrypts a record with a new IV of 16 bytes from random, which is normally crypto/rand.Reader.
func Seal(key Key, plain []byte, random io.Reader) ([]byte, error) {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, fmt.Errorf("AES-256: %w", err)
	}
	padding := aes.BlockSize - len(plain)%aes.BlockSize
	secure := make([]byte, aes.BlockSize, aes.BlockSize+len(plain)+padding)
	if _, err := io.ReadFull(random, secure); err != nil {
		return nil, fmt.Errorf("read 16 random bytes for the IV: %w", err)
	}
	secure = append(secure, plain...)
	secure = append(secure, bytes.Repeat([]byte{byte(padding)}, padding)...)
	iv, body := secure[:aes.BlockSize], secure[aes.BlockSize:]
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(body, body)
	return secure, nil
}

// IsObject reports whether plain is a single JSON object (RFC 8259, in UTF-8), with only whitespace around it.
func IsObject(plain []byte) bool {
	trimmed := bytes.TrimLeft(plain, " \t\r\n")
	return len(trimmed) > 0 && trimmed[0] == '{' && utf8.Valid(trimmed) && json.Valid(trimmed)
}

func unpad(plain []byte) ([]byte, error) {
	padding := int(plain[len(plain)-1])
	if padding == 0 || padding > aes.BlockSize {
		clear(plain)
		return nil, ErrPadding
	}
	body, tail := plain[:len(plain)-padding], plain[len(plain)-padding:]
	for _, b := range tail {
		if int(b) != padding {
			clear(plain)
			return nil, ErrPadding
		}
	}
	return body, nil
}

// Rounds is the number of PBKDF2 iterations in lib-crypto 1.1.0, for keys and IDs. They take about 13 ms on one core of 2024.
const Rounds = 65536

const (
	idBytes = 16
	mask    = "[key]"
)

// Key is the AES-256 key of one record. Never print a struct that contains one: fmt prints unexported fields without calling their
// methods.
type Key [32]byte

// Derive returns the key of a record, from the Platform's crypto secret (UTF-8) and the credential's salt (tw_credentials.salt, in
// practice 16 bytes). It fails only if Go's FIPS 140-only mode refuses the arguments.
func Derive(secretKey, salt []byte) (Key, error) {
	derived, err := pbkdf2.Key(sha256.New, string(secretKey), salt, Rounds, len(Key{}))
	if err != nil {
		return Key{}, errors.New("derive the key of a record: this build's FIPS mode refuses PBKDF2 with this secret or salt")
	}
	return Key(derived), nil
}

// Path returns the path of a credential, from which ID derives the record ID. credentialID is tw_credentials.id.
func Path(userID int64, credentialID string) string {
	return fmt.Sprintf("/user/%d/creds/%s", userID, credentialID)
}

// ID returns the tw_secret.id of a credential: standard base64, 24 characters. It takes as long as Derive and fails in the same cases.
func ID(path string, salt []byte) (string, error) {
	derived, err := pbkdf2.Key(sha1.New, path, salt, Rounds, idBytes)
	if err != nil {
		return "", errors.New("derive the id of a record: this build's FIPS mode refuses PBKDF2 with SHA-1 or this salt")
	}
	return base64.StdEncoding.EncodeToString(derived), nil
}

// String returns a mask.
func (Key) String() string { return mask }

// GoString returns the mask, for %#v.
func (Key) GoString() string { return mask }

// Format writes the mask for every verb and flag.
func (Key) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(mask)) }

// MarshalJSON returns the mask as a JSON string.
func (Key) MarshalJSON() ([]byte, error) { return []byte(`"` + mask + `"`), nil }

// MarshalText returns the mask; map keys and log/slog use it.
func (Key) MarshalText() ([]byte, error) { return []byte(mask), nil }
