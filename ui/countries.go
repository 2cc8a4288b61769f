package ui

import (
	"html"
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/text/collate"
	"golang.org/x/text/language"
	"golang.org/x/text/language/display"
)

// Country is a country that has phone numbers.
type Country struct {
	Region string // ISO 3166-1 alpha-2
	Code   int    // calling code; several countries share one
}

// countryList is the list beside the number field, in one language.
type countryList struct {
	text map[string]string // by region: "Sweden +46"
	all  *block            // an option for each, in the language's order
}

// option is one country at the top of the list.
type option struct {
	Region, Text string
	Selected     bool
}

// renamed are countries whose names have changed since the data of x/text were
// made (CLDR 32). A test says when they are no longer needed.
var renamed = map[string]map[string]string{
	"MK": {
		"en": "North Macedonia", "sv": "Nordmakedonien", "hi": "उत्तरी मकदूनिया", "bn": "উত্তর ম্যাসেডোনিয়া", "te": "ఉత్తర మాసిడోనియా",
		"mr": "उत्तर मॅसेडोनिया", "ta": "வடக்கு மாசிடோனியா", "kn": "ಉತ್ತರ ಮ್ಯಾಸಿಡೋನಿಯಾ", "ml": "നോർത്ത് മാസിഡോണിയ", "pa": "ਉੱਤਰੀ ਮੈਕਡੋਨੀਆ",
		"gu": "ઉત્તર મેસેડોનિયા", "ur": "شمالی مقدونیہ", "ar": "مقدونيا الشمالية", "sw": "Masedonia ya Kaskazini", "fr": "Macédoine du Nord",
		"pt": "Macedônia do Norte", "es": "Macedonia del Norte", "id": "Makedonia Utara",
	},
	"SZ": {
		"en": "Eswatini", "sv": "Eswatini", "hi": "एस्वाटिनी", "bn": "ইসওয়াতিনি", "te": "ఈస్వాటిని", "mr": "इस्वातिनी", "ta": "எஸ்வாட்டீனி",
		"kn": "ಸ್ವಾತಿನಿ", "ml": "എസ്വാറ്റിനി", "pa": "ਇਸਵਾਤੀਨੀ", "gu": "એસ્વાટીની", "ur": "سواتنی", "ar": "إسواتيني", "sw": "Uswatini",
		"fr": "Eswatini", "pt": "Essuatíni", "es": "Esuatini", "id": "eSwatini",
	},
}

// countryName is the name of a country in a language, in English where it is
// not known there.
func countryName(region string, in language.Tag, names display.Namer) string {
	base, _ := in.Base()
	if name := renamed[region][base.String()]; name != "" {
		return name
	}
	parsed, err := language.ParseRegion(region)
	if err != nil {
		return region
	}
	if names != nil {
		if name := names.Name(parsed); name != "" {
			return name
		}
	}
	return display.English.Regions().Name(parsed)
}

// newCountryList sorts all countries as a language's readers expect.
func newCountryList(in language.Tag, countries []Country) *countryList {
	type entry struct{ region, name, text string }
	names, mark := display.Regions(in), ""
	if direction(in) == "rtl" {
		mark = "\u200e" // else the plus would stand behind the code
	}
	var all []entry
	for _, c := range countries {
		name := countryName(c.Region, in, names)
		all = append(all, entry{c.Region, name, name + " " + mark + "+" + strconv.Itoa(c.Code)})
	}
	order := collate.New(in)
	slices.SortFunc(all, func(a, b entry) int { return order.CompareString(a.name, b.name) })
	list, options := &countryList{text: map[string]string{}}, strings.Builder{}
	for _, e := range all {
		list.text[e.region] = e.text
		options.WriteString(`<option value="` + e.region + `">` + html.EscapeString(e.text) + "</option>\n")
	}
	list.all = newBlock(options.String())
	return list
}

// top are the options before all others: the chosen country, if it is none of
// the client's, and then the client's.
func (l *countryList) top(chosen string, countries []string) []option {
	var top []option
	if l.text[chosen] != "" && !slices.Contains(countries, chosen) {
		top = append(top, option{chosen, l.text[chosen], true})
	}
	for _, region := range countries {
		if text := l.text[region]; text != "" {
			top = append(top, option{region, text, region == chosen})
		}
	}
	return top
}

// guess is the country that the browser's preferred language speaks of, "" when
// it speaks of none: that of en-IN is India, that of sv probably Sweden. Where
// the client names countries, it is one of them: en-US is how browsers come.
func (l *countryList) guess(r *http.Request, countries []string) string {
	for _, tag := range accepted(r.Header.Get("Accept-Language")) {
		region, _ := tag.Region()
		if found := region.String(); l.text[found] != "" && (len(countries) == 0 || slices.Contains(countries, found)) {
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

// setCountry fills in the list of countries. What nobody has said is guessed;
// the page remembers that, so that the number is shown before it is asked.
func (p *page) setCountry(r *http.Request, list *countryList, chosen string, countries []string) {
	if p.Guessed = chosen != "" && r.PostFormValue("guessed") == chosen; chosen == "" {
		chosen = list.guess(r, countries)
		p.Guessed = chosen != ""
	}
	p.Region, p.Countries, p.list, p.List = chosen, list.top(chosen, countries), list.all, blockMark
}

// blockMark is where a page's block goes. No value that is shown can have this
// byte: html/template replaces it.
const blockMark template.HTML = "\x00"
