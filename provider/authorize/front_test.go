// SPDX-License-Identifier: Apache-2.0

package authorize_test

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider"
	"calleridp/provider/client"
	"calleridp/provider/internal/testworld"
	"calleridp/provider/login"
	"calleridp/provider/session"
)

// half returns the left half of a value's hash, as ID tokens of a client have it.
func half(clientID, value string) string {
	if clientID == "eddsa" {
		sum := sha512.Sum512([]byte(value))
		return base64.RawURLEncoding.EncodeToString(sum[:32])
	}
	sum := sha256.Sum256([]byte(value))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// ID tokens of the authorization endpoint are bound to what is beside them (OpenID Connect
// Core §3.2.2.10, §3.3.2.11, s_hash of FAPI 1.0 Advanced §5.1.1), and have the claims of
// the scopes only where there is no access token to fetch them with (Core §5.4).
func TestFrontIDTokens(t *testing.T) {
	w := testworld.New(t, testworld.EveryResponseType)
	_, session := w.SignIn(testworld.AuthRequest("app"), testworld.Number)
	for _, clientID := range []string{"app", "es256", "eddsa", "pair"} {
		usual := w.CodeTokens(session, clientID).Claims(t)
		for _, rt := range client.ResponseTypes {
			d := w.AuthorizeWith(session, clientID, asking(rt, "", "scope", "openid phone offline_access")...).Delivered()
			if !rt.IDToken() {
				continue
			}
			want := map[string]any{"iss": testworld.Issuer, "aud": clientID, "nonce": "the-nonce", "s_hash": half(clientID, "the-state")}
			for _, same := range []string{"sub", "sid", "auth_time", "acr"} {
				if want[same] = usual[same]; want[same] == nil {
					t.Errorf("the usual ID token has no %s", same)
				}
			}
			for claim, name := range map[string]string{"c_hash": "code", "at_hash": "access_token"} {
				want[claim] = nil
				if d.Has(name) {
					want[claim] = half(clientID, d.Get(name))
				}
			}
			want["phone_number"] = nil
			if rt == "id_token" {
				want["phone_number"] = testworld.Number
			}
			testworld.WantMembers(t, "the ID token of "+clientID+" for "+string(rt), testworld.Claims(t, d.Get("id_token")), want)
			if !rt.Code() {
				continue
			}
			// Both ID tokens are about the same sign-in (Core §3.3.3.6).
			tokens := testworld.TokensIn(t, w.Exchange(clientID, d.Get("code")))
			want["at_hash"], want["c_hash"], want["s_hash"], want["phone_number"] = half(clientID, tokens.Access), nil, nil, testworld.Number
			testworld.WantMembers(t, "the ID token of the token endpoint", tokens.Claims(t), want)
			if tokens.Refresh == "" || tokens.Access == d.Get("access_token") {
				t.Errorf("%s: got refresh token %q and the same access token %v, want one, and another one", rt, tokens.Refresh, tokens.Access == d.Get("access_token"))
			}
		}
	}
	d := w.AuthorizeWith(session, "app", asking("id_token", "", "state", "-")...).Delivered()
	testworld.WantMembers(t, "the ID token without a state", testworld.Claims(t, d.Get("id_token")), map[string]any{"s_hash": nil})
}

// An access token of the authorization endpoint is like any other: userinfo and
// introspection know it, the client may revoke it, and it ends with session, consent,
// client and user. No refresh token comes of it (RFC 6749 §4.2.2).
func TestFrontAccessTokens(t *testing.T) {
	for _, rt := range []client.ResponseType{"id_token token", "code token", "code id_token token"} {
		t.Run(string(rt), func(t *testing.T) {
			ends := map[string]func(w *testworld.World, sub string, session *http.Cookie, token string) error{
				"sign-out": func(w *testworld.World, _ string, c *http.Cookie, _ string) error {
					s, err := w.Store.SessionBySecret(t.Context(), session.Secret(c.Value).Hash())
					if err != nil {
						return err
					}
					_, err = w.Store.EndSession(t.Context(), s.ID)
					return err
				},
				"withdrawn consent": func(w *testworld.World, sub string, _ *http.Cookie, _ string) error {
					return w.Store.RevokeClient(t.Context(), sub, "third")
				},
				"deletion": func(w *testworld.World, sub string, _ *http.Cookie, _ string) error {
					return w.Store.DeletePerson(t.Context(), sub)
				},
				"revocation": func(w *testworld.World, _ string, _ *http.Cookie, token string) error {
					w.Post("/revoke", url.Values{"token": {token}}, testworld.Basic("third", testworld.Secret)).WantStatus(t, "revoking", 200)
					return nil
				},
			}
			for what, end := range ends {
				w := testworld.New(t, testworld.EveryResponseType)
				view, session := w.PromptedFor("third", asking(rt, "", "scope", "openid phone offline_access")...)
				d := w.Allow(view.Request, session).Delivered()
				token := d.Get("access_token")
				if d.Get("scope") != "openid phone" || d.Get("expires_in") != "3600" || d.Has("refresh_token") {
					t.Errorf("got %v, want the scopes openid phone for an hour", d.Values)
				}
				info := w.Userinfo(token)
				testworld.WantMembers(t, "userinfo", info.JSON(), map[string]any{"phone_number": testworld.Number})
				seen := w.Introspect(token, "third", testworld.Secret).JSON()
				testworld.WantMembers(t, "introspection", seen, map[string]any{"active": true, "scope": "openid phone", "client_id": "third"})
				sub, _ := info.JSON()["sub"].(string)
				if err := end(w, sub, session, token); err != nil {
					t.Fatal(err)
				}
				w.Userinfo(token).WantOAuthError(t, "userinfo after "+what, 401, "invalid_token")
				if seen := w.Introspect(token, "third", testworld.Secret).JSON(); seen["active"] != false {
					t.Errorf("introspection after %s: got %v, want inactive", what, seen)
				}
			}
			w := testworld.New(t, testworld.EveryResponseType)
			c := testworld.App("stored")
			c.ResponseTypes = client.ResponseTypes
			w.AddClient(c)
			done, _ := w.SignIn(testworld.AuthRequest("stored", asking(rt, "", "redirect_uri", "https://app.example/cb")...), testworld.Number)
			token := testworld.Param(done.Response, "access_token")
			w.Userinfo(token).WantStatus(t, "userinfo", 200)
			w.RemoveClient("stored")
			w.Userinfo(token).WantOAuthError(t, "userinfo after the client was removed", 401, "invalid_token")
			w.AddClient(c)
			w.Userinfo(token).WantOAuthError(t, "userinfo of the client's successor", 401, "invalid_token")
		})
	}
}

// A second use of a hybrid response's code revokes what came of the code (RFC 6749
// §4.1.2), and a token that did not come of it stays.
func TestHybridCodesAreUsedOnce(t *testing.T) {
	w := testworld.New(t, testworld.EveryResponseType)
	done, _ := w.SignIn(testworld.AuthRequest("app", "response_type", "code id_token token"), testworld.Number)
	code, front := testworld.Param(done.Response, "code"), testworld.Param(done.Response, "access_token")
	back := testworld.TokensIn(t, w.Exchange("app", code)).Access
	w.Userinfo(back).WantStatus(t, "the token of the code", 200)
	w.Exchange("app", code).WantOAuthError(t, "the code again", 400, "invalid_grant")
	w.Userinfo(back).WantOAuthError(t, "the token of the code after its second use", 401, "invalid_token")
	w.Userinfo(front).WantStatus(t, "the token beside the code", 200)
}

// A response without a code is given to its browser again for as long as a code would
// live, with the same token, and then never: neither by the attempt nor by a consent form.
func TestInvariant9_AResponseWithoutACodeIsGivenOnce(t *testing.T) {
	testworld.Ring()
	for _, rt := range []client.ResponseType{"id_token", "id_token token"} {
		t.Run(string(rt), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := testworld.New(t, testworld.EveryResponseType)
				id := w.Approved(testworld.AuthRequest("app", asking(rt, "")...), testworld.Number)
				first, session := w.Finish(id)
				form := w.ConsentRequest(session, "third", asking(rt, "")...)
				allowed := w.Allow(form, session).Delivered()
				time.Sleep(59 * time.Second)
				again, _ := w.Finish(id)
				if view, err := w.View(id); err != nil || view.State != login.Approved {
					t.Errorf("view within a code's life: got %v, %v, want %s", view.State, err, login.Approved)
				}
				later := w.Allow(form, session).Delivered()
				for what, pair := range map[string][2]testworld.Delivered{
					"continuing": {testworld.DeliveredBy(first.Response), testworld.DeliveredBy(again.Response)},
					"allowing":   {allowed, later},
				} {
					wantGiven(t, what+" again", map[string]string{"continuing": "app", "allowing": "third"}[what], rt, "fragment", pair[1])
					if pair[0].Get("access_token") != pair[1].Get("access_token") {
						t.Errorf("%s again: got another access token", what)
					}
					if seconds, _ := strconv.Atoi(pair[1].Get("expires_in")); rt.AccessToken() && seconds != 3600-59 {
						t.Errorf("%s again: got a token for %d seconds, want what is left of an hour", what, seconds)
					}
				}
				if _, err := w.ContinueElsewhere(id, "another browser"); !errors.Is(err, login.ErrNotYours) {
					t.Errorf("continuing elsewhere: got %v, want %v", err, login.ErrNotYours)
				}
				for _, after := range []time.Duration{time.Second, 30 * time.Minute} {
					time.Sleep(after)
					if done, err := w.Continue(id); !errors.Is(err, login.ErrState) {
						t.Errorf("continuing %s after: got %+v, %v, want %v", after, done, err, login.ErrState)
					}
					if view, err := w.View(id); after < time.Minute && (err != nil || view.State != login.Done) {
						t.Errorf("view %s after: got %v, %v, want %s", after, view.State, err, login.Done)
					}
					if a := w.Allow(form, session); a.StatusCode != 410 || a.Delivered().Mode != "" {
						t.Errorf("allowing %s after: got %v, want 410", after, a)
					}
				}
			})
		})
	}
}

