// SPDX-License-Identifier: Apache-2.0

package deviceflow_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider/deviceflow"
	"calleridp/provider/internal/testworld"
	"calleridp/provider/limit"
	"calleridp/provider/login"
)

// device runs a test with a provider whose device flow is on. Its clock is the bubble's.
func device(t *testing.T, test func(t *testing.T, w *testworld.World), change ...func(*testworld.Config)) {
	t.Helper()
	testworld.Ring()
	synctest.Test(t, func(t *testing.T) {
		test(t, testworld.New(t, append([]func(*testworld.Config){testworld.WithDevices}, change...)...))
	})
}

// poll presents a device's code after the interval.
func poll(w *testworld.World, d testworld.Device) testworld.Response {
	time.Sleep(testworld.DevicePolicy.Interval)
	return w.Poll(d)
}

// enter sends a user code.
func enter(w *testworld.World, code string, change ...testworld.Change) testworld.Response {
	return w.Post("/device", url.Values{"user_code": {code}}, change...)
}

// confirm sends the decision of the page to which a user code leads.
func confirm(t *testing.T, w *testworld.World, code, decision string, change ...testworld.Change) testworld.Response {
	t.Helper()
	sealed := testworld.SealedRequest(t, enter(w, code), "confirmdevice")
	return w.Post("/device/confirm", url.Values{"request": {sealed}, "decision": {decision}}, change...)
}

// signIn answers a device by a sign-in on the phone.
func signIn(t *testing.T, w *testworld.World, d testworld.Device) *http.Cookie {
	t.Helper()
	id := w.SubmitApproved(confirm(t, w, d.UserCode, "continue"), testworld.Number)
	done, session := w.Finish(id)
	if done.Response.URL() != "/device/done" {
		t.Fatalf("after the sign-in: got %+v, want the page of ours", done)
	}
	return session
}

func wantError(t *testing.T, what string, r testworld.Response, code string) {
	t.Helper()
	r.WantOAuthError(t, what, 400, code)
}

func TestADeviceGetsTokens(t *testing.T) {
	device(t, func(t *testing.T, w *testworld.World) {
		r := w.Post("/device_authorization", url.Values{"client_id": {"tv"}, "scope": {"openid phone offline_access"}})
		got := r.JSON()
		code := r.Member("user_code")
		testworld.WantMembers(t, "the response", got, map[string]any{
			"verification_uri":          testworld.Issuer + "/device",
			"verification_uri_complete": testworld.Issuer + "/device?user_code=" + code,
			"expires_in":                600.0,
			"interval":                  5.0,
		})
		if r.Header.Get("Cache-Control") != "no-store" || len(code) != 11 {
			t.Errorf("got %v, want it in no cache, and a user code in three groups", r)
		}
		d := testworld.Device{ClientID: "tv", Code: r.Member("device_code"), UserCode: code}
		before := w.Store.Stats().Operations
		for range 3 {
			wantError(t, "before the user decides", poll(w, d), "authorization_pending")
		}
		// The address with the code fills the field in, and that is all.
		if page, view := w.Get("/device?user_code=" + strings.ToLower(code)).Page(); page != "usercode" || view["Code"] != code || view["Problem"] != "" {
			t.Errorf("the complete address: got %s %v, want the field with the code", page, view)
		}
		if n := w.Store.Stats().Operations - before; n != 0 {
			t.Errorf("polls and the page made %d commits, want none", n)
		}
		page, view := enter(w, code).Page()
		if page != "confirmdevice" || view["Code"] != code || view["Network"] != "192.0.2.•••" || view["Here"] != true {
			t.Errorf("entering the code: got %s %v, want the question", page, view)
		}
		wantError(t, "while the user is asked", poll(w, d), "authorization_pending")
		session := signIn(t, w, d)
		if page, view := w.Get("/device/done").Page(); page != "devicedone" || view["Denied"] != false {
			t.Errorf("afterwards: got %s %v, want the last page", page, view)
		}
		tokens := testworld.TokensIn(t, poll(w, d))
		claims := tokens.Claims(t)
		if claims["phone_number"] != testworld.Number || claims["aud"] != "tv" || claims["sub"] != w.Claim(session, "sub") || tokens.Refresh == "" {
			t.Errorf("got %v and refresh token %v, want the user's", claims, tokens.Refresh != "")
		}
		events := w.Events("device.allowed")
		if len(events) != 1 || events[0]["client"] != "tv" || events[0]["sub"] != claims["sub"] {
			t.Errorf("audit: got %v, want one device.allowed", events)
		}
		// Used a second time: it gives nothing, and what it gave ends.
		wantError(t, "the second use", poll(w, d), "invalid_grant")
		if r := w.Userinfo(tokens.Access); r.StatusCode != 401 {
			t.Errorf("userinfo after the second use: got %v, want 401", r)
		}
		if page, _ := enter(w, code).Page(); page != "usercode" {
			t.Errorf("the user code after its use: got %s, want the field", page)
		}
		for _, secret := range []string{d.Code, code, strings.ReplaceAll(code, "-", "")} {
			if strings.Contains(w.Log.Text(), secret) {
				t.Errorf("the log has %q", secret)
			}
		}
	})
}

