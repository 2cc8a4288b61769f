// SPDX-License-Identifier: Apache-2.0

package truecaller

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

const (
	nativeID = "made-up-client-id-of-43-characters-012345678"
	sdkCode  = "SplxlOBeZQQYbYS6WxSbIA-secret-code"
	verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
)

// nativeAt is an app whose OAuth interface is at base.
func nativeAt(t testing.TB, base string) App {
	t.Helper()
	app := appAt(t, base)
	app.NativeClientID, app.OAuth = nativeID, bases(t, base)[0]
	return app
}

// checkUnsaid fails when an error's text has what it must not.
func checkUnsaid(t *testing.T, err error) {
	t.Helper()
	checkDiscreet(t, err.Error())
	for _, secret := range []string{sdkCode, verifier, "http://", "https://"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("the error %q has the secret %q", err, secret)
		}
	}
}

func TestExchangeCodeRequest(t *testing.T) {
	var got *http.Request
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		w.Write(fixtures(t, "token")["granted_as_documented"])
	})
	for base, path := range map[string]string{"": "/v1/token", "/": "/v1/token", "/mock": "/mock/v1/token"} {
		token, err := NewClient(Options{}).ExchangeCode(t.Context(), &Permit{}, nativeAt(t, server.URL+base), sdkCode, verifier)
		if err != nil || token != bearer {
			t.Fatalf("ExchangeCode() = %q, %v, want %q", token, err, bearer)
		}
		if got.Method != http.MethodPost || got.URL.Path != path || got.URL.RawQuery != "" {
			t.Errorf("ExchangeCode() sent %s %s, want POST %s", got.Method, got.URL, path)
		}
	}
	want := url.Values{"grant_type": {"authorization_code"}, "client_id": {nativeID}, "code": {sdkCode}, "code_verifier": {verifier}}
	if got.PostForm.Encode() != want.Encode() {
		t.Errorf("ExchangeCode() sent the form %v, want %v", got.PostForm, want)
	}
	if got.Header.Get("Content-Type") != "application/x-www-form-urlencoded" || got.Header.Get("Authorization") != "" || got.Header.Get("appKey") != "" {
		t.Errorf("ExchangeCode() sent the headers %v, want a form without Authorization and appKey", got.Header)
	}
}

// Every documented response of /v1/token (docs/truecaller.md section 5), and some that
// are not. There is one request only: a code is good for one use.
func TestExchangeCodeAnswers(t *testing.T) {
	bodies := fixtures(t, "token")
	used := map[string]bool{}
	for _, row := range []struct {
		status int
		body   string
		want   error
	}{
		{200, "granted_as_documented", nil},
		{200, "granted_as_the_sample_app_reads_it", nil},
		{200, "granted_without_type", nil},
		{200, "no_token", ErrExchange},
		{200, "token_with_a_line_break", ErrExchange},
		{200, "token_as_number", ErrExchange},
		{200, "other_token_type", ErrExchange},
		{200, "array", ErrExchange},
		{200, "html", ErrExchange},
		{200, "nothing", ErrExchange},
		{201, "granted_as_documented", ErrExchange},
		{302, "granted_as_documented", ErrExchange},
		{400, "unsupported_grant_type", ErrCodeRefused},
		{400, "empty_parameters", ErrCodeRefused},
		{400, "rfc6749_invalid_grant", ErrCodeRefused},
		{400, "rfc6749_invalid_client", ErrClientIDRefused},
		{400, "rfc6749_unauthorized_client", ErrClientIDRefused},
		{401, "rfc6749_invalid_client", ErrClientIDRefused},
		{401, "nothing", ErrClientIDRefused},
		{403, "invalid_client_id", ErrClientIDRefused},
		{403, "grant_not_allowed", ErrClientIDRefused},
		{403, "invalid_code", ErrCodeRefused},
		{403, "invalid_verifier", ErrCodeRefused},
		{403, "nothing", ErrCodeRefused},
		{403, "html", ErrCodeRefused},
		{404, "nothing", ErrClientIDRefused},
		{405, "nothing", ErrExchange},
		{408, "nothing", ErrExchangeUnavailable},
		{429, "nothing", ErrExchangeUnavailable},
		{500, "html", ErrExchangeUnavailable},
		{500, "granted_as_documented", ErrExchangeUnavailable},
		{503, "nothing", ErrExchangeUnavailable},
	} {
		body, ok := bodies[row.body]
		if used[row.body] = true; !ok {
			t.Fatalf("no fixture %s", row.body)
		}
		t.Run(fmt.Sprintf("%d %s", row.status, row.body), func(t *testing.T) {
			server, requests := serveCounted(t, row.status, string(body))
			token, err := NewClient(Options{}).ExchangeCode(t.Context(), &Permit{}, nativeAt(t, server.URL), sdkCode, verifier)
			if !errors.Is(err, row.want) || (err == nil) != (token == bearer) {
				t.Errorf("%q, %v; want %v", token, err, row.want)
			}
			if requests.Load() != 1 {
				t.Errorf("ExchangeCode() made %d requests, want 1", requests.Load())
			}
			if err != nil {
				checkUnsaid(t, err)
			}
		})
	}
	for name := range bodies {
		if !used[name] {
			t.Errorf("testdata/token/%s.json is used by no row", name)
		}
	}
}

