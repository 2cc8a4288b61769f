package provider_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"calleridp/provider"
	"calleridp/provider/grant"
	"calleridp/provider/login"
	"calleridp/provider/subject"
	"calleridp/truecaller"
)

// One thing is wrong in each row. None of them reaches Truecaller, and after it
// the code is still good.
func TestTokenExchangeRefuses(t *testing.T) {
	long := strings.Repeat("a", 3000)
	for _, row := range []struct {
		what   string
		form   url.Values
		auth   func(*http.Request)
		status int
		code   string
	}{
		{"no subject_token", exchanged("native", "subject_token", "-"), nil, 400, "invalid_request"},
		{"an empty subject_token", exchanged("native", "subject_token", ""), nil, 400, "invalid_request"},
		{"a subject_token with a space", exchanged("native", "subject_token", "a b"), nil, 400, "invalid_request"},
		{"a long subject_token", exchanged("native", "subject_token", long), nil, 400, "invalid_request"},
		{"no subject_token_type", exchanged("native", "subject_token_type", "-"), nil, 400, "invalid_request"},
		{"an ID token's type", exchanged("native", "subject_token_type", "urn:ietf:params:oauth:token-type:id_token"), nil, 400, "invalid_request"},
		{"a JWT's type", exchanged("native", "subject_token_type", "urn:ietf:params:oauth:token-type:jwt"), nil, 400, "invalid_request"},
		{"our own access token's type", exchanged("native", "subject_token_type", accessTokenTy), nil, 400, "invalid_request"},
		{"no code_verifier", exchanged("native", "code_verifier", "-"), nil, 400, "invalid_request"},
		{"a short code_verifier", exchanged("native", "code_verifier", verifier[:42]), nil, 400, "invalid_request"},
		{"a code_verifier with a plus", exchanged("native", "code_verifier", verifier+"+"), nil, 400, "invalid_request"},
		{"an actor_token", exchanged("native", "actor_token", "x", "actor_token_type", accessTokenTy), nil, 400, "invalid_request"},
		{"an actor_token_type alone", exchanged("native", "actor_token_type", accessTokenTy), nil, 400, "invalid_request"},
		{"another requested_token_type", exchanged("native", "requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token"), nil, 400, "invalid_request"},
		{"an audience", exchanged("native", "audience", "https://api.example"), nil, 400, "invalid_target"},
		{"a resource", exchanged("native", "resource", "https://api.example"), nil, 400, "invalid_target"},
		{"two resources", url.Values{"resource": {"https://a.example", "https://b.example"}}, nil, 400, "invalid_target"},
		{"two audiences", url.Values{"audience": {"a", "b"}}, nil, 400, "invalid_target"},
		{"subject_token twice", url.Values{"subject_token": {sdkCode, sdkCode}}, nil, 400, "invalid_request"},
		{"code_verifier twice", url.Values{"code_verifier": {verifier, verifier}}, nil, 400, "invalid_request"},
		{"grant_type twice", url.Values{"grant_type": {exchangeGrant, exchangeGrant}}, nil, 400, "invalid_request"},
		{"scope twice", url.Values{"scope": {"openid", "phone"}}, nil, 400, "invalid_request"},
		{"no client", exchanged("native", "client_id", "-"), nil, 401, "invalid_client"},
		{"an unknown client", exchanged("nobody"), nil, 401, "invalid_client"},
		{"a public client with a secret", exchanged("native", "client_secret", "x"), nil, 401, "invalid_client"},
		{"a confidential client without its secret", exchanged("backend"), nil, 401, "invalid_client"},
		{"a confidential client with a wrong one", exchanged("backend"), basic("backend", "wrong"), 401, "invalid_client"},
		{"an assertion", exchanged("native", "client_assertion", "x"), nil, 401, "invalid_client"},
		{"a client that is not native", exchanged("app", "client_id", "-"), basic("app", secret), 400, "unauthorized_client"},
		{"a public client that is not native", exchanged("public"), nil, 400, "unauthorized_client"},
		{"a web client of the same Truecaller app", exchanged("web-of-nat", "client_id", "-"), basic("web-of-nat", secret), 400, "unauthorized_client"},
		{"a native client of an app without a client id", exchanged("native-lost"), nil, 400, "unauthorized_client"},
	} {
		t.Run(row.what, func(t *testing.T) {
			w, oauth := nativeWorld(t, nil)
			form := row.form
			if form.Get("client_id") == "" && row.status == 400 && row.auth == nil { // a change of the usual
				form = exchanged("native")
				maps.Copy(form, row.form)
			}
			auth := row.auth
			if auth == nil {
				auth = func(*http.Request) {}
			}
			a := w.post("/token", form, auth)
			if a.StatusCode != row.status || a.json()["error"] != row.code || a.json()["error_description"] == "" || a.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%d %v %s", a.StatusCode, a.Header, a.body)
			}
			if challenge := a.Header.Get("WWW-Authenticate"); strings.HasPrefix(challenge, "Basic ") != (row.status == 401) {
				t.Errorf("WWW-Authenticate %q", challenge)
			}
			if len(oauth.asked) != 0 {
				t.Errorf("Truecaller was asked: %v", oauth.asked)
			}
			w.native("native")
			w.quiet(sdkCode, verifier, long)
		})
	}
	w, oauth := nativeWorld(t, nil)
	for _, in := range []string{"subject_token", "code_verifier", "actor_token"} {
		if a := w.post("/token?"+url.Values{in: {"x"}}.Encode(), exchanged("native")); a.StatusCode != 400 || len(oauth.asked) != 0 {
			t.Errorf("%s in the URL: %d %s", in, a.StatusCode, a.body)
		}
	}
	if a := w.get("/token?" + exchanged("native").Encode()); a.StatusCode != 405 {
		t.Errorf("GET: %d", a.StatusCode)
	}
}