// Signing out and withdrawing the consent end it at once.
func TestInvariant9_AResponseWithoutACodeEndsWithItsSession(t *testing.T) {
	for _, rt := range []client.ResponseType{"id_token", "id_token token"} {
		w := testworld.New(t, testworld.EveryResponseType)
		start := func() (form string, id login.ID, cookie *http.Cookie, s session.Session) {
			id = w.Approved(testworld.AuthRequest("third", asking(rt, "", "prompt", "consent")...), testworld.Number)
			view, cookie := w.Prompted(id)
			if d := w.Allow(view.Request, cookie).Delivered(); !d.Has("id_token") {
				t.Fatalf("allowing: got %v, want an ID token", d.Values)
			}
			s, err := w.Store.SessionBySecret(t.Context(), session.Secret(cookie.Value).Hash())
			if err != nil {
				t.Fatal(err)
			}
			return view.Request, id, cookie, s
		}
		none := func(what string, form string, id login.ID, cookie *http.Cookie) {
			t.Helper()
			if a := w.Allow(form, cookie); a.Delivered().Mode != "" {
				t.Errorf("%s: the form gives %v, want nothing", what, a)
			}
			if done, err := w.ContinueWith(cookie, id); err == nil && done.Response.RedirectURI != "" {
				t.Errorf("%s: continuing gives %+v, want no response", what, done)
			}
		}
		form, id, cookie, s := start()
		if err := w.Store.RevokeClient(t.Context(), s.Sub, "third"); err != nil {
			t.Fatal(err)
		}
		none("after the consent was withdrawn", form, id, cookie)
		form, id, cookie, s = start()
		if _, err := w.Store.EndSession(t.Context(), s.ID); err != nil {
			t.Fatal(err)
		}
		none("after signing out", form, id, cookie)
		_, cookie = w.SignIn(testworld.AuthRequest("app"), testworld.Number)
		none("in the user's next session", form, id, cookie)
	}
}

