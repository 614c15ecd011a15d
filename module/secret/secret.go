// Package secret provides a string that cannot be printed by accident: fmt, encoding/json, encoding.TextMarshaler and log/slog show
// "[secret]", and database/sql gets an error. It also computes fingerprints, which identify a secret in public. It must not know where
// secrets come from or go to.
package secret

import (
	"bytes"
	"crypto/subtle"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
)

// Mask is printed instead of a secret.
const Mask = "[secret]"

// Secret is a string that cannot be printed by accident. The zero value is the empty secret.
//
// The bytes are behind two pointers. fmt prints unexported struct fields without calling their methods and, for a verb that does not
// match, it follows one pointer to a slice. With two pointers it prints only an address.
type Secret struct {
	hidden **[]byte
}

// New returns a secret with this text.
func New(plain string) Secret {
	if plain == "" {
		return Secret{}
	}
	b := []byte(plain)
	inner := &b
	return Secret{hidden: &inner}
}

// Reveal returns the plain text. The linter restricts where it may be called.
func (s Secret) Reveal() string {
	return string(s.bytes())
}

func (s Secret) bytes() []byte {
	if s.hidden == nil {
		return nil
	}
	return **s.hidden
}

// IsEmpty reports whether the secret is empty.
func (s Secret) IsEmpty() bool { return s.Len() == 0 }

// Len returns the length in bytes.
func (s Secret) Len() int { return len(s.bytes()) }

// Equal compares two secrets, in constant time if their lengths are equal.
func (s Secret) Equal(other Secret) bool {
	return subtle.ConstantTimeCompare(s.bytes(), other.bytes()) == 1
}

// String returns the mask.
func (s Secret) String() string { return Mask }

// GoString returns the mask, for %#v.
func (s Secret) GoString() string { return Mask }

// Format writes the mask for every verb and flag.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(Mask)) }

// MarshalJSON returns the mask as a JSON string.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + Mask + `"`), nil }

// MarshalText returns the mask; map keys, XML and most YAML libraries use it.
func (s Secret) MarshalText() ([]byte, error) { return []byte(Mask), nil }

// LogValue returns the mask, for log/slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(Mask) }

// Value returns an error, because a secret must not be a query argument.
func (s Secret) Value() (driver.Value, error) {
	return nil, errors.New("a secret is not a query argument")
}

// UnmarshalJSON accepts a JSON string or null. Its error does not quote the input.
func (s *Secret) UnmarshalJSON(data []byte) error {
	if bytes.Equal(data, []byte("null")) {
		*s = Secret{}
		return nil
	}
	var plain string
	if json.Unmarshal(data, &plain) != nil {
		return errors.New("a secret must be a string")
	}
	*s = New(plain)
	return nil
}

// Scrub masks secrets in a text. It does not mask secrets of fewer than four bytes: the mask would hide nothing.
func Scrub(text string, secrets ...Secret) string {
	for _, s := range secrets {
		if s.Len() >= 4 {
			text = strings.ReplaceAll(text, s.Reveal(), Mask)
		}
	}
	return text
}

// ScrubValues masks the values of environment variables in a text. Few of them are secrets, so it does not mask values that occur in
// known. A value of fewer than eight bytes may be an ordinary word, such as tower, so it is masked only where it is a separate word.
func ScrubValues(text, known string, values ...Secret) string {
	for _, value := range values {
		switch {
		case strings.Contains(known, value.Reveal()):
		case value.Len() >= 8:
			text = Scrub(text, value)
		case value.Len() >= 4:
			text = replaceAlone(text, value.Reveal())
		}
	}
	return text
}

func replaceAlone(text, word string) string {
	var out strings.Builder
	for {
		at := strings.Index(text, word)
		if at < 0 {
			return out.String() + text
		}
		before, after := text[:at], text[at+len(word):]
		out.WriteString(before)
		if joined(out.String()[max(0, out.Len()-1):], "/-_.") || joined(after, "/-_") || len(after) > 1 && after[0] == '.' && joined(after[1:], "") {
			out.WriteString(word)
		} else {
			out.WriteString(Mask)
		}
		text = after
	}
}

// joined reports whether a text starts with a letter, a digit or one of the characters in others.
func joined(text, others string) bool {
	return text != "" && (strings.ContainsRune(others, rune(text[0])) || text[0] >= 0x80 || '0' <= text[0] && text[0] <= '9' || 'a' <= text[0]|0x20 && text[0]|0x20 <= 'z')
}
