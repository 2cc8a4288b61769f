// SPDX-License-Identifier: Apache-2.0

package authorize_test

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider"
	"calleridp/provider/client"
	"calleridp/provider/endpoint"
	"calleridp/provider/grant"
	"calleridp/provider/internal/testworld"
	"calleridp/provider/login"
)

// The user who signs in must be the one that the client expects.
func TestHintOfAnotherPersonAfterSignIn(t *testing.T) {
	w := testworld.New(t)
	tokens, _ := w.Tokens("pair", "openid")
	request := testworld.AuthRequest("pair", "id_token_hint", tokens.ID)
	done, _ := w.SignIn(request, testworld.OtherNumber)
	if got := testworld.Param(done.Response, "error"); got != "login_required" || done.Session != "" {
		t.Errorf("another user: got %+v, want login_required and no session", done)
	}
	done, _ = w.SignIn(request, testworld.Number)
	if testworld.Param(done.Response, "code") == "" {
		t.Errorf("the expected user: got %+v, want a code", done)
	}
}

// A browser that lost the response may get it again until the code is used;
// another browser may not.
func TestContinueTwice(t *testing.T) {
	w := testworld.New(t)
	id := w.Submit(w.Authorize("app"), testworld.Number)
	if _, err := w.Continue(id); !errors.Is(err, login.ErrState) {
		t.Fatalf("before the approval: got %v, want %v", err, login.ErrState)
	}
	w.Approve(testworld.Number)
	first, session := w.Finish(id)
	if view, err := w.View(id); err != nil || view.State != login.Approved {
		t.Errorf("view while the response is unused: got %+v, %v, want state %v", view, err, login.Approved)
	}
	second, err := w.ContinueWith(session, id)
	if err != nil || !reflect.DeepEqual(first.Response, second.Response) || first.Session != second.Session {
		t.Errorf("continuing again: got %+v, %v, want %+v", second, err, first)
	}
	if _, err := w.ContinueElsewhere(id, "another browser"); !errors.Is(err, login.ErrNotYours) {
		t.Errorf("another browser: got %v, want %v", err, login.ErrNotYours)
	}
	if a := w.Exchange("app", testworld.Param(second.Response, "code")); a.StatusCode != 200 {
		t.Fatalf("redeeming the code: got %v, want 200", a)
	}
	if _, err := w.Continue(id); !errors.Is(err, login.ErrState) {
		t.Errorf("after the code was used: got %v, want %v", err, login.ErrState)
	}
	if view, err := w.View(id); err != nil || view.State != login.Done {
		t.Errorf("view after the code was used: got %+v, %v, want state %v", view, err, login.Done)
	}
}

// What the client may have is looked at again when its response is due: a redirect
// URI that was taken from it in the meantime gets nothing, and uses nothing up.
func TestThreat_ARedirectURIThatWasTakenAway(t *testing.T) {
	w := testworld.New(t)
	c := testworld.App("")
	c.SecretHashes = nil
	c, _ = w.AddClient(c)
	register := func(uris ...string) {
		t.Helper()
		err := w.Store.UpdateClient(t.Context(), c.ID, func(c *client.Client) error { c.RedirectURIs = uris; return nil })
		if err != nil {
			t.Fatal(err)
		}
	}
	request := testworld.AuthRequest("app", "client_id", c.ID)
	id := w.Approved(request, testworld.Number)
	register("https://elsewhere.example/cb")
	if done, err := w.Continue(id); !errors.Is(err, endpoint.ErrBadRequest) || done.Session != "" {
		t.Errorf("continuing: got %+v, %v, want %v", done, err, endpoint.ErrBadRequest)
	}
	register(c.RedirectURIs...)
	done, session := w.Finish(id)
	register("https://elsewhere.example/cb")
	if again, err := w.Continue(id); !errors.Is(err, endpoint.ErrBadRequest) {
		t.Errorf("continuing again: got %+v, %v, want %v", again, err, endpoint.ErrBadRequest)
	}
	w.Get("/authorize?"+request.Encode(), session).WantStatus(t, "with the session", 400)
	register(c.RedirectURIs...)
	if again, err := w.Continue(id); err != nil || !reflect.DeepEqual(again.Response, done.Response) {
		t.Errorf("given back: got %+v, %v, want %+v", again, err, done.Response)
	}
	// One that has ended without success: the refusal goes nowhere either.
	id = w.Submit(w.Authorize("app", "client_id", c.ID), testworld.OtherNumber)
	if err := w.Flow.Cancel(t.Context(), id, testworld.Browser); err != nil {
		t.Fatal(err)
	}
	register("https://elsewhere.example/cb")
	if resp, err := w.Flow.Leave(t.Context(), id, testworld.Browser); !errors.Is(err, endpoint.ErrBadRequest) {
		t.Errorf("leaving: got %+v, %v, want %v", resp, err, endpoint.ErrBadRequest)
	}
	if view, err := w.Flow.Again(t.Context(), id, testworld.Browser, false); !errors.Is(err, endpoint.ErrBadRequest) {
		t.Errorf("trying again: got %+v, %v, want %v", view, err, endpoint.ErrBadRequest)
	}
}

