// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/redact"
)

// asking is a request of a client, in a page of its own.
func asking(clientID, request string) func(*login.PushRequest) {
	return func(r *login.PushRequest) {
		r.ClientID, r.Request, r.Form = clientID, []byte(request), redact.Text("the form of "+request)
	}
}

// serves checks which request an attempt serves.
func (w *world) serves(id login.ID, clientID, request string) {
	w.t.Helper()
	if a := w.record(id); a.ClientID != clientID || string(a.Request) != request {
		w.t.Errorf("the attempt serves %q of %s, want %q of %s", a.Request, a.ClientID, request, clientID)
	}
}

// The browser of an open push gets its attempt for every request, whichever came last,
// also after a restart; nothing is pushed again, and every later event names that client.
func TestAnOpenAttemptServesTheNewestRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *login.Config) { // what rings no phone costs the number nothing
			c.Limits.NumberNetwork = limit.Rate{Burst: 1, Period: 24 * time.Hour}
		})
		watcher := w.engine.Watch(t.Context(), "none", browser)
		defer watcher.End()
		a := w.start(asking("demo", "first"))
		for i, client := range []string{"shop", "demo", "demo", "shop"} {
			request := fmt.Sprint("request ", i)
			for range 2 { // a double click
				if again := w.start(asking(client, request)); again.ID != a.ID {
					t.Fatalf("led to %s, want %s", again.ID, a.ID)
				}
			}
			w.serves(a.ID, client, request)
			if i == 1 {
				w.restart()
			}
		}
		if w.phone.pushes() != 1 || w.log.count("attempt.resumed", nil) != 4 || w.log.count("attempt.resumed", map[string]string{"client": "shop"}) != 2 {
			t.Errorf("%d pushes:\n%s", w.phone.pushes(), w.log.text())
		}
		if others := watcher.Others(); len(others) != 1 || others[0] != a.ID {
			t.Errorf("the pages of the browser that wait hear of %v", others)
		}
		w.approve()
		if _, err := w.finish(a.ID); err != nil {
			t.Fatal(err)
		}
		for _, event := range []string{"attempt.approved", "attempt.done"} {
			if w.log.count(event, map[string]string{"client": "shop"}) != 1 {
				t.Errorf("%s does not name the client:\n%s", event, w.log.text())
			}
		}
	})
}

// The page of an attempt that was resumed says what is left after that: its networks have
// paid another try, and the number none.
func TestTriesOfAResumedAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *login.Config) {
			c.Limits.Number = limit.Rate{Burst: 5, Period: 24 * time.Hour}
			c.Limits.NumberNetwork = limit.Rate{Burst: 4, Period: 24 * time.Hour}
			c.Limits.Network = limit.Rate{Burst: 6, Period: 24 * time.Hour}
		})
		a := w.start()
		want := func(what string, left int, next time.Time) {
			t.Helper()
			if got := w.record(a.ID).Tries; got.Left != left || !got.Next.Equal(next) {
				t.Errorf("%s: %+v, want %d left, and the next at %v", what, got, left, next)
			}
		}
		now := time.Now()
		want("pushed", 3, now)
		for range 3 { // each costs its network a try, and the number nothing
			w.next++
			w.start(asking("demo", fmt.Sprint("request ", w.next)))
		}
		want("resumed three times", 2, now)
		w.start(asking("demo", "from elsewhere"), func(r *login.PushRequest) { r.Network = "198.51.100.1/32" })
		want("resumed from another network", 4, now)
		w.start(asking("demo", "back"))
		w.start(asking("demo", "and again"))
		want("with nothing left", 0, now.Add(4*time.Hour))
	})
}

// A form finds the attempt that serves its request for as long as that is live, also
// when the lock has expired.
func TestAFormThatResumedIsOneAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *login.Config) { c.Lock = time.Minute })
		a := w.start(asking("demo", "first"))
		w.start(asking("shop", "second"))
		time.Sleep(2 * time.Minute)
		if again := w.start(asking("shop", "second")); again.ID != a.ID || w.phone.pushes() != 1 {
			t.Errorf("led to %s with %d pushes, want %s with one", again.ID, w.phone.pushes(), a.ID)
		}
		w.serves(a.ID, "shop", "second")
		if other := w.start(asking("demo", "first")); other.ID == a.ID { // the lock has expired
			t.Error("an earlier form finds an attempt that serves another request")
		}
	})
}

// overtaking is a store in which something happens before an attempt is resumed.
type overtaking struct {
	login.Store
	before func()
}

func (s *overtaking) ResumeAttempt(
	ctx context.Context, id login.ID, form [32]byte, spend limit.Spend, now time.Time, step func(login.Attempt) (login.Attempt, error),
) (login.Attempt, error) {
	if before := s.before; before != nil {
		before()
	}
	return s.Store.ResumeAttempt(ctx, id, form, spend, now, step)
}

