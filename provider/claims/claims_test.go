// SPDX-License-Identifier: Apache-2.0

package claims

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"calleridp/provider/subject"
	"calleridp/truecaller"
	"calleridp/truecaller/phone"
)

func person(t testing.TB, p truecaller.Profile) subject.Person {
	t.Helper()
	n, err := phone.FromDigits("46701740605")
	if err != nil {
		t.Fatal(err)
	}
	return subject.Person{Sub: "own-sub", Number: n, Profile: p, VerifiedAt: time.Unix(1_790_000_000, 0)}
}

func add(p subject.Person, scopes ...string) string {
	var o Object
	Add(&o, p, "seen-sub", scopes, nil)
	return string(o.JSON())
}

func full() truecaller.Profile {
	return truecaller.Profile{
		ID: "id-1", UserID: "17", FirstName: "Asha", LastName: "Rao", Email: "asha@example.com", URL: "http://asha.example", FacebookID: "fb", TwitterID: "tw",
		AvatarURL: "https://img.example/a.png", Gender: "Female", CompanyName: "A&C <Ltd>", JobTitle: "Engineer", AboutMe: "Hello",
		Addresses: []truecaller.Address{{Street: "Kungsgatan 1", City: "Stockholm", Zipcode: "111 43", CountryCode: "se"}, {City: "Pune"}},
		Badges:    []string{"verified", "premium"}, UpdatedAt: time.UnixMilli(1_600_000_000_500),
	}
}

// A native application has a scope when Truecaller has told it something for it.
func TestTold(t *testing.T) {
	number := person(t, truecaller.Profile{}).Number
	for _, row := range []struct {
		what string
		told truecaller.Profile
		want string
	}{
		{"nothing", truecaller.Profile{}, "openid offline_access"},
		{"a number", truecaller.Profile{Numbers: []phone.Number{number}}, "openid phone offline_access"},
		{"a name", truecaller.Profile{LastName: "Rao"}, "openid profile offline_access"},
		{"a picture", truecaller.Profile{AvatarURL: "https://img.example/a.png"}, "openid profile offline_access"},
		{"an e-mail address", truecaller.Profile{Email: "asha@example.com"}, "openid email offline_access"},
		{"an address", truecaller.Profile{Addresses: []truecaller.Address{{City: "Pune"}}}, "openid address offline_access"},
		{"what only other profiles have", truecaller.Profile{UserID: "17", CompanyName: "A&C", URL: "https://asha.example"}, "openid offline_access"},
	} {
		if got := strings.Join(Granted(row.told, Scopes), " "); got != row.want {
			t.Errorf("%s: %s, want %s", row.what, got, row.want)
		}
	}
	if got := Granted(full(), []string{Phone, "cheese"}); len(got) != 0 {
		t.Errorf("more than was asked for: %v", got)
	}
}

func TestAdd(t *testing.T) {
	p := person(t, full())
	for _, row := range []struct{ scopes, want string }{
		{"openid offline_access cheese", `{}`},
		{"profile", `{"name":"Asha Rao","given_name":"Asha","family_name":"Rao","preferred_username":"seen-sub","picture":"https://img.example/a.png",` +
			`"website":"http://asha.example","gender":"female","updated_at":1600000000}`},
		{"email", `{"email":"asha@example.com","email_verified":false}`},
		{"phone", `{"phone_number":"+46701740605","phone_number_verified":true,"phone_number_verified_at":1790000000}`},
		{"address", `{"address":{"formatted":"Kungsgatan 1\n111 43 Stockholm\nSE","street_address":"Kungsgatan 1","locality":"Stockholm","postal_code":"111 43","country":"SE"}}`},
		{"truecaller", `{"truecaller":{"user_id":"17","company_name":"A\u0026C \u003cLtd\u003e","job_title":"Engineer","about_me":"Hello","facebook_id":"fb","twitter_id":"tw","badges":["verified","premium"]}}`},
	} {
		if got := add(p, strings.Fields(row.scopes)...); got != row.want {
			t.Errorf("%s:\ngot  %s\nwant %s", row.scopes, got, row.want)
		}
	}
	var all map[string]any
	if err := json.Unmarshal([]byte(add(p, Scopes...)), &all); err != nil {
		t.Fatal(err)
	}
	if len(all) != len(Names) {
		t.Errorf("Names has %d claims, a full profile gives %d", len(Names), len(all))
	}
	for name := range all {
		if !slices.Contains(Names, name) {
			t.Errorf("%s is not in Names", name)
		}
	}
}

