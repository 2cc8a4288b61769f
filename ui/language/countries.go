// SPDX-License-Identifier: Apache-2.0

package language

import (
	"golang.org/x/text/language"
	"golang.org/x/text/language/display"
)

// renamed lists the countries that were renamed after the data of x/text was made
// (CLDR 32). A test reports the entries that are no longer needed.
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

// Country returns the name of a country (ISO 3166-1 alpha-2) in the language, in
// English if the language has none, and the region itself if it is no country.
func (l *Language) Country(region string) string {
	base, _ := l.tag.Base()
	if name := renamed[region][base.String()]; name != "" {
		return name
	}
	parsed, err := language.ParseRegion(region)
	if err != nil {
		return region
	}
	if names := display.Regions(l.tag); names != nil {
		if name := names.Name(parsed); name != "" {
			return name
		}
	}
	return display.English.Regions().Name(parsed)
}
