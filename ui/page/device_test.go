// SPDX-License-Identifier: Apache-2.0

package page

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider/account"
	"calleridp/provider/deviceflow"
	"calleridp/provider/endpoint"
	"calleridp/ui/pagetest"
)

func TestTheDevicePages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPages(t)
		enter := func(v deviceflow.EnterView) func(http.ResponseWriter, *http.Request) {
			return func(w http.ResponseWriter, r *http.Request) { p.EnterUserCode(w, r, v) }
		}
		answer := pagetest.Draw("/device?user_code=WDJ-BMJ-HTN", enter(deviceflow.EnterView{Code: "WDJ-BMJ-HTN"}))
		pagetest.Want(t, answer, 200, `action="/device"`, `name="user_code"`, `value="WDJ-BMJ-HTN"`, `dir="ltr"`, `autocapitalize="characters"`, `name="back"`)
		if h := answer.Header(); !strings.Contains(h.Get("Content-Security-Policy"), "frame-ancestors 'none'") || h.Get("X-Frame-Options") != "DENY" {
			t.Errorf("got %v, want no frames", h)
		}
		answer = pagetest.Draw("/device", enter(deviceflow.EnterView{Code: `x"><b>`, Problem: deviceflow.CodeUnknown}))
		pagetest.Want(t, answer, 422, `value="x&#34;&gt;&lt;b&gt;"`, "No device is waiting with this code", `aria-invalid="true"`, `role="alert"`)
		answer = pagetest.Draw("/device", enter(deviceflow.EnterView{Problem: deviceflow.CodeLimited, RetryAt: time.Now().Add(20 * time.Minute)}))
		pagetest.Want(t, answer, 429, "in 20\u00a0minutes")
		if got := answer.Header().Get("Retry-After"); got != "1200" {
			t.Errorf("Retry-After: got %s, want 1200", got)
		}

		v := deviceflow.ConfirmView{Client: pagetest.Shop, Request: "sealed", Code: "WDJ-BMJ-HTN", Country: "SE", Network: "192.0.2.•••", Here: true}
		confirm := func(w http.ResponseWriter, r *http.Request) { p.ConfirmDevice(w, r, v) }
		answer = pagetest.Draw("/device", confirm)
		pagetest.Want(t, answer, 200, "<h1>Sign in to <bdi>Lingon Market</bdi> on a device?</h1>", "<bdi>WDJ-BMJ-HTN</bdi>", "<bdi>Sweden</bdi>",
			`<bdi dir="ltr">192.0.2.•••</bdi>`, "the network that you are using now", `id="warning"`, `value="continue" aria-describedby="warning"`, `value="deny"`, `value="sealed"`)
		v.Here = false
		pagetest.Want(t, pagetest.Draw("/device", confirm), 200, "not the network that you are using now")
		v.Country, v.Network = "", ""
		if answer = pagetest.Draw("/device", confirm); strings.Contains(answer.Body.String(), "Request from") {
			t.Error("the page says from where a request came that is unknown")
		}

		for denied, want := range map[bool]string{false: "Go back to your device", true: "The device is not signed in"} {
			answer = pagetest.Draw("/device/done", func(w http.ResponseWriter, r *http.Request) { p.DeviceDone(w, r, deviceflow.DoneView{Denied: denied}) })
			pagetest.Want(t, answer, 200, "<h1>"+want+"</h1>")
		}
	})
}

// A sign-in may begin again at the client, on the web only.
func TestPagesLeadToWhereASignInBegins(t *testing.T) {
	p := newPages(t)
	draw := func(restart string) string {
		return pagetest.Draw("/signin", func(w http.ResponseWriter, r *http.Request) {
			p.Error(w, r, endpoint.ErrorView{Kind: endpoint.ErrorRequestExpired, Client: pagetest.Shop, Restart: restart})
		}).Body.String()
	}
	if body := draw("https://shop.example/login?iss=x"); !strings.Contains(body, `<a id="restart" class="primary" href="https://shop.example/login?iss=x">Start again at <bdi>Lingon Market</bdi></a>`) {
		t.Errorf("got no link in %s", body)
	}
	open := func(to string) string {
		v := account.AccountView{Applications: []account.ApplicationView{{Client: pagetest.Shop, Open: to}}}
		return drawAccount(p, v).Body.String()
	}
	if body := open("https://shop.example/login?iss=x"); !strings.Contains(body, `href="https://shop.example/login?iss=x" rel="noreferrer" aria-describedby="a1">Open</a>`) {
		t.Errorf("got no link in %s", body)
	}
	for _, to := range []string{"", "javascript:alert(1)", "http://shop.example/login"} {
		if body := draw(to); strings.Contains(body, `id="restart"`) {
			t.Errorf("%q: the error page links to it", to)
		}
		if body := open(to); strings.Contains(body, ">Open</a>") {
			t.Errorf("%q: the account page links to it", to)
		}
	}
}
