// SPDX-License-Identifier: Apache-2.0

package page

import (
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"calleridp/provider/authorize"
	"calleridp/ui/pagetest"
)

// listIn returns the list of countries in a language.
func listIn(t *testing.T, p *Pages, tag string) *countryList {
	t.Helper()
	l := p.cfg.Languages.Named(tag)
	if l == nil {
		t.Fatalf("no language %s", tag)
	}
	return newCountryList(l, everyCountry())
}

// Every language names every country, and lists each once.
func TestEveryCountryHasANameInEveryLanguage(t *testing.T) {
	p := newPages(t)
	english := listIn(t, p, "en")
	for tag := range strings.FieldsSeq("en hi bn te mr ta kn ml pa gu ur ar sw fr pt es id sv") {
		list, same := listIn(t, p, tag), 0
		options := regexp.MustCompile(`<option value="([A-Z]{2})">([^<]+) \x{200e}?\+[0-9]{1,3}</option>\n`).FindAllStringSubmatch(string(list.all.plain), -1)
		var regions []string
		for _, o := range options {
			regions = append(regions, o[1])
			if english.text[o[1]] == list.text[o[1]] {
				same++
			}
		}
		slices.Sort(regions)
		if len(slices.Compact(regions)) != len(everyCountry()) || len(list.text) != len(everyCountry()) || len(options) != len(everyCountry()) {
			t.Errorf("%s: got %d options and %d countries, want %d", tag, len(options), len(list.text), len(everyCountry()))
		}
		if latin := slices.Contains(strings.Fields("en sw fr pt es id sv"), tag); !latin && same > 0 {
			t.Errorf("%s: got %d countries with English names, want 0", tag, same)
		}
	}
}

func TestCountriesAreInTheLanguagesOrder(t *testing.T) {
	p := newPages(t)
	for tag, want := range map[string][]string{
		"en": {"Åland Islands", "Albania", "Zimbabwe"},
		"sv": {"Albanien", "Sverige", "Zimbabwe", "Åland", "Österrike"},
		"es": {"Albania", "España", "Zimbabue"},
		"hi": {"अंगोला", "भारत", "स्वीडन"},
		"ur": {"افغانستان", "پاکستان", "سویڈن", "یونان"},
	} {
		all, at := string(listIn(t, p, tag).all.plain), -1
		for _, name := range want {
			next := strings.Index(all, ">"+name+" ")
			if next <= at {
				t.Errorf("%s: got %s at %d, want it after %d", tag, name, next, at)
			}
			at = next
		}
	}
}

// A code in a line from right to left keeps its plus in front.
func TestCodesInRightToLeftLists(t *testing.T) {
	const want = "السويد \u200e+46"
	if got := listIn(t, newPages(t), "ar").text["SE"]; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestGuess(t *testing.T) {
	list := listIn(t, newPages(t), "en")
	for _, row := range []struct{ accept, countries, want string }{
		{"", "", ""},
		{"en-IN,en;q=0.9", "", "IN"},
		{"sv", "", "SE"},
		{"hi,en-US;q=0.9", "", "IN"},
		{"en-US,en;q=0.9,hi;q=0.8", "", "US"},
		{"zh-Hant-HK", "", "HK"},
		{"es-419", "", ""}, // Latin America is no country
		{"xx", "", ""},
		{"*", "", ""},
		{"en-US,en;q=0.9", "IN SE", "IN"}, // none of them: the first
		{"en-US,sv;q=0.9", "IN SE", "SE"},
		{"", "IN SE", "IN"},
		{"fr", "XX SE", "SE"},
	} {
		r := httptest.NewRequest("GET", "/authorize", nil)
		r.Header.Set("Accept-Language", row.accept)
		if got := list.guess(r, strings.Fields(row.countries)); got != row.want {
			t.Errorf("%q, %q: got %q, want %q", row.accept, row.countries, got, row.want)
		}
	}
}

func TestTheListOfCountries(t *testing.T) {
	p := newPages(t)
	top := regexp.MustCompile(`(?s)<div class="country">.*?<select id="region" name="region"[^>]*>\n(.*?)<option value="AF">`)
	for _, row := range []struct {
		what, accept string
		view         authorize.SignInView
		want         string
		guessed      bool
	}{
		{"nothing is known", "", authorize.SignInView{}, `<option value="" selected>Choose a country</option>` + "\n", false},
		{"the client's", "en-IN", authorize.SignInView{Region: "SE"}, `<option value="SE" selected>Sweden &#43;46</option>` + "\n<hr>\n", false},
		{"guessed", "en-IN", authorize.SignInView{}, `<option value="IN" selected>India &#43;91</option>` + "\n<hr>\n", true},
		{"one of the client's countries", "", authorize.SignInView{Region: "SE", Countries: []string{"IN", "SE"}},
			`<option value="IN">India &#43;91</option>` + "\n" + `<option value="SE" selected>Sweden &#43;46</option>` + "\n<hr>\n", false},
		{"none of the client's countries", "", authorize.SignInView{Region: "NG", Countries: []string{"IN", "SE"}},
			`<option value="NG" selected>Nigeria &#43;234</option>` + "\n" + `<option value="IN">India &#43;91</option>` + "\n" + `<option value="SE">Sweden &#43;46</option>` + "\n<hr>\n", false},
		{"guessed among the client's countries", "en-US", authorize.SignInView{Countries: []string{"IN", "SE"}},
			`<option value="IN" selected>India &#43;91</option>` + "\n" + `<option value="SE">Sweden &#43;46</option>` + "\n<hr>\n", true},
	} {
		row.view.UILocales = []string{"en"}
		html := drawSignIn(p, row.view, [2]string{"Accept-Language", row.accept}).Body.String()
		pagetest.WellFormed(t, row.what, html)
		if got := top.FindStringSubmatch(html); got == nil || got[1] != row.want {
			t.Errorf("%s: %q, want %q", row.what, got[1:], row.want)
		}
		if got := strings.Contains(html, `name="guessed"`); got != row.guessed {
			t.Errorf("%s: got guessed %v, want %v", row.what, got, row.guessed)
		}
		if strings.Count(html, " selected>") != 1 || strings.Count(html, "<option ") < 245 {
			t.Errorf("%s: got %d selected of %d options, want 1 of at least 245", row.what, strings.Count(html, " selected>"), strings.Count(html, "<option "))
		}
	}
}
