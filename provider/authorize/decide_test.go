// SPDX-License-Identifier: Apache-2.0

package authorize_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider/internal/testworld"
	"calleridp/provider/subject"
)

// A session signs the same user in to a second client without a push.
func TestASessionServesTheSecondClient(t *testing.T) {
	w := testworld.New(t)
	first, session := w.Tokens("app", "openid")
	pushes := w.Phone.Pushed()
	a := w.AuthorizeWith(session, "es256")
	at, query := a.Redirect()
	if a.StatusCode != 303 || at != testworld.RedirectURI("es256") || query.Get("code") == "" ||
		query.Get("iss") != testworld.Issuer {
		t.Fatalf("second client: got %v, want a redirect with code and iss", a)
	}
	one, two := first.Claims(t), testworld.TokensIn(t, w.Exchange("es256", query.Get("code"))).Claims(t)
	for _, claim := range []string{"sub", "sid", "auth_time"} {
		if one[claim] != two[claim] {
			t.Errorf("%s of the second client: got %v, want %v", claim, two[claim], one[claim])
		}
	}
	if n := w.Phone.Pushed(); n != pushes {
		t.Errorf("pushes after the second client: got %d, want %d", n, pushes)
	}
	if set := a.Header.Get("Set-Cookie"); !strings.HasPrefix(set, "__Host-calleridp_state=") || len(a.Cookies()) != 1 {
		t.Errorf("second client: got the cookie %q, want the state that was missing, and no other", set)
	}
}

func TestPromptAndMaxAge(t *testing.T) {
	w := testworld.New(t)
	tokens, session := w.Tokens("app", "openid")
	hint := tokens.ID
	others, _ := w.TokensOf(testworld.OtherNumber, "app", "openid")
	othersHint := others.ID
	for _, row := range []struct {
		what    string
		pairs   []string
		cookied bool
		want    string // code, page, or the error
	}{
		{"a session", nil, true, "code"},
		{"no session", nil, false, "page"},
		{"none with a session", []string{"prompt", "none"}, true, "code"},
		{"none without a session", []string{"prompt", "none"}, false, "login_required"},
		{"login", []string{"prompt", "login"}, true, "page"},
		{"select_account", []string{"prompt", "select_account"}, true, "page"},
		{"consent", []string{"prompt", "consent"}, true, "consent"},
		{"consent login", []string{"prompt", "consent login"}, true, "page"},
		{"none login", []string{"prompt", "none login"}, true, "invalid_request"},
		{"unknown prompt", []string{"prompt", "create"}, true, "invalid_request"},
		{"long max_age", []string{"max_age", "10000"}, true, "code"},
		{"huge max_age", []string{"max_age", "9999999999"}, true, "code"},
		{"max_age 0", []string{"max_age", "0"}, true, "page"},
		{"max_age 0, none", []string{"max_age", "0", "prompt", "none"}, true, "login_required"},
		{"negative max_age", []string{"max_age", "-1"}, true, "invalid_request"},
		{"signed max_age", []string{"max_age", "+1"}, true, "invalid_request"},
		{"endless max_age", []string{"max_age", "99999999999999999999"}, true, "invalid_request"},
		{"own hint", []string{"id_token_hint", hint}, true, "code"},
		{"own hint, none", []string{"id_token_hint", hint, "prompt", "none"}, true, "code"},
		{"another's hint", []string{"id_token_hint", othersHint}, true, "page"},
		{"another's hint, none", []string{"id_token_hint", othersHint, "prompt", "none"}, true, "login_required"},
		{"a malformed hint", []string{"id_token_hint", "nonsense"}, true, "invalid_request"},
		{"another client's hint", []string{"client_id", "es256", "redirect_uri", testworld.RedirectURI("es256"), "id_token_hint", hint}, true, "invalid_request"},
	} {
		t.Run(row.what, func(t *testing.T) {
			a := w.Authorize("app", row.pairs...)
			if row.cookied {
				a = w.AuthorizeWith(session, "app", row.pairs...)
			}
			if got := outcome(t, a); got != row.want {
				t.Errorf("got %s, want %s", got, row.want)
			}
		})
	}
}

// outcome returns what an authorization request led to: code, page (to sign in),
// consent, or the error. A redirect must have state and iss.
func outcome(t *testing.T, a testworld.Response) string {
	t.Helper()
	if a.StatusCode == 303 {
		_, query := a.Redirect()
		if query.Get("state") != "the-state" || query.Get("iss") != testworld.Issuer {
			t.Errorf("got %v, want state and iss", a)
		}
		if query.Get("code") != "" {
			return "code"
		}
		return query.Get("error")
	}
	switch page, _ := a.Page(); page {
	case "signin":
		return "page"
	case "consent":
		return page
	default:
		return a.String()
	}
}

func TestDefaultMaxAge(t *testing.T) {
	w := testworld.New(t)
	_, session := w.Tokens("app", "openid")
	if a := w.AuthorizeWith(session, "hourly"); a.Code() == "" {
		t.Errorf("a fresh session: got %v, want a code", a)
	}
	w.AuthorizeWith(session, "hourly", "max_age", "0").WantPage(t, "max_age=0 in the request", "signin")
}

// A session that has expired (after 24 hours, by default) signs nobody in, whether or
// not it has been swept.
func TestAnExpiredSessionSignsNobodyIn(t *testing.T) {
	testworld.Ring()
	synctest.Test(t, func(t *testing.T) {
		w := testworld.New(t)
		_, cookie := w.SignIn(testworld.AuthRequest("app"), testworld.Number)
		time.Sleep(24*time.Hour - time.Second)
		if !w.SignedIn(cookie) {
			t.Error("a second before its end: got no code, want one")
		}
		time.Sleep(time.Second)
		if w.SignedIn(cookie) {
			t.Error("at its end: got a code, want none")
		}
		w.Get("/account", cookie).WantPage(t, "the account page at its end", "signin")
	})
}

// peopleWithout finds no users while deleted is set, as after a deletion between two
// reads.
type peopleWithout struct {
	subject.Store
	deleted *bool
}

func (p peopleWithout) Person(ctx context.Context, sub string) (subject.Person, error) {
	if *p.deleted {
		return subject.Person{}, subject.ErrNotFound
	}
	return p.Store.Person(ctx, sub)
}

// A user who was deleted after their session was found is not signed in, and that is
// no failure of the server.
func TestADeletedUserIsNotSignedIn(t *testing.T) {
	var deleted bool
	w := testworld.New(t, func(c *testworld.Config) {
		c.Provider.People = peopleWithout{c.Provider.People, &deleted}
	})
	_, session := w.SignIn(testworld.AuthRequest("app"), testworld.Number)
	deleted = true
	for prompt, want := range map[string]string{"": "page", "none": "login_required", "consent": "page"} {
		if got := outcome(t, w.AuthorizeWith(session, "app", "prompt", prompt)); got != want {
			t.Errorf("prompt=%s: got %s, want %s", prompt, got, want)
		}
	}
}
