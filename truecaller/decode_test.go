// SPDX-License-Identifier: Apache-2.0

package truecaller

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"calleridp/truecaller/phone"

	"golang.org/x/text/unicode/norm"
)

// fixtures reads a folder of testdata; the name of each file says what it shows.
func fixtures(t testing.TB, folder string) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("testdata", folder, "*.json"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	all := map[string][]byte{}
	for _, name := range names {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimSuffix(filepath.Base(name), ".json")] = raw
	}
	return all
}

func TestDecodeProfile(t *testing.T) {
	one := []phone.Number{number(t, typed)}
	want := map[string]Profile{
		"push_flow_as_documented": {
			Numbers: one, FirstName: "Anna", LastName: "Lind", Email: "anna.lind@example.com", URL: "https://anna.example",
			FacebookID: "anna.lind", TwitterID: "annalind", Gender: "Female", CompanyName: "Example AB", JobTitle: "Librarian", AboutMe: "Reads a lot.",
			Addresses: []Address{{Street: "Drottninggatan 1", City: "Stockholm", Zipcode: "111 51", CountryCode: "SE"}},
		},
		"web_sdk_as_in_its_sample": {
			ID: "c0ffee0123456789abcdef==", UserID: "4567890123456789", Numbers: one, FirstName: "Asha", LastName: "Rao",
			Email: "asha@example.com", URL: "https://asha.example", FacebookID: "asha.rao", AvatarURL: "https://images.example/asha.jpg",
			Gender: "Male", CompanyName: "Example Ltd", JobTitle: "Engineer", Badges: []string{"verified", "premium"},
			Addresses: []Address{{Street: "MG Road 1", City: "Bengaluru", Zipcode: "560001", CountryCode: "IN"}},
			UpdatedAt: time.UnixMilli(1508916139000).UTC(),
		},
		"web_sdk_as_in_its_table": {
			ID: "c0ffee0123456789abcdef==", UserID: "4567890123456789", Numbers: one, FirstName: "Asha",
			AvatarURL: "https://images.example/asha.jpg", Gender: "NotSet", UpdatedAt: time.UnixMilli(1608916139000).UTC(),
		},
		"number_only":                {Numbers: one},
		"null_is_absent":             {Numbers: one},
		"several_numbers":            {Numbers: []phone.Number{number(t, "919999999999"), one[0], number(t, "46701740698"), number(t, "46701740697")}, FirstName: "Mira"},
		"wrong_numbers_are_left_out": {Numbers: one},
		"wrong_types_are_absent":     {Numbers: one, AboutMe: "12.5", JobTitle: "true"},
		"both_identities":            {Numbers: one, Email: "new@example.com", TwitterID: "mira", FacebookID: "1234567890"},
		"inactive_boolean":           {Numbers: one, Inactive: true},
		"inactive_string":            {Numbers: one, Inactive: true},
		"hostile_text":               {Numbers: one, FirstName: "evil[31m <b>", LastName: `&"'`, AboutMe: "two   lines more tabs", CompanyName: "Café", Badges: []string{"ok"}},
		"indic_joiners_stay":         {Numbers: one, FirstName: "ක්\u200dෂ", LastName: "می\u200cخواهم"},
		"long_text_is_cut": {
			Numbers: one, FirstName: strings.Repeat("x", 100), LastName: strings.Repeat("é", 100), AboutMe: strings.Repeat("a", 500),
			JobTitle: strings.Repeat("j", 100), CompanyName: strings.Repeat("c", 100),
		},
		"long_ids_and_addresses_are_dropped": {Numbers: one, UserID: strings.Repeat("u", 128), TwitterID: "ok"},
		"odd_addresses":                      {Numbers: one, Addresses: []Address{{City: "Lund"}, {CountryCode: "DK"}, {Zipcode: "11151"}}},
		"odd_times":                          {Numbers: one, UpdatedAt: time.UnixMilli(1408916139000).UTC()},
	}
	for name, raw := range fixtures(t, "profiles") {
		expected, ok := want[name]
		delete(want, name)
		t.Run(name, func(t *testing.T) {
			got, err := DecodeProfile(raw)
			if err != nil {
				t.Errorf("DecodeProfile(%s) failed: %v", name, err)
				return
			}
			if name == "many_items" {
				if len(got.Numbers) != maxItems || len(got.Badges) != maxItems || len(got.Addresses) != maxItems {
					t.Errorf("DecodeProfile(%s) has %d numbers, %d badges, %d addresses, want %d of each", name, len(got.Numbers), len(got.Badges), len(got.Addresses), maxItems)
				}
				return
			}
			if !ok {
				t.Errorf("%s has no expectation", name)
			} else if !reflect.DeepEqual(got, expected) {
				t.Errorf("%s:\n got %+v\nwant %+v", name, got, expected)
			}
		})
	}
	for name := range want {
		t.Errorf("%s.json is missing", name)
	}
}

