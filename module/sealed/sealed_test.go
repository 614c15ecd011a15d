package sealed_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/seqera-tools/crypto-rotation/module/sealed"
)

func anyKey() *rapid.Generator[sealed.Key] {
	return rapid.Custom(func(t *rapid.T) sealed.Key {
		return sealed.Key(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "key"))
	})
}

func seal(t require.TestingT, key sealed.Key, plain []byte) []byte {
	secure, err := sealed.Seal(key, plain, rand.NewChaCha8([32]byte{1}))
	require.NoError(t, err)
	return secure
}

func TestWhatWasSealedOpensToTheSameBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := anyKey().Draw(t, "key")
		plain := rapid.SliceOf(rapid.Byte()).Draw(t, "plain")
		secure := seal(t, key, plain)
		opened, err := sealed.Open(key, secure)
		require.NoError(t, err)
		assert.True(t, bytes.Equal(plain, opened))
		assert.Zero(t, len(secure)%16)
		assert.Greater(t, len(secure), len(plain)+16, "an IV and at least one byte of padding")
	})
}

func TestDamagedRecordsGiveAnErrorOrOtherBytesAndNeverACrash(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := anyKey().Draw(t, "key")
		plain := []byte(`{"a":"` + strings.Repeat("x", rapid.IntRange(0, 60).Draw(t, "length")) + `"}`)
		secure := seal(t, key, plain)
		at := rapid.IntRange(0, len(secure)-1).Draw(t, "at")
		secure[at] ^= rapid.ByteRange(1, 255).Draw(t, "flip")
		opened, err := sealed.Open(key, secure)
		if err == nil {
			assert.NotEqual(t, plain, opened)
		} else {
			assert.ErrorIs(t, err, sealed.ErrPadding)
		}
		cut := rapid.IntRange(0, len(secure)).Draw(t, "cut")
		_, err = sealed.OpenObject(key, secure[:cut])
		if cut%16 != 0 || cut < 32 {
			assert.ErrorIs(t, err, sealed.ErrTruncated)
		}
	})
}

func TestAWrongKeyNeverOpensAnObject(t *testing.T) {
	const tries = 100_000
	random := rand.NewChaCha8([32]byte{2})
	var key sealed.Key
	_, _ = random.Read(key[:])
	// The worst records for us: one block, so that one block of noise decides.
	secure := seal(t, key, []byte(`{"password":1}`))
	rightPadding := 0
	for range tries {
		_, _ = random.Read(key[:])
		_, err := sealed.OpenObject(key, secure)
		require.Error(t, err)
		if errors.Is(err, sealed.ErrNotObject) {
			rightPadding++
		}
	}
	assert.InDelta(t, tries/256, rightPadding, 150, "padding alone is right about once in 256: it proves nothing")
}

func TestOnlyOneWholeJSONObjectIsAnObject(t *testing.T) {
	for plain, want := range map[string]bool{
		`{}`:                   true,
		" \t\r\n{\"a\":[1]}\n": true,
		`{"a":"日本語"}`:          true,
		``:                     false,
		`  `:                   false,
		`null`:                 false,
		`[]`:                   false,
		`"{}"`:                 false,
		`{}{}`:                 false,
		`{} x`:                 false,
		`{"a":1,}`:             false,
		`{"a":1`:               false,
		`{a:1}`:                false,
		"{}\x00":               false,
		"\ufeff{}":             false,
		"{\"a\":\"\xff\"}":     false,
		strings.Repeat(`{"a":`, 200_000) + `1` + strings.Repeat(`}`, 200_000): false,
	} {
		assert.Equal(t, want, sealed.IsObject([]byte(plain)), "%.40q", plain)
	}
}

func TestRecordsOfImpossibleLengthAreTruncated(t *testing.T) {
	for _, length := range []int{0, 1, 15, 16, 17, 31, 33, 47, 1<<20 + 1} {
		_, err := sealed.Open(sealed.Key{}, make([]byte, length))
		assert.ErrorIs(t, err, sealed.ErrTruncated, length)
	}
	_, err := sealed.Open(sealed.Key{}, nil)
	assert.ErrorIs(t, err, sealed.ErrTruncated)
}

func TestPaddingThatIsNotPKCS5IsRefused(t *testing.T) {
	// With an IV of zeros the first block of plaintext is the decrypted block itself: change the IV to plant a padding.
	key := sealed.Key{7}
	secure := seal(t, key, nil) // one block of sixteen 0x10
	for name, planted := range map[string]struct {
		at   int
		want byte
	}{
		"zero":           {15, 0x00},
		"seventeen":      {15, 0x11},
		"all bits":       {15, 0xff},
		"an uneven tail": {3, 0x0f},
	} {
		damaged := bytes.Clone(secure)
		damaged[planted.at] ^= 0x10 ^ planted.want
		_, err := sealed.Open(key, damaged)
		assert.ErrorIs(t, err, sealed.ErrPadding, name)
	}
}

func TestShortAndEmptySaltsAndSecretsDoNotPanic(t *testing.T) {
	for _, salt := range [][]byte{nil, {}, {1}} {
		_, err := sealed.Derive(nil, salt)
		require.NoError(t, err)
		id, err := sealed.ID("", salt)
		require.NoError(t, err)
		assert.Len(t, id, 24)
	}
}

func TestNoRandomnessIsAnErrorAndNoRecord(t *testing.T) {
	secure, err := sealed.Seal(sealed.Key{}, []byte("{}"), strings.NewReader("short"))
	require.Error(t, err)
	assert.Nil(t, secure)
}

func TestAKeyIsNeverPrinted(t *testing.T) {
	key := sealed.Key(bytes.Repeat([]byte{0xAB}, 32))
	encoded, err := json.Marshal(map[string]any{"k": key, "p": &key, "m": map[sealed.Key]int{key: 1}})
	require.NoError(t, err)
	var logged bytes.Buffer
	slog.New(slog.NewTextHandler(&logged, nil)).Info("x", "key", key, "pointer", &key)
	shown := string(encoded) + logged.String()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%c", "%08b"} {
		shown += fmt.Sprintf(verb, key) + fmt.Sprintf(verb, &key) + fmt.Sprintf(verb, struct{ K sealed.Key }{key})
	}
	for _, trace := range []string{"171", "ab", "AB", "q6ur", "\xab", "10101011"} {
		assert.NotContains(t, shown, trace)
	}
	assert.Contains(t, shown, "[key]")
}

func FuzzOpenNeverCrashes(f *testing.F) {
	f.Add([]byte{}, []byte{})
	f.Add(make([]byte, 32), make([]byte, 48))
	f.Add([]byte("k"), seal(f, sealed.Key{'k'}, []byte(`{"a":1}`)))
	f.Fuzz(func(t *testing.T, material, secure []byte) {
		var key sealed.Key
		copy(key[:], material)
		plain, err := sealed.OpenObject(key, secure)
		if err == nil && !json.Valid(plain) {
			t.Fatal("opened to something that is not JSON")
		}
		if err != nil && plain != nil {
			t.Fatal("an error and plaintext at once")
		}
	})
}

func BenchmarkDerive(b *testing.B) {
	for b.Loop() {
		_, _ = sealed.Derive([]byte("an-invented-secret-of-40-characters-long"), make([]byte, 16))
	}
}
