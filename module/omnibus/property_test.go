package omnibus_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/seqera-tools/crypto-rotation/module/omnibus"
)

// member is one entry of a random document, its strings as they are written and as they are meant.
type member struct {
	name, ssmKey, value string
	raw                 [3]string // of the above, with random escapes
	extra               []string  // other members, written
	valueFirst          bool
}

func aString() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.StringN(0, 12, -1),
		rapid.SampledFrom([]string{"", "<&>", "日本語", `\`, `"`, "/", "\u2028", "🔑", "{}", ",", ":", "\t\n"}),
	).Filter(func(s string) bool { return !strings.ContainsRune(s, '\uFFFD') })
}

// written writes a string with escapes that JSON allows and nobody needs.
func written(t *rapid.T, s string) string {
	style := rapid.IntRange(0, 3).Draw(t, "escapes")
	var out strings.Builder
	out.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			out.WriteByte('\\')
			out.WriteRune(r)
		case r < ' ', style == 1 && r <= 0xFFFF:
			fmt.Fprintf(&out, `\u%04X`, r)
		case style == 2 && r == '/':
			out.WriteString(`\/`)
		default:
			out.WriteRune(r)
		}
	}
	out.WriteByte('"')
	return out.String()
}

func members(minimum int) *rapid.Generator[[]member] {
	one := rapid.Custom(func(t *rapid.T) member {
		m := member{
			name:       aString().Draw(t, "name"),
			ssmKey:     aString().Draw(t, "ssm_key"),
			value:      aString().Draw(t, "value"),
			valueFirst: rapid.Bool().Draw(t, "value first"),
			extra: rapid.SliceOfNDistinct(rapid.SampledFrom([]string{
				`"description":"<a> & ü"`, `"tags":[ 1,{"ssm_key":"x"} ]`, `"n":-1.50e+2`, `"o":{ "value" : null }`,
			}), 0, 3, rapid.ID[string]).Draw(t, "extra"),
		}
		m.raw = [3]string{written(t, m.name), written(t, m.ssmKey), written(t, m.value)}
		return m
	})
	return rapid.SliceOfNDistinct(one, minimum, 7, func(m member) string { return m.name })
}

// inserted are entries whose names no random document has.
func inserted(t *rapid.T) []member {
	count := rapid.IntRange(1, 3).Draw(t, "inserted")
	list := make([]member, 0, count)
	for i := range count {
		list = append(list, member{
			name:   fmt.Sprintf("inserted entry number %d", i),
			ssmKey: aString().Draw(t, "ssm_key"),
			value:  aString().Draw(t, "value"),
		})
	}
	return list
}

// pieces writes an entry's own members in their order: names and values apart, so that space can be put between.
func pieces(t *rapid.T, m member) [][2]string {
	list := [][2]string{{`"ssm_key"`, m.raw[1]}, {`"value"`, m.raw[2]}}
	if m.valueFirst {
		slices.Reverse(list)
	}
	for _, extra := range m.extra {
		name, value, _ := strings.Cut(extra, ":")
		at := rapid.IntRange(0, len(list)).Draw(t, "place of an extra member")
		list = slices.Insert(list, at, [2]string{name, value})
	}
	return list
}

// chaos writes a document with different random space at every place where JSON allows it.
func chaos(t *rapid.T, entries []member) string {
	space := func() string {
		return rapid.SampledFrom([]string{"", "", " ", "\t", "\n", "\r\n", "\n\n  ", "  \r\n\t", "\r"}).Draw(t, "space")
	}
	object := func(list [][2]string) string {
		parts := make([]string, 0, len(list))
		for _, piece := range list {
			parts = append(parts, space()+piece[0]+space()+":"+space()+piece[1]+space())
		}
		if len(parts) == 0 {
			return "{" + space() + "}"
		}
		return "{" + strings.Join(parts, ",") + "}"
	}
	list := make([][2]string, 0, len(entries))
	for _, entry := range entries {
		list = append(list, [2]string{entry.raw[0], object(pieces(t, entry))})
	}
	return space() + object(list) + space()
}

