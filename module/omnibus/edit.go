package omnibus

import (
	"bytes"
	"slices"
	"unicode/utf8"

	"github.com/tailscale/hujson"
)

// SetValue changes the one string literal of an entry's value. ErrMissing, ErrInvalid; then nothing is changed.
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

// separator is the whitespace on both sides of a comma between two members.
type separator struct {
	before, behind hujson.Extra
}

// layout is how an entry is written: all of its whitespace, and the order of its two members.
type layout struct {
	separator separator // before the entry
	colon     separator // around the colon behind its name

	open        hujson.Extra // behind the opening brace
	first       separator    // around the first member's colon
	between     separator    // around the comma
	second      separator    // around the second member's colon
	closing     hujson.Extra // before the closing brace
	valueBefore bool         // value stands before ssm_key
}

// layoutOf reads the layout off a member. Blank lines and members other than ssm_key and value are not copied.
func layoutOf(name string, root *hujson.Object, at int) (layout, error) {
	member := root.Members[at]
	object, ssmKey, value, err := parts(name, member)
	if err != nil {
		return layout{}, err
	}
	first, second := min(ssmKey, value), max(ssmKey, value)
	like := layout{
		colon:       colonOf(member),
		open:        lastLine(object.Members[0].Name.BeforeExtra),
		first:       colonOf(object.Members[first]),
		between:     separatorBefore(object, second),
		second:      colonOf(object.Members[second]),
		closing:     lastLine(object.AfterExtra),
		valueBefore: value < ssmKey,
	}
	if len(root.Members) > 1 {
		like.separator = separatorBefore(root, max(at, 1)) // the first has none before it: that behind it
	} else {
		like.separator = separatorOfOne(root, like.between)
	}
	return like, nil
}

// separatorOfOne guesses the separator of a document of one entry from the whitespace around and in it.
func separatorOfOne(root *hujson.Object, inner separator) separator {
	lead := root.Members[0].Name.BeforeExtra
	switch {
	case hasLine(lead):
		return separator{behind: lastLine(lead)}
	case hasLine(inner.before) && hasLine(root.AfterExtra): // comma-first
		return separator{before: lastLine(root.AfterExtra), behind: lead}
	case hasLine(inner.before) || hasLine(inner.behind):
		return separator{behind: hujson.Extra(" ")}
	}
	return inner
}

// entry writes a new member in the layout. Its Value.AfterExtra is the caller's.
func (like layout) entry(name, ssmKey, value string) hujson.ObjectMember {
	names, values := [2]string{memberSSMKey, memberValue}, [2]string{ssmKey, value}
	if like.valueBefore {
		names, values = [2]string{memberValue, memberSSMKey}, [2]string{value, ssmKey}
	}
	first := written(like.open, names[0], like.first, hujson.String(values[0]))
	first.Value.AfterExtra = like.between.before
	second := written(like.between.behind, names[1], like.second, hujson.String(values[1]))
	return written(like.separator.behind, name, like.colon, &hujson.Object{
		Members:    []hujson.ObjectMember{first, second},
		AfterExtra: like.closing,
	})
}

func written(lead hujson.Extra, name string, colon separator, value hujson.ValueTrimmed) hujson.ObjectMember {
	return hujson.ObjectMember{
		Name:  hujson.Value{BeforeExtra: lead, Value: hujson.String(name), AfterExtra: colon.before},
		Value: hujson.Value{BeforeExtra: colon.behind, Value: value},
	}
}

func colonOf(member hujson.ObjectMember) separator {
	return separator{before: member.Name.AfterExtra, behind: member.Value.BeforeExtra}
}

// separatorBefore reads the separator before a member that is not the first.
func separatorBefore(object *hujson.Object, at int) separator {
	return separator{
		before: lastLine(object.Members[at-1].Value.AfterExtra),
		behind: lastLine(object.Members[at].Name.BeforeExtra),
	}
}

func hasLine(space hujson.Extra) bool { return bytes.ContainsAny(space, "\r\n") }

// lastLine cuts whitespace down to its last line end (LF, CRLF or CR) and what follows; within a line it stays.
func lastLine(space hujson.Extra) hujson.Extra {
	at := bytes.LastIndexAny(space, "\r\n")
	if at < 0 {
		return space
	}
	if at > 0 && space[at] == '\n' && space[at-1] == '\r' {
		at--
	}
	return space[at:]
}
