// SPDX-License-Identifier: Apache-2.0

package authorize_test

import (
	"errors"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider/authorize"
	"calleridp/provider/endpoint"
	"calleridp/provider/internal/testworld"
	"calleridp/provider/limit"
	"calleridp/provider/login"
)

// arrives continues an attempt, and checks which client gets the response to which
// state, and that its code is that client's.
func arrives(t *testing.T, w *testworld.World, id login.ID, clientID, state string) {
	t.Helper()
	done, err := w.Continue(id)
	if err != nil {
		t.Fatal(err)
	}
	if to, got := done.Response.RedirectURI, testworld.Param(done.Response, "state"); to != testworld.RedirectURI(clientID) || got != state {
		t.Errorf("the response goes to %s with state %q, want %s with %q", to, got, testworld.RedirectURI(clientID), state)
	}
	testworld.TokensIn(t, w.Exchange(clientID, testworld.Param(done.Response, "code")))
}

// A browser that submits its number again, while its own attempt is open, gets that
// attempt, and it serves the newest request: of the application from which the user came
// last, with the state that this application waits for.
func TestTheNewestRequestWins(t *testing.T) {
	for what, last := range map[string][2]string{
		"the same application again":        {"app", "third"},
		"another application":               {"es256", "second"},
		"a public one of another scheme":    {"public", "mine"},
		"one that asks for consent is here": {"third", "asks"},
	} {
		t.Run(what, func(t *testing.T) {
			w := testworld.New(t)
			first := w.Submit(w.Authorize("app", "state", "first"), testworld.Number)
			w.Submit(w.Authorize("es256", "state", "second"), testworld.Number)
			id := w.Submit(w.Authorize(last[0], "state", last[1]), testworld.Number)
			if id != first || w.Phone.Pushed() != 1 {
				t.Fatalf("attempt %s with %d pushes, want %s with one", id, w.Phone.Pushed(), first)
			}
			v, err := w.View(id)
			if want := endpoint.FormAction(testworld.RedirectURI(last[0])); err != nil || v.Client.ID != last[0] || v.FormAction != want {
				t.Errorf("the page is that of %+v with form action %s, %v; want %s and %s", v.Client, v.FormAction, err, last[0], want)
			}
			w.Approve(testworld.Number)
			if last[0] == "third" {
				done, err := w.Continue(id)
				if err != nil || done.Consent == nil || done.Consent.Client.ID != "third" {
					t.Errorf("got %+v, %v; want the consent prompt of third", done.Consent, err)
				}
				return
			}
			arrives(t, w, id, last[0], last[1])
		})
	}
}

// The first form, sent again after the second (by Back), is the newest request.
func TestAnEarlierFormSentAgainIsTheNewest(t *testing.T) {
	w := testworld.New(t)
	one, two := w.Authorize("app", "state", "first"), w.Authorize("es256", "state", "second")
	id := w.Submit(one, testworld.Number)
	for _, page := range []testworld.Response{two, two, one, one} {
		if again := w.Submit(page, testworld.Number); again != id {
			t.Fatalf("got attempt %s, want %s", again, id)
		}
	}
	if w.Phone.Pushed() != 1 {
		t.Errorf("%d pushes, want one", w.Phone.Pushed())
	}
	w.Approve(testworld.Number)
	arrives(t, w, id, "app", "first")
}

// Once the user has approved, the request stays. Another one gets its own attempt.
func TestAnApprovedAttemptKeepsItsRequest(t *testing.T) {
	w := testworld.New(t)
	id := w.SubmitApproved(w.Authorize("app", "state", "first"), testworld.Number)
	other := w.Submit(w.Authorize("es256", "state", "second"), testworld.Number)
	if other == id {
		t.Fatal("an approved attempt was resumed")
	}
	arrives(t, w, id, "app", "first")
	w.Approve(testworld.Number)
	arrives(t, w, other, "es256", "second")
}

// Two tabs wait for one attempt. When one has taken the response and the client has
// redeemed it, the other is told that the sign-in is finished.
func TestTheOtherTabIsToldThatItIsFinished(t *testing.T) {
	w := testworld.New(t)
	id := w.Submit(w.Authorize("app", "state", "first"), testworld.Number)
	w.Submit(w.Authorize("es256", "state", "second"), testworld.Number)
	w.Approve(testworld.Number)
	arrives(t, w, id, "es256", "second")
	if _, err := w.Continue(id); !errors.Is(err, login.ErrState) {
		t.Errorf("the other tab: got %v, want %v", err, login.ErrState)
	}
}