func TestExchangeCodeWithoutAnswer(t *testing.T) {
	slow := serve(t, func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body); <-r.Context().Done() })
	broken := serve(t, func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) })
	for _, base := range []string{slow.URL, broken.URL, "http://127.0.0.1:1"} {
		t.Run(base, func(t *testing.T) {
			_, err := NewClient(Options{Timeout: 100 * time.Millisecond}).ExchangeCode(t.Context(), &Permit{}, nativeAt(t, base), sdkCode, verifier)
			if !errors.Is(err, ErrExchangeUnavailable) {
				t.Errorf("ExchangeCode() at %s failed with %v, want %v", base, err, ErrExchangeUnavailable)
				return
			}
			checkUnsaid(t, err)
		})
	}
}

// RFC 7636 §4.1: 43 to 128 unreserved characters. RFC 6749 appendix A.11: a code is of
// visible ones, and ours no longer than a request may be.
func TestCodesAndVerifiers(t *testing.T) {
	for n, want := range map[int]bool{0: false, 42: false, 43: true, 128: true, 129: false} {
		if got := IsVerifier(strings.Repeat("a", n)); got != want {
			t.Errorf("a verifier of %d characters: got %v, want %v", n, got, want)
		}
	}
	for n, want := range map[int]bool{0: false, 1: true, 2048: true, 2049: false} {
		if got := IsCode(strings.Repeat("~", n)); got != want {
			t.Errorf("a code of %d characters: got %v, want %v", n, got, want)
		}
	}
	for _, bad := range []string{" ", "é", "+", "=", "/"} {
		if IsVerifier(strings.Repeat("a", 43) + bad) {
			t.Errorf("a verifier with %q: got true, want false", bad)
		}
	}
}

