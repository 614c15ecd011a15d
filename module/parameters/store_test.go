package parameters

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/internal/moto"
	"github.com/seqera-tools/crypto-rotation/module/proof"
	"github.com/seqera-tools/crypto-rotation/module/rotation"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

const canary = "cAnArYcAnArYcAnArYcAnArY42"

func TestMain(m *testing.M) { os.Exit(moto.Main(m)) }

func open(t *testing.T, server *moto.Server, limits ...Limits) *Store {
	t.Helper()
	store, err := Open(t.Context(), Config{Region: "us-east-1", AccessKey: secret.New("testing"), SecretKey: secret.New("testing"), EndpointURL: server.URL, ValidateCerts: true}, limits...)
	require.NoError(t, err)
	return store
}

// put is the write of an omnibus that was observed in its first version.
func put(value string) *rotation.Write {
	return &rotation.Write{Kind: rotation.Put, Name: "/omnibus", Value: secret.New(value), Type: "SecureString", After: 1}
}

func create(name, value string) *rotation.Write {
	return &rotation.Write{Kind: rotation.Create, Name: name, Value: secret.New(value), Type: "SecureString"}
}

func remove(names ...string) *rotation.Write {
	return &rotation.Write{Kind: rotation.Delete, Name: names[0], Names: names}
}

func applied(t *testing.T, store *Store, write *rotation.Write) {
	t.Helper()
	outcome, err := store.Apply(t.Context(), write)
	require.NoError(t, err)
	assert.Equal(t, custody.Done, outcome)
}

func faultOf(t *testing.T, err error) fault.Code {
	t.Helper()
	var f *fault.Fault
	require.ErrorAs(t, err, &f)
	assert.NotContains(t, err.Error(), canary)
	return f.Code
}

func TestReadsAreBatchedByTenAndTellMissingFromThere(t *testing.T) {
	server := moto.Start(t)
	server.Put(t, "/a/1", "x")
	store := open(t, server)
	names := []string{"", "/a/1", "/a/1"}
	for i := range 12 {
		names = append(names, "/none/"+strings.Repeat("x", i+1))
	}
	found, err := store.Read(t.Context(), names...)
	require.NoError(t, err)
	assert.Len(t, server.Calls(), 2)
	assert.True(t, found["/a/1"].Exists)
	assert.Equal(t, int64(1), found["/a/1"].Version)
	assert.Equal(t, "x", found["/a/1"].Value.Reveal())
	assert.False(t, found["/none/x"].Exists)
	assert.Equal(t, Calls{Reads: 2}, store.Calls())
}

func TestEachWriteIsCarriedOutAndReadBack(t *testing.T) {
	server := moto.Start(t)
	server.Put(t, "/omnibus", "before")
	store := open(t, server)
	applied(t, store, put("after"))
	applied(t, store, put("later"))
	applied(t, store, create("/new", "x"))
	applied(t, store, remove("/new", "/never"))
	all := server.All(t)
	assert.Equal(t, "later", aws.ToString(all["/omnibus"].Value))
	assert.Len(t, all, 1)
}

func TestKMSKeyTierTagsAndDescriptionStay(t *testing.T) {
	server := moto.Real(t)
	_, err := server.Client().PutParameter(t.Context(), &ssm.PutParameterInput{
		Name: aws.String("/omnibus"), Value: aws.String("v"), Type: types.ParameterTypeSecureString, KeyId: aws.String("alias/ours"), Tier: types.ParameterTierAdvanced,
		Description: aws.String("words"), Tags: []types.Tag{{Key: aws.String("k"), Value: aws.String("v")}},
	})
	require.NoError(t, err)
	store := open(t, server)
	seen := rotation.Observed{SSM: rotation.Parameters{Omnibus: rotation.Parameter{Parameter: proof.Parameter{Name: "/omnibus", Exists: true}}}}
	require.NoError(t, store.Describe(t.Context(), "/custody", &seen))
	assert.Equal(t, "alias/ours", seen.SSM.Omnibus.KeyID)
	assert.Equal(t, "Advanced", seen.SSM.Omnibus.Tier)
	step := put("w")
	step.Attributes = seen.SSM.Omnibus.Attributes
	applied(t, store, step)
	described, err := server.Client().DescribeParameters(t.Context(), &ssm.DescribeParametersInput{})
	require.NoError(t, err)
	assert.Equal(t, "alias/ours", aws.ToString(described.Parameters[0].KeyId))
	assert.Equal(t, types.ParameterTierAdvanced, described.Parameters[0].Tier)
	assert.Equal(t, "words", aws.ToString(described.Parameters[0].Description))
	tags, err := server.Client().ListTagsForResource(t.Context(), &ssm.ListTagsForResourceInput{ResourceId: aws.String("/omnibus"), ResourceType: types.ResourceTypeForTaggingParameter})
	require.NoError(t, err)
	assert.Len(t, tags.TagList, 1)
}