func TestInARandomDocumentEveryOtherByteStaysAndRemoveIsTheInverse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		entries := members(1).Draw(t, "entries")
		before := chaos(t, entries)
		after := rapid.SampledFrom(entries).Draw(t, "after").name
		added := inserted(t)
		document := parse(t, []byte(before))
		requireMeans(t, entries, document)

		places := []string{after}
		for _, entry := range added {
			text := string(document.Bytes())
			at := rapid.SampledFrom(places).Draw(t, "place")
			require.NoError(t, document.InsertAfter(at, entry.name, entry.ssmKey, entry.value))
			requireOnePieceMore(t, text, string(document.Bytes()))
			i := slices.IndexFunc(entries, func(m member) bool { return m.name == at })
			entries = slices.Insert(slices.Clone(entries), i+1, entry)
			requireMeans(t, entries, document)
			places = append(places, entry.name)
		}

		changed := aString().Draw(t, "new value")
		text := string(document.Bytes())
		require.NoError(t, document.SetValue(after, changed))
		_, literal, _ := cutAtValue(t, string(document.Bytes()), after)
		head, old, tail := cutAtValue(t, text, after)
		require.Equal(t, head+literal+tail, string(document.Bytes()), "more than the one literal changed")
		require.Equal(t, changed, decode(t, literal))
		require.True(t, changed != decode(t, old) || literal == old, "a value that is the same was written anew")

		for _, entry := range rapid.Permutation(added).Draw(t, "order of removal") {
			if rapid.Bool().Draw(t, "days later") {
				document = parse(t, document.Bytes())
			}
			require.NoError(t, document.Remove(entry.name))
		}
		head, _, tail = cutAtValue(t, before, after)
		require.Equal(t, head+literal+tail, string(document.Bytes()), "not the document of before, but for the key")
	})
}

// cutAtValue finds, with encoding/json alone, the literal of an entry's value and what stands before and behind it.
func cutAtValue(t *rapid.T, text, name string) (head, literal, tail string) {
	decoder := json.NewDecoder(strings.NewReader(text))
	next := func() json.Token {
		token, err := decoder.Token()
		require.NoError(t, err)
		return token
	}
	var raw json.RawMessage
	for next(); next() != name; {
		require.NoError(t, decoder.Decode(&raw))
	}
	for next(); next() != "value"; {
		require.NoError(t, decoder.Decode(&raw))
	}
	require.NoError(t, decoder.Decode(&raw))
	end := int(decoder.InputOffset())
	return text[:end-len(raw)], string(raw), text[end:]
}

func decode(t *rapid.T, literal string) (decoded string) {
	require.NoError(t, json.Unmarshal([]byte(literal), &decoded))
	return decoded
}

// requireOnePieceMore demands that after is before with one contiguous piece put in.
func requireOnePieceMore(t *rapid.T, before, after string) {
	head := 0
	for head < len(before) && before[head] == after[head] {
		head++
	}
	require.True(t, strings.HasSuffix(after, before[head:]), "bytes outside the new entry changed")
}

// requireMeans compares the document, as encoding/json reads it, with what it should mean, in order.
func requireMeans(t *rapid.T, want []member, document *omnibus.Document) {
	var decoded map[string]map[string]any
	require.NoError(t, json.Unmarshal(document.Bytes(), &decoded))
	require.Len(t, decoded, len(want))
	names := names(t, document)
	for i, entry := range want {
		require.Equal(t, entry.name, names[i])
		require.Equal(t, entry.ssmKey, decoded[entry.name]["ssm_key"])
		require.Equal(t, entry.value, decoded[entry.name]["value"])
		require.Len(t, decoded[entry.name], 2+len(entry.extra))
		found, ok, err := document.Find(entry.name)
		require.NoError(t, err)
		require.True(t, ok && found == omnibus.Entry{SSMKey: entry.ssmKey, Value: entry.value})
	}
}

