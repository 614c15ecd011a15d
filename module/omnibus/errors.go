package omnibus

import (
	"errors"
	"fmt"
)

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
