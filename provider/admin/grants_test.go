// SPDX-License-Identifier: Apache-2.0

package admin_test

import (
	"strings"
	"testing"

	"calleridp/provider/admin"
)

// What an operator gives for a sub or a network may be a phone number by mistake. No line of
// the audit and no problem has it.
func TestInvariant10_MistakenNumbersAreNotRepeated(t *testing.T) {
	a := newAPI(t)
	var p admin.Problem
	for _, w := range []struct{ method, path, body string }{
		{"GET", "/v1/grants?sub=%2B46701740605", ""},
		{"GET", "/v1/users/+46701740605", ""},
		{"POST", "/v1/limits/show", `{"network":"+46701740605"}`},
	} {
		got := a.do(w.method, w.path, w.body)
		if got.Code < 400 {
			t.Errorf("%s: %d", w.path, got.Code)
			continue
		}
		a.check(w.path, got, got.Code, &p)
		if strings.Contains(got.Body.String(), "1740605") {
			t.Errorf("%s: %s", w.path, got.Body)
		}
	}
	if strings.Contains(a.audit.String(), "1740605") {
		t.Errorf("the audit:\n%s", a.audit)
	}
}