func TestALostAnswerIsNotMistakenForAnotherWriter(t *testing.T) {
	server := moto.Start(t)
	server.Put(t, "/omnibus", "before")
	store := open(t, server)
	for _, step := range []*rotation.Write{put(canary), create("/new", canary), remove("/new")} {
		server.Reset()
		server.On(func(n int, _ moto.Call) moto.Fault {
			if n == 1 {
				return moto.LoseAnswer
			}
			return moto.None
		})
		applied(t, store, step)
	}
}

func TestARefusalOfARepeatedCallDoesNotMeanThatTheFirstWasNotCarriedOut(t *testing.T) {
	server := moto.Start(t)
	for _, step := range []*rotation.Write{put(canary), create("/new", canary), remove("/gone")} {
		for first, expected := range map[moto.Fault]custody.Outcome{moto.LoseAnswer: custody.Unknown, moto.FailAfter: custody.Unknown, moto.Throttled: custody.NotDone} {
			server.Reset()
			server.Put(t, "/omnibus", "before")
			server.On(func(n int, _ moto.Call) moto.Fault {
				if n == 1 {
					return first
				}
				return "ExpiredTokenException"
			})
			outcome, err := open(t, server).Send(t.Context(), step)
			assert.Equal(t, fault.CodeAWSCredentials, faultOf(t, err))
			assert.Equal(t, expected, outcome, "%s, after %s", step.Name, first)
		}
	}
}

func TestACallThatFailsOnTheSideOfSSMIsLookedUp(t *testing.T) {
	server := moto.Start(t)
	server.On(func(_ int, call moto.Call) moto.Fault {
		if call.Action == "DeleteParameters" {
			return moto.FailAfter
		}
		return moto.None
	})
	outcome, err := open(t, server, Limits{FirstPause: time.Millisecond}).Send(t.Context(), remove("/gone"))
	assert.Equal(t, fault.CodeAWS, faultOf(t, err))
	assert.Equal(t, custody.Done, outcome)
}

func TestACallWithoutAConnectionWasNotCarriedOut(t *testing.T) {
	server := moto.Start(t)
	server.URL = "http://127.0.0.1:1"
	outcome, err := open(t, server, Limits{FirstPause: time.Millisecond}).Send(t.Context(), put(canary))
	assert.Equal(t, fault.CodeAWS, faultOf(t, err))
	assert.Equal(t, custody.NotDone, outcome)
}

func TestACallWithoutCredentialsWasNotCarriedOut(t *testing.T) {
	server := moto.Start(t)
	nowhere(t, "http://127.0.0.1:1")
	store, err := Open(t.Context(), Config{Region: "us-east-1", EndpointURL: server.URL, AssumeRoleARN: "arn:aws:iam::1:role/none"}, Limits{FirstPause: time.Millisecond})
	require.NoError(t, err)
	outcome, err := store.Send(t.Context(), put(canary))
	require.Error(t, err)
	assert.Equal(t, custody.NotDone, outcome)
	assert.Empty(t, server.Writes())
}