func TestADeviceIsDenied(t *testing.T) {
	device(t, func(t *testing.T, w *testworld.World) {
		d := w.StartDevice("tv", "openid")
		asked := testworld.SealedRequest(t, enter(w, d.UserCode), "confirmdevice")
		r := confirm(t, w, d.UserCode, "deny")
		r.WantRedirect(t, "denying", "/device/done?did=denied")
		wantError(t, "denied", poll(w, d), "access_denied")
		wantError(t, "denied, asked again", poll(w, d), "access_denied")
		if _, view := w.Get("/device/done?did=denied").Page(); view["Denied"] != true {
			t.Errorf("got %v, want that it was denied", view)
		}
		// Nobody allows it any more, on whichever page they were.
		if r := w.Post("/device/confirm", url.Values{"request": {asked}, "decision": {"continue"}}); r.StatusCode != 410 {
			t.Errorf("allowing after the denial: got %v, want 410", r)
		}
		if page, _ := enter(w, d.UserCode).Page(); page != "usercode" {
			t.Errorf("the user code after the denial: got %s, want the field", page)
		}
		if events := w.Events("device.denied"); len(events) != 1 || events[0]["client"] != "tv" {
			t.Errorf("audit: got %v, want one device.denied", events)
		}
	})
}

// A client that asks for consent gets it before its device has anything.
func TestADeviceNeedsConsent(t *testing.T) {
	for _, decision := range []string{"allow", "deny"} {
		device(t, func(t *testing.T, w *testworld.World) {
			d := w.StartDevice("tv-third", "openid phone")
			id := w.SubmitApproved(confirm(t, w, d.UserCode, "continue"), testworld.Number)
			view, session := w.Prompted(id)
			wantError(t, "while the prompt is open", poll(w, d), "authorization_pending")
			r := w.Decide(view.Request, decision, testworld.Cookie(session))
			if decision == "deny" {
				r.WantRedirect(t, "denying", "/device/done?did=denied")
				wantError(t, "denied", poll(w, d), "access_denied")
				if r := w.Allow(view.Request, session); r.StatusCode != 410 {
					t.Errorf("allowing after the denial: got %v, want 410", r)
				}
				return
			}
			r.WantRedirect(t, "allowing", "/device/done")
			w.Allow(view.Request, session).WantRedirect(t, "allowing again", "/device/done")
			if r := w.Decide(view.Request, "deny", testworld.Cookie(session)); r.StatusCode != 410 {
				t.Errorf("denying after allowing: got %v, want 410", r)
			}
			if got := testworld.TokensIn(t, poll(w, d)).Claims(t)["phone_number"]; got != testworld.Number {
				t.Errorf("got the number %v, want %s", got, testworld.Number)
			}
		})
	}
}

