package main

import (
	"encoding/json"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/internal/moto"
	"github.com/seqera-tools/crypto-rotation/module/proof"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// statement is one of docs/permissions.md.
type statement struct {
	Sid      string
	Action   []string
	Resource []string
}

// policies are those of docs/permissions.md, by the word after ```json.
func policies(t *testing.T) map[string][]statement {
	t.Helper()
	text, err := os.ReadFile("../docs/permissions.md")
	require.NoError(t, err)
	found := map[string][]statement{}
	page := strings.ReplaceAll(string(text), "/seqera/sensitive-values/tower-template/tower", name)
	for _, block := range regexp.MustCompile("(?s)```json ([a-z-]+)\n(.*?)```").FindAllStringSubmatch(page, -1) {
		var policy struct{ Statement []statement }
		require.NoError(t, json.Unmarshal([]byte(block[2]), &policy), block[1])
		found[block[1]] = policy.Statement
	}
	require.Len(t, found, 3)
	return found
}

// allows says whether the statements allow a call on each of its names.
func allows(statements []statement, call moto.Call) bool {
	names := call.Names
	if at, ok := call.Body["Path"].(string); ok {
		names = []string{at}
	}
	if len(names) == 0 {
		names = []string{"*"}
	}
	for _, name := range names {
		fine := slices.ContainsFunc(statements, func(s statement) bool {
			return slices.Contains(s.Action, "ssm:"+call.Action) && slices.ContainsFunc(s.Resource, func(resource string) bool {
				_, pattern, _ := strings.Cut(resource, ":parameter")
				matched, _ := path.Match(strings.ReplaceAll(pattern, "*", "?*"), name)
				// IAM's star goes over slashes, path.Match's does not.
				return resource == "*" || matched || (strings.HasSuffix(pattern, "*") && strings.HasPrefix(name, strings.TrimSuffix(pattern, "*")))
			})
		})
		if !fine {
			return false
		}
	}
	return true
}

func restrict(server *moto.Server, statements []statement) {
	server.On(func(_ int, call moto.Call) moto.Fault {
		if !allows(statements, call) {
			return moto.Denied
		}
		return moto.None
	})
}

// lifecycle runs, as the operator, a rotation that finishes, a rotation that is aborted, and the info calls in between.
func lifecycle(t *testing.T, server *moto.Server) []answer {
	t.Helper()
	answers := []answer{call(t, server, "seqera_crypto_rotation", prepare(args{"chunk_size": 20}))}
	if !answers[0].Failed {
		proof := proofOf(t, answers[0], newKey, proof.Complete)
		answers = append(answers, call(t, server, "seqera_crypto_rotation", finalize(args{"proof": proof})))
	}
	for _, capture := range []bool{true, false} {
		second := prepare(args{"rotation_id": "r2", "new_secret": nil, "new_secret_from_escrow": answers[0].Fingerprints["previous"], "capture_only": capture})
		answers = append(answers, call(t, server, "seqera_crypto_rotation", second))
	}
	last := answers[len(answers)-1]
	if !last.Failed {
		back := prepare(args{"state": "aborted", "new_secret": nil, "backups": nil, "rotation_id": "r2", "proof": proofOf(t, last, newKey, proof.Untouched)})
		answers = append(answers, call(t, server, "seqera_crypto_rotation", back))
	}
	return append(answers, call(t, server, "seqera_crypto_rotation_info", args{
		"app_name": "tower-template", "omnibus_parameter": name, "gather": "parameters,escrow,ledger", "max_age_days": 1,
		"region": "us-east-1", "access_key": "testing", "secret_key": "testing",
	}))
}

// proofOf is a proof as the VM makes it: of completion under the new key, that nothing is touched under the old one.
func proofOf(t *testing.T, prepared answer, signer string, kind proof.Kind) map[string]any {
	t.Helper()
	proof := proof.Proof{
		Format: proof.Format, Kind: kind, App: "tower-template", RotationID: prepared.RotationID, Previous: secret.Fingerprint(prepared.Fingerprints["previous"]),
		Current: secret.Fingerprint(prepared.Fingerprints["current"]), Verify: []proof.Verify{proof.VerifyDatabase}, Stopped: kind == proof.Untouched, Total: 3, Proved: 3, MadeAt: time.Now().UTC(),
	}
	proof.Sign(secret.NewFingerprinter("tower-template", quick), secret.New(signer))
	text, err := json.Marshal(proof)
	require.NoError(t, err)
	var document map[string]any
	require.NoError(t, json.Unmarshal(text, &document))
	return document
}

func TestTheDocumentedPermissionsAreEnoughAndNoneIsTooMany(t *testing.T) {
	documented := policies(t)
	whole := slices.Concat(documented["operator-reads"], documented["operator-writes"])
	server := installation(t)
	restrict(server, whole)
	for _, a := range lifecycle(t, server) {
		require.False(t, a.Failed, a.Msg)
	}
	for i, one := range whole {
		if slices.Contains(one.Action, "ssm:GetParameterHistory") {
			continue // it is needed only if a version is not the expected one
		}
		for j := range one.Resource {
			t.Run(one.Sid+" without "+path.Base(one.Resource[j]), func(t *testing.T) {
				less := slices.Clone(whole)
				less[i].Resource = slices.Delete(slices.Clone(one.Resource), j, j+1)
				server := installation(t)
				restrict(server, less)
				failed := slices.IndexFunc(lifecycle(t, server), func(a answer) bool { return a.Failed && a.ErrorCode == "access_denied" })
				assert.GreaterOrEqual(t, failed, 0, "nobody misses %s on %s", one.Action, one.Resource[j])
			})
		}
	}
}

func TestADryRunAndALookNeedNoPermissionToWrite(t *testing.T) {
	server := installation(t)
	restrict(server, policies(t)["operator-reads"])
	a := call(t, server, "seqera_crypto_rotation", prepare(args{"_ansible_check_mode": true}))
	require.False(t, a.Failed, a.Msg)
	assert.Empty(t, server.Writes())
}

func TestTheVMNeedsToReadTheStandaloneParametersAlone(t *testing.T) {
	server := installation(t)
	require.False(t, call(t, server, "seqera_crypto_rotation", prepare(nil)).Failed)
	restrict(server, policies(t)["vm"])
	a := call(t, server, "seqera_crypto_rotation", args{
		"state": "rotating", "app_name": "tower-template", "rotation_id": "r1", "docker_host": "unix:///no/such.sock", "wait": false,
		"region": "us-east-1", "access_key": "testing", "secret_key": "testing",
	})
	assert.Equal(t, "docker_unavailable", a.ErrorCode, "SSM was not what stopped it: "+a.Msg)
	a = call(t, server, "seqera_crypto_rotation", prepare(nil))
	assert.Equal(t, "access_denied", a.ErrorCode, "the VM can read neither omnibus nor escrow")
}
