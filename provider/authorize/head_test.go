// SPDX-License-Identifier: Apache-2.0

package authorize_test

import (
	"net/http/httptest"
	"testing"

	"calleridp/provider/internal/testworld"
)

// HEAD says what GET would where that is an error for the client, which has no effect.
// Where GET would make a code or show a page, HEAD has no response of the client's, and
// nothing is stored (RFC 9110 §9.3.2).
func TestAuthorizeHeadSaysWhatGetWouldRefuse(t *testing.T) {
	w := testworld.New(t)
	_, session := w.Tokens("app", "openid")
	for _, row := range []struct {
		client string
		pairs  []string
		here   bool
		want   string // the error; "" for 200
	}{
		{"app", []string{"prompt", "none"}, false, "login_required"},
		{"third", []string{"prompt", "none"}, true, "consent_required"},
		{"app", []string{"scope", "phone"}, true, "invalid_scope"},
		{"app", []string{"prompt", "none"}, true, ""},
		{"app", nil, true, ""},
		{"third", nil, true, ""},
		{"app", nil, false, ""},
	} {
		target := "/authorize?" + testworld.AuthRequest(row.client, row.pairs...).Encode()
		head, get := httptest.NewRequest("HEAD", testworld.Issuer+target, nil), httptest.NewRequest("GET", testworld.Issuer+target, nil)
		if row.here {
			head.AddCookie(session)
			get.AddCookie(session)
		}
		var a testworld.Response
		w.WantNothingStored("HEAD", func() { a = w.Do(head) })
		if row.want == "" {
			a.WantStatus(t, "HEAD "+target, 200)
			if location := a.Header.Get("Location"); location != "" {
				t.Errorf("HEAD %s: got a redirect to %s, want none", target, location)
			}
			continue
		}
		b := w.Do(get)
		if _, query := a.Redirect(); a.StatusCode != b.StatusCode || query.Get("error") != row.want ||
			testworld.WithoutSessionState(a.Header.Get("Location")) != testworld.WithoutSessionState(b.Header.Get("Location")) {
			t.Errorf("HEAD %s: got %v, want %s as GET has it: %v", target, a, row.want, b)
		}
	}
}
