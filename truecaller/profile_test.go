// SPDX-License-Identifier: Apache-2.0

package truecaller

import (
	"reflect"
	"testing"
	"time"

	"calleridp/truecaller/phone"
)

func TestOnto(t *testing.T) {
	numbers := []phone.Number{number(t, typed)}
	updated := time.UnixMilli(1508916139000).UTC()
	before := Profile{
		ID: "web", UserID: "4567", Numbers: numbers, FirstName: "Anna", LastName: "Lind", AvatarURL: "https://images.example/old.png", Gender: "Female",
		Email: "old@example.com", URL: "https://anna.example", CompanyName: "Example AB", Badges: []string{"verified"}, UpdatedAt: updated,
		Addresses: []Address{{Street: "Drottninggatan 1", City: "Stockholm", Zipcode: "11151", CountryCode: "SE"}},
	}
	with := func(change func(*Profile)) Profile {
		p := before
		p.OAuthSub = "1"
		change(&p)
		return p
	}
	for _, row := range []struct {
		what       string
		news, want Profile
	}{
		{"a web profile is whole", Profile{ID: "web", Numbers: numbers, FirstName: "Bo"}, Profile{ID: "web", Numbers: numbers, FirstName: "Bo"}},
		{"the phone scope alone", Profile{OAuthSub: "1", Numbers: numbers}, with(func(p *Profile) {})},
		{"the profile scope", Profile{OAuthSub: "1", Numbers: numbers, FirstName: "Bo", Gender: "male"}, with(func(p *Profile) {
			p.FirstName, p.LastName, p.AvatarURL, p.Gender, p.UpdatedAt = "Bo", "", "", "male", time.Time{}
		})},
		{"the email scope", Profile{OAuthSub: "1", Numbers: numbers, Email: "new@example.com"}, with(func(p *Profile) { p.Email = "new@example.com" })},
		{"the same address, less of it", Profile{OAuthSub: "1", Numbers: numbers, Addresses: []Address{{City: "Stockholm", Zipcode: "11151"}}}, with(func(p *Profile) {})},
		{"another address", Profile{OAuthSub: "1", Numbers: numbers, Addresses: []Address{{City: "Lund", Zipcode: "11151"}}}, with(func(p *Profile) {
			p.Addresses = []Address{{City: "Lund", Zipcode: "11151"}}
		})},
	} {
		if got := row.news.Onto(before); !reflect.DeepEqual(got, row.want) {
			t.Errorf("%s:\n got %+v\nwant %+v", row.what, got, row.want)
		}
	}
	same := before.Addresses[0]
	for what, change := range map[string]func(*Address){
		"street":   func(a *Address) { a.Street = "Kungsgatan 1" },
		"city":     func(a *Address) { a.City = "Lund" },
		"postcode": func(a *Address) { a.Zipcode = "22222" },
		"country":  func(a *Address) { a.CountryCode = "FI" },
	} {
		other := same
		change(&other)
		news := Profile{OAuthSub: "1", Numbers: numbers, Addresses: []Address{other}}
		if got := news.Onto(before).Addresses; !reflect.DeepEqual(got, []Address{other}) {
			t.Errorf("another %s: got %+v, want %+v", what, got, other)
		}
	}
	for what, part := range map[string]Profile{"a family name": {LastName: "Lind"}, "a picture": {AvatarURL: "x"}, "a gender": {Gender: "male"}} {
		if !part.Describes() {
			t.Errorf("%s alone: got no description, want one", what)
		}
	}
	fresh := Profile{OAuthSub: "1", Numbers: numbers, FirstName: "Bo", Addresses: []Address{{City: "Lund"}}}
	if got := fresh.Onto(Profile{}); !reflect.DeepEqual(got, fresh) {
		t.Errorf("Onto() an empty profile = %+v, want %+v", got, fresh)
	}
}
