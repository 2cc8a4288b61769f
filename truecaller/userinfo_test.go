// SPDX-License-Identifier: Apache-2.0

package truecaller

import (
	"encoding/json"
	"errors"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"calleridp/truecaller/phone"
)

func TestDecodeUserinfo(t *testing.T) {
	const sub = "90071992547409931"
	one := []phone.Number{number(t, typed)}
	want := map[string]Profile{
		"as_documented": {
			OAuthSub: sub, Numbers: one, FirstName: "Anna", LastName: "Lind", Email: "anna.lind@example.com",
			AvatarURL: "https://images.example/anna.png", Gender: "female", Addresses: []Address{{City: "Stockholm", Zipcode: "11151"}},
		},
		"phone_scope_only":               {OAuthSub: sub, Numbers: one},
		"number_with_plus":               {OAuthSub: sub, Numbers: one},
		"sub_as_number_keeps_its_digits": {OAuthSub: "98765432109876543", Numbers: one},
		"sub_that_is_no_number":          {OAuthSub: "8f1f8a4e-7f9d-4bb5", Numbers: one},
		"null_is_absent":                 {OAuthSub: sub, Numbers: one},
		"wrong_types_are_absent":         {OAuthSub: sub, Numbers: one},
		"unknown_claims_are_passed_over": {OAuthSub: sub, Numbers: one},
		"hostile_text":                   {OAuthSub: sub, Numbers: one, FirstName: "evil[31m <b>", LastName: `&"'`},
		"whole_address":                  {OAuthSub: sub, Numbers: one, Addresses: []Address{{Street: "Drottninggatan 1", City: "Stockholm", Zipcode: "111", CountryCode: "SE"}}},
		"long_text_is_cut_and_long_addresses_dropped": {
			OAuthSub: sub, Numbers: one, FirstName: strings.Repeat("x", maxName), LastName: strings.Repeat("é", maxName), Gender: strings.Repeat("g", maxShort),
		},
	}
	for name, raw := range fixtures(t, "userinfo") {
		expected, ok := want[name]
		delete(want, name)
		t.Run(name, func(t *testing.T) {
			got, err := DecodeUserinfo(raw)
			if err != nil || !ok || !reflect.DeepEqual(got, expected) {
				t.Errorf("%s: %v, expected %v:\n got %+v\nwant %+v", name, err, ok, got, expected)
			}
		})
	}
	for name := range want {
		t.Errorf("%s.json is missing", name)
	}
}

// The first word of a file's name is the error.
func TestDecodeUserinfoRefuses(t *testing.T) {
	errs := map[string]error{"profile": ErrProfile, "no_number": ErrNoNumber, "unverified": ErrUnverified}
	for name, raw := range fixtures(t, "userinfo_refused") {
		t.Run(name, func(t *testing.T) {
			kind, _, _ := strings.Cut(name, ".")
			want, ok := errs[kind]
			if p, err := DecodeUserinfo(raw); !ok || !errors.Is(err, want) || !reflect.DeepEqual(p, Profile{}) {
				t.Errorf("DecodeUserinfo(%s) = %v, %v, want %v", name, p.Numbers, err, want)
			}
		})
	}
}

var floatish = regexp.MustCompile(`^-?[0-9]*[.][0-9]|^-?[0-9]+[eE]`)

// A decoded profile has one verified number, is bounded and clean, and decodes again to
// the same. Its sub is never rounded.
func FuzzDecodeUserinfo(f *testing.F) {
	for _, folder := range []string{"userinfo", "userinfo_refused", "profiles"} {
		for _, raw := range fixtures(f, folder) {
			f.Add(raw)
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, err := DecodeUserinfo(raw)
		if err != nil {
			if !errors.Is(err, ErrProfile) && !errors.Is(err, ErrNoNumber) && !errors.Is(err, ErrUnverified) || !reflect.DeepEqual(p, Profile{}) {
				t.Fatalf("DecodeUserinfo() = %+v, %v, want no profile with a documented error", p, err)
			}
			return
		}
		var said map[string]json.RawMessage
		if json.Unmarshal(raw, &said) != nil {
			t.Fatal("decoded, and not a JSON object")
		}
		if len(p.Numbers) != 1 || p.OAuthSub == "" || p.ID != "" || p.UserID != "" || p.Inactive {
			t.Fatalf("DecodeUserinfo() = %+v, want one number and a sub, and no ids of profiles", p)
		}
		// Names match whatever their case, the last one counts, and anything may be
		// escaped; these two look at plain documents only.
		lower := strings.ToLower(string(raw))
		if plain := !strings.Contains(lower, `\`) && strings.Count(lower, `ub"`) == 1; plain {
			if isASCII(p.OAuthSub) && !strings.Contains(string(raw), p.OAuthSub) {
				t.Fatalf("sub %q does not stand in %q", p.OAuthSub, raw)
			}
			if floatish.Match(said["sub"]) {
				t.Fatalf("sub %s went through a float", said["sub"])
			}
		}
		if v := string(said["phone_number_verified"]); strings.Count(lower, "verified") == 1 && v != "" && v != "null" && v != "true" && v != `"true"` {
			t.Fatalf("accepted phone_number_verified %s, want only true", v)
		}
		if n := p.Numbers[0]; len(n.Digits()) < 7 || len(n.Digits()) > 15 || strings.Trim(n.Digits(), "0123456789") != "" {
			t.Fatalf("DecodeUserinfo() has the number %q, want 7 to 15 digits", n.Digits())
		}
		checkText(t, maxName, p.FirstName, p.LastName)
		checkText(t, maxShort, p.Gender)
		checkText(t, maxID, p.OAuthSub)
		checkText(t, maxURL, p.AvatarURL)
		checkText(t, maxEmail, p.Email)
		fields := map[string]any{
			"sub": p.OAuthSub, "phone_number": p.Numbers[0].Digits(), "phone_number_verified": true, "given_name": p.FirstName,
			"family_name": p.LastName, "email": p.Email, "picture": p.AvatarURL, "gender": p.Gender,
		}
		for _, a := range p.Addresses {
			checkText(t, maxName, a.Street, a.City)
			fields["address"] = map[string]string{"street_address": a.Street, "locality": a.City, "postal_code": a.Zipcode, "country": a.CountryCode}
		}
		again, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		if q, err := DecodeUserinfo(again); err != nil || !reflect.DeepEqual(q, p) {
			t.Fatalf("decoded again, %v:\n got %+v\nwant %+v", err, q, p)
		}
	})
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > '~' })
}
