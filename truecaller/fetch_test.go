// SPDX-License-Identifier: Apache-2.0

package truecaller

import (
	"bytes"
	"context"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

const (
	bearer    = "a1asX--8_yw-OF--E6Gj_DPyKelJIGUUeYB9U9MJhyeu4hOCbrl"
	goodBody  = `{"phoneNumbers":[46701740605],"name":{"first":"Anna"}}`
	threeBase = "https://profile4.truecaller.com https://profile4-noneu.truecaller.com https://profile4-eu.truecaller.com"
)

func bases(t testing.TB, list string) (out []*url.URL) {
	t.Helper()
	for s := range strings.FieldsSeq(list) {
		u, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, u)
	}
	return out
}

// The endpoint of a callback only selects one of the configured hosts.
func TestInvariant5_EndpointSelectsAConfiguredHost(t *testing.T) {
	const local = "http://127.0.0.1:9441"
	rows := []struct{ configured, endpoint, want string }{
		{threeBase, "", "https://profile4.truecaller.com/v1/default"},
		{threeBase, "https://profile4.truecaller.com/v1/default", "https://profile4.truecaller.com/v1/default"},
		{threeBase, "https://profile4-noneu.truecaller.com/v1/default", "https://profile4-noneu.truecaller.com/v1/default"},
		{threeBase, "https://profile4-eu.truecaller.com:443/v1/default", "https://profile4-eu.truecaller.com/v1/default"},
		{threeBase, "HTTPS://Profile4-EU.Truecaller.com/v1/default", "https://profile4-eu.truecaller.com/v1/default"},
		// The host selects: path, query and fragment are not looked at.
		{threeBase, "https://profile4-eu.truecaller.com", "https://profile4-eu.truecaller.com/v1/default"},
		{threeBase, "https://profile4-eu.truecaller.com/", "https://profile4-eu.truecaller.com/v1/default"},
		{threeBase, "https://profile4-eu.truecaller.com/v1/default/", "https://profile4-eu.truecaller.com/v1/default"},
		{threeBase, "https://profile4-eu.truecaller.com//v1/default", "https://profile4-eu.truecaller.com/v1/default"},
		{threeBase, "https://profile4-eu.truecaller.com/x/../v2/%64efault", "https://profile4-eu.truecaller.com/v1/default"},
		{threeBase, "https://profile4-eu.truecaller.com/v1%2Fdefault", "https://profile4-eu.truecaller.com/v1/default"},
		{threeBase, "https://profile4-eu.truecaller.com/v1/default?to=evil.example", "https://profile4-eu.truecaller.com/v1/default"},
		{threeBase, "https://profile4-eu.truecaller.com?x=1", "https://profile4-eu.truecaller.com/v1/default"},
		{threeBase, "https://profile4-eu.truecaller.com/@evil.example", "https://profile4-eu.truecaller.com/v1/default"},
		{threeBase, "https://profile4-eu.truecaller.com/v1/default#x", "https://profile4-eu.truecaller.com/v1/default"},
		{local + "/eu " + local + "/in", local + "/in/v1/default", local + "/in/v1/default"},
		{local + "/eu " + local + "/in", local, local + "/eu/v1/default"},
		{local, "", local + "/v1/default"},
		{local, local + "/v1/default", local + "/v1/default"},
		{local + "/sim/", local + "/sim/v1/default", local + "/sim/v1/default"},

		{threeBase, "http://profile4.truecaller.com/v1/default", ""},
		{threeBase, "https://profile4.truecaller.com:8443/v1/default", ""},
		{threeBase, "https://profile4.truecaller.com:80/v1/default", ""},
		{threeBase, "https://me@profile4.truecaller.com/v1/default", ""},
		{threeBase, "https://@profile4.truecaller.com/v1/default", ""},
		{threeBase, "https://profile4.truecaller.com%2F@evil.example", ""},
		{threeBase, "https://profile4.truecaller.com%2eevil.example/", ""},
		{threeBase, "https://evil.example/https://profile4.truecaller.com/v1/default", ""},
		{threeBase, "https://evil.example?profile4.truecaller.com/v1/default", ""},
		{threeBase, "https://evil.example#@profile4.truecaller.com/v1/default", ""},
		{threeBase, "https://profile4.truecaller.com\u3002evil.example/", ""}, // an ideographic full stop
		{threeBase, "https://profile4.truecaller.com@evil.example/v1/default", ""},
		{threeBase, "https://profile4.truecaller.com.evil.example/v1/default", ""},
		{threeBase, "https://evil.truecaller.com/v1/default", ""},
		{threeBase, "https://truecaller.com/v1/default", ""},
		{threeBase, "https://profile4.truecaller.com./v1/default", ""},
		{threeBase, "https://profile4.truecaller.com\\@evil.example/v1/default", ""},
		{threeBase, "https:\\\\profile4.truecaller.com/v1/default", ""},
		{threeBase, "//profile4.truecaller.com/v1/default", ""},
		{threeBase, "/v1/default", ""},
		{threeBase, "profile4.truecaller.com/v1/default", ""},
		{threeBase, "https:profile4.truecaller.com/v1/default", ""},
		{threeBase, " https://profile4.truecaller.com/v1/default", ""},
		{threeBase, "https://profile4.truecaller.com/v1/default\n", ""},
		{threeBase, "https://169.254.169.254/v1/default", ""},
		{threeBase, "https://[::1]/v1/default", ""},
		{threeBase, "file:///v1/default", ""},
		{threeBase, "https://profile4.truecaller.com:443:443/v1/default", ""},
		{threeBase, "https://prof\u0456le4.truecaller.com/v1/default", ""}, // a Cyrillic letter
		{local, "http://127.0.0.1:9442/v1/default", ""},
		{local, "http://localhost:9441/v1/default", ""},
		{local, "https://127.0.0.1:9441/v1/default", ""},
		{local, "http://127.0.0.1/v1/default", ""},
		{"", "", ""},
		{"", "https://profile4.truecaller.com/v1/default", ""},
	}
	for _, row := range rows {
		at, err := App{Profiles: bases(t, row.configured)}.profileURL(row.endpoint)
		if row.want == "" {
			if !errors.Is(err, ErrForeignEndpoint) || at != nil {
				t.Errorf("profileURL(%q) = %v, %v, want %v", row.endpoint, at, err, ErrForeignEndpoint)
			}
			continue
		}
		if err != nil || at.String() != row.want {
			t.Errorf("%q selects %v, %v; want %s", row.endpoint, at, err, row.want)
		}
	}
}

