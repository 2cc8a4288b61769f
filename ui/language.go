package ui

import (
	"cmp"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"sync"

	"golang.org/x/text/language"
)

//go:embed templates
var templateFiles embed.FS

// languages are all that the pages speak.
type languages struct {
	all     []*spoken // the source language first
	matcher language.Matcher
}

// spoken is one language: its texts, and the templates with the texts in them.
type spoken struct {
	Tag   string // BCP 47, for the lang attribute
	Dir   string // ltr or rtl
	tag   language.Tag
	texts catalogue

	zero rune // of the digits that numbers are written with

	// others are the same language with other digits, by numbering system.
	others map[string]*spoken

	templates sources
	// pages are written at first use: there are many languages, and one server
	// meets few of them.
	pages func() (map[string]*template.Template, error)

	countries func() *countryList // made at first use as well
}

// The pages, by the names of their templates.
var pageNames = []string{"signin", "waiting", "onward", "ended", "consent", "account", "accountstep", "formpost", "signout", "signedout", "error"}

func loadLanguages(overrides fs.FS) (*languages, error) {
	files, err := fs.Glob(localeFiles, "locales/*.json")
	if err == nil && overrides != nil {
		var more []string
		more, err = fs.Glob(overrides, "locales/*.json")
		files = slices.Compact(slices.Sorted(slices.Values(append(files, more...))))
	}
	if err != nil {
		return nil, fmt.Errorf("ui: %w", err)
	}
	texts := sources{builtin: localeFiles, overrides: overrides}
	templates := sources{builtin: templateFiles, overrides: overrides}
	l := &languages{}
	for _, file := range files {
		tag, err := language.Parse(strings.TrimSuffix(strings.TrimPrefix(file, "locales/"), ".json"))
		if err != nil {
			return nil, fmt.Errorf("ui: %s: %w", file, err)
		}
		own, err := texts.readCatalogue(file, tag)
		if err != nil {
			return nil, fmt.Errorf("ui: %s: %w", file, err)
		}
		l.all = append(l.all, newSpoken(tag, own, templates))
	}
	first := slices.IndexFunc(l.all, func(s *spoken) bool { return s.Tag == source })
	if first < 0 {
		return nil, fmt.Errorf("ui: there are no texts in %q", source)
	}
	l.all[0], l.all[first] = l.all[first], l.all[0]
	var tags []language.Tag
	for _, s := range l.all {
		if err := s.texts.check(s.tag, l.all[0].texts); err != nil {
			return nil, fmt.Errorf("ui: locales/%s.json: %w", s.Tag, err)
		}
		tags = append(tags, s.tag)
	}
	l.matcher = language.NewMatcher(tags)
	// The source language has every key that another has, so that a template
	// that is written well in it is written well in all.
	if _, err := l.all[0].pages(); err != nil {
		return nil, err
	}
	return l, nil
}

func newSpoken(tag language.Tag, texts catalogue, templates sources) *spoken {
	s := &spoken{Tag: tag.String(), Dir: direction(tag), tag: tag, texts: texts, templates: templates, others: map[string]*spoken{}}
	s.zero = zeros[numbering(tag, nil)]
	s.pages = sync.OnceValues(func() (map[string]*template.Template, error) { return write(s) })
	for system, zero := range zeros {
		other := *s
		other.zero = zero
		other.pages = sync.OnceValues(func() (map[string]*template.Template, error) { return write(&other) })
		s.others[system] = &other
	}
	return s
}

// in is the language with the digits of a numbering system.
func (s *spoken) in(system string) *spoken {
	if other := s.others[system]; other != nil && other.zero != s.zero {
		return other
	}
	return s
}

// direction is the direction of a language's writing.
func direction(tag language.Tag) string {
	switch script, _ := tag.Script(); script.String() {
	case "Arab", "Hebr", "Thaa", "Syrc", "Nkoo":
		return "rtl"
	}
	return "ltr"
}

// maxPreference is how much of a list of languages is looked at, in bytes.
const maxPreference = 256

// accepted reads an Accept-Language (RFC 9110 §12.5.4), best first.
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

// piecewise reads an Accept-Language with something unknown in it, which the
// library refuses whole.
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

func (l *languages) match(wanted []language.Tag) *spoken {
	if len(wanted) == 0 {
		return nil
	}
	// Less than high confidence is another language that its speakers may know.
	if _, i, confidence := l.matcher.Match(wanted...); confidence >= language.High {
		return l.all[i]
	}
	return nil
}

// write makes the templates of one language: first the texts take their places
// in them, then they are parsed, so that showing a page looks nothing up.
func write(s *spoken) (map[string]*template.Template, error) {
	layout, err := s.localised("layout")
	if err != nil {
		return nil, err
	}
	funcs := template.FuncMap{
		"category": func(n int) string { return category(s.tag, n) },
		"digits":   func(v any) string { return native(fmt.Sprint(v), s.zero) },
		"zero":     func() string { return string(s.zero) },
	}
	pages := map[string]*template.Template{}
	for _, name := range pageNames {
		body, err := s.localised(name)
		if err != nil {
			return nil, err
		}
		t, err := template.New(name).Funcs(funcs).Option("missingkey=error").Parse(layout + body)
		if err != nil {
			return nil, fmt.Errorf("ui: %s in %s: %w", name, s.Tag, err)
		}
		pages[name] = t
	}
	return pages, nil
}

// A template names a text in three ways:
//
//	[[signin.title]]              in a page's body
//	[[=signin.title]]             without markup, for titles and attributes
//	[[error.*.title .Error]]      the text whose key has the value of .Error for *
var mention = regexp.MustCompile(`\[\[(=?)([a-z_*.]+)(?: (\.[A-Za-z.]+))?\]\]`)

func (s *spoken) localised(name string) (string, error) {
	raw, err := s.templates.read("templates/" + name + ".html")
	if err != nil {
		return "", fmt.Errorf("ui: %w", err)
	}
	var failed error
	filled := mention.ReplaceAllStringFunc(string(raw), func(m string) string {
		part := mention.FindStringSubmatch(m)
		plain, key, field := part[1] == "=", part[2], part[3]
		var out string
		var err error
		if strings.Contains(key, "*") {
			out, err = s.texts.oneOf(key, "$"+field, plain)
		} else {
			out, err = s.texts.render(key, plain)
		}
		if err != nil {
			failed = fmt.Errorf("ui: %s in %s: %w", name, s.Tag, err)
		}
		return out
	})
	return filled, failed
}

// oneOf writes the texts whose keys match pattern, each under the condition that
// field has the value that stands for the star.
func (c catalogue) oneOf(pattern, field string, plain bool) (string, error) {
	var b strings.Builder
	join := "if"
	for _, name := range c.stars(pattern) {
		filled, err := c.render(strings.Replace(pattern, "*", name, 1), plain)
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

// stars are what stands for the star in the keys that match pattern, sorted.
func (c catalogue) stars(pattern string) []string {
	before, after, _ := strings.Cut(pattern, "*")
	var found []string
	for key := range c {
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
