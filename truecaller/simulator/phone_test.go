// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"html"
	"io"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

func (w *world) submit(path string, form url.Values) (status int, location, page string) {
	w.t.Helper()
	answer := w.send("POST", path, form.Encode(), "Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Site", "same-origin")
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return answer.StatusCode, answer.Header.Get("Location"), html.UnescapeString(string(body))
}

func (w *world) page(path string) string {
	w.t.Helper()
	status, body := w.do("GET", path, "")
	if status != 200 {
		w.t.Fatalf("%s: %d, want 200", path, status)
	}
	return html.UnescapeString(body)
}

// The phone's buttons work without a script.
func TestPhonePage(t *testing.T) {
	inBubble(t, func(w *world) {
		if page := w.page("/"); !strings.Contains(page, "No requests.") {
			t.Errorf("an empty phone does not say so:\n%s", page)
		}
		w.push("07")
		w.do("POST", "/v1/apps/requests", `{"phoneNumber":919999999999}`, "appKey", "other-key")
		w.tap("09")
		for _, path := range []string{"/", "/phone"} {
			page := w.page(path)
			for _, text := range []string{"Lingon</h2>", "+" + fiction + "07", "Other</h2>", "+919999999999", "Lingon Market", "To get started, please log in",
				"Use +" + fiction + "09", "I'll do it later", "https://lingon.example/p", "background:#0066CC", "<code>hi</code>", `http-equiv="refresh"`} {
				if !strings.Contains(page, text) {
					t.Errorf("%s has no %q:\n%s", path, text, page)
				}
			}
		}
		page := w.page("/phone?number=%2B919999999999")
		if !strings.Contains(page, "Other</h2>") || strings.Contains(page, fiction) && strings.Contains(page, "Lingon") {
			t.Errorf("the page shows more than one phone:\n%s", page)
		}
		for decision, path := range map[string]string{approve: "07", another: "09"} {
			status, location, _ := w.submit("/phone", url.Values{"request": {w.pending(path)[0].RequestID}, "decision": {decision}, "number": {fiction + path}})
			if status != 303 || location != "/phone?number="+fiction+path {
				t.Errorf("%s: %d to %s, want 303 to the phone of %s", decision, status, location, path)
			}
		}
		var said []string
		for _, d := range w.deliveries() {
			said = append(said, d.body["status"])
		}
		if len(w.pending("07"))+len(w.pending("09")) != 0 || len(said) != 3 {
			t.Errorf("the callbacks are %q, want three, and nothing pending", said)
		}
		// What cannot be decided changes nothing, and leads back.
		for _, form := range []url.Values{{}, {"request": {"unknown"}, "decision": {approve}}, {"request": {w.sim.waiting("")[0].RequestID}, "decision": {another}}} {
			if status, location, _ := w.submit("/phone", form); status != 303 || location != "/phone" {
				t.Errorf("%v: %d to %s, want 303 to /phone", form, status, location)
			}
		}
		if len(w.sim.waiting("")) != 1 {
			t.Error("a push has been answered with another number")
		}
	})
}

// The page lets nothing in that it did not bring itself, and shows what others
// have written as text.
func TestPhonePageIsStrict(t *testing.T) {
	inBubble(t, func(w *world) {
		evil := strings.Replace(goodLink, "Lingon%20Market", "%3Cscript%3Ealert(1)%3C%2Fscript%3E", 1) + "&ctaTextColor=%23fff%7D*%7Bdisplay%3Anone%7D"
		if _, answer := w.openOn(evil, fiction+"07", ""); !answer.Dialog {
			t.Fatalf("opening the link gave %+v, want a dialog", answer)
		}
		for _, path := range []string{"/phone", "/phone/open?link=" + url.QueryEscape(evil) + "&phone=%22%3E%3Cscript%3E"} {
			answer := w.send("GET", path, "")
			raw, _ := io.ReadAll(answer.Body)
			page, csp := string(raw), answer.Header.Get("Content-Security-Policy")
			nonce := regexp.MustCompile(`^default-src 'none'; style-src 'nonce-([A-Z0-9]{26})'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'$`).FindStringSubmatch(csp)
			if nonce == nil || !strings.Contains(page, `<style nonce="`+nonce[1]+`">`) {
				t.Errorf("%s has the policy %s, want the nonce of its style sheet", path, csp)
			}
			if strings.Contains(page, "<script") || strings.Contains(page, "display:none}") && !strings.Contains(page, "&#34;") || answer.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s has a script or unescaped text, or may be stored:\n%s", path, page)
			}
			if style := page[strings.Index(page, "<style"):strings.Index(page, "</style>")]; strings.Contains(style, "*{display:none}") {
				t.Errorf("%s: a link writes the style sheet", path)
			}
		}
	})
}

// A user pastes a link, sees the phone's warnings, and opens it. The visit alone opens
// nothing.
func TestPhoneOpensALink(t *testing.T) {
	inBubble(t, func(w *world) {
		if page := w.page("/phone/open"); !strings.Contains(page, `<textarea id="link"`) || strings.Contains(page, "refresh") {
			t.Errorf("the form is not there, or the page refreshes itself:\n%s", page)
		}
		page := w.page("/phone/open?phone=%2B46701740607&link=" + url.QueryEscape(goodLink+"&x=y"))
		for _, text := range []string{goodLink + "&x=y</textarea>", `value="+46701740607"`, `"x" is not known`} {
			if !strings.Contains(page, text) {
				t.Errorf("no %q:\n%s", text, page)
			}
		}
		if page := w.page("/phone/open?link=https%3A%2F%2Fexample.com"); !strings.Contains(page, "Nothing happens: the phone does not open this link") {
			t.Errorf("the page does not say that nothing happens:\n%s", page)
		}
		if len(w.deliveries()) != 0 || len(w.sim.waiting("")) != 0 {
			t.Fatal("a visit has opened it")
		}
		status, location, _ := w.submit("/phone/open", url.Values{"link": {" " + goodLink + "\r\n"}, "phone": {"+46 70 174 06 07"}})
		if status != 303 || location != "/phone" || len(w.pending("07")) != 1 || w.callback()["status"] != "flow_invoked" {
			t.Errorf("opening the link: %d to %s, want 303 to /phone and a dialog", status, location)
		}
		for _, row := range []struct {
			link, phone, text string
			status            int
		}{
			{"https://example.com/", "", "Nothing happens", 422},
			{goodLink, "abc", `"abc" is not a number`, 422},
			{goodLink, "+46 70 174 06 17", "no user is signed in", 200},
			{strings.Replace(goodLink, "=key", "=wrong", 1), "", "no app has this partnerKey", 200},
		} {
			status, _, page := w.submit("/phone/open", url.Values{"link": {row.link}, "phone": {row.phone}})
			if status != row.status || !strings.Contains(page, row.text) || !strings.Contains(page, row.link+"</textarea>") {
				t.Errorf("%s on %s: %d, want %d and %q\n%s", row.link, row.phone, status, row.status, row.text, page)
			}
		}
	})
}
