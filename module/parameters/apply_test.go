package parameters

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/internal/fakessm"
	"github.com/seqera-tools/crypto-rotation/module/proof"
	"github.com/seqera-tools/crypto-rotation/module/rotation"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// fake is a store over SSM in memory that has an omnibus in its first version.
func fake() (*Store, *fakessm.SSM) {
	server := fakessm.New()
	server.Put("/omnibus", "before")
	store := New(server)
	store.Pause = time.Microsecond
	return store, server
}

// A read may show what was before: one rule for all three kinds of writes.
func TestApply_staleReads(t *testing.T) {
	for name, write := range map[string]*rotation.Write{"create": create("/new", "x"), "put": put("after"), "delete": remove("/omnibus")} {
		for stale, code := range map[int]fault.Code{1: "", 4: "", 5: fault.CodeReadBack} {
			store, server := fake()
			reads := 0
			server.Hook = func(call fakessm.Call) fakessm.Fault {
				if !call.Write {
					reads++
				}
				return fakessm.Fault{Stale: !call.Write && reads <= stale}
			}
			outcome, err := store.Apply(t.Context(), write)
			assert.Equal(t, custody.Done, outcome, name)
			assert.Equal(t, code, fault.CodeOf(err), "%s, %d stale reads", name, stale)
		}
	}
}

// Whether a write was carried out is said truthfully whatever becomes of its answer.
func TestApply_outcome(t *testing.T) {
	for name, write := range map[string]*rotation.Write{"create": create("/new", "x"), "put": put("after"), "delete": remove("/omnibus")} {
		for _, test := range []struct {
			name  string
			fault func(fakessm.Call, context.CancelFunc) fakessm.Fault
			want  custody.Outcome
			code  fault.Code
		}{
			{"refused", func(c fakessm.Call, _ context.CancelFunc) fakessm.Fault {
				return fakessm.Fault{Code: map[bool]string{true: "AccessDeniedException"}[c.Write]}
			}, custody.NotDone, fault.CodeAccessDenied},
			{"the answer is lost", func(c fakessm.Call, _ context.CancelFunc) fakessm.Fault { return fakessm.Fault{Lose: c.Write} }, custody.Done, fault.CodeAWS},
			{"the answer is lost, and nothing can be read", func(c fakessm.Call, _ context.CancelFunc) fakessm.Fault {
				return fakessm.Fault{Lose: c.Write, Code: map[bool]string{false: "ExpiredTokenException"}[c.Write]}
			}, custody.Unknown, fault.CodeAWS},
			{"the token expires before the read-back", func(c fakessm.Call, _ context.CancelFunc) fakessm.Fault {
				return fakessm.Fault{Code: map[bool]string{false: "ExpiredTokenException"}[c.Write]}
			}, custody.Done, fault.CodeAWSCredentials},
			{"interrupted before the read-back", func(c fakessm.Call, cancel context.CancelFunc) fakessm.Fault {
				if !c.Write {
					cancel()
				}
				return fakessm.Fault{}
			}, custody.Done, fault.CodeInterrupted},
			{"interrupted while it is under way", func(c fakessm.Call, cancel context.CancelFunc) fakessm.Fault {
				if c.Write {
					cancel()
				}
				return fakessm.Fault{}
			}, custody.Done, fault.CodeInterrupted},
		} {
			t.Run(name+", "+test.name, func(t *testing.T) {
				store, server := fake()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				server.Hook = func(c fakessm.Call) fakessm.Fault { return test.fault(c, cancel) }
				outcome, err := store.Apply(ctx, write)
				assert.Equal(t, test.want, outcome)
				assert.Equal(t, test.code, fault.CodeOf(err))
				assert.NotContains(t, err.Error(), "Nothing was written", "who reads does not know what was written")
			})
		}
	}
}

// A parameter that disappears, or is made again, while it is written is told.
func TestApply_deletedMeanwhile(t *testing.T) {
	store, server := fake()
	server.Put("/omnibus", "seventh")
	server.Hook = func(c fakessm.Call) fakessm.Fault {
		if c.Write {
			server.Delete("/omnibus")
		}
		return fakessm.Fault{}
	}
	write := put("ours")
	write.After = 2
	outcome, err := store.Apply(t.Context(), write)
	assert.Equal(t, custody.Done, outcome)
	assert.Equal(t, fault.CodeVersionGap, fault.CodeOf(err))
	assert.ErrorContains(t, err, "deleted")
}

// A deleted value is gone with its history, so another version than the observed one is not deleted.
func TestApply_deletesOnlyTheObservedVersion(t *testing.T) {
	store, server := fake()
	server.Put("/p", "observed")
	remove := &rotation.Write{Kind: rotation.Delete, Name: "/p", Names: []string{"/p"}, Was: secret.New("observed"), After: 1}
	server.Put("/p", "of somebody else")
	outcome, err := store.Apply(t.Context(), remove)
	assert.Equal(t, custody.NotDone, outcome)
	assert.Equal(t, fault.CodeVersionGap, fault.CodeOf(err))
	assert.Equal(t, "of somebody else", server.All()["/p"])

	remove.After, remove.Was, server.Calls = 2, secret.New("of somebody else"), nil
	server.Hook = func(c fakessm.Call) fakessm.Fault {
		return fakessm.Fault{Stale: !c.Write && len(server.Calls) < 3}
	}
	_, err = store.Apply(t.Context(), remove)
	require.NoError(t, err, "a stale read is repeated")
	assert.NotContains(t, server.All(), "/p")

	server.Hook = nil
	server.Put("/p", "observed")
	server.Delete("/p")
	server.Put("/p", "a key that is in no escrow")
	remove.After, remove.Was = 1, secret.New("observed")
	outcome, err = store.Apply(t.Context(), remove)
	assert.Equal(t, custody.NotDone, outcome)
	assert.ErrorContains(t, err, "created it again", "it has the same version")
	assert.Equal(t, "a key that is in no escrow", server.All()["/p"])
}

