package authorize_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"calleridp/provider/internal/testworld"
)

// unsigned returns a request object with the algorithm none.
func unsigned(t *testing.T, members map[string]any) string {
	t.Helper()
	payload, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	enc := base64.RawURLEncoding
	return enc.EncodeToString([]byte(`{"alg":"none"}`)) + "." + enc.EncodeToString(payload) + "."
}

// A request object is refused as it asks to be refused (OpenID Connect Core §6.1),
// by redirect or by form post, with its state.
func TestRequestObjectsSayHowToRefuseThem(t *testing.T) {
	w := testworld.New(t)
	uri := testworld.RedirectURI("app")
	for _, row := range []struct {
		what    string
		members map[string]any
		pairs   []string
		mode    string
		state   string
	}{
		{"nothing", map[string]any{}, nil, "query", "the-state"},
		{"a state", map[string]any{"state": "inner"}, nil, "query", "inner"},
		{"a state alone", map[string]any{"state": "inner"}, []string{"state", "-"}, "query", "inner"},
		{"the longest state", map[string]any{"state": strings.Repeat("s", 4096)}, nil, "query", strings.Repeat("s", 4096)},
		{"a longer state", map[string]any{"state": strings.Repeat("s", 4097)}, nil, "query", "the-state"},
		{"form_post", map[string]any{"state": "inner", "response_mode": "form_post"}, nil, "form_post", "inner"},
		{"query over form_post", map[string]any{"response_mode": "query"}, []string{"response_mode", "form_post"}, "query", "the-state"},
		{"form_post beside it", map[string]any{"state": "inner"}, []string{"response_mode", "form_post"}, "form_post", "inner"},
		{"an unknown mode", map[string]any{"response_mode": "pigeon"}, nil, "query", "the-state"},
		{"other types", map[string]any{"response_mode": 1, "state": []string{"x"}}, nil, "query", "the-state"},
		{"the same redirect URI", map[string]any{"redirect_uri": uri, "state": "inner"}, nil, "query", "inner"},
		{"the only redirect URI", map[string]any{"redirect_uri": uri, "state": "inner"}, []string{"redirect_uri", "-"}, "query", "inner"},
		{"the client", map[string]any{"client_id": "app", "state": "inner"}, nil, "query", "inner"},
		{"another client", map[string]any{"client_id": "old", "state": "inner", "response_mode": "form_post"}, nil, "query", "the-state"},
		{"another response type", map[string]any{"response_type": "token", "scope": "x", "prompt": "none"}, nil, "query", "the-state"},
	} {
		t.Run(row.what, func(t *testing.T) {
			a := w.Authorize("app", append(row.pairs, "request", unsigned(t, row.members))...)
			fields := map[string]string{}
			if row.mode == "form_post" {
				view := a.WantPage(t, "the refusal", "formpost")
				list, _ := view["fields"].([]any)
				for _, field := range list {
					pair := field.([]any)
					fields[pair[0].(string)] = pair[1].(string)
				}
				if view["action"] != uri {
					t.Errorf("action: got %v, want %s", view["action"], uri)
				}
			} else {
				to, query := a.Redirect()
				for name := range query {
					fields[name] = query.Get(name)
				}
				if to != uri {
					t.Errorf("got %v, want a redirect to %s", a, uri)
				}
			}
			if fields["error"] != "request_not_supported" || fields["state"] != row.state || fields["iss"] != testworld.Issuer {
				t.Errorf("got %v, want request_not_supported with the state %q", fields, row.state)
			}
		})
	}
}

// Nothing in a request object leads a browser to an address that is not registered,
// or that the query contradicts.
func TestThreat_RequestObjectRedirectsNowhere(t *testing.T) {
	w := testworld.New(t)
	for what, row := range map[string]struct {
		uri   string
		pairs []string
	}{
		"a foreign one":         {"https://evil.example/", nil},
		"a foreign one alone":   {"https://evil.example/", []string{"redirect_uri", "-"}},
		"another client's":      {"https://old.example/cb", []string{"redirect_uri", "-"}},
		"another registered":    {"https://app.example/cb?with=query", nil},
		"a good one beside bad": {"https://app.example/cb", []string{"redirect_uri", "https://evil.example/"}},
	} {
		a := w.Authorize("app", append(row.pairs, "request", unsigned(t, map[string]any{"redirect_uri": row.uri}))...)
		a.WantErrorPage(t, what, 400, "redirect_uri")
		if to := a.Header.Get("Location"); to != "" {
			t.Errorf("%s: got a redirect to %s, want none", what, to)
		}
	}
}

func FuzzRequestObject(f *testing.F) {
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Add("a.eyJzdGF0ZSI6IngifQ.b")
	f.Add("..")
	f.Add("a.bnVsbA.b")
	w := testworld.New(f)
	f.Fuzz(func(t *testing.T, object string) {
		a := w.In(t).Authorize("app", "request", object)
		to, query := a.Redirect()
		if page, _ := a.Page(); object != "" && page == "" && (to != testworld.RedirectURI("app") || query.Get("error") != "request_not_supported") {
			t.Errorf("%q: got %v, want a refusal", object, a)
		}
	})
}
