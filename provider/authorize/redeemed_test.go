// SPDX-License-Identifier: Apache-2.0

package authorize_test

import (
	"errors"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider/internal/testworld"
	"calleridp/provider/login"
	secret "calleridp/provider/session"
)

// A consent form can be sent for an hour, and gives the same code each time. A code
// that was redeemed stays so for that hour, also where its tokens have expired before.
func TestInvariant9_ARedeemedCodeOutlivesItsConsentForm(t *testing.T) {
	testworld.Ring()
	synctest.Test(t, func(t *testing.T) {
		w := testworld.New(t, func(c *testworld.Config) { c.Provider.Lifetimes.AccessToken = time.Minute })
		view, session := w.PromptedFor("third")
		time.Sleep(time.Minute)
		code := w.Allow(view.Request, session).Code()
		w.Exchange("third", code).WantStatus(t, "redeeming the code", 200)
		for _, after := range []time.Duration{2 * time.Minute, 50 * time.Minute, 7*time.Minute - time.Second} {
			time.Sleep(after)
			if a := w.Allow(view.Request, session); a.Code() != "" || a.StatusCode != 410 {
				t.Errorf("the same form %s later: got %v, want 410", after, a)
			}
			w.Exchange("third", code).WantOAuthError(t, "the same code", 400, "invalid_grant")
		}
	})
}

// A code that nobody redeemed in time stays refused, whatever its consent form is sent
// again for: who presses the button late gets another code, and the same one while that
// may be redeemed. Once one of them was redeemed, the form gives nothing more.
func TestInvariant9_AnExpiredCodeIsNeverGivenAgain(t *testing.T) {
	testworld.Ring()
	ways := map[string]func(*testworld.World) (sealed string, session *http.Cookie){
		"a prompt in a session": func(w *testworld.World) (string, *http.Cookie) {
			_, session := w.SignIn(testworld.AuthRequest("app"), testworld.Number)
			return w.ConsentRequest(session, "third"), session
		},
		"a prompt after a sign-in": func(w *testworld.World) (string, *http.Cookie) {
			done, session := w.Finish(w.Approved(testworld.AuthRequest("third"), testworld.Number))
			return done.Consent.Request, session
		},
	}
	for what, prompt := range ways {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := testworld.New(t)
				sealed, session := prompt(w)
				var expired []string
				for range 3 {
					code := w.Allow(sealed, session).Code()
					time.Sleep(50 * time.Second)
					if again := w.Allow(sealed, session).Code(); code == "" || again != code || slices.Contains(expired, code) {
						t.Fatalf("got the codes %q and, in its lifetime, %q after %q, want one new code", code, again, expired)
					}
					expired = append(expired, code)
					time.Sleep(10 * time.Minute)
					for _, code := range expired {
						w.Exchange("third", code).WantOAuthError(t, "an expired code", 400, "invalid_grant")
					}
				}
				late := w.Allow(sealed, session).Code()
				for _, code := range expired {
					w.Exchange("third", code).WantOAuthError(t, "an expired code after another was given", 400, "invalid_grant")
				}
				w.Exchange("third", late).WantStatus(t, "the code of the late press", 200)
				for _, after := range []time.Duration{0, 2 * time.Minute, 20 * time.Minute} {
					time.Sleep(after)
					if a := w.Allow(sealed, session); a.Code() != "" || a.StatusCode != 410 {
						t.Errorf("the form %s after a code was redeemed: got %v, want 410", after, a)
					}
				}
				for _, code := range append(expired, late) {
					w.Exchange("third", code).WantOAuthError(t, "each code in the end", 400, "invalid_grant")
				}
			})
		})
	}
}

// Signing out, and withdrawing the consent, void a code. The same form gives another one
// then, to the same user's next session too.
func TestInvariant9_AVoidedCodeIsNeverGivenAgain(t *testing.T) {
	testworld.Ring()
	synctest.Test(t, func(t *testing.T) {
		w := testworld.New(t)
		view, session := w.PromptedFor("third")
		first := w.Allow(view.Request, session).Code()
		time.Sleep(time.Second)
		old, err := w.Store.SessionBySecret(t.Context(), secret.Secret(session.Value).Hash())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Store.EndSession(t.Context(), old.ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour / 4)
		_, session = w.SignIn(testworld.AuthRequest("app"), testworld.Number)
		second := w.Allow(view.Request, session).Code()
		if second == "" || second == first {
			t.Errorf("after signing out and in: got the code %q, want another one than %q", second, first)
		}
		w.Exchange("third", first).WantOAuthError(t, "the code of the session that has ended", 400, "invalid_grant")
		w.Exchange("third", second).WantStatus(t, "the code of the next session", 200)
	})
}