func TestDecodeProfileRefuses(t *testing.T) {
	for name, raw := range fixtures(t, "refused") {
		t.Run(name, func(t *testing.T) {
			if p, err := DecodeProfile(raw); !errors.Is(err, ErrProfile) || !reflect.DeepEqual(p, Profile{}) {
				t.Errorf("DecodeProfile(%s) = %v, %v, want %v", name, p.Numbers, err, ErrProfile)
			}
		})
	}
}

func TestInvariant3_NumbersCompareWhole(t *testing.T) {
	p, err := DecodeProfile([]byte(`{"phoneNumbers":[46701740605,"919999999999"]}`))
	if err != nil {
		t.Fatal(err)
	}
	for digits, want := range map[string]bool{
		"46701740605": true, "919999999999": true, "46701740604": false, "9999999999": false, "701740605": false, "1701740605": false, "467017406050": false,
	} {
		t.Run(digits, func(t *testing.T) {
			if got := p.Has(number(t, digits)); got != want {
				t.Errorf("Has(%s) = %v, want %v", digits, got, want)
			}
		})
	}
	if p.Has(phone.Number{}) || (Profile{Numbers: []phone.Number{{}}}).Has(phone.Number{}) {
		t.Error("a profile has the zero Number")
	}
}

// Spellings of one line are one number, today's.
func TestDecodedNumbersAreLines(t *testing.T) {
	p, err := DecodeProfile([]byte(`{"phoneNumbers":["5215512345678",525512345678]}`))
	if err != nil || len(p.Numbers) != 1 || p.Numbers[0].Digits() != "525512345678" {
		t.Errorf("DecodeProfile() has %d numbers, %v; want +525512345678 alone", len(p.Numbers), err)
	}
	p, err = DecodeUserinfo([]byte(`{"sub":"1","phone_number":"541123456789"}`))
	if err != nil || len(p.Numbers) != 1 || p.Numbers[0].Digits() != "5491123456789" {
		t.Errorf("DecodeUserinfo() = %v, %v; want +5491123456789", p.Numbers, err)
	}
}

// A number that no plan can have counts as absent, and so does not make several of one.
// A landline counts, as it does when it is typed, and so does a number of a newer plan.
func TestNumbersThatCannotBeCountAsAbsent(t *testing.T) {
	p, err := DecodeProfile([]byte(`{"phoneNumbers":[1234567,"9999999999",46701740605,999999999999999,18005550123]}`))
	if err != nil || len(p.Numbers) != 1 || p.Numbers[0].Digits() != "46701740605" {
		t.Errorf("DecodeProfile() has %d numbers, %v; want +46701740605 alone", len(p.Numbers), err)
	}
	for digits, want := range map[string]error{
		"1234567": ErrNoNumber, "999999999999999": ErrNoNumber, "9999999999": ErrNoNumber, "18005550123": ErrNoNumber,
		"46812345678": nil, "16245550123": nil,
	} {
		if _, err := DecodeProfile([]byte(`{"phoneNumbers":[` + digits + `]}`)); (err == nil) != (want == nil) {
			t.Errorf("DecodeProfile() of %s: %v, want %v", digits, err, want)
		}
		p, err := DecodeUserinfo([]byte(`{"sub":"1","phone_number":"` + digits + `","phone_number_verified":true}`))
		if !errors.Is(err, want) || want == nil && p.Numbers[0].Digits() != digits {
			t.Errorf("DecodeUserinfo() of %s: %v, want %v", digits, err, want)
		}
	}
}

