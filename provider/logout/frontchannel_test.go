// SPDX-License-Identifier: Apache-2.0

package logout_test

import (
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"calleridp/provider/client"
	"calleridp/provider/internal/testworld"
)

// tell adds a client that hears of a sign-out.
func tell(w *testworld.World, id string, change func(*client.Client)) {
	c := client.Client{
		ID:           id,
		Name:         id,
		Public:       true,
		RedirectURIs: []string{"https://" + id + ".example/cb"},
		FrontChannel: client.FrontChannel{LogoutURI: "https://" + id + ".example/out?a=b"},
	}
	if change != nil {
		change(&c)
	}
	w.AddClient(c)
}

func needsSession(c *client.Client) { c.FrontChannel.SessionRequired = true }

func pairwise(c *client.Client) {
	needsSession(c)
	c.Pairwise = true
}

// visit signs the browser's user in to the client and returns the sid that it has seen.
func visit(t *testing.T, w *testworld.World, session *http.Cookie, id string) string {
	t.Helper()
	redirect := "https://" + id + ".example/cb"
	_, query := w.AuthorizeWith(session, id, "redirect_uri", redirect).Redirect()
	v := testworld.CodeRequest(id, query.Get("code"))
	v.Set("client_id", id)
	v.Set("redirect_uri", redirect)
	sid, _ := testworld.TokensIn(t, w.Post("/token", v)).Claims(t)["sid"].(string)
	if sid == "" {
		t.Fatalf("%s: got no sid", id)
	}
	return sid
}

// frames returns the frames of the page after signing out, and where it goes on to.
func frames(t *testing.T, a testworld.Response, what string) (frames []string, next string) {
	t.Helper()
	view := a.WantPage(t, what, "signedout")
	for _, f := range view["Frames"].([]any) {
		frames = append(frames, f.(string))
	}
	next, _ = view["Next"].(string)
	if !a.ClearsSession() {
		t.Errorf("%s: got the session's cookie kept", what)
	}
	return frames, next
}

// Each client of the session hears of its end, once, with the session's ID as it knows it;
// then the browser goes on.
func TestFrontChannelLogout(t *testing.T) {
	w := testworld.New(t)
	tell(w, "plain", nil)
	tell(w, "needs", needsSession)
	tell(w, "apart", pairwise)
	tell(w, "absent", nil)
	tell(w, "silent", func(c *client.Client) { c.FrontChannel = client.FrontChannel{} })
	tell(w, "gone", nil)
	got, session := w.Tokens("app", "openid")
	visit(t, w, session, "plain")
	own, other := visit(t, w, session, "needs"), visit(t, w, session, "apart")
	visit(t, w, session, "silent")
	visit(t, w, session, "gone")
	visit(t, w, session, "plain") // again
	w.RemoveClient("gone")
	if own == other {
		t.Fatalf("sid: got %q for a pairwise client, want one of its own", other)
	}
	query := url.Values{"id_token_hint": {got.ID}, "post_logout_redirect_uri": {"https://app.example/bye"}, "state": {"a b"}, "ui_locales": {"sv"}}
	a := w.Get("/logout?"+query.Encode(), session)
	list, next := frames(t, a, "signing out")
	iss := url.QueryEscape(testworld.Issuer)
	want := []string{
		"https://plain.example/out?a=b",
		"https://apart.example/out?a=b&iss=" + iss + "&sid=" + other,
		"https://needs.example/out?a=b&iss=" + iss + "&sid=" + own,
	}
	if !reflect.DeepEqual(list, want) || next != "https://app.example/bye?state=a+b" {
		t.Errorf("got the frames %q and %q next, want %q and the registered address with its state", list, next, want)
	}
	if _, view := a.Page(); !reflect.DeepEqual(view["UILocales"], []any{"sv"}) {
		t.Errorf("languages: got %v, want sv", view["UILocales"])
	}
	wantSignedOut(t, w, a, session)
	// Once more, there is no session, and nobody to tell.
	w.Get("/logout?"+query.Encode(), session).WantRedirect(t, "again", "https://app.example/bye?state=a+b")
}

