// SPDX-License-Identifier: Apache-2.0

package consent_test

import (
	"slices"
	"testing"
	"time"

	"calleridp/provider/consent"
)

func TestCovers(t *testing.T) {
	c := consent.Consent{Scopes: []string{"openid", "phone"}}
	for _, row := range []struct {
		scopes []string
		want   bool
	}{
		{nil, true},
		{[]string{"openid"}, true},
		{[]string{"phone", "openid"}, true},
		{[]string{"openid", "phone", "email"}, false},
		{[]string{"email"}, false},
	} {
		if got := c.Covers(row.scopes); got != row.want {
			t.Errorf("%v: %v", row.scopes, got)
		}
	}
}

func TestWiden(t *testing.T) {
	first := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	later := first.Add(24 * time.Hour)
	one := consent.Widen(nil, "sub", "shop", []string{"openid", "phone"}, first)
	if one.Sub != "sub" || one.ClientID != "shop" || !slices.Equal(one.Scopes, []string{"openid", "phone"}) || one.Created != first || one.LastUsed != first {
		t.Errorf("%+v", one)
	}
	two := consent.Widen(&one, "sub", "shop", []string{"openid", "email"}, later)
	if !slices.Equal(two.Scopes, []string{"openid", "phone", "email"}) || two.Created != first || two.LastUsed != later {
		t.Errorf("%+v", two)
	}
	if len(one.Scopes) != 2 {
		t.Error("what was known has changed")
	}
}
