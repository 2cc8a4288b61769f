package ui

import (
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"calleridp/provider/authorize"

	"golang.org/x/text/language"
	"golang.org/x/text/language/display"
)

// Every language that the pages speak or will speak names every country, and
// lists each once.
func TestEveryCountryHasANameInEveryLanguage(t *testing.T) {
	english := newCountryList(language.English, everyCountry())
	for _, tag := range strings.Fields("en hi bn te mr ta kn ml pa gu ur ar sw fr pt es id sv") {
		in := language.MustParse(tag)
		list, same := newCountryList(in, everyCountry()), 0
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
			t.Errorf("%s: %d options, %d countries, want %d", tag, len(options), len(list.text), len(everyCountry()))
		}
		if script, _ := in.Script(); script.String() != "Latn" && same > 0 {
			t.Errorf("%s: %d countries have English names", tag, same)
		}
	}
}

func TestCountriesAreInTheLanguagesOrder(t *testing.T) {
	for tag, want := range map[string][]string{
		"en": {"Åland Islands", "Albania", "Zimbabwe"},
		"sv": {"Albanien", "Sverige", "Zimbabwe", "Åland", "Österrike"},
		"es": {"Albania", "España", "Zimbabue"},
		"hi": {"अंगोला", "भारत", "स्वीडन"},
		"ur": {"افغانستان", "پاکستان", "سویڈن", "یونان"},
	} {
		all, at := string(newCountryList(language.MustParse(tag), everyCountry()).all.plain), -1
		for _, name := range want {
			next := strings.Index(all, ">"+name+" ")
			if next <= at {
				t.Errorf("%s: %s is at %d, after what stands at %d", tag, name, next, at)
			}
			at = next
		}
	}
}

// A code in a line from right to left keeps its plus in front.
func TestCodesInRightToLeftLists(t *testing.T) {
	if got := newCountryList(language.Arabic, everyCountry()).text["SE"]; got != "السويد \u200e+46" {
		t.Errorf("%q", got)
	}
}

// The names here are for what the library does not know yet.
func TestRenamedCountriesAreStillNeeded(t *testing.T) {
	for region, old := range map[string]string{"MK": "Macedonia", "SZ": "Swaziland"} {
		if got := display.English.Regions().Name(language.MustParseRegion(region)); got != old {
			t.Errorf("the library calls %s %s: take it out of renamed", region, got)
		}
		if len(renamed[region]) != 18 {
			t.Errorf("%s has %d names", region, len(renamed[region]))
		}
	}
	if len(renamed) != 2 {
		t.Errorf("%d countries", len(renamed))
	}
}

func TestGuess(t *testing.T) {
	list := newCountryList(language.English, everyCountry())
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
			t.Errorf("%q, %q: %q, want %q", row.accept, row.countries, got, row.want)
		}
	}
}

func TestTheListOfCountries(t *testing.T) {
	w := newWorld(t)
	top := regexp.MustCompile(`(?s)<div class="picker"><select id="region" name="region"[^>]*>\n(.*?)<option value="AF">`)
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
		r, answer := httptest.NewRequest("GET", "/authorize", nil), httptest.NewRecorder()
		r.Header.Set("Accept-Language", row.accept)
		row.view.Client, row.view.Request, row.view.UILocales = shop, "sealed", []string{"en"}
		w.ui.SignIn(answer, r, row.view)
		html := answer.Body.String()
		wellFormed(t, row.what, html)
		if got := top.FindStringSubmatch(html); got == nil || got[1] != row.want {
			t.Errorf("%s: %q, want %q", row.what, got[1:], row.want)
		}
		if got := strings.Contains(html, `name="guessed"`); got != row.guessed {
			t.Errorf("%s: guessed is %v", row.what, got)
		}
		if strings.Count(html, " selected>") != 1 || strings.Count(html, "<option ") < 245 {
			t.Errorf("%s: %d are selected of %d", row.what, strings.Count(html, " selected>"), strings.Count(html, "<option "))
		}
	}
}

// A country that the page has guessed stays a guess as long as nobody chooses.
func TestAGuessIsSubmittedAsOne(t *testing.T) {
	w := newWorld(t)
	for i, row := range []struct {
		form    url.Values
		guessed bool
	}{
		{url.Values{"region": {"SE"}}, false},
		{url.Values{"region": {"SE"}, "guessed": {"SE"}}, true},
		{url.Values{"region": {"NO"}, "guessed": {"SE"}}, false},
	} {
		w.do(request("POST", "/signin", row.form))
		if got := w.flow.submitted[i].Guessed; got != row.guessed {
			t.Errorf("%v: guessed is %v", row.form, got)
		}
	}
	// It is asked whether the number is right, and the guess is still one.
	w.flow.refusal = &authorize.Refusal{
		Problem: authorize.Problem{Kind: authorize.PhoneConfirm},
		View:    authorize.SignInView{Client: shop, Request: "sealed", Phone: "+46 70 174 06 05", Region: "SE"},
	}
	answer := w.do(request("POST", "/signin", url.Values{"region": {"SE"}, "guessed": {"SE"}, "phone": {"0701740605"}}))
	wants(t, answer, 200, `role="status">Is this your number? Then continue.`, `value="&#43;46 70 174 06 05"`, `name="guessed" value="SE"`, `<option value="SE" selected>`)
	if strings.Contains(answer.Body.String(), "aria-invalid") {
		t.Error("a question is shown as a mistake")
	}
	// Who has chosen another country has ended the guess.
	w.flow.refusal = &authorize.Refusal{Problem: authorize.Problem{Kind: authorize.PhoneTooShort}, View: authorize.SignInView{Client: shop, Request: "sealed", Region: "NO"}}
	answer = w.do(request("POST", "/signin", url.Values{"region": {"NO"}, "guessed": {"SE"}, "phone": {"070"}}))
	if wants(t, answer, 422, `<option value="NO" selected>`); strings.Contains(answer.Body.String(), `name="guessed"`) {
		t.Error("a country that was chosen is called a guess")
	}
}
