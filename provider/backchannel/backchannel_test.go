// SPDX-License-Identifier: Apache-2.0

package backchannel_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider/client"
	"calleridp/provider/fetch"
	"calleridp/provider/internal/testworld"

	"github.com/go-jose/go-jose/v4"
)

// received is a logout token that an application got.
type received struct {
	at     time.Time
	path   string
	typ    string
	alg    string
	claims map[string]any
}

func read(t testing.TB, path, token string) received {
	t.Helper()
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.RS256, jose.ES256, jose.EdDSA})
	if err != nil {
		t.Errorf("the logout token of %s: %v", path, err)
		return received{}
	}
	h := signed.Signatures[0].Header
	typ, _ := h.ExtraHeaders["typ"].(string)
	return received{at: time.Now(), path: path, typ: typ, alg: h.Algorithm, claims: testworld.Claims(t, token)}
}

// withURI gives clients an address for logout tokens.
func withURI(base string, ids ...string) func(*testworld.Config) {
	return func(c *testworld.Config) {
		for i := range c.Clients {
			if slices.Contains(ids, c.Clients[i].ID) {
				c.Clients[i].BackChannel.LogoutURI = base + "/" + c.Clients[i].ID
			}
		}
	}
}

// running runs the provider's background work until the test ends.
func running(t testing.TB, w *testworld.World) {
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() { w.Provider.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		done.Wait()
	})
}

// signOut ends the session by a request of the client (RP-Initiated Logout).
func signOut(t testing.TB, w *testworld.World, idToken string, session *http.Cookie) {
	t.Helper()
	r := w.Get("/logout?"+url.Values{"id_token_hint": {idToken}}.Encode(), session)
	if r.StatusCode != http.StatusSeeOther && r.StatusCode != http.StatusFound {
		t.Fatalf("signing out: got %v, want a redirect", r)
	}
}

// Every client of a session is told when it ends, over HTTP, with the sub, the sid and the
// algorithm by which it knows the session (Back-Channel Logout §2.4, §2.6), and no other
// client is.
func TestLogoutTokens(t *testing.T) {
	got := make(chan received, 10)
	app := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
			t.Errorf("%s %s with %s, want a form", r.Method, r.URL, r.Header.Get("Content-Type"))
		}
		got <- read(t, r.URL.Path, r.PostFormValue("logout_token"))
		rw.WriteHeader(http.StatusNoContent)
	}))
	defer app.Close()
	roots := x509.NewCertPool()
	roots.AddCert(app.Certificate())
	w := testworld.New(t, withURI(app.URL, "app", "pair", "es256", "old"), func(c *testworld.Config) {
		c.Provider.Fetch = fetch.New(fetch.Options{Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Roots: roots})
	})
	running(t, w)
	first, session := w.Tokens("app", "openid")
	tokens := map[string]testworld.Tokens{"/app": first}
	for _, id := range []string{"pair", "es256", "hourly"} {
		tokens["/"+id] = w.CodeTokens(session, id)
	}
	signOut(t, w, first.ID, session)
	for range 3 {
		r := <-got
		want := testworld.Claims(t, tokens[r.path].ID)
		for _, claim := range []string{"iss", "sub", "aud", "sid"} {
			if r.claims[claim] == nil || r.claims[claim] != want[claim] {
				t.Errorf("%s: %s is %v, want %v as in the ID token", r.path, claim, r.claims[claim], want[claim])
			}
		}
		events, _ := r.claims["events"].(map[string]any)
		if event, ok := events["http://schemas.openid.net/event/backchannel-logout"].(map[string]any); !ok || len(event) != 0 || len(events) != 1 {
			t.Errorf("%s: events: %v", r.path, r.claims["events"])
		}
		if _, has := r.claims["nonce"]; has || r.claims["jti"] == "" || r.claims["exp"].(float64)-r.claims["iat"].(float64) != 120 {
			t.Errorf("%s: got %v, want a jti, two minutes and no nonce", r.path, r.claims)
		}
		if alg := map[string]string{"/es256": "ES256"}[r.path]; r.typ != "logout+jwt" || alg != "" && r.alg != alg {
			t.Errorf("%s: typ %s, alg %s", r.path, r.typ, r.alg)
		}
		delete(tokens, r.path)
	}
	if len(tokens) != 1 || tokens["/hourly"].ID == "" {
		t.Errorf("not told: %v, want hourly alone, which has no address", tokens)
	}
}

