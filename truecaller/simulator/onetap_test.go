// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"encoding/json"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"
)

const goodNonce = "nonce-of-32-bytes"

// openOn opens a link; as may be "".
func (w *world) openOn(link, number, as string) (int, opened) {
	w.t.Helper()
	status, body := w.do("POST", "/sim/open", string(marshal(map[string]string{"link": link, "phone": number, "as": as})))
	var answer opened
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		w.t.Fatalf("%d %s: %v", status, body, err)
	}
	return status, answer
}

// tap opens the good link, without its ttl, on the phone with the number xx.
func (w *world) tap(xx string) opened {
	w.t.Helper()
	status, answer := w.openOn(strings.TrimSuffix(goodLink, "&ttl=60000"), "+"+fiction+xx, "")
	if status != 200 || answer.RequestID != goodNonce || answer.Warnings == nil || len(answer.Warnings) != 0 || answer.Dialog != (answer.Reason == "") {
		w.t.Fatalf("opening the link got %d %+v, want a dialog or a reason", status, answer)
	}
	return answer
}

// The dialog that a test finds on the phone has all that the link says.
func TestDialog(t *testing.T) {
	inBubble(t, func(w *world) {
		link := goodLink + "&ctaTextColor=%23ffffff&btnShape=round&termsUrl=https%3A%2F%2Flingon.example%2Ft"
		if status, answer := w.openOn(link, "+46 70 174 06 09", ""); status != 200 || !answer.Dialog {
			t.Fatalf("opening the link got %d %+v, want a dialog", status, answer)
		}
		open := w.pending("09")
		if len(open) != 1 || open[0].Kind != "onetap" || open[0].App != "Lingon Market" || open[0].RequestID != goodNonce || open[0].Phone != fiction+"09" {
			t.Fatalf("pending: %+v, want the link's request alone", open)
		}
		want := Dialog{Title: "To get started, please log in", Button: "Use +46701740609", Footer: "I'll do it later", Color: "#0066CC", TextColor: "#ffffff", Round: true,
			Lang: "hi", PrivacyURL: "https://lingon.example/p", TermsURL: "https://lingon.example/t", TTL: 60000}
		if *open[0].Dialog != want {
			t.Errorf("the dialog is %+v, want %+v", *open[0].Dialog, want)
		}
	})
}

func TestDialogTexts(t *testing.T) {
	for _, row := range []struct {
		link Link
		want Dialog
	}{
		{Link{}, Dialog{Button: "+4670"}},
		{Link{LoginPrefix: "proceed"}, Dialog{Title: "To proceed", Button: "+4670"}},
		{Link{LoginSuffix: "verifymobile", CTAPrefix: "proceedwith", BtnShape: "rect"}, Dialog{Title: "please verify mobile no.", Button: "Proceed with +4670"}},
		{Link{LoginPrefix: "continuewith", LoginSuffix: "loginsignup", SkipOption: "manualdetails", TTL: minTTL},
			Dialog{Title: "To continue with your booking, please log in or sign up", Button: "+4670", Footer: "Enter details manually", TTL: 8000}},
	} {
		if got := row.link.dialog("4670"); *got != row.want {
			t.Errorf("the dialog is %+v, want %+v", *got, row.want)
		}
	}
}

// The app of the partnerKey gets the callbacks, whatever name the link shows.
func TestOneTapOfSeveralApps(t *testing.T) {
	inBubble(t, func(w *world) {
		w.openOn(strings.Replace(goodLink, "partnerKey=key", "partnerKey=other-key", 1), fiction+"05", "")
		time.Sleep(time.Second)
		for _, d := range w.deliveries() {
			if d.path != "/other" {
				t.Errorf("the callback is %+v, want one to /other", d)
			}
		}
		if len(w.deliveries()) != 2 {
			t.Errorf("the callbacks are %v, want two", w.deliveries())
		}
	})
}

