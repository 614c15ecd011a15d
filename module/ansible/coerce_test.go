package ansible

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// coercion is a value and its coerced form, both as JSON. An empty want means that the value is refused. ours says why this package
// differs from Ansible on purpose.
type coercion struct{ kind, given, want, ours string }

const oursString = "of strings only a JSON object is a dict: Ansible hands a dict over as one"

func coercions() []coercion {
	return []coercion{
		{"str", `"a"`, `"a"`, ""},
		{"str", `""`, `""`, ""},
		{"str", `5`, `"5"`, ""},
		{"str", `-0`, `"0"`, ""},
		{"str", `12345678901234567890123456789`, `"12345678901234567890123456789"`, ""},
		{"str", `1.50`, `"1.5"`, ""},
		{"str", `1e3`, `"1000.0"`, ""},
		{"str", `1E+16`, `"1e+16"`, ""},
		{"str", `123456789012345.6`, `"123456789012345.6"`, ""},
		{"str", `0.0001`, `"0.0001"`, ""},
		{"str", `0.00001`, `"1e-05"`, ""},
		{"str", `-0.0`, `"-0.0"`, ""},
		{"str", `true`, `"True"`, ""},
		{"str", `false`, `"False"`, ""},
		{"str", `null`, `""`, ""},
		{"str", `["a", 1]`, ``, "a list is a mistake, not the text of a Python expression"},
		{"str", `{"a": 1}`, ``, "a dict is a mistake, not the text of a Python expression"},

		{"bool", `true`, `true`, ""},
		{"bool", `"yes"`, `true`, ""},
		{"bool", `"YES"`, `true`, ""},
		{"bool", `"on"`, `true`, ""},
		{"bool", `"True"`, `true`, ""},
		{"bool", `"t"`, `true`, ""},
		{"bool", `"Y"`, `true`, ""},
		{"bool", `" 1\n"`, `true`, ""},
		{"bool", `1`, `true`, ""},
		{"bool", `1.0`, `true`, ""},
		{"bool", `false`, `false`, ""},
		{"bool", `"no"`, `false`, ""},
		{"bool", `"Off"`, `false`, ""},
		{"bool", `"false"`, `false`, ""},
		{"bool", `"f"`, `false`, ""},
		{"bool", `"N"`, `false`, ""},
		{"bool", `"0"`, `false`, ""},
		{"bool", `0`, `false`, ""},
		{"bool", `0.0`, `false`, ""},
		{"bool", `"1.0"`, ``, ""},
		{"bool", `2`, ``, ""},
		{"bool", `0.5`, ``, ""},
		{"bool", `""`, ``, ""},
		{"bool", `"perhaps"`, ``, ""},
		{"bool", `null`, ``, ""},
		{"bool", `[true]`, ``, ""},

		{"int", `5`, `5`, ""},
		{"int", `"5"`, `5`, ""},
		{"int", `" 5\t"`, `5`, ""},
		{"int", `"\u001c5\u2003"`, `5`, ""},
		{"int", `"+5"`, `5`, ""},
		{"int", `"-5"`, `-5`, ""},
		{"int", `"007"`, `7`, ""},
		{"int", `"1_000"`, `1000`, ""},
		{"int", `5.0`, `5`, ""},
		{"int", `"5.0"`, `5`, ""},
		{"int", `"5."`, `5`, ""},
		{"int", `"5e2"`, `500`, ""},
		{"int", `"500e-2"`, `5`, ""},
		{"int", `".5e1"`, `5`, ""},
		{"int", `"0e99"`, `0`, ""},
		{"int", `1e3`, `1000`, ""},
		{"int", `true`, `1`, ""},
		{"int", `9223372036854775807`, `9223372036854775807`, ""},
		{"int", `"-9223372036854775808"`, `-9223372036854775808`, ""},
		{"int", `"9223372036854775808"`, ``, "an int ends at 64 bits"},
		{"int", `1e30`, ``, "an int ends at 64 bits"},
		{"int", `5.5`, ``, ""},
		{"int", `"5.5"`, ``, ""},
		{"int", `"5e-1"`, ``, ""},
		{"int", `""`, ``, ""},
		{"int", `"."`, ``, ""},
		{"int", `"e5"`, ``, ""},
		{"int", `"5 0"`, ``, ""},
		{"int", `"0x10"`, ``, ""},
		{"int", `"five"`, ``, ""},
		{"int", `"NaN"`, ``, ""},
		{"int", `"Infinity"`, ``, ""},
		{"int", `null`, ``, ""},
		{"int", `[5]`, ``, ""},

		{"list", `["a", 1, null]`, `["a", 1, null]`, ""},
		{"list", `[]`, `[]`, ""},
		{"list", `"a"`, `["a"]`, ""},
		{"list", `"a,b, c,"`, `["a", "b", " c", ""]`, ""},
		{"list", `""`, `[""]`, ""},
		{"list", `5`, `["5"]`, ""},
		{"list", `1.50`, `["1.5"]`, ""},
		{"list", `true`, `["True"]`, ""},
		{"list", `{"a": 1}`, ``, ""},
		{"list", `null`, ``, ""},

		{"dict", `{"a": 1}`, `{"a": 1}`, ""},
		{"dict", `"{\"a\": [1, 2.5, null]}"`, `{"a": [1, 2.5, null]}`, ""},
		{"dict", `"{}"`, `{}`, ""},
		{"dict", `"{\"a\": 1} 2"`, ``, ""},
		{"dict", `"{\"a\": 1"`, ``, ""},
		{"dict", `"{'a': True, 'b': [None, -1, 1.5]}"`, ``, oursString},
		{"dict", `"{'a': open('/etc/passwd')}"`, ``, ""},
		{"dict", `"a=b, c='d e'"`, ``, oursString},
		{"dict", `"a=b, c"`, ``, ""},
		{"dict", `" {\"a\": 1}"`, ``, ""},
		{"dict", `"a"`, ``, ""},
		{"dict", `""`, ``, ""},
		{"dict", `["a"]`, ``, ""},
		{"dict", `5`, ``, ""},
		{"dict", `null`, ``, ""},

		{"path", `"/a/b"`, `"/a/b"`, ""},
		{"path", `"~"`, `"/home/op"`, ""},
		{"path", `"~/b"`, `"/home/op/b"`, ""},
		{"path", `"$HOME/b/${PLACE}c"`, `"/home/op/b/herec"`, ""},
		{"path", `"$UNKNOWN_PLACE/${UNKNOWN_PLACE}"`, `"$UNKNOWN_PLACE/${UNKNOWN_PLACE}"`, ""},
		{"path", `"~nobody-of-this-name/b"`, `"~nobody-of-this-name/b"`, ""},
		{"path", `"~root/b"`, `"/root/b"`, ""},
		{"path", `5`, `"5"`, ""},
	}
}

