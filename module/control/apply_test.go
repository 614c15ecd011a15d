package control

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/ansible"
	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/internal/fakessm"
	"github.com/seqera-tools/crypto-rotation/module/options"
	"github.com/seqera-tools/crypto-rotation/module/parameters"
	"github.com/seqera-tools/crypto-rotation/module/rotation"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// What a run says of itself after every kind of failure, with SSM in memory.

// platformIn is SSM with one Platform's parameters in it.
func platformIn() *fakessm.SSM {
	server := fakessm.New()
	server.Put(name, document())
	server.Put(config+"/tower/crypto/secretKey", oldKey)
	return server
}

func sessionOn(t *testing.T, server *fakessm.SSM, given args) *Session {
	t.Helper()
	params := map[string]any{}
	for key, value := range given {
		if list, ok := value.([]string); ok {
			value = strings.Join(list, ",")
		}
		params[key] = value
	}
	asked, err := options.ParseRotation(params, nil)
	require.NoError(t, err)
	store := parameters.New(server)
	store.Pause = time.Microsecond
	r, err := New(asked, store, secret.NewFingerprinter(asked.AppName, 1))
	require.NoError(t, err)
	return r
}

func ask(ctx context.Context, t *testing.T, server *fakessm.SSM, given args) (Result, *Failure) {
	t.Helper()
	out, err := sessionOn(t, server, given).run(ctx, ansible.Request{})
	var f *Failure
	if err != nil {
		require.ErrorAs(t, err, &f)
	}
	return out.(Result), f
}

func doneIn(out Result) (done []string) {
	for _, step := range out.Steps {
		if step.Done {
			done = append(done, string(step.Action))
		}
	}
	return done
}

func lockOf(server *fakessm.SSM) string { return server.All()[prefix+"/lock/1"] }

// Losing the race each time is a failure: nothing is prepared.
func TestApply_parametersThatKeepChanging(t *testing.T) {
	server := platformIn()
	server.Hook = func(c fakessm.Call) fakessm.Fault {
		if c.Write && strings.Contains(c.Names[0], "/lock/") && server.Parameter(c.Names[0]).Version == 0 {
			server.Put(name, document())
		}
		return fakessm.Fault{}
	}
	out, f := ask(t.Context(), t, server, prepare(nil))
	require.NotNil(t, f)
	assert.Equal(t, fault.CodeVersionGap, f.Code)
	assert.Contains(t, f.Written, "take_lock, release_lock", "the lock names were written")
	assert.True(t, out.Changed)
	assert.Equal(t, rotation.PhaseDue, out.Phase)
	assert.Contains(t, server.All(), prefix+"/lock/4", "it tried four times")
	assert.NotContains(t, server.All(), prefix+"/lock/5")
	assert.NotContains(t, server.All()[name], newKey)
}

func TestApply_recreatedMeanwhile(t *testing.T) {
	server := platformIn()
	recreated := false
	server.Hook = func(c fakessm.Call) fakessm.Fault {
		if c.Write && strings.Contains(c.Names[0], "/lock/") && !recreated {
			recreated = true
			server.Delete(config + "/tower/crypto/secretKey")
			server.Put(config+"/tower/crypto/secretKey", "ANOTHERkeyANOTHERkeyANOTHERkey03")
		}
		return fakessm.Fault{}
	}
	out, f := ask(t.Context(), t, server, prepare(nil))
	require.NotNil(t, f, "another key under the same version is seen")
	assert.Equal(t, fault.CodeKeyMismatch, f.Code)
	assert.Equal(t, "Done before that: take_lock, release_lock.", f.Written)
	assert.True(t, out.Changed)
}

