// SPDX-License-Identifier: Apache-2.0

package admin_test

import (
	"strings"
	"testing"

	"calleridp/provider/admin"
)

// An operator sees what waits for which client, has it tried again, and deletes it.
func TestNotices(t *testing.T) {
	a := newAPI(t)
	var all []admin.Receiver
	a.call("GET", "/v1/notices", "", 200, &all)
	if all == nil || len(all) != 0 {
		t.Errorf("before anything has ended: %+v", all)
	}
	a.person("46701740605", "sub-one")
	a.call("POST", "/v1/users/sub-one/signout", "", 200, new(admin.User))
	a.call("GET", "/v1/notices", "", 200, &all)
	if len(all) != 1 || all[0].Client != "third" || all[0].Waiting != 1 || all[0].Oldest.IsZero() || all[0].Failures != 0 {
		t.Errorf("what waits: %+v", all)
	}
	a.call("POST", "/v1/notices/third/retry", "", 200, new(admin.Receiver))
	a.refuses("POST", "/v1/notices/nobody/retry", "", 404, "nobody")
	var dropped admin.Dropped
	a.call("DELETE", "/v1/notices/third", "", 200, &dropped)
	if dropped.Number != 1 {
		t.Errorf("dropped: %+v, want 1", dropped)
	}
	a.call("GET", "/v1/notices", "", 200, &all)
	if len(all) != 1 || all[0].Waiting != 0 {
		t.Errorf("what waits after that: %+v", all)
	}
	for _, event := range []string{"msg=notices.retried client=third", "msg=notices.dropped client=third"} {
		if !strings.Contains(a.audit.String(), event) {
			t.Errorf("the audit has no %q:\n%s", event, a.audit)
		}
	}
}
