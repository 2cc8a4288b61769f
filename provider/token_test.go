package provider_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"calleridp/provider"
	"calleridp/provider/client"
)

// code makes a code of the client's, in a session.
func (w *world) code(session *http.Cookie, clientID string, pairs ...string) string {
	w.t.Helper()
	_, query := w.get("/authorize?"+asked(clientID, pairs...).Encode(), session).to()
	if query.Get("code") == "" {
		w.t.Fatalf("no code: %v", query)
	}
	return query.Get("code")
}

// One thing is wrong in each row; after it the code is still good for its
// rightful holder.
func TestCodeExchangeRefuses(t *testing.T) {
	w := newWorld(t)
	_, session := w.tokens("app", "openid")
	set := func(name, value string) func(url.Values) { return func(v url.Values) { v.Set(name, value) } }
	for _, row := range []struct {
		what   string
		change func(url.Values)
		auth   func(*http.Request)
		status int
		code   string
	}{
		{"wrong secret", nil, basic("app", "wrong"), 401, "invalid_client"},
		{"empty secret", nil, basic("app", ""), 401, "invalid_client"},
		{"unknown client", nil, basic("nobody", secret), 401, "invalid_client"},
		{"no client", nil, nil, 401, "invalid_client"},
		{"client without its secret", set("client_id", "app"), nil, 401, "invalid_client"},
		{"Bearer instead of Basic", nil, bearer("x"), 401, "invalid_client"},
		{"Basic that is none", nil, func(r *http.Request) { r.Header.Set("Authorization", "Basic !!") }, 401, "invalid_client"},
		{"Basic with a broken escape", nil, func(r *http.Request) { r.SetBasicAuth("app%zz", secret) }, 401, "invalid_client"},
		{"an assertion", set("client_assertion", "x"), basic("app", secret), 401, "invalid_client"},
		{"two ways at once", func(v url.Values) { v.Set("client_id", "app"); v.Set("client_secret", secret) }, basic("app", secret), 400, "invalid_request"},
		{"secret in the body beside Basic", set("client_secret", secret), basic("app", secret), 400, "invalid_request"},
		{"two client_ids", set("client_id", "old"), basic("app", secret), 400, "invalid_request"},
		{"another client", nil, basic("old", secret), 400, "invalid_grant"},
		{"no grant_type", func(v url.Values) { v.Del("grant_type") }, basic("app", secret), 400, "invalid_request"},
		{"implicit", set("grant_type", "implicit"), basic("app", secret), 400, "unsupported_grant_type"},
		{"password", set("grant_type", "password"), basic("app", secret), 400, "unsupported_grant_type"},
		{"client_credentials", set("grant_type", "client_credentials"), basic("app", secret), 400, "unsupported_grant_type"},
		{"jwt-bearer", set("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), basic("app", secret), 400, "unsupported_grant_type"},
		{"token exchange", set("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"), basic("app", secret), 400, "unsupported_grant_type"},
		{"device code", set("grant_type", "urn:ietf:params:oauth:grant-type:device_code"), basic("app", secret), 400, "unsupported_grant_type"},
		{"no code", func(v url.Values) { v.Del("code") }, basic("app", secret), 400, "invalid_request"},
		{"a code that is none", set("code", "nonsense"), basic("app", secret), 400, "invalid_grant"},
		{"no redirect_uri", func(v url.Values) { v.Del("redirect_uri") }, basic("app", secret), 400, "invalid_request"},
		{"another redirect_uri", set("redirect_uri", "https://app.example/cb/"), basic("app", secret), 400, "invalid_grant"},
		{"no verifier", func(v url.Values) { v.Del("code_verifier") }, basic("app", secret), 400, "invalid_grant"},
		{"another verifier", set("code_verifier", strings.Repeat("a", 43)), basic("app", secret), 400, "invalid_grant"},
		{"the challenge as verifier", set("code_verifier", challengeOf(verifier)), basic("app", secret), 400, "invalid_grant"},
		{"a parameter twice", func(v url.Values) { v.Add("code_verifier", verifier) }, basic("app", secret), 400, "invalid_request"},
		{"not UTF-8", set("x", "\xff"), basic("app", secret), 400, "invalid_request"},
		{"too large", set("x", strings.Repeat("x", 40000)), basic("app", secret), 413, "invalid_request"},
	} {
		code := w.code(session, "app")
		good := func() url.Values {
			return url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {redirects["app"]}, "code_verifier": {verifier}}
		}
		v := good()
		if row.change != nil {
			row.change(v)
		}
		auth := row.auth
		if auth == nil {
			auth = func(*http.Request) {}
		}
		a := w.post("/token", v, auth)
		if a.StatusCode != row.status || a.json()["error"] != row.code || a.Header.Get("Cache-Control") != "no-store" || !strings.HasPrefix(a.Header.Get("Content-Type"), "application/json") {
			t.Errorf("%s: %d %v %s", row.what, a.StatusCode, a.Header, a.body)
		}
		if challenge := a.Header.Get("WWW-Authenticate"); strings.HasPrefix(challenge, "Basic ") != (row.status == 401) {
			t.Errorf("%s: WWW-Authenticate %q", row.what, challenge)
		}
		if a := w.post("/token", good(), basic("app", secret)); a.StatusCode != 200 {
			t.Errorf("after %s the code is gone: %d %s", row.what, a.StatusCode, a.body)
		}
	}
}

// Every way in which good clients authenticate.
func TestClientAuthenticationAccepts(t *testing.T) {
	w := newWorld(t)
	_, session := w.tokens("app", "openid")
	for what, row := range map[string]struct {
		id   string
		form url.Values
		auth func(*http.Request)
	}{
		"basic":                           {"app", nil, basic("app", secret)},
		"basic, client_id in the body":    {"app", url.Values{"client_id": {"app"}}, basic("app", secret)},
		"post":                            {"app", url.Values{"client_id": {"app"}, "client_secret": {secret}}, nil},
		"scope and more in the body":      {"app", url.Values{"scope": {"openid profile"}, "foo": {"bar"}}, basic("app", secret)},
		"none":                            {"public", url.Values{"client_id": {"public"}}, nil},
		"none, as basic without a secret": {"public", nil, basic("public", "")},
	} {
		v := url.Values{"grant_type": {"authorization_code"}, "code": {w.code(session, row.id)}, "redirect_uri": {redirects[row.id]}, "code_verifier": {verifier}}
		for name, values := range row.form {
			v[name] = values
		}
		auth := row.auth
		if auth == nil {
			auth = func(*http.Request) {}
		}
		if a := w.post("/token", v, auth); a.StatusCode != 200 {
			t.Errorf("%s: %d %s", what, a.StatusCode, a.body)
		}
	}
	if a := w.post("/token", url.Values{"grant_type": {"authorization_code"}, "code": {w.code(session, "public")}, "client_id": {"public"}, "client_secret": {"x"},
		"redirect_uri": {redirects["public"]}, "code_verifier": {verifier}}); a.StatusCode != 401 {
		t.Errorf("a public client with a secret: %d", a.StatusCode)
	}
}

func TestBasicIsFormEncoded(t *testing.T) {
	w := newWorld(t)
	const odd = "ö+ %/:secret"
	c := clients()[0]
	c.ID, c.SecretHashes = "odd", [][32]byte{client.HashSecret(odd)}
	registry, err := client.NewRegistry([]client.Client{c}, w.store, []client.App{{ID: "one"}})
	if err != nil {
		t.Fatal(err)
	}
	w = newWorld(t, func(config *provider.Config) { config.Clients = registry })
	a := w.post("/introspect", url.Values{"token": {"x"}}, basic("odd", odd))
	if a.StatusCode != 200 || a.json()["active"] != false {
		t.Errorf("RFC 6749 §2.3.1: %d %s", a.StatusCode, a.body)
	}
}

// Methods, places and repetitions that the library would accept.
func TestDirectEndpointsRefuse(t *testing.T) {
	w := newWorld(t)
	got, _ := w.tokens("app", everything)
	access := got["access_token"].(string)
	for _, path := range []string{"/token", "/introspect", "/revoke"} {
		for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "PATCH"} {
			r := httptest.NewRequest(method, issuer+path+"?client_id=app&client_secret="+secret+"&token="+access, nil)
			if a := w.do(r); a.StatusCode != 405 || a.Header.Get("Allow") != "POST" {
				t.Errorf("%s %s: %d, Allow %q", method, path, a.StatusCode, a.Header.Get("Allow"))
			}
		}
		for _, query := range []string{"client_secret=" + secret, "token=x", "code=x", "refresh_token=x", "x=%zz"} {
			if a := w.post(path+"?"+query, url.Values{"client_id": {"app"}, "token": {access}}); a.StatusCode != 400 || a.json()["error"] != "invalid_request" {
				t.Errorf("%s?%s: %d %s", path, query, a.StatusCode, a.body)
			}
		}
		for _, kind := range []string{"", "application/json", "multipart/form-data; boundary=x"} {
			a := w.post(path, url.Values{"token": {access}}, basic("app", secret), func(r *http.Request) { r.Header.Set("Content-Type", kind) })
			if a.StatusCode != 400 || a.json()["error"] != "invalid_request" {
				t.Errorf("%s with Content-Type %q: %d %s", path, kind, a.StatusCode, a.body)
			}
		}
		if a := w.post(path, nil, basic("app", secret)); a.StatusCode != 400 || a.json()["error"] != "invalid_request" {
			t.Errorf("%s without parameters: %d %s", path, a.StatusCode, a.body)
		}
	}
	if a := w.get("/userinfo"); a.StatusCode != 401 {
		t.Errorf("userinfo: %d", a.StatusCode)
	}
}

