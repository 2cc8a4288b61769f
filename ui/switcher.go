package ui

import (
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"calleridp/provider"
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
	Form      string // id of the form that the buttons belong to
	Own       bool   // which is not one of the page's, and has Fields
	Fields    [][2]string
	Current   string // how the language of the page calls itself
	Open      bool   // the page refreshes itself, which would close the list
	Languages []ownName
}

// ownName is how a language calls itself.
type ownName struct{ Tag, Direction, Name string }

// names are all languages, script by script.
func (l *languages) names() []ownName {
	var names []ownName
	for _, s := range l.all {
		names = append(names, ownName{s.Tag, s.Dir, s.texts["language"]["other"]})
	}
	order := collate.New(language.Und)
	slices.SortFunc(names, func(a, b ownName) int { return order.CompareString(a.Name, b.Name) })
	return names
}

// askable is a path that a page of ours can be asked for again with.
var askable = regexp.MustCompile(`^(/[A-Za-z0-9_-]+)+(\?[A-Za-z0-9_.~%=&-]*)?$`)

// switcherFor says how a page comes back in another language. The number form
// goes back whole, with what was typed; a sealed request makes its page again; an
// error is a few words; and everything else can be asked for once more.
func (u *UI) switcherFor(r *http.Request, in voice, name string, p *page) *switcher {
	if len(u.names) < 2 || p.Onward != "" && !p.Manual || name == "formpost" {
		return nil
	}
	s := &switcher{Form: "language", Own: true, Current: in.texts["language"]["other"], Open: name == "waiting", Languages: u.names}
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
			s.Form, s.Own = "number", false
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
		return provider.ErrBadRequest
	}
	preference := chosen.Tag
	if instead := h.languages.named(form.Get("from")); instead != nil {
		preference += "." + instead.Tag
	}
	back := form.Get("back")
	if !form.Has("request") && !form.Has("error") && !askable.MatchString(back) {
		return provider.ErrBadRequest
	}
	h.Cookies.SetLanguage(w, preference)
	r = speaking(r, chosen)
	switch {
	case form.Has("request"):
		h.flow.Reopen(w, r, provider.Reopening{
			Request: form.Get("request"), Network: limit.NetworkOf(h.ClientAddr(r)),
			Phone: form.Get("phone"), Region: form.Get("region"), Problem: h.problemIn(form.Get("problem"), form.Get("retry")),
		})
	case form.Has("error"):
		correlation := form.Get("correlation")
		if len(correlation) > 64 || !isBase64URL(correlation) {
			correlation = ""
		}
		h.Error(w, r, provider.ErrorView{Kind: provider.ErrorKind(form.Get("error")), Correlation: correlation})
	default:
		h.seeOther(w, back)
	}
	return nil
}

// problemIn is the problem that a page has shown, nil for none.
func (u *UI) problemIn(kind, retry string) *provider.Problem {
	if _, known := u.languages.all[0].texts["problem."+kind]; !known {
		return nil
	}
	p := &provider.Problem{Kind: provider.ProblemKind(kind)}
	if at, err := strconv.ParseInt(retry, 10, 64); err == nil {
		p.RetryAt = time.Unix(at, 0)
	}
	return p
}
