// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const pkceVerifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"

func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func (w *world) form(path string, form url.Values) (int, map[string]any) {
	w.t.Helper()
	status, body := w.do("POST", path, form.Encode(), "Content-Type", "application/x-www-form-urlencoded")
	var out map[string]any
	if err := json.Unmarshal([]byte(body), &out); err != nil {
		w.t.Fatalf("%s: %v: %.200s", path, err, body)
	}
	return status, out
}

// sdk is what an application gets from its SDK.
func (w *world) sdk(xx, scope string) (int, map[string]any) {
	return w.form("/sim/native/codes", url.Values{
		"phone": {" " + fiction + xx}, "code_challenge": {challengeOf(pkceVerifier)}, "scope": {scope}, "state": {"app-state"},
	})
}

func redemption(code string) url.Values {
	return url.Values{"grant_type": {"authorization_code"}, "client_id": {"native-id"}, "code": {code}, "code_verifier": {pkceVerifier}}
}

func (w *world) nativeSignIn(xx, scope string) (token string) {
	w.t.Helper()
	status, given := w.sdk(xx, scope)
	if status != http.StatusOK {
		w.t.Fatalf("the SDK gave %s %d %v, want 200 and a code", xx, status, given)
	}
	status, answer := w.form("/v1/token", redemption(given["authorizationCode"].(string)))
	if status != http.StatusOK || answer["token_type"] != "Bearer" || answer["expires_in"] != 3600.0 {
		w.t.Fatalf("the token of %s is %d %v, want a bearer token for an hour", xx, status, answer)
	}
	return answer["access_token"].(string)
}

func (w *world) userinfo(token string) (int, map[string]any) {
	w.t.Helper()
	status, body := w.do("GET", "/v1/userinfo", "", "Authorization", "Bearer "+token)
	var claims map[string]any
	if err := json.Unmarshal([]byte(body), &claims); err != nil {
		w.t.Fatalf("userinfo: %v: %.200s", err, body)
	}
	return status, claims
}

func TestNativeSignIn(t *testing.T) {
	w := newWorld(t)
	status, claims := w.userinfo(w.nativeSignIn("05", ""))
	sub, _ := claims["sub"].(string)
	if status != 200 || claims["phone_number"] != fiction+"05" || claims["phone_number_verified"] != true || claims["given_name"] != "Anna" ||
		claims["email"] == nil || claims["address"] == nil || len(sub) != 17 {
		t.Errorf("userinfo is %d %v, want all claims", status, claims)
	}
	if _, again := w.userinfo(w.nativeSignIn("05", "openid phone")); again["sub"] != sub || again["given_name"] != nil || again["phone_number"] == nil {
		t.Errorf("userinfo for openid and phone is %v, want sub %s and the number alone", again, sub)
	}
	if status, _ := w.userinfo(w.nativeSignIn("05", "phone")); status != 422 {
		t.Errorf("userinfo without openid: %d, want 422", status)
	}
	if status, _ := w.userinfo("guess"); status != 401 {
		t.Errorf("userinfo with a guessed token: %d, want 401", status)
	}
	_, log := w.do("GET", "/sim/log", "")
	if !strings.Contains(log, "native token") || strings.Contains(log, pkceVerifier) {
		t.Errorf("the log is %s, want the token event without the verifier", log)
	}
}

func TestTokenEndpointRefuses(t *testing.T) {
	w := newWorld(t)
	fresh := func() string {
		_, given := w.sdk("05", "")
		return given["authorizationCode"].(string)
	}
	for _, row := range []struct {
		what    string
		change  func(url.Values)
		status  int
		message string
	}{
		{"another grant type", func(f url.Values) { f.Set("grant_type", "client_credentials") }, 400, "Unsupported grant type"},
		{"no code", func(f url.Values) { f.Del("code") }, 400, "Parameters are empty"},
		{"no verifier", func(f url.Values) { f.Del("code_verifier") }, 400, "Parameters are empty"},
		{"no client id", func(f url.Values) { f.Del("client_id") }, 400, "Parameters are empty"},
		{"another client id", func(f url.Values) { f.Set("client_id", "other") }, 403, "Invalid client id"},
		{"a guessed code", func(f url.Values) { f.Set("code", "guess") }, 403, "Invalid authorization code"},
		{"another verifier", func(f url.Values) { f.Set("code_verifier", strings.Repeat("a", 43)) }, 403, "Invalid code verifier"},
	} {
		t.Run(row.what, func(t *testing.T) {
			form := redemption(fresh())
			row.change(form)
			if status, answer := w.form("/v1/token", form); status != row.status || answer["message"] != row.message {
				t.Errorf("%s: %d %v, want %d %s", row.what, status, answer, row.status, row.message)
			}
		})
	}
	code := fresh()
	if status, _ := w.form("/v1/token", redemption(code)); status != 200 {
		t.Fatalf("the first redemption got %d, want 200", status)
	}
	if status, _ := w.form("/v1/token", redemption(code)); status != 403 {
		t.Errorf("the second redemption got %d, want 403", status)
	}
	code = fresh()
	wrong := redemption(code)
	wrong.Set("code_verifier", strings.Repeat("a", 43))
	w.form("/v1/token", wrong)
	if status, _ := w.form("/v1/token", redemption(code)); status != 403 {
		t.Errorf("a code after a wrong verifier got %d, want 403", status)
	}
}

func TestCodesAndTokensExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{Apps: []App{{NativeClientID: "native-id"}}})
		defer s.Close()
		s.codes.put("c", &nativeCode{number: fiction + "05", challenge: challengeOf(pkceVerifier), expires: time.Now().Add(codeLife)})
		time.Sleep(codeLife + 1)
		r := httptest.NewRequest("POST", "/v1/token", strings.NewReader(redemption("c").Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if status, body, _ := s.redeem(r); status != 403 {
			t.Errorf("an expired code got %d %s, want 403", status, body)
		}
		s.nativeTokens.put("t", &nativeToken{number: fiction + "05", scopes: []string{"openid"}, expires: time.Now().Add(oauthLife)})
		time.Sleep(oauthLife)
		answer := httptest.NewRecorder()
		r = httptest.NewRequest("GET", "/v1/userinfo", nil)
		r.Header.Set("Authorization", "Bearer t")
		if s.userinfo(answer, r); answer.Code != 401 {
			t.Errorf("an expired token got %d, want 401", answer.Code)
		}
	})
}

func TestNativeNumbersThatMisbehave(t *testing.T) {
	w := newWorld(t)
	for xx, code := range map[string]float64{"08": sdkDismissed, "17": sdkNoApp} {
		if status, given := w.sdk(xx, ""); status != 409 || given["errorCode"] != code {
			t.Errorf("the SDK gave %s %d %v, want 409 and the error %v", xx, status, given, code)
		}
	}
	for xx, want := range map[string]int{"18": 503, "42": 429} {
		_, given := w.sdk(xx, "")
		if status, _ := w.form("/v1/token", redemption(given["authorizationCode"].(string))); status != want {
			t.Errorf("the code of %s got %d, want %d", xx, status, want)
		}
	}
	for xx, want := range map[string][]int{"15": {401, 401}, "16": {503, 503, 200, 200}, "43": {404}, "44": {500}} {
		token := w.nativeSignIn(xx, "")
		for _, status := range want {
			if got, _ := w.userinfo(token); got != status {
				t.Errorf("%s: %d, want %d", xx, got, status)
			}
		}
	}
	for xx, claim := range map[string]string{"10": "email", "11": "given_name", "40": "phone_number"} {
		if status, claims := w.userinfo(w.nativeSignIn(xx, "")); status != 200 || claims[claim] != nil || claims["sub"] == nil {
			t.Errorf("userinfo of %s is %d %v, want no %s", xx, status, claims, claim)
		}
	}
	if _, claims := w.userinfo(w.nativeSignIn("41", "")); claims["phone_number_verified"] != false {
		t.Errorf("userinfo of 41 is %v, want a number that is not verified", claims)
	}
	if _, claims := w.userinfo(w.nativeSignIn("21", "")); claims["phone_number"] != "+"+fiction+"21" || claims["phone_number_verified"] != "true" {
		t.Errorf("userinfo of 21 is %v, want the number and phone_number_verified as strings", claims)
	}
	subs := map[any]bool{}
	for range 3 {
		_, claims := w.userinfo(w.nativeSignIn("24", ""))
		subs[claims["sub"]] = true
	}
	if len(subs) != 2 {
		t.Errorf("24: subs %v, want two that take turns", subs)
	}
}

func TestNativeCodesAreAskedForProperly(t *testing.T) {
	w := newWorld(t)
	for what, form := range map[string]url.Values{
		"no challenge":      {"phone": {fiction + "05"}},
		"a plain challenge": {"phone": {fiction + "05"}, "code_challenge": {pkceVerifier + "="}},
		"no number":         {"code_challenge": {challengeOf(pkceVerifier)}},
		"no digits":         {"phone": {"070-1740605"}, "code_challenge": {challengeOf(pkceVerifier)}},
	} {
		t.Run(what, func(t *testing.T) {
			if status, _ := w.form("/sim/native/codes", form); status != 400 {
				t.Errorf("%s got %d, want 400", what, status)
			}
		})
	}
	if status, given := w.sdk("05", ""); status != 200 || given["state"] != "app-state" {
		t.Errorf("the SDK gave %d %v, want 200 and the state", status, given)
	}
	if status, _ := w.do("POST", "/sim/native/codes", "", "Sec-Fetch-Site", "cross-site"); status != 403 {
		t.Errorf("another site's form got %d, want 403", status)
	}
}
