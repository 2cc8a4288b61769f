// SPDX-License-Identifier: Apache-2.0

package testworld

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"testing"
	"time"

	"calleridp/provider/authorize"
	"calleridp/provider/login"
	"calleridp/provider/session"
	"calleridp/truecaller"
)

const (
	sessionCookie = "__Host-calleridp_session"
	browserCookie = "__Host-calleridp_browser"
)

// SessionCookie returns the cookie of a session secret.
func SessionCookie(secret session.Secret) *http.Cookie {
	return &http.Cookie{Name: sessionCookie, Value: string(secret)}
}

// secretOf returns the session secret that a cookie carries.
func secretOf(c *http.Cookie) session.Secret { return session.Secret(c.Value) }

// PKCEChallenge returns the S256 challenge of a verifier.
func PKCEChallenge(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// AuthRequest returns a valid authorization request of the client, changed by
// pairs of name and value. The value "-" leaves a parameter out.
func AuthRequest(clientID string, pairs ...string) url.Values {
	return changed(url.Values{
		"client_id":             {clientID},
		"redirect_uri":          {RedirectURI(clientID)},
		"response_type":         {"code"},
		"scope":                 {"openid"},
		"state":                 {"the-state"},
		"nonce":                 {"the-nonce"},
		"code_challenge":        {PKCEChallenge(Verifier)},
		"code_challenge_method": {"S256"},
	}, pairs)
}

// changed changes parameters by pairs of name and value, "-" for none.
func changed(v url.Values, pairs []string) url.Values {
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] == "-" {
			v.Del(pairs[i])
			continue
		}
		v.Set(pairs[i], pairs[i+1])
	}
	return v
}

// Authorize sends the AuthRequest of the client, without a session.
func (w *World) Authorize(clientID string, pairs ...string) Response {
	w.t.Helper()
	return w.Get("/authorize?" + AuthRequest(clientID, pairs...).Encode())
}

// AuthorizeWith sends the AuthRequest of the client in a session.
func (w *World) AuthorizeWith(session *http.Cookie, clientID string, pairs ...string) Response {
	w.t.Helper()
	return w.Get("/authorize?"+AuthRequest(clientID, pairs...).Encode(), session)
}

// Submission returns what the form of a sign-in page sends with the number.
func (w *World) Submission(page Response, number string) authorize.Submission {
	w.t.Helper()
	return authorize.Submission{
		Request: SealedRequest(w.t, page, "signin"),
		Phone:   number,
		Browser: Browser,
		Network: Network,
	}
}

// SealedRequest returns the sealed request in the form of a page.
func SealedRequest(t testing.TB, r Response, page string) string {
	t.Helper()
	name, view := r.Page()
	sealed, _ := view["Request"].(string)
	if name != page || sealed == "" {
		t.Fatalf("got %v, want the page %s with a sealed request", r, page)
	}
	return sealed
}

