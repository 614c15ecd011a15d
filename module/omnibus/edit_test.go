package omnibus_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/omnibus"
)

func TestAnEntryIsFoundByItsDecodedNameAndStrings(t *testing.T) {
	document := parse(t, []byte(`{"\u0054OWER_CRYPTO_SECRET":{"\u0076alue":"k\u0065y\n\"","n":1,"ssm_key":"\/config\/a"}}`))
	entry, found, err := document.Find(crypto)
	require.NoError(t, err)
	assert.True(t, found)
	assert.Equal(t, omnibus.Entry{SSMKey: "/config/a", Value: "key\n\""}, entry)
	assert.Equal(t, []string{crypto}, names(t, document))

	_, found, err = document.Find("tower_crypto_secret")
	require.NoError(t, err)
	assert.False(t, found, "names are compared with their case")
}

func TestSetValueChangesTheBytesOfOneStringAndNoOther(t *testing.T) {
	for name, test := range map[string]struct{ before, value, after string }{
		"plain":                     {`{"A":{"ssm_key":"k","value":"old"}}`, "new", `{"A":{"ssm_key":"k","value":"new"}}`},
		"other members around it":   {`{"A": {"x": [1, "old"] ,"value" :  "old" , "ssm_key":"k"} }`, "new", `{"A": {"x": [1, "old"] ,"value" :  "new" , "ssm_key":"k"} }`},
		"no HTML escapes":           {`{"A":{"ssm_key":"k","value":""}}`, `<&>'/`, `{"A":{"ssm_key":"k","value":"<&>'/"}}`},
		"non-ASCII stays":           {`{"A":{"ssm_key":"k","value":""}}`, "ключ\u2028🔑", "{\"A\":{\"ssm_key\":\"k\",\"value\":\"ключ\u2028🔑\"}}"},
		"what JSON wants escaped":   {`{"A":{"ssm_key":"k","value":""}}`, "\"\\\n\x00", `{"A":{"ssm_key":"k","value":"\"\\\n\u0000"}}`},
		"the same in other letters": {`{"A":{"ssm_key":"k","value":"\u006fld"}}`, "old", `{"A":{"ssm_key":"k","value":"\u006fld"}}`},
	} {
		t.Run(name, func(t *testing.T) {
			document := parse(t, []byte(test.before))
			require.NoError(t, document.SetValue("A", test.value))
			assert.Equal(t, test.after, string(document.Bytes()))
		})
	}
}