// However a browser signs out, the clients hear of it.
func TestFrontChannelLogoutEverywhere(t *testing.T) {
	w := testworld.New(t)
	tell(w, "plain", nil)
	token := func(session *http.Cookie, path string) string {
		_, view := w.Get(path, session).Page()
		text, _ := view["Token"].(string)
		return text
	}
	for what, row := range map[string]struct {
		do   func(session *http.Cookie, sid string) testworld.Response
		next string
	}{
		"the prompt": {func(session *http.Cookie, _ string) testworld.Response {
			return w.Post("/logout/confirm", url.Values{"request": {signOutRequest(t, w, session, "client_id=app&post_logout_redirect_uri=https://app.example/bye")}}, testworld.Cookie(session))
		}, "https://app.example/bye"},
		"the prompt, without a client": {func(session *http.Cookie, _ string) testworld.Response {
			return w.Post("/logout/confirm", url.Values{"request": {signOutRequest(t, w, session, "")}}, testworld.Cookie(session))
		}, ""},
		"the account page": {func(session *http.Cookie, sid string) testworld.Response {
			return w.Post("/account/signout", url.Values{"token": {token(session, "/account")}, "session": {sid}}, testworld.Cookie(session))
		}, ""},
		"everywhere": {func(session *http.Cookie, _ string) testworld.Response {
			return w.Post("/account/signout-all", url.Values{"token": {token(session, "/account")}}, testworld.Cookie(session))
		}, ""},
		"deletion": {func(session *http.Cookie, _ string) testworld.Response {
			return w.Post("/account/delete", url.Values{"token": {token(session, "/account/delete")}}, testworld.Cookie(session))
		}, "/account/deleted"},
	} {
		t.Run(what, func(t *testing.T) {
			w := w.In(t)
			_, session := w.Tokens("app", "openid")
			sid := visit(t, w, session, "plain")
			list, next := frames(t, row.do(session, sid), what)
			if len(list) != 1 || next != row.next || w.SignedIn(session) {
				t.Errorf("got the frames %q and %q next, and signed in %v, want one and %q, and false", list, next, w.SignedIn(session), row.next)
			}
		})
	}
}

// A holder of the hint that is not the browser, such as another client's server, does not
// learn which clients the user has.
func TestThreat_OnlyTheBrowserLearnsWhoTookPart(t *testing.T) {
	w := testworld.New(t)
	tell(w, "plain", nil)
	got, session := w.Tokens("app", "openid")
	visit(t, w, session, "plain")
	a := w.Get("/logout?id_token_hint=" + got.ID)
	a.WantRedirect(t, "without the cookie", "/logout/done?client_id=app")
	if strings.Contains(a.Text, "plain") || w.SignedIn(session) {
		t.Errorf("got %v and signed in %v, want no word of the other client, and false", a, w.SignedIn(session))
	}
}

// The page has a bounded number of frames: those of the latest clients.
func TestFrontChannelLogoutIsBounded(t *testing.T) {
	w := testworld.New(t)
	_, session := w.Tokens("app", "openid")
	const most = 32
	for i := range most + 2 {
		id := fmt.Sprintf("c%d", i)
		tell(w, id, nil)
		visit(t, w, session, id)
	}
	sealed := signOutRequest(t, w, session, "")
	list, _ := frames(t, w.Post("/logout/confirm", url.Values{"request": {sealed}}, testworld.Cookie(session)), "signing out")
	if len(list) != most || list[0] != fmt.Sprintf("https://c%d.example/out?a=b", most+1) {
		t.Errorf("got %d frames, the first %s, want %d, the latest first", len(list), list[0], most)
	}
	w.WantLogged("not every client was told")
}

// A client that was registered again, under the ID of a removed one, took no part.
func TestFrontChannelLogoutOfARegisteredAgainClient(t *testing.T) {
	w := testworld.New(t)
	tell(w, "plain", nil)
	_, session := w.Tokens("app", "openid")
	visit(t, w, session, "plain")
	w.RemoveClient("plain")
	tell(w, "plain", nil)
	w.Code(session, "app") // the session goes on
	sealed := signOutRequest(t, w, session, "")
	w.Post("/logout/confirm", url.Values{"request": {sealed}}, testworld.Cookie(session)).WantRedirect(t, "signing out", "/logout/done")
}

// An address that was taken from the client while the prompt was open is not followed.
func TestThreat_AnAddressThatWasTakenAway(t *testing.T) {
	w := testworld.New(t)
	tell(w, "plain", func(c *client.Client) { c.PostLogoutRedirectURIs = []string{"https://plain.example/bye"} })
	_, session := w.Tokens("app", "openid")
	sealed := signOutRequest(t, w, session, "client_id=plain&post_logout_redirect_uri=https://plain.example/bye")
	w.RemoveClient("plain")
	w.Post("/logout/confirm", url.Values{"request": {sealed}}, testworld.Cookie(session)).WantRedirect(t, "signing out", "/logout/done?client_id=plain")
}

func TestFrontChannelMetadata(t *testing.T) {
	w := testworld.New(t)
	d := w.Get("/.well-known/openid-configuration").JSON()
	testworld.WantMembers(t, "discovery", d, map[string]any{
		"frontchannel_logout_supported":         true,
		"frontchannel_logout_session_supported": true,
	})
}
