// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"calleridp/test/harness"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// android is a native application: what its SDK gives, and what it does with it.
type android struct {
	t                         *testing.T
	issuer, simulator, client string
}

func newAndroid(t *testing.T, server *harness.Server, client string) android {
	return android{t, server.Issuer, server.Simulator, client}
}

// asks returns what Truecaller's SDK gives the application: a code, or an error code.
func (a android) asks(xx int, scope string) (code, verifier string, sdkError any) {
	a.t.Helper()
	verifier = oauth2.GenerateVerifier()
	status, answer := post(a.t, a.simulator+"/sim/native/codes", url.Values{
		"phone": {harness.Number(xx)}, "code_challenge": {oauth2.S256ChallengeFromVerifier(verifier)}, "scope": {scope}, "state": {"app-state"},
	}, nil)
	if status != http.StatusOK {
		return "", "", answer["errorCode"]
	}
	if answer["state"] != "app-state" {
		a.t.Errorf("the SDK gave the state %v, want app-state", answer["state"])
	}
	return answer["authorizationCode"].(string), verifier, nil
}

// exchange brings a code to the token endpoint.
func (a android) exchange(code, verifier, scope string) (status int, header http.Header, answer map[string]any) {
	a.t.Helper()
	header = http.Header{}
	status, answer = post(a.t, a.issuer+"/token", url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "client_id": {a.client},
		"subject_token_type": {"urn:calleridp:params:oauth:token-type:truecaller-code"}, "subject_token": {code}, "code_verifier": {verifier}, "scope": {scope},
	}, header)
	return status, header, answer
}

func (a android) signIn(xx int, scope string) map[string]any {
	a.t.Helper()
	code, verifier, failed := a.asks(xx, "")
	if failed != nil {
		a.t.Fatalf("%02d: the SDK gave the error %v, want a code", xx, failed)
	}
	status, _, answer := a.exchange(code, verifier, scope)
	if status != http.StatusOK {
		a.t.Fatalf("%02d: the exchange got %d %v, want 200", xx, status, answer)
	}
	return answer
}

func post(t *testing.T, at string, form url.Values, header http.Header) (int, map[string]any) {
	t.Helper()
	answer, err := http.PostForm(at, form)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range answer.Header {
		if header != nil {
			header[name] = values
		}
	}
	var body map[string]any
	if len(raw) > 0 && strings.HasPrefix(answer.Header.Get("Content-Type"), "application/json") && json.Unmarshal(raw, &body) != nil {
		t.Fatalf("%s: status %d and %s, want JSON", at, answer.StatusCode, raw)
	}
	return answer.StatusCode, body
}

// A native sign-in and one in a browser have the same sub and claims. Its tokens work,
// are refreshed and revoked like any others.
func TestNativeSignIn(t *testing.T) {
	t.Parallel()
	server := harness.Dev(t)
	rp, app := newRelyingParty(t, server), newAndroid(t, server, "demo-native")
	tokens := app.signIn(5, "openid profile email phone offline_access")
	if tokens["issued_token_type"] != "urn:ietf:params:oauth:token-type:access_token" || tokens["token_type"] != "Bearer" {
		t.Errorf("the exchange gave %v, want a bearer access token", tokens)
	}
	raw, _ := tokens["id_token"].(string)
	id, err := rp.provider.Verifier(&oidc.Config{ClientID: "demo-native"}).Verify(t.Context(), raw)
	if err != nil {
		t.Fatal(err)
	}
	if err := id.VerifyAccessToken(tokens["access_token"].(string)); err != nil {
		t.Errorf("at_hash is wrong: %v", err)
	}
	var claims map[string]any
	if err := id.Claims(&claims); err != nil {
		t.Fatal(err)
	}
	if claims["phone_number"] != harness.Number(5) || claims["phone_number_verified"] != true || claims["name"] != "Anna Lind" || claims["sid"] != nil {
		t.Errorf("the claims are %v, want Anna Lind's with a verified number and no sid", claims)
	}
	info, err := rp.provider.UserInfo(t.Context(), oauth2.StaticTokenSource(&oauth2.Token{AccessToken: tokens["access_token"].(string), TokenType: "Bearer"}))
	if err != nil || info.Subject != id.Subject || info.Email != "anna.lind@example.com" {
		t.Errorf("userinfo is %+v (%v), want the sub %s and the e-mail address", info, err, id.Subject)
	}
	refresh := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {tokens["refresh_token"].(string)}, "client_id": {"demo-native"}}
	status, next := post(t, server.Issuer+"/token", refresh, nil)
	if status != http.StatusOK || next["id_token"] == nil || next["refresh_token"] == tokens["refresh_token"] {
		t.Errorf("the refresh got %d %v, want new tokens", status, next)
	}

	web := rp.signIn(harness.NewBrowser(t, server.Issuer), harness.Number(5))
	if web["sub"] != id.Subject {
		t.Errorf("the sub in a browser is %v, want %s as natively", web["sub"], id.Subject)
	}
	again := app.signIn(5, "openid")
	if second := again["scope"]; second != "openid" {
		t.Errorf("the scope of the second sign-in is %v, want openid", second)
	}

	post(t, server.Issuer+"/revoke", url.Values{"token": {next["refresh_token"].(string)}, "client_id": {"demo-native"}}, nil)
	refresh.Set("refresh_token", next["refresh_token"].(string))
	if status, _ := post(t, server.Issuer+"/token", refresh, nil); status != http.StatusBadRequest {
		t.Errorf("the refresh after the revocation got %d, want 400", status)
	}
}

