// SPDX-License-Identifier: Apache-2.0

// Package cli runs the built binary's commands beside the running server.
package cli

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"calleridp/test/harness"
)

// one runs the binary, which must fail with one line that contains says.
func one(t *testing.T, says string, args ...string) {
	t.Helper()
	out, err := harness.Run(t, args...)
	for strings.HasPrefix(out, `{"time":`) && strings.Contains(out, "IS NOT TRUECALLER") { // what serve warns of before
		_, out, _ = strings.Cut(out, "\n")
	}
	out = strings.TrimPrefix(out, "Opening ports.\n")
	out = strings.TrimPrefix(out, "Generating keys. This takes a few seconds at the first start.\n")
	if err == nil || strings.Count(out, "\n") != 1 || !strings.Contains(out, says) {
		t.Errorf("calleridp %s: %v\n%s\nwant one line with %q", strings.Join(args, " "), err, out, says)
	}
}

// good runs the binary, which must succeed, and returns its output.
func good(t *testing.T, args ...string) string {
	t.Helper()
	out, err := harness.Run(t, args...)
	if err != nil {
		t.Fatalf("calleridp %s failed: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func portOf(t *testing.T, base string) string {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	return u.Port()
}

func TestDevSaysWhatIsInItsWay(t *testing.T) {
	t.Parallel()
	server := harness.Dev(t)
	taken := portOf(t, server.Issuer)
	one(t, "--provider-port: 127.0.0.1:"+taken+" is used by another program; choose another port or stop that program (--provider-port 0 chooses a free one)",
		"dev", "--provider-port", taken)
	one(t, "--demo-port: 127.0.0.1:"+taken+" is used", "dev", "--provider-port", "0", "--simulator-port", "0", "--demo-port", taken)
	free := []string{"dev", "--provider-port", "0", "--simulator-port", "0", "--demo-port", "0"}
	one(t, "another calleridp process has the store open", append(free, "--data", server.Data)...)
	one(t, "nowhere.yaml: no such file", append(free, "--clients", "nowhere.yaml")...)
	server.Stop(os.Interrupt)
	one(t, server.Data+" belongs to a provider at another address", append(free, "--data", server.Data)...)
}

// A database needs all three flags, and nothing is started without them.
func TestDevWithADatabase(t *testing.T) {
	t.Parallel()
	data, dsn := t.TempDir(), filepath.Join(t.TempDir(), "dsn")
	if err := os.WriteFile(dsn, []byte("host=/nowhere dbname=none"), 0o600); err != nil {
		t.Fatal(err)
	}
	for says, args := range map[string][]string{
		"needs --dsn-file FILE":                {"--storage", "postgres", "--data", data},
		"needs --data DIRECTORY":               {"--storage", "postgres", "--dsn-file", dsn},
		"--storage postgres, which is missing": {"--dsn-file", dsn, "--data", data},
	} {
		one(t, says, append([]string{"dev"}, args...)...)
	}
}

func TestDevRegistersTheClientsOfAFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "clients.yaml")
	text := "- client_id: conformance-1\n  name: Conformance\n  secret: conformance-secret\n  redirect_uris: [https://suite.example.com/cb]\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	server := harness.Dev(t, "--clients", file)
	listed := good(t, "client", "list", "--socket", filepath.Join(server.Data, "admin.sock"))
	for _, id := range []string{"conformance-1", "demo ", "demo2", "demo-third", "demo-es256", "demo-public", "demo-native"} {
		if !strings.Contains(listed, id) {
			t.Errorf("client list has no client %s:\n%s", id, listed)
		}
	}
	if err := os.WriteFile(file, []byte("- client_id: x\n  nam: X\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := harness.Run(t, "dev", "--provider-port", "0", "--simulator-port", "0", "--demo-port", "0", "--clients", file)
	if err == nil || !strings.Contains(out, file+" has 1 problem:\n  clients[0].nam (line 2): unknown key; did you mean name?") {
		t.Errorf("dev with a mistake in its clients: %v\n%s\nwant the mistake, its line and a suggestion", err, out)
	}
}

// authenticates reports whether the client's secret is valid at the introspection
// endpoint.
func authenticates(t *testing.T, issuer, id, secret string) bool {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, issuer+"/introspect", strings.NewReader("token=x"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(id, secret)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}

type client struct {
	ID     string `json:"client_id"`
	Secret string `json:"client_secret"`
}

func TestClientsOfARunningServer(t *testing.T) {
	t.Parallel()
	server := harness.Serve(t, "http://127.0.0.1:1", "truecaller_apps:\n  - {id: phones, app_name: Phones, methods: [native], native_client_id: of-the-portal}\nresponse_types: [code, token code]\n")
	config := []string{"--config", filepath.Join(server.Dir, "calleridp.yaml")}
	command := func(args ...string) string { t.Helper(); return good(t, append(args, config...)...) }
	parsed := func(out string) client {
		t.Helper()
		var c client
		if err := json.Unmarshal([]byte(out), &c); err != nil {
			t.Fatalf("client printed no JSON: %v\n%s", err, out)
		}
		return c
	}

	added := parsed(command("client", "add", "--output", "json", "--name", "My shop", "--redirect-uri", "https://shop.example.com/cb", "--alg", "ES256"))
	if !authenticates(t, server.Issuer, added.ID, added.Secret) || authenticates(t, server.Issuer, added.ID, added.Secret+"x") {
		t.Error("the client does not authenticate with the printed secret, or does with another one")
	}
	shown := command("client", "show", added.ID)
	if !strings.Contains(shown, "My shop") || !strings.Contains(shown, "ES256") || strings.Contains(shown, "client_secret") {
		t.Errorf("client show printed\n%s\nwant the name and ES256, and no secret", shown)
	}
	// It is there after a restart.
	server.Stop(os.Interrupt)
	server.Start()
	if !authenticates(t, server.Issuer, added.ID, added.Secret) {
		t.Error("the client does not authenticate after a restart")
	}

	second := parsed(command("client", "rotate-secret", added.ID, "--output", "json")).Secret
	third := parsed(command("client", "rotate-secret", "--output", "json", added.ID)).Secret
	for secret, want := range map[string]bool{added.Secret: false, second: true, third: true} {
		if authenticates(t, server.Issuer, added.ID, secret) != want {
			t.Errorf("a secret is good: %v, want %v", !want, want)
		}
	}
	if out := command("client", "remove", added.ID); !strings.Contains(out, "client "+added.ID+" (My shop) is removed") {
		t.Errorf("client remove printed %q, want that %s is removed", out, added.ID)
	}
	if authenticates(t, server.Issuer, added.ID, third) {
		t.Error("a removed client authenticates")
	}

	public := command("client", "add", "--id", "app", "--name", "App", "--public", "--redirect-uri", "com.example.app:/cb")
	if strings.Contains(public, "secret") || !strings.Contains(public, "public") {
		t.Errorf("client add --public printed\n%s\nwant public and no secret", public)
	}
	fails := func(says string, args ...string) { t.Helper(); one(t, says, append(args, config...)...) }
	fails(`native: needs a Truecaller app with the method native, which "default" does not have`, "client", "add", "--id", "android", "--name", "Android", "--public", "--native")
	fails(`truecaller_app: "nobodys" is not configured; use one of default, phones`, "client", "add", "--name", "X", "--redirect-uri", "https://a.example.com/cb", "--truecaller-app", "nobodys")
	native := command("client", "add", "--id", "android", "--name", "Android", "--public", "--native", "--truecaller-app", "phones")
	if !strings.Contains(native, "native") || strings.Contains(native, "redirect_uris") || !strings.Contains(command("client", "show", "android", "--output", "json"), `"native": true`) {
		t.Errorf("client add --native printed\n%s\nwant native and no redirect_uris", native)
	}
	hybrid := command("client", "add", "--name", "H", "--redirect-uri", "https://h.example.com/cb", "--response-type", "code", "--response-type", "token code")
	if !strings.Contains(hybrid, "code, code token") || !strings.Contains(hybrid, "note: response_types[1]: ") {
		t.Errorf("client add --response-type printed\n%s\nwant both response types, and a note about the second", hybrid)
	}
	fails(`response_types[0]: "id_token" is turned off here (response_types of the deployment); use one of "code", "code token"`,
		"client", "add", "--name", "X", "--redirect-uri", "https://a.example.com/cb", "--response-type", "id_token")
	fails("device_flow: is turned off here (device_flow.enabled)", "client", "add", "--name", "TV", "--public", "--device-flow")
	begins := command("client", "add", "--name", "B", "--redirect-uri", "https://b.example.com/cb", "--initiate-login-uri", "https://b.example.com/login")
	if !strings.Contains(begins, "https://b.example.com/login") {
		t.Errorf("client add --initiate-login-uri printed\n%s\nwant the address", begins)
	}
	signing := command("client", "add", "--name", "S", "--redirect-uri", "https://s.example.com/cb", "--auth-method", "private_key_jwt", "--jwks-uri", "https://s.example.com/jwks",
		"--request-object-alg", "PS256", "--require-signed-request-object", "--request-uri", "https://s.example.com/r", "--request-uri", "https://s.example.com/q")
	if !strings.Contains(signing, "PS256") || !strings.Contains(signing, "require_signed_request_object") || !strings.Contains(signing, "https://s.example.com/r https://s.example.com/q") {
		t.Errorf("client add --request-object-alg printed\n%s\nwant what was registered", signing)
	}
	fails("request_object_signing_alg: unsigned request objects are turned off here",
		"client", "add", "--name", "X", "--redirect-uri", "https://a.example.com/cb", "--request-object-alg", "none")
	fails("there is no client nobody", "client", "show", "nobody")
	fails("client app has no secret: it is public, or it authenticates by private_key_jwt", "client", "rotate-secret", "app")
	fails("there is a client app already", "client", "add", "--id", "app", "--name", "App", "--redirect-uri", "https://a.example.com/cb")
	fails("client demo is declared in the config file", "client", "remove", "demo")
	for uri, says := range map[string]string{
		"https://a.example.com/cb#x": "has a fragment", "http://a.example.com/cb": "uses http", "com.example.app:": "has no path",
		"javascript:alert(1)": "uses a scheme", "/cb": "is not absolute", "https://*.example.com/cb": "has a wildcard",
	} {
		fails(says, "client", "add", "--name", "X", "--redirect-uri", uri)
	}
	server.Stop(os.Interrupt)
	fails("no server runs at "+server.Socket+"; start it", "client", "list")
}

func TestKeysOfARunningServer(t *testing.T) {
	t.Parallel()
	server := harness.Serve(t, "http://127.0.0.1:1", "")
	jwks := func() string { return harness.NewBrowser(t, server.Issuer).Get(server.Issuer + "/jwks").Body }
	before := jwks()
	listed := good(t, "keys", "list", "--socket", server.Socket)
	if strings.Count(listed, "active") != 3 || strings.Count(listed, "next") != 3 {
		t.Errorf("keys list printed\n%s\nwant 3 active and 3 next keys", listed)
	}
	one(t, "--force", "keys", "rotate", "--socket", server.Socket)
	if jwks() != before {
		t.Error("a refused rotation changed the keys")
	}
	rotated := good(t, "keys", "rotate", "--force", "--socket", server.Socket)
	if strings.Count(rotated, "active") != 3 || strings.Count(rotated, "next") != 3 || strings.Count(rotated, "retired") != 3 {
		t.Errorf("keys rotate printed\n%s\nwant 3 active, 3 next and 3 retired keys", rotated)
	}
	after := jwks()
	if after == before {
		t.Error("the JWKS is the same after a rotation")
	}
	for line := range strings.Lines(rotated) {
		if kid, _, _ := strings.Cut(line, " "); strings.Contains(line, "retired") && strings.Contains(line, "RS256") {
			rotated = good(t, "keys", "remove", kid, "--socket", server.Socket)
			if strings.Contains(rotated, kid) || strings.Contains(jwks(), kid) {
				t.Errorf("key %s is there after keys remove:\n%s", kid, rotated)
			}
		}
	}
	after = jwks()
	// The same keys are there after the server was killed, its socket left behind.
	server.Stop(os.Kill)
	server.Start()
	if jwks() != after {
		t.Error("the JWKS differs after a restart")
	}
	if out := good(t, "keys", "list", "--socket", server.Socket); out != rotated {
		t.Errorf("keys list printed\n%s\nwant what it was before the restart:\n%s", out, rotated)
	}
	if info, err := os.Stat(server.Socket); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket has the mode %v (%v), want 0600", info.Mode(), err)
	}
}

// With a lost or exchanged master key the server does not start, says what to do, and
// changes nothing.
func TestMasterKeyLostOrExchanged(t *testing.T) {
	t.Parallel()
	server := harness.Serve(t, "http://127.0.0.1:1", "")
	before := harness.NewBrowser(t, server.Issuer).Get(server.Issuer + "/jwks").Body
	server.Stop(os.Interrupt)
	config, key := filepath.Join(server.Dir, "calleridp.yaml"), filepath.Join(server.Dir, "master.key")
	if err := os.Rename(key, key+".away"); err != nil {
		t.Fatal(err)
	}
	out, err := harness.Run(t, "serve", "--config", config)
	if err == nil || !strings.Contains(out, "calleridp keys init-master --out "+key) {
		t.Errorf("serve without its master key: %v\n%s\nwant how to make one", err, out)
	}
	good(t, "keys", "init-master", "--out", key)
	one(t, "the store was made with another master key", "serve", "--config", config)
	if err := os.Rename(key+".away", key); err != nil {
		t.Fatal(err)
	}
	server.Start()
	if after := harness.NewBrowser(t, server.Issuer).Get(server.Issuer + "/jwks").Body; after != before {
		t.Error("the JWKS differs after the master key came back")
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	server := harness.Serve(t, "http://127.0.0.1:1", "")
	for path, body := range map[string]string{"/healthz": "ok\n", "/readyz": "ready\n"} {
		t.Run(path, func(t *testing.T) {
			if p := harness.NewBrowser(t, server.Issuer).Get(server.Issuer + path); p.Status != 200 || p.Body != body {
				t.Errorf("%s: status %d, body %q; want 200, %q", path, p.Status, p.Body, body)
			}
		})
	}
}

// An interrupt ends live waiting pages and the server quickly and in order. The page
// continues with the next server.
func TestStopsInPeace(t *testing.T) {
	t.Parallel()
	server := harness.Dev(t)
	browser := harness.NewBrowser(t, server.Issuer)
	at := stopsWhileWaiting(t, server, browser)
	log := server.Log()
	if !strings.Contains(log, `"stopped"`) {
		t.Errorf("the log does not say that the server stopped:\n%s", log)
	}
	if !strings.Contains(log, `/events","status":200`) {
		t.Errorf("the log has no request for events with status 200:\n%s", log)
	}
	server.Restart()
	if p := browser.Get(at); !p.Has("waiting") {
		t.Errorf("the page after the restart has status %d, want the waiting page\n%s", p.Status, p.Body)
	}
}

// stopsWhileWaiting stops the server while a page waits, with live events, and
// returns the page's address.
func stopsWhileWaiting(t *testing.T, server *harness.Server, browser *harness.Browser) string {
	t.Helper()
	page := browser.Get(server.Demo + "/login?prompt=login")
	waiting := browser.Submit(browser.Get(page.Header.Get("Location")), harness.Number(7))
	at := server.Issuer + waiting.Header.Get("Location")
	browser.Timeout = 0
	events, err := browser.Client.Get(at + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer events.Body.Close()
	lines := bufio.NewScanner(events.Body)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "data: ") {
	}
	if !strings.Contains(lines.Text(), "waiting") {
		t.Fatalf("the first event is %q (%v), want waiting", lines.Text(), lines.Err())
	}
	server.Stop(os.Interrupt)
	for lines.Scan() {
	}
	if strings.Contains(server.Log(), harness.CutOff) {
		t.Error("the live events were cut off, want them ended")
	}
	return at
}

// dev --tls: the issuer is https, with a certificate that is saved, HTTP/2, and
// cookies as in production; the demo signs in.
func TestDevOverTLS(t *testing.T) {
	t.Parallel()
	server := harness.Dev(t, "--tls", "--host", "localhost")
	if !strings.HasPrefix(server.Issuer, "https://localhost:") {
		t.Fatalf("the issuer is %s, want https://localhost", server.Issuer)
	}
	pem, err := os.ReadFile(filepath.Join(server.Data, "tls.crt"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	browser := harness.NewBrowser(t, server.Issuer)
	browser.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}

	answer, err := browser.Client.Get(server.Issuer + "/.well-known/openid-configuration")
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.ProtoMajor != 2 || answer.Header.Get("Strict-Transport-Security") != "" {
		t.Errorf("the response is %s with the headers %v, want HTTP/2 without Strict-Transport-Security", answer.Proto, answer.Header)
	}
	page := browser.Get(server.Demo + "/login")
	page = browser.Submit(browser.Get(page.Header.Get("Location")), harness.Number(5))
	for _, cookie := range page.Header.Values("Set-Cookie") {
		if !strings.HasPrefix(cookie, "__Host-") || !strings.Contains(cookie, "; Secure") {
			t.Errorf("the cookie is %s, want __Host- and Secure", cookie)
		}
	}
	left, page := browser.Follow(page, harness.Timeout)
	if left == nil {
		t.Fatalf("the sign-in stopped at %s (status %d)\n%s", page.URL, page.Status, page.Body)
	}
	page = browser.Get(left.String())
	if page = browser.Get(server.Demo + page.Header.Get("Location")); !strings.Contains(html.UnescapeString(page.Body), "+46701740605") {
		t.Errorf("the demo's page has status %d, want the number in it\n%s", page.Status, page.Body)
	}
	stopsWhileWaiting(t, server, browser)
}

// Behind a trusted proxy each user's network has its own budget.
func TestInvariant7_BudgetsBehindAProxy(t *testing.T) {
	t.Parallel()
	server := harness.Serve(t, "http://127.0.0.1:1", "trusted_proxies: [127.0.0.1/32]\nlimits: {network: 1/1h}\n")
	submit := func(from string, number int) int {
		t.Helper()
		browser := harness.NewBrowser(t, server.Issuer)
		browser.Transport = forwarded(from)
		return browser.Submit(browser.Get(server.AuthorizationURL()), harness.Number(number)).Status
	}
	if status := submit("198.51.100.1", 5); status == http.StatusTooManyRequests {
		t.Fatal("the first submission got 429")
	}
	if status := submit("198.51.100.1", 6); status != http.StatusTooManyRequests {
		t.Errorf("the second of the same address: %d, want 429", status)
	}
	if status := submit("198.51.100.2", 10); status == http.StatusTooManyRequests {
		t.Error("the submission from another address got 429")
	}
	server.Logged(`"from":"198.51.100.2"`) // and not the proxy's address
}

// forwarded is a proxy in front of the server, for one address.
type forwarded string

func (f forwarded) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("X-Forwarded-For", fmt.Sprintf("192.0.2.66, %s", string(f)))
	return http.DefaultTransport.RoundTrip(r)
}