// What happens between the look at an attempt and its resumption counts: an approval is
// for the request that was open then.
func TestRace_AnAttemptIsResumedWhile(t *testing.T) {
	for what, row := range map[string]struct {
		happens func(w *world, a login.Attempt) error
		right   func(w *world, a, got login.Attempt, err error) bool
	}{
		"the user approves": {
			func(w *world, a login.Attempt) error {
				w.approve()
				return nil
			},
			func(w *world, a, got login.Attempt, err error) bool {
				w.serves(a.ID, "demo", "first")
				return err == nil && got.ID != a.ID && w.phone.pushes() == 2
			},
		},
		"the user cancels": {
			func(w *world, a login.Attempt) error { return w.engine.Cancel(w.t.Context(), a.ID, browser) },
			func(w *world, a, got login.Attempt, err error) bool {
				refused, ok := errors.AsType[*limit.Exceeded](err)
				return ok && refused.Kind == limit.Lock && w.phone.pushes() == 1
			},
		},
		"another tab resumes it": {
			func(w *world, a login.Attempt) error {
				_, err := w.begin(asking("third", "third"))
				return err
			},
			func(w *world, a, got login.Attempt, err error) bool {
				w.serves(a.ID, "shop", "second")
				return err == nil && got.ID == a.ID && w.phone.pushes() == 1
			},
		},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				store := &overtaking{Store: w.config.Store}
				w.config.Store = store
				var err error
				w.engine, err = login.New(w.config)
				w.must(err)
				a := w.start(asking("demo", "first"))
				store.before = func() {
					store.before = nil
					w.must(row.happens(w, a))
				}
				got, err := w.begin(asking("shop", "second"))
				if !row.right(w, a, got, err) {
					t.Errorf("got %s %s, %v, with %d pushes; the open one is %s", got.ID, got.State, err, w.phone.pushes(), a.ID)
				}
			})
		})
	}
}

// A browser that is overtaken again and again is refused, and not kept.
func TestRace_AnAttemptThatChangesAllTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		store := &overtaking{Store: w.config.Store}
		w.config.Store = store
		var err error
		w.engine, err = login.New(w.config)
		w.must(err)
		a := w.start(asking("demo", "first"))
		n := 0
		store.before = func() {
			n++
			_, err := w.store.UpdateAttempt(t.Context(), a.ID, func(a login.Attempt) (login.Update, error) {
				a.ClientID = fmt.Sprint("client ", n)
				return login.Update{Attempt: a}, nil
			})
			w.must(err)
		}
		_, err = w.begin(asking("shop", "second"))
		if refused := w.refused(err, limit.Lock); refused.Holder != string(a.ID) || n != 3 {
			t.Errorf("got %+v after %d tries", refused, n)
		}
	})
}

// A browser cannot write for nothing: each request that changes the attempt costs its
// network a try. Another client and the deployment pay if they get the attempt.
func TestThreat_ResumingIsPaidFor(t *testing.T) {
	two := limit.Rate{Burst: 2, Period: time.Hour}
	for kind, row := range map[limit.Kind]struct {
		narrow  func(*login.Limits)
		clients []string // of requests that are led to the attempt
		beyond  string
	}{
		limit.Network:    {func(l *login.Limits) { l.Network = two }, []string{"demo"}, "demo"},
		limit.Client:     {func(l *login.Limits) { l.Client = two }, []string{"demo", "demo", "shop", "demo", "shop"}, "demo"},
		limit.Deployment: {func(l *login.Limits) { l.Deployment = two }, []string{"demo", "demo", "shop", "shop"}, "demo"},
	} {
		t.Run(string(kind), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, func(c *login.Config) { row.narrow(&c.Limits) })
				a := w.start(asking("demo", "first"))
				for i, client := range row.clients {
					if got, err := w.begin(asking(client, fmt.Sprint(i))); err != nil || got.ID != a.ID {
						t.Fatalf("%d: got %s, %v; want %s", i, got.ID, err, a.ID)
					}
				}
				before := w.record(a.ID)
				_, err := w.begin(asking(row.beyond, "beyond"))
				w.refused(err, kind)
				w.serves(a.ID, before.ClientID, string(before.Request))
				if w.log.count("attempt.limited", map[string]string{"client": row.beyond, "limit": string(kind)}) != 1 {
					t.Errorf("the refusal is not in the audit:\n%s", w.log.text())
				}
				w.start(asking(before.ClientID, string(before.Request))) // what it serves already costs nothing
			})
		})
	}
}

// The phone shows the name of the Truecaller app. A request that would show another one
// does not get the attempt, and costs nothing.
func TestThreat_AnotherAppsAttemptIsNotResumed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a := w.start(asking("demo", "first"))
		_, err := w.begin(asking("shop", "second"), func(r *login.PushRequest) { r.App = "second" })
		open, ok := errors.AsType[*login.OtherApp](err)
		if !ok || open.Attempt != a.ID || open.App != "main" || !open.RetryAt.Equal(a.Created.Add(5*time.Minute)) {
			t.Errorf("got %v, want the attempt %s of main", err, a.ID)
		}
		w.serves(a.ID, "demo", "first")
		// Another browser hears nothing of it.
		_, err = w.begin(another(1), func(r *login.PushRequest) { r.App = "second" })
		w.refused(err, limit.Lock)
	})
}
