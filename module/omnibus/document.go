// Package omnibus edits the omnibus, the JSON document with all settings of a Platform. It edits the text: every byte outside the
// edited entries stays as it was. It is pure, and must not know what the entries mean or where the document is stored.
//
// The shape, from Seqera's cx-field-tools-installer:
//
//	{
//		"TOWER_CRYPTO_SECRET": {
//			"ssm_key": "/config/<app>/tower/crypto/secretKey",
//			"value": "…",
//			"description": "…"
//		},
//		…
//	}
//
// Entries may have other members as well, and the text may have any layout that is valid JSON.
package omnibus

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/tailscale/hujson"
)

// Document is a parsed omnibus; see Parse. It is not safe for concurrent use.
type Document struct {
	tree hujson.Value
	root *hujson.Object // the top-level object of tree
}

// Bytes returns the text of the document: the parsed text with the edits.
func (d *Document) Bytes() []byte { return d.tree.Pack() }

// Entry holds the members of an entry that this project uses. fmt, encoding/json and log/slog print a mask instead of Value.
type Entry struct {
	SSMKey string
	Value  string
}

// Find returns the entry with this name, or false if there is none. Its error is ErrInvalid: the entry is not an object, or its
// ssm_key or value is missing or not a string.
func (d *Document) Find(name string) (Entry, bool, error) {
	at := indexOf(d.root, name)
	if at < 0 {
		return Entry{}, false, nil
	}
	object, ssmKey, value, err := parts(name, d.root.Members[at])
	if err != nil {
		return Entry{}, false, err
	}
	return Entry{
		SSMKey: text(object.Members[ssmKey].Value),
		Value:  text(object.Members[value].Value),
	}, true, nil
}

// indexOf returns the index of a member, or -1.
func indexOf(object *hujson.Object, name string) int {
	return slices.IndexFunc(object.Members, func(member hujson.ObjectMember) bool { return nameOf(member) == name })
}

// parts returns the object of an entry and the indexes of ssm_key and value among its members.
func parts(name string, member hujson.ObjectMember) (object *hujson.Object, ssmKey, value int, err error) {
	object, ok := member.Value.Value.(*hujson.Object)
	if !ok {
		return nil, 0, 0, invalid(name, "it is not an object of ssm_key and value")
	}
	places := map[string]int{}
	for _, want := range []string{memberSSMKey, memberValue} {
		at := indexOf(object, want)
		switch {
		case at < 0:
			return nil, 0, 0, invalid(name, "it has no "+want)
		case object.Members[at].Value.Value.Kind() != '"':
			return nil, 0, 0, invalid(name, "its "+want+" is not a string")
		case bytes.ContainsRune([]byte(text(object.Members[at].Value)), '\uFFFD'):
			// encoding/json decodes half a surrogate pair to U+FFFD, so writing the value would change it.
			return nil, 0, 0, invalid(name, "its "+want+" holds half a surrogate pair or the replacement character U+FFFD")
		}
		places[want] = at
	}
	return object, places[memberSSMKey], places[memberValue], nil
}

const (
	memberSSMKey = "ssm_key"
	memberValue  = "value"
)

func nameOf(member hujson.ObjectMember) string { return text(member.Name) }

// text decodes a string literal. Callers never pass another kind.
func text(value hujson.Value) string {
	literal, _ := value.Value.(hujson.Literal)
	return literal.String()
}

const mask = "[omnibus]"

// String returns a mask, like the other methods that print: the document is a secret.
func (*Document) String() string { return mask }

// GoString returns the mask.
func (*Document) GoString() string { return mask }

// Format writes the mask for every verb and flag.
func (*Document) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(mask)) }

// MarshalJSON returns the mask. Use Bytes to get the text.
func (*Document) MarshalJSON() ([]byte, error) { return []byte(`"` + mask + `"`), nil }

// String returns the entry with a mask instead of the value.
func (e Entry) String() string { return "{" + e.SSMKey + " [secret]}" }

// GoString returns the same as String.
func (e Entry) GoString() string { return e.String() }

// Format writes the same as String for every verb and flag.
func (e Entry) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(e.String())) }

// MarshalJSON returns the mask.
func (Entry) MarshalJSON() ([]byte, error) { return []byte(`"` + mask + `"`), nil }

// The kinds of errors, for errors.Is. Every error of this package is an *Error of one of them.
var (
	ErrNotJSON   = errors.New("not a JSON object")
	ErrDuplicate = errors.New("a name occurs twice")
	ErrMissing   = errors.New("no such entry")
	ErrInvalid   = errors.New("not an entry of ssm_key and value")
)

// Error says what is wrong with a document and where. It may contain names from the document but never a value. It does not wrap
// errors of hujson and encoding/json, because they quote their input.
type Error struct {
	Kind   error  // ErrNotJSON, ErrDuplicate, ErrMissing or ErrInvalid
	Name   string // the entry; for ErrDuplicate the repeated name or, if it is deep inside an entry, that entry
	Line   int    // from 1; 0 if the place is not known
	Column int    // from 1, in characters
	What   string // what is wrong, as the second half of a sentence
}

// Error returns one line.
func (e *Error) Error() string {
	text := "the omnibus"
	if e.Name != "" && !errors.Is(e.Kind, ErrDuplicate) {
		text += fmt.Sprintf(" entry %q", e.Name)
	}
	if e.Line > 0 {
		text += fmt.Sprintf(", line %d, column %d", e.Line, e.Column)
	}
	return text + ": " + e.What
}

// Unwrap returns the kind.
func (e *Error) Unwrap() error { return e.Kind }

func missing(name string) error {
	return &Error{Kind: ErrMissing, Name: name, What: "there is no such entry"}
}

func invalid(name, what string) error {
	return &Error{Kind: ErrInvalid, Name: name, What: what}
}
