package omnibus

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/tailscale/hujson"
)

// Parse parses a document and copies its text. ErrNotJSON: the text is not one JSON object (RFC 8259) in UTF-8; comments, trailing
// commas and a byte order mark are not allowed. ErrDuplicate: an object at any depth has a name twice, comparing decoded names.
func Parse(text []byte) (*Document, error) {
	// Check with encoding/json first: it limits the nesting, and hujson's recursion does not.
	if at, what := syntaxError(text); what != "" {
		return nil, notJSON(text, at, what)
	}
	tree, err := hujson.Parse(bytes.Clone(text))
	if err != nil || !tree.IsStandard() {
		return nil, notJSON(text, 0, "this is not JSON") // hujson's error would quote the text
	}
	root, ok := tree.Value.(*hujson.Object)
	if !ok {
		return nil, notJSON(text, tree.StartOffset, "the top level is not an object")
	}
	if err := duplicates(text, root); err != nil {
		return nil, err
	}
	return &Document{tree: tree, root: root}, nil
}

// syntaxError finds the first place where the text is not JSON. what is empty if there is none.
func syntaxError(text []byte) (at int, what string) {
	for at, r := range string(text) {
		if r == utf8.RuneError && !bytes.HasPrefix(text[at:], []byte(string(r))) {
			return at, "this is not UTF-8"
		}
	}
	if bytes.HasPrefix(text, []byte("\ufeff")) {
		return 0, "the text begins with a byte order mark; save it without"
	}
	var raw json.RawMessage
	err := json.Unmarshal(text, &raw)
	if err == nil {
		return 0, ""
	}
	var syntax *json.SyntaxError
	switch {
	case len(bytes.TrimSpace(text)) == 0:
		return 0, "the text is empty"
	case !errors.As(err, &syntax) || syntax.Offset < 1 || syntax.Offset > int64(len(text)):
		return 0, "this is not JSON"
	case strings.HasPrefix(syntax.Error(), "unexpected end"):
		return len(text), "the text ends before the object does"
	}
	at = int(syntax.Offset) - 1
	return at, reason(text, at)
}

// reason describes the text at which the JSON parser stopped.
func reason(text []byte, at int) string {
	switch before := bytes.TrimRight(text[:at], " \t\r\n"); {
	case text[at] == '/':
		return "a comment is not JSON"
	case bytes.HasSuffix(before, []byte(",")) && (text[at] == '}' || text[at] == ']'):
		return "a comma before a closing bracket is not JSON"
	case json.Valid(before):
		return "there is text after the object"
	}
	return "a character that JSON does not allow here (a missing comma, quote or bracket, perhaps before it)"
}

// duplicates returns an error if any object in the document has a name twice.
func duplicates(text []byte, root *hujson.Object) error {
	if name, at, found := twice(root); found {
		return duplicate(text, at, name, fmt.Sprintf("the name %q occurs twice", name))
	}
	for _, member := range root.Members {
		entry := nameOf(member)
		for value := range member.Value.All() {
			object, ok := value.Value.(*hujson.Object)
			if !ok {
				continue
			}
			name, at, found := twice(object)
			switch {
			case !found:
			case object == member.Value.Value:
				return duplicate(text, at, name, fmt.Sprintf("the name %q occurs twice in the entry %q", name, entry))
			default: // do not quote a name this deep: it may be part of a value
				return duplicate(text, at, entry, fmt.Sprintf("a name occurs twice deep in the entry %q", entry))
			}
		}
	}
	return nil
}

// twice finds the first repeated name in an object, and the offset of its second occurrence.
func twice(object *hujson.Object) (name string, at int, found bool) {
	seen := make(map[string]bool, len(object.Members))
	for _, member := range object.Members {
		name := nameOf(member)
		if seen[name] {
			return name, member.Name.StartOffset, true
		}
		seen[name] = true
	}
	return "", 0, false
}

func duplicate(text []byte, at int, name, what string) error {
	line, column := place(text, at)
	return &Error{Kind: ErrDuplicate, Name: name, Line: line, Column: column, What: what}
}

func notJSON(text []byte, at int, what string) error {
	line, column := place(text, at)
	return &Error{Kind: ErrNotJSON, Line: line, Column: column, What: what}
}

// place converts a byte offset to a line and a column in characters, both from 1.
func place(text []byte, at int) (line, column int) {
	before := text[:at]
	start := bytes.LastIndexByte(before, '\n') + 1
	return 1 + bytes.Count(before, []byte("\n")), 1 + utf8.RuneCount(before[start:])
}