// poster stands for applications on the network, in a bubble without one.
type poster struct {
	*fetch.Client
	post func(address, token string) (fetch.Reply, error)
}

func (p poster) Post(ctx context.Context, address string, form url.Values) (fetch.Reply, error) {
	return p.post(address, form.Get("logout_token"))
}

// What fails is tried again, later each time, not before the application says so, with the
// same jti and in the order of the logouts; what the application refuses is not.
func TestTries(t *testing.T) {
	testworld.Ring()
	synctest.Test(t, func(t *testing.T) {
		var got []received
		replies := []fetch.Reply{{Status: 503, RetryAfter: 2 * time.Minute}, {Status: 302}, {Status: 200}, {Status: 400}}
		w := testworld.New(t, withURI("https://receiver.example", "app"), func(c *testworld.Config) {
			c.Provider.Fetch = poster{fetch.New(fetch.Options{}), func(address, token string) (fetch.Reply, error) {
				got = append(got, read(t, address, token))
				if len(got) > len(replies) {
					return fetch.Reply{}, errors.New("too many")
				}
				return replies[len(got)-1], nil
			}}
		})
		sids := []any{}
		for range 2 {
			tokens, session := w.Tokens("app", "openid")
			sids = append(sids, testworld.Claims(t, tokens.ID)["sid"])
			signOut(t, w, tokens.ID, session)
			time.Sleep(time.Millisecond)
		}
		begun := time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { w.Provider.Run(ctx); close(ended) }()
		time.Sleep(time.Hour)
		cancel()
		<-ended
		if len(got) != 4 {
			t.Fatalf("%d tries, want 4", len(got))
		}
		for i, want := range []struct {
			sid      any
			from, to time.Duration
		}{
			{sids[0], 0, 2 * time.Second},
			{sids[0], 2 * time.Minute, 2*time.Minute + 5*time.Second},
			{sids[0], 2*time.Minute + 15*time.Second, 2*time.Minute + 30*time.Second},
			{sids[1], 2*time.Minute + 15*time.Second, 2*time.Minute + 30*time.Second},
		} {
			if after := got[i].at.Sub(begun); got[i].claims["sid"] != want.sid || after < want.from || after > want.to {
				t.Errorf("try %d: %v after %s, want %v after %s to %s", i, got[i].claims["sid"], after, want.sid, want.from, want.to)
			}
		}
		if got[0].claims["jti"] != got[2].claims["jti"] || got[0].claims["jti"] == got[3].claims["jti"] || got[0].claims["exp"] == got[2].claims["exp"] {
			t.Errorf("jti and exp of the tries: %v", got)
		}
		all, err := w.Store.Receivers(t.Context())
		if err != nil || len(all) != 1 || all[0].Waiting != 0 || all[0].Failures != 0 || !strings.Contains(all[0].Reason, "status 400") || all[0].Delivered.IsZero() {
			t.Errorf("%+v, %v", all, err)
		}
		if n := len(w.Events("logout.delivered")); n != 1 {
			t.Errorf("%d events logout.delivered, want 1", n)
		}
		if n := len(w.Events("logout.refused")); n != 1 {
			t.Errorf("%d events logout.refused, want 1", n)
		}
	})
}

// An application that is gone is given up.
func TestAbandoned(t *testing.T) {
	testworld.Ring()
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		w := testworld.New(t, withURI("https://gone.example", "app"), func(c *testworld.Config) {
			c.Provider.Fetch = poster{fetch.New(fetch.Options{}), func(string, string) (fetch.Reply, error) {
				tries++
				return fetch.Reply{}, fmt.Errorf("%w: refused", fetch.ErrResponse)
			}}
		})
		for range 3 {
			tokens, session := w.Tokens("app", "openid")
			signOut(t, w, tokens.ID, session)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { w.Provider.Run(ctx); close(ended) }()
		time.Sleep(36 * time.Hour)
		cancel()
		<-ended
		left, err := w.Store.NoticesWaiting(t.Context())
		if err != nil || left != 0 || tries < 10 || tries > 40 {
			t.Errorf("%d notices are left after %d tries, %v; want none after 10 to 40", left, tries, err)
		}
		if n := len(w.Events("logout.abandoned")); n != 3 {
			t.Errorf("%d events logout.abandoned, want 3", n)
		}
	})
}

