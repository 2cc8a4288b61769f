// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"bytes"
	"testing"
	"time"

	"calleridp/keys"
	"calleridp/provider/admin"
)

func TestStatusIsATable(t *testing.T) {
	var out bytes.Buffer
	s := admin.Status{Version: "v1", Store: "healthy", Inbox: 2, Notices: 1, Breakers: []admin.Breaker{{Purpose: "push", Host: "t.example", State: "open"}},
		LastCallback: time.Date(2026, 11, 30, 6, 20, 0, 0, time.UTC), Certificate: admin.Certificate{Source: "acme", Ends: time.Date(2027, 2, 1, 0, 0, 0, 0, time.UTC)},
		Keys: []keys.Info{{ID: "k1", Algorithm: "RS256", State: keys.Active}}}
	if err := writeStatus(&out, s); err != nil {
		t.Fatal(err)
	}
	want := `version                    v1
store                      healthy
callbacks in the inbox     2
logout notices and events  1 waiting
truecaller, push           open  t.example
last callback              2026-11-30 06:20 UTC
certificate                until 2027-02-01 00:00 UTC, from acme
signing key                active  RS256  k1
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &out, want)
	}
}

func TestCertificateOfTheStatus(t *testing.T) {
	for want, c := range map[string]admin.Certificate{
		"none: a proxy in front speaks TLS": {Source: "none"},
		"none yet, from acme":               {Source: "acme"},
	} {
		if got := certificate(c); got != want {
			t.Errorf("%+v: got %q, want %q", c, got, want)
		}
	}
}