// However short codes live, a form gives a bounded number of them.
func TestThreat_AFormGivesFewCodes(t *testing.T) {
	testworld.Ring()
	synctest.Test(t, func(t *testing.T) {
		w := testworld.New(t, func(c *testworld.Config) { c.Provider.Lifetimes.Code = time.Second })
		view, session := w.PromptedFor("third")
		codes := map[string]bool{}
		for range 64 {
			codes[w.Allow(view.Request, session).Code()] = true
			time.Sleep(time.Second)
		}
		if len(codes) != 64 || codes[""] {
			t.Errorf("got %d codes, want 64", len(codes))
		}
		if a := w.Allow(view.Request, session); a.Code() != "" || a.StatusCode != 410 {
			t.Errorf("the 65th press: got %v, want 410", a)
		}
	})
}

// A sign-in that needed no consent has given its code. Where the consent is withdrawn
// before the browser reloads, the prompt that it gets then gives another one.
func TestInvariant9_TheCodeOfASignInIsNotGivenByItsPrompt(t *testing.T) {
	testworld.Ring()
	synctest.Test(t, func(t *testing.T) {
		w := testworld.New(t)
		view, session := w.PromptedFor("third")
		w.Allow(view.Request, session)
		for _, before := range []time.Duration{0, 2 * time.Minute} { // the code is voided, or has expired
			time.Sleep(10 * time.Minute)
			id := w.Approved(testworld.AuthRequest("third"), testworld.Number)
			done, session := w.Finish(id)
			first := testworld.Param(done.Response, "code")
			time.Sleep(before)
			s, err := w.Store.SessionBySecret(t.Context(), secret.Secret(session.Value).Hash())
			if err != nil {
				t.Fatal(err)
			}
			if err := w.Store.RevokeClient(t.Context(), s.Sub, "third"); err != nil {
				t.Fatal(err)
			}
			view, session := w.Prompted(id)
			second := w.Allow(view.Request, session).Code()
			if first == "" || second == "" || second == first {
				t.Errorf("after %s: got the code %q from the prompt, want another one than %q", before, second, first)
			}
			w.Exchange("third", first).WantOAuthError(t, "the code of the sign-in", 400, "invalid_grant")
			w.Exchange("third", second).WantStatus(t, "the code of the prompt", 200)
			if _, err := w.Continue(id); !errors.Is(err, login.ErrState) {
				t.Errorf("reloading after that: got %v, want %v", err, login.ErrState)
			}
		}
	})
}

// A code that was never used revokes nothing, whoever presents it after it expired or was
// voided: a reload of an old callback is no theft of the code that the form gave later.
func TestAnExpiredCodeRevokesNothing(t *testing.T) {
	testworld.Ring()
	for what, end := range map[string]func(*testing.T, *testworld.World, *http.Cookie) *http.Cookie{
		"expired": func(_ *testing.T, _ *testworld.World, session *http.Cookie) *http.Cookie {
			time.Sleep(2*time.Minute + time.Second)
			return session
		},
		"voided": func(t *testing.T, w *testworld.World, session *http.Cookie) *http.Cookie {
			if _, err := w.Store.EndSession(t.Context(), w.Claim(session, "sid")); err != nil {
				t.Fatal(err)
			}
			time.Sleep(6 * time.Minute) // until another push is possible
			_, session = w.SignIn(testworld.AuthRequest("app"), testworld.Number)
			return session
		},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := testworld.New(t)
				view, session := w.PromptedFor("third", "prompt", "consent")
				unused := w.Allow(view.Request, session).Code()
				session = end(t, w, session)
				tokens := testworld.TokensIn(t, w.Exchange("third", w.Allow(view.Request, session).Code()))
				for _, client := range []string{"third", "es256"} {
					w.Exchange(client, unused).WantOAuthError(t, client, 400, "invalid_grant")
				}
				w.Post("/userinfo", nil, testworld.Bearer(tokens.Access)).WantStatus(t, "userinfo", 200)
			})
		})
	}
}