// A hybrid response whose code expired unused is replaced whole: another code, and
// another token beside it.
func TestALateFormOfTheHybridFlow(t *testing.T) {
	testworld.Ring()
	synctest.Test(t, func(t *testing.T) {
		w := testworld.New(t, testworld.EveryResponseType)
		_, session := w.SignIn(testworld.AuthRequest("app"), testworld.Number)
		form := w.ConsentRequest(session, "third", "response_type", "code id_token token")
		first := w.Allow(form, session).Delivered()
		time.Sleep(2 * time.Minute)
		second := w.Allow(form, session).Delivered()
		time.Sleep(30 * time.Second)
		repeated := w.Allow(form, session).Delivered()
		claims := testworld.Claims(t, second.Get("id_token"))
		testworld.WantMembers(t, "the second ID token", claims, map[string]any{
			"c_hash": half("third", second.Get("code")), "at_hash": half("third", second.Get("access_token")),
		})
		if age := time.Since(testworld.Seconds(claims["iat"])); age != 30*time.Second {
			t.Errorf("the second ID token is %s old, want 30s", age)
		}
		for _, name := range []string{"code", "access_token"} {
			if first.Get(name) == second.Get(name) || second.Get(name) != repeated.Get(name) {
				t.Errorf("%s: got the same after the code expired, or another one within its life", name)
			}
		}
		plain := w.ConsentRequest(session, "third", "prompt", "consent")
		for range 2 {
			wantGiven(t, "a late form of the type code", "third", "code", "query", w.Allow(plain, session).Delivered())
			time.Sleep(2 * time.Minute)
		}
		for _, d := range []testworld.Delivered{first, second} {
			w.Userinfo(d.Get("access_token")).WantStatus(t, "userinfo", 200)
		}
		if repeated.Get("expires_in") != "3570" {
			t.Errorf("repeated: got a token for %s seconds, want 3570", repeated.Get("expires_in"))
		}
	})
}