// A session alone answers nothing: the user confirms, and if they signed in a while ago,
// on the phone.
func TestASessionAnswersNoDevice(t *testing.T) {
	device(t, func(t *testing.T, w *testworld.World) {
		_, session := w.SignIn(testworld.AuthRequest("app"), testworld.Number)
		d := w.StartDevice("tv", "openid")
		for _, target := range []string{"/device?user_code=" + d.UserCode, "/device/done"} {
			w.Get(target, session)
		}
		enter(w, d.UserCode, testworld.Cookie(session))
		wantError(t, "before the confirmation", poll(w, d), "authorization_pending")
		confirm(t, w, d.UserCode, "continue", testworld.Cookie(session)).WantRedirect(t, "confirming", "/device/done")
		testworld.TokensIn(t, poll(w, d))

		time.Sleep(10 * time.Minute)
		d = w.StartDevice("tv", "openid")
		if page, _ := confirm(t, w, d.UserCode, "continue", testworld.Cookie(session)).Page(); page != "signin" {
			t.Errorf("a session that is ten minutes old: got %q, want the sign-in page", page)
		}
		wantError(t, "without the phone", poll(w, d), "authorization_pending")
	})
}

// Another site's form decides nothing.
func TestOnlyOurOwnFormsDecide(t *testing.T) {
	device(t, func(t *testing.T, w *testworld.World) {
		_, session := w.SignIn(testworld.AuthRequest("app"), testworld.Number)
		d := w.StartDevice("tv", "openid")
		sealed := testworld.SealedRequest(t, enter(w, d.UserCode), "confirmdevice")
		for _, r := range []testworld.Response{
			enter(w, d.UserCode, testworld.CrossSite),
			w.Post("/device/confirm", url.Values{"request": {sealed}, "decision": {"continue"}}, testworld.CrossSite, testworld.Cookie(session)),
			w.Post("/device/confirm", url.Values{"request": {sealed}, "decision": {"deny"}}, testworld.CrossSite),
		} {
			if r.StatusCode != 403 {
				t.Errorf("a form of another site: got %v, want 403", r)
			}
		}
		for _, form := range []url.Values{
			{"request": {sealed}}, {"request": {sealed}, "decision": {"allow"}}, {"decision": {"continue"}}, {"request": {"x"}, "decision": {"continue"}},
		} {
			if r := w.Post("/device/confirm", form); r.StatusCode != 400 {
				t.Errorf("%v: got %v, want 400", form, r)
			}
		}
		wantError(t, "afterwards", poll(w, d), "authorization_pending")
	})
}

func TestADeviceWaitsForSoLong(t *testing.T) {
	device(t, func(t *testing.T, w *testworld.World) {
		d := w.StartDevice("tv", "openid")
		sealed := testworld.SealedRequest(t, enter(w, d.UserCode), "confirmdevice")
		signIn := w.Post("/device/confirm", url.Values{"request": {sealed}, "decision": {"continue"}})
		time.Sleep(9 * time.Minute)
		id := w.SubmitApproved(signIn, testworld.Number)
		time.Sleep(time.Minute)
		wantError(t, "after its time", w.Poll(d), "expired_token")
		if _, err := w.Continue(id); err == nil {
			t.Error("the sign-in went on after the device's time")
		}
		if page, _ := enter(w, d.UserCode).Page(); page != "usercode" {
			t.Errorf("the user code after its time: got %s, want the field", page)
		}
		if r := w.Post("/device/confirm", url.Values{"request": {sealed}, "decision": {"continue"}}); r.StatusCode != 400 {
			t.Errorf("confirming after its time: got %v, want 400", r)
		}
		time.Sleep(10 * time.Minute)
		wantError(t, "long after", w.Poll(d), "invalid_grant")
	})
}

