package ansible

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func FuzzParseRefusesOrSortsTheArguments(f *testing.F) {
	for _, text := range []string{`{}`, `{"a": 1, "_ansible_check_mode": "yes"}`, `{"a": null}`, `[]`, `{} {}`, `{"_ansible_diff": {}}`, `{"n": 1e400}`, "\xff"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		given, err := parse(text)
		if err != nil {
			assert.Nil(t, given)
			return
		}
		request := Request{Params: map[string]any{}}
		_, _ = request.take(given)
		for name, value := range request.Params {
			assert.False(t, strings.HasPrefix(name, control), name)
			assert.NotNil(t, value, name)
			Bool(value)
			Int(value)
			List(value)
			Dict(value)
			Path(value, func(string) (string, bool) { return "", false })
			if text, ok := Str(value); ok && strings.TrimSpace(text) == text {
				again, ok := Str(text)
				assert.True(t, ok)
				assert.Equal(t, text, again)
			}
		}
	})
}