// No request is made for an invalid code, verifier or token, or for an app without an
// OAuth interface.
func TestExchangeCodeSendsNothing(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, r *http.Request) { t.Error("Truecaller was asked") })
	app := nativeAt(t, server.URL)
	for _, row := range []struct {
		what, code, verifier string
		want                 error
	}{
		{"no code", "", verifier, ErrCodeRefused},
		{"a code with a space", "a b", verifier, ErrCodeRefused},
		{"a code with a line break", "a\r\nb", verifier, ErrCodeRefused},
		{"a code that is not ASCII", "é", verifier, ErrCodeRefused},
		{"a long code", strings.Repeat("a", maxCode+1), verifier, ErrCodeRefused},
		{"no verifier", sdkCode, "", ErrCodeRefused},
		{"a short verifier", sdkCode, verifier[:42], ErrCodeRefused},
		{"a long verifier", sdkCode, strings.Repeat("a", 129), ErrCodeRefused},
		{"a verifier with a plus", sdkCode, verifier + "+", ErrCodeRefused},
	} {
		t.Run(row.what, func(t *testing.T) {
			if _, err := NewClient(Options{}).ExchangeCode(t.Context(), &Permit{}, app, row.code, row.verifier); !errors.Is(err, row.want) {
				t.Errorf("%s: ExchangeCode() failed with %v, want %v", row.what, err, row.want)
			}
		})
	}
	plain := appAt(t, server.URL)
	if _, err := NewClient(Options{}).ExchangeCode(t.Context(), &Permit{}, plain, sdkCode, verifier); !errors.Is(err, ErrClientIDRefused) {
		t.Errorf("ExchangeCode() of an app without a client id failed with %v, want %v", err, ErrClientIDRefused)
	}
	if _, err := NewClient(Options{}).FetchUserinfo(t.Context(), plain, bearer); !errors.Is(err, ErrForeignEndpoint) {
		t.Errorf("FetchUserinfo() of an app without an OAuth host failed with %v, want %v", err, ErrForeignEndpoint)
	}
	for _, token := range []string{"", "a b", "a\r\nX-Evil: 1", "é"} {
		t.Run(fmt.Sprintf("token %q", token), func(t *testing.T) {
			if _, err := NewClient(Options{}).FetchUserinfo(t.Context(), app, token); !errors.Is(err, ErrUnauthorized) {
				t.Errorf("FetchUserinfo() with the token %q failed with %v, want %v", token, err, ErrUnauthorized)
			}
		})
	}
}

// Every row of docs/truecaller.md section 5, and some responses that are not in it. Only
// temporary failures are retried.
func TestFetchUserinfoAnswers(t *testing.T) {
	good := string(fixtures(t, "userinfo")["as_documented"])
	const fill = 256 << 10
	for _, row := range []struct {
		status   int
		body     string
		want     error
		requests int32
	}{
		{200, good, nil, 1},
		{200, "\ufeff" + good, ErrProfile, 1},
		{200, `{}`, ErrProfile, 1},
		{200, goodBody, ErrProfile, 1}, // a web profile
		{200, good + strings.Repeat(" ", fill-len(good)), nil, 1},
		{200, good + strings.Repeat(" ", fill-len(good)+1), ErrProfile, 1},
		{204, ``, ErrProfile, 1},
		{302, good, ErrProfile, 1},
		{400, ``, ErrProfile, 1},
		{401, `{"status":40101,"message":"Unauthorized"}`, ErrUnauthorized, 1},
		{403, ``, ErrUnauthorized, 1},
		{404, ``, ErrNoProfile, 1},
		{422, ``, ErrNoOpenID, 1},
		{408, ``, ErrProfileUnavailable, 3},
		{429, ``, ErrProfileUnavailable, 3},
		{500, good, ErrProfileUnavailable, 3},
		{503, ``, ErrProfileUnavailable, 3},
	} {
		t.Run(fmt.Sprintf("%d %.20q %d", row.status, row.body, len(row.body)), func(t *testing.T) {
			var requests atomic.Int32
			var got *http.Request
			server := serve(t, func(w http.ResponseWriter, r *http.Request) {
				got = r
				requests.Add(1)
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(row.status)
				io.WriteString(w, row.body)
			})
			p, err := NewClient(Options{}).FetchUserinfo(t.Context(), nativeAt(t, server.URL), bearer)
			if !errors.Is(err, row.want) || (err != nil) != (p.Numbers == nil) {
				t.Errorf("%v, %v; want %v", p.Numbers, err, row.want)
			}
			if requests.Load() != row.requests {
				t.Errorf("%d requests, want %d", requests.Load(), row.requests)
			}
			if err != nil {
				checkUnsaid(t, err)
			}
			if got.Method != http.MethodGet || got.URL.String() != "/v1/userinfo" || got.Header.Get("Authorization") != "Bearer "+bearer {
				t.Errorf("FetchUserinfo() sent %s %s %v, want GET /v1/userinfo with the bearer", got.Method, got.URL, got.Header)
			}
		})
	}
}

