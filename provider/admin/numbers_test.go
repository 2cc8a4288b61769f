// SPDX-License-Identifier: Apache-2.0

package admin_test

import (
	"strings"
	"testing"
	"time"

	"calleridp/provider/admin"
	"calleridp/provider/subject"
	"calleridp/truecaller/phone"
)

// An operator says that a number was recycled: its user loses it, once, unless it was verified
// since.
func TestRecycleNumber(t *testing.T) {
	a := newAPI(t)
	a.person("46701740605", "sub-one")
	a.refuses("POST", "/v1/numbers/recycle", `{"number":"+46701740606","since":"2026-01-01"}`, 404, "no user has")
	recent, err := phone.FromDigits("46701740607")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.store.ImportPerson(t.Context(), subject.Person{Sub: "recent", Number: recent, VerifiedAt: time.Now()}, false); err != nil {
		t.Fatal(err)
	}
	a.refuses("POST", "/v1/numbers/recycle", `{"number":"+46701740607","since":"2026-01-01"}`, 409, "has vouched for")
	a.refuses("POST", "/v1/numbers/recycle", `{"number":"+46701740605","since":"9999-01-01"}`, 422, "not in the future")
	a.refuses("POST", "/v1/numbers/recycle", `{"number":"+46701740605","since":"yesterday"}`, 422, "since")
	if strings.Contains(a.audit.String(), "number.recycled") {
		t.Errorf("the audit has what did not happen:\n%s", a.audit)
	}
	var lost admin.Recycled
	a.call("POST", "/v1/numbers/recycle", `{"number":"070-174 06 05","since":"2026-01-01"}`, 200, &lost)
	if lost.Sub != "sub-one" || strings.Contains(lost.Number, "701740605") {
		t.Errorf("got %+v, want sub-one with a masked number", lost)
	}
	a.refuses("POST", "/v1/numbers/recycle", `{"number":"+46701740605","since":"2026-01-01"}`, 404, "no user has")
	if !strings.Contains(a.audit.String(), "msg=number.recycled") || strings.Contains(a.audit.String(), "46701740605") {
		t.Errorf("the audit:\n%s", a.audit)
	}
}
