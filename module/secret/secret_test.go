package secret

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"
	"text/template"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const canary = "cAnArYcAnArYcAnArYcAnArY42"

type holder struct {
	Public Secret
	hidden Secret
}

func TestNoDoorPrintsASecret(t *testing.T) {
	s := New(canary)
	h := holder{s, s}
	verbs := []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T", "%p", "%t", "%08b", "%c", "%U", "%e"}
	doors := map[string]func() string{
		"Sprint": func() string {
			return fmt.Sprint(s, &s, h, &h, []Secret{s}, map[string]Secret{"k": s}, [1]holder{h}, any(s))
		},
		"Errorf":  func() string { return fmt.Errorf("%w: %v", errors.New("x"), h).Error() },
		"json":    func() string { return encoded(t, map[string]any{"a": s, "b": &s, "c": h, "d": []Secret{s}}) },
		"slog":    func() string { return logged(s, h) },
		"xml":     func() string { b, err := xml.Marshal(holder{Public: s}); require.NoError(t, err); return string(b) },
		"builder": func() string { var b strings.Builder; fmt.Fprint(&b, h); return b.String() },
		"template": func() string {
			var b bytes.Buffer
			require.NoError(t, template.Must(template.New("").Parse("{{.}} {{.Public}} {{printf \"%s\" .Public}}")).Execute(&b, h))
			return b.String()
		},
		"panic": func() (text string) {
			defer func() { text = fmt.Sprint(recover()) }()
			panic(h)
		},
	}
	for _, verb := range verbs {
		doors[verb] = func() string {
			return fmt.Sprintf(verb, s) + fmt.Sprintf(verb, h) + fmt.Sprintf(verb, &h) + fmt.Sprintf(verb, []any{h})
		}
	}
	for name, door := range doors {
		text := door()
		assert.NotContains(t, text, canary, name)
		assert.NotContains(t, text, fmt.Sprintf("%x", canary), name)
		assert.NotContains(t, text, fmt.Sprint([]byte(canary))[1:20], name)
	}
	_, err := s.Value()
	require.Error(t, err, "database/sql gets none either")
}

func TestTheTestWouldSeeAnOpenDoor(t *testing.T) {
	type open struct{ S string }
	assert.Contains(t, fmt.Sprintf("%v", open{canary}), canary)
}

func encoded(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return string(b)
}

func logged(s Secret, h holder) string {
	var b bytes.Buffer
	slog.New(slog.NewJSONHandler(&b, nil)).Info("m", "s", s, "h", h)
	slog.New(slog.NewTextHandler(&b, nil)).Info("m", "s", s, "h", h)
	return b.String()
}

func TestASecretIsReadFromAJSONStringAndNothingElse(t *testing.T) {
	var s Secret
	require.NoError(t, json.Unmarshal([]byte(`"`+canary+`"`), &s))
	assert.Equal(t, canary, s.Reveal())
	for _, bad := range []string{`12`, `{"a":"` + canary + `"}`, `["` + canary + `"]`} {
		err := json.Unmarshal([]byte(bad), &s)
		require.Error(t, err)
		assert.NotContains(t, err.Error(), canary)
	}
	require.NoError(t, json.Unmarshal([]byte(`null`), &s))
	assert.True(t, s.IsEmpty())
}

func TestSecretsAreComparedByContent(t *testing.T) {
	assert.True(t, New("a").Equal(New("a")))
	assert.False(t, New("a").Equal(New("b")))
	assert.True(t, Secret{}.Equal(New("")))
	assert.False(t, Secret{}.Equal(New("a")))
	assert.Equal(t, 3, New("abc").Len())
}

func TestScrubMasksEverySecretInAText(t *testing.T) {
	assert.Equal(t, "key [secret] and [secret], a", Scrub("key "+canary+" and "+canary+", a", New(canary), New("a")))
}

func TestOfAnEnvironmentAWordIsMaskedWhereItStandsAlone(t *testing.T) {
	for text, want := range map[string]string{
		"env file /home/tower/tower.env not found": "env file /home/tower/tower.env not found",
		"service tower-api uses my_tower, towers":  "service tower-api uses my_tower, towers",
		"password tower.":                          "password [secret].",
		"tower":                                    "[secret]",
		"u:tower@db tower=\"tower\"":               "u:[secret]@db [secret]=\"[secret]\"",
		canary + "/" + canary + ".env":             "[secret]/[secret].env",
		"a tow":                                    "a tow",
		"/home/ec2-user/x of ec2-user":             "/home/ec2-user/x of ec2-user",
	} {
		assert.Equal(t, want, ScrubValues(text, "/home/ec2-user", New("tower"), New(canary), New("tow"), New("ec2-user"), New("")), text)
	}
}

func TestFingerprintsAreSixteenHexDigitsAndTellKeysAndScopesApart(t *testing.T) {
	f := NewFingerprinter("app", Rounds)
	one := f.Of(New(canary))
	assert.Regexp(t, "^[0-9a-f]{16}$", string(one))
	assert.Equal(t, one, f.Of(New(canary)))
	assert.NotEqual(t, one, f.Of(New(canary+"x")))
	assert.NotEqual(t, one, NewFingerprinter("other", Rounds).Of(New(canary)))
	assert.Empty(t, f.Of(Secret{}))
	// Published: whoever keeps a fingerprint must find the same in ten years.
	assert.Equal(t, Fingerprint("2337f9324d72cc90"), NewFingerprinter("tower-template", Rounds).Of(New("CHANGE_ME_SEE_SEQERA_DOCS")))
}

// GODEBUG=fips140=only refuses a derivation of less than 14 bytes; fingerprints are the start of a longer one.
func TestFingerprint_underFIPS(t *testing.T) {
	if os.Getenv("FIPS_CHILD") != "" {
		fmt.Print(NewFingerprinter("tower-template", Rounds).Of(New("CHANGE_ME_SEE_SEQERA_DOCS")))
		os.Exit(0)
	}
	command := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestFingerprint_underFIPS$")
	command.Env = append(os.Environ(), "FIPS_CHILD=1", "GODEBUG=fips140=only")
	out, err := command.CombinedOutput()
	require.NoError(t, err, string(out))
	assert.Equal(t, "2337f9324d72cc90", string(out))
}

func TestTheKeyOfAMACIsAsSlowAsAFingerprintAndTheSameInTenYears(t *testing.T) {
	key, f := New("CHANGE_ME_SEE_SEQERA_DOCS"), NewFingerprinter("tower-template", Rounds)
	// PBKDF2-HMAC-SHA256 of 200,000 rounds, by Python's hashlib.
	assert.Equal(t, "f3683021d6c440f000ff5ae221078aa299a7beac0acc8c1b7e84befb1fdfd71b", hex.EncodeToString(f.MACKey(key, "tower-template")))
	assert.NotEqual(t, f.MACKey(key, "tower-template"), f.MACKey(key, "other"))
}
