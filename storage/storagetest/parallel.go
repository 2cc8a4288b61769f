// SPDX-License-Identifier: Apache-2.0

package storagetest

import (
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"calleridp/keys"
	"calleridp/provider/consent"
	"calleridp/provider/grant"
	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/session"
	"calleridp/provider/subject"
)

const many = 64

// atOnce runs f in many goroutines that start together, and waits for them.
func atOnce(f func(i int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range many {
		wg.Go(func() {
			<-start
			f(i)
		})
	}
	close(start)
	wg.Wait()
}

// What may happen once happens once, also when several try at the same time.
func testParallel(t *testing.T, w *world) {
	fail := func(err error) {
		if err != nil {
			t.Error(err)
		}
	}

	t.Run("a code buys once (invariant 9)", func(t *testing.T) {
		c := w.code("")
		w.must(w.CreateCode(w.ctx, c))
		var bought, refused atomic.Int32
		atOnce(func(int) {
			token := grant.AccessToken{Hash: newHash(), GrantID: c.Grant.ID, Issued: w.now, Expires: w.now.Add(time.Minute)}
			used, err := w.UseCode(w.ctx, c.Hash, func(c grant.Code, g *grant.Grant) grant.Redemption {
				if c.Redeemed {
					if g == nil {
						t.Error("a redeemed code without its grant")
					}
					return grant.Redemption{Refused: grant.ErrReused}
				}
				c.Redeemed = true
				return grant.Redemption{Code: &c, Grant: &c.Grant, Access: &token}
			})
			fail(err)
			won := used.Refused == nil
			_, _, err = w.AccessToken(w.ctx, token.Hash)
			if won != (err == nil) {
				t.Errorf("won %v, and its token: %v", won, err)
			}
			if won {
				bought.Add(1)
			} else {
				refused.Add(1)
			}
		})
		if bought.Load() != 1 || refused.Load() != many-1 {
			t.Errorf("%d bought, %d were refused", bought.Load(), refused.Load())
		}
	})

	t.Run("a lock is taken once (invariant 7)", func(t *testing.T) {
		number := newNumber()
		var took atomic.Int32
		atOnce(func(int) {
			a := w.attempt()
			a.Number = number
			err := w.CreateAttempt(w.ctx, a, lockOf(a), w.now)
			var exceeded *limit.Exceeded
			switch {
			case err == nil:
				took.Add(1)
			case !errors.As(err, &exceeded) || exceeded.Kind != limit.Lock:
				t.Error(err)
			}
		})
		if took.Load() != 1 {
			t.Errorf("%d took the lock", took.Load())
		}
	})

	t.Run("a budget is spent once", func(t *testing.T) {
		var took atomic.Int32
		charge := limit.Charge{Key: limit.Key{Kind: limit.Client, ID: "parallel"}, Rate: limit.Rate{Burst: 10, Period: time.Hour}}
		atOnce(func(int) {
			if w.CreateAttempt(w.ctx, w.attempt(), limit.Spend{Asker: []limit.Charge{charge}}, w.now) == nil {
				took.Add(1)
			}
		})
		if took.Load() != 10 {
			t.Errorf("%d attempts from a budget of 10", took.Load())
		}
	})

	t.Run("a family has one next refresh token", func(t *testing.T) {
		c := w.code("")
		w.redeem(c)
		for generation := range uint32(5) {
			var rotated atomic.Int32
			atOnce(func(int) {
				used, err := w.UseGrant(w.ctx, c.Grant.ID, func(g grant.Grant) grant.Redemption {
					if g.Generation != generation {
						return grant.Redemption{Refused: grant.ErrReused}
					}
					g.Generation++
					return grant.Redemption{Grant: &g}
				})
				fail(err)
				if used.Refused == nil {
					rotated.Add(1)
				}
			})
			if rotated.Load() != 1 {
				t.Errorf("generation %d was rotated %d times", generation, rotated.Load())
			}
		}
	})

	t.Run("an attempt is approved and used once", func(t *testing.T) {
		a := w.create()
		var approved, used atomic.Int32
		atOnce(func(int) {
			p := w.person(a.Number)
			_, err := w.approveBy(a.ID, a.Number, func(a *login.Attempt, known *subject.Person) (subject.Person, login.Effects, error) {
				if a.State != login.Pushing {
					return subject.Person{}, login.Effects{}, login.ErrState
				}
				a.State, a.Sub = login.Approved, p.Sub
				return p, login.Effects{Unlock: true}, nil
			})
			if err == nil {
				approved.Add(1)
			}
			s, c := w.session(), w.code("")
			_, err = w.finish(a.ID, session.SecretHash{}, func(a *login.Attempt) (session.Session, grant.Code, error) {
				if a.State != login.Approved {
					return session.Session{}, grant.Code{}, login.ErrState
				}
				a.State = login.Done
				return s, c, nil
			})
			if err == nil {
				used.Add(1)
			}
			if _, found := w.Session(w.ctx, s.ID); (err == nil) != (found == nil) {
				t.Errorf("finish: %v, its session: %v", err, found)
			}
		})
		if approved.Load() != 1 || used.Load() != 1 {
			t.Errorf("approved %d times, used %d times", approved.Load(), used.Load())
		}
	})

	t.Run("a person who is being deleted gets nothing", func(t *testing.T) {
		h := w.household("s")
		attempts := make([]login.Attempt, many)
		sessions, codes := make([]session.Session, many), make([]grant.Code, many)
		for i := range many {
			attempts[i], sessions[i], codes[i] = w.create(), w.session(), w.code("")
			sessions[i].Sub, codes[i].Grant.Sub = h.person.Sub, h.person.Sub
		}
		atOnce(func(i int) {
			var err error
			switch i % 4 {
			case 0:
				_, err = w.finish(attempts[i].ID, session.SecretHash{}, func(*login.Attempt) (session.Session, grant.Code, error) { return sessions[i], codes[i], nil })
			case 1:
				err = w.CreateCode(w.ctx, codes[i])
			case 2:
				err = w.allow(h.person.Sub, "late", codes[i], func(*consent.Consent) consent.Consent { return consent.Consent{Scopes: []string{"openid"}} })
			case 3:
				fail(w.DeletePerson(w.ctx, h.person.Sub))
				return
			}
			if err != nil && !errors.Is(err, subject.ErrNotFound) {
				t.Error(err)
			}
		})
		// Whether it came before the end or after it: nothing is there.
		for i := range many {
			_, err := w.Session(w.ctx, sessions[i].ID)
			w.is(err, session.ErrNotFound)
			if !w.gone(codes[i]) {
				t.Error("a code is left")
			}
		}
		for _, client := range []string{"shop", "news", "late"} {
			_, err := w.Consent(w.ctx, h.person.Sub, client)
			w.is(err, consent.ErrNotFound)
		}
	})

	t.Run("no update is lost", func(t *testing.T) {
		// Half of the goroutines count in an attempt's network, the others note tokens,
		// eight for each attempt.
		attempts := make([]login.Attempt, 8)
		for i := range attempts {
			attempts[i] = w.attempt()
			attempts[i].Network = "0"
			w.must(w.CreateAttempt(w.ctx, attempts[i], limit.Spend{}, w.now))
		}
		count := func(a *login.Attempt) (login.Effects, error) {
			n, _ := strconv.Atoi(a.Network)
			a.Network = strconv.Itoa(n + 1)
			return login.Effects{}, nil
		}
		atOnce(func(i int) {
			a := attempts[i%8]
			for j := range 5 {
				if i/8%2 == 0 {
					if _, err := w.update(a.ID, count); err != nil {
						t.Error(err)
					}
				} else if j < 2 {
					w.NoteAttempt(w.ctx, a.ID, login.Note{
						Kind:     login.NoteToken,
						At:       w.now,
						App:      a.App,
						Delivery: strconv.Itoa(2*i + j),
					})
				}
				if _, err := w.Attempt(w.ctx, a.ID); err != nil {
					t.Error(err)
				}
			}
		})
		for _, a := range attempts {
			got, err := w.Attempt(w.ctx, a.ID)
			w.must(err)
			if want := strconv.Itoa(many / 8 / 2 * 5); got.Network != want || len(got.Trying) != 8 {
				t.Errorf("got %s updates and the notes %v, want %s and 8", got.Network, got.Trying, want)
			}
		}
	})

	t.Run("a failing step affects no other", func(t *testing.T) {
		refused := errors.New("refused")
		atOnce(func(i int) {
			a := w.attempt()
			fail(w.CreateAttempt(w.ctx, a, limit.Spend{}, w.now))
			_, err := w.update(a.ID, func(a *login.Attempt) (login.Effects, error) {
				a.State = login.Waiting
				if i%2 == 0 {
					return login.Effects{}, refused
				}
				return login.Effects{}, nil
			})
			got, readErr := w.Attempt(w.ctx, a.ID)
			fail(readErr)
			if wantErr := i%2 == 0; (err != nil) != wantErr || (got.State == login.Waiting) == wantErr {
				t.Errorf("step %d: %v, state %s", i, err, got.State)
			}
		})
	})

	t.Run("a delivery that comes many times is one", func(t *testing.T) {
		d := w.delivery()
		atOnce(func(int) {
			held, err := w.PutDelivery(w.ctx, d)
			fail(err)
			if !held {
				t.Error("the only process does not hold it")
			}
		})
		all, err := w.Deliveries(w.ctx, 1000)
		w.must(err)
		if len(all) != 1 {
			t.Errorf("%d deliveries", len(all))
		}
	})

	t.Run("the key set is changed by one at a time", func(t *testing.T) {
		for _, known := range []string{"no set", "a set"} {
			_, before, err := w.SigningKeys(w.ctx)
			w.must(err)
			var won atomic.Int32
			atOnce(func(i int) {
				switch err := w.ReplaceSigningKeys(w.ctx, []keys.Record{{ID: strconv.Itoa(i)}}, before); {
				case err == nil:
					won.Add(1)
				case !errors.Is(err, keys.ErrConflict):
					t.Error(err)
				}
			})
			if won.Load() != 1 {
				t.Errorf("with %s before: %d changed it", known, won.Load())
			}
		}
	})
}