// style is a layout that a person or a formatter keeps to throughout a document.
type style struct {
	lead, open, comma, last, tail   string // of the document
	colon                           string
	innerOpen, innerComma, innerEnd string // of an entry
	innerColon                      string
	valueFirst                      bool
}

func aStyle() *rapid.Generator[style] {
	return rapid.Custom(func(t *rapid.T) style {
		end := rapid.SampledFrom([]string{"\n", "\r\n"}).Draw(t, "line end")
		indent := rapid.SampledFrom([]string{"", " ", "  ", "    ", "\t"}).Draw(t, "indent")
		colons := rapid.SampledFrom([]string{":", ": ", " : ", ":\t"})
		s := style{
			lead:       rapid.SampledFrom([]string{"", end, " "}).Draw(t, "lead"),
			tail:       rapid.SampledFrom([]string{"", end, end + end}).Draw(t, "tail"),
			colon:      colons.Draw(t, "colon"),
			innerColon: colons.Draw(t, "inner colon"),
			valueFirst: rapid.Bool().Draw(t, "value first"),
		}
		pad := rapid.SampledFrom([]string{"", " "}).Draw(t, "padding")
		switch rapid.SampledFrom([]string{"lines", "one line", "comma first"}).Draw(t, "kind") {
		case "lines":
			s.open, s.comma, s.last = end+indent, ","+end+indent, end
		case "one line":
			s.open, s.comma, s.last = pad, ","+pad, pad
		case "comma first":
			s.open, s.comma, s.last = " ", end+", ", end
		}
		switch rapid.SampledFrom([]string{"lines", "one line", "comma first"}).Draw(t, "inner kind") {
		case "lines":
			s.innerOpen, s.innerComma, s.innerEnd = end+indent+indent, ","+end+indent+indent, end+indent
		case "one line":
			s.innerOpen, s.innerComma, s.innerEnd = pad, ","+pad, pad
		case "comma first":
			s.colon = ":" + end + indent
			s.innerOpen, s.innerComma, s.innerEnd = " ", end+indent+", ", end+indent
		}
		return s
	})
}

func (s style) write(entries []member) string {
	list := make([]string, 0, len(entries))
	for _, entry := range entries {
		inner := []string{`"ssm_key"` + s.innerColon + plain(entry.ssmKey), `"value"` + s.innerColon + plain(entry.value)}
		if s.valueFirst {
			slices.Reverse(inner)
		}
		list = append(list, plain(entry.name)+s.colon+"{"+s.innerOpen+strings.Join(inner, s.innerComma)+s.innerEnd+"}")
	}
	return s.lead + "{" + s.open + strings.Join(list, s.comma) + s.last + "}" + s.tail
}

// plain writes a string with the escapes JSON demands and no other.
func plain(s string) string {
	var out strings.Builder
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(s)
	text := strings.TrimSuffix(out.String(), "\n")
	// encoding/json escapes these two for JavaScript's sake.
	return strings.NewReplacer(`\\`, `\\`, `\u2028`, "\u2028", `\u2029`, "\u2029").Replace(text)
}

func TestInADocumentOfOneStyleANewEntryIsWrittenInThatStyle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		style := aStyle().Draw(t, "style")
		entries := members(2).Draw(t, "entries")
		at := rapid.IntRange(0, len(entries)-1).Draw(t, "after")
		added := inserted(t)
		document := parse(t, []byte(style.write(entries)))
		after := entries[at].name
		for i, entry := range added {
			require.NoError(t, document.InsertAfter(after, entry.name, entry.ssmKey, entry.value))
			entries = slices.Insert(slices.Clone(entries), at+1+i, entry)
			after = entry.name
		}
		require.Equal(t, style.write(entries), string(document.Bytes()))
	})
}