// A page says which request it has shown, so that the one that shows an earlier request
// does not bring the code of the newest one a second time.
func TestThreat_APageOfAnEarlierRequestTakesNoCode(t *testing.T) {
	w := testworld.New(t)
	shown := func(id login.ID) string {
		v, err := w.View(id)
		if err != nil || v.Serves == "" {
			t.Fatalf("got %+v, %v; want a view that names its request", v, err)
		}
		return v.Serves
	}
	id := w.Submit(w.Authorize("app", "state", "first"), testworld.Number)
	first := shown(id)
	w.Submit(w.Authorize("app", "state", "second"), testworld.Number)
	for name, want := range map[string]bool{first: false, shown(id): true, "": false} {
		if serves, err := w.Flow.Serves(t.Context(), id, testworld.Browser, name); err != nil || serves != want {
			t.Errorf("%q: got %v, %v; want %v", name, serves, err, want)
		}
	}
	if _, err := w.Flow.Serves(t.Context(), id, "another", shown(id)); !errors.Is(err, login.ErrNotYours) {
		t.Errorf("another browser: got %v, want %v", err, login.ErrNotYours)
	}
}

// The client of the newest request may have gone, or its redirect URI, when the user
// approves.
func TestAResumedRequestIsLookedAtAgain(t *testing.T) {
	w := testworld.New(t)
	w.AddClient(testworld.App("brief"))
	id := w.Submit(w.Authorize("es256"), testworld.Number)
	w.Submit(w.Get("/authorize?"+testworld.AuthRequest("app", "client_id", "brief").Encode()), testworld.Number)
	w.RemoveClient("brief")
	w.Approve(testworld.Number)
	if _, err := w.Continue(id); !errors.Is(err, endpoint.ErrBadRequest) {
		t.Errorf("after the client was removed: got %v, want %v", err, endpoint.ErrBadRequest)
	}
}

// Where the phone shows another name than the page would say, nothing is switched: the
// page says whose request is open, and leads to it.
func TestThreat_AnotherAppsPromptIsNotTakenOver(t *testing.T) {
	w := testworld.New(t)
	id := w.Submit(w.Authorize("app", "state", "first"), testworld.Number)
	refusal := submit(t, w, w.Submission(w.Authorize("tap", "state", "second"), testworld.Number))
	if refusal == nil || refusal.Problem.Kind != authorize.OtherApp || refusal.Problem.Attempt != id || refusal.Problem.App != "One" {
		t.Fatalf("got %+v, want %s, which leads to %s of One", refusal, authorize.OtherApp, id)
	}
	if refusal.View.Client.ID != "tap" || refusal.View.Phone != testworld.Number {
		t.Errorf("the page is that of %+v with %q", refusal.View.Client, refusal.View.Phone)
	}
	w.Approve(testworld.Number)
	arrives(t, w, id, "app", "first")
}

// Another client's budget is spent when an attempt goes over to it, and not twice for
// the same one. A client without budget gets no attempt.
func TestThreat_ASwitchSpendsTheClientsBudget(t *testing.T) {
	testworld.Ring()
	synctest.Test(t, func(t *testing.T) {
		w := testworld.New(t, func(c *testworld.Config) { c.Login.Limits.Client = limit.Rate{Burst: 2, Period: time.Hour} })
		try := func(clientID, state string) (login.ID, *authorize.Refusal) {
			id, err := w.Flow.Submit(t.Context(), w.Submission(w.Authorize(clientID, "state", state), testworld.Number))
			refusal, _ := errors.AsType[*authorize.Refusal](err)
			if err != nil && refusal == nil {
				t.Fatal(err)
			}
			return id, refusal
		}
		id, _ := try("app", "0")
		for _, state := range []string{"1", "2", "3"} { // the same client, for which a push was paid
			if got, refusal := try("app", state); got != id {
				t.Fatalf("the same client: got %q, %+v", got, refusal)
			}
		}
		for _, client := range []string{"es256", "app", "es256"} {
			if got, refusal := try(client, client); got != id {
				t.Fatalf("%s: got %q, %+v", client, got, refusal)
			}
		}
		if _, refusal := try("app", "beyond"); refusal == nil || refusal.Problem.Kind != authorize.Unavailable {
			t.Errorf("a client whose budget is spent: got %+v, want %s", refusal, authorize.Unavailable)
		}
		w.Approve(testworld.Number)
		arrives(t, w, id, "es256", "es256")
	})
}

// A request that is excused from PKCE goes with its client alone.
func TestThreat_AResumedRequestKeepsItsOwnChallenge(t *testing.T) {
	w := testworld.New(t)
	id := w.Submit(w.Authorize("old", "code_challenge", "-", "code_challenge_method", "-", "state", "plain"), testworld.Number)
	w.Submit(w.Authorize("app", "state", "second"), testworld.Number)
	w.Approve(testworld.Number)
	done, err := w.Continue(id)
	if err != nil {
		t.Fatal(err)
	}
	code := testworld.Param(done.Response, "code")
	if r := w.Exchange("app", code, func(v url.Values) { v.Del("code_verifier") }); r.StatusCode == 200 {
		t.Errorf("without a verifier: got %v, want a refusal", r)
	}
}
