package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/seqera-tools/crypto-rotation/module/internal/moto"
	"github.com/seqera-tools/crypto-rotation/module/proof"
)

// What AWS, other people and broken clocks do to a rotation: each is one clear message, and none leaves it half-done.

func TestWhatAWSRefusesIsOneClearMessageAndHarmless(t *testing.T) {
	on := func(f moto.Fault, action, part string) func(*testing.T, *moto.Server) {
		return func(_ *testing.T, s *moto.Server) {
			s.On(func(_ int, call moto.Call) moto.Fault {
				if call.Action == action && strings.Contains(fmt.Sprint(call.Names), part) {
					return f
				}
				return moto.None
			})
		}
	}
	tests := []struct {
		name    string
		set     func(*testing.T, *moto.Server)
		options args
		code    string
		says    []string
	}{
		{"no kms:Decrypt", on(moto.NoDecrypt, "GetParameters", ""), nil, "access_denied", []string{"kms:Decrypt", name}},
		{"a KMS key that is disabled", on(moto.KeyDisabled, "GetParameters", ""), nil, "aws_error", []string{"KMS key", "disabled"}},
		{"a KMS key for escrow that is not there", on(moto.KeyDisabled, "PutParameter", "/escrow/"), args{"escrow_kms_key_id": "alias/nothing"}, "aws_error", []string{"KMS key", "/escrow/"}},
		{"no kms:Encrypt", on(moto.Denied, "PutParameter", name), nil, "access_denied", []string{"kms:Encrypt", name}},
		{"a hundred versions, the oldest with a label", on(moto.TooManyVersions, "PutParameter", name), nil, "aws_error", []string{"label-parameter-version", name}},
		{"an account that is full", on(moto.TooManyNames, "PutParameter", "/lock/"), nil, "aws_error", []string{"quota"}},
		{"a clock that is an hour off", on(moto.TooSkewed, "GetParameters", ""), nil, "aws_credentials", []string{"clock"}},
		{"an omnibus of type String", func(t *testing.T, s *moto.Server) {
			t.Helper()
			s.Delete(t, name)
			s.PutString(t, name, document())
		}, nil, "not_secure_string", []string{name}},
		{"a standalone parameter of type String", func(t *testing.T, s *moto.Server) {
			t.Helper()
			s.Delete(t, config+"/tower/crypto/secretKey")
			s.PutString(t, config+"/tower/crypto/secretKey", oldKey)
		}, nil, "not_secure_string", []string{"secretKey"}},
		{"sixteen levels", nil, args{"custody_prefix": strings.Repeat("/a", 12)}, "invalid_options", []string{"16 levels"}},
		{"a name that is too long", nil, args{"omnibus_parameter": "/" + strings.Repeat("a", 1011)}, "invalid_options", []string{"1011"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			server := installation(t)
			if test.set != nil {
				test.set(t, server)
			}
			before := server.All(t)
			a := call(t, server, "seqera_crypto_rotation", prepare(test.options))
			assert.True(t, a.Failed)
			assert.Equal(t, test.code, a.ErrorCode, a.Msg)
			for _, word := range test.says {
				assert.Contains(t, a.Msg, word)
			}
			assert.NotContains(t, a.text, oldKey)
			assert.NotContains(t, a.text, newKey)
			keysAreThere(t, server)
			after := server.All(t)
			for name, parameter := range before {
				assert.Equal(t, parameter, after[name], "%s was changed", name)
			}
			// Once what stood in the way is gone, the same call continues from there.
			if server.On(nil); test.set != nil && test.code != "not_secure_string" {
				a = call(t, server, "seqera_crypto_rotation", prepare(nil))
				assert.False(t, a.Failed, a.Msg)
				platformOf(t, server)
			}
		})
	}
}

func TestCustodyThatIsNotOursIsNeverOverwritten(t *testing.T) {
	const custody = "/seqera-crypto-rotation/tower-template"
	escrowOf := func(t *testing.T, s *moto.Server) string {
		t.Helper()
		for name := range s.All(t) {
			if strings.Contains(name, "/escrow/") {
				return name
			}
		}
		return ""
	}
	tests := []struct {
		name string
		set  func(*testing.T, *moto.Server) string // gives the name of what was damaged
		code string
	}{
		{"another content under the escrow's name", func(t *testing.T, s *moto.Server) string {
			t.Helper()
			found := escrowOf(t, s)
			s.Put(t, found, strings.ReplaceAll(strings.ReplaceAll(value(t, s, found), oldKey, strings.Repeat("z", 30)), newKey, strings.Repeat("z", 30)))
			return found
		}, "escrow_conflict"},
		{"an escrow that is no document", func(t *testing.T, s *moto.Server) string {
			t.Helper()
			found := escrowOf(t, s)
			s.Put(t, found, "damaged")
			return found
		}, "custody_damaged"},
		{"a ledger that is not ours", func(t *testing.T, s *moto.Server) string {
			t.Helper()
			s.Put(t, custody+"/ledger/r1", `{"written_by": "somebody else"}`)
			return custody + "/ledger/r1"
		}, "custody_damaged"},
		{"a ledger that was cut short", func(t *testing.T, s *moto.Server) string {
			t.Helper()
			text := value(t, s, custody+"/ledger/r1")
			s.Put(t, custody+"/ledger/r1", text[:len(text)/2])
			return custody + "/ledger/r1"
		}, "custody_damaged"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			server := installation(t)
			a := call(t, server, "seqera_crypto_rotation", prepare(nil))
			assert.False(t, a.Failed, a.Msg)
			damaged := test.set(t, server)
			before := value(t, server, damaged)
			proof := proofOf(t, a, newKey, proof.Complete)
			calls := []args{finalize(args{"proof": proof}), prepare(args{"rotation_id": "another"})}
			if strings.Contains(damaged, "/ledger/") {
				// A rotation that is prepared is found so by two reads; escrow is looked at again before anything is removed.
				calls = append(calls, prepare(nil))
			}
			for _, options := range calls {
				a := call(t, server, "seqera_crypto_rotation", options)
				assert.True(t, a.Failed, a.text)
				assert.Contains(t, []string{test.code, "rotation_open"}, a.ErrorCode, a.Msg)
				assert.NotContains(t, a.text, newKey)
				assert.Equal(t, before, value(t, server, damaged), "it was overwritten")
			}
		})
	}
}

func TestAnEscrowThatSomebodyRemovedIsPutBackBeforeAKeyIsRemoved(t *testing.T) {
	server := installation(t)
	a := call(t, server, "seqera_crypto_rotation", prepare(nil))
	assert.False(t, a.Failed, a.Msg)
	for name := range server.All(t) {
		if strings.Contains(name, "/escrow/") {
			server.Delete(t, name)
		}
	}
	a = call(t, server, "seqera_crypto_rotation", finalize(args{"proof": proofOf(t, a, newKey, proof.Complete)}))
	assert.False(t, a.Failed, a.Msg)
	keysAreThere(t, server)
	assert.Contains(t, a.text, "escrow_retiring")
	platformOf(t, server)
}