func TestSame_comparesValues(t *testing.T) {
	one := rotation.Parameters{Current: rotation.Parameter{Parameter: proof.Parameter{Name: "/x", Exists: true, Version: 1, Value: secret.New("a")}}}
	other := one
	other.Current.Value = secret.New("b")
	assert.True(t, Same(one, one))
	assert.False(t, Same(one, other), "deleted and created again, it has the same version")
}

// What is not ours stays: also what only DescribeParameters tells.
func TestApply_whatIsNotOursStays(t *testing.T) {
	store, server := fake()
	write := create("/full", "x")
	write.KeyID, write.Tier, write.Policies, write.Pattern, write.DataType = "alias/k", "Advanced", `{"Type":"Expiration"}`, "^[a-z]$", "text"
	applied(t, store, write)
	seen := rotation.Observed{SSM: rotation.Parameters{Omnibus: rotation.Parameter{Parameter: proof.Parameter{Name: "/full", Exists: true}}}}
	require.NoError(t, store.Describe(t.Context(), "/custody", &seen))
	assert.Equal(t, rotation.Parameter{
		Parameter:  proof.Parameter{Name: "/full", Exists: true},
		Attributes: custody.Attributes{KeyID: "alias/k", Tier: "Advanced", Policies: `[{"Type":"Expiration"}]`, Pattern: "^[a-z]$", DataType: "text"},
	}, seen.SSM.Omnibus)
	kept := server.Parameter("/full")
	assert.Equal(t, types.ParameterTierAdvanced, kept.Tier)
	assert.Equal(t, "^[a-z]$", aws.ToString(kept.AllowedPattern))
}

// endpoint_url applies only to SSM: a role is assumed at the default STS endpoint.
func TestOpen_endpointIsForSSMAlone(t *testing.T) {
	var there []string
	listen := func(name string) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			there = append(there, name)
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte("<ErrorResponse><Error><Code>AccessDenied</Code><Message>not authorized to perform: sts:AssumeRole</Message></Error></ErrorResponse>"))
		}))
		t.Cleanup(server.Close)
		return server.URL
	}
	t.Setenv("AWS_ENDPOINT_URL_STS", listen("sts"))
	store, err := Open(t.Context(), Config{
		Region: "us-east-1", AccessKey: secret.New("a"), SecretKey: secret.New("b"), EndpointURL: listen("ssm"), ValidateCerts: true, AssumeRoleARN: "arn:aws:iam::123456789012:role/x",
	})
	require.NoError(t, err)
	_, err = store.Read(t.Context(), "/x")
	var f *fault.Fault
	require.ErrorAs(t, err, &f)
	assert.Equal(t, fault.CodeAWSCredentials, f.Code, "SSM was not called")
	assert.ErrorContains(t, err, "AWS gives no credentials for ssm:GetParameters: AccessDenied: not authorized to perform: sts:AssumeRole. ")
	assert.Equal(t, []string{"sts"}, there)
	assert.Empty(t, store.Caller(t.Context()))
}

// What a credential_process prints may be a key.
func TestOpen_aBrokenCredentialProcessIsNotQuoted(t *testing.T) {
	nowhere(t, "http://127.0.0.1:1")
	config := filepath.Join(t.TempDir(), "config")
	require.NoError(t, os.WriteFile(config, []byte("[default]\ncredential_process = echo warning: SecretAccessKey "+canary+"\n"), 0o600))
	t.Setenv("AWS_CONFIG_FILE", config)
	store, err := Open(t.Context(), Config{Region: "us-east-1", EndpointURL: "http://127.0.0.1:1", ValidateCerts: true})
	require.NoError(t, err)
	_, err = store.Read(t.Context(), "/x")
	assert.Equal(t, fault.CodeAWSCredentials, fault.CodeOf(err))
	assert.ErrorContains(t, err, "No AWS credentials were found for ssm:GetParameters. ")
	assert.NotContains(t, err.Error(), canary)
}

// An endpoint that takes a request and never answers is given up.
func TestOpen_anEndpointThatNeverAnswers(t *testing.T) {
	hang := make(chan struct{})
	var calls atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	}))
	defer server.Close()
	defer close(hang)
	store, err := Open(t.Context(), Config{
		Region: "us-east-1", AccessKey: secret.New("a"), SecretKey: secret.New("b"), EndpointURL: server.URL, ValidateCerts: true,
	}, Limits{AnswerTimeout: 500 * time.Millisecond})
	require.NoError(t, err)
	_, err = store.Read(t.Context(), "/x")
	assert.Equal(t, fault.CodeAWS, fault.CodeOf(err))
	assert.ErrorContains(t, err, "in time")
	assert.EqualValues(t, 3, calls.Load())
}