// What the numbers of the simulator do to a native application.
func TestNativeNumbers(t *testing.T) {
	t.Parallel()
	app := newAndroid(t, harness.Dev(t), "demo-native")
	for xx, want := range map[int]float64{8: 14, 17: 5} {
		if _, _, failed := app.asks(xx, ""); failed != want {
			t.Errorf("%02d: the SDK's error %v, want %v", xx, failed, want)
		}
	}
	const everything = "openid profile email phone address truecaller offline_access"
	for _, row := range []struct {
		xx          int
		asked       string // of Truecaller
		status      int
		code, scope string
	}{
		{5, "", 200, "", "openid profile email phone address offline_access"},
		{10, "", 200, "", "openid profile phone address offline_access"},
		{11, "", 200, "", "openid email phone address offline_access"},
		{5, "openid phone", 200, "", "openid phone offline_access"},
		{5, "openid profile", 400, "invalid_request", ""},
		{5, "profile phone", 400, "invalid_request", ""},
		{15, "", 400, "invalid_request", ""},
		{16, "", 200, "", "openid profile email phone address offline_access"}, // at the third try
		{18, "", 503, "temporarily_unavailable", ""},
		{21, "", 200, "", "openid profile email phone offline_access"},
		{22, "", 500, "server_error", ""},
		{23, "", 200, "", "openid profile email phone address offline_access"},
		{40, "", 400, "invalid_request", ""},
		{41, "", 400, "invalid_request", ""},
		{42, "", 503, "temporarily_unavailable", ""},
		{43, "", 400, "invalid_request", ""},
		{44, "", 503, "temporarily_unavailable", ""},
	} {
		t.Run(fmt.Sprintf("%02d %s", row.xx, row.asked), func(t *testing.T) {
			code, verifier, _ := app.asks(row.xx, row.asked)
			status, header, answer := app.exchange(code, verifier, everything)
			if status != row.status || row.code != "" && answer["error"] != row.code || row.scope != "" && answer["scope"] != row.scope {
				t.Errorf("%02d with %q: %d %v, want %d %q %q", row.xx, row.asked, status, answer, row.status, row.code, row.scope)
			}
			if (header.Get("Retry-After") != "") != (status == 503) {
				t.Errorf("%02d with %q: status %d has Retry-After %q, want one with 503 only", row.xx, row.asked, status, header.Get("Retry-After"))
			}
		})
	}
}

// 24: another sub of Truecaller's for a known number is a new user.
func TestNativeChangedHandsGetsANewSub(t *testing.T) {
	t.Parallel()
	server := harness.Dev(t)
	app, seen := newAndroid(t, server, "demo-native"), map[string]bool{}
	rp := newRelyingParty(t, server)
	for range 3 {
		raw, _ := app.signIn(24, "openid")["id_token"].(string)
		id, err := rp.provider.Verifier(&oidc.Config{ClientID: "demo-native"}).Verify(t.Context(), raw)
		if err != nil {
			t.Fatal(err)
		}
		seen[id.Subject] = true
	}
	if len(seen) != 3 {
		t.Errorf("%d subs in 3 sign-ins, want 3", len(seen))
	}
	harness.Eventually(t, "an event each time the number changed hands", func() bool {
		return strings.Count(server.Log(), "attempt.number_changed_hands") == 2
	})
}

