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
