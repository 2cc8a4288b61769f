// SPDX-License-Identifier: Apache-2.0

package account_test

import (
	"net/url"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider/client"
	"calleridp/provider/endpoint"
	"calleridp/provider/internal/testworld"
)

// Without a session, users sign in to their account: by an attempt like any other,
// without a client, a code or a redirect to another site.
func TestSignInToTheAccount(t *testing.T) {
	w := testworld.New(t, func(c *testworld.Config) {
		c.Provider.Country = func(network string) string { return map[string]string{testworld.Network: "SE"}[network] }
	})
	var page testworld.Response
	w.WantNothingStored("showing the page (invariant 1)", func() { page = w.Get("/account") })
	_, view := page.Page()
	if c := view["Client"].(map[string]any); c["Own"] != true || c["ID"] != "" || view["FormAction"] != "" ||
		view["Phone"] != "" {
		t.Errorf("page: got %v, want our own, without client, form action and number", view)
	}
	s := w.Submission(page, testworld.Number)
	s.UserAgent = firefox
	id, err := w.Flow.Submit(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := w.View(id); err != nil || !v.Client.Own || v.FormAction != "" {
		t.Errorf("waiting page: got %+v, %v, want our own without form action", v, err)
	}
	w.Approve(testworld.Number)
	for range 2 { // a double click
		done, session := w.Finish(id)
		if done.Response.URL() != "/account" || done.Session == "" || done.Consent != nil {
			t.Fatalf("continuing: got %+v, want a session and the account page", done)
		}
		shown := accountPage(t, w, session)
		if shown["Name"] != "Asha Rao" || shown["Number"] != "+46•••••0605" || shown["NumberLost"] != false ||
			len(rows(shown, "Applications")) != 0 {
			t.Errorf("account page: got %v, want name, masked number and no applications", shown)
		}
		s := rows(shown, "Sessions")
		device := map[string]any{"Browser": "Firefox", "OS": "Linux"}
		if len(s) != 1 || s[0]["Here"] != true || s[0]["Country"] != "SE" ||
			!reflect.DeepEqual(s[0]["Device"], device) {
			t.Errorf("sessions: got %v, want this one, %v in SE", s, device)
		}
	}
	// A client can neither use its ID nor be registered with it.
	w.Authorize("app", "client_id", "urn:calleridp:account", "redirect_uri", "/account").
		WantErrorPage(t, "as a client", 400, "unknown_client")
	c := client.Client{ID: "urn:calleridp:account", RedirectURIs: []string{"https://evil.example/cb"}}
	if _, _, err := w.Clients.Add(t.Context(), c); err == nil {
		t.Error("registering its ID: got no error, want one")
	}
}

// Leaving the sign-in leads back to our own page, without a response to a client.
func TestLeaveTheSignInToTheAccount(t *testing.T) {
	w := testworld.New(t)
	id := w.Submit(w.Get("/account/delete"), testworld.Number)
	if err := w.Flow.Cancel(t.Context(), id, testworld.Browser); err != nil {
		t.Fatal(err)
	}
	left, err := w.Flow.Leave(t.Context(), id, testworld.Browser)
	if err != nil || left.URL() != "/account" || left.FormPost {
		t.Errorf("leaving: got %+v, %v, want a redirect to /account", left, err)
	}
}

// Deletion and download need a sign-in of the last ten minutes, by the same user.
func TestDeleteAndDownloadNeedARecentSignIn(t *testing.T) {
	testworld.Ring()
	synctest.Test(t, func(t *testing.T) {
		w := testworld.New(t)
		_, session := w.SignIn(testworld.AuthRequest("app"), testworld.Number)
		token := accountPage(t, w, session)["Token"].(string)
		for path, step := range map[string]string{"/account/delete": "delete", "/account/download": "download"} {
			v := w.Get(path, session).WantPage(t, path, "step")
			if v["Step"] != step || v["Number"] != "+46•••••0605" {
				t.Errorf("%s: got %v, want step %s with the masked number", path, v, step)
			}
		}
		time.Sleep(10*time.Minute + time.Second)
		for _, path := range []string{"/account/delete", "/account/download"} {
			send(t, w, session, path, url.Values{"token": {token}}).WantRedirect(t, path+" after ten minutes", path)
			// The page does not show the number to another user of the browser.
			if v := w.Get(path, session).WantPage(t, path, "signin"); v["Phone"] != "" {
				t.Errorf("%s: got the number %v filled in, want none", path, v["Phone"])
			}
		}
		accountPage(t, w, session) // nothing is deleted

		// Another user's approval does not count.
		id := w.SubmitApproved(w.Get("/account/delete", session), testworld.OtherNumber)
		done, err := w.ContinueWith(session, id)
		if err != nil || done.Session != "" || done.Response.URL() != "/account" {
			t.Errorf("another user: got %+v, %v, want the account page and no session", done, err)
		}
		accountPage(t, w, session)

		id = w.SubmitApproved(w.Get("/account/delete", session), testworld.Number)
		done, err = w.ContinueWith(session, id)
		if err != nil || done.Response.URL() != "/account/delete" {
			t.Fatalf("the same user: got %+v, %v, want /account/delete", done, err)
		}
		fresh := testworld.SessionCookie(done.Session)
		w.Get("/account/delete", fresh).WantPage(t, "in the fresh session", "step")
		w.Get("/account", session).WantPage(t, "in the session before", "signin")
		a := send(t, w, fresh, "/account/download", nil)
		h := a.Header
		if a.StatusCode != 200 || h.Get("Content-Type") != "application/json" ||
			!strings.HasPrefix(h.Get("Content-Disposition"), "attachment") || h.Get("Cache-Control") != "no-store" {
			t.Errorf("download: got %v %v, want 200, JSON as an attachment and no-store", a, h)
		}
		if policy := h.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") ||
			!strings.Contains(policy, "sandbox") || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("download: got %v, want a file that can run nothing", h)
		}
		if m := a.JSON(); m["issuer"] != testworld.Issuer || m["phone_number"] != testworld.Number || m["phone_number_is_yours"] != true {
			t.Errorf("download: got %v, want the number", m)
		}
		if strings.Contains(a.Text, fresh.Value) || strings.Contains(h.Get("Content-Disposition"), "0605") {
			t.Errorf("download: got %v named %s, want no secret and no number in the name",
				a, h.Get("Content-Disposition"))
		}
	})
}

// Where the clients that name no Truecaller app have one for native applications
// alone, users sign in to their account by another one.
func TestTheAccountPageOfANativeDeployment(t *testing.T) {
	w, _ := testworld.NewNative(t, func(c *testworld.Config) { c.Provider.Apps.Default = "nat" })
	v := w.Get(endpoint.PathAccount).WantPage(t, "account page", "signin")
	if v["WithoutPush"] != false || v["App"] == "Nat" {
		t.Errorf("got %v, want an app with a push", v)
	}
}