// The pages of a listing are read one after the other, and a read may be stale. So a run may know the lock that another run released, and
// not the rotation which that run opened.
func TestApply_anotherRotationOpenedMeanwhile(t *testing.T) {
	server := platformIn()
	server.Hook = func(c fakessm.Call) fakessm.Fault {
		if c.Write && strings.Contains(c.Names[0], "/lock/") && server.Parameter(prefix+"/ledger/other").Version == 0 {
			server.Put(prefix+"/ledger/other", custody.Encode(custody.Entry{App: "tower-template", RotationID: "other", Stage: custody.StageOpen, OpenedAt: time.Now()}).Reveal())
		}
		return fakessm.Fault{}
	}
	_, f := ask(t.Context(), t, server, prepare(nil))
	require.NotNil(t, f)
	assert.Equal(t, fault.CodeRotationOpen, f.Code)
	assert.Equal(t, "Done before that: take_lock, release_lock.", f.Written)
	ledger := 0
	for name := range server.All() {
		if strings.Contains(name, "/ledger/") {
			ledger++
		}
	}
	assert.Equal(t, 1, ledger, "two open rotations block each other")
}

// At every call a run may be refused, interrupted, or lose its answer: what it says of itself is true each time.
func TestApply_saysWhatWasWritten(t *testing.T) {
	whole := platformIn()
	_, f := ask(t.Context(), t, whole, prepare(nil))
	require.Nil(t, f)
	tried := 0
	for at := range whole.Calls {
		for _, how := range []string{"denied", "denied from here on", "lost", "interrupted while under way"} {
			server := platformIn()
			before := server.All()
			ctx, cancel := context.WithCancel(t.Context())
			n := 0
			server.Hook = func(fakessm.Call) fakessm.Fault {
				n++
				switch {
				case n-1 == at && how == "denied", n-1 >= at && how == "denied from here on":
					return fakessm.Fault{Code: "ExpiredTokenException"}
				case n-1 == at && how == "lost":
					return fakessm.Fault{Lose: true}
				case n-1 == at && strings.HasPrefix(how, "interrupted"):
					cancel()
				}
				return fakessm.Fault{}
			}
			out, f := ask(ctx, t, server, prepare(nil))
			cancel()
			tried++
			what := how + " at " + whole.Calls[at].Action + " " + strings.Join(whole.Calls[at].Names, " ")
			require.NotNil(t, f, what)
			server.Hook = nil
			after := server.All()
			written := len(after) != len(before) || after[name] != before[name]
			unsure := strings.Contains(f.Error(), "is not known")
			assert.Equal(t, written, out.Changed || unsure && written, "%s: %s", what, f)
			assert.Equal(t, !written, strings.Contains(f.Error(), "Nothing was written.") || unsure && !written, "%s: %s", what, f)
			for _, step := range out.Steps {
				there := after[step.Target]
				switch step.Action { //nolint:exhaustive // of the others the target says nothing
				case rotation.ActPutOmnibus:
					assert.Equal(t, strings.Contains(there, newKey), step.Done || unsure && strings.Contains(there, newKey), what)
				case rotation.ActLock, rotation.ActEscrowRetiring, rotation.ActEscrowNew, rotation.ActOpenLedger, rotation.ActPutPrevious, rotation.ActPutSwitch:
					assert.Equal(t, there != "", step.Done || unsure && there != "", "%s: %s", what, step.Action)
				}
			}
			if len(out.Steps) > 0 {
				phase := rotation.PhaseInconsistent
				switch {
				case after[name] == before[name]:
					phase = rotation.PhaseDue
				case after[config+"/tower/secret-rotation/enabled"] != "":
					phase = rotation.PhasePrepared
				}
				if !unsure {
					assert.Equal(t, phase, out.Phase, what)
				}
			}
			r := sessionOn(t, server, prepare(nil))
			r.Now = func() time.Time { return time.Now().Add(time.Hour) } // this very process holds a lock that it could not release
			r.Observed.Now, server.Now = r.Now(), r.Now
			again, err := r.run(t.Context(), ansible.Request{})
			require.NoError(t, err, what)
			assert.Equal(t, rotation.PhasePrepared, again.(Result).Phase)
		}
	}
	t.Logf("%d failures, each told truthfully", tried)
}

