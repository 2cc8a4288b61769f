package endpoint_test

import (
	"net/http/httptest"
	"net/url"
	"testing"

	"calleridp/provider/internal/testworld"
)

// Direct endpoints refuse other methods, secrets in the URL and bodies that are no
// form.
func TestDirectEndpointsRefuse(t *testing.T) {
	w := testworld.New(t)
	got, _ := w.Tokens("app", testworld.AllScopes)
	access := got.Access
	basic := testworld.Basic("app", testworld.Secret)
	for _, path := range []string{"/token", "/introspect", "/revoke"} {
		t.Run(path, func(t *testing.T) {
			for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "PATCH"} {
				query := "?client_id=app&client_secret=" + testworld.Secret + "&token=" + access
				r := httptest.NewRequest(method, testworld.Issuer+path+query, nil)
				if a := w.Do(r); a.StatusCode != 405 || a.Header.Get("Allow") != "POST" {
					t.Errorf("%s: got %v, Allow %q, want 405 and POST", method, a, a.Header.Get("Allow"))
				}
			}
			for _, query := range []string{
				"client_secret=" + testworld.Secret,
				"token=x",
				"code=x",
				"refresh_token=x",
				"a=50%;b&client%5Fsecret=x",
			} {
				a := w.Post(path+"?"+query, url.Values{"client_id": {"app"}, "token": {access}})
				a.WantOAuthError(t, "the query "+query, 400, "invalid_request")
			}
			for _, kind := range []string{"", "application/json", "multipart/form-data; boundary=x"} {
				a := w.Post(path, url.Values{"token": {access}}, basic, testworld.Header("Content-Type", kind))
				a.WantOAuthError(t, "Content-Type "+kind, 400, "invalid_request")
			}
			w.Post(path, nil, basic).WantOAuthError(t, "without parameters", 400, "invalid_request")
		})
	}
	w.Get("/userinfo").WantStatus(t, "userinfo without a token", 401)
}
