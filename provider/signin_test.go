package provider_test

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"calleridp/provider/authorize"
	"calleridp/provider/endpoint"
	"calleridp/provider/login"
)

const everything = "openid profile email phone address truecaller offline_access"

func TestSignIn(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		id   string
		hash func(string) string
	}{
		{"app", left256}, {"public", left256}, {"es256", left256}, {"eddsa", left512}, {"pair", left256},
	} {
		t.Run(c.id, func(t *testing.T) {
			before := time.Now().Truncate(time.Second)
			done, _ := w.signIn(asked(c.id, "scope", "openid phone"), number)
			if done.Response.RedirectURI != redirects[c.id] || param(done.Response, "state") != "the-state" || param(done.Response, "iss") != issuer {
				t.Errorf("response %+v", done.Response)
			}
			a := w.exchange(c.id, param(done.Response, "code"))
			if a.StatusCode != 200 || a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("Content-Type") != "application/json" {
				t.Fatalf("%d %v %s", a.StatusCode, a.Header, a.body)
			}
			got := a.json()
			if got["token_type"] != "Bearer" || got["expires_in"] != 3600.0 || got["scope"] != "openid phone" || got["refresh_token"] != nil {
				t.Errorf("token response %v", got)
			}
			id := claimsOf(t, got["id_token"])
			for claim, want := range map[string]any{
				"iss": issuer, "aud": c.id, "azp": c.id, "nonce": "the-nonce", "acr": endpoint.ACR, "at_hash": c.hash(got["access_token"].(string)),
				"sid": got["session_state"], "phone_number": number, "phone_number_verified": true,
			} {
				if id[claim] != want {
					t.Errorf("%s = %v, want %v", claim, id[claim], want)
				}
			}
			sub, _ := id["sub"].(string)
			if sub == "" || strings.Contains(sub, ":") || len(sub) > 255 {
				t.Errorf("sub %q", sub)
			}
			authTime, iat, exp := seconds(id["auth_time"]), seconds(id["iat"]), seconds(id["exp"])
			if authTime.Before(before) || iat.Before(authTime) || iat.After(time.Now()) || exp.Sub(iat) < 5*time.Minute {
				t.Errorf("auth_time %v, iat %v, exp %v", authTime, iat, exp)
			}
		})
	}
}

func seconds(v any) time.Time { f, _ := v.(float64); return time.Unix(int64(f), 0) }

