package control

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/ansible"
	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/internal/fakessm"
	"github.com/seqera-tools/crypto-rotation/module/rotation"
)

// Two operators at once, exhaustively: every order of their calls to SSM, with at most one crash of one of them, one stale read,
// and one nap that outlasts a lease. Runs that were told the same and left the same in SSM are one state, explored once.

// happens is what may happen next: one of the two makes its pending call.
type happens struct {
	who   int
	crash bool // it dies instead
	stale bool // its read shows what was before the last write
	nap   bool // six minutes go by first
}

// operator is one of the two, waiting for its turn at each call.
type operator struct {
	pending chan fakessm.Call // its next call; closed when it has ended
	turn    chan fakessm.Fault
	call    fakessm.Call
	ended   bool
	crashed bool
	history [32]byte // of all that it was told
	phase   rotation.Phase
	err     error
}

func (o *operator) told(what any) {
	text, _ := json.Marshal(what)
	o.history = sha256.Sum256(append(o.history[:], text...))
}

// await lets an operator compute until it makes its next call, or ends.
func (o *operator) await() {
	call, more := <-o.pending
	o.call, o.ended = call, !more
}

// scene is one execution of both.
type scene struct {
	ssm *fakessm.SSM
	now time.Time
	ops [2]*operator
	end context.CancelFunc
	// what was spent of the budget
	crashes, stales, naps int
}

func open(t *testing.T, given [2]args) *scene {
	t.Helper()
	s := &scene{ssm: fakessm.New(), now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	s.ssm.Now = func() time.Time { return s.now }
	s.ssm.Put(name, document())
	s.ssm.Put(config+"/tower/crypto/secretKey", oldKey)
	s.ssm.Settle()
	ctx, cancel := context.WithCancel(t.Context())
	s.end = cancel
	for i, options := range given {
		o := &operator{pending: make(chan fakessm.Call), turn: make(chan fakessm.Fault)}
		client := s.ssm.Another()
		client.Now = func() time.Time { return s.now }
		client.After = func(answer any) { o.told(answer) }
		client.Hook = func(c fakessm.Call) fakessm.Fault {
			select {
			case o.pending <- c:
			case <-ctx.Done():
				return fakessm.Fault{Code: "Cut"}
			}
			select {
			case f := <-o.turn:
				return f
			case <-ctx.Done():
				return fakessm.Fault{Code: "Cut"}
			}
		}
		r := sessionOn(t, client, options)
		r.Now = client.Now
		r.Observed.Now, r.began = s.now, s.now
		r.Observed.Caller.Machine, r.Observed.Caller.Host = fmt.Sprint(i), fmt.Sprint(i)
		go func() {
			defer close(o.pending)
			out, err := r.run(ctx, ansible.Request{})
			if done, ok := out.(Result); ok {
				o.phase = done.Phase
			}
			o.err = err
		}()
		o.await()
		s.ops[i] = o
	}
	return s
}

// key is all that the rest depends on.
func (s *scene) key() [32]byte {
	all := s.ssm.All()
	text := fmt.Sprint(s.ops[0].history, s.ops[1].history, s.ops[0].ended, s.ops[1].ended, s.ops[0].crashed, s.ops[1].crashed, s.crashes, s.stales, s.naps)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		text += fmt.Sprint(name, s.ssm.Parameter(name).Version, all[name])
	}
	return sha256.Sum256([]byte(text))
}

func (s *scene) choices(budget happensBudget) []happens {
	var list []happens
	for i, o := range s.ops {
		if o.ended || o.crashed {
			continue
		}
		list = append(list, happens{who: i})
		if s.stales < budget.stales && !o.call.Write && s.ssm.Stale(o.call.Names) {
			list = append(list, happens{who: i, stale: true})
		}
		if s.crashes < budget.crashes {
			list = append(list, happens{who: i, crash: true})
		}
		if s.naps < budget.naps {
			list = append(list, happens{who: i, nap: true})
		}
	}
	return list
}

func (s *scene) do(h happens) {
	o := s.ops[h.who]
	switch {
	case h.crash:
		s.crashes++
		o.crashed = true
		return
	case h.nap:
		s.naps++
		s.now = s.now.Add(6 * time.Minute)
	case h.stale:
		s.stales++
	}
	o.turn <- fakessm.Fault{Stale: h.stale}
	o.await()
}

type happensBudget struct{ crashes, stales, naps int }

// explored is the graph of states.
type explored struct {
	next       map[[32]byte]map[happens][32]byte
	executions int
	paths      map[[32]byte]*big.Int
}

func (e *explored) count(state [32]byte) *big.Int {
	if known := e.paths[state]; known != nil {
		return known
	}
	sum := big.NewInt(0)
	for _, to := range e.next[state] {
		sum.Add(sum, e.count(to))
	}
	if len(e.next[state]) == 0 {
		sum.SetInt64(1)
	}
	e.paths[state] = sum
	return sum
}

