// SPDX-License-Identifier: Apache-2.0

package subject

import (
	"testing"
	"time"

	"calleridp/truecaller"
	"calleridp/truecaller/phone"
)

// Truecaller's two kinds of ids are compared with their own kind only. Each row
// is one number's life: a letter signs in by push with that id, a digit natively
// with that sub, a dash by push with a profile that has no id. Below each stands
// whose sign-in it is.
func TestResolveKeepsIdsOfTwoKindsApart(t *testing.T) {
	number, err := phone.FromDigits("46701740605")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct{ what, signIns, want string }{
		{"by push, then natively", "a1", "AA"},
		{"natively, then by push", "1a", "AA"},
		{"both ways, by turns", "a1a1-1a", "AAAAAAA"},
		{"natively only", "111", "AAA"},
		{"another sub is another person", "12", "AB"},
		{"another sub is another person, also one known by push", "a12", "AAB"},
		{"another id is another person, also one known natively", "1ab", "AAB"},
		{"the new owner signs in both ways", "a12b2b", "AABBBB"},
		{"a person of the past is not found again", "12121", "ABCDE"},
	} {
		t.Run(row.what, func(t *testing.T) {
			now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
			var known *Person
			names, got := map[string]byte{}, ""
			for _, id := range row.signIns {
				profile := truecaller.Profile{Numbers: []phone.Number{number}}
				switch {
				case id == '-':
				case id < 'a':
					profile.OAuthSub = string(id)
				default:
					profile.ID = string(id)
				}
				now = now.Add(time.Hour)
				person, isNew := Policy{}.Resolve(known, SignIn{Number: number, Profile: profile, At: now, NewSub: NewSub()})
				if _, seen := names[person.Sub]; seen == isNew {
					t.Errorf("sub %s, new %v, seen %v", person.Sub, isNew, seen)
				} else if !seen {
					names[person.Sub] = byte('A' + len(names))
				}
				got += string(names[person.Sub])
				known = &person
			}
			if got != row.want {
				t.Errorf("%s: %s, want %s", row.signIns, got, row.want)
			}
		})
	}
}

// Where there is nothing to compare, a number that has rested too long is a new
// person's, as with profiles without ids.
func TestResolveNativelyAfterARest(t *testing.T) {
	number, err := phone.FromDigits("46701740605")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	policy := Policy{ReuseAfter: 90 * 24 * time.Hour}
	for _, row := range []struct {
		what    string
		known   Person
		wantNew bool
	}{
		{"known by push", Person{Sub: "old", TruecallerID: "a"}, true},
		{"known natively", Person{Sub: "old", OAuthSub: "1"}, false},
	} {
		row.known.LastSignIn = now.Add(-91 * 24 * time.Hour)
		if _, isNew := policy.Resolve(&row.known, SignIn{Number: number, Profile: truecaller.Profile{OAuthSub: "1"}, At: now, NewSub: NewSub()}); isNew != row.wantNew {
			t.Errorf("%s: new %v", row.what, isNew)
		}
	}
}

// A native sign-in tells what the person granted to one application. It does not
// take from other clients what a whole profile told them.
func TestResolveKeepsWhatANativeProfileDoesNotTell(t *testing.T) {
	number, err := phone.FromDigits("46701740605")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	whole := truecaller.Profile{ID: "a", FirstName: "Anna", CompanyName: "Example AB", Email: "anna@example.com"}
	p, _ := Policy{}.Resolve(nil, SignIn{Number: number, Profile: whole, At: now, NewSub: NewSub()})
	p, _ = Policy{}.Resolve(&p, SignIn{Number: number, Profile: truecaller.Profile{OAuthSub: "1", Numbers: []phone.Number{number}}, At: now, NewSub: NewSub()})
	if p.Profile.FirstName != "Anna" || p.Profile.CompanyName != "Example AB" || p.Profile.Email != "anna@example.com" || p.OAuthSub != "1" || p.TruecallerID != "a" {
		t.Errorf("%+v", p)
	}
	p, _ = Policy{}.Resolve(&p, SignIn{Number: number, Profile: truecaller.Profile{OAuthSub: "2", Numbers: []phone.Number{number}}, At: now, NewSub: NewSub()})
	if p.Profile.FirstName != "" || p.Profile.Email != "" || p.TruecallerID != "" {
		t.Errorf("a new person has what the one before had: %+v", p)
	}
}