func TestUserinfo(t *testing.T) {
	w := newWorld(t)
	got, _ := w.tokens("app", everything)
	access := got["access_token"].(string)
	request := func(method, query, body string, change ...func(*http.Request)) answer {
		r := httptest.NewRequest(method, issuer+"/userinfo"+query, strings.NewReader(body))
		if body != "" {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		for _, c := range change {
			c(r)
		}
		return w.do(r)
	}
	for what, a := range map[string]answer{
		"GET":                     request("GET", "", "", bearer(access)),
		"POST":                    request("POST", "", "", bearer(access)),
		"POST, token in the form": request("POST", "", "access_token="+access),
		"lower case scheme":       request("GET", "", "", func(r *http.Request) { r.Header.Set("Authorization", "bearer "+access) }),
		"other things in the URL": request("GET", "?schema=openid", "", bearer(access)),
	} {
		if a.StatusCode != 200 || a.json()["sub"] == nil || a.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %s", what, a.StatusCode, a.body)
		}
	}
	for what, row := range map[string]struct {
		a      answer
		status int
		code   string
	}{
		"nothing":                  {request("GET", "", ""), 401, ""},
		"in the URL":               {request("GET", "?access_token="+access, ""), 401, ""},
		"in the URL of a POST":     {request("POST", "?access_token="+access, ""), 401, ""},
		"Basic":                    {request("GET", "", "", basic("app", secret)), 401, ""},
		"empty":                    {request("GET", "", "", bearer("")), 401, ""},
		"unknown":                  {request("GET", "", "", bearer("unknown")), 401, "invalid_token"},
		"an ID token":              {request("GET", "", "", bearer(got["id_token"].(string))), 401, "invalid_token"},
		"a refresh token":          {request("GET", "", "", bearer(got["refresh_token"].(string))), 401, "invalid_token"},
		"header and form":          {request("POST", "", "access_token="+access, bearer(access)), 400, "invalid_request"},
		"twice in the form":        {request("POST", "", "access_token="+access+"&access_token="+access), 400, "invalid_request"},
		"two Authorization":        {request("GET", "", "", func(r *http.Request) { r.Header["Authorization"] = []string{"Bearer " + access, "Bearer x"} }), 400, "invalid_request"},
		"DELETE":                   {request("DELETE", "", "", bearer(access)), 405, "invalid_request"},
		"a GET with a form inside": {request("GET", "", "access_token="+access), 401, ""},
	} {
		challenge := row.a.Header.Get("WWW-Authenticate")
		if row.a.StatusCode != row.status || row.a.Header.Get("Cache-Control") != "no-store" ||
			row.status != 405 && !strings.HasPrefix(challenge, "Bearer ") || strings.Contains(challenge, "error=") != (row.code != "" && row.status != 405) ||
			row.code != "" && row.status != 405 && !strings.Contains(challenge, `error="`+row.code+`"`) {
			t.Errorf("%s: %d, WWW-Authenticate %q, %s", what, row.a.StatusCode, challenge, row.a.body)
		}
	}
}

