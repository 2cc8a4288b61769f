// SPDX-License-Identifier: Apache-2.0

package signin

import (
	"encoding/json"
	"html"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"calleridp/provider/authorize"
	"calleridp/provider/login"
	"calleridp/ui/pagetest"
)

// postTap posts the one-tap form.
func (w *world) postTap(accept string) *httptest.ResponseRecorder {
	r := request("POST", "/onetap", url.Values{"request": {"sealed"}, "nonce": {"sealed-nonce"}, "lang": {"sw"}})
	r.Header.Set("Accept", accept)
	return w.do(r)
}

func TestOneTapForm(t *testing.T) {
	w := newWorld(t)
	plain := w.postTap("text/html")
	pagetest.WantSeeOther(t, plain, ourPath)
	if cookie := plain.Header().Get("Set-Cookie"); !strings.Contains(cookie, "__Host-") {
		t.Errorf("got the cookie %q, want the browser's", cookie)
	}
	script := w.postTap("application/json")
	var got map[string]string
	if err := json.Unmarshal(script.Body.Bytes(), &got); err != nil || script.Code != 200 || script.Header().Get("Cache-Control") != "no-store, no-transform" {
		t.Fatalf("got %d %s %v, want JSON that is not stored", script.Code, script.Body, script.Header())
	}
	if got["attempt"] != ourPath || got["nonce"] != "fresh" || got["link"] != pagetest.OneTapLink("sw") {
		t.Errorf("got %v, want the attempt, and another link", got)
	}
	if _, there := got["other_link"]; there {
		t.Errorf("got %v, want no other_link", got)
	}
	w.flow.usedLink = true
	if body := w.postTap("application/json").Body.String(); !strings.Contains(body, `"other_link":true`) {
		t.Errorf("a link of another attempt: got %s, want other_link", body)
	}
	for _, s := range w.flow.tapped {
		if s.Request != "sealed" || s.Nonce != "sealed-nonce" || len(s.Browser) != 43 || s.Network == "" {
			t.Errorf("got %+v, want the form and the browser", s)
		}
	}
	// A refusal is a page that explains it, for the script as well, which shows that page.
	w.flow.refusal = refusal(authorize.Problem{Kind: authorize.Limited, RetryAt: time.Now().Add(time.Hour)}, authorize.SignInView{})
	for _, accept := range []string{"text/html", "application/json"} {
		if answer := w.postTap(accept); answer.Code != 429 || answer.Header().Get("Retry-After") == "" {
			t.Errorf("%s: got %d, want 429 with Retry-After", accept, answer.Code)
		}
	}
	r := request("POST", "/onetap", url.Values{"request": {"sealed"}})
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	r.Header.Set("Origin", "https://evil.example")
	pagetest.Want(t, w.do(r), 403)
}

func TestOneTapWaitingPageAndStatus(t *testing.T) {
	w := newWorld(t)
	w.flow.view.Method, w.flow.view.Number, w.flow.view.Link, w.flow.view.App = login.OneTap, "", pagetest.OneTapLink, "Lingon app"
	status := func() string { return w.get(ourPath + "/status").Body.String() }
	page := w.get(ourPath).Body.String()
	pagetest.Contains(t, page, `id="waiting"`, `id="open"`, `href="`+html.EscapeString(pagetest.OneTapLink("en"))+`"`,
		"Lingon app", `name="another"`, `id="cancel"`, `http-equiv="refresh"`)
	if strings.Contains(page, "ZgotmplZ") || strings.Contains(status(), "opened") {
		t.Errorf("got %s, want it not opened, and a page filled in:\n%s", status(), page)
	}
	w.flow.view.Opened = true
	pagetest.Contains(t, status(), `"opened":true`)
	for reason, want := range map[login.Reason]string{
		login.UserRejected: "onetap_declined", login.AnotherNumber: "another", login.SeveralNumbers: "several", login.ProfileFailed: "failed",
	} {
		w.flow.move(login.Rejected, reason)
		if reason == login.SeveralNumbers || reason == login.ProfileFailed {
			w.flow.move(login.Failed, reason)
		}
		pagetest.Contains(t, status(), `"outcome":"`+want+`"`)
		page := w.get(ourPath).Body.String()
		if !strings.Contains(page, `data-outcome="`+want+`"`) || strings.Contains(page, `class="number"`) {
			t.Errorf("%s: got a page without the outcome %s, or with a number:\n%s", reason, want, page)
		}
	}
	w.flow.move(login.Expired, "")
	pagetest.Contains(t, w.get(ourPath).Body.String(), `data-outcome="onetap_expired"`)
}