// What a profile says is not believed further than it deserves, and what it
// does not say is left out (OpenID Connect Core §5.3.2).
func TestAddIsCareful(t *testing.T) {
	bare := add(person(t, truecaller.Profile{}), Scopes...)
	if want := `{"name":"Truecaller user","preferred_username":"seen-sub","email_verified":false,` +
		`"phone_number":"+46701740605","phone_number_verified":true,"phone_number_verified_at":1790000000}`; bare != want {
		t.Errorf("a bare profile:\ngot  %s\nwant %s", bare, want)
	}
	if got := add(person(t, truecaller.Profile{}), Profile); strings.Contains(got, "0605") {
		t.Errorf("the number in the profile scope: %s", got)
	}
	if got := add(person(t, truecaller.Profile{FirstName: "Asha"}), Profile); !strings.Contains(got, `"name":"Asha"`) || strings.Contains(got, "family_name") {
		t.Errorf("a first name only: %s", got)
	}
	for name, p := range map[string]truecaller.Profile{
		"picture": {AvatarURL: "http://img.example/a.png"}, "website": {URL: "javascript:alert(1)"}, "gender": {Gender: "NotSet"}, `"email"`: {Email: "not an address"},
		"address": {Addresses: []truecaller.Address{{}}}, "truecaller\"": {}, "updated_at": {},
	} {
		if got := add(person(t, p), Scopes...); strings.Contains(got, name) {
			t.Errorf("%s in %s", name, got)
		}
	}
	for in, want := range map[string]string{"https://u:p@x.example/": "", "https:///x": "", "//x.example/a": "", "data:text/html,x": "", "www.x.example": "", "https://x.example/a b": "https://x.example/a%20b"} {
		if got := webAddress(in, "https"); got != want {
			t.Errorf("webAddress(%q) = %q, want %q", in, got, want)
		}
	}
}

// A number that is not there, or that belongs to another user now, is no claim.
func TestNoClaimAboutANumberThatIsNotTheirs(t *testing.T) {
	none := person(t, truecaller.Profile{})
	none.Number = phone.Number{}
	lost := person(t, truecaller.Profile{})
	lost.NumberLost = true
	for what, p := range map[string]subject.Person{"none": none, "lost": lost} {
		if got := add(p, Phone); got != "{}" {
			t.Errorf("%s: got %s, want {}", what, got)
		}
	}
	if got := add(person(t, truecaller.Profile{ID: "id-1"}), Truecaller); got != `{"truecaller":{"user_id":"id-1"}}` {
		t.Errorf("without a user id: got %s, want the profile's id", got)
	}
}

// What cannot be an address is not passed on as one.
func TestMailAddress(t *testing.T) {
	for in, ok := range map[string]bool{
		"asha@example.com": true, "a@b": true, "a@b@c": true, "åsa@example.com": true,
		"": false, "@": false, "@example.com": false, "asha@": false, "asha": false,
		"a sha@example.com": false, "asha\t@example.com": false, `"asha"@example.com`: false, "<asha@example.com>": false,
		"asha@example.com,b@example.com": false, "asha@example.com;": false, "(asha)@example.com": false, `a\b@example.com`: false, "mailto:asha@example.com": false,
	} {
		if got := mailAddress(in); (got == in && in != "") != ok || !ok && got != "" {
			t.Errorf("%q: got %q, want it taken %v", in, got, ok)
		}
	}
}

// Each character is written as encoding/json writes it, wherever it stands.
func TestStringsAreWrittenAsEncodingJSONDoes(t *testing.T) {
	for r := range rune(0x180) {
		for _, text := range []string{string(r), "plain" + string(r), string(r) + "plain", string([]byte{byte(r)})} {
			want, err := json.Marshal(text)
			if err != nil {
				t.Fatal(err)
			}
			if got := appendString(nil, text); string(got) != string(want) {
				t.Errorf("%q: got %s, want %s", text, got, want)
			}
		}
	}
}

// Whatever the strings are, the object is what encoding/json would make of them.
func FuzzObject(f *testing.F) {
	for _, seed := range []string{"", "plain", `"quoted\`, "<&>", "\u2028", "\xff", "\x00\n", "åäö \U0001f600"} {
		f.Add(seed, seed, int64(len(seed)))
	}
	f.Fuzz(func(t *testing.T, a, b string, n int64) {
		var inner, o Object
		inner.String("b", b)
		o.String("a", a)
		o.Strings("list", []string{a, b})
		o.Object("inner", inner)
		o.Time("t", time.Unix(n, 0))
		o.Bool("yes", true)
		var got map[string]any
		if err := json.Unmarshal(o.JSON(), &got); err != nil {
			t.Fatalf("%s: %v", o.JSON(), err)
		}
		valid := func(s string) string { return strings.ToValidUTF8(s, "\ufffd") }
		if len(a) < 1 || strings.Contains(valid(a), "\ufffd") {
			return // encoding/json replaces each invalid byte on its own
		}
		if got["a"] != a || got["yes"] != true || got["list"].([]any)[0] != a {
			t.Fatalf("%q, %q came back as %v", a, b, got)
		}
	})
}

func BenchmarkAdd(b *testing.B) {
	p := person(b, full())
	for b.Loop() {
		var o Object
		Add(&o, p, "seen-sub", Scopes, nil)
		o.JSON()
	}
}
