// SPDX-License-Identifier: Apache-2.0

package page

import (
	"fmt"
	"html"
	"html/template"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"calleridp/provider/endpoint"
	"calleridp/ui/language"

	"golang.org/x/text/collate"
	xlanguage "golang.org/x/text/language"
)

// switcher is the list of languages at the foot of a page: a form that works without
// a script. The response to it sets a cookie, which is a preference and nothing more,
// and shows the same page again. The form holds what that takes. Pages that lead
// elsewhere by themselves have none.
type switcher struct {
	Own     bool // the buttons belong to a form of their own, which holds Fields
	Fields  [][2]string
	Current string // the name of the page's language, in itself
	Buttons template.HTML
	Open    bool // the page refreshes itself, which would close the list
}

// The forms to which the buttons may belong: that of the number field, and that of
// the list itself.
const numberForm, languageForm = "number", "language"

// languageButtons returns the buttons of a page, by form and by the page's language.
// They are the same for every user.
func languageButtons(languages []*language.Language, base string) map[string]map[string]*block {
	order := collate.New(xlanguage.Und)
	slices.SortFunc(languages, func(a, b *language.Language) int { return order.CompareString(a.Name(), b.Name()) })
	all := map[string]map[string]*block{numberForm: {}, languageForm: {}}
	for form, byPage := range all {
		for _, page := range languages {
			var b strings.Builder
			for _, l := range languages {
				current := ""
				if l == page {
					current = ` aria-current="true"`
				}
				fmt.Fprintf(&b, `<li><button form="%s" formaction="%s%s" name="lang" value="%s" lang="%[4]s" dir="%s"%s>%s</button></li>`+"\n",
					form, html.EscapeString(base), endpoint.PathLanguage, l.Tag, l.Dir, current, html.EscapeString(l.Name()))
			}
			byPage[page.Tag] = newBlock(b.String())
		}
	}
	return all
}

// again says how a page is shown again in another language. The zero value: the
// browser requests the page's address once more.
type again struct {
	never      bool        // the page leads elsewhere by itself
	numberForm bool        // the number form holds the sealed request, and what the user typed
	fields     [][2]string // what the form sends
}

// add adds a field that is not empty.
func (a *again) add(name, value string) {
	if value != "" {
		a.fields = append(a.fields, [2]string{name, value})
	}
}

// withRequest shows a page again with its sealed request. Without one, the page's
// address does.
func withRequest(sealed string) again {
	var a again
	a.add("request", sealed)
	return a
}

// repeatable matches the path and query of a page of ours that a browser may request
// again.
var repeatable = regexp.MustCompile(`^(/|(/[A-Za-z0-9_-]+)+)(\?[A-Za-z0-9_.~%=&-]*)?$`)

// maxRepeatable is the longest path and query that a form names. Ours are short, and a
// form with a longer one would be refused.
const maxRepeatable = 2048

// Repeatable reports whether a browser may be sent to a path, which a form names, to
// request a page again.
func Repeatable(path string) bool {
	return len(path) <= maxRepeatable && repeatable.MatchString(path)
}

// switcher returns the list of languages of a page, nil for none.
func (p *Pages) switcher(r *http.Request, resp *response) *switcher {
	if len(p.buttons[languageForm]) < 2 || resp.again.never {
		return nil
	}
	s := &switcher{
		Own:     true,
		Current: resp.language.Name(),
		Buttons: languagesMark,
		Open:    resp.template == "waiting",
	}
	buttons := p.buttons[languageForm][resp.language.Tag]
	if requested := resp.language.Requested; requested != "" {
		s.Fields = append(s.Fields, [2]string{"from", requested})
	}
	if resp.again.numberForm {
		s.Own, buttons = false, p.buttons[numberForm][resp.language.Tag]
	} else if len(resp.again.fields) == 0 {
		path := strings.TrimPrefix(r.URL.RequestURI(), p.cfg.Base)
		if r.Method != http.MethodGet || !Repeatable(path) {
			return nil
		}
		resp.again.add("back", path)
	}
	s.Fields = append(s.Fields, resp.again.fields...)
	if resp.blocks == nil {
		resp.blocks = blocks{}
	}
	resp.blocks[languagesMark[1]] = buttons
	return s
}