// explore runs every order. step is asked after each call, end when both are over.
func explore(t *testing.T, budget happensBudget, given [2]args, step, end func(*scene, []happens)) {
	t.Helper()
	e := &explored{next: map[[32]byte]map[happens][32]byte{}, paths: map[[32]byte]*big.Int{}}
	stack := [][]happens{{}}
	var root [32]byte
	for len(stack) > 0 {
		path := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		e.executions++
		s := open(t, given)
		at := s.key()
		root = at
		for i := 0; ; i++ {
			if i >= len(path) {
				choices := s.choices(budget)
				if _, known := e.next[at]; known {
					break
				}
				e.next[at] = map[happens][32]byte{}
				if len(choices) == 0 {
					end(s, path)
					break
				}
				for _, other := range choices[1:] {
					stack = append(stack, append(slices.Clone(path), other))
				}
				path = append(slices.Clone(path), choices[0])
			}
			require.Contains(t, s.choices(budget), path[i], "the same choices lead to the same state")
			s.do(path[i])
			step(s, path[:i+1])
			to := s.key()
			e.next[at][path[i]] = to
			at = to
		}
		s.end()
		for _, o := range s.ops {
			for !o.ended { // what is left of the two ends at its next call
				select {
				case _, more := <-o.pending:
					o.ended = !more
				case <-time.After(time.Minute):
					t.Fatal("an operator does not end")
				}
			}
		}
		if t.Failed() {
			break
		}
	}
	e.count(root)
	fmt.Printf("%s: %d states, %d executions, %v interleavings\n", t.Name(), len(e.next), e.executions, e.paths[root])
}

// keysStay is promises 1, 7 and 10, whatever happens.
func keysStay(t *testing.T) func(*scene, []happens) {
	t.Helper()
	return func(s *scene, path []happens) {
		var escrow string
		all := s.ssm.All()
		for name, value := range all {
			if strings.Contains(name, "/escrow/") {
				escrow += value
			}
		}
		everywhere := all[name] + all[config+"/tower/crypto/secretKey"] + all[config+"/tower/secret-rotation/previous-key"] + escrow
		assert.Contains(t, everywhere, oldKey, "the old key is nowhere: %+v", path)
		for _, key := range []string{newKey, thirdOf} {
			if strings.Contains(all[name]+all[config+"/tower/crypto/secretKey"], key) {
				assert.True(t, strings.Contains(escrow, key) && strings.Contains(escrow, oldKey), "a key is in use, and not all are in escrow: %+v", path)
			}
		}
		if all[config+"/tower/secret-rotation/enabled"] == "true" {
			assert.NotEmpty(t, all[config+"/tower/secret-rotation/previous-key"], "the switch is on without a key: %+v", path)
		}
	}
}

const thirdOf = "ODDcanaryODDcanaryODDcanary03"

// oneWinner is what two runs that begin at once leave.
func oneWinner(t *testing.T) func(*scene, []happens) {
	t.Helper()
	ends := map[string]string{}
	return func(s *scene, path []happens) {
		won := 0
		for _, o := range s.ops {
			switch {
			case o.crashed:
			case o.err == nil:
				won++
				assert.Equal(t, rotation.PhasePrepared, o.phase)
			default:
				var told *fault.Fault
				require.ErrorAs(t, o.err, &told)
				assert.Contains(t, []fault.Code{fault.CodeLocked, fault.CodeRotationOpen, fault.CodeOvertaken, fault.CodeVersionGap, fault.CodeInconsistent}, told.Code, "%+v: %s", path, told)
			}
		}
		all := s.ssm.All()
		ledgers := 0
		for name := range all {
			ledgers += strings.Count(name, "/ledger/")
		}
		assert.LessOrEqual(t, won, 1, "%+v", path)
		assert.LessOrEqual(t, ledgers, 1, "%+v", path)
		if s.crashes == 0 && s.stales == 0 {
			assert.Equal(t, 1, won, "%+v", path)
		}
		if won == 1 {
			text := all[name] + all[config+"/tower/crypto/secretKey"] + all[config+"/tower/secret-rotation/previous-key"]
			who := "one"
			if strings.Contains(text, thirdOf) {
				who = "other"
			}
			if was, ok := ends[who]; ok {
				assert.Equal(t, was, text, "every way ends the same")
			}
			ends[who] = text
		}
	}
}

// Two rotations that begin at once. What takes longer than seconds is asked for with CUTS, as in cuts_test.go.
func TestInterleave_twoRotations(t *testing.T) {
	budgets := []happensBudget{{}}
	switch os.Getenv("CUTS") {
	case "some":
		budgets = append(budgets, happensBudget{crashes: 1})
	case "all":
		budgets = append(budgets, happensBudget{crashes: 1}, happensBudget{crashes: 1, stales: 1})
	}
	for _, budget := range budgets {
		t.Run(fmt.Sprintf("%+v", budget), func(t *testing.T) {
			explore(t, budget, bothPrepare(), keysStay(t), oneWinner(t))
		})
	}
}

// A run that sleeps for longer than its lease, at any of its calls, costs no key: SSM cannot refuse the one write that is under
// way then, and no later one is made.
func TestInterleave_aNap(t *testing.T) {
	if os.Getenv("CUTS") != "all" {
		t.Skip("make test-cuts-all asks for it")
	}
	explore(t, happensBudget{naps: 1}, bothPrepare(), keysStay(t), func(*scene, []happens) {})
}

func bothPrepare() [2]args {
	return [2]args{prepare(args{"rotation_id": "one"}), prepare(args{"rotation_id": "other", "new_secret": thirdOf})}
}