// signatures counts and breaks signatures.
type signatures struct {
	provider.Keys
	n      int
	broken bool
}

func (s *signatures) Sign(alg, typ string, payload []byte) (string, error) {
	if s.n++; s.broken {
		return "", testworld.ErrDisk
	}
	return s.Keys.Sign(alg, typ, payload)
}

// What a response costs: one durable operation to finish an attempt, or in a session, and
// a signature for each ID token. Looking at the waiting page signs nothing.
func TestWhatResponsesCost(t *testing.T) {
	ring := &signatures{}
	w := testworld.New(t, testworld.EveryResponseType, func(c *testworld.Config) {
		ring.Keys = c.Provider.Ring
		c.Provider.Ring = ring
	})
	for _, rt := range client.ResponseTypes {
		want := 0
		if rt.IDToken() {
			want = 1
		}
		id := w.Approved(testworld.AuthRequest("app", asking(rt, "")...), testworld.Number)
		before := w.Store.Stats().Operations
		ring.n = 0
		_, session := w.Finish(id)
		if ops := w.Store.Stats().Operations - before; ops != 1 || ring.n != want {
			t.Errorf("%s: finishing costs %d operations and %d signatures, want 1 and %d", rt, ops, ring.n, want)
		}
		if _, err := w.View(id); err != nil || ring.n != want {
			t.Errorf("%s: looking at the page signs, or fails: %v", rt, err)
		}
		before, ring.n = w.Store.Stats().Operations, 0
		w.AuthorizeWith(session, "app", asking(rt, "", "prompt", "none")...)
		if ops := w.Store.Stats().Operations - before; ops != 1 || ring.n != want {
			t.Errorf("%s: a response in a session costs %d operations and %d signatures, want 1 and %d", rt, ops, ring.n, want)
		}
	}
}

