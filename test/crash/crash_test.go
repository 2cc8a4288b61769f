// SPDX-License-Identifier: Apache-2.0

// Package crash kills the server at the worst moments.
package crash

import (
	"net/http"
	"net/url"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"calleridp/test/harness"
	"calleridp/truecaller/simulator"

	"golang.org/x/oauth2"
)

// kill -9 between callback and profile: the callback got 200, so that Truecaller will
// not send it again. After a restart the sign-in completes (invariants 4 and 8).
func TestInvariant8_KilledBetweenCallbackAndProfile(t *testing.T) {
	t.Parallel()
	// Until the server has been killed, the profile host does not respond.
	var killed atomic.Bool
	requested := make(chan struct{}, 100)
	server := serve(t, func(truecaller http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/v1/default" && !killed.Load() {
				requested <- struct{}{}
				<-r.Context().Done()
				return
			}
			truecaller.ServeHTTP(w, r)
		})
	})

	browser := harness.NewBrowser(t, server.Issuer)
	verifier := oauth2.GenerateVerifier()
	config := oauth2.Config{
		ClientID:     "demo",
		ClientSecret: harness.ClientSecret,
		RedirectURL:  harness.RedirectURI,
		Scopes:       []string{"openid", "phone"},
		Endpoint:     oauth2.Endpoint{AuthURL: server.Issuer + "/authorize", TokenURL: server.Issuer + "/token"},
	}
	page := browser.Submit(browser.Get(config.AuthCodeURL("state", oauth2.S256ChallengeOption(verifier))), harness.Number(5))
	waiting := must(url.Parse(server.Issuer)).JoinPath(page.Header.Get("Location")).String()

	select {
	case <-requested: // the callback is in the inbox, and its token in use
	case <-time.After(harness.Timeout):
		t.Fatal("the profile was never requested")
	}
	if page := browser.Get(waiting); !page.Has("waiting") {
		t.Fatalf("status %d, want the waiting page\n%s", page.Status, page.Body)
	}
	server.Stop(os.Kill)
	killed.Store(true)
	server.Start()

	left, page := browser.Follow(browser.Get(waiting), harness.Timeout)
	if left == nil {
		t.Fatalf("the sign-in did not complete: %s (%d)\n%s", page.URL, page.Status, page.Body)
	}
	if _, err := config.Exchange(t.Context(), left.Query().Get("code"), oauth2.VerifierOption(verifier)); err != nil {
		t.Fatal(err)
	}
}

// kill -9 during the push: the attempt is on disk before the push, so that the server
// recognises its callback after the restart.
func TestKilledDuringThePush(t *testing.T) {
	t.Parallel()
	arrived, goOn := make(chan struct{}, 1), make(chan struct{})
	server := serve(t, func(truecaller http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost && r.URL.Path == "/v1/apps/requests" {
				arrived <- struct{}{}
				<-goOn
			}
			truecaller.ServeHTTP(w, r)
		})
	})

	browser := harness.NewBrowser(t, server.Issuer)
	page := browser.Get(server.AuthorizationURL())
	form := url.Values{"request": {page.Sealed()}, "phone": {harness.Number(5)}}
	cut := make(chan struct{})
	go func() {
		defer close(cut)
		if answer, err := http.PostForm(server.Issuer+"/signin", form); err == nil {
			answer.Body.Close()
		}
	}()
	<-arrived
	server.Stop(os.Kill)
	<-cut
	close(goOn) // Truecaller accepts the push, and the user approves
	server.Start()
	// The response was lost, and with it the cookie. The same form leads to the attempt,
	// and its callback approves it.
	again := browser.Submit(page, harness.Number(5))
	if again.Status != http.StatusSeeOther {
		t.Fatalf("the same form again: status %d, want 303\n%s", again.Status, again.Body)
	}
	at := again.Header.Get("Location")
	harness.Eventually(t, "the approval of the killed attempt", func() bool {
		return browser.Get(server.Issuer+at).Header.Get("Location") == at+"/continue"
	})
}

// serve runs the server with a simulator behind a handler.
func serve(t *testing.T, before func(http.Handler) http.Handler) *harness.Production {
	t.Helper()
	return harness.ServeWith(t, func(callbackURL string) http.Handler {
		sim := simulator.New(simulator.Config{Apps: []simulator.App{{Name: "Test", Key: harness.AppKey, CallbackURL: callbackURL}}})
		t.Cleanup(sim.Close)
		return before(sim.Handler())
	}, "")
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
