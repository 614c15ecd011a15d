package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/internal/moto"
	"github.com/seqera-tools/crypto-rotation/module/proof"
)

// The central promise of custody: whatever call to SSM a run dies at, before it was carried out or before its answer came
// back, the next run ends where an undisturbed one does, and at no instant is a key that a record needs missing.

// story is a part of a rotation that is cut: what was done before, and the run that dies.
type story struct {
	name   string
	before func(*testing.T, *moto.Server) answer
	run    func(*testing.T, answer) args
}

func stories() []story {
	chunked, deleting := args{"chunk_size": 20}, args{"standalone": "delete"}
	nothing := func(*testing.T, *moto.Server) answer { return answer{} }
	prepared := func(more args) func(*testing.T, *moto.Server) answer {
		return func(t *testing.T, server *moto.Server) answer {
			t.Helper()
			a := call(t, server, "seqera_crypto_rotation", prepare(more))
			require.False(t, a.Failed, a.Msg)
			return a
		}
	}
	finalized := func(t *testing.T, a answer) args {
		t.Helper()
		return finalize(args{"proof": proofOf(t, a, newKey, proof.Complete)})
	}
	return []story{
		{"prepared", nothing, func(*testing.T, answer) args { return prepare(nil) }},
		{"prepared, a key that the module makes", nothing, func(*testing.T, answer) args { return prepare(args{"new_secret": nil}) }},
		{"prepared, chunk size", nothing, func(*testing.T, answer) args { return prepare(chunked) }},
		{"prepared, standalone: delete", nothing, func(*testing.T, answer) args { return prepare(deleting) }},
		{"finalized", prepared(nil), finalized},
		{"finalized, chunk size", prepared(chunked), finalized},
		{"aborted", prepared(chunked), func(t *testing.T, a answer) args {
			t.Helper()
			return prepare(args{"state": "aborted", "new_secret": nil, "backups": nil, "proof": proofOf(t, a, oldKey, proof.Untouched)})
		}},
	}
}

func TestARunMayDieAtEveryCallToSSM(t *testing.T) {
	asked(t)
	table := fmt.Sprintf("%-40s %6s %6s %9s\n", "run", "calls", "cuts", "survived")
	for _, s := range stories() {
		calls, tried := 0, 0
		var survived atomic.Int64
		t.Run(s.name, func(t *testing.T) {
			server := installation(t)
			options := s.run(t, s.before(t, server))
			server.Reset()
			a := call(t, server, "seqera_crypto_rotation", options)
			require.False(t, a.Failed, a.Msg)
			made := server.Calls()
			calls = len(made)
			whole := platformOf(t, server)
			for n := 1; n <= calls; n++ {
				for _, carriedOut := range []bool{false, true} {
					if !worth(made[n-1], n, carriedOut) {
						continue
					}
					tried++
					name := fmt.Sprintf("call %d %s, carried out %t", n, made[n-1].Action, carriedOut)
					t.Run(name, func(t *testing.T) {
						if moto.InMemory() {
							t.Parallel()
						}
						dies(t, s, n, carriedOut, whole)
						if !t.Failed() {
							survived.Add(1)
						}
					})
				}
			}
		})
		table += fmt.Sprintf("%-40s %6d %6d %9d\n", s.name, calls, tried, survived.Load())
	}
	fmt.Print(table)
}

// asked leaves out what takes minutes, unless it is asked for: CUTS is "some" or "all".
func asked(t *testing.T) {
	t.Helper()
	if os.Getenv("CUTS") == "" {
		t.Skip("make test-cuts and make test-cuts-all ask for it")
	}
}

// worth says whether a cut is tried: all with CUTS=all, else every write, and of the reads every third.
func worth(call moto.Call, n int, carriedOut bool) bool {
	write := strings.HasPrefix(call.Action, "Put") || strings.HasPrefix(call.Action, "Delete")
	return os.Getenv("CUTS") == "all" || write || (n%3 == 0 && carriedOut)
}

// dies kills a run at its nth call, runs it again, and compares the end with that of an undisturbed one.
func dies(t *testing.T, s story, n int, carriedOut bool, whole map[string]string) {
	t.Helper()
	server := installation(t)
	options := s.run(t, s.before(t, server))
	server.Reset()
	var once sync.Once
	var process *exec.Cmd
	last := false
	kill := func() { once.Do(func() { _ = process.Process.Kill() }) }
	server.On(func(i int, _ moto.Call) moto.Fault {
		if i < n {
			return moto.None
		}
		if last = true; carriedOut && i == n {
			return moto.LoseAnswer
		}
		kill()
		return moto.CutBefore
	})
	server.After(func(moto.Call) {
		keysAreThere(t, server)
		if last {
			kill()
		}
	})
	process = spawn(t, server, options)
	_ = process.Wait()
	server.Reset()
	server.After(func(moto.Call) { keysAreThere(t, server) })
	again := call(t, server, "seqera_crypto_rotation", options)
	require.False(t, again.Failed, again.Msg)
	assert.LessOrEqual(t, len(again.warnings()), 1, "that the lock was taken over, and no more")
	now := platformOf(t, server)
	if options["new_secret"] == nil && options["state"] == "prepared" {
		sameButForTheKey(t, whole, now)
	} else {
		assert.Equal(t, whole, now)
	}
	third := call(t, server, "seqera_crypto_rotation", options)
	assert.False(t, third.Failed || third.Changed, "nothing is left to do: %s", third.Msg)
}