// auth_time is when the user approved, however much later the browser goes on.
func TestAuthTimeIsTheApproval(t *testing.T) {
	testworld.Ring()
	synctest.Test(t, func(t *testing.T) {
		w := testworld.New(t)
		id := w.Submit(w.Authorize("app"), testworld.Number)
		time.Sleep(time.Minute)
		w.Approve(testworld.Number)
		approved := time.Now().Unix()
		time.Sleep(2 * time.Minute)
		done, session := w.Finish(id)
		time.Sleep(30 * time.Second)
		tokens := testworld.TokensIn(t, w.Exchange("app", testworld.Param(done.Response, "code")))
		later := w.CodeTokens(session, "app")
		seen := w.Introspect(tokens.Access, "app", testworld.Secret).JSON()
		for what, got := range map[string]any{
			"the ID token":     tokens.Claims(t)["auth_time"],
			"another ID token": later.Claims(t)["auth_time"],
			"introspection":    seen["auth_time"],
		} {
			if got != float64(approved) {
				t.Errorf("%s: got auth_time %v, want the approval at %d", what, got, approved)
			}
		}
		// And max_age counts from it.
		if code := w.AuthorizeWith(session, "app", "max_age", "151").Code(); code == "" {
			t.Error("max_age of 151 s after 150 s: got no code")
		}
		w.AuthorizeWith(session, "app", "max_age", "149").WantPage(t, "max_age of 149 s after 150 s", "signin")
	})
}

// engineThatCannotAbandon fails to end an attempt.
type engineThatCannotAbandon struct{ provider.Engine }

func (engineThatCannotAbandon) Abandon(context.Context, login.ID, login.BrowserSecret, login.Reason) error {
	return testworld.ErrDisk
}

// The client is told of the wrong user only when the sign-in has ended.
func TestAnotherPersonWhoCannotBeTurnedAway(t *testing.T) {
	w := testworld.New(t, func(c *testworld.Config) {
		c.WrapEngine = func(e *login.Engine) provider.Engine { return engineThatCannotAbandon{e} }
	})
	tokens, _ := w.Tokens("pair", "openid")
	id := w.Approved(testworld.AuthRequest("pair", "id_token_hint", tokens.ID), testworld.OtherNumber)
	if done, err := w.Continue(id); !errors.Is(err, testworld.ErrDisk) {
		t.Errorf("got %+v, %v, want %v", done, err, testworld.ErrDisk)
	}
}

