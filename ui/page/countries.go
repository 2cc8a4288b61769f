// SPDX-License-Identifier: Apache-2.0

package page

import (
	"html"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"calleridp/ui/language"
)

// Country is a country that has phone numbers.
type Country struct {
	Region string // ISO 3166-1 alpha-2
	Code   int    // calling code; several countries share one
}

// countryList is the list of countries beside the number field, in one language.
type countryList struct {
	text map[string]string // by region: "Sweden +46"
	code map[string]string // by region: "+46"
	all  *block            // an option for every country, in the language's order
}

// option is one country at the top of the list.
type option struct {
	Region, Text string
	Selected     bool
}

// newCountryList sorts all countries as a language's readers expect.
func newCountryList(l *language.Language, countries []Country) *countryList {
	type entry struct{ region, name, code, text string }
	mark := ""
	if l.Dir == "rtl" {
		mark = "\u200e" // without it, the plus would stand behind the code
	}
	var all []entry
	for _, c := range countries {
		name := l.Country(c.Region)
		all = append(all, entry{region: c.Region, name: name, code: "+" + strconv.Itoa(c.Code), text: name + " " + mark + "+" + strconv.Itoa(c.Code)})
	}
	order := l.Collator()
	slices.SortFunc(all, func(a, b entry) int { return order.CompareString(a.name, b.name) })
	list, options := &countryList{text: map[string]string{}, code: map[string]string{}}, strings.Builder{}
	for _, e := range all {
		list.text[e.region], list.code[e.region] = e.text, e.code
		options.WriteString(`<option value="` + e.region + `">` + html.EscapeString(e.text) + "</option>\n")
	}
	list.all = newBlock(options.String())
	return list
}

// top returns the options before all others: the chosen country, unless it is one of
// the client's, and then the client's.
func (l *countryList) top(chosen string, countries []string) []option {
	var top []option
	if l.text[chosen] != "" && !slices.Contains(countries, chosen) {
		top = append(top, option{Region: chosen, Text: l.text[chosen], Selected: true})
	}
	for _, region := range countries {
		if text := l.text[region]; text != "" {
			top = append(top, option{Region: region, Text: text, Selected: region == chosen})
		}
	}
	return top
}

// guess returns the country of the browser's preferred language, "" if it has none:
// India for en-IN, and Sweden, which is likely, for sv. If the client names countries,
// the guess is one of them, because en-US is every browser's default.
func (l *countryList) guess(r *http.Request, countries []string) string {
	for _, found := range language.PreferredRegions(r) {
		if l.text[found] != "" && (len(countries) == 0 || slices.Contains(countries, found)) {
			return found
		}
		if len(countries) == 0 {
			return ""
		}
	}
	for _, region := range countries {
		if l.text[region] != "" {
			return region
		}
	}
	return ""
}

// setCountry fills in the list of countries. If no country is chosen, it guesses one,
// and the form says that it is a guess, so that the user confirms the whole number
// before a request is sent to it.
func (view *signInView) setCountry(r *http.Request, list *countryList, chosen string, countries []string) {
	if view.Guessed = chosen != "" && r.PostFormValue("guessed") == chosen; chosen == "" {
		chosen = list.guess(r, countries)
		view.Guessed = chosen != ""
	}
	view.Region, view.Code, view.Countries, view.List = chosen, list.code[chosen], list.top(chosen, countries), countriesMark
}