func TestApply_phaseOfAFailure(t *testing.T) {
	server := platformIn()
	server.Hook = func(c fakessm.Call) fakessm.Fault {
		return fakessm.Fault{Code: map[bool]string{true: "AccessDeniedException"}[c.Write]}
	}
	out, f := ask(t.Context(), t, server, prepare(nil))
	require.NotNil(t, f)
	assert.Equal(t, "Nothing was written.", f.Written)
	assert.False(t, out.Changed)
	assert.Equal(t, rotation.PhaseDue, out.Phase)
	assert.Empty(t, doneIn(out))
	prints := secret.NewFingerprinter("tower-template", 1)
	assert.Equal(t, secret.Fingerprints{Current: prints.Of(secret.New(oldKey))}, out.Fingerprints, "the key in use, not the planned one")
	assert.Nil(t, out.Escrow, "nothing is in escrow")
}

// A holder that seemed to be dead renews its lease just before another run looks: that run gives way, and does not take the lock again.
func TestApply_givesWay(t *testing.T) {
	server := platformIn()
	held := func() string {
		return custody.Encode(custody.Lock{Holder: custody.Holder{Host: "elsewhere", Machine: "m", PID: 1}, State: "prepared", AcquiredAt: time.Now()}).Reveal()
	}
	server.Now = func() time.Time { return time.Now().Add(-time.Hour) }
	server.Put(prefix+"/lock/1", held())
	server.Hook = func(c fakessm.Call) fakessm.Fault {
		if c.Action == "PutParameter" && c.Names[0] == prefix+"/lock/2" && server.Parameter(c.Names[0]).Version == 0 {
			server.Put(prefix+"/lock/1", held())
		}
		return fakessm.Fault{}
	}
	_, f := ask(t.Context(), t, server, prepare(nil))
	require.NotNil(t, f)
	assert.Equal(t, fault.CodeLocked, f.Code)
	assert.Equal(t, "Done before that: take_lock.", f.Written)
	assert.Contains(t, server.All()[prefix+"/lock/2"], "released_at")
	assert.NotContains(t, server.All(), prefix+"/lock/3")
}

// A holder whose lock was taken over while it slept writes nothing more, not even to its lock.
func TestApply_overtakenWritesNothingMore(t *testing.T) {
	whole := platformIn()
	_, f := ask(t.Context(), t, whole, prepare(nil))
	require.Nil(t, f)
	for at, call := range whole.Calls {
		if !call.Write || at == 0 || strings.Contains(call.Names[0], "/lock/") {
			continue
		}
		server := platformIn()
		r := sessionOn(t, server, prepare(nil))
		now, n, slept := time.Now(), 0, -1
		r.Now = func() time.Time { return now }
		server.Now = r.Now
		server.Hook = func(fakessm.Call) fakessm.Fault {
			if n++; n == at { // the read-back before this write
				now, slept = now.Add(8*time.Hour), n
				server.Put(prefix+"/lock/2", `{"format":1,"body":{}}`)
				server.Delete(prefix + "/lock/1")
			}
			return fakessm.Fault{}
		}
		out, err := r.run(t.Context(), ansible.Request{})
		var told *fault.Fault
		require.ErrorAs(t, err, &told)
		assert.Equal(t, fault.CodeOvertaken, told.Code)
		for _, later := range server.Calls[slept:] {
			assert.False(t, later.Write, "%s %v after it was overtaken", later.Action, later.Names)
		}
		assert.NotContains(t, server.All(), prefix+"/lock/1")
		assert.NotEmpty(t, doneIn(out.(Result)))
	}
}

// A run that waits for SSM's quota for longer than a lease keeps its lock.
func TestApply_slowRunRenews(t *testing.T) {
	server := platformIn()
	r := sessionOn(t, server, prepare(nil))
	now := time.Now()
	r.Now = func() time.Time { return now }
	server.Now = r.Now
	server.Hook = func(c fakessm.Call) fakessm.Fault {
		if c.Write {
			now = now.Add(2 * time.Minute)
		}
		return fakessm.Fault{}
	}
	out, err := r.run(t.Context(), ansible.Request{})
	require.NoError(t, err)
	assert.Equal(t, rotation.PhasePrepared, out.(Result).Phase)
	assert.Greater(t, server.Parameter(prefix+"/lock/1").Version, int64(5))
	assert.Contains(t, lockOf(server), "released_at")
}