// as is a phone that behaves as another number of the table; its own number stays.
func TestOneTapAs(t *testing.T) {
	inBubble(t, func(w *world) {
		w.openOn(goodLink, "919999999999", "16")
		if c := w.callback(); c["status"] != "flow_invoked" {
			t.Fatalf("the callback is %v, want flow_invoked", c)
		}
		token := w.callback()["accessToken"]
		for _, want := range []int{503, 503, 200} {
			status, profile := w.profile(token)
			if status != want || status == 200 && !strings.Contains(string(marshal(profile)), "919999999999") {
				t.Errorf("the profile is %d %v, want %d with both numbers", status, profile, want)
			}
		}
		if _, answer := w.openOn(goodLink, fiction+"05", "17"); answer.Dialog {
			t.Error("nobody is signed in there")
		}
		w.openOn(goodLink, fiction+"05", "07")
		time.Sleep(time.Second)
		if len(w.pending("05")) != 1 {
			t.Error("05 as 07 has decided, want a request that waits")
		}
		for _, row := range [][2]string{{fiction + "05", "99"}, {fiction + "05", "5"}, {"abc", ""}, {"12", ""}, {"0701740605", ""}, {"4670174060512345", ""}} {
			if status, _ := w.do("POST", "/sim/open", string(marshal(map[string]string{"link": goodLink, "phone": row[0], "as": row[1]}))); status != 400 {
				t.Errorf("opening a link on %v got %d, want 400", row, status)
			}
		}
	})
}

// An unnamed phone waits for a decision.
func TestOneTapOnThePhoneWithoutAName(t *testing.T) {
	inBubble(t, func(w *world) {
		if status, body := w.do("POST", "/sim/open", `{"link":"`+goodLink+`"}`); status != 200 || body != `{"requestId":"nonce-of-32-bytes","dialog":true,"warnings":[]}` {
			t.Errorf("opening a link without a phone got %d %s, want 200 and a dialog", status, body)
		}
		if len(w.pending("07")) != 1 {
			t.Error("the request is not on the phone of 07")
		}
	})
}

// Without an account on the phone, or with an unknown partner, no dialog appears and no
// callback is sent. An invalid link opens nothing.
func TestOneTapWithoutDialog(t *testing.T) {
	inBubble(t, func(w *world) {
		if answer := w.tap("17"); answer.Reason != "no user is signed in to Truecaller on this phone" {
			t.Errorf("opening a link on 17 got %+v, want that no user is signed in", answer)
		}
		unknown := strings.Replace(goodLink, "partnerKey=key", "partnerKey=unknown", 1)
		if status, answer := w.openOn(unknown, fiction+"05", ""); status != 200 || answer.Dialog || answer.Reason != "no app has this partnerKey" {
			t.Errorf("opening a link with an unknown key got %d %+v, want 200 and no dialog", status, answer)
		}
		if status, body := w.do("POST", "/sim/open", `{"link":"https://example.com/"}`); status != 422 || !strings.Contains(body, "the phone does not open this link") {
			t.Errorf("opening another link got %d %s, want 422", status, body)
		}
		for _, body := range []string{``, `{`, `[]`, `{"link":7}`, `{"link":"` + goodLink + `","number":"46701740605"}`} {
			if status, answer := w.do("POST", "/sim/open", body); status != 400 {
				t.Errorf("the body %q got %d %s, want 400", body, status, answer)
			}
		}
		time.Sleep(time.Hour)
		if len(w.deliveries()) != 0 || len(w.sim.waiting("")) != 0 {
			t.Errorf("callbacks %v, want none and no request", w.deliveries())
		}
		var statuses []int
		for _, e := range w.events() {
			if statuses = append(statuses, e.Status); e.What != "link" || e.Error == "" {
				t.Errorf("the event is %+v, want a link with an error", e)
			}
		}
		if !reflect.DeepEqual(statuses, []int{404, 404, 422}) {
			t.Errorf("the events have the statuses %v, want 404, 404, 422", statuses)
		}
	})
}

// The warnings about a link are in the response, on the phone and in the log.
func TestOneTapWarnings(t *testing.T) {
	inBubble(t, func(w *world) {
		_, answer := w.openOn(goodLink+"&callbackUrl=x", fiction+"07", "")
		want := []string{`"callbackUrl" is not known`}
		if !answer.Dialog || !reflect.DeepEqual(answer.Warnings, want) || !reflect.DeepEqual(w.pending("07")[0].Warnings, want) {
			t.Errorf("opening the link gave %+v, want a dialog with the warnings %q", answer, want)
		}
		for _, e := range w.events() {
			if e.What == "link" && (e.Status != 200 || e.App != "Lingon" || e.RequestID != goodNonce || !reflect.DeepEqual(e.Warnings, want)) {
				t.Errorf("the event is %+v, want one with the warnings %q", e, want)
			}
		}
	})
}

