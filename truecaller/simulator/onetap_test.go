package simulator

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const goodLink = "truecallersdk://truesdk/web_verify?type=btmsheet&requestNonce=nonce-of-32-bytes&partnerKey=key&partnerName=Lingon%20Market" +
	"&lang=hi&privacyUrl=https%3A%2F%2Flingon.example%2Fp&loginPrefix=getstarted&loginSuffix=login&ctaPrefix=use&ctaColor=%230066CC&skipOption=later&ttl=60000"

func TestParseLink(t *testing.T) {
	l, warnings, err := ParseLink(goodLink)
	want := Link{Nonce: "nonce-of-32-bytes", PartnerKey: "key", PartnerName: "Lingon Market", Lang: "hi", PrivacyURL: "https://lingon.example/p",
		LoginPrefix: "getstarted", LoginSuffix: "login", CTAPrefix: "use", CTAColor: "#0066CC", SkipOption: "later", TTL: time.Minute}
	if err != nil || warnings != nil || l != want {
		t.Fatalf("%+v\n%v %v", l, warnings, err)
	}
	if l.Title() != "To get started, please log in" || l.Button() != "Use" || l.Skip() != "I'll do it later" {
		t.Errorf("%q %q %q", l.Title(), l.Button(), l.Skip())
	}
	without := func(part string) string { return strings.Replace(goodLink, part, "", 1) }
	for what, link := range map[string]string{
		"another scheme": strings.Replace(goodLink, "truecallersdk:", "truecaller:", 1),
		"another path":   strings.Replace(goodLink, "web_verify", "verify", 1),
		"a merged first parameter, as in the printed samples": strings.Replace(goodLink, "btmsheet&", "btmsheet", 1),
		"no nonce":      without("&requestNonce=nonce-of-32-bytes"),
		"a short nonce": strings.Replace(goodLink, "nonce-of-32-bytes", "1234567", 1),
		"a long nonce":  strings.Replace(goodLink, "nonce-of-32-bytes", strings.Repeat("n", 65), 1),
		"no key":        without("&partnerKey=key"),
		"no name":       without("&partnerName=Lingon%20Market"),
		"bad encoding":  goodLink + "%zz",
	} {
		if _, _, err := ParseLink(link); err == nil {
			t.Errorf("%s: it opens", what)
		}
	}
	for what, row := range map[string]struct{ link, warning string }{
		"a raw colour":      {strings.Replace(goodLink, "%23", "#", 1), "fragment"},
		"a plus":            {strings.Replace(goodLink, "Lingon%20", "Lingon+", 1), "partnerName: a plus"},
		"an unknown prefix": {strings.Replace(goodLink, "=getstarted", "=welcome", 1), "loginPrefix"},
		"a short ttl":       {strings.Replace(goodLink, "=60000", "=100", 1), "ttl: 100ms is raised to 8s"},
		"an unknown name":   {goodLink + "&callbackUrl=x", "callbackUrl is not known"},
		"a name twice":      {goodLink + "&lang=en", "lang stands in it twice"},
		"another language":  {strings.Replace(goodLink, "lang=hi", "lang=sv", 1), `lang: "sv"`},
		"an http address":   {strings.Replace(goodLink, "https%3A", "http%3A", 1), "privacyUrl"},
	} {
		if _, warnings, err := ParseLink(row.link); err != nil || len(warnings) == 0 || !strings.Contains(strings.Join(warnings, "\n"), row.warning) {
			t.Errorf("%s: %v, %v", what, warnings, err)
		}
	}
}

// What a phone reads from a link without warnings is what it would read from the
// link made of that again.
func FuzzParseLink(f *testing.F) {
	f.Add(goodLink)
	f.Add(goodLink + "&lang=en#x")
	f.Add("truecallersdk://truesdk/web_verify?")
	f.Fuzz(func(t *testing.T, raw string) {
		l, warnings, err := ParseLink(raw)
		if err != nil {
			if l != (Link{}) || warnings != nil {
				t.Fatal("an error and a link")
			}
			return
		}
		if len(l.Nonce) < 8 || len(l.Nonce) > 64 || l.PartnerKey == "" || l.TTL != 0 && l.TTL < minTTL {
			t.Fatalf("%+v", l)
		}
		if len(warnings) > 0 {
			return
		}
		q := url.Values{"type": {"btmsheet"}, "requestNonce": {l.Nonce}, "partnerKey": {l.PartnerKey}, "partnerName": {l.PartnerName}, "lang": {l.Lang},
			"privacyUrl": {l.PrivacyURL}, "termsUrl": {l.TermsURL}, "loginPrefix": {l.LoginPrefix}, "loginSuffix": {l.LoginSuffix}, "ctaPrefix": {l.CTAPrefix},
			"ctaColor": {l.CTAColor}, "ctaTextColor": {l.CTATextColor}, "btnShape": {l.BtnShape}, "skipOption": {l.SkipOption}}
		again, warnings, err := ParseLink("truecallersdk://truesdk/web_verify?" + strings.ReplaceAll(q.Encode(), "+", "%20"))
		again.TTL = l.TTL
		if err != nil || len(warnings) > 0 || again != l {
			t.Fatalf("%+v, %v, %v; want %+v", again, warnings, err, l)
		}
	})
}

