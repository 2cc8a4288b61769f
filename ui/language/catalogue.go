// SPDX-License-Identifier: Apache-2.0

package language

import (
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
)

// source is the language in which texts are written first. Every other catalogue
// has exactly its keys and placeholders.
const source = "en"

// catalogue holds the texts of one language, by key. In its file a text is a string.
// A text that counts something is an object of strings by plural category (Unicode
// CLDR: zero, one, two, few, many, other).
type catalogue map[string]text

// text is a string with placeholders such as {client}, for each plural category. A
// text that counts nothing has only "other".
type text map[string]string

func (t *text) UnmarshalJSON(raw []byte) error {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		*t = text{"other": one}
		return nil
	}
	var forms map[string]string
	if err := json.Unmarshal(raw, &forms); err != nil {
		return err
	}
	*t = forms
	return nil
}

// parseCatalogue parses and checks one file of texts.
func parseCatalogue(raw []byte) (catalogue, error) {
	var c catalogue
	if err := json.Unmarshal(raw, &c); err != nil {
		return nil, err
	}
	for key, t := range c {
		if t["other"] == "" {
			return nil, fmt.Errorf("%s has no text", key)
		}
		for category, s := range t {
			// The texts become parts of templates.
			if strings.Contains(s, "{{") || strings.Contains(s, "}}") || strings.Contains(s, "[[") {
				return nil, fmt.Errorf("%s: doubled brackets are the templates' own", key)
			}
			t[category] = ending.ReplaceAllString(s, "$1-\u2060$2")
		}
	}
	return c, nil
}

// ending matches the hyphen between a name in Latin letters, or a placeholder, and an
// ending in another script, as Tamil and Malayalam write it: {client}-இல். A line must
// not end there, so a word joiner (U+2060) follows the hyphen.
var ending = regexp.MustCompile(`([}A-Za-z])-([^\P{L}\p{Latin}])`)

// check compares a catalogue with that of the source language.
func (c catalogue) check(tag language.Tag, sourceTexts catalogue) error {
	has := categories(tag)
	for key := range sourceTexts {
		if _, ok := c[key]; !ok {
			return fmt.Errorf("%s is missing", key)
		}
	}
	for key, t := range c {
		want, ok := sourceTexts[key]
		if !ok {
			return fmt.Errorf("%s is in no other language", key)
		}
		if counted := counts(want); len(t) > 1 || counted != "" {
			for _, category := range has {
				if counted != "" && t[category] == "" {
					return fmt.Errorf("%s has no text for the plural category %q", key, category)
				}
			}
			if counted == "" {
				return fmt.Errorf("%s has plural categories and counts nothing", key)
			}
		}
		for category, s := range t {
			if !slices.Contains(has, category) {
				return fmt.Errorf("%s: the language has no plural category %q", key, category)
			}
			// "In a minute" needs no number.
			got, wanted := placeholders(s), placeholders(want["other"])
			if category != "other" {
				delete(wanted, counts(want))
				delete(got, counts(want))
			}
			if !maps.Equal(got, wanted) {
				return fmt.Errorf("%s has the placeholders %v, want %v",
					key, slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(wanted)))
			}
		}
	}
	return nil
}

var placeholder = regexp.MustCompile(`\{([^{}]*)\}`)

// placeholders returns the names of a text's placeholders.
func placeholders(s string) map[string]bool {
	found := map[string]bool{}
	for _, m := range placeholder.FindAllStringSubmatch(s, -1) {
		found[m[1]] = true
	}
	return found
}

// counts returns the placeholder by which a text counts, "" for none.
func counts(t text) string {
	for name := range placeholders(t["other"]) {
		if values[name].count != "" {
			return name
		}
	}
	return ""
}

// mention matches the places of a template that name a text, see Language.Fill.
var mention = regexp.MustCompile(`\[\[(=?)([a-z_*.]+)(?: (\.[A-Za-z.]+))?\]\]`)

var categoryNames = map[plural.Form]string{
	plural.Zero:  "zero",
	plural.One:   "one",
	plural.Two:   "two",
	plural.Few:   "few",
	plural.Many:  "many",
	plural.Other: "other",
}

// category returns the plural category of n things.
func category(tag language.Tag, n int) string {
	return categoryNames[plural.Cardinal.MatchPlural(tag, n, 0, 0, 0, 0)]
}

// categories returns the plural categories of a language's whole numbers up to 1000,
// which is more than the pages ever count.
func categories(tag language.Tag) []string {
	var found []string
	for n := range 1000 {
		if c := category(tag, n); !slices.Contains(found, c) {
			found = append(found, c)
		}
	}
	if !slices.Contains(found, "other") {
		found = append(found, "other")
	}
	return found
}

// value says how a placeholder of a text becomes part of a template.
type value struct {
	field  string // an expression of the templates
	markup string // around it in a page's body, with %s for it; "" for nothing
	count  string // the expression to count by; "" when it is no count
}

