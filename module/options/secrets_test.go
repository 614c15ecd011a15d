package options

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const canary = "CANARY7f3a9c" // in every secret that is given here, and so in no message

func TestAKeyThatIsNoKeyIsRefusedWithoutBeingShown(t *testing.T) {
	for name, c := range map[string]struct {
		given any
		want  string
	}{
		"empty":            {"", "it is empty"},
		"too short":        {canary, "it has 12 characters"},
		"24 characters":    {canary + canary, "it has 24 characters"},
		"punctuation":      {canary + canary + canary + "-", "it has 37 characters, and not all of them are allowed"},
		"line break":       {canary + canary + canary + "\n", "it ends with a line break"},
		"blank":            {" " + canary + canary + canary, "it starts or ends with a space or a line break"},
		"not ASCII":        {canary + canary + canary + "é", "it has 37 characters, and not all of them are allowed"},
		"other digits":     {canary + canary + canary + "٣", "not all of them are allowed"},
		"list":             {[]any{canary + canary + canary}, "the value is not a str"},
		"dict":             {map[string]any{"key": canary}, "the value is not a str"},
		"bool":             {true, "it has 4 characters"},
		"unlucky number":   {number("1.5"), "it has 3 characters"},
		"json of a secret": {`{"new_secret": "` + canary + `"}`, "not all of them are allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseRotation(prepared(map[string]any{"new_secret": c.given}), nil)
			invalid, options := wrong(t, err)
			assert.Equal(t, "invalid_key", invalid.ErrorCode())
			assert.Contains(t, err.Error(), "new_secret must be 25 or more ASCII letters and digits: ")
			assert.Contains(t, err.Error(), c.want)
			assert.NotContains(t, err.Error(), canary)
			assert.Equal(t, []string{"new_secret"}, options)
		})
	}
}

func TestAWrongKeyAmongOtherMistakesIsAnInvalidOption(t *testing.T) {
	_, err := ParseRotation(prepared(map[string]any{"new_secret": "short", "chunk_size": "0"}), nil)
	var invalid *Invalid
	require.ErrorAs(t, err, &invalid)
	assert.Equal(t, "invalid_options", invalid.ErrorCode())
}

func TestNoMessageHoldsASecret(t *testing.T) {
	wrong := []any{canary, []any{canary}, map[string]any{"a": canary}, canary + " " + canary, "host=" + canary + " " + canary, `{"password": "` + canary, "{'password': '" + canary}
	secrets := []string{"new_secret", "access_key", "secret_key", "session_token", "database", "aws_secret_key", "proof", "baseline"}
	seen := 0
	for _, option := range secrets {
		for i, value := range wrong {
			t.Run(fmt.Sprintf("%s-%d", option, i), func(t *testing.T) {
				r, err := ParseRotation(prepared(map[string]any{option: value, "profile": "p", "chunk_size": "x"}), nil)
				require.Error(t, err)
				assert.NotContains(t, err.Error(), canary)
				assert.NotContains(t, fmt.Sprintf("%+v %#v", r, r), canary)
				seen += strings.Count(err.Error(), option)
			})
		}
	}
	// A key instead of what was asked for. The canary is shorter than a key.
	key := strings.Repeat("Key5", 10)
	for _, option := range []string{"new_secret_from_escrow", "state", "max_age_days", "config_prefix", key} {
		_, err := ParseRotation(prepared(map[string]any{option: key}), nil)
		require.Error(t, err, option)
		assert.NotContains(t, err.Error(), "Key5", option)
	}
	_, err := ParseInfo(map[string]any{"app_name": "app", "key_from_escrow": key}, nil)
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "Key5")
	_, err = ParseRotation(prepared(map[string]any{"database": map[string]any{"host": "", "password": canary, "passwrd": canary}}), nil)
	require.Error(t, err)
	assert.NotContains(t, err.Error(), canary)
	assert.Positive(t, seen, "the messages name the options")
}

func TestOptionsThatPassCannotBePrintedWithTheirSecrets(t *testing.T) {
	key := canary + canary + canary
	r, err := ParseRotation(prepared(map[string]any{"new_secret": key, "access_key": key, "secret_key": key, "session_token": key, "database": map[string]any{"host": "db", "password": key}}), nil)
	require.NoError(t, err)
	assert.Equal(t, key, r.Database.Password.Reveal())
	assert.NotContains(t, fmt.Sprintf("%v %+v %#v %v", r, r, r, *r.Database), canary)
}