// A second use of a code is refused, and takes back what the first one gave
// (RFC 6749 §4.1.2).
func TestInvariant9_CodeReuseRevokes(t *testing.T) {
	w := newWorld(t)
	done, _ := w.signIn(asked("app", "scope", everything), number)
	code := param(done.Response, "code")
	got := w.exchange("app", code).json()
	stranger := w.post("/token", url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {redirects["app"]}, "code_verifier": {verifier}}, basic("old", secret))
	if stranger.StatusCode != 400 {
		t.Errorf("another client: %d", stranger.StatusCode)
	}
	if a := w.post("/userinfo", nil, bearer(got["access_token"].(string))); a.StatusCode != 200 {
		t.Errorf("another client's attempt revoked: %d", a.StatusCode)
	}
	if a := w.exchange("app", code); a.StatusCode != 400 || a.json()["error"] != "invalid_grant" {
		t.Errorf("the second use: %d %s", a.StatusCode, a.body)
	}
	if a := w.post("/userinfo", nil, bearer(got["access_token"].(string))); a.StatusCode != 401 {
		t.Errorf("the access token after it: %d", a.StatusCode)
	}
	if a := w.refresh("app", got["refresh_token"].(string)); a.StatusCode != 400 {
		t.Errorf("the refresh token after it: %d", a.StatusCode)
	}
}

