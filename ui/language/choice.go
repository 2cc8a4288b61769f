// SPDX-License-Identifier: Apache-2.0

package language

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/text/language"
)

// Choice is the language of one page.
type Choice struct {
	*Language
	Requested string // the language that the client requests (ui_locales); "" for none of ours
}

type selectedKey struct{}

// WithSelected returns the request with the language that the user has just
// selected, which the browser's cookie does not hold yet. Choose prefers it to all
// other preferences.
func WithSelected(r *http.Request, l *Language) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), selectedKey{}, l))
}

// Choose returns the language of a page: the client's ui_locales (OpenID Connect
// Core §3.1.2.1), else the preference in the language cookie, else the browser's
// Accept-Language, else the source language. A user who replaced the language that
// the client requests keeps the replacement as long as the client requests the same.
func (s *Set) Choose(r *http.Request, cookie string, uiLocales []string) Choice {
	browser := accepted(r.Header.Get("Accept-Language"))
	locales := parsed(uiLocales)
	requested := s.match(locales)
	c := Choice{Language: requested}
	if requested != nil {
		c.Requested = requested.Tag
	}
	preferred, instead := s.preference(cookie)
	if selected, ok := r.Context().Value(selectedKey{}).(*Language); ok {
		c.Language = selected
	} else if preferred != nil && (requested == nil || requested == instead) {
		c.Language = preferred
	}
	if c.Language == nil {
		c.Language = s.match(browser)
	}
	if c.Language == nil {
		c.Language = s.all[0]
	}
	c.Language = c.Language.with(numbering(c.tag, append(locales, browser...)))
	return c
}

// Preference returns the value of the language cookie: the language, and after a
// dot the one that the client requested and the user replaced, which may be nil.
func Preference(preferred, instead *Language) string {
	if instead == nil {
		return preferred.Tag
	}
	return preferred.Tag + "." + instead.Tag
}

// preference parses the language cookie. What is no language of ours becomes nil.
func (s *Set) preference(cookie string) (preferred, instead *Language) {
	tag, before, _ := strings.Cut(cookie, ".")
	return s.Named(tag), s.Named(before)
}

// match returns the language that serves the wanted tags best, and nil if none does.
func (s *Set) match(wanted []language.Tag) *Language {
	if len(wanted) == 0 {
		return nil
	}
	// Less than high confidence is another language that its speakers may know.
	if _, i, confidence := s.matcher.Match(wanted...); confidence >= language.High {
		return s.all[i]
	}
	return nil
}

// PreferredRegions returns the region of each language in the browser's
// Accept-Language, best first: IN for en-IN, and SE, which is likely, for sv.
func PreferredRegions(r *http.Request) []string {
	var regions []string
	for _, tag := range accepted(r.Header.Get("Accept-Language")) {
		region, _ := tag.Region()
		regions = append(regions, region.String())
	}
	return regions
}

// parsed parses a list of locales and leaves out what is no language.
func parsed(locales []string) []language.Tag {
	var tags []language.Tag
	for _, locale := range locales {
		if tag, err := language.Parse(locale); err == nil && len(locale) <= 35 && len(tags) < 16 {
			tags = append(tags, tag)
		}
	}
	return tags
}

// maxPreference limits how much of an Accept-Language is parsed, in bytes.
const maxPreference = 256

// accepted parses an Accept-Language (RFC 9110 §12.5.4), best first.
func accepted(accept string) []language.Tag {
	if len(accept) > maxPreference {
		accept = accept[:strings.LastIndexByte(accept[:maxPreference], ',')+1]
		accept = strings.TrimSuffix(accept, ",")
	}
	tags, _, err := language.ParseAcceptLanguage(accept)
	if err != nil {
		return piecewise(accept)
	}
	return tags
}

// piecewise parses an Accept-Language that the library refuses because one of its
// languages is unknown.
func piecewise(accept string) []language.Tag {
	type preference struct {
		tag    language.Tag
		weight float32
	}
	var found []preference
	for piece := range strings.SplitSeq(accept, ",") {
		if tags, weights, err := language.ParseAcceptLanguage(piece); err == nil && len(tags) == 1 {
			found = append(found, preference{tags[0], weights[0]})
		}
	}
	slices.SortStableFunc(found, func(a, b preference) int { return cmp.Compare(b.weight, a.weight) })
	var tags []language.Tag
	for _, p := range found {
		tags = append(tags, p.tag)
	}
	return tags
}
