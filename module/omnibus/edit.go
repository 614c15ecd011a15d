package omnibus

import (
	"slices"
	"unicode/utf8"

	"github.com/tailscale/hujson"
)

// SetValue changes an entry's value: the bytes of that one string literal, and none when it already says the same.
// ErrMissing, ErrInvalid; then nothing is changed.
func (d *Document) SetValue(name, value string) error {
	at := d.index(name)
	if at < 0 {
		return missing(name)
	}
	object, _, place, err := parts(name, d.root.Members[at])
	if err != nil {
		return err
	}
	if !utf8.ValidString(value) {
		return invalid(name, "its new value is not UTF-8")
	}
	if literal := &object.Members[place].Value; text(*literal) != value {
		literal.Value = hujson.String(value)
	}
	return nil
}

// InsertAfter puts a new entry of ssm_key and value right behind the entry after, in the layout of that entry (see layout).
// Remove is its exact inverse, whatever else was inserted or removed meanwhile.
// ErrMissing: there is no entry after. ErrInvalid: after is not an entry, or a text is not UTF-8. ErrDuplicate: name is
// there already. Then nothing is changed.
//
// Every entry owns the separator before it, from the end of the value before it to its own name, so that what is put in and
// taken out is one contiguous piece of text:
//
//	"AFTER": {…}┃,⏎⇥"NEW": {…}┃,⏎⇥"NEXT": {…}⏎}
func (d *Document) InsertAfter(after, name, ssmKey, value string) error {
	at := d.index(after)
	switch {
	case at < 0:
		return missing(after)
	case d.index(name) >= 0:
		return &Error{Kind: ErrDuplicate, Name: name, What: "an entry of the name to be inserted is there already"}
	case !utf8.ValidString(name) || !utf8.ValidString(ssmKey) || !utf8.ValidString(value):
		return invalid(name, "its name, ssm_key or value is not UTF-8")
	}
	like, err := layoutOf(after, d.root, at)
	if err != nil {
		return err
	}
	entry := like.entry(name, ssmKey, value)
	// The whitespace between after and the comma (or brace) that follows it now follows the new entry.
	entry.Value.AfterExtra = d.root.Members[at].Value.AfterExtra
	d.root.Members[at].Value.AfterExtra = like.separator.before
	d.root.Members = slices.Insert(d.root.Members, at+1, entry)
	return nil
}

// Remove takes an entry out together with the separator before it; the first entry goes with the separator behind it, and
// the only one leaves an empty object. The entry may have any shape. ErrMissing.
func (d *Document) Remove(name string) error {
	at := d.index(name)
	if at < 0 {
		return missing(name)
	}
	members := d.root.Members
	if at > 0 {
		members[at-1].Value.AfterExtra = members[at].Value.AfterExtra
	} else if len(members) > 1 {
		members[1].Name.BeforeExtra = members[0].Name.BeforeExtra
	}
	d.root.Members = slices.Delete(members, at, at+1)
	return nil
}
