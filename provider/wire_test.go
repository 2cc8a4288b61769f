package provider

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"calleridp/keys"
)

func TestResponseURL(t *testing.T) {
	params := [][2]string{{"code", "a b&c"}, {"iss", "https://id.example"}}
	const added = "code=a+b%26c&iss=https%3A%2F%2Fid.example"
	for uri, want := range map[string]string{
		"https://app.example/cb":       "https://app.example/cb?" + added,
		"https://app.example/cb?x=%20": "https://app.example/cb?x=%20&" + added,
		"https://app.example/cb?":      "https://app.example/cb?" + added,
		"com.example.app:/cb":          "com.example.app:/cb?" + added,
	} {
		if got := (Response{RedirectURI: uri, Params: params}).URL(); got != want {
			t.Errorf("%s: %s, want %s", uri, got, want)
		}
	}
	if got := (Response{RedirectURI: "/logout/done"}).URL(); got != "/logout/done" {
		t.Errorf("without parameters: %s", got)
	}
}

func TestFormAction(t *testing.T) {
	for uri, want := range map[string]string{
		"https://app.example:8443/cb?x": "https://app.example:8443", "http://127.0.0.1:51004/cb": "http://127.0.0.1:51004", "http://[::1]/cb": "http://[::1]",
		"com.example.app:/cb": "com.example.app:", "": "",
	} {
		if got := formAction(uri); got != want {
			t.Errorf("%s: %q", uri, got)
		}
	}
}

// Over HTTPS the cookies are bound to the host and to TLS; over plain HTTP they
// lose that and nothing else.
func TestCookies(t *testing.T) {
	for _, secure := range []bool{true, false} {
		c := Cookies{Secure: secure}
		w := httptest.NewRecorder()
		c.SetBrowser(w, "b")
		c.SetSession(w, "s", time.Now().Add(time.Hour))
		r := httptest.NewRequest("GET", "/", nil)
		for _, cookie := range w.Result().Cookies() {
			if strings.HasPrefix(cookie.Name, "__Host-") != secure || cookie.Secure != secure || !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode || cookie.Path != "/" || cookie.Domain != "" || cookie.MaxAge <= 0 {
				t.Errorf("%+v", cookie)
			}
			r.AddCookie(cookie)
		}
		if c.Browser(r) != "b" || c.Session(r) != "s" {
			t.Errorf("read back %q, %q", c.Browser(r), c.Session(r))
		}
		if other := (Cookies{Secure: !secure}); other.Session(r) != "" {
			t.Error("a cookie of the other kind counts")
		}
		w = httptest.NewRecorder()
		c.ClearSession(w)
		if cookie := w.Result().Cookies()[0]; cookie.MaxAge >= 0 || cookie.Value != "" {
			t.Errorf("clearing: %+v", cookie)
		}
		r = httptest.NewRequest("GET", "/", nil)
		r.AddCookie(&http.Cookie{Name: c.name("calleridp_session"), Value: strings.Repeat("x", 4000)})
		if c.Session(r) != "" {
			t.Error("a huge cookie is read")
		}
	}
}

// What is read is what net/url reads, without what came twice or is empty.
func FuzzParameters(f *testing.F) {
	for _, seed := range []string{"", "a=1&b=2", "a=1&a=2", "a=&b", "a=%ff", "a=%zz", "a=1;b=2", "resource=1&resource=2", "%61=1&a=2", "a+b=c+d"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		in, err := parseParameters(raw)
		want, wantErr := url.ParseQuery(raw)
		if err != nil {
			if in.values != nil || in.repeated != nil {
				t.Fatal("an error and parameters")
			}
			return
		}
		if wantErr != nil {
			t.Fatalf("accepted %q: %v", raw, wantErr)
		}
		for name, values := range want {
			switch {
			case len(values) > 1 && !repeatable[name]:
				if !in.repeated[name] || in.get(name) != "" || !in.has(name) {
					t.Fatalf("%q twice", name)
				}
			case len(values) == 1 && in.get(name) != values[0]:
				t.Fatalf("%q = %q, want %q", name, in.get(name), values[0])
			}
		}
		if len(in.values)+len(in.repeated) > len(want) {
			t.Fatal("more than there is")
		}
	})
}

// spliced adds seeds for splice. A sealed text is another one in each process,
// so that fuzzing changes one instead of making one.
func spliced(f *testing.F) {
	f.Add("", uint8(0), uint8(0))
	f.Add("", uint8(0), uint8(255))
	f.Add("A", uint8(40), uint8(1))
	f.Add("\r\n", uint8(9), uint8(0))
	f.Add("=", uint8(255), uint8(0))
	f.Add("", uint8(255), uint8(1))
}

// splice puts piece in the place of out bytes of text, at at or at its end.
func splice(text, piece string, at, out uint8) string {
	from := min(int(at), len(text))
	if at == 255 {
		from = max(0, len(text)-int(out))
	}
	return text[:from] + piece + text[min(from+int(out), len(text)):]
}

// Only what was sealed here, for this purpose, opens; and it is the same.
func FuzzUnseal(f *testing.F) {
	master, err := keys.NewMaster(make([]byte, keys.MasterSize))
	if err != nil {
		f.Fatal(err)
	}
	p := &Provider{Config: Config{Master: master}}
	good := &authRequest{ClientID: "app", RedirectURI: "https://app.example/cb", Scopes: []string{"openid"}, State: "s", MaxAge: 1, Until: 7}
	sealed, err := p.seal(keys.PurposeAuthorizationRequest, good)
	if err != nil {
		f.Fatal(err)
	}
	spliced(f)
	f.Fuzz(func(t *testing.T, piece string, at, out uint8) {
		text := splice(sealed, piece, at, out)
		q := new(authRequest)
		err := p.unseal(keys.PurposeAuthorizationRequest, text, q)
		if (err == nil) != (text == sealed) || err == nil && !reflect.DeepEqual(q, good) {
			t.Fatalf("%q: %v, %+v", text, err, q)
		}
		if err := p.unseal(keys.PurposeLogoutRequest, text, q); err == nil {
			t.Fatal("opened for another purpose")
		}
	})
}
