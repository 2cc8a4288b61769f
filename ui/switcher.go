package ui

import (
	"fmt"
	"html"
	"html/template"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"calleridp/provider/authorize"
	"calleridp/provider/endpoint"
	"calleridp/provider/limit"

	"golang.org/x/text/collate"
	"golang.org/x/text/language"
)

// The list of languages at the foot of a page. It is a form that works without a
// script; its answer sets a cookie, which is a preference and nothing more, and
// shows the same page again: what the page needs for that is in the form.

// switcher is that list. It is nil on pages that lead somewhere else by
// themselves.
type switcher struct {
	Own     bool // the buttons' form is not one of the page's, and has Fields
	Fields  [][2]string
	Current string // how the language of the page calls itself
	Buttons template.HTML
	Open    bool // the page refreshes itself, which would close the list
}

// The forms that the buttons may belong to: that of the number field, and that of
// the list itself.
const numberForm, languageForm = "number", "language"

// buttons are those of a page in each language, by form and language: the same for
// everybody.
func (l *languages) buttons(base string) map[string]map[string]template.HTML {
	names := slices.Clone(l.all)
	order := collate.New(language.Und)
	slices.SortFunc(names, func(a, b *spoken) int { return order.CompareString(a.name(), b.name()) })
	all := map[string]map[string]template.HTML{numberForm: {}, languageForm: {}}
	for form, byPage := range all {
		for _, page := range names {
			var b strings.Builder
			for _, s := range names {
				current := ""
				if s == page {
					current = ` aria-current="true"`
				}
				fmt.Fprintf(&b, `<li><button form="%s" formaction="%s%s" name="lang" value="%s" lang="%[4]s" dir="%s"%s>%s</button></li>`+"\n",
					form, html.EscapeString(base), endpoint.PathLanguage, s.Tag, s.Dir, current, html.EscapeString(s.name()))
			}
			byPage[page.Tag] = template.HTML(b.String())
		}
	}
	return all
}

// name is how the language calls itself.
func (s *spoken) name() string { return s.texts["language"]["other"] }

// askable is a path that a page of ours can be asked for again with.
var askable = regexp.MustCompile(`^(/[A-Za-z0-9_-]+)+(\?[A-Za-z0-9_.~%=&-]*)?$`)

// switcherFor says how a page comes back in another language. The number form
// goes back whole, with what was typed; a sealed request makes its page again; an
// error is a few words; and everything else can be asked for once more.
func (u *UI) switcherFor(r *http.Request, in voice, name string, p *page) *switcher {
	if len(u.languages.all) < 2 || p.Onward != "" && !p.Manual || name == "formpost" {
		return nil
	}
	s := &switcher{Own: true, Current: in.name(), Open: name == "waiting", Buttons: u.buttons[languageForm][in.Tag]}
	add := func(name, value string) {
		if value != "" {
			s.Fields = append(s.Fields, [2]string{name, value})
		}
	}
	add("from", in.demanded)
	switch {
	case p.Error != "":
		add("error", p.Error)
		add("correlation", p.Correlation)
	case p.Request != "":
		if name == "signin" && !p.WithoutPush {
			s.Own, s.Buttons = false, u.buttons[numberForm][in.Tag]
			add("problem", p.Problem)
			if !p.retry.IsZero() {
				add("retry", strconv.FormatInt(p.retry.Unix(), 10))
			}
			return s
		}
		add("request", p.Request)
	default:
		path := strings.TrimPrefix(r.URL.RequestURI(), u.base)
		if r.Method != http.MethodGet || !askable.MatchString(path) {
			return nil
		}
		add("back", path)
	}
	return s
}

// language takes the language that a person has chosen.
func (h handlers) language(w http.ResponseWriter, r *http.Request) error {
	form := r.PostForm
	chosen := h.languages.named(form.Get("lang"))
	if chosen == nil {
		return endpoint.ErrBadRequest
	}
	preference := chosen.Tag
	if instead := h.languages.named(form.Get("from")); instead != nil {
		preference += "." + instead.Tag
	}
	back := form.Get("back")
	if !form.Has("request") && !form.Has("error") && !askable.MatchString(back) {
		return endpoint.ErrBadRequest
	}
	h.Cookies.SetLanguage(w, preference)
	r = speaking(r, chosen)
	switch {
	case form.Has("request"):
		h.flow.Reopen(w, r, authorize.Reopening{
			Request: form.Get("request"), Network: limit.NetworkOf(h.ClientAddr(r)),
			Phone: form.Get("phone"), Region: form.Get("region"), Problem: h.problemIn(form.Get("problem"), form.Get("retry")),
		})
	case form.Has("error"):
		correlation := form.Get("correlation")
		if len(correlation) > 64 || !isBase64URL(correlation) {
			correlation = ""
		}
		// What went wrong did so before, and is no failure of this request.
		h.Error(w, r, endpoint.ErrorView{Kind: endpoint.ErrorKind(form.Get("error")), Status: http.StatusOK, Correlation: correlation})
	default:
		h.seeOther(w, back)
	}
	return nil
}

// problemIn is the problem that a page has shown, nil for none.
func (u *UI) problemIn(kind, retry string) *authorize.Problem {
	if _, known := u.languages.all[0].texts["problem."+kind]; !known {
		return nil
	}
	p := &authorize.Problem{Kind: authorize.ProblemKind(kind)}
	if at, err := strconv.ParseInt(retry, 10, 64); err == nil {
		p.RetryAt = time.Unix(at, 0)
	}
	return p
}
