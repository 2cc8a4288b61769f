// SPDX-License-Identifier: Apache-2.0

// Package language holds the machinery of the pages' languages: the catalogues of
// texts with an operator's texts over them, the choice of a language for a request,
// plural forms, digits, the direction of writing and the names of countries. It
// knows no page: it fills texts into whatever template it gets.
package language

import (
	"fmt"
	"html/template"
	"io/fs"
	"slices"
	"strings"

	"golang.org/x/text/collate"
	"golang.org/x/text/language"
)

// Set holds the languages of the pages. It is safe for concurrent use.
type Set struct {
	all     []*Language // the source language first
	matcher language.Matcher
}

// Language is one language, with one kind of digits.
type Language struct {
	Tag string // BCP 47, for the lang attribute
	Dir string // ltr or rtl

	tag      language.Tag
	texts    catalogue
	zero     rune                 // of the digits in which numbers are written
	variants map[string]*Language // the same language by numbering system
}

// Load reads and checks the catalogues in the folder locales of builtin, with those
// of overrides, which may be nil, over them.
func Load(builtin, overrides fs.FS) (*Set, error) {
	files, err := fs.Glob(builtin, "locales/*.json")
	if err == nil && overrides != nil {
		var more []string
		more, err = fs.Glob(overrides, "locales/*.json")
		files = slices.Compact(slices.Sorted(slices.Values(append(files, more...))))
	}
	if err != nil {
		return nil, err
	}
	s := &Set{}
	for _, file := range files {
		tag, err := language.Parse(strings.TrimSuffix(strings.TrimPrefix(file, "locales/"), ".json"))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		texts, err := readCatalogue(builtin, overrides, file, tag)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		s.all = append(s.all, newLanguage(tag, texts))
	}
	first := slices.IndexFunc(s.all, func(l *Language) bool { return l.Tag == source })
	if first < 0 {
		return nil, fmt.Errorf("there are no texts in %q", source)
	}
	s.all[0], s.all[first] = s.all[first], s.all[0]
	var tags []language.Tag
	for _, l := range s.all {
		if err := l.texts.check(l.tag, s.all[0].texts); err != nil {
			return nil, fmt.Errorf("locales/%s.json: %w", l.Tag, err)
		}
		tags = append(tags, l.tag)
	}
	s.matcher = language.NewMatcher(tags)
	return s, nil
}

// All returns the languages, the source language first. The slice belongs to the
// caller.
func (s *Set) All() []*Language { return slices.Clone(s.all) }

// Named returns the language with a tag, and nil if there is none.
func (s *Set) Named(tag string) *Language {
	for _, l := range s.all {
		if l.Tag == tag {
			return l
		}
	}
	return nil
}

func newLanguage(tag language.Tag, texts catalogue) *Language {
	l := &Language{
		Tag:      tag.String(),
		Dir:      direction(tag),
		tag:      tag,
		texts:    texts,
		zero:     zeros[numbering(tag, nil)],
		variants: map[string]*Language{},
	}
	for system, zero := range zeros {
		if zero == l.zero {
			continue
		}
		variant := *l
		variant.zero = zero
		l.variants[system] = &variant
	}
	return l
}

// Variants returns the language in every kind of digits, itself included.
func (l *Language) Variants() []*Language {
	all := []*Language{l}
	for _, variant := range l.variants {
		all = append(all, variant)
	}
	return all
}

// with returns the language with the digits of a numbering system.
func (l *Language) with(system string) *Language {
	if variant := l.variants[system]; variant != nil {
		return variant
	}
	return l
}

// Name returns the language's name in itself.
func (l *Language) Name() string { return l.texts["language"]["other"] }

// Collator returns the order in which the language's readers expect a list. It is
// not safe for concurrent use.
func (l *Language) Collator() *collate.Collator { return collate.New(l.tag) }

// direction returns the direction of a language's writing.
func direction(tag language.Tag) string {
	switch script, _ := tag.Script(); script.String() {
	case "Arab", "Hebr", "Thaa", "Syrc", "Nkoo":
		return "rtl"
	}
	return "ltr"
}

// Functions returns what the texts of this language call in a template.
func (l *Language) Functions() template.FuncMap {
	return template.FuncMap{
		"category": func(n int) string { return category(l.tag, n) },
		"digits":   func(v any) string { return native(fmt.Sprint(v), l.zero) },
		"zero":     func() string { return string(l.zero) },
	}
}

// Fill puts the language's texts into a template. The template names a text in
// three ways:
//
//	[[signin.title]]              in a page's body
//	[[=signin.title]]             without markup, for titles and attributes
//	[[error.*.title .Error]]      the text whose key has the value of .Error for *
func (l *Language) Fill(page string) (string, error) {
	var failed error
	filled := mention.ReplaceAllStringFunc(page, func(m string) string {
		part := mention.FindStringSubmatch(m)
		plain, key, field := part[1] == "=", part[2], part[3]
		var out string
		var err error
		if strings.Contains(key, "*") {
			out, err = l.oneOf(key, "$"+field, plain)
		} else {
			out, err = l.texts.render(key, plain)
		}
		if err != nil {
			failed = err
		}
		return out
	})
	return filled, failed
}

// oneOf writes the texts whose keys match pattern, each under the condition that
// field has the value that stands for the star.
func (l *Language) oneOf(pattern, field string, plain bool) (string, error) {
	var b strings.Builder
	join := "if"
	for _, name := range l.Cases(pattern) {
		filled, err := l.texts.render(strings.Replace(pattern, "*", name, 1), plain)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "{{%s eq %s %q}}%s", join, field, name, filled)
		join = "else if"
	}
	if join == "if" {
		return "", fmt.Errorf("there is no text %s", pattern)
	}
	b.WriteString("{{end}}")
	return b.String(), nil
}

// Cases returns what stands for the star in the keys that match pattern, sorted.
func (l *Language) Cases(pattern string) []string {
	before, after, _ := strings.Cut(pattern, "*")
	var found []string
	for key := range l.texts {
		rest, ok := strings.CutPrefix(key, before)
		if !ok {
			continue
		}
		if name, ok := strings.CutSuffix(rest, after); ok && name != "" && !strings.Contains(name, ".") {
			found = append(found, name)
		}
	}
	slices.Sort(found)
	return found
}