// Whatever the endpoint says, the address is made of the configuration.
func FuzzEndpoint(f *testing.F) {
	for _, seed := range []string{"", "https://profile4.truecaller.com/v1/default", "https://x@profile4.truecaller.com:443/v1/default", "//profile4.truecaller.com", "https://profile4.truecaller.com/v1/default#"} {
		f.Add(seed)
	}
	app := App{Profiles: bases(f, threeBase)}
	f.Fuzz(func(t *testing.T, endpoint string) {
		at, err := app.profileURL(endpoint)
		if err != nil {
			return
		}
		for _, base := range app.Profiles {
			if at.String() == base.String()+"/v1/default" {
				return
			}
		}
		t.Fatalf("profileURL(%q) = %s, want none but our own addresses", endpoint, at)
	})
}

func TestFetchProfileRequest(t *testing.T) {
	var got *http.Request
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		w.Header().Set("Content-Type", "text/plain") // looked at loosely: not at all
		io.WriteString(w, goodBody)
	})
	p, err := NewClient(Options{}).FetchProfile(t.Context(), appAt(t, server.URL), server.URL+"/v1/default", bearer)
	if err != nil || !p.Has(number(t, typed)) || p.FirstName != "Anna" {
		t.Fatalf("FetchProfile() = %+v, %v, want Anna's profile", p, err)
	}
	if got.Method != "GET" || got.URL.String() != "/v1/default" || got.Header.Get("Authorization") != "Bearer "+bearer || got.Header.Get("appKey") != "" {
		t.Errorf("FetchProfile() sent %s %s %v, want GET /v1/default with the bearer and without appKey", got.Method, got.URL, got.Header)
	}
}

