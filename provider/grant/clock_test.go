// SPDX-License-Identifier: Apache-2.0

package grant

import (
	"errors"
	"testing"
	"time"
)

// Codes and access tokens of a clock that was a day fast have expired when it is put
// right. A refresh family goes on, and from then on counts from the right time.
func TestInvariant9_NothingOfAFastClockLivesLonger(t *testing.T) {
	policy := Policy{AccessToken: time.Hour, RefreshIdle: 48 * time.Hour, RefreshMax: 100 * time.Hour, RefreshGrace: 10 * time.Second}
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	ahead := now.Add(24 * time.Hour)
	code := Code{Expires: ahead.Add(time.Minute), Grant: Grant{ID: "g", ClientID: "c", Offline: true, Created: ahead}}
	if err := code.Usable(now); !errors.Is(err, ErrExpired) {
		t.Errorf("a code: %v, want %v", err, ErrExpired)
	}
	if r := policy.Redeem(code, nil, CodeUse{ClientID: "c", At: now}); !errors.Is(r.Refused, ErrExpired) {
		t.Errorf("redeeming the code: %v, want %v", r.Refused, ErrExpired)
	}
	issued := policy.Issue(code.Grant, TokenHash{}, ahead)
	if issued.Access.Live(now) || !issued.Access.Live(ahead) {
		t.Errorf("an access token: live %v before it was issued, %v then", issued.Access.Live(now), issued.Access.Live(ahead))
	}
	use := RefreshUse{Generation: 1, ClientID: "c", At: now}
	rotated := policy.Refresh(*issued.Grant, use)
	if rotated.Refused != nil {
		t.Fatalf("refreshing: %v", rotated.Refused)
	}
	g := *rotated.Grant
	if !g.Created.Equal(now) || !g.Rotated.Equal(now) || g.Expires.After(now.Add(policy.RefreshIdle)) {
		t.Errorf("after it: created %v, rotated %v, expires %v; want all counted from %v", g.Created, g.Rotated, g.Expires, now)
	}
	// The grace of a rotation that lies ahead does not last for a day.
	late := policy.Refresh(*issued.Grant, RefreshUse{Generation: 1, ClientID: "c", At: ahead})
	stolen := policy.Refresh(*late.Grant, use)
	if !errors.Is(stolen.Refused, ErrReused) {
		t.Errorf("an older token, long before its rotation: %v, want %v", stolen.Refused, ErrReused)
	}
}