func TestPollsSlowDown(t *testing.T) {
	device(t, func(t *testing.T, w *testworld.World) {
		d, other := w.StartDevice("tv", "openid"), w.StartDevice("tv", "openid")
		wantError(t, "the first poll", w.Poll(d), "authorization_pending")
		wantError(t, "another device's", w.Poll(other), "authorization_pending")
		for range 3 {
			time.Sleep(time.Second)
			wantError(t, "too soon", w.Poll(d), "slow_down")
		}
		time.Sleep(time.Second) // networks are not exact
		wantError(t, "after the interval", w.Poll(d), "authorization_pending")
		signIn(t, w, d)
		wantError(t, "too soon, allowed", w.Poll(d), "slow_down")
		testworld.TokensIn(t, poll(w, d))
	})
}

// A device code is its own client's.
func TestADeviceCodeIsOfOneClient(t *testing.T) {
	device(t, func(t *testing.T, w *testworld.World) {
		d := w.StartDevice("tv", "openid")
		stolen := func(d testworld.Device) testworld.Device { d.ClientID = "tv-third"; return d }
		wantError(t, "before the decision", poll(w, stolen(d)), "invalid_grant")
		signIn(t, w, d)
		wantError(t, "after it", poll(w, stolen(d)), "invalid_grant")
		// Nor is it an authorization code.
		r := w.Post("/token", url.Values{"grant_type": {"authorization_code"}, "client_id": {"tv"}, "code": {d.Code}, "redirect_uri": {"/device/done"}})
		wantError(t, "as an authorization code", r, "invalid_grant")
		testworld.TokensIn(t, poll(w, d))
		denied := w.StartDevice("tv", "openid")
		confirm(t, w, denied.UserCode, "deny")
		wantError(t, "denied", poll(w, stolen(denied)), "invalid_grant")
		for _, code := range []string{"x", "x.y", d.Code + "x", strings.Repeat("a", 200), denied.Code[:43] + d.Code[43:]} {
			wantError(t, code, poll(w, testworld.Device{ClientID: "tv", Code: code}), "invalid_grant")
		}
		wantError(t, "no code", poll(w, testworld.Device{ClientID: "tv"}), "invalid_request")
	})
}

// The first user to answer a device is its user.
func TestADeviceIsAnsweredOnce(t *testing.T) {
	device(t, func(t *testing.T, w *testworld.World) {
		d := w.StartDevice("tv", "openid")
		slow := w.SubmitApproved(confirm(t, w, d.UserCode, "continue"), testworld.OtherNumber)
		sealed := testworld.SealedRequest(t, enter(w, d.UserCode), "confirmdevice")
		session := signIn(t, w, d)
		if _, err := w.Continue(slow); !errors.Is(err, login.ErrState) {
			t.Errorf("a second user: got %v, want %v", err, login.ErrState)
		}
		if r := w.Post("/device/confirm", url.Values{"request": {sealed}, "decision": {"deny"}}); r.StatusCode != 410 {
			t.Errorf("denying what was allowed: got %v, want 410", r)
		}
		if got := testworld.TokensIn(t, poll(w, d)).Claims(t)["sub"]; got != w.Claim(session, "sub") {
			t.Errorf("got the tokens of %v, want the first user's", got)
		}
	})
}

// A user who signs out before the device has asked again takes the answer back.
func TestSigningOutEndsAnAnswer(t *testing.T) {
	device(t, func(t *testing.T, w *testworld.World) {
		d := w.StartDevice("tv", "openid")
		session := signIn(t, w, d)
		if _, err := w.Store.EndSession(t.Context(), w.Claim(session, "sid")); err != nil {
			t.Fatal(err)
		}
		wantError(t, "afterwards", poll(w, d), "expired_token")

		_, session = w.SignIn(testworld.AuthRequest("app"), testworld.Number)
		d = w.StartDevice("tv", "openid")
		sealed := testworld.SealedRequest(t, enter(w, d.UserCode), "confirmdevice")
		confirm(t, w, d.UserCode, "continue", testworld.Cookie(session)).WantRedirect(t, "confirming", "/device/done")
		if _, err := w.Store.EndSession(t.Context(), w.Claim(session, "sid")); err != nil {
			t.Fatal(err)
		}
		wantError(t, "answered in a session", poll(w, d), "expired_token")
		if r := w.Post("/device/confirm", url.Values{"request": {sealed}, "decision": {"continue"}}); r.StatusCode != 410 {
			t.Errorf("answering again: got %v, want 410", r)
		}
	})
}

