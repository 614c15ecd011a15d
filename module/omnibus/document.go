// Package omnibus edits the omnibus (the one JSON document with all of a Platform's settings) as text: every byte that is
// not an edited entry's stays as it was. It is pure, and must not know what the entries mean or where the document is kept.
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
// Entries may have other members than these, and the text any layout that is JSON.
package omnibus

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/tailscale/hujson"
)

// Document is a parsed omnibus. Make one with Parse. Not safe for concurrent use.
type Document struct {
	tree hujson.Value
	root *hujson.Object // tree's own
}

// Bytes gives the document's text: what was parsed, but for the edits.
func (d *Document) Bytes() []byte { return d.tree.Pack() }

// Entry is what this project reads of an entry. Neither Entry nor Document shows Value to fmt, encoding/json or log/slog.
type Entry struct {
	SSMKey string
	Value  string
}

// Find looks an entry up. An absent one is false without an error. ErrInvalid: the entry is not an object, or its ssm_key
// or value is missing or is not a string.
func (d *Document) Find(name string) (Entry, bool, error) {
	at := d.index(name)
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

// index is the place of an entry among the members, -1 when it is absent.
func (d *Document) index(name string) int { return indexOf(d.root, name) }

func indexOf(object *hujson.Object, name string) int {
	for i, member := range object.Members {
		if nameOf(member) == name {
			return i
		}
	}
	return -1
}

// parts gives the places of an entry's two strings among its members.
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
			// encoding/json decodes half a surrogate pair to U+FFFD, so that the text read would not be the text written.
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

// text decodes a string; other kinds never come here.
func text(value hujson.Value) string {
	literal, _ := value.Value.(hujson.Literal)
	return literal.String()
}

const mask = "[omnibus]"

// String gives a mask, as do the other doors: the document is a secret.
func (*Document) String() string { return mask }

// GoString gives the mask.
func (*Document) GoString() string { return mask }

// Format gives the mask for every verb and flag.
func (*Document) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(mask)) }

// MarshalJSON gives the mask: Bytes is the way to the text.
func (*Document) MarshalJSON() ([]byte, error) { return []byte(`"` + mask + `"`), nil }

// String gives a mask in the value's place.
func (e Entry) String() string { return "{" + e.SSMKey + " [secret]}" }

// GoString gives what String gives.
func (e Entry) GoString() string { return e.String() }

// Format gives what String gives for every verb and flag.
func (e Entry) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(e.String())) }

// MarshalJSON gives the mask.
func (Entry) MarshalJSON() ([]byte, error) { return []byte(`"` + mask + `"`), nil }

// The kinds of errors, for errors.Is. Every error of this package is an *Error of one of them.
var (
	ErrNotJSON   = errors.New("not a JSON object")
	ErrDuplicate = errors.New("a name stands twice")
	ErrMissing   = errors.New("no such entry")
	ErrInvalid   = errors.New("not an entry of ssm_key and value")
)

// Error says what is wrong with a document and where. It holds names of the document at most, never a value of it:
// texts of hujson and encoding/json quote their input and are not passed on.
type Error struct {
	Kind   error  // ErrNotJSON, ErrDuplicate, ErrMissing or ErrInvalid
	Name   string // the entry; for ErrDuplicate the name that stands twice, or, deeper than its members, the entry around it
	Line   int    // from 1; 0 where no place is known
	Column int    // from 1, in characters
	What   string // what is wrong, as the end of a sentence
}

// Error gives one line.
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

// Unwrap gives the kind.
func (e *Error) Unwrap() error { return e.Kind }

func missing(name string) error {
	return &Error{Kind: ErrMissing, Name: name, What: "there is no such entry"}
}

func invalid(name, what string) error {
	return &Error{Kind: ErrInvalid, Name: name, What: what}
}