func TestInvariant9_CodeIsRedeemedOnceWhenMany(t *testing.T) {
	w := newWorld(t)
	_, session := w.tokens("app", "openid")
	for range 20 {
		code := w.code(session, "app")
		answers := make([]answer, 8)
		var all sync.WaitGroup
		for i := range answers {
			all.Go(func() { answers[i] = w.exchange("app", code) })
		}
		all.Wait()
		good := 0
		for _, a := range answers {
			switch {
			case a.StatusCode == 200:
				good++
			case a.StatusCode != 400 || a.json()["error"] != "invalid_grant":
				t.Errorf("%d %s", a.StatusCode, a.body)
			}
		}
		if good != 1 {
			t.Fatalf("%d of %d redeemed it", good, len(answers))
		}
	}
}

func (w *world) refresh(clientID, token string, pairs ...string) answer {
	w.t.Helper()
	v := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return w.post("/token", v, basic(clientID, secret))
}

func TestInvariant9_RefreshTokenRotates(t *testing.T) {
	w := newWorld(t)
	got, _ := w.tokens("app", everything)
	first := got["refresh_token"].(string)
	if a := w.refresh("old", first); a.StatusCode != 400 || a.json()["error"] != "invalid_grant" {
		t.Errorf("another client: %d %s", a.StatusCode, a.body)
	}
	// Many at once, as when the tabs of a browser wake up: all get the same
	// successor, and none an error.
	successors := make([]any, 8)
	var all sync.WaitGroup
	for i := range successors {
		all.Go(func() { successors[i] = w.refresh("app", first).json()["refresh_token"] })
	}
	all.Wait()
	second, _ := successors[0].(string)
	for _, s := range successors {
		if s != second || second == "" || second == first {
			t.Fatalf("successors %v", successors)
		}
	}
	third := w.refresh("app", second).json()["refresh_token"].(string)
	if a := w.refresh("app", first); a.StatusCode != 400 || a.json()["error"] != "invalid_grant" {
		t.Errorf("one that was replaced twice: %d %s", a.StatusCode, a.body)
	}
	if a := w.refresh("app", third); a.StatusCode != 400 {
		t.Errorf("the family after it: %d", a.StatusCode)
	}
	if a := w.post("/userinfo", nil, bearer(got["access_token"].(string))); a.StatusCode != 401 {
		t.Errorf("the access token after it: %d", a.StatusCode)
	}
}