func left256(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

func left512(s string) string {
	sum := sha512.Sum512([]byte(s))
	return base64.RawURLEncoding.EncodeToString(sum[:32])
}

// The claims about a person are the same in the first ID token, in a refreshed
// one and at userinfo, for a public sub and for a pairwise one.
func TestSameClaimsEverywhere(t *testing.T) {
	w := newWorld(t)
	subs := map[any]bool{}
	for _, id := range []string{"app", "pair"} {
		got, _ := w.tokens(id, everything)
		refreshed := w.post("/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {got["refresh_token"].(string)}}, basic(id, secret))
		if refreshed.StatusCode != 200 {
			t.Fatalf("refresh: %d %s", refreshed.StatusCode, refreshed.body)
		}
		info := w.post("/userinfo", nil, bearer(got["access_token"].(string)))
		if info.StatusCode != 200 || !strings.HasPrefix(info.Header.Get("Content-Type"), "application/json") {
			t.Fatalf("userinfo: %d %v %s", info.StatusCode, info.Header, info.body)
		}
		first, second, atUserinfo := claimsOf(t, got["id_token"]), claimsOf(t, refreshed.json()["id_token"]), info.json()
		if second["auth_time"] != first["auth_time"] || second["sid"] != first["sid"] || second["nonce"] != nil {
			t.Errorf("refreshed ID token %v", second)
		}
		// What belongs to the token and not to the person.
		for _, m := range []map[string]any{first, second} {
			for _, claim := range []string{"iss", "aud", "azp", "exp", "iat", "auth_time", "nonce", "acr", "at_hash", "sid"} {
				delete(m, claim)
			}
		}
		if !reflect.DeepEqual(first, second) || !reflect.DeepEqual(first, atUserinfo) {
			t.Errorf("code     %v\nrefresh  %v\nuserinfo %v", first, second, atUserinfo)
		}
		for _, claim := range []string{"sub", "name", "given_name", "family_name", "picture", "gender", "updated_at", "preferred_username",
			"email", "phone_number", "phone_number_verified_at", "address", "truecaller"} {
			if first[claim] == nil {
				t.Errorf("no %s", claim)
			}
		}
		if v, there := first["email_verified"]; !there || v != false {
			t.Errorf("email_verified = %v, %v", v, there)
		}
		subs[first["sub"]] = true
	}
	if len(subs) != 2 {
		t.Error("the pairwise client learnt the public sub")
	}
}

// A session signs the same person in to a second client without a push.
func TestSessionAnswersTheSecondClient(t *testing.T) {
	w := newWorld(t)
	first, session := w.tokens("app", "openid")
	pushes := len(w.phone.state)
	a := w.get("/authorize?"+asked("es256").Encode(), session)
	at, query := a.to()
	if a.StatusCode != 303 || at != redirects["es256"] || query.Get("code") == "" || query.Get("iss") != issuer {
		t.Fatalf("%d %s", a.StatusCode, a.Header.Get("Location"))
	}
	second := w.exchange("es256", query.Get("code")).json()
	one, two := claimsOf(t, first["id_token"]), claimsOf(t, second["id_token"])
	if one["sub"] != two["sub"] || one["sid"] != two["sid"] || one["auth_time"] != two["auth_time"] {
		t.Errorf("first %v, second %v", one, two)
	}
	if len(w.phone.state) != pushes {
		t.Error("another push was sent")
	}
	if a.Header.Get("Set-Cookie") != "" {
		t.Error("a cookie was set")
	}
}

func TestPromptAndMaxAge(t *testing.T) {
	w := newWorld(t)
	tokens, session := w.tokens("app", "openid")
	hint := tokens["id_token"].(string)
	done, _ := w.signIn(asked("app"), "+46701740606")
	othersHint := w.exchange("app", param(done.Response, "code")).json()["id_token"].(string)
	rows := []struct {
		what    string
		pairs   []string
		cookied bool
		want    string // code, page, or the error
	}{
		{"a session", nil, true, "code"},
		{"no session", nil, false, "page"},
		{"none with a session", []string{"prompt", "none"}, true, "code"},
		{"none without", []string{"prompt", "none"}, false, "login_required"},
		{"login", []string{"prompt", "login"}, true, "page"},
		{"select_account", []string{"prompt", "select_account"}, true, "page"},
		{"consent", []string{"prompt", "consent"}, true, "consent"},
		{"consent login", []string{"prompt", "consent login"}, true, "page"},
		{"none login", []string{"prompt", "none login"}, true, "invalid_request"},
		{"unknown prompt", []string{"prompt", "create"}, true, "invalid_request"},
		{"long max_age", []string{"max_age", "10000"}, true, "code"},
		{"huge max_age", []string{"max_age", "9999999999"}, true, "code"},
		{"max_age 0", []string{"max_age", "0"}, true, "page"},
		{"max_age 0, none", []string{"max_age", "0", "prompt", "none"}, true, "login_required"},
		{"negative max_age", []string{"max_age", "-1"}, true, "invalid_request"},
		{"signed max_age", []string{"max_age", "+1"}, true, "invalid_request"},
		{"endless max_age", []string{"max_age", "99999999999999999999"}, true, "invalid_request"},
		{"own hint", []string{"id_token_hint", hint}, true, "code"},
		{"own hint, none", []string{"id_token_hint", hint, "prompt", "none"}, true, "code"},
		{"another's hint", []string{"id_token_hint", othersHint}, true, "page"},
		{"another's hint, none", []string{"id_token_hint", othersHint, "prompt", "none"}, true, "login_required"},
		{"a hint that is none", []string{"id_token_hint", "nonsense"}, true, "invalid_request"},
		{"another client's hint", []string{"client_id", "es256", "redirect_uri", redirects["es256"], "id_token_hint", hint}, true, "invalid_request"},
	}
	for _, row := range rows {
		target := "/authorize?" + asked("app", row.pairs...).Encode()
		a := w.get(target)
		if row.cookied {
			a = w.get(target, session)
		}
		got := "page"
		if _, query := a.to(); a.StatusCode == 303 {
			got = query.Get("error")
			if query.Get("code") != "" {
				got = "code"
			}
			if query.Get("state") != "the-state" || query.Get("iss") != issuer {
				t.Errorf("%s: %v", row.what, query)
			}
		} else if page, _ := a.page(); page == "consent" {
			got = page
		} else if page != "signin" {
			got = a.body
		}
		if got != row.want {
			t.Errorf("%s: %s, want %s", row.what, got, row.want)
		}
	}
}

// Who signs in must be who the client asked for.
func TestHintOfAnotherPersonAfterSignIn(t *testing.T) {
	w := newWorld(t)
	tokens, _ := w.tokens("pair", "openid")
	request := asked("pair", "id_token_hint", tokens["id_token"].(string))
	done, _ := w.signIn(request, "+46701740606")
	if got := param(done.Response, "error"); got != "login_required" || done.Session != "" {
		t.Errorf("%+v", done)
	}
	done, _ = w.signIn(request, number)
	if param(done.Response, "code") == "" {
		t.Errorf("the right person: %+v", done)
	}
}

// A browser whose answer got lost may have it again, until the code is used; a
// second browser may not.
func TestContinueTwice(t *testing.T) {
	w := newWorld(t)
	id := w.submit(w.get("/authorize?"+asked("app").Encode()), number)
	if _, err := w.provider.Continue(t.Context(), id, browser, ""); !errors.Is(err, login.ErrState) {
		t.Fatalf("before it is approved: %v", err)
	}
	w.approve(number)
	first, err := w.provider.Continue(t.Context(), id, browser, "")
	if err != nil {
		t.Fatal(err)
	}
	if view, err := w.provider.View(t.Context(), id, browser); err != nil || view.State != login.Approved {
		t.Errorf("the page while the answer is unused: %+v, %v", view, err)
	}
	second, err := w.provider.Continue(t.Context(), id, browser, first.Session)
	if err != nil || !reflect.DeepEqual(first.Response, second.Response) || first.Session != second.Session {
		t.Errorf("again: %+v, %v; want %+v", second, err, first)
	}
	if _, err := w.provider.Continue(t.Context(), id, "another browser", ""); !errors.Is(err, login.ErrNotYours) {
		t.Errorf("another browser: %v", err)
	}
	if a := w.exchange("app", param(second.Response, "code")); a.StatusCode != 200 {
		t.Fatal(a.body)
	}
	if _, err := w.provider.Continue(t.Context(), id, browser, ""); !errors.Is(err, login.ErrState) {
		t.Errorf("after the code was used: %v", err)
	}
	if view, err := w.provider.View(t.Context(), id, browser); err != nil || view.State != login.Done {
		t.Errorf("the page then: %+v, %v", view, err)
	}
}

// Each thing a page can do needs the browser that started the attempt.
func TestInvariant2_FlowNeedsTheBrowser(t *testing.T) {
	w := newWorld(t)
	id := w.submit(w.get("/authorize?"+asked("app").Encode()), number)
	w.approve(number)
	for _, thief := range []login.BrowserSecret{"", "another browser"} {
		errs := map[string]error{}
		_, errs["View"] = w.provider.View(t.Context(), id, thief)
		_, errs["Continue"] = w.provider.Continue(t.Context(), id, thief, "")
		_, errs["Again"] = w.provider.Again(t.Context(), id, thief)
		_, errs["Leave"] = w.provider.Leave(t.Context(), id, thief)
		errs["Cancel"] = w.provider.Cancel(t.Context(), id, thief)
		for what, err := range errs {
			if !errors.Is(err, login.ErrNotYours) {
				t.Errorf("%s by %q: %v", what, thief, err)
			}
		}
	}
	if _, err := w.provider.Continue(t.Context(), id, browser, ""); err != nil {
		t.Errorf("the rightful browser: %v", err)
	}
}

func TestSubmitRefuses(t *testing.T) {
	w := newWorld(t)
	_, view := w.get("/authorize?" + asked("app", "ui_locales", "sv en").Encode()).page()
	sealed := view["Request"].(string)
	submit := func(sealed, number, region string) error {
		_, err := w.provider.Submit(t.Context(), authorize.Submission{Request: sealed, Phone: number, Region: region, Browser: browser, Network: "192.0.2.1/32"})
		return err
	}
	shownAgain := ""
	for typed, want := range map[string]authorize.ProblemKind{
		"": authorize.PhoneEmpty, "anna@example.com": authorize.PhoneNotANumber, "070 1": authorize.PhoneTooShort, "+46 8 123 456 78": authorize.PhoneLandline,
	} {
		refusal := (*authorize.Refusal)(nil)
		if err := submit(sealed, typed, ""); !errors.As(err, &refusal) || refusal.Problem.Kind != want ||
			refusal.View.Phone != typed || refusal.View.Problem == nil || refusal.View.Client.Name != "App" || len(refusal.View.UILocales) != 2 {
			t.Errorf("%q: %+v", typed, err)
		} else {
			shownAgain = refusal.View.Request
		}
	}
	if err := submit(shownAgain, "070-174 06 99", ""); err != nil {
		t.Errorf("the page that is shown again does not work: %v", err)
	}
	if err := submit(sealed, "99999 99999", "IN"); err != nil {
		t.Errorf("a national number of the chosen country: %v", err)
	}
	if err := submit(sealed, number, ""); err != nil {
		t.Fatal(err)
	}
	refusal := (*authorize.Refusal)(nil)
	if err := submit(sealed, number, ""); !errors.As(err, &refusal) || refusal.Problem.Kind != authorize.Locked || time.Until(refusal.Problem.RetryAt) < time.Minute {
		t.Errorf("the number is locked: %+v", err)
	}
	w.phone.down = time.Now().Add(30 * time.Second)
	if err := submit(sealed, "+46701740607", ""); !errors.As(err, &refusal) || refusal.Problem != (authorize.Problem{Kind: authorize.Unavailable, RetryAt: w.phone.down}) || refusal.View.Phone == "" {
		t.Errorf("Truecaller has not been answering: %+v", err)
	}
	w.phone.down = time.Time{}
	for _, bad := range []string{"", "x", sealed[1:], sealed + "A", strings.ToUpper(sealed)} {
		if err := submit(bad, number, ""); !errors.Is(err, endpoint.ErrBadRequest) {
			t.Errorf("sealed %.20q: %v", bad, err)
		}
	}
}

// The client may be gone, or its redirect URI, when the form comes back.
func TestSubmitLooksAtTheClientAgain(t *testing.T) {
	w := newWorld(t)
	c := clients()[0]
	c.ID = "brief"
	c, _, err := w.registry.Add(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	_, view := w.get("/authorize?" + asked("app", "client_id", c.ID).Encode()).page()
	if err := w.registry.Remove(t.Context(), c.ID); err != nil {
		t.Fatal(err)
	}
	_, err = w.provider.Submit(t.Context(), authorize.Submission{Request: view["Request"].(string), Phone: number, Browser: browser})
	if !errors.Is(err, endpoint.ErrBadRequest) {
		t.Errorf("%v", err)
	}
}

func TestAgainAndLeave(t *testing.T) {
	w := newWorld(t)
	id := w.submit(w.get("/authorize?"+asked("app").Encode()), number)
	if _, err := w.provider.Leave(t.Context(), id, browser); !errors.Is(err, login.ErrState) {
		t.Errorf("leaving a live attempt: %v", err)
	}
	if err := w.provider.Cancel(t.Context(), id, browser); err != nil {
		t.Fatal(err)
	}
	view, err := w.provider.View(t.Context(), id, browser)
	if err != nil || view.State != login.Rejected || view.Number != "+46•••••0605" || time.Until(view.AgainAt) < time.Minute {
		t.Errorf("%+v, %v", view, err)
	}
	if again, err := w.provider.Again(t.Context(), id, browser); err != nil || again.Request == "" || again.Phone != "+46 70 174 06 05" {
		t.Errorf("again: %+v, %v", again, err)
	}
	left, err := w.provider.Leave(t.Context(), id, browser)
	if err != nil || param(left, "error") != "access_denied" || param(left, "iss") != issuer || param(left, "state") != "the-state" {
		t.Errorf("leave: %+v, %v", left, err)
	}
}

func TestRequestExpires(t *testing.T) {
	w := newWorld(t)
	_, view := w.get("/authorize?" + asked("app").Encode()).page()
	sealed := aged(t, "authorization-request", view["Request"].(string))
	_, err := w.provider.Submit(t.Context(), authorize.Submission{Request: sealed, Phone: number, Browser: browser})
	if !errors.Is(err, endpoint.ErrRequestExpired) {
		t.Errorf("%v", err)
	}
}

// Nothing that opens a door, and no whole number, is in the log.
func TestInvariant10_LogsKeepSecrets(t *testing.T) {
	w := newWorld(t)
	// The library logs by itself, to the process's own logger.
	before := slog.Default()
	defer slog.SetDefault(before)
	slog.SetDefault(slog.New(slog.NewJSONHandler(w.log, nil)))
	done, session := w.signIn(asked("app", "scope", everything), number)
	code := param(done.Response, "code")
	a := w.exchange("app", code).json()
	w.exchange("app", code)
	w.exchange("app", "nonsense-code")
	w.post("/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {a["refresh_token"].(string) + "x"}}, basic("app", secret))
	w.post("/token", url.Values{"grant_type": {"refresh_token"}}, basic("app", "wrong-secret"))
	w.post("/userinfo", nil, bearer("wrong-token"))
	w.get("/authorize?" + asked("app", "redirect_uri", "https://evil.example/").Encode())
	log := w.log.text()
	if !strings.Contains(log, "grant.reused") {
		t.Error("the reuse is not in the audit")
	}
	for what, text := range map[string]string{
		"code": code, "access token": a["access_token"].(string), "refresh token": a["refresh_token"].(string), "ID token": a["id_token"].(string),
		"session cookie": session.Value, "browser cookie": browser, "client secret": secret, "wrong secret": "wrong-secret", "wrong token": "wrong-token",
		"number": "46701740605", "verifier": verifier,
	} {
		if strings.Contains(log, text) {
			t.Errorf("the log has the %s", what)
		}
	}
	for _, line := range strings.Split(strings.TrimSpace(log), "\n") {
		if !json.Valid([]byte(line)) {
			t.Errorf("not JSON: %s", line)
		}
	}
}