func TestFetchProfileAnswers(t *testing.T) {
	rows := []struct {
		status int
		body   string
		want   error
	}{
		{200, goodBody, nil},
		{200, "\ufeff" + goodBody, ErrProfile},
		{200, `{}`, ErrProfile},
		{200, `{"phoneNumbers":[46701740605]`, ErrProfile},
		{200, goodBody + strings.Repeat(" ", 256<<10-len(goodBody)), nil},
		{200, goodBody + strings.Repeat(" ", 256<<10-len(goodBody)+1), ErrProfile},
		{204, ``, ErrProfile},
		{302, goodBody, ErrProfile},
		{307, goodBody, ErrProfile},
		{400, ``, ErrProfile},
		{401, `{"status":40101,"message":"Unauthorized"}`, ErrUnauthorized},
		{403, ``, ErrUnauthorized},
		{404, ``, ErrProfile},
		{408, ``, ErrProfileUnavailable},
		{429, ``, ErrProfileUnavailable},
		{500, goodBody, ErrProfileUnavailable},
		{503, ``, ErrProfileUnavailable},
	}
	for _, row := range rows {
		t.Run(fmt.Sprintf("%d %.20q %d", row.status, row.body, len(row.body)), func(t *testing.T) {
			server, requests := serveCounted(t, row.status, row.body)
			p, err := NewClient(Options{}).FetchProfile(t.Context(), appAt(t, server.URL), "", bearer)
			if !errors.Is(err, row.want) || (err != nil) != (p.Numbers == nil) {
				t.Errorf("%v, %v; want %v", p.Numbers, err, row.want)
			}
			if requests.Load() != 1 {
				t.Errorf("FetchProfile() made %d requests, want 1", requests.Load())
			}
			if err != nil {
				checkDiscreet(t, err.Error())
			}
		})
	}
}

func TestFetchProfileWithoutAnswer(t *testing.T) {
	slow := serve(t, func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	stuck := serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, goodBody[:20])
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	broken := serve(t, func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) })
	for _, base := range []string{slow.URL, stuck.URL, broken.URL, "http://127.0.0.1:1"} {
		t.Run(base, func(t *testing.T) {
			_, err := NewClient(Options{Timeout: 100 * time.Millisecond}).FetchProfile(t.Context(), appAt(t, base), "", bearer)
			if !errors.Is(err, ErrProfileUnavailable) {
				t.Errorf("FetchProfile() from %s failed with %v, want %v", base, err, ErrProfileUnavailable)
				return
			}
			checkDiscreet(t, err.Error())
		})
	}
}

// An unusable token or endpoint reaches no host.
func TestInvariant5_TheTokenIsSentNowhereElse(t *testing.T) {
	foreign := serve(t, func(w http.ResponseWriter, r *http.Request) { t.Error("the foreign host was asked") })
	ours := serve(t, func(w http.ResponseWriter, r *http.Request) { t.Error("our host was asked") })
	c := NewClient(Options{})
	if _, err := c.FetchProfile(t.Context(), appAt(t, ours.URL), foreign.URL+"/v1/default", bearer); !errors.Is(err, ErrForeignEndpoint) {
		t.Errorf("FetchProfile() with a foreign endpoint failed with %v, want %v", err, ErrForeignEndpoint)
	}
	for _, token := range []string{"", "a b", "a\r\nX-Evil: 1", "\x00", "é"} {
		if _, err := c.FetchProfile(t.Context(), appAt(t, ours.URL), "", token); !errors.Is(err, ErrUnauthorized) {
			t.Errorf("FetchProfile() with the token %q failed with %v, want %v", token, err, ErrUnauthorized)
		}
	}
	redirecting := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, foreign.URL, http.StatusFound) })
	if _, err := c.FetchProfile(t.Context(), appAt(t, redirecting.URL), "", bearer); !errors.Is(err, ErrProfile) {
		t.Errorf("FetchProfile() after a redirect failed with %v, want %v", err, ErrProfile)
	}
}