// Every code that leads nowhere gets the same page.
func TestUserCodesAreNotTold(t *testing.T) {
	device(t, func(t *testing.T, w *testworld.World) {
		used, denied, gone := w.StartDevice("tv", "openid"), w.StartDevice("tv", "openid"), w.StartDevice("tv", "openid")
		signIn(t, w, used)
		confirm(t, w, denied.UserCode, "deny")
		time.Sleep(10 * time.Minute)
		_ = gone
		live := w.StartDevice("tv", "openid")
		typed := map[string]string{"malformed": "123", "unknown": "BCD-FGH-JKL", "used": used.UserCode, "denied": denied.UserCode, "expired": gone.UserCode}
		for what, code := range typed {
			r := enter(w, code)
			page, view := r.Page()
			if page != "usercode" || view["Problem"] != string(deviceflow.CodeUnknown) || view["Code"] != code {
				t.Errorf("%s: got %s %v, want %s", what, page, view, deviceflow.CodeUnknown)
			}
		}
		if page, _ := enter(w, strings.ReplaceAll(strings.ToLower(live.UserCode), "-", " ")).Page(); page != "confirmdevice" {
			t.Errorf("a code in small letters, with spaces: got %s, want the question", page)
		}
	})
}

// Guesses of user codes, and requests of devices, are limited for each network.
func TestTheDeviceFlowIsLimited(t *testing.T) {
	two := limit.Rate{Burst: 2, Period: time.Hour}
	device(t, func(t *testing.T, w *testworld.World) {
		d := w.StartDevice("tv", "openid")
		for range 2 {
			enter(w, "BCD-FGH-JKL")
		}
		if _, view := enter(w, d.UserCode).Page(); view["Problem"] != string(deviceflow.CodeLimited) {
			t.Errorf("the third try: got %v, want %s, also of a right code", view, deviceflow.CodeLimited)
		}
		elsewhere := func(r *http.Request) { r.RemoteAddr = "198.51.100.7:1" }
		page, view := enter(w, d.UserCode, elsewhere).Page()
		if page != "confirmdevice" || view["Here"] != false || view["Network"] != "192.0.2.•••" {
			t.Errorf("another network: got %s %v, want the question, and that the device is elsewhere", page, view)
		}
		if events := w.Events("device.limited"); len(events) != 1 || events[0]["network"] != testworld.Network || events[0]["limit"] != "user_code_network" {
			t.Errorf("audit: got %v, want one device.limited", events)
		}
		if n := len(w.Events("device.code_unknown")); n != 2 {
			t.Errorf("audit: got %d device.code_unknown, want 2", n)
		}
	}, func(c *testworld.Config) { c.Provider.DeviceFlow.UserCodes = two })
	for what, set := range map[string]func(*deviceflow.Policy){
		"the network":    func(p *deviceflow.Policy) { p.Network = two },
		"the client":     func(p *deviceflow.Policy) { p.Client = two },
		"the deployment": func(p *deviceflow.Policy) { p.Deployment = two },
	} {
		device(t, func(t *testing.T, w *testworld.World) {
			w.StartDevice("tv", "openid")
			w.StartDevice("tv", "openid")
			r := w.Post("/device_authorization", url.Values{"client_id": {"tv"}, "scope": {"openid"}})
			r.WantOAuthError(t, what, 429, "temporarily_unavailable")
			if r.Header.Get("Retry-After") == "" {
				t.Errorf("%s: got no Retry-After", what)
			}
			if events := w.Events("device.limited"); len(events) != 1 || events[0]["client"] != "tv" || events[0]["network"] != testworld.Network {
				t.Errorf("%s: audit: got %v, want one device.limited", what, events)
			}
			other := w.Post("/device_authorization", url.Values{"client_id": {"tv-third"}, "scope": {"openid"}})
			elsewhere := w.Post("/device_authorization", url.Values{"client_id": {"tv"}, "scope": {"openid"}}, func(r *http.Request) { r.RemoteAddr = "198.51.100.7:1" })
			if (other.StatusCode == 200) != (what == "the client") || (elsewhere.StatusCode == 200) != (what == "the network") {
				t.Errorf("%s: another client: got %v, another network: got %v", what, other, elsewhere)
			}
		}, func(c *testworld.Config) { set(&c.Provider.DeviceFlow) })
	}
}

