// SPDX-License-Identifier: Apache-2.0

package language

import (
	"strings"
	"testing"

	"golang.org/x/text/language"
	"golang.org/x/text/message"
	"golang.org/x/text/number"
)

func TestNumbering(t *testing.T) {
	for _, row := range []struct{ in, wanted, want string }{
		{"en", "en-US", "latn"},
		{"hi", "hi-IN", "latn"},
		{"bn", "bn-IN", "beng"},
		{"bn", "", "beng"},
		{"mr", "en mr-IN", "deva"},
		{"ar", "ar-EG", "arab"},
		{"ar", "en-US ar-SA fr", "arab"},
		{"ar", "ar-MA ar-EG", "latn"}, // the first says it
		{"ar", "ar ar-EG", "arab"},    // the client's ui_locales, and then the browser's languages
		{"ar", "ar-AE", "latn"},
		{"ar", "ar", "latn"},
		{"ar", "", "latn"},
		{"ar", "en-EG", "latn"}, // of another language
		{"ar", "ar-MA-u-nu-arab", "arab"},
		{"bn", "bn-u-nu-latn", "latn"},
		{"bn", "bn-u-nu-roman", "beng"}, // Roman numerals have no zero
		{"ur", "ur-PK", "latn"},
		{"ur", "ur-IN", "arabext"},
	} {
		t.Run(row.in+" for "+row.wanted, func(t *testing.T) {
			if got := numbering(language.MustParse(row.in), parsed(strings.Fields(row.wanted))); got != row.want {
				t.Errorf("got %s, want %s", got, row.want)
			}
		})
	}
}

// numbering agrees with Unicode as far as the library does: it has CLDR 32, and ignores
// most countries.
func TestNumberingIsUnicodes(t *testing.T) {
	for tag := range strings.FieldsSeq("en hi bn te mr ta kn ml pa gu ur sw fr pt es id sv ur-IN ar-DZ ar-EH ar-LY ar-MA ar-TN") {
		in := language.MustParse(tag)
		base, _ := in.Base()
		zero := zeros[numbering(language.Make(base.String()), []language.Tag{in})]
		if want := message.NewPrinter(in).Sprint(number.Decimal(0)); string(zero) != want {
			t.Errorf("%s: got the zero %c, want %s", tag, zero, want)
		}
	}
}
