// SPDX-License-Identifier: Apache-2.0

package authorize_test

import (
	"context"
	"net/http"
	"sync"
	"testing"

	"calleridp/provider/client"
	"calleridp/provider/internal/testworld"
	"calleridp/provider/session"
)

// Eight tabs ask for codes while the user signs out, or deletes the account. Each
// gets what a browser gets that is signed in, or that is not; none an internal
// error.
func TestThreat_ASignOutWhileTabsAskIsNoServerError(t *testing.T) {
	const tabs, rounds = 8, 40
	w := testworld.New(t)
	for _, row := range []struct {
		what, client string
		pairs        []string
		right        func(testworld.Response) bool
	}{
		{"silent", "es256", []string{"prompt", "none"}, func(a testworld.Response) bool {
			_, query := a.Redirect()
			return a.StatusCode == http.StatusSeeOther && (query.Get("code") != "" || query.Get("error") == "login_required")
		}},
		{"with a page", "es256", nil, func(a testworld.Response) bool {
			name, _ := a.Page()
			return a.Code() != "" || name == "signin"
		}},
		{"with a prompt", "es256", []string{"prompt", "consent"}, func(a testworld.Response) bool {
			name, _ := a.Page()
			return name == "consent" || name == "signin"
		}},
	} {
		for round := range rounds {
			_, session := w.SignIn(testworld.AuthRequest("app"), testworld.Number)
			sid, sub := w.Claim(session, "sid"), w.Claim(session, "sub")
			start := make(chan struct{})
			answers := make([]testworld.Response, tabs)
			var wg sync.WaitGroup
			for tab := range tabs {
				wg.Go(func() {
					<-start
					answers[tab] = w.AuthorizeWith(session, row.client, row.pairs...)
				})
			}
			wg.Go(func() {
				<-start
				var err error
				if round%2 == 0 {
					_, err = w.Store.EndSession(t.Context(), sid)
				} else {
					err = w.Store.DeletePerson(t.Context(), sub)
				}
				if err != nil {
					t.Error(err)
				}
			})
			close(start)
			wg.Wait()
			for tab, a := range answers {
				if !row.right(a) {
					t.Fatalf("%s, round %d, tab %d: got %v, want what a browser gets with or without a session", row.what, round, tab, a)
				}
			}
		}
	}
}

// A consent prompt that is answered while, or after, its user signs out or is
// deleted says that the sign-in is over.
func TestThreat_ConsentAfterASignOutIsNoServerError(t *testing.T) {
	const rounds = 40
	w := testworld.New(t)
	for round := range rounds {
		view, session := w.PromptedFor("third", "prompt", "consent")
		sid, sub := w.Claim(session, "sid"), w.Claim(session, "sub")
		start := make(chan struct{})
		answers := make([]testworld.Response, 4)
		var wg sync.WaitGroup
		for i := range answers {
			wg.Go(func() {
				<-start
				answers[i] = w.Allow(view.Request, session)
			})
		}
		wg.Go(func() {
			<-start
			var err error
			if round%2 == 0 {
				_, err = w.Store.EndSession(t.Context(), sid)
			} else {
				err = w.Store.DeletePerson(t.Context(), sub)
			}
			if err != nil {
				t.Error(err)
			}
		})
		close(start)
		wg.Wait()
		answers = append(answers, w.Allow(view.Request, session), w.Decide(view.Request, "deny", testworld.Cookie(session)))
		for i, a := range answers {
			if a.Code() == "" && a.StatusCode != http.StatusGone && a.StatusCode != http.StatusBadRequest {
				t.Fatalf("round %d, answer %d: got %v, want a code, 400 or 410", round, i, a)
			}
		}
	}
}

// staleSessions is a store that recalls sessions as it has first seen them.
type staleSessions struct {
	session.Store
	seen map[session.SecretHash]session.Session
}

func (s staleSessions) RecallBySecret(ctx context.Context, secret session.SecretHash) (session.Session, error) {
	if before, ok := s.seen[secret]; ok {
		return before, nil
	}
	found, err := s.Store.RecallBySecret(ctx, secret)
	if err == nil {
		s.seen[secret] = found
	}
	return found, err
}

// A session that has ended gives no code, whatever the server remembers of it, and the
// page says so.
func TestThreat_ConsentInASessionThatIsRecalled(t *testing.T) {
	w := testworld.New(t, func(c *testworld.Config) {
		c.Provider.Sessions = staleSessions{c.Provider.Sessions, map[session.SecretHash]session.Session{}}
	})
	_, cookie := w.SignIn(testworld.AuthRequest("app"), testworld.Number)
	if a := w.Allow(w.ConsentRequest(cookie, "third"), cookie); a.Code() == "" {
		t.Fatalf("allowing: got %v, want a code", a)
	}
	late := w.ConsentRequest(cookie, "third", "prompt", "consent")
	if _, err := w.Store.EndSession(t.Context(), w.Claim(cookie, "sid")); err != nil {
		t.Fatal(err)
	}
	for _, decision := range []string{"allow", "deny"} {
		w.Decide(late, decision, testworld.Cookie(cookie)).WantErrorPage(t, decision+" after the end", 400, "request_expired")
	}
}

// A form that is sent again in a session which another sign-in of the browser has replaced
// gives nothing, whatever the server remembers of the session.
func TestThreat_ConsentAgainInASessionThatIsRecalled(t *testing.T) {
	w := testworld.New(t, testworld.EveryResponseType, func(c *testworld.Config) {
		c.Provider.Sessions = staleSessions{c.Provider.Sessions, map[session.SecretHash]session.Session{}}
	})
	for _, rt := range client.ResponseTypes {
		t.Run(string(rt), func(t *testing.T) {
			w := w.In(t)
			view, before := w.PromptedFor("third", asking(rt, "", "prompt", "consent")...)
			for _, what := range []string{"allowing", "allowing again in the same session"} {
				if a := w.Allow(view.Request, before); a.StatusCode != http.StatusSeeOther {
					t.Fatalf("%s: got %v, want a response", what, a)
				}
			}
			id := w.Approved(testworld.AuthRequest("app"), testworld.Number)
			if _, err := w.ContinueWith(before, id); err != nil {
				t.Fatal(err)
			}
			w.Allow(view.Request, before).WantErrorPage(t, "allowing again in the replaced session", 400, "request_expired")
		})
	}
}
