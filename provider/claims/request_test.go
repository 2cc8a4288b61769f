// SPDX-License-Identifier: Apache-2.0

package claims

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"calleridp/provider/subject"
	"calleridp/truecaller"
	"calleridp/truecaller/phone"
)

func TestParseRequest(t *testing.T) {
	for text, want := range map[string]Request{
		``:   {},
		`{}`: {},
		` {"id_token": null, "userinfo": {}, "other": 1}`:                                            {},
		`{"userinfo":{"name":null,"phone_number":{"essential":true},"http://a/b":null}}`:             {Userinfo: []string{"name", "phone_number"}},
		`{"id_token":{"phone_number":{"value":"+1"},"auth_time":{"essential":true},"name#ja":null}}`: {IDToken: []string{"phone_number"}},
		`{"id_token":{"email":{"values":["a",1,null]}},"userinfo":{"email":{"purpose":"x"}}}`:        {IDToken: []string{"email"}, Userinfo: []string{"email"}},
		`{"id_token":{"sub":{"value":"s"}}}`:                                                         {Sub: "s"},
		`{"userinfo":{"sub":{"values":["s"]}},"id_token":{"sub":{"value":"s"}}}`:                     {Sub: "s"},
		`{"id_token":{"sub":null}}`:                                                                  {},
		`{"id_token":{"acr":{"essential":true,"values":["a","b"]}}}`:                                 {ACR: ACRRequest{Values: []string{"a", "b"}, Demanded: true}},
		`{"id_token":{"acr":{"essential":true,"value":"a"}}}`:                                        {ACR: ACRRequest{Values: []string{"a"}, Demanded: true}},
		`{"id_token":{"acr":{"values":["a"]}},"userinfo":{"acr":{"essential":true,"value":"b"}}}`:    {ACR: ACRRequest{Values: []string{"a"}}},
		`{"id_token":{"acr":{"essential":true,"values":[]}}}`:                                        {},
		`{"id_token":{"acr":{"essential":true,"value":7}}}`:                                          {ACR: ACRRequest{Demanded: true}},
	} {
		if got, err := ParseRequest(text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, %v, want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{
		`null`, `[]`, `"x"`, `1`, `x`, `{`, `{}{}`, `{"id_token":[]}`, `{"userinfo":"name"}`, `{"userinfo":{"name":true}}`,
		`{"id_token":{"name":{"essential":"yes"}}}`, `{"id_token":{"acr":{"values":"a"}}}`,
		`{"id_token":{"sub":{"values":["a","b"]}}}`, `{"id_token":{"sub":{"value":"a"}},"userinfo":{"sub":{"value":"b"}}}`,
	} {
		if got, err := ParseRequest(text); err == nil {
			t.Errorf("%s: got %+v, want an error", text, got)
		}
	}
}

// Each claim has the scope that gives it, and requested by name it comes alone.
func TestClaimsByName(t *testing.T) {
	number, err := phone.FromDigits("46701740605")
	if err != nil {
		t.Fatal(err)
	}
	p := subject.Person{Sub: "s", Number: number, VerifiedAt: time.Unix(9, 0), Profile: truecaller.Profile{
		FirstName: "A", LastName: "B", Email: "a@b.c", AvatarURL: "https://a/", URL: "https://b/", Gender: "male", UpdatedAt: time.Unix(8, 0),
		JobTitle: "J", Addresses: []truecaller.Address{{City: "C"}},
	}}
	members := func(scopes, names []string) []string {
		var o Object
		Add(&o, p, "s", scopes, names)
		return topLevel(t, o.JSON())
	}
	for _, name := range Names {
		if got := members(nil, []string{name}); !slices.Equal(got, []string{name}) {
			t.Errorf("%s by name: got %v, want it alone", name, got)
		}
		scope := ScopeOf(name)
		if got := members([]string{scope}, nil); !slices.Contains(got, name) {
			t.Errorf("%s: got %v with the scope %s, want it among them", name, got, scope)
		}
		if got, want := members([]string{scope}, []string{name}), members([]string{scope}, nil); !slices.Equal(got, want) {
			t.Errorf("%s by name and by scope: got %v, want %v", name, got, want)
		}
	}
	if got := members([]string{Phone}, []string{"name", "nonsense"}); strings.Join(got, " ") != "name phone_number phone_number_verified phone_number_verified_at" {
		t.Errorf("a scope and a name: got %v, want the claims of phone, and name", got)
	}
	if got := members(nil, []string{}); got != nil {
		t.Errorf("nothing: got %v", got)
	}
	for claim, want := range map[string]string{"sub": "", "nonsense": "", "name": Profile, "truecaller": Truecaller} {
		if got := ScopeOf(claim); got != want {
			t.Errorf("scope of %s: got %q, want %q", claim, got, want)
		}
	}
	if got := fmt.Sprint(WithScopesOf([]string{Phone, OpenID}, []string{"name"}, []string{"email", "phone_number"})); got != "[openid profile email phone]" {
		t.Errorf("scopes with those of claims: got %s", got)
	}
}

func FuzzParseRequest(f *testing.F) {
	f.Add(`{"userinfo":{"name":null},"id_token":{"acr":{"essential":true,"values":["a"]},"sub":{"value":"s"}}}`)
	f.Fuzz(func(t *testing.T, text string) {
		r, err := ParseRequest(text)
		for _, name := range append(r.IDToken, r.Userinfo...) {
			if err != nil || !slices.Contains(Names, name) {
				t.Errorf("%q: got %q, %v, want claims that exist", text, name, err)
			}
		}
	})
}

// topLevel returns the names of an object's members, sorted.
func topLevel(t *testing.T, object []byte) []string {
	t.Helper()
	var members map[string]any
	if err := json.Unmarshal(object, &members); err != nil {
		t.Fatal(err)
	}
	var names []string
	for name := range members {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