func TestAppValidate(t *testing.T) {
	good := appAt(t, "https://api4.truecaller.com")
	good.Profiles = bases(t, threeBase)
	for _, base := range []string{"https://api4.truecaller.com", "http://127.0.0.1:9441", "http://[::1]:1/mock", "http://localhost:9441"} {
		t.Run(base, func(t *testing.T) {
			app := appAt(t, base)
			if err := app.Validate(); err != nil {
				t.Errorf("Validate() of an app at %s = %v, want nil", base, err)
			}
		})
	}
	for what, row := range map[string]struct {
		field string
		spoil func(*App)
	}{
		"no id":               {"ID", func(a *App) { a.ID = "" }},
		"slash in the id":     {"ID", func(a *App) { a.ID = "a/b" }},
		"no key":              {"Key", func(a *App) { a.Key = "" }},
		"newline in the key":  {"Key", func(a *App) { a.Key = "k\n" }},
		"no secret":           {"CallbackSecrets", func(a *App) { a.CallbackSecrets = nil }},
		"empty secret":        {"CallbackSecrets[1]", func(a *App) { a.CallbackSecrets = []string{"good", ""} }},
		"slash in the secret": {"CallbackSecrets[0]", func(a *App) { a.CallbackSecrets = []string{"a/b"} }},
		"no API":              {"API", func(a *App) { a.API = nil }},
		"no profile host":     {"Profiles", func(a *App) { a.Profiles = nil }},
		"nil profile host":    {"Profiles[0]", func(a *App) { a.Profiles = []*url.URL{nil} }},
		"plain http":          {"Profiles[0]", func(a *App) { a.Profiles = bases(t, "http://profile4.truecaller.com") }},
		"plain http API":      {"API", func(a *App) { a.API = bases(t, "http://10.0.0.1")[0] }},
		"other scheme":        {"API", func(a *App) { a.API = bases(t, "ftp://127.0.0.1")[0] }},
		"query":               {"API", func(a *App) { a.API = bases(t, "https://api4.truecaller.com?x=1")[0] }},
		"user":                {"API", func(a *App) { a.API = bases(t, "https://me:hunter2@api4.truecaller.com")[0] }},
	} {
		t.Run(what, func(t *testing.T) {
			app := good
			row.spoil(&app)
			if err := app.Validate(); len(err) != 1 || err[0].Field != row.field || err[0].Reason == "" {
				t.Errorf("Validate() of an app with %s = %v, want one error of %s", what, err, row.field)
			} else if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("Validate() of an app with %s = %v, which has the password", what, err)
			}
		})
	}
}

func TestInvariant10_AppsAndCallbacksPrintWithoutSecrets(t *testing.T) {
	app := appAt(t, "https://api4.truecaller.com")
	app.CallbackSecrets = []string{ourState}
	d := Delivery{ID: "d", App: "main", Callback: Callback{RequestID: "rid", State: ourState, AccessToken: bearer}}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		shown := fmt.Sprintf(verb, app) + fmt.Sprintf(verb, d) + fmt.Sprintf(verb, d.Callback) + fmt.Sprintf(verb, []Delivery{d})
		checkDiscreet(t, shown)
	}
	checkDiscreet(t, app.LogValue().String()+d.LogValue().String())
	for _, v := range []any{app, &app, d, d.Callback, []Delivery{d}, map[string]any{"app": app}} {
		var log, binary bytes.Buffer
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "v", v, "all", []any{v})
		object, _ := json.Marshal(v)
		gob.NewEncoder(&binary).Encode(v)
		checkDiscreet(t, log.String()+string(object)+binary.String())
	}
}

// FetchProfile fetches as the worker does: endpoint is that of the callback, "" if it
// named none.
func (c *Client) FetchProfile(ctx context.Context, app App, endpoint, token string) (Profile, error) {
	at, err := app.profileURL(endpoint)
	if err != nil {
		return Profile{}, err
	}
	return c.fetchProfile(ctx, at, token)
}