// A sign-in to the account page leaves no code: there is no client that could redeem
// one. A sign-in to a client leaves the one that its response has.
func TestASignInToTheAccountLeavesNoCode(t *testing.T) {
	w := testworld.New(t)
	codeOf := func(id login.ID) error {
		t.Helper()
		a, err := w.Engine.Get(t.Context(), id, testworld.Browser)
		if err != nil {
			t.Fatal(err)
		}
		outcome, err := a.OutcomeFor(testworld.Browser)
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = w.Store.Code(t.Context(), grant.HashCode(outcome.Code))
		return err
	}
	id := w.SubmitApproved(w.Get("/account"), testworld.Number)
	for range 2 { // a double click
		if done, _ := w.Finish(id); done.Response.URL() != "/account" || done.Session == "" {
			t.Errorf("to the account: got %+v, want the account page and a session", done)
		}
	}
	if err := codeOf(id); !errors.Is(err, grant.ErrNotFound) {
		t.Errorf("to the account: got %v, want %v", err, grant.ErrNotFound)
	}
	id = w.Approved(testworld.AuthRequest("app"), testworld.Number)
	w.Finish(id)
	if err := codeOf(id); err != nil {
		t.Errorf("to a client: got %v, want a code", err)
	}
}

// The prompt of a finished attempt can be shown again until it expires, and not then.
func TestContinueToAnExpiredPrompt(t *testing.T) {
	testworld.Ring()
	synctest.Test(t, func(t *testing.T) {
		w := testworld.New(t)
		id := w.Approved(testworld.AuthRequest("third"), testworld.Number)
		w.Prompted(id)
		time.Sleep(time.Hour)
		w.Prompted(id)
		time.Sleep(time.Second)
		if done, err := w.Continue(id); !errors.Is(err, login.ErrState) {
			t.Errorf("after an hour: got %+v, %v, want %v", done, err, login.ErrState)
		}
	})
}

// After its session has ended, a finished attempt gives neither the session's cookie
// nor its response again.
func TestContinueAfterTheSessionHasEnded(t *testing.T) {
	w := testworld.New(t)
	for what, page := range map[string]testworld.Response{
		"to the account": w.Get("/account"),
		"to a client":    w.Authorize("app"),
		"with a prompt":  w.Authorize("wary"),
	} {
		t.Run(what, func(t *testing.T) {
			w := w.In(t)
			id := w.SubmitApproved(page, testworld.Number)
			_, session := w.Finish(id)
			if _, err := w.Store.EndSession(t.Context(), w.Claim(session, "sid")); err != nil {
				t.Fatal(err)
			}
			if done, err := w.Continue(id); !errors.Is(err, login.ErrState) || done.Session != "" {
				t.Errorf("continuing: got %+v, %v, want %v and no session", done, err, login.ErrState)
			}
			if view, err := w.View(id); err != nil || view.State != login.Done {
				t.Errorf("view: got %+v, %v, want state %v", view, err, login.Done)
			}
		})
	}
}

// forgetfulEngine recalls what a database that was switched over has lost.
type forgetfulEngine struct {
	provider.Engine
	recalled *login.Attempt
}

func (e forgetfulEngine) Recall(ctx context.Context, id login.ID, browser login.BrowserSecret) (login.Attempt, error) {
	if e.recalled.ID == id {
		return *e.recalled, nil
	}
	return e.Engine.Recall(ctx, id, browser)
}

// A sign-in that is finished gives its code for the request and the user of the attempt
// that is stored, and not of the one that was remembered.
func TestContinueWithAnotherAttemptThanIsStored(t *testing.T) {
	var recalled login.Attempt
	w := testworld.New(t, func(c *testworld.Config) {
		c.WrapEngine = func(e *login.Engine) provider.Engine { return forgetfulEngine{e, &recalled} }
	})
	id := w.Approved(testworld.AuthRequest("app", "state", "stored"), testworld.Number)
	stored, err := w.Store.Attempt(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	other, err := w.Store.Attempt(t.Context(), w.Approved(testworld.AuthRequest("app", "state", "lost"), "+46701740606"))
	if err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(){
		"request": func() { recalled.Request = other.Request },
		"user":    func() { recalled.Sub = other.Sub },
	} {
		recalled = stored
		change()
		if done, err := w.Continue(id); !errors.Is(err, login.ErrState) {
			t.Errorf("with another %s remembered: %+v, %v, want ErrState", what, done, err)
		}
	}
	recalled = login.Attempt{}
	if _, err := w.Continue(id); err != nil {
		t.Errorf("as it is stored: %v", err)
	}
}
