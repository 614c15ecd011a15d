package omnibus_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/omnibus"
)

// canary stands where a value stands, in every text of this file.
const canary = "Canary7"

type refusal struct {
	text         string
	kind         error
	line, column int
	says         string
}

func refusals() map[string]refusal {
	return map[string]refusal{
		"empty":                    {"", omnibus.ErrNotJSON, 1, 1, "the text is empty"},
		"blank":                    {" \n", omnibus.ErrNotJSON, 1, 1, "the text is empty"},
		"not JSON at all":          {"Canary7", omnibus.ErrNotJSON, 1, 1, "does not allow"},
		"an array":                 {"\n [\"Canary7\"]", omnibus.ErrNotJSON, 2, 2, "not an object"},
		"a string":                 {`"Canary7"`, omnibus.ErrNotJSON, 1, 1, "not an object"},
		"null":                     {"null", omnibus.ErrNotJSON, 1, 1, "not an object"},
		"a line comment":           {"{\n\t\"A\": \"Canary7\" // Canary7\n}", omnibus.ErrNotJSON, 2, 17, "comment"},
		"a block comment":          {"/* Canary7 */ {}", omnibus.ErrNotJSON, 1, 1, "comment"},
		"a trailing comma":         {"{\n\"A\": \"Canary7\",\n}", omnibus.ErrNotJSON, 3, 1, "comma before a closing bracket"},
		"a comma within an array":  {"{\"A\": [\"Canary7\",]}", omnibus.ErrNotJSON, 1, 18, "comma before a closing bracket"},
		"a missing comma":          {"{\"ключ\": \"Canary7\"\n \"B\": 1}", omnibus.ErrNotJSON, 2, 2, "missing comma"},
		"a column in characters":   {"{\"ключ\": Canary7}", omnibus.ErrNotJSON, 1, 10, "does not allow"},
		"an unquoted value":        {"{\"A\": nCanary7}", omnibus.ErrNotJSON, 1, 8, "does not allow"},
		"a bad escape":             {`{"A": "Canary7\x"}`, omnibus.ErrNotJSON, 1, 16, "does not allow"},
		"a line end in a string":   {"{\"A\": \"Canary7\nCanary7\"}", omnibus.ErrNotJSON, 1, 15, "does not allow"},
		"cut off":                  {"{\"A\": \"Canary7", omnibus.ErrNotJSON, 1, 15, "ends before"},
		"cut off after a line":     {"{\"A\": \"Canary7\",\n", omnibus.ErrNotJSON, 2, 1, "ends before"},
		"something behind":         {"{\"A\": \"Canary7\"}\n\"Canary7\"", omnibus.ErrNotJSON, 2, 1, "text after the object"},
		"a second object":          {"{}{\"A\": \"Canary7\"}", omnibus.ErrNotJSON, 1, 3, "text after the object"},
		"a byte order mark":        {"\ufeff{\"A\": \"Canary7\"}", omnibus.ErrNotJSON, 1, 1, "byte order mark"},
		"a NUL behind":             {"{}\x00", omnibus.ErrNotJSON, 1, 3, "text after the object"},
		"not UTF-8":                {"{\n\"ключ\": \"Canary7\xff\"}", omnibus.ErrNotJSON, 2, 17, "UTF-8"},
		"UTF-16":                   {"\xff\xfe{\x00}\x00", omnibus.ErrNotJSON, 1, 1, "UTF-8"},
		"a bottomless array":       {`{"A":` + strings.Repeat("[", 1_000_000), omnibus.ErrNotJSON, 1, 10_005, "does not allow"},
		"a name twice":             {"{\"A\": \"Canary7\",\n \"A\": 1}", omnibus.ErrDuplicate, 2, 2, `the name "A" occurs twice`},
		"a name twice, in escapes": {"{\"TOWER_CRYPTO_SECRET\": \"Canary7\",\"\\u0054OWER_CRYPTO_SECRET\": 1}", omnibus.ErrDuplicate, 1, 35, `"TOWER_CRYPTO_SECRET" occurs twice`},
		"a member twice":           {`{"A": {"value": "Canary7", "value": "Canary7"}}`, omnibus.ErrDuplicate, 1, 28, `the name "value" occurs twice in the entry "A"`},
		"a name twice in a value":  {`{"A": {"value": {"Canary7": 1, "Canary7": 2}}}`, omnibus.ErrDuplicate, 1, 32, `deep in the entry "A"`},
		"a name twice in an array": {`{"A%d": [{"Canary7": 1, "Canary7": 2}]}`, omnibus.ErrDuplicate, 1, 25, `deep in the entry "A%d"`},
	}
}