// A profile that comes at the third try comes within two seconds. A caller that gives up
// need not wait.
func TestFetchUserinfoTriesAgain(t *testing.T) {
	good := string(fixtures(t, "userinfo")["as_documented"])
	synctest.Test(t, func(t *testing.T) {
		begun, asked := time.Now(), 0
		client := NewClient(Options{})
		client.http.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
			status := http.StatusServiceUnavailable
			if asked++; asked == 3 {
				status = http.StatusOK
			}
			return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(good)), Request: r, Header: http.Header{}}, nil
		})
		p, err := client.FetchUserinfo(t.Context(), nativeAt(t, "https://oauth.example"), bearer)
		if err != nil || !p.Has(number(t, typed)) || asked != 3 {
			t.Errorf("FetchUserinfo() = %v, %v after %d requests, want the number after 3", p.Numbers, err, asked)
		}
		if took := time.Since(begun); took < 300*time.Millisecond || took > 2*time.Second {
			t.Errorf("FetchUserinfo() took %s, want 300ms to 2s", took)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		client := NewClient(Options{})
		client.http.Transport = roundTrip(func(r *http.Request) (*http.Response, error) { return nil, errors.New("connection reset by peer") })
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		begun := time.Now()
		if _, err := client.FetchUserinfo(ctx, nativeAt(t, "https://oauth.example"), bearer); !errors.Is(err, ErrProfileUnavailable) {
			t.Error(err)
		}
		if took := time.Since(begun); took > 10*time.Millisecond {
			t.Errorf("FetchUserinfo() took %s, want no longer than its context", took)
		}
	})
}

// A redirect would carry the code, or the token, to another place.
func TestInvariant5_NativeSecretsFollowNoRedirect(t *testing.T) {
	foreign := serve(t, func(w http.ResponseWriter, r *http.Request) { t.Error("the foreign host was asked") })
	for _, status := range []int{301, 302, 303, 307, 308} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			ours := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, foreign.URL, status) })
			app := nativeAt(t, ours.URL)
			if _, err := NewClient(Options{}).ExchangeCode(t.Context(), &Permit{}, app, sdkCode, verifier); !errors.Is(err, ErrExchange) {
				t.Errorf("ExchangeCode() after a redirect with status %d failed with %v, want %v", status, err, ErrExchange)
			}
			if _, err := NewClient(Options{}).FetchUserinfo(t.Context(), app, bearer); !errors.Is(err, ErrProfile) {
				t.Errorf("FetchUserinfo() after a redirect with status %d failed with %v, want %v", status, err, ErrProfile)
			}
		})
	}
}

func TestNativeAppValidate(t *testing.T) {
	good := nativeAt(t, "https://oauth-account-noneu.truecaller.com")
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	only := App{ID: "android", NativeClientID: nativeID, OAuth: good.OAuth, WithoutPush: true}
	if err := only.Validate(); err != nil || !only.NativeOnly() || good.NativeOnly() {
		t.Errorf("a native-only app: Validate() = %v, NativeOnly() = %v; want nil, true", err, only.NativeOnly())
	}
	only.OneTap = &Dialog{}
	if only.Validate() == nil || only.NativeOnly() {
		t.Error("an app with one-tap and no appKey is valid, or native-only")
	}
	for what, spoil := range map[string]func(*App){
		"no OAuth host":            func(a *App) { a.OAuth = nil },
		"plain http":               func(a *App) { a.OAuth = bases(t, "http://oauth.example")[0] },
		"a query":                  func(a *App) { a.OAuth = bases(t, "https://oauth.example?x=1")[0] },
		"a space in the client id": func(a *App) { a.NativeClientID = "a b" },
		"a client id beyond ASCII": func(a *App) { a.NativeClientID = "é" },
	} {
		t.Run(what, func(t *testing.T) {
			app := good
			spoil(&app)
			if app.Validate() == nil {
				t.Errorf("Validate() of an app with %s = nil, want an error", what)
			}
		})
	}
}
