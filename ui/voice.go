package ui

import (
	"context"
	"net/http"
	"strings"

	"golang.org/x/text/language"
)

// voice is the language of one page.
type voice struct {
	*spoken
	demanded string // the language that the client asks for (ui_locales); "" for none of ours
}

// chosenKey is where the language is that the person has just chosen, which the
// browser's cookie does not say yet.
type chosenKey struct{}

// speaking is a request whose answer is in the chosen language, whatever else
// there is.
func speaking(r *http.Request, s *spoken) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), chosenKey{}, s))
}

// in is the language of a page: what the client asks for (ui_locales, OpenID
// Connect Core §3.1.2.1), else what the person has chosen here before, else what
// the browser prefers (Accept-Language), else the source language. Who has been
// spoken to as the client asks, and has chosen another language instead, keeps
// that as long as the client asks for the same.
func (u *UI) in(r *http.Request, uiLocales []string) voice {
	wanted := accepted(r.Header.Get("Accept-Language"))
	locales := parsed(uiLocales)
	demanded := u.languages.match(locales)
	v := voice{spoken: demanded}
	if demanded != nil {
		v.demanded = demanded.Tag
	}
	chosen, instead := u.languages.preference(u.Cookies.Language(r))
	if now, ok := r.Context().Value(chosenKey{}).(*spoken); ok {
		v.spoken = now
	} else if chosen != nil && (demanded == nil || demanded == instead) {
		v.spoken = chosen
	}
	if v.spoken == nil {
		v.spoken = u.languages.match(wanted)
	}
	if v.spoken == nil {
		v.spoken = u.languages.all[0]
	}
	v.spoken = v.spoken.in(numbering(v.spoken.tag, append(locales, wanted...)))
	return v
}

// parsed reads a list of locales. What is no language is left out.
func parsed(locales []string) []language.Tag {
	var tags []language.Tag
	for _, locale := range locales {
		if tag, err := language.Parse(locale); err == nil && len(locale) <= 35 && len(tags) < 16 {
			tags = append(tags, tag)
		}
	}
	return tags
}

// preference reads the language cookie: the language, and after a dot the one
// that it was chosen instead of. Anything else is none.
func (l *languages) preference(cookie string) (chosen, instead *spoken) {
	tag, before, _ := strings.Cut(cookie, ".")
	return l.named(tag), l.named(before)
}

// named is one of our languages, nil for another.
func (l *languages) named(tag string) *spoken {
	for _, s := range l.all {
		if s.Tag == tag {
			return s
		}
	}
	return nil
}

// zeros are the zeros of the numbering systems that our languages use, by their
// names in Unicode's CLDR. The other digits follow their zero.
var zeros = map[string]rune{"latn": '0', "arab": '٠', "arabext": '۰', "beng": '০', "deva": '०'}

// arabDigits are the countries in which Arabic is written with its own digits. In
// the Maghreb, in the Emirates, and where no country is said, it is not (CLDR 48).
const arabDigits = "BH DJ EG ER IL IQ JO KM KW LB MR OM PS QA SA SD SO SS SY TD YE"

// numbering is how somebody who reads a language writes numbers. The first tag of
// theirs that is of this language and says a country decides, or the numbering itself
// (the key nu, RFC 6067 and UTS #35).
func numbering(in language.Tag, wanted []language.Tag) string {
	base, _ := in.Base()
	country := ""
	for _, tag := range wanted {
		if b, _ := tag.Base(); b != base {
			continue
		}
		if system := tag.TypeForKey("nu"); zeros[system] != 0 {
			return system
		}
		if region, confidence := tag.Region(); confidence == language.Exact {
			country = region.String()
			break
		}
	}
	switch code := base.String(); {
	case code == "bn":
		return "beng"
	case code == "mr":
		return "deva"
	case code == "ar" && country != "" && strings.Contains(arabDigits, country):
		return "arab"
	case code == "ur" && country == "IN":
		return "arabext"
	}
	return "latn"
}

// native writes the digits of a text as the page's reader does. Phone numbers
// stay as they are dialled.
func native(text string, zero rune) string {
	if zero == '0' {
		return text
	}
	return strings.Map(func(r rune) rune {
		if '0' <= r && r <= '9' {
			return zero + r - '0'
		}
		return r
	}, text)
}