// What a thief can do with what a native application sends.
func TestThreat_StolenNativeCode(t *testing.T) {
	t.Parallel()
	server := harness.Dev(t)
	app := newAndroid(t, server, "demo-native")

	// The code without its verifier is worthless. Its use is visible to the application,
	// because the code is used up.
	code, verifier, _ := app.asks(5, "")
	if status, _, answer := app.exchange(code, oauth2.GenerateVerifier(), "openid"); status != 400 || answer["error"] != "invalid_request" {
		t.Errorf("the code with another verifier got %d %v, want 400 invalid_request", status, answer)
	}
	if status, _, _ := app.exchange(code, verifier, "openid"); status != 400 {
		t.Errorf("the same code with its verifier got %d, want 400", status)
	}

	// Code and verifier together, after the application: what it gave is revoked.
	code, verifier, _ = app.asks(5, "")
	_, _, tokens := app.exchange(code, verifier, "openid offline_access")
	if status, _, _ := app.exchange(code, verifier, "openid"); status != 400 {
		t.Errorf("the second use of a code got %d, want 400", status)
	}
	refresh := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {tokens["refresh_token"].(string)}, "client_id": {"demo-native"}}
	if status, _ := post(t, server.Issuer+"/token", refresh, nil); status != 400 {
		t.Errorf("the refresh after the second use of the code got %d, want 400", status)
	}

	// A client that is not native cannot use any.
	code, verifier, _ = app.asks(5, "")
	if status, _, answer := newAndroid(t, server, "demo-public").exchange(code, verifier, "openid"); status != 400 || answer["error"] != "unauthorized_client" {
		t.Errorf("a client that is not native got %d %v, want 400 unauthorized_client", status, answer)
	}
	if status, _, _ := app.exchange(code, verifier, "openid"); status != 200 {
		t.Errorf("the code after another client's try got %d, want 200", status)
	}

	// Nothing of it is in the log.
	for _, secret := range []string{code, verifier, tokens["access_token"].(string), harness.Number(5)[1:]} {
		if strings.Contains(server.Log(), secret) {
			t.Errorf("the log has %s", secret)
		}
	}
}

// serve runs an app for native applications next to one for the web. It needs only an
// OAuth client id from Truecaller. Over the network's budget the status is 429.
func TestNativeAppOfADeployment(t *testing.T) {
	t.Parallel()
	sim := harness.Dev(t)
	p := harness.Serve(t, sim.Simulator, `
  - client_id: android
    name: Android
    public: true
    native: true
    truecaller_app: android
truecaller_apps:
  - id: android
    app_name: Android
    methods: [native]
    native_client_id: simulated-native-client-id
    oauth_url: `+sim.Simulator+`
limits:
  network: 2/1h
`)
	app := android{t, p.Issuer, sim.Simulator, "android"}
	app.signIn(5, "openid phone")
	app.signIn(6, "openid phone")
	code, verifier, _ := app.asks(5, "")
	status, header, answer := app.exchange(code, verifier, "openid")
	if status != http.StatusTooManyRequests || answer["error"] != "temporarily_unavailable" || header.Get("Retry-After") == "" {
		t.Errorf("over the budget: %d %v %v, want 429 temporarily_unavailable with Retry-After", status, header, answer)
	}
	// It has no callbacks.
	if status, _ := post(t, p.Issuer+"/callback/android/"+p.CallbackSecret, url.Values{}, nil); status != http.StatusNotFound {
		t.Errorf("a callback to a native app got %d, want 404", status)
	}
	for _, secret := range []string{code, verifier, harness.Number(5)[1:]} {
		if strings.Contains(p.Log(), secret) {
			t.Errorf("the log has %s", secret)
		}
	}
}

// A deployment may have nothing else.
func TestNativeAloneIsConfigurationEnough(t *testing.T) {
	dir := t.TempDir()
	master := filepath.Join(dir, "master.key")
	if out, err := harness.Run(t, "keys", "init-master", "--out", master); err != nil {
		t.Fatalf("keys init-master failed: %v\n%s", err, out)
	}
	file := filepath.Join(dir, "calleridp.yaml")
	text := "issuer: https://id.example.com\ndata_dir: " + dir + "\nmaster_key_file: " + master + `
trusted_proxies: [127.0.0.1/32]
truecaller:
  app_name: Android
  methods: [native]
  native_client_id: of-the-portal
clients:
  - {client_id: android, name: Android, public: true, native: true}
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := harness.Run(t, "config", "check", "--config", file); err != nil || out != file+": OK\n" {
		t.Errorf("config check: %v\n%s\nwant OK", err, out)
	}
}
