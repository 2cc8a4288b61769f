// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"calleridp/cmd/calleridp/selfsigned"
	"calleridp/test/harness"
)

// operating is a browser at the console of a running server.
type operating struct {
	*harness.Browser
	t      *testing.T
	server *harness.Production
}

var (
	inputs    = regexp.MustCompile(`<input [^>]*name="([^"]+)"[^>]*value="([^"]*)"[^>]*>`)
	textareas = regexp.MustCompile(`<textarea [^>]*name="([^"]+)"[^>]*>([^<]*)</textarea>`)
	selects   = regexp.MustCompile(`(?s)<select [^>]*name="([^"]+)"[^>]*>.*?</select>`)
	selected  = regexp.MustCompile(`<option value="([^"]*)" selected>`)
)

// fields returns what the forms of a page would send as they are. Unchecked boxes send
// nothing.
func fields(page string) url.Values {
	v := url.Values{}
	for _, m := range inputs.FindAllStringSubmatch(page, -1) {
		if !strings.Contains(m[0], `type="checkbox"`) || strings.Contains(m[0], " checked") {
			v.Set(m[1], html.UnescapeString(m[2]))
		}
	}
	for _, m := range textareas.FindAllStringSubmatch(page, -1) {
		v.Set(m[1], html.UnescapeString(m[2]))
	}
	for _, m := range selects.FindAllStringSubmatch(page, -1) {
		if chosen := selected.FindStringSubmatch(m[0]); chosen != nil {
			v.Set(m[1], html.UnescapeString(chosen[1]))
		}
	}
	return v
}

// open returns a page of the console, which must have the status and the texts.
func (o operating) open(path string, status int, texts ...string) harness.Page {
	o.t.Helper()
	return o.check(o.Get(o.Issuer+path), status, texts...)
}

// send sends a form of the console.
func (o operating) send(path string, form url.Values, status int, texts ...string) harness.Page {
	o.t.Helper()
	return o.check(o.Post(o.Issuer+path, form), status, texts...)
}

func (o operating) check(p harness.Page, status int, texts ...string) harness.Page {
	o.t.Helper()
	if p.Status != status {
		o.t.Fatalf("%s: got %d, want %d:\n%s", p.URL, p.Status, status, p.Body)
	}
	has(o.t, p.URL, p.Body+p.Header.Get("Location"), texts...)
	return p
}

// signIn signs in with a phone and returns the page that the console then shows.
func (o operating) signIn(number string) harness.Page {
	o.t.Helper()
	to := o.open("/console/signin/start", 303, o.server.Issuer+"/authorize?").Header.Get("Location")
	phone := harness.NewBrowser(o.t, o.server.Issuer)
	back, page := phone.Follow(phone.Submit(phone.Get(to), number), harness.Timeout)
	if back == nil || !strings.HasPrefix(back.String(), o.Issuer+"/console/callback?") {
		o.t.Fatalf("the issuer sends the browser to %v, %d %s", back, page.Status, page.Body)
	}
	return o.Get(back.String())
}