func TestRefreshScope(t *testing.T) {
	w := newWorld(t)
	got, _ := w.tokens("app", "openid phone email offline_access")
	token := got["refresh_token"].(string)
	for _, wide := range []string{"openid profile", "cheese"} {
		if a := w.refresh("app", token, "scope", wide); a.StatusCode != 400 || a.json()["error"] != "invalid_scope" {
			t.Errorf("%s: %d %s", wide, a.StatusCode, a.body)
		}
	}
	narrow := w.refresh("app", token, "scope", "openid phone")
	if id := claimsOf(t, narrow.json()["id_token"]); narrow.json()["scope"] != "openid phone" || id["email"] != nil || id["phone_number"] == nil {
		t.Errorf("narrowed: %s", narrow.body)
	}
	if info := w.post("/userinfo", nil, bearer(narrow.json()["access_token"].(string))).json(); info["email"] != nil || info["phone_number"] == nil {
		t.Errorf("userinfo of the narrowed: %v", info)
	}
	without := w.refresh("app", narrow.json()["refresh_token"].(string), "scope", "phone")
	if without.StatusCode != 200 || without.json()["id_token"] != nil {
		t.Errorf("without openid: %s", without.body)
	}
	if a := w.post("/userinfo", nil, bearer(without.json()["access_token"].(string))); a.StatusCode != 403 || !strings.Contains(a.Header.Get("WWW-Authenticate"), "insufficient_scope") {
		t.Errorf("userinfo without openid: %d %q", a.StatusCode, a.Header.Get("WWW-Authenticate"))
	}
	back := w.refresh("app", without.json()["refresh_token"].(string))
	if back.json()["scope"] != "openid email phone offline_access" {
		t.Errorf("the grant keeps its scopes: %s", back.body)
	}
}

// What the client may have is looked at in every grant, not only at sign-in.
func TestPolicyCountsAtEveryUse(t *testing.T) {
	w := newWorld(t)
	c := clients()[0]
	c.ID, c.SecretHashes = "", nil
	c, added, err := w.registry.Add(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	redirects[c.ID] = c.RedirectURIs[0]
	defer delete(redirects, c.ID)
	done, _ := w.signIn(asked(c.ID, "scope", everything), number)
	v := url.Values{"grant_type": {"authorization_code"}, "code": {param(done.Response, "code")}, "redirect_uri": {c.RedirectURIs[0]}, "code_verifier": {verifier}}
	got := w.post("/token", v, basic(c.ID, added)).json()
	use := func(token any) answer {
		return w.post("/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token.(string)}}, basic(c.ID, added))
	}
	restrict := func(scopes ...string) {
		t.Helper()
		err := w.store.UpdateClient(t.Context(), c.ID, func(c *client.Client) error { c.Scopes = scopes; return nil })
		if err != nil {
			t.Fatal(err)
		}
	}
	restrict("openid", "phone", "offline_access")
	next := use(got["refresh_token"])
	if next.json()["scope"] != "openid phone offline_access" || claimsOf(t, next.json()["id_token"])["email"] != nil {
		t.Errorf("fewer scopes: %s", next.body)
	}
	if info := w.post("/userinfo", nil, bearer(got["access_token"].(string))).json(); info["email"] != nil || info["phone_number"] == nil {
		t.Errorf("userinfo with fewer scopes: %v", info)
	}
	restrict("openid")
	if a := use(next.json()["refresh_token"]); a.StatusCode != 400 || a.json()["error"] != "invalid_grant" {
		t.Errorf("without offline_access: %d %s", a.StatusCode, a.body)
	}
	restrict("openid", "phone", "offline_access")
	if a := use(next.json()["refresh_token"]); a.StatusCode != 200 {
		t.Errorf("allowed again, the token is as good as before: %d %s", a.StatusCode, a.body)
	}
	if err := w.registry.Remove(t.Context(), c.ID); err != nil {
		t.Fatal(err)
	}
	if a := w.post("/userinfo", nil, bearer(got["access_token"].(string))); a.StatusCode != 401 {
		t.Errorf("userinfo after the client is gone: %d", a.StatusCode)
	}
	// Whoever gets its ID later gets nothing of what it had.
	if c, added, err = w.registry.Add(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if a := w.post("/userinfo", nil, bearer(got["access_token"].(string))); a.StatusCode != 401 {
		t.Errorf("userinfo after another client has its ID: %d", a.StatusCode)
	}
	if a := use(next.json()["refresh_token"]); a.StatusCode != 400 || a.json()["error"] != "invalid_grant" {
		t.Errorf("its refresh token, from another client: %d %s", a.StatusCode, a.body)
	}
}