// What may fail comes first: where no ID token can be signed, nothing is used up, and
// where nothing can be stored, no token leaves.
func TestOurFailureCostsNoSignIn(t *testing.T) {
	for _, rt := range client.ResponseTypes {
		if !rt.IDToken() {
			continue
		}
		ring := &signatures{}
		w, b := newBreakable(t, testworld.EveryResponseType, func(c *testworld.Config) {
			ring.Keys = c.Provider.Ring
			c.Provider.Ring = ring
		})
		_, session := w.SignIn(testworld.AuthRequest("app"), testworld.OtherNumber)
		form := w.ConsentRequest(session, "third", asking(rt, "")...)
		id := w.Approved(testworld.AuthRequest("app", asking(rt, "")...), testworld.Number)

		ring.broken = true
		if done, err := w.Continue(id); !errors.Is(err, testworld.ErrDisk) {
			t.Errorf("%s: continuing without a signature: got %+v, %v, want %v", rt, done, err, testworld.ErrDisk)
		}
		w.Allow(form, session).WantErrorPage(t, "allowing without a signature", 500, "internal")
		w.AuthorizeWith(session, "app", asking(rt, "")...).WantErrorPage(t, "a request without a signature", 500, "internal")
		ring.broken = false
		b.Op = "finding the user"
		if done, err := w.Continue(id); !errors.Is(err, testworld.ErrDisk) {
			t.Errorf("%s: continuing without the user: got %+v, %v, want %v", rt, done, err, testworld.ErrDisk)
		}
		for op, do := range map[string]func() testworld.Response{
			"making the code":     func() testworld.Response { return w.AuthorizeWith(session, "app", asking(rt, "")...) },
			"keeping the consent": func() testworld.Response { return w.Allow(form, session) },
		} {
			b.Op = op
			a := do()
			a.WantErrorPage(t, op+" fails", 500, "internal")
			if strings.Contains(a.String(), "id_token") {
				t.Errorf("%s fails: got %v, want no token", op, a)
			}
		}
		b.Op = ""
		wantGiven(t, "allowing in the end", "third", rt, "fragment", w.Allow(form, session).Delivered())
		done, _ := w.Finish(id)
		wantGiven(t, "continuing in the end", "app", rt, "fragment", testworld.DeliveredBy(done.Response))
		ring.broken = true
		if done, err := w.Continue(id); !errors.Is(err, testworld.ErrDisk) {
			t.Errorf("%s: continuing again without a signature: got %+v, %v, want %v", rt, done, err, testworld.ErrDisk)
		}
		w.Allow(form, session).WantErrorPage(t, "allowing again without a signature", 500, "internal")
	}
}

// A user who was deleted between approval and response gets nothing.
func TestADeletedUserGetsNoToken(t *testing.T) {
	w := testworld.New(t, testworld.EveryResponseType)
	for _, rt := range client.ResponseTypes {
		_, session := w.SignIn(testworld.AuthRequest("app"), testworld.Number)
		sub := w.Claim(session, "sub")
		id := w.Approved(testworld.AuthRequest("app", asking(rt, "")...), testworld.Number)
		if err := w.Store.DeletePerson(t.Context(), sub); err != nil {
			t.Fatal(err)
		}
		if done, err := w.Continue(id); !errors.Is(err, login.ErrState) {
			t.Errorf("%s: got %+v, %v, want %v", rt, done, err, login.ErrState)
		}
	}
}

// Nothing that a response gives is in the log, on success or on error (invariant 10).
func TestInvariant10_NoTokenInTheLog(t *testing.T) {
	w := testworld.New(t, testworld.EveryResponseType)
	for _, mode := range []string{"fragment", "form_post"} {
		done, session := w.SignIn(testworld.AuthRequest("app", asking("code id_token token", mode)...), testworld.Number)
		d := testworld.DeliveredBy(done.Response)
		in := w.AuthorizeWith(session, "app", asking("code id_token token", mode)...)
		w.WantNotLogged(d.Get("code"), d.Get("access_token"), d.Get("id_token"), in.Delivered().Get("access_token"))
		if in.Header.Get("Cache-Control") != "no-store" || in.Header.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%s: got headers %v, want no-store and no-referrer", mode, in.Header)
		}
	}
}

// Discovery names what stands for tokens of the authorization endpoint only where there
// are some.
func TestDiscoveryOfFrontTokens(t *testing.T) {
	for _, row := range []struct {
		types []client.ResponseType
		front bool
	}{{nil, false}, {client.ResponseTypes[:1], false}, {client.ResponseTypes[:2], true}, {client.ResponseTypes, true}} {
		w := testworld.New(t, func(c *testworld.Config) { c.Provider.ResponseTypes = row.types })
		d := w.Get("/.well-known/openid-configuration").JSON()
		has := func(list, value string) bool {
			values, _ := d[list].([]any)
			return slices.Contains(values, any(value))
		}
		if has("grant_types_supported", "implicit") != row.front || has("claims_supported", "c_hash") != row.front || has("claims_supported", "s_hash") != row.front {
			t.Errorf("%v: got %v and %v, want implicit, c_hash and s_hash: %v", row.types, d["grant_types_supported"], d["claims_supported"], row.front)
		}
		for _, mode := range []string{"query", "fragment", "form_post"} {
			if !has("response_modes_supported", mode) {
				t.Errorf("%v: got %v, want %s", row.types, d["response_modes_supported"], mode)
			}
		}
	}
}
