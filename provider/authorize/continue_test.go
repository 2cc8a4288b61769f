package authorize_test

import (
	"errors"
	"reflect"
	"testing"

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