// Submit submits a number in a sign-in page.
func (w *World) Submit(page Response, number string) login.ID {
	w.t.Helper()
	id, err := w.Flow.Submit(w.t.Context(), w.Submission(page, number))
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

// Approve approves the push to the number.
func (w *World) Approve(number string) {
	w.t.Helper()
	w.ApproveAs(Profile(w.t, number))
}

// ApproveAs approves the push to the profile's number, as the user of the profile.
func (w *World) ApproveAs(p truecaller.Profile) {
	w.t.Helper()
	state := w.Phone.State(p.Numbers[0])
	d := w.Deliver(truecaller.Delivery{
		ID:       "d-" + state,
		App:      "one",
		Received: time.Now(),
		Callback: truecaller.Callback{State: state, RequestID: "r", AccessToken: "t"},
	})
	if err := w.Engine.Profile(w.t.Context(), d, p); err != nil {
		w.t.Fatal(err)
	}
}

// Deliver puts a delivery into the inbox, as its receiver does.
func (w *World) Deliver(d truecaller.Delivery) truecaller.Delivery {
	w.t.Helper()
	if held, err := w.Store.PutDelivery(w.t.Context(), d); err != nil || !held {
		w.t.Fatalf("delivery %s: held %v, %v", d.ID, held, err)
	}
	return d
}

// SubmitApproved submits a number in a sign-in page and approves the push.
func (w *World) SubmitApproved(page Response, number string) login.ID {
	w.t.Helper()
	id := w.Submit(page, number)
	w.Approve(number)
	return id
}

// Approved sends a request, submits the number and approves the push.
func (w *World) Approved(request url.Values, number string) login.ID {
	w.t.Helper()
	return w.SubmitApproved(w.Get("/authorize?"+request.Encode()), number)
}

// View returns what the waiting page shows of an attempt.
func (w *World) View(id login.ID) (authorize.AttemptView, error) {
	return w.Flow.View(w.t.Context(), id, Browser)
}

// Continue continues an approved attempt in its browser, which has no session.
func (w *World) Continue(id login.ID) (authorize.Finished, error) {
	return w.Flow.Continue(w.t.Context(), id, Browser, "")
}

// ContinueWith continues an approved attempt in its browser, which has a session.
func (w *World) ContinueWith(session *http.Cookie, id login.ID) (authorize.Finished, error) {
	return w.Flow.Continue(w.t.Context(), id, Browser, secretOf(session))
}

// ContinueElsewhere continues an attempt in another browser.
func (w *World) ContinueElsewhere(id login.ID, browser login.BrowserSecret) (authorize.Finished, error) {
	return w.Flow.Continue(w.t.Context(), id, browser, "")
}

// Finish continues an approved attempt. It returns the response to the client and
// the session.
func (w *World) Finish(id login.ID) (authorize.Finished, *http.Cookie) {
	w.t.Helper()
	done, err := w.Continue(id)
	if err != nil {
		w.t.Fatal(err)
	}
	return done, SessionCookie(done.Session)
}

// SignIn goes from the authorization request to its response.
func (w *World) SignIn(request url.Values, number string) (authorize.Finished, *http.Cookie) {
	w.t.Helper()
	return w.Finish(w.Approved(request, number))
}

// SignInAs does so as the user of a profile.
func (w *World) SignInAs(request url.Values, p truecaller.Profile) (authorize.Finished, *http.Cookie) {
	w.t.Helper()
	id := w.Submit(w.Get("/authorize?"+request.Encode()), p.Numbers[0].E164())
	w.ApproveAs(p)
	return w.Finish(id)
}

// Param returns a parameter of an authorization response, "" for none.
func Param(r authorize.Response, name string) string {
	for _, p := range r.Params {
		if p.Name == name {
			return p.Value
		}
	}
	return ""
}

// sessionState matches the parameter session_state.
var sessionState = regexp.MustCompile(`&session_state=[\w.-]+`)

// WithoutSessionState returns the address of a response without session_state, of which
// each error has another one.
func WithoutSessionState(location string) string { return sessionState.ReplaceAllString(location, "") }

// CodeRequest returns the token request that redeems a code of the client.
func CodeRequest(clientID, code string) url.Values {
	return url.Values{
		"grant_type":    {"authorization_code"},
		"code":          {code},
		"redirect_uri":  {RedirectURI(clientID)},
		"code_verifier": {Verifier},
	}
}

// Exchange redeems a code.
func (w *World) Exchange(clientID, code string, change ...func(url.Values)) Response {
	w.t.Helper()
	v := CodeRequest(clientID, code)
	for _, c := range change {
		c(v)
	}
	if clientID == "public" {
		v.Set("client_id", clientID)
		return w.Post("/token", v)
	}
	return w.Post("/token", v, Basic(clientID, Secret))
}

// RefreshRequest returns the token request that uses a refresh token.
func RefreshRequest(token string) url.Values {
	return url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}
}

// Refresh uses a refresh token, with pairs of name and value besides.
func (w *World) Refresh(clientID, token string, pairs ...string) Response {
	w.t.Helper()
	return w.Post("/token", changed(RefreshRequest(token), pairs), Basic(clientID, Secret))
}

// Tokens is a token response.
type Tokens struct {
	Response
	Access  string
	Refresh string // "" for none
	ID      string // "" for none
}

// TokensIn returns the tokens of a response, which must have some.
func TokensIn(t testing.TB, r Response) Tokens {
	t.Helper()
	if r.StatusCode != http.StatusOK {
		t.Fatalf("token response: got %v, want 200", r)
	}
	return Tokens{
		Response: r,
		Access:   r.Member("access_token"),
		Refresh:  r.Member("refresh_token"),
		ID:       r.Member("id_token"),
	}
}

// Tokens signs the user of Number in and redeems the code.
func (w *World) Tokens(clientID, scope string) (Tokens, *http.Cookie) {
	w.t.Helper()
	return w.TokensOf(Number, clientID, scope)
}

// TokensOf signs the user of the number in and redeems the code.
func (w *World) TokensOf(number, clientID, scope string) (Tokens, *http.Cookie) {
	w.t.Helper()
	done, session := w.SignIn(AuthRequest(clientID, "scope", scope), number)
	return TokensIn(w.t, w.Exchange(clientID, Param(done.Response, "code"))), session
}

// Userinfo requests the claims of an access token.
func (w *World) Userinfo(token string) Response {
	w.t.Helper()
	r := httptest.NewRequest(http.MethodGet, Issuer+"/userinfo", nil)
	Bearer(token)(r)
	return w.Do(r)
}

// Introspect introspects a token as a client with this secret.
func (w *World) Introspect(token, clientID, secret string) Response {
	w.t.Helper()
	return w.Post("/introspect", url.Values{"token": {token}}, Basic(clientID, secret))
}

// Claims returns the claims of an ID token that a World issued.
func Claims(t testing.TB, token string) map[string]any {
	t.Helper()
	payload, err := Ring().Verify(token)
	if err != nil {
		t.Fatalf("ID token %q: %v", token, err)
	}
	var m map[string]any
	if err := json.Unmarshal(payload, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// Claims returns the claims of the ID token.
func (k Tokens) Claims(t testing.TB) map[string]any {
	t.Helper()
	return Claims(t, k.ID)
}

// Seconds returns the time of a claim that is a number, the epoch if it is none.
func Seconds(claim any) time.Time {
	seconds, _ := claim.(float64)
	return time.Unix(int64(seconds), 0)
}