// A dialog with a ttl goes away by itself, and says that it was dismissed; one
// below eight seconds is raised.
func TestOneTapTTL(t *testing.T) {
	for ttl, want := range map[string]time.Duration{"60000": time.Minute, "8000": 8 * time.Second, "100": 8 * time.Second} {
		inBubble(t, func(w *world) {
			w.openOn(strings.Replace(goodLink, "ttl=60000", "ttl="+ttl, 1), fiction+"09", "")
			time.Sleep(want - time.Nanosecond)
			if len(w.pending("09")) != 1 {
				t.Errorf("a dialog with ttl %s is gone before its time", ttl)
			}
			time.Sleep(time.Nanosecond)
			if c := w.callback(); c["status"] != "flow_invoked" {
				t.Errorf("the callback is %v, want flow_invoked", c)
			}
			if c := w.callback(); c["status"] != "user_rejected" || time.Since(w.begun) != want {
				t.Errorf("a dialog with ttl %s sent %v after %s, want user_rejected after %s", ttl, c, time.Since(w.begun), want)
			}
		})
	}
	inBubble(t, func(w *world) { // one that was decided stays so
		w.openOn(goodLink, fiction+"05", "")
		time.Sleep(time.Hour)
		if made := w.deliveries(); len(made) != 2 || made[1].body["accessToken"] == "" {
			t.Errorf("the callbacks are %+v, want a token as the second of two", made)
		}
	})
}

// A link that is opened twice has one dialog, which can be decided again.
func TestOneTapOpenedAgain(t *testing.T) {
	inBubble(t, func(w *world) {
		w.tap("07")
		w.tap("07")
		if open := w.pending("07"); len(open) != 1 {
			t.Fatalf("pending: %+v, want one", open)
		}
		if w.decide(goodNonce, decline) != 200 || w.decide(goodNonce, approve) != 409 {
			t.Error("the second dialog was not decided exactly once")
		}
		w.tap("07")
		if w.decide(goodNonce, approve) != 200 {
			t.Error("the third dialog cannot be approved")
		}
		var said []string
		for _, d := range w.deliveries() {
			said = append(said, d.body["status"])
		}
		if strings.Join(said, " ") != "flow_invoked flow_invoked user_rejected flow_invoked " {
			t.Errorf("the callbacks have the statuses %q, want flow_invoked for each dialog, user_rejected and a token", said)
		}
	})
}

// The profile's address is the configured one, even if the browser used another name for
// this machine.
func TestOneTapEndpoint(t *testing.T) {
	inBubble(t, func(w *world) {
		for configured, want := range map[string]string{"": w.url, "http://simulator.example:9441": "http://simulator.example:9441", "http://simulator.example/": "http://simulator.example"} {
			w.sim.cfg.BaseURL = configured
			w.tap("05")
			w.callback()
			if c := w.callback(); c["endpoint"] != want+"/v1/default" {
				t.Errorf("with the address %q the callback is %v, want the endpoint below %s", configured, c, want)
			}
		}
	})
}

// A push and a link with the same number at once have callbacks of their own.
func TestPushAndOneTapTogether(t *testing.T) {
	inBubble(t, func(w *world) {
		w.push("07")
		w.tap("07")
		w.callback()
		open := w.pending("07")
		if len(open) != 2 || open[0].Kind != "onetap" || open[1].Kind != "push" {
			t.Fatalf("pending: %+v, want a link's request before a push", open)
		}
		w.decide(open[1].RequestID, approve)
		if c := w.callback(); c["requestId"] != open[1].RequestID || c["state"] != "our-state" || c["endpoint"] != "" {
			t.Errorf("the callback is %v, want that of the push", c)
		}
		w.decide(url.PathEscape(goodNonce), approve)
		if c := w.callback(); c["requestId"] != goodNonce || c["state"] != "" || c["endpoint"] == "" {
			t.Errorf("the callback is %v, want that of the link", c)
		}
	})
}