func TestCapture_resultCarriesThePlatform(t *testing.T) {
	server := platformIn()
	compose := map[string]any{"project": "tower", "dir": "/home/ec2-user", "files": []any{"docker-compose.yml"}, "mounts": map[string]any{"db": []any{"/data:/var/lib/mysql"}}, "services": map[string]any{}, "version": "2.40.3"}
	out, f := ask(t.Context(), t, server, prepare(args{"capture_only": true, "platform": compose}))
	require.Nil(t, f)
	assert.Equal(t, "tower", out.Platform.Project)
	assert.Equal(t, document(), server.All()[name])
	out, f = ask(t.Context(), t, server, prepare(nil))
	require.Nil(t, f)
	assert.Equal(t, []string{"/data:/var/lib/mysql"}, out.Platform.Mounts["db"])
	out, f = ask(t.Context(), t, server, finalize(nil))
	require.NotNil(t, f)
	assert.Equal(t, fault.CodeProofMissing, f.Code)
	require.NotNil(t, out.Platform, "also on failure")
	assert.Equal(t, "/home/ec2-user", out.Platform.Dir)
	assert.Nil(t, out.LastRecords)
}

func TestLedgerAndResultSayWhichBinaryAndWhoApproved(t *testing.T) {
	server := platformIn()
	given, approver := prepare(args{"rotation_id": "r1", "approved_by": strings.Repeat("a", 100)}), strings.Repeat("a", 100)
	s := sessionOn(t, server, given)
	s.tool = func() Tool {
		assert.NotEmpty(t, server.Calls, "the binary is hashed while SSM is read")
		return tool("1.0.0+053b1300125b-dirty")
	}
	out, err := s.run(t.Context(), ansible.Request{})
	require.NoError(t, err)
	first := out.(Result)
	path, err := os.Executable()
	require.NoError(t, err)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	hash := fmt.Sprintf("%x", sha256.Sum256(text))
	assert.Equal(t, &Tool{"1.0.0+053b1300125b-dirty", hash}, first.Tool)
	assert.Equal(t, approver, first.ApprovedBy)
	entry := server.All()[prefix+"/ledger/r1"]
	assert.Contains(t, entry, `"tool":"1.0.0+053b1300125b-dirty `+hash[:16]+`","approved_by":"`+approver+`"`)

	again, f := ask(t.Context(), t, server, prepare(args{"rotation_id": "r1", "approved_by": "somebody else"}))
	require.Nil(t, f)
	assert.False(t, again.Changed)
	assert.Equal(t, approver, again.ApprovedBy, "of the run that began")
	assert.Equal(t, []string{"snap-1"}, again.Backups)
}

func TestWithoutWrites_saysSoOfAFaultAlone(t *testing.T) {
	err := WithoutWrites(&fault.Fault{Code: fault.CodePlatformDiffers, What: "What.", Next: "Next."})
	assert.EqualError(t, err, "What. Nothing was written. Next.")
	assert.Equal(t, fault.CodePlatformDiffers, fault.CodeOf(err))
	assert.Equal(t, err, WithoutWrites(err), "once")
	other := context.Canceled
	assert.Equal(t, other, WithoutWrites(other))
	assert.NoError(t, WithoutWrites(nil))
}

// A document of custody that is written again keeps its KMS key and its tier, whatever escrow_kms_key_id says now.
func TestApply_custodyKeepsItsKMSKeyAndTier(t *testing.T) {
	server := platformIn()
	_, f := ask(t.Context(), t, server, prepare(args{"escrow_kms_key_id": "alias/first", "rotation_id": "r1", "capture_only": true}))
	require.Nil(t, f)
	ledger := prefix + "/ledger/r1"
	server.Move(ledger, "alias/moved", "Advanced")
	_, f = ask(t.Context(), t, server, prepare(args{"escrow_kms_key_id": "alias/second", "rotation_id": "r1"}))
	require.Nil(t, f)
	kept := server.Parameter(ledger)
	assert.Contains(t, *kept.Value, `"prepared"`)
	assert.Equal(t, "alias/moved", *kept.KeyId)
	assert.Equal(t, "Advanced", string(kept.Tier))
	assert.Equal(t, "alias/second", *server.Parameter(prefix + "/lock/2").KeyId, "what is new is under the key that is named now")
}