func TestThrottlingIsWaitedOut(t *testing.T) {
	server := moto.Start(t)
	server.Put(t, "/omnibus", "before")
	for _, f := range []moto.Fault{moto.Throttled, moto.TooMany, moto.CutBefore} {
		server.Reset()
		server.On(func(n int, _ moto.Call) moto.Fault {
			if n <= 3 {
				return f
			}
			return moto.None
		})
		store := open(t, server)
		found, err := store.Read(t.Context(), "/omnibus")
		require.NoError(t, err)
		assert.True(t, found["/omnibus"].Exists)
		assert.Len(t, server.Calls(), 4)
	}
}

func TestACallWaitsItsTurnLongerThanABrokenConnectionAndNotForEver(t *testing.T) {
	server := moto.Start(t)
	server.Put(t, "/omnibus", "before")
	server.On(func(n int, _ moto.Call) moto.Fault {
		switch {
		case n == Attempts+2:
			return moto.CutBefore
		case n <= Attempts+3:
			return moto.TooMany
		}
		return moto.None
	})
	quick := Limits{FirstPause: time.Millisecond}
	_, err := open(t, server, quick).Read(t.Context(), "/omnibus")
	require.NoError(t, err)
	assert.Len(t, server.Calls(), Attempts+4)

	server.Reset()
	server.On(func(int, moto.Call) moto.Fault { return moto.Throttled })
	quick.Throttles = 3
	_, err = open(t, server, quick).Read(t.Context(), "/omnibus")
	assert.Equal(t, fault.CodeThrottled, faultOf(t, err))
	assert.Len(t, server.Calls(), 3)
}

func TestAnotherWriterInBetweenStopsTheRunAndIsNamed(t *testing.T) {
	server := moto.Start(t)
	server.Put(t, "/omnibus", "before")
	server.Put(t, "/omnibus", "somebody else's")
	_, err := open(t, server).Apply(t.Context(), put(canary))
	assert.Equal(t, fault.CodeVersionGap, faultOf(t, err))

	server.Put(t, "/new", "somebody else's")
	_, err = open(t, server).Apply(t.Context(), create("/new", canary))
	assert.Equal(t, fault.CodeVersionGap, faultOf(t, err))
	all := server.All(t)
	assert.Equal(t, "somebody else's", aws.ToString(all["/new"].Value))
}

func TestAWriteThatDoesNotReadBackStopsTheRun(t *testing.T) {
	server := moto.Start(t)
	server.Put(t, "/omnibus", "before")
	server.After(func(call moto.Call) {
		if call.Action == "PutParameter" {
			server.Put(t, "/omnibus", "somebody else's")
		}
	})
	_, err := open(t, server).Apply(t.Context(), put(canary))
	assert.Equal(t, fault.CodeReadBack, faultOf(t, err))
}

func TestServiceErrorsAreToldApartAndNeverQuoteAValue(t *testing.T) {
	server := moto.Start(t)
	for f, code := range map[moto.Fault]fault.Code{moto.Denied: fault.CodeAccessDenied, moto.Invalid: fault.CodeAWS} {
		server.On(func(int, moto.Call) moto.Fault { return f })
		_, err := open(t, server).Apply(t.Context(), create("/new", canary))
		assert.Equal(t, code, faultOf(t, err))
		assert.ErrorContains(t, err, "ssm:PutParameter on /new")
		_, err = open(t, server).Read(t.Context(), "/new")
		assert.Equal(t, code, faultOf(t, err), "AccessDenied is not absent")
	}
}

func TestTheShelfIsReadInPages(t *testing.T) {
	server := moto.Start(t)
	for i := range 23 {
		server.Put(t, "/c/lock/"+strings.Repeat("1", i+1)[:min(i+1, 9)]+string(rune('0'+i%10)), `{"format":1,"body":{"state":"prepared"}}`)
	}
	inventory, err := open(t, server).ReadInventory(t.Context(), "/c")
	require.NoError(t, err)
	assert.True(t, inventory.Complete)
	assert.Len(t, inventory.Locks, len(server.All(t)))

	server.Put(t, "/c/ledger/r1", canary)
	_, err = open(t, server).ReadInventory(t.Context(), "/c")
	assert.Equal(t, fault.CodeCustodyDamaged, faultOf(t, err))
}