func TestWhatIsNotOneCleanObjectIsRefusedWithItsPlaceAndNoWordOfIt(t *testing.T) {
	for name, test := range refusals() {
		t.Run(name, func(t *testing.T) {
			document, err := omnibus.Parse([]byte(test.text))
			assert.Nil(t, document)
			require.ErrorIs(t, err, test.kind)
			var typed *omnibus.Error
			require.ErrorAs(t, err, &typed)
			assert.Equal(t, [2]int{test.line, test.column}, [2]int{typed.Line, typed.Column})
			assert.ErrorContains(t, err, test.says)
			assert.NotContains(t, err.Error(), canary)
			if errors.Is(test.kind, omnibus.ErrDuplicate) {
				assert.NotEmpty(t, typed.Name)
			}
		})
	}
}

func TestTheKindsOfErrorsAreToldApart(t *testing.T) {
	kinds := []error{omnibus.ErrNotJSON, omnibus.ErrDuplicate, omnibus.ErrMissing, omnibus.ErrInvalid}
	for name, test := range refusals() {
		_, err := omnibus.Parse([]byte(test.text))
		for _, kind := range kinds {
			if !errors.Is(kind, test.kind) {
				assert.NotErrorIs(t, err, kind, name)
			}
		}
	}
}

func TestNoErrorQuotesAValueWhereverTheTextIsCutOrDamaged(t *testing.T) {
	whole := `{"A": {"ssm_key": "/config/a", "value": "` + canary + `", "list": ["` + canary + `"]},` +
		` "B": "` + canary + `", "C": {"ssm_key": ["` + canary + `"], "value": {"` + canary + `": 1}}}`
	check := func(text string) {
		document, err := omnibus.Parse([]byte(text))
		if err != nil {
			require.NotContains(t, err.Error(), canary)
			return
		}
		for _, name := range []string{"A", "B", "C", "X"} {
			if _, _, err := document.Find(name); err != nil {
				require.NotContains(t, err.Error(), canary)
			}
			for _, err := range []error{
				document.SetValue(name, canary+"\xff"),
				document.InsertAfter(name, "A", canary, canary),
				document.InsertAfter(name, "N", canary, canary+"\xff"),
			} {
				require.Error(t, err)
				require.NotContains(t, err.Error(), canary)
			}
		}
	}
	check(whole)
	for at := range len(whole) {
		check(whole[:at])
		for _, damage := range []string{"", "\"", "\\", ",", "}", "{", "\x00", "\xff", "//", "nul"} {
			check(whole[:at] + damage + whole[at:])
			check(whole[:at] + damage + whole[at+1:])
		}
	}
}

func FuzzParseTakesJSONObjectsAndKeepsEveryByteOfThem(f *testing.F) {
	for _, test := range refusals() {
		if len(test.text) < 1000 {
			f.Add([]byte(test.text))
		}
	}
	f.Add([]byte("{\r\n\t\"TOWER_CRYPTO_SECRET\": {\"ssm_key\": \"k\", \"value\": \"v\"}\r\n}\r\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		document, err := omnibus.Parse(text)
		if err != nil {
			var typed *omnibus.Error
			require.ErrorAs(t, err, &typed)
			return
		}
		require.Equal(t, string(text), string(document.Bytes()))
		var decoded map[string]any
		require.NoError(t, json.Unmarshal(text, &decoded))
		require.Len(t, names(t, document), len(decoded))
		for _, name := range names(t, document) {
			require.Contains(t, decoded, name)
			if decoded["\x00new"] != nil || document.InsertAfter(name, "\x00new", "k", "v") != nil {
				continue
			}
			require.True(t, json.Valid(document.Bytes()))
			require.NoError(t, document.Remove("\x00new"))
			require.Equal(t, string(text), string(document.Bytes()))
		}
	})
}

// names are the entries' names in the document's order, as encoding/json reads them.
func names(t require.TestingT, document *omnibus.Document) []string {
	decoder := json.NewDecoder(bytes.NewReader(document.Bytes()))
	_, err := decoder.Token()
	require.NoError(t, err)
	found := []string{}
	for decoder.More() {
		name, err := decoder.Token()
		require.NoError(t, err)
		found = append(found, name.(string))
		require.NoError(t, decoder.Decode(&json.RawMessage{}))
	}
	return found
}