// tap opens the good link on the phone with the number xx.
func (w *world) tap(xx string) {
	w.t.Helper()
	body := string(marshal(map[string]string{"link": goodLink, "phone": "+" + fiction + xx}))
	if status, answer := w.do("POST", "/sim/open", body); status != 200 || answer != `{"warnings":null}` {
		w.t.Fatalf("%d %s", status, answer)
	}
}

func TestOneTapByItself(t *testing.T) {
	for _, row := range []struct{ xx, want string }{
		{"05", "flow_invoked token"}, {"08", "flow_invoked user_rejected"}, {"12", "flow_invoked token token token"}, {"13", "token flow_invoked"},
	} {
		w := newWorld(t)
		w.tap(row.xx)
		var got []string
		for range strings.Fields(row.want) {
			c := w.callback()
			if c["requestId"] != "nonce-of-32-bytes" || c["state"] != "" {
				t.Errorf("%s: %v", row.xx, c)
			}
			if c["accessToken"] == "" {
				got = append(got, c["status"])
				continue
			}
			got = append(got, "token")
			if c["endpoint"] != w.url+"/v1/default" {
				t.Errorf("endpoint %s", c["endpoint"])
			}
			if status, profile := w.profile(c["accessToken"]); status != 200 || !reflect.DeepEqual(profile["phoneNumbers"], []any{46701740600.0 + float64(row.xx[0]-'0')*10 + float64(row.xx[1]-'0')}) {
				t.Errorf("%s: %d %v", row.xx, status, profile["phoneNumbers"])
			}
		}
		if strings.Join(got, " ") != row.want {
			t.Errorf("%s: %v, want %s", row.xx, got, row.want)
		}
	}
}

func TestOneTapDecided(t *testing.T) {
	for decision, want := range map[string]string{"approve": "", "decline": "user_rejected", "another": "use_another_number"} {
		w := newWorld(t)
		w.tap("07")
		if c := w.callback(); c["status"] != "flow_invoked" {
			t.Fatal(c)
		}
		var open []Pending
		_, body := w.do("GET", "/sim/requests?phone="+fiction+"07", "")
		if err := json.Unmarshal([]byte(body), &open); err != nil || len(open) != 1 || open[0].Kind != "onetap" || open[0].App != "Lingon Market" {
			t.Fatalf("%s %v", body, err)
		}
		if _, page := w.do("GET", "/phone", ""); !strings.Contains(page, "To get started, please log in") || !strings.Contains(page, "do it later") {
			t.Errorf("the dialog:\n%s", page)
		}
		if status, _ := w.do("POST", "/sim/requests/nonce-of-32-bytes/"+decision, ""); status != 200 {
			t.Errorf("%s: %d", decision, status)
		}
		if c := w.callback(); c["status"] != want || (c["accessToken"] != "") != (want == "") {
			t.Errorf("%s: %v", decision, c)
		}
		if status, _ := w.do("POST", "/sim/requests/nonce-of-32-bytes/approve", ""); status != 409 {
			t.Errorf("decided again: %d", status)
		}
	}
	w := newWorld(t) // a push has no footer
	w.push("07")
	id := w.sim.waiting("")[0].RequestID
	if status, _ := w.do("POST", "/sim/requests/"+url.PathEscape(id)+"/another", ""); status != 404 {
		t.Errorf("another for a push: %d", status)
	}
}