func TestWhoMayUseTheDeviceFlow(t *testing.T) {
	device(t, func(t *testing.T, w *testworld.World) {
		ask := func(v url.Values, change ...testworld.Change) testworld.Response {
			return w.Post("/device_authorization", v, change...)
		}
		openid := url.Values{"scope": {"openid"}}
		if r := ask(openid, testworld.Basic("box", testworld.Secret)); r.StatusCode != 200 {
			t.Errorf("a confidential client: got %v, want codes", r)
		}
		ask(openid, testworld.Basic("box", "wrong")).WantOAuthError(t, "a wrong secret", 401, "invalid_client")
		ask(url.Values{"client_id": {"box"}, "scope": {"openid"}}).WantOAuthError(t, "no secret", 401, "invalid_client")
		wantError(t, "a client without the flow", ask(openid, testworld.Basic("app", testworld.Secret)), "unauthorized_client")
		wantError(t, "its poll", w.Post("/token", url.Values{"grant_type": {testworld.DeviceGrant}, "device_code": {"x"}}, testworld.Basic("app", testworld.Secret)), "unauthorized_client")
		for what, v := range map[string]url.Values{
			"no scope": {"client_id": {"tv"}}, "no openid": {"client_id": {"tv"}, "scope": {"phone"}},
		} {
			wantError(t, what, ask(v), "invalid_scope")
		}
		wantError(t, "a resource", ask(url.Values{"client_id": {"tv"}, "scope": {"openid"}, "resource": {"https://x.example"}}), "invalid_target")
		d := w.Get("/.well-known/openid-configuration").JSON()
		if d["device_authorization_endpoint"] != testworld.Issuer+"/device_authorization" || !strings.Contains(testworld.Text(d["grant_types_supported"]), testworld.DeviceGrant) {
			t.Errorf("discovery: got %v and %v, want the endpoint and the grant", d["device_authorization_endpoint"], d["grant_types_supported"])
		}
	})
	// By default, there is none.
	w := testworld.New(t)
	d := w.Get("/.well-known/openid-configuration").JSON()
	if _, listed := d["device_authorization_endpoint"]; listed || strings.Contains(testworld.Text(d["grant_types_supported"]), testworld.DeviceGrant) {
		t.Errorf("discovery without the flow: got %v, want it not listed", d)
	}
	for _, path := range []string{"/device_authorization", "/device", "/device/confirm", "/device/done"} {
		if r := w.Get(path); r.StatusCode != 404 {
			t.Errorf("%s: got %v, want 404", path, r)
		}
	}
	w.Post("/token", url.Values{"grant_type": {testworld.DeviceGrant}, "client_id": {"public"}, "device_code": {"x"}}).
		WantOAuthError(t, "the grant", 400, "unsupported_grant_type")
}

// The page that asks is shown again in another language, and in no other browser's way.
func TestTheQuestionIsShownAgain(t *testing.T) {
	device(t, func(t *testing.T, w *testworld.World) {
		d := w.StartDevice("tv", "openid")
		sealed := testworld.SealedRequest(t, enter(w, d.UserCode), "confirmdevice")
		if page, view := w.Reopen(testworld.Reopening(sealed)).Page(); page != "confirmdevice" || view["Code"] != d.UserCode {
			t.Errorf("got %s %v, want the question again", page, view)
		}
	})
}