// values holds all placeholders. Names are isolated, so that a name in another
// direction of writing moves nothing around it.
var values = map[string]value{
	"client":     {field: "$.Client.Name", markup: "<bdi>%s</bdi>"},
	"deployment": {field: "$.Deployment", markup: "<bdi>%s</bdi>"},
	"app":        {field: "$.App", markup: "<bdi>%s</bdi>"},
	"number":     {field: "$.Number", markup: `<bdi class="number" dir="ltr">%s</bdi>`},
	"typed":      {field: `"+00 00 00000-0000"`, markup: `<bdi class="number" dir="ltr">%s</bdi>`}, // room for what the script fills in
	"left":       {field: "digits $.Left", markup: `<span id="left" class="clock" role="timer" data-seconds="{{$.LeftSeconds}}" data-zero="{{zero}}">%s</span>`},
	"again":      {field: "digits $.Again", markup: `<span id="again-in" class="clock" data-seconds="{{$.AgainSeconds}}" data-zero="{{zero}}">%s</span>`},
	"tries":      {field: "digits $.Tries", count: "$.Tries"},
	"minutes":    {field: "digits $.Wait.Minutes", count: "$.Wait.Minutes"},
	"hours":      {field: "digits $.Wait.Hours", count: "$.Wait.Hours"},
	"hours_ago":  {field: "digits $.Hours", count: "$.Hours"},
	"days_ago":   {field: "digits $.Days", count: "$.Days"},
	"months_ago": {field: "digits $.Months", count: "$.Months"},
}

// wait is a placeholder for a text: the time until a user may try again.
const wait = "wait"

// ago is the other one: the time since something happened. A text with it needs a
// template whose data is a moment of the account page.
const ago = "ago"

// render writes a text as a template, without markup if plain, for titles and
// attributes.
func (c catalogue) render(key string, plain bool) (string, error) {
	t, ok := c[key]
	if !ok {
		return "", fmt.Errorf("there is no text %s", key)
	}
	counted := counts(t)
	if counted == "" {
		return c.fill(key, t["other"], plain)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "{{with category %s}}", values[counted].count)
	join := "if"
	for _, category := range slices.Sorted(maps.Keys(t)) {
		if category == "other" {
			continue
		}
		filled, err := c.fill(key, t[category], plain)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "{{%s eq . %q}}%s", join, category, filled)
		join = "else if"
	}
	other, err := c.fill(key, t["other"], plain)
	if err != nil {
		return "", err
	}
	if join == "if" {
		fmt.Fprintf(&b, "%s{{end}}", other)
	} else {
		fmt.Fprintf(&b, "{{else}}%s{{end}}{{end}}", other)
	}
	return b.String(), nil
}

// fill replaces placeholders by the templates' expressions.
func (c catalogue) fill(key, s string, plain bool) (string, error) {
	var failed error
	filled := placeholder.ReplaceAllStringFunc(html.EscapeString(s), func(m string) string {
		name := m[1 : len(m)-1]
		if name == wait {
			minutes, err := c.render("wait.minutes", plain)
			if err != nil {
				failed = err
			}
			hours, err := c.render("wait.hours", plain)
			if err != nil {
				failed = err
			}
			return "{{if $.Wait.Hours}}" + hours + "{{else}}" + minutes + "{{end}}"
		}
		if name == ago {
			var parts [4]string
			for i, key := range []string{"ago.months", "ago.days", "ago.hours", "ago.now"} {
				part, err := c.render(key, plain)
				if err != nil {
					failed = err
				}
				parts[i] = part
			}
			return `<time datetime="{{$.ISO}}">{{if $.Months}}` + parts[0] + "{{else if $.Days}}" + parts[1] +
				"{{else if $.Hours}}" + parts[2] + "{{else}}" + parts[3] + "{{end}}</time>"
		}
		v, ok := values[name]
		if !ok {
			failed = fmt.Errorf("%s: there is no placeholder {%s}", key, name)
			return ""
		}
		field := "{{" + v.field + "}}"
		if plain || v.markup == "" {
			return field
		}
		return strings.Replace(v.markup, "%s", field, 1)
	})
	return filled, failed
}

// readCatalogue reads the texts of a language: the built-in ones, with the
// operator's over them.
func readCatalogue(builtin, overrides fs.FS, path string, tag language.Tag) (catalogue, error) {
	var texts catalogue
	if raw, err := fs.ReadFile(builtin, path); err == nil {
		if texts, err = parseCatalogue(raw); err != nil {
			return nil, err
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if overrides == nil {
		return texts, nil
	}
	raw, err := fs.ReadFile(overrides, path)
	if errors.Is(err, fs.ErrNotExist) {
		return texts, nil
	}
	if err != nil {
		return nil, err
	}
	own, err := parseCatalogue(raw)
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return nil, fmt.Errorf("at byte %d: %w", syntax.Offset, err)
	}
	if err != nil {
		return nil, err
	}
	merged := catalogue{}
	maps.Copy(merged, texts)
	maps.Copy(merged, own)
	if len(texts) == 0 { // a new language, which Load compares with the source language
		return merged, nil
	}
	// Compared with the built-in texts, so that the error is about this file and not
	// about the languages that differ from it.
	for key := range own {
		if _, ok := texts[key]; !ok {
			return nil, fmt.Errorf("there is no text %s", key)
		}
	}
	return merged, merged.check(tag, texts)
}