// What is decoded is bounded and clean, and decoding it again changes nothing.
func FuzzDecodeProfile(f *testing.F) {
	for _, folder := range []string{"profiles", "refused"} {
		for _, raw := range fixtures(f, folder) {
			f.Add(raw)
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, err := DecodeProfile(raw)
		if err != nil {
			if !errors.Is(err, ErrProfile) || !reflect.DeepEqual(p, Profile{}) {
				t.Fatalf("DecodeProfile() = %+v, %v, want no profile with %v", p, err, ErrProfile)
			}
			return
		}
		if len(p.Numbers) == 0 || len(p.Numbers) > maxItems || len(p.Badges) > maxItems || len(p.Addresses) > maxItems {
			t.Fatalf("DecodeProfile() has %d numbers, %d badges, %d addresses, want at least one number and at most %d of each", len(p.Numbers), len(p.Badges), len(p.Addresses), maxItems)
		}
		for i, n := range p.Numbers {
			if again, err := phone.FromDigits(n.Digits()); err != nil || again != n {
				t.Fatalf("DecodeProfile() has the number %q, want E.164", n.Digits())
			}
			for _, other := range p.Numbers[:i] {
				if other == n {
					t.Fatalf("DecodeProfile() has the number %q twice", n.Digits())
				}
			}
		}
		checkText(t, maxName, p.FirstName, p.LastName, p.CompanyName, p.JobTitle)
		checkText(t, maxText, p.AboutMe)
		checkText(t, maxShort, append(p.Badges, p.Gender)...)
		checkText(t, maxID, p.ID, p.UserID, p.FacebookID, p.TwitterID)
		checkText(t, maxURL, p.URL, p.AvatarURL)
		checkText(t, maxEmail, p.Email)
		for _, a := range p.Addresses {
			checkText(t, maxName, a.Street, a.City)
			checkText(t, maxShort, a.Zipcode)
			if country(a.CountryCode) != a.CountryCode {
				t.Fatalf("DecodeProfile() has the country %q, want ISO 3166-1 alpha-2", a.CountryCode)
			}
		}
		again, err := DecodeProfile(encodeProfile(t, p))
		if err != nil || !reflect.DeepEqual(again, p) {
			t.Fatalf("decoded again, %v:\n got %+v\nwant %+v", err, again, p)
		}
	})
}

func checkText(t *testing.T, max int, all ...string) {
	t.Helper()
	for _, s := range all {
		if utf8.RuneCountInString(s) > max || !utf8.ValidString(s) || !norm.NFC.IsNormalString(s) || strings.TrimSpace(s) != s {
			t.Fatalf("%+.200q: %d runes, not valid, not NFC or not trimmed", s, utf8.RuneCountInString(s))
		}
		for _, r := range s {
			if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r) || r == utf8.RuneError {
				t.Fatalf("%+.200q has %U", s, r)
			}
		}
	}
}

// encodeProfile writes p in one of the shapes that DecodeProfile reads.
func encodeProfile(t *testing.T, p Profile) []byte {
	t.Helper()
	var numbers []string
	for _, n := range p.Numbers {
		numbers = append(numbers, n.E164())
	}
	var addresses []map[string]string
	for _, a := range p.Addresses {
		addresses = append(addresses, map[string]string{"street": a.Street, "city": a.City, "zipcode": a.Zipcode, "countryCode": a.CountryCode})
	}
	fields := map[string]any{
		"id": p.ID, "userId": p.UserID, "phoneNumbers": numbers, "name": map[string]string{"first": p.FirstName, "last": p.LastName},
		"avatarUrl": p.AvatarURL, "gender": p.Gender, "companyName": p.CompanyName, "jobTitle": p.JobTitle, "aboutMe": p.AboutMe,
		"isActive": !p.Inactive, "badges": p.Badges, "addresses": addresses,
		"onlineIdentities": map[string]string{"email": p.Email, "url": p.URL, "facebookId": p.FacebookID, "twitterId": p.TwitterID},
	}
	if !p.UpdatedAt.IsZero() {
		fields["history"] = map[string]any{"name": map[string]any{"updateTime": p.UpdatedAt.UnixMilli()}}
	}
	raw, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