// Clients of strangers that never answer do not delay the logout of another client: no
// receiver waits for another one, and strangers together have half of the room.
func TestThreat_SlowReceiversDelayNoOther(t *testing.T) {
	testworld.Ring()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var told time.Time
		slow := 0
		hold := make(chan struct{})
		const quick = "a-client-of-the-operators" // its ID orders behind those of the strangers
		w := testworld.New(t, func(c *testworld.Config) {
			c.Clients = append(c.Clients, testworld.App(quick))
			c.Clients[len(c.Clients)-1].BackChannel.LogoutURI = "https://quick.example"
			for i := range 60 {
				stranger := testworld.App(fmt.Sprint("slow", i))
				stranger.Registration = &client.Registration{}
				stranger.BackChannel.LogoutURI = "https://slow.example/"
				c.Clients = append(c.Clients, stranger)
			}
			c.Provider.Fetch = poster{fetch.New(fetch.Options{}), func(address, _ string) (fetch.Reply, error) {
				mu.Lock()
				quick := strings.HasPrefix(address, "https://quick.example")
				if quick {
					told = time.Now()
				} else {
					slow++
				}
				mu.Unlock()
				if !quick {
					<-hold // until the test ends
				}
				return fetch.Reply{Status: 200}, nil
			}}
		})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		tokens, session := w.Tokens("app", "openid")
		for i := range 60 {
			w.Code(session, fmt.Sprint("slow", i), "redirect_uri", testworld.RedirectURI("app"))
		}
		w.Code(session, quick, "redirect_uri", testworld.RedirectURI("app"))
		signOut(t, w, tokens.ID, session)
		begun := time.Now()
		go func() { w.Provider.Run(ctx); close(ended) }()
		time.Sleep(30 * time.Second)
		mu.Lock()
		if told.IsZero() || told.Sub(begun) > 10*time.Second || slow != 8 {
			t.Errorf("the other client was told at %v, and %d slow ones are under way; want within ten seconds, beside 8", told, slow)
		}
		mu.Unlock()
		cancel()
		close(hold)
		<-ended
	})
}

// A client that was removed, or another one of its ID, is told nothing of the users of the
// first.
func TestThreat_AnotherClientOfTheIDIsToldNothing(t *testing.T) {
	testworld.Ring()
	for what, first := range map[string]bool{"of a session that had ended": true, "of one that went on": false} {
		t.Run(what, func(t *testing.T) { anotherClientOfTheID(t, first) })
	}
}

// anotherClientOfTheID ends a session before its client is replaced by another one of the
// same ID, or after.
func anotherClientOfTheID(t *testing.T, first bool) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		w := testworld.New(t, func(c *testworld.Config) {
			c.Provider.Fetch = poster{fetch.New(fetch.Options{}), func(string, string) (fetch.Reply, error) {
				tries++
				return fetch.Reply{Status: 200}, nil
			}}
		})
		added := testworld.App("mine")
		added.BackChannel.LogoutURI = "https://mine.example/"
		w.AddClient(added)
		_, session := w.Tokens("app", "openid")
		w.Code(session, "mine", "redirect_uri", testworld.RedirectURI("app"))
		end := func() {
			if _, err := w.Store.EndSession(t.Context(), w.Claim(session, "sid")); err != nil {
				t.Fatal(err)
			}
		}
		if first {
			end()
		}
		time.Sleep(time.Second)
		w.RemoveClient("mine")
		w.AddClient(added)
		if !first {
			time.Sleep(time.Second)
			w.Code(session, "app") // goes on in the session
			end()
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { w.Provider.Run(ctx); close(ended) }()
		time.Sleep(time.Minute)
		cancel()
		<-ended
		if left, err := w.Store.NoticesWaiting(t.Context()); err != nil || left != 0 || tries != 0 {
			t.Errorf("%d notices are left after %d tries, %v; want none, and no try", left, tries, err)
		}
	})
}