// quiet checks that the log has none of the secrets (invariant 10).
func (w *world) quiet(secrets ...string) {
	w.t.Helper()
	for _, s := range append(secrets, "access-token-of-truecaller", number[1:], number[3:]) {
		if strings.Contains(w.log.text(), s) {
			w.t.Errorf("the log has %.60q", s)
		}
	}
}

// Truecaller's errors, and what the application is told: what is wrong with the
// subject token is an invalid_request (RFC 8693 §2.2.2).
func TestTokenExchangeTellsTruecallersErrors(t *testing.T) {
	for _, row := range []struct {
		exchange, userinfo error
		status             int
		code, says         string
	}{
		{truecaller.ErrCodeRefused, nil, 400, "invalid_request", "subject_token"},
		{truecaller.ErrClientIDRefused, nil, 500, "server_error", "reference"},
		{truecaller.ErrExchange, nil, 500, "server_error", "reference"},
		{truecaller.ErrExchangeUnavailable, nil, 503, "temporarily_unavailable", "Truecaller"},
		{nil, truecaller.ErrUnauthorized, 400, "invalid_request", "subject_token"},
		{nil, truecaller.ErrNoOpenID, 400, "invalid_request", "scope openid"},
		{nil, truecaller.ErrNoNumber, 400, "invalid_request", "scope phone"},
		{nil, truecaller.ErrUnverified, 400, "invalid_request", "verified"},
		{nil, truecaller.ErrNoProfile, 400, "invalid_request", "profile"},
		{nil, truecaller.ErrProfile, 500, "server_error", "reference"},
		{nil, truecaller.ErrProfileUnavailable, 503, "temporarily_unavailable", "Truecaller"},
	} {
		t.Run(fmt.Sprint(row.exchange, row.userinfo), func(t *testing.T) {
			w, oauth := nativeWorld(t, nil)
			secretly := errors.New("what only the log may have")
			if row.exchange != nil {
				oauth.exchange = fmt.Errorf("%w: %w", row.exchange, secretly)
			} else {
				oauth.userinfo = fmt.Errorf("%w: %w", row.userinfo, secretly)
			}
			a := w.post("/token", exchanged("native"))
			says, _ := a.json()["error_description"].(string)
			if a.StatusCode != row.status || a.json()["error"] != row.code || !strings.Contains(says, row.says) || strings.Contains(a.body, secretly.Error()) || len(a.json()) != 2 {
				t.Errorf("%d %s", a.StatusCode, a.body)
			}
			if (a.Header.Get("Retry-After") != "") != (row.status == 503) {
				t.Errorf("Retry-After %q", a.Header.Get("Retry-After"))
			}
			if !strings.Contains(w.log.text(), secretly.Error()) || !strings.Contains(w.log.text(), `"attempt.failed"`) {
				t.Error("the log does not say why")
			}
			w.quiet(sdkCode, verifier)
		})
	}
}

// While Truecaller does not answer, an application is told when to try again, and
// its code is still good if it was not sent.
func TestTokenExchangeWhileTruecallerDoesNotAnswer(t *testing.T) {
	w, oauth := nativeWorld(t, nil)
	down := &truecaller.Unavailable{Purpose: truecaller.ForToken, Host: "oauth.example", RetryAt: time.Now().Add(25 * time.Second)}
	oauth.down = down
	a := w.post("/token", exchanged("native"))
	if a.StatusCode != 503 || a.json()["error"] != "temporarily_unavailable" || a.Header.Get("Retry-After") != "25" || !strings.Contains(a.body, "still good") {
		t.Errorf("%d %v %s", a.StatusCode, a.Header, a.body)
	}
	oauth.down = nil
	w.native("native")

	oauth.userinfo = fmt.Errorf("%w: %w", truecaller.ErrProfileUnavailable, down)
	a = w.post("/token", exchanged("native", "subject_token", "other"))
	if a.StatusCode != 503 || a.Header.Get("Retry-After") != "25" || strings.Contains(a.body, "still good") {
		t.Errorf("at the profile: %d %v %s", a.StatusCode, a.Header, a.body)
	}
}

// overtaken is an engine whose native sign-ins end so.
type overtaken struct {
	provider.Engine
	err error
}

func (o overtaken) Native(
	context.Context, login.NativeRequest, func(login.Attempt, truecaller.Profile) grant.Redemption,
) (login.NativeSignIn, error) {
	return login.NativeSignIn{}, o.err
}

// What happens to a sign-in while an application waits is told, and a failure of
// ours is hidden.
func TestTokenExchangeThatIsOvertaken(t *testing.T) {
	for _, row := range []struct {
		err    error
		status int
		code   string
	}{
		{subject.ErrNotFound, 400, "invalid_request"}, // the person was deleted
		{login.ErrState, 503, "temporarily_unavailable"},
		{errors.New("the disk is full"), 500, "server_error"},
	} {
		w, _ := nativeWorld(t, nil, func(c *provider.Config) { c.Engine = overtaken{c.Engine, row.err} })
		a := w.post("/token", exchanged("native"))
		if a.StatusCode != row.status || a.json()["error"] != row.code || strings.Contains(a.body, row.err.Error()) {
			t.Errorf("%v: %d %s", row.err, a.StatusCode, a.body)
		}
	}
}
