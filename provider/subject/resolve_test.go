// SPDX-License-Identifier: Apache-2.0

package subject

import (
	"strings"
	"testing"
	"time"

	"calleridp/truecaller"
	"calleridp/truecaller/phone"
)

func TestResolve(t *testing.T) {
	number, err := phone.FromDigits("46701740605")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	known := func(id string, rested time.Duration) *Person {
		return &Person{Sub: "old", Number: number, TruecallerID: id, Created: now.Add(-rested), LastSignIn: now.Add(-rested)}
	}
	day := 24 * time.Hour
	rows := []struct {
		what    string
		known   *Person
		id      string
		policy  Policy
		wantNew bool
		wantID  string
	}{
		{"nobody known", nil, "a", Policy{}, true, "a"},
		{"the same id", known("a", day), "a", Policy{}, false, "a"},
		{"the same id after a long rest", known("a", 900*day), "a", Policy{ReuseAfter: 90 * day}, false, "a"},
		{"another id", known("a", day), "b", Policy{}, true, "b"},
		{"an id for the first time", known("", day), "a", Policy{}, false, "a"},
		{"the id is missing now", known("a", day), "", Policy{}, false, "a"},
		{"no ids, never reused", known("", 9000*day), "", Policy{}, false, ""},
		{"no ids, rested too long", known("", 91*day), "", Policy{ReuseAfter: 90 * day}, true, ""},
		{"no ids, rested less", known("", 89*day), "", Policy{ReuseAfter: 90 * day}, false, ""},
		{"no ids, rested as long", known("", 90*day), "", Policy{ReuseAfter: 90 * day}, false, ""},
	}
	for _, row := range rows {
		t.Run(row.what, func(t *testing.T) {
			profile := truecaller.Profile{ID: row.id, FirstName: "Asha"}
			got, isNew := row.policy.Resolve(row.known, SignIn{Number: number, Profile: profile, At: now, NewSub: NewSub()})
			if isNew != row.wantNew || (got.Sub == "old") == row.wantNew {
				t.Errorf("new %v, sub %q", isNew, got.Sub)
			}
			if got.TruecallerID != row.wantID || got.Number != number || got.Profile.FirstName != "Asha" {
				t.Errorf("%+v", got)
			}
			if !row.wantNew && !got.Created.Equal(row.known.Created) || row.wantNew && !got.Created.Equal(now) {
				t.Errorf("created %v", got.Created)
			}
			if !got.LastSignIn.Equal(now) || !got.VerifiedAt.Equal(now) {
				t.Errorf("last sign-in %v, verified %v", got.LastSignIn, got.VerifiedAt)
			}
		})
	}
}

// A sign-in of one kind keeps the id of the other, by which the next one of that kind is
// known: or another user who has the number by then would be taken for this one.
func TestThreat_ASignInKeepsTheOtherID(t *testing.T) {
	number, err := phone.FromDigits("46701740605")
	if err != nil {
		t.Fatal(err)
	}
	resolve := func(known *Person, p truecaller.Profile) (Person, bool) {
		return Policy{}.Resolve(known, SignIn{Number: number, Profile: p, At: time.Now(), NewSub: NewSub()})
	}
	native, pushed := truecaller.Profile{OAuthSub: "1"}, truecaller.Profile{ID: "a"}
	for _, order := range [][]truecaller.Profile{{native, pushed}, {pushed, native}} {
		first, _ := resolve(nil, order[0])
		both, isNew := resolve(&first, order[1])
		if isNew || both.OAuthSub != "1" || both.TruecallerID != "a" {
			t.Errorf("got %+v, new %v, want one user with both ids", both, isNew)
		}
		for _, other := range []truecaller.Profile{{OAuthSub: "2"}, {ID: "b"}} {
			if next, isNew := resolve(&both, other); !isNew || next.Sub == both.Sub {
				t.Errorf("%+v: got the same user, want a new one", other)
			}
		}
	}
}

func TestNewSubs(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		sub := NewSub()
		if seen[sub] || len(sub) != 22 || strings.Contains(sub, ":") {
			t.Fatalf("sub %q", sub)
		}
		seen[sub] = true
	}
}