func TestANewEntryTakesTheLayoutOfTheOneBeforeIt(t *testing.T) {
	for name, test := range map[string]struct{ before, after string }{
		"alone in one line": {
			`{"A": {"ssm_key": "k", "value": "v"}}`,
			`{"A": {"ssm_key": "k", "value": "v"}, "N": {"ssm_key": "n", "value": "w"}}`,
		},
		"alone in one padded line": {
			`{ "A": { "value": "v", "ssm_key": "k" } }`,
			`{ "A": { "value": "v", "ssm_key": "k" }, "N": { "value": "w", "ssm_key": "n" } }`,
		},
		"alone with commas first": {
			"{ \"A\":\n  { \"ssm_key\": \"k\"\n  , \"value\": \"v\"\n  }\n}",
			"{ \"A\":\n  { \"ssm_key\": \"k\"\n  , \"value\": \"v\"\n  }\n, \"N\":\n  { \"ssm_key\": \"n\"\n  , \"value\": \"w\"\n  }\n}",
		},
		"alone on the brace's line, its members not": {
			"{\"A\": {\n\t\"ssm_key\": \"k\",\n\t\"value\": \"v\"\n}}",
			"{\"A\": {\n\t\"ssm_key\": \"k\",\n\t\"value\": \"v\"\n}, \"N\": {\n\t\"ssm_key\": \"n\",\n\t\"value\": \"w\"\n}}",
		},
		"the first, on the brace's line": {
			"{\"A\":{\"ssm_key\":\"k\",\"value\":\"v\"},\r\n \"B\":1}",
			"{\"A\":{\"ssm_key\":\"k\",\"value\":\"v\"},\r\n \"N\":{\"ssm_key\":\"n\",\"value\":\"w\"},\r\n \"B\":1}",
		},
		"on the line of another": {
			"{\n  \"B\": 1,\n  \"D\": 3, \"A\": {\"ssm_key\": \"k\", \"value\": \"v\"},\n  \"C\": 2\n}\n",
			"{\n  \"B\": 1,\n  \"D\": 3, \"A\": {\"ssm_key\": \"k\", \"value\": \"v\"}, \"N\": {\"ssm_key\": \"n\", \"value\": \"w\"},\n  \"C\": 2\n}\n",
		},
		"line ends of an old Mac": {
			"{\r\t\"A\": {\"ssm_key\": \"k\", \"value\": \"v\"}\r}",
			"{\r\t\"A\": {\"ssm_key\": \"k\", \"value\": \"v\"},\r\t\"N\": {\"ssm_key\": \"n\", \"value\": \"w\"}\r}",
		},
		"another member between, spaced otherwise": {
			"{\"A\": {\"value\" : \"v\",\"x\":1,\n\"ssm_key\":\t\"k\"}}",
			"{\"A\": {\"value\" : \"v\",\"x\":1,\n\"ssm_key\":\t\"k\"}, \"N\": {\"value\" : \"w\",\n\"ssm_key\":\t\"n\"}}",
		},
		"names in escapes, a description first": {
			`{"A": {"description": "d", "\u0073sm_key": "k", "\u0076alue": "v"}}`,
			`{"A": {"description": "d", "\u0073sm_key": "k", "\u0076alue": "v"}, "N": {"ssm_key": "n", "value": "w"}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			document := parse(t, []byte(test.before))
			require.NoError(t, document.InsertAfter("A", "N", "n", "w"))
			assert.Equal(t, test.after, string(document.Bytes()))
			again := parse(t, document.Bytes())
			require.NoError(t, again.Remove("N"))
			assert.Equal(t, test.before, string(again.Bytes()))
		})
	}
}

func TestRemoveTakesOutWhatSomebodyElseInsertedAnywhere(t *testing.T) {
	for name, test := range map[string]struct{ before, after string }{
		"first":                               {"{\n\t\"X\": {},\n\t\"A\": 1\n}\n", "{\n\t\"A\": 1\n}\n"},
		"middle":                              {"{\n\t\"A\": 1,\n\n\t\"X\" : { \"value\": \"v\" } ,\n\t\"B\": 2\n}", "{\n\t\"A\": 1 ,\n\t\"B\": 2\n}"},
		"last":                                {"{\n\t\"A\": 1,\n\t\"X\": \"true\"\n}", "{\n\t\"A\": 1\n}"},
		"only":                                {"{\n\t\"X\": null\n}", "{\n}"},
		"first minified":                      {`{"X":{},"A":1}`, `{"A":1}`},
		"first in one line":                   {`{"X": {}, "A": 1}`, `{"A": 1}`},
		"first on a line, the next behind it": {"{\n\t\"X\": {}, \"A\": 1\n}", "{\n\t\"A\": 1\n}"},
		"last minified":                       {`{"A":1,"X":[]}`, `{"A":1}`},
		"only minified":                       {`{"X":0}`, `{}`},
		"comma-first":                         {"{ \"A\": 1\n, \"X\": 2\n, \"B\": 3\n}", "{ \"A\": 1\n, \"B\": 3\n}"},
		"name escaped":                        {`{"A":1,"\u0058":2}`, `{"A":1}`},
	} {
		t.Run(name, func(t *testing.T) {
			document := parse(t, []byte(test.before))
			require.NoError(t, document.Remove("X"))
			assert.Equal(t, test.after, string(document.Bytes()))
			parse(t, document.Bytes())
		})
	}
}

func TestAnEditThatCannotBeMadeChangesNothing(t *testing.T) {
	const before = `{"A":{"ssm_key":"k","value":"v"},"S":"text","B":{"value":"v"},"C":{"ssm_key":"k"},` +
		`"D":{"ssm_key":1,"value":"v"},"E":{"ssm_key":"k","value":null},"F":{"ssm_key":"k","value":"\ud800"}}`
	for name, test := range map[string]struct {
		edit func(*omnibus.Document) error
		kind error
		text string
	}{
		"set what is not there":    {func(d *omnibus.Document) error { return d.SetValue("X", "") }, omnibus.ErrMissing, `entry "X": there is no such entry`},
		"remove what is not there": {func(d *omnibus.Document) error { return d.Remove("X") }, omnibus.ErrMissing, `entry "X"`},
		"insert after nothing":     {func(d *omnibus.Document) error { return d.InsertAfter("X", "N", "", "") }, omnibus.ErrMissing, `entry "X"`},
		"insert what is there":     {func(d *omnibus.Document) error { return d.InsertAfter("A", "S", "", "") }, omnibus.ErrDuplicate, "already exists"},
		"insert after a string":    {func(d *omnibus.Document) error { return d.InsertAfter("S", "N", "", "") }, omnibus.ErrInvalid, `entry "S": it is not an object`},
		"no ssm_key":               {func(d *omnibus.Document) error { return d.SetValue("B", "") }, omnibus.ErrInvalid, `entry "B": it has no ssm_key`},
		"no value":                 {func(d *omnibus.Document) error { return d.SetValue("C", "") }, omnibus.ErrInvalid, `entry "C": it has no value`},
		"ssm_key is a number":      {func(d *omnibus.Document) error { return d.SetValue("D", "") }, omnibus.ErrInvalid, "its ssm_key is not a string"},
		"value is null":            {func(d *omnibus.Document) error { return d.SetValue("E", "") }, omnibus.ErrInvalid, "its value is not a string"},
		"half a surrogate pair":    {func(d *omnibus.Document) error { return d.SetValue("F", "") }, omnibus.ErrInvalid, "half a surrogate pair"},
		"a value not UTF-8":        {func(d *omnibus.Document) error { return d.SetValue("A", "\xff") }, omnibus.ErrInvalid, "not UTF-8"},
		"an entry not UTF-8":       {func(d *omnibus.Document) error { return d.InsertAfter("A", "N", "", "\xff") }, omnibus.ErrInvalid, "not UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			document := parse(t, []byte(before))
			err := test.edit(document)
			require.ErrorIs(t, err, test.kind)
			var typed *omnibus.Error
			require.ErrorAs(t, err, &typed)
			assert.NotEmpty(t, typed.Name)
			assert.ErrorContains(t, err, test.text)
			assert.Equal(t, before, string(document.Bytes()))
		})
	}
}

func TestTheTextThatWasParsedIsNotTouchedByEdits(t *testing.T) {
	text := []byte(`{"A":{"ssm_key":"k","value":"v"}}`)
	document := parse(t, text)
	require.NoError(t, document.SetValue("A", "other"))
	assert.Equal(t, `{"A":{"ssm_key":"k","value":"v"}}`, string(text))
	clear(text)
	assert.Equal(t, `{"A":{"ssm_key":"k","value":"other"}}`, string(document.Bytes()))
}

func TestADocumentAndAnEntryDoNotPrintTheirValues(t *testing.T) {
	document := parse(t, []byte(`{"A":{"ssm_key":"/config/k","value":"Canary7"}}`))
	entry, _, err := document.Find("A")
	require.NoError(t, err)
	encoded, err := json.Marshal([]any{document, entry, &entry})
	require.NoError(t, err)
	var logged bytes.Buffer
	slog.New(slog.NewTextHandler(&logged, nil)).Info("x", "document", document, "entry", entry)
	shown := string(encoded) + logged.String()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		assert.Equal(t, "[omnibus]", fmt.Sprintf(verb, document), verb)
		shown += fmt.Sprintf(verb, entry) + fmt.Sprintf(verb, &entry)
	}
	for _, trace := range []string{"Canary7", "43616e61727937", "67 97 110"} {
		assert.NotContains(t, shown, trace)
	}
	assert.Contains(t, shown, "{/config/k [secret]}")
}