func (a answer) warnings() []string {
	var said struct{ Warnings []string }
	_ = json.Unmarshal([]byte(a.text), &said)
	return said.Warnings
}

// spawn starts the module and does not wait for it.
func spawn(t *testing.T, server *moto.Server, options args) *exec.Cmd {
	t.Helper()
	all := args{"_ansible_module_name": "seqera_crypto_rotation", "endpoint_url": server.URL}
	maps.Copy(all, options)
	text, err := json.Marshal(all)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "args")
	require.NoError(t, os.WriteFile(file, text, 0o600))
	command := exec.CommandContext(t.Context(), os.Args[0], file)
	command.Env = environment(t)
	command.Stdout, command.Stderr = &bytes.Buffer{}, io.Discard
	require.NoError(t, command.Start())
	return command
}

// keysAreThere is promise 1 and 7, asked of SSM itself after each call.
func keysAreThere(t *testing.T, server *moto.Server) {
	t.Helper()
	var everywhere, inUse, escrow string
	for name, parameter := range server.All(t) {
		everywhere += aws.ToString(parameter.Value)
		if strings.Contains(name, "/escrow/") {
			escrow += aws.ToString(parameter.Value)
		} else if !strings.HasPrefix(name, "/seqera-crypto-rotation/") {
			inUse += aws.ToString(parameter.Value)
		}
	}
	assert.Contains(t, everywhere, oldKey, "the old key is nowhere")
	if strings.Contains(inUse, newKey) {
		assert.Contains(t, escrow, newKey, "the new key is in use and not in escrow")
		assert.Contains(t, escrow, oldKey, "the old key is not in escrow while the new one is in use")
	}
}

// platformOf is what a rotation is to leave: the Platform's parameters as they are, of custody the names and what counts.
func platformOf(t *testing.T, server *moto.Server) map[string]string {
	t.Helper()
	found, locks := map[string]string{}, 0
	for name, parameter := range server.All(t) {
		text := aws.ToString(parameter.Value)
		switch {
		case strings.Contains(name, "/lock/"):
			locks++
			var lock struct{ Body custody.Lock }
			require.NoError(t, json.Unmarshal([]byte(text), &lock))
			gone := errors.Is(syscall.Kill(lock.Body.Holder.PID, 0), syscall.ESRCH)
			assert.True(t, gone || !lock.Body.ReleasedAt.IsZero(), "a lock is left behind that holds up the next run")
		case strings.Contains(name, "/ledger/"):
			var entry struct{ Body struct{ Stage string } }
			require.NoError(t, json.Unmarshal([]byte(text), &entry))
			found[name] = entry.Body.Stage
		case strings.Contains(name, "/escrow/"):
			found[name] = "a key"
		default:
			found[name] = string(parameter.Type) + " " + text
		}
	}
	assert.LessOrEqual(t, locks, 3, "locks are left behind")
	return found
}

// sameButForTheKey compares two ends whose new keys were made at random.
func sameButForTheKey(t *testing.T, one, other map[string]string) {
	t.Helper()
	current := config + "/tower/crypto/secretKey"
	mask := func(all map[string]string) []string {
		key := strings.TrimPrefix(all[current], "SecureString ")
		var list []string
		for name, value := range all {
			if strings.Contains(name, "/escrow/") {
				name = "a key in escrow"
			}
			list = append(list, name+"="+strings.ReplaceAll(value, key, "KEY"))
		}
		slices.Sort(list)
		return list
	}
	assert.Equal(t, mask(one), mask(other))
}

func TestTwoOperatorsAtOnceAlwaysMakeOneRotation(t *testing.T) {
	asked(t)
	rounds := 30
	if os.Getenv("CUTS") == "all" {
		rounds = 200
	}
	told := map[string]int{}
	for range rounds {
		server := installation(t)
		server.After(func(moto.Call) { keysAreThere(t, server) })
		one := spawn(t, server, prepare(args{"rotation_id": "one", "new_secret": nil}))
		time.Sleep(rand.N(50 * time.Millisecond))
		other := spawn(t, server, prepare(args{"rotation_id": "other", "new_secret": nil}))
		won := 0
		for _, command := range []*exec.Cmd{one, other} {
			_ = command.Wait()
			var a answer
			require.NoError(t, json.Unmarshal(command.Stdout.(*bytes.Buffer).Bytes(), &a))
			if told[a.ErrorCode]++; !a.Failed {
				won++
				continue
			}
			require.Contains(t, []string{"locked", "rotation_open", "overtaken"}, a.ErrorCode, a.Msg)
		}
		require.Equal(t, 1, won, "exactly one continues")
		ledger, escrow := 0, 0
		for name := range server.All(t) {
			ledger += strings.Count(name, "/ledger/")
			escrow += strings.Count(name, "/escrow/")
		}
		require.Equal(t, []int{1, 2}, []int{ledger, escrow}, "the one that lost has written nothing but lock names")
		current := value(t, server, config+"/tower/crypto/secretKey")
		assert.Contains(t, value(t, server, name), current, "omnibus and standalone parameter agree")
	}
	fmt.Printf("two operators at once, %d rounds: one continued each time; the other was told %v\n", rounds, told)
}
