package omnibus

import (
	"bytes"
	"slices"
	"unicode/utf8"

	"github.com/tailscale/hujson"
)

// SetValue changes the value of an entry and nothing else. If it returns an error (ErrMissing, ErrInvalid), nothing is changed.
func (d *Document) SetValue(name, value string) error {
	at := indexOf(d.root, name)
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

// InsertAfter adds an entry with ssm_key and value right after the entry called after, with the same layout. Remove is its exact
// inverse, even if other entries were inserted or removed in between. If it returns an error, nothing is changed. ErrMissing: there
// is no entry called after. ErrInvalid: that entry is malformed, or a text is not UTF-8. ErrDuplicate: name already exists.
//
// Every entry owns the separator before it, from the end of the previous value to its own name. So an inserted entry is one
// contiguous piece of text:
//
//	"AFTER": {…}┃,⏎⇥"NEW": {…}┃,⏎⇥"NEXT": {…}⏎}
func (d *Document) InsertAfter(after, name, ssmKey, value string) error {
	at := indexOf(d.root, after)
	switch {
	case at < 0:
		return missing(after)
	case indexOf(d.root, name) >= 0:
		return &Error{Kind: ErrDuplicate, Name: name, What: "an entry with this name already exists"}
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

// Remove removes an entry together with the separator before it. For the first entry, it removes the separator after it. The entry
// may have any shape. Its error is ErrMissing.
func (d *Document) Remove(name string) error {
	at := indexOf(d.root, name)
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
	before, after hujson.Extra
}

// layout is how an entry is formatted: its whitespace, and the order of its two members.
type layout struct {
	separator separator // before the entry
	colon     separator // around the colon after its name

	open        hujson.Extra // after the opening brace
	first       separator    // around the first member's colon
	between     separator    // around the comma
	second      separator    // around the second member's colon
	closing     hujson.Extra // before the closing brace
	valueBefore bool         // value comes before ssm_key
}

// layoutOf returns the layout of a member. It does not copy blank lines, nor members other than ssm_key and value.
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
		like.separator = separatorBefore(root, max(at, 1)) // the first entry has none before it, so take the one after it
	} else {
		like.separator = separatorOfOne(root, like.between)
	}
	return like, nil
}

// separatorOfOne guesses the separator for a document with a single entry, from the whitespace around and inside that entry.
func separatorOfOne(root *hujson.Object, inner separator) separator {
	lead := root.Members[0].Name.BeforeExtra
	switch {
	case hasLine(lead):
		return separator{after: lastLine(lead)}
	case hasLine(inner.before) && hasLine(root.AfterExtra): // comma-first
		return separator{before: lastLine(root.AfterExtra), after: lead}
	case hasLine(inner.before) || hasLine(inner.after):
		return separator{after: hujson.Extra(" ")}
	}
	return inner
}

// entry returns a new member with this layout. The caller sets its Value.AfterExtra.
func (like layout) entry(name, ssmKey, value string) hujson.ObjectMember {
	names, values := [2]string{memberSSMKey, memberValue}, [2]string{ssmKey, value}
	if like.valueBefore {
		names, values = [2]string{memberValue, memberSSMKey}, [2]string{value, ssmKey}
	}
	first := written(like.open, names[0], like.first, hujson.String(values[0]))
	first.Value.AfterExtra = like.between.before
	second := written(like.between.after, names[1], like.second, hujson.String(values[1]))
	return written(like.separator.after, name, like.colon, &hujson.Object{
		Members:    []hujson.ObjectMember{first, second},
		AfterExtra: like.closing,
	})
}

func written(lead hujson.Extra, name string, colon separator, value hujson.ValueTrimmed) hujson.ObjectMember {
	return hujson.ObjectMember{
		Name:  hujson.Value{BeforeExtra: lead, Value: hujson.String(name), AfterExtra: colon.before},
		Value: hujson.Value{BeforeExtra: colon.after, Value: value},
	}
}

func colonOf(member hujson.ObjectMember) separator {
	return separator{before: member.Name.AfterExtra, after: member.Value.BeforeExtra}
}

// separatorBefore returns the separator before a member, which must not be the first.
func separatorBefore(object *hujson.Object, at int) separator {
	return separator{
		before: lastLine(object.Members[at-1].Value.AfterExtra),
		after:  lastLine(object.Members[at].Name.BeforeExtra),
	}
}

func hasLine(space hujson.Extra) bool { return bytes.ContainsAny(space, "\r\n") }

// lastLine cuts whitespace down to its last line break (LF, CRLF or CR) and what follows. Without a line break it keeps all.
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
