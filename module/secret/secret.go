// Package secret holds a string that no door prints: fmt, encoding/json, encoding/text, log/slog and
// database/sql all show "[secret]". It knows how to tell two secrets apart in public (Fingerprint) and
// nothing about where secrets come from or go to.
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

// Mask is what every printing door shows instead of a secret.
const Mask = "[secret]"

// Secret is a string that cannot be printed. The zero value is the empty secret.
//
// The bytes are behind two pointers, because fmt prints the unexported fields of foreign structs without asking their
// methods, and for a verb that does not fit follows one pointer to a slice: behind the second it finds an address.
type Secret struct {
	hidden **[]byte
}

// New takes over plain text.
func New(plain string) Secret {
	if plain == "" {
		return Secret{}
	}
	b := []byte(plain)
	inner := &b
	return Secret{hidden: &inner}
}

// Reveal returns the plain text, for an SDK call, a cipher or a secret document; the linter names who may.
func (s Secret) Reveal() string {
	return string(s.bytes())
}

func (s Secret) bytes() []byte {
	if s.hidden == nil {
		return nil
	}
	return **s.hidden
}

// IsEmpty says whether there is nothing to hide.
func (s Secret) IsEmpty() bool { return s.Len() == 0 }

// Len is the length in bytes, which is what SSM's limits count.
func (s Secret) Len() int { return len(s.bytes()) }

// Equal compares in constant time for equal lengths.
func (s Secret) Equal(other Secret) bool {
	return subtle.ConstantTimeCompare(s.bytes(), other.bytes()) == 1
}

// String gives the mask.
func (s Secret) String() string { return Mask }

// GoString gives the mask, for %#v.
func (s Secret) GoString() string { return Mask }

// Format gives the mask for every verb and flag.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(Mask)) }

// MarshalJSON gives the mask as a JSON string.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + Mask + `"`), nil }

// MarshalText gives the mask; it also serves map keys, XML and most YAML libraries.
func (s Secret) MarshalText() ([]byte, error) { return []byte(Mask), nil }

// LogValue gives the mask to log/slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(Mask) }

// Value refuses: a secret is no query argument.
func (s Secret) Value() (driver.Value, error) {
	return nil, fmt.Errorf("a secret is not a query argument")
}

// UnmarshalJSON takes a JSON string; anything else is refused without being quoted in the error.
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

// Scrub replaces secrets in a text from elsewhere. Those of fewer than four bytes are left: masking hides nothing.
func Scrub(text string, secrets ...Secret) string {
	for _, s := range secrets {
		if s.Len() >= 4 {
			text = strings.ReplaceAll(text, s.Reveal(), Mask)
		}
	}
	return text
}

// ScrubValues is Scrub for the values of an environment, few of which are secrets: not for what stands in known. A value of fewer
// than eight bytes may be an everyday word, such as tower: it is replaced only where it stands alone.
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
		if joined(last(out.String()), "/-_.") || joined(after, "/-_") || len(after) > 1 && after[0] == '.' && joined(after[1:], "") {
			out.WriteString(word)
		} else {
			out.WriteString(Mask)
		}
		text = after
	}
}

func last(text string) string { return text[max(0, len(text)-1):] }

// joined says whether a text begins with a letter, a digit or one of some other characters.
func joined(text, others string) bool {
	return text != "" && (strings.ContainsRune(others, rune(text[0])) || text[0] >= 0x80 || '0' <= text[0] && text[0] <= '9' || 'a' <= text[0]|0x20 && text[0]|0x20 <= 'z')
}