// An operator uses the console of a running server over TLS: by phone and with an API key.
// Other users are kept out, and an operator who is off the list or whose key is removed is out
// at once.
func TestConsoleOfARunningServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "admin.crt"), filepath.Join(dir, "admin.key")
	if err := selfsigned.Write(certFile, keyFile, "localhost"); err != nil {
		t.Fatal(err)
	}
	vendor, admin := harness.FreePort(t), harness.FreePort(t)
	at := "https://localhost:" + admin
	operator, other, stranger := harness.Number(5), harness.Number(10), harness.Number(11)
	server := harness.Serve(t, "http://127.0.0.1:"+vendor, fmt.Sprintf(`
admin_listen: 127.0.0.1:%s
admin_tls: {cert_file: %s, key_file: %s}
console:
  url: %s
  numbers: ["%s", "%s"]
`, admin, certFile, keyFile, at, operator, other))
	simulate(t, vendor, server.Config())
	good(t, "client", "add", "--id", "shop", "--name", "Shop", "--redirect-uri", "https://shop.example.com/cb", "--socket", server.Socket)

	pem, err := os.ReadFile(certFile)
	pool := x509.NewCertPool()
	if err != nil || !pool.AppendCertsFromPEM(pem) {
		t.Fatal(err)
	}
	browse := func() operating {
		b := harness.NewBrowser(t, at)
		b.Transport = &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: pool}}
		return operating{b, t, server}
	}

	// By phone. A page without a session leads to the sign-in.
	o := browse()
	o.open("/console/", 303, "/console/signin")
	page := o.check(o.signIn(operator), 200, "You are signed in.")
	var cookie string
	for _, set := range page.Header.Values("Set-Cookie") {
		if strings.HasPrefix(set, "__Host-calleridp_console=") {
			cookie = set
		}
	}
	has(t, "the session's cookie", cookie, "; Path=/", "; HttpOnly", "; Secure", "; SameSite=Strict")
	o.open("/console/", 200, "Overview", "admin")

	// Edit a client, and see it in the audit.
	form := fields(o.open("/console/clients/shop/edit", 200).Body)
	form.Set("client_name", "Tea shop")
	o.send("/console/clients/shop/edit", form, 303, "/console/clients/shop")
	o.open("/console/clients/shop", 200, "Tea shop", "https://shop.example.com/cb")
	o.open("/console/audit?event=client.edited", 200, "client.edited", "console sub ", "client_name")
	server.Logged(`"client.edited"`, `"operator":"console sub `)
	has(t, "client show", good(t, "client", "show", "shop", "--socket", server.Socket), "Tea shop")

	// Another operator's page cannot be used, and signing out ends the session.
	without := url.Values{"client_name": form["client_name"], "etag": form["etag"]}
	o.send("/console/clients/shop/edit", without, 403, "The page is out of date")
	token := url.Values{"token": form["token"]}
	kept := fmt.Sprint(o.Jar.Cookies(must(url.Parse(at))))
	o.send("/console/signout", token, 303, "/console/signin")
	o.open("/console/", 303, "/console/signin")
	_, value, _ := strings.Cut(strings.Trim(kept, "[]"), "__Host-calleridp_console=")
	r := must(http.NewRequest("GET", at+"/console/", nil))
	r.AddCookie(&http.Cookie{Name: "__Host-calleridp_console", Value: strings.Fields(value)[0]})
	copied := must(o.Transport.RoundTrip(r))
	copied.Body.Close()
	if copied.StatusCode != 303 {
		t.Errorf("a copy of the cookie after signing out: got %d, want 303", copied.StatusCode)
	}

	// A user who is no operator.
	s := browse()
	s.check(s.signIn(stranger), 403, "Not an operator", "is not on this server", "console.numbers")
	s.open("/console/clients", 303, "/console/signin")
	server.Logged(`"console.refused"`, `"reason":"not_listed"`)

	// An API key does what its scopes allow, until it is removed.
	var key struct{ ID, Key string }
	made := good(t, "api-key", "add", "--name", "watch", "--scope", "clients:read", "--socket", server.Socket, "--output", "json")
	if err := json.Unmarshal([]byte(made), &key); err != nil {
		t.Fatal(err)
	}
	k := browse()
	k.send("/console/signin/key", url.Values{"key": {key.Key + "x"}}, 401, "not valid")
	k.send("/console/signin/key", url.Values{"key": {key.Key}}, 303, "/console/")
	k.open("/console/clients/shop", 200, "Tea shop", "API key")
	k.open("/console/users", 403, "users:read")
	good(t, "api-key", "remove", key.ID, "--socket", server.Socket)
	k.open("/console/clients/shop", 303, "/console/signin")

	// An operator who is taken off the list while signed in.
	o.check(o.signIn(other), 200, "You are signed in.")
	o.open("/console/clients", 200, "Tea shop")
	server.Configure(fmt.Sprintf(`numbers: ["%s", "%s"]`, operator, other), fmt.Sprintf(`numbers: ["%s"]`, operator))
	server.Signal(syscall.SIGHUP)
	harness.Eventually(t, "the operator is off the list", func() bool { return o.Get(at+"/console/clients").Status == 303 })

	for _, secret := range []string{operator[1:], other[1:], stranger[1:], key.Key[21:]} {
		if strings.Contains(server.Log(), secret) {
			t.Errorf("the log has %s", secret)
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