// since is the first ansible-core 2.x that does what a row says; those before do otherwise.
func since(c coercion) int {
	return map[string]int{
		"str null": 19, `int "\u001c5\u2003"`: 18, "int 5.0": 18, `int "5.0"`: 18, `int "5."`: 18, `int "5e2"`: 18, `int "500e-2"`: 18,
		`int ".5e1"`: 18, `int "0e99"`: 18, "int 1e3": 18, "int 1e30": 18,
	}[c.kind+" "+c.given]
}

func home(name string) (string, bool) {
	value, ok := map[string]string{"HOME": "/home/op", "PLACE": "here"}[name]
	return value, ok
}

func decode(t *testing.T, text string) any {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var value any
	require.NoError(t, decoder.Decode(&value), text)
	return value
}

func TestValuesAreCoercedAsAnsibleCoercesThem(t *testing.T) {
	for _, c := range coercions() {
		t.Run(c.kind+" "+c.given, func(t *testing.T) {
			got, ok := Coerce(c.kind, decode(t, c.given), home)
			require.Equal(t, c.want != "", ok, "%v", got)
			if !ok {
				return
			}
			text, err := json.Marshal(got)
			require.NoError(t, err)
			assert.JSONEq(t, c.want, string(text))
		})
	}
}

func TestTheTableOfCoercionsIsWhatAnsibleDoes(t *testing.T) {
	python := os.Getenv("ANSIBLE_PYTHON")
	if python == "" {
		t.Skip("ANSIBLE_PYTHON does not name a Python that has ansible-core")
	}
	var given strings.Builder
	for _, c := range coercions() {
		line, err := json.Marshal([]string{c.kind, c.given})
		require.NoError(t, err)
		fmt.Fprintln(&given, string(line))
	}
	command := exec.CommandContext(t.Context(), python, "testdata/coerce.py")
	command.Stdin, command.Env = strings.NewReader(given.String()), append(os.Environ(), "HOME=/home/op", "PLACE=here")
	var complaint strings.Builder
	command.Stderr = &complaint
	answers, err := command.Output()
	require.NoError(t, err, complaint.String())
	lines := strings.Split(strings.TrimSpace(string(answers)), "\n")
	minor, err := strconv.Atoi(strings.Split(lines[0], ".")[1])
	require.NoError(t, err)
	lines = lines[1:]
	require.Len(t, lines, len(coercions()))
	for i, c := range coercions() {
		var theirs struct {
			Value   json.RawMessage `json:"value"`
			Refused bool            `json:"refused"`
		}
		require.NoError(t, json.Unmarshal([]byte(lines[i]), &theirs), lines[i])
		same := theirs.Refused == (c.want == "") && (theirs.Refused || assert.ObjectsAreEqual(decodeFloats(t, c.want), decodeFloats(t, string(theirs.Value))))
		assert.Equal(t, (c.ours == "") == (minor >= since(c)), same, "%s %s: we say %q, Ansible %s", c.kind, c.given, c.want, lines[i])
	}
}

// decodeFloats does not tell 1000 from 1000.0.
func decodeFloats(t *testing.T, text string) any {
	t.Helper()
	var value any
	require.NoError(t, json.Unmarshal([]byte(text), &value), text)
	return value
}

func TestAHugeExponentIsRefusedAtOnce(t *testing.T) {
	for _, text := range []string{"1e999999999", "1e-999999999", "1e99999999999999999999", "10e-1e5", "1e999"} {
		_, ok := Int(text)
		assert.False(t, ok, text)
	}
}
