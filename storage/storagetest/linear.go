// SPDX-License-Identifier: Apache-2.0

package storagetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"calleridp/provider/grant"
	"calleridp/provider/limit"
	"calleridp/provider/login"

	"github.com/anishathalye/porcupine"
)

// Linearizable records what many goroutines do to the same codes, refresh tokens and
// locks, and checks that it could have happened one after the other (porcupine).
// engines are over the same data: several processes, or one.
func Linearizable(t *testing.T, engines ...Engine) {
	const goroutines, each, objects = 8, 60, 3
	w := &world{Engine: engines[0], t: t, ctx: t.Context(), now: time.Now().UTC().Truncate(time.Millisecond)}
	var codes [each]grant.Code // one for each step, so that all want the same at about the same time
	var families [objects]grant.Code
	var locks [objects]login.Attempt
	for i := range objects {
		families[i], locks[i] = w.code(""), w.attempt()
		w.redeem(families[i])
	}
	for i := range codes {
		codes[i] = w.code("")
		w.must(w.CreateCode(w.ctx, codes[i]))
	}
	begun := time.Now()
	var mu sync.Mutex
	var history []porcupine.Operation
	var wg sync.WaitGroup
	for client := range goroutines {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(client), 1))
			w := &world{Engine: engines[client%len(engines)], t: t, ctx: w.ctx, now: w.now}
			held := [objects]*login.Attempt{}
			known := [objects]uint32{}
			for i := range each {
				in := step{of: random.IntN(objects)}
				out := false
				call := time.Since(begun)
				switch random.IntN(6) {
				case 0, 1, 2:
					in.what, in.of = "use a code", i
					out = w.uses(codes[i])
				case 3:
					in.what, in.generation = "refresh", known[in.of]
					out, known[in.of] = w.refreshes(families[in.of], in.generation)
				default: // takes the lock of a number, or releases it
					if a := held[in.of]; a != nil {
						in.what, in.holder, out = "release", string(a.ID), true
						w.releases(*a)
						held[in.of] = nil
						break
					}
					a := w.attempt()
					a.Number = locks[in.of].Number
					in.what, in.holder = "lock", string(a.ID)
					if out = w.takes(a); out {
						held[in.of] = &a
					}
				}
				op := porcupine.Operation{ClientId: client, Input: in, Call: int64(call), Output: out, Return: int64(time.Since(begun))}
				mu.Lock()
				history = append(history, op)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if !porcupine.CheckOperations(oneAfterTheOther, history) {
		t.Errorf("no order of the operations explains their results: %s", summary(history))
	}
}

// step is an operation on one of the codes, families or locks.
type step struct {
	what       string
	of         int
	generation uint32 // of a refresh token
	holder     string // of a lock
}

// objectOf names what a step is about.
func objectOf(in step) string {
	if in.what == "release" {
		in.what = "lock"
	}
	return fmt.Sprint(in.what, in.of)
}

// oneAfterTheOther is what may happen to one code, family or lock. The state is whether
// a code was used, the generation of a family, or the holder of a lock.
var oneAfterTheOther = porcupine.Model{
	Partition: func(history []porcupine.Operation) (parts [][]porcupine.Operation) {
		of := map[string][]porcupine.Operation{}
		for _, op := range history {
			object := objectOf(op.Input.(step))
			of[object] = append(of[object], op)
		}
		for _, part := range of {
			parts = append(parts, part)
		}
		return parts
	},
	Init: func() any { return state{} },
	Step: func(before, input, output any) (bool, any) {
		s, in, done := before.(state), input.(step), output.(bool)
		switch in.what {
		case "use a code":
			return done == !s.used, state{used: true}
		case "refresh":
			if done != (s.generation == in.generation) {
				return false, s
			}
			if done {
				s.generation++
			}
		case "lock":
			if done != (s.holder == "") {
				return false, s
			}
			if done {
				s.holder = in.holder
			}
		case "release":
			if s.holder != in.holder {
				return false, s
			}
			s.holder = ""
		}
		return true, s
	},
}

type state struct {
	used       bool
	generation uint32
	holder     string
}

func summary(history []porcupine.Operation) string {
	done := map[string]int{}
	for _, op := range history {
		if op.Output.(bool) {
			done[objectOf(op.Input.(step))]++
		}
	}
	return fmt.Sprint(done)
}

func (w *world) uses(c grant.Code) bool {
	used, err := w.UseCode(w.ctx, c.Hash, func(c grant.Code, _ *grant.Grant) grant.Redemption {
		if c.Redeemed {
			return grant.Redemption{Refused: grant.ErrReused}
		}
		c.Redeemed = true
		return grant.Redemption{Code: &c, Grant: &c.Grant}
	})
	if err != nil {
		w.t.Error(err)
	}
	return used.Refused == nil
}

// refreshes uses the refresh token of a generation, and returns the one after.
func (w *world) refreshes(c grant.Code, generation uint32) (done bool, next uint32) {
	used, err := w.UseGrant(w.ctx, c.Grant.ID, func(g grant.Grant) grant.Redemption {
		if g.Generation != generation {
			return grant.Redemption{Refused: grant.ErrReused, Current: g}
		}
		g.Generation++
		return grant.Redemption{Grant: &g, Current: g}
	})
	if err != nil {
		w.t.Error(err)
	}
	return used.Refused == nil, used.Current.Generation
}

func (w *world) takes(a login.Attempt) bool {
	err := w.CreateAttempt(w.ctx, a, lockOf(a), w.now)
	if refused, ok := errors.AsType[*limit.Exceeded](err); err != nil && (!ok || refused.Kind != limit.Lock) {
		w.t.Error(err)
	}
	return err == nil
}

func (w *world) releases(a login.Attempt) {
	_, err := w.update(a.ID, func(*login.Attempt) (login.Effects, error) { return login.Effects{Unlock: true}, nil })
	if err != nil {
		w.t.Error(err)
	}
}