// Nobody signed in on the phone, or a partner that is not known: the dialog does
// not appear, and nobody hears of it.
func TestOneTapWithoutDialog(t *testing.T) {
	w := newWorld(t)
	w.tap("17")
	unknown := strings.Replace(goodLink, "partnerKey=key", "partnerKey=other", 1)
	if status, _ := w.do("POST", "/sim/open", string(marshal(map[string]string{"link": unknown}))); status != 200 {
		t.Errorf("unknown partner: %d", status)
	}
	if status, body := w.do("POST", "/sim/open", `{"link":"https://example.com/"}`); status != 422 || !strings.Contains(body, "does not open") {
		t.Errorf("%d %s", status, body)
	}
	if open := w.sim.waiting(""); len(open) != 0 || len(w.callbacks) != 0 {
		t.Errorf("%v, %d callbacks", open, len(w.callbacks))
	}
	w.sim.mu.Lock()
	defer w.sim.mu.Unlock()
	for _, e := range w.sim.log {
		if e.What == "link" && e.Status == 200 {
			t.Errorf("%+v", e)
		}
	}
}

// roundTrip takes callbacks without a network.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A dialog with a ttl goes away by itself, and says that it was dismissed.
func TestOneTapTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := make(chan string, 10)
		s := New(Config{Apps: []App{{Name: "Test", Key: "key", CallbackURL: "http://127.0.0.1/"}}, HTTP: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			var body map[string]string
			json.NewDecoder(r.Body).Decode(&body)
			got <- body["status"]
			return httptest.NewRecorder().Result(), nil
		})}})
		defer s.Close()
		if _, err := s.openLink(goodLink, fiction+"09", "http://127.0.0.1"); err != nil {
			t.Fatal(err)
		}
		opened := time.Now()
		if first := <-got; first != "flow_invoked" || time.Since(opened) != 0 {
			t.Errorf("%s after %s", first, time.Since(opened))
		}
		if second := <-got; second != "user_rejected" || time.Since(opened) != time.Minute {
			t.Errorf("%s after %s", second, time.Since(opened))
		}
	})
}

func TestSeveralApps(t *testing.T) {
	w := newWorld(t)
	other := make(chan string, 10)
	receiver := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { other <- r.URL.Path }))
	defer receiver.Close()
	w.sim.Apps = append(w.sim.Apps, App{Name: "Other", Key: "other-key", CallbackURL: receiver.URL + "/other"})
	if status, _ := w.do("POST", "/v1/apps/requests", `{"phoneNumber":`+fiction+`07}`, "appKey", "other-key"); status != 200 {
		t.Fatal(status)
	}
	open := w.sim.waiting("")
	if len(open) != 1 || open[0].App != "Other" {
		t.Fatalf("%+v", open)
	}
	w.do("POST", "/sim/requests/"+url.PathEscape(open[0].RequestID)+"/approve", "")
	if path := <-other; path != "/other" || len(w.callbacks) != 0 {
		t.Errorf("the callback went to %s, and %d to the first app", path, len(w.callbacks))
	}
}

func TestTokensAreBearersAndBounded(t *testing.T) {
	w := newWorld(t)
	w.push("05")
	access := w.callback()["accessToken"]
	for _, header := range []string{access, "bearer " + access, "Basic " + access, ""} {
		if status, _ := w.do("GET", "/v1/default", "", "Authorization", header); status != 401 {
			t.Errorf("%.10q: %d", header, status)
		}
	}
	app := &w.sim.Apps[0]
	app.CallbackURL = "http://127.0.0.1:1/"
	w.sim.http = &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) { return httptest.NewRecorder().Result(), nil })}
	shapes := map[bool]int{}
	for range keptTokens + 10 {
		req := w.sim.add(app, fiction+"05", "")
		shapes[strings.HasSuffix(req.ID, "=")]++
		w.sim.decide(req, "approve")
	}
	if len(w.sim.tokens) > keptTokens || len(w.sim.issued) > keptTokens || len(w.sim.byID) > w.sim.KeptRequests || len(w.sim.log) > keptEvents {
		t.Errorf("%d tokens, %d requests, %d events", len(w.sim.tokens), len(w.sim.byID), len(w.sim.log))
	}
	if shapes[true] < keptTokens/3 || shapes[false] < keptTokens/3 {
		t.Errorf("shapes of ids: %v", shapes)
	}
}

// A callback of a test's own making is sent once, and says when nobody is there.
func TestSendCallbackSaysWhenNobodyIsThere(t *testing.T) {
	w := newWorld(t)
	if status, body := w.do("POST", "/sim/callback", `{"url":"http://127.0.0.1:1/","body":{}}`); status != 502 || !strings.Contains(body, "error") {
		t.Errorf("%d %s", status, body)
	}
}
