// SPDX-License-Identifier: Apache-2.0

package language

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/text/language"
)

// Load refuses missing texts and wrong placeholders. This test finds texts that no
// template names.
func TestEveryTextIsUsed(t *testing.T) {
	english := loaded(t).all[0]
	used := map[string]bool{
		"wait.minutes": true, "wait.hours": true, // the placeholder {wait}
		"ago.now": true, "ago.hours": true, "ago.days": true, "ago.months": true, // the placeholder {ago}
		"language": true, // Language.Name
	}
	files, err := filepath.Glob("../templates/*.html")
	if err != nil || len(files) < 8 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found := mention.FindAllStringSubmatch(string(raw), -1)
		if len(found) != strings.Count(string(raw), "[[") {
			t.Errorf("%s: got %d texts, want %d: it names a text in an unknown way", file, len(found), strings.Count(string(raw), "[["))
		}
		for _, m := range found {
			if key := m[2]; strings.Contains(key, "*") {
				for _, star := range english.Cases(key) {
					used[strings.Replace(key, "*", star, 1)] = true
				}
			} else {
				used[key] = true
			}
		}
	}
	for key := range english.texts {
		if !used[key] {
			t.Errorf("%s: got no template that uses it", key)
		}
	}
}

func TestCataloguesThatAreRefused(t *testing.T) {
	english, err := parseCatalogue([]byte(`{"a": "for {client}", "n": {"one": "in {minutes} minute", "other": "in {minutes} minutes"}}`))
	if err != nil {
		t.Fatal(err)
	}
	check := func(tag, raw string) error {
		c, err := parseCatalogue([]byte(raw))
		if err != nil {
			return err
		}
		return c.check(language.MustParse(tag), english)
	}
	for _, row := range []struct{ what, tag, raw, err string }{
		{"a text is missing", "sv", `{"a": "för {client}"}`, "n is missing"},
		{"a text too many", "sv", `{"a": "för {client}", "n": {"one": "{minutes}", "other": "{minutes}"}, "b": "x"}`, "b is in no other language"},
		{"a placeholder is missing", "sv", `{"a": "för", "n": {"one": "{minutes}", "other": "{minutes}"}}`, "a has the placeholders"},
		{"another placeholder", "sv", `{"a": "för {clinet}", "n": {"one": "{minutes}", "other": "{minutes}"}}`, "a has the placeholders"},
		{"a category is missing", "sv", `{"a": "för {client}", "n": "om {minutes} minuter"}`, `plural category "one"`},
		{"a category is missing, as Arabic has six", "ar", `{"a": "{client}", "n": {"one": "{minutes}", "other": "{minutes}"}}`, `plural category`},
		{"a category too many", "id", `{"a": "{client}", "n": {"one": "{minutes}", "other": "{minutes}"}}`, `no plural category "one"`},
		{"the number is missing where it matters", "sv", `{"a": "{client}", "n": {"one": "om en minut", "other": "om minuter"}}`, "n has the placeholders"},
		{"categories that count nothing", "sv", `{"a": {"one": "{client}", "other": "{client}"}, "n": {"one": "{minutes}", "other": "{minutes}"}}`, "counts nothing"},
		{"no text", "sv", `{"a": ""}`, "has no text"},
		{"a template in a text", "sv", `{"a": "{{.Request}}"}`, "templates' own"},
		{"not an object", "sv", `[]`, "cannot unmarshal"},
	} {
		t.Run(row.what, func(t *testing.T) {
			if err := check(row.tag, row.raw); err == nil || !strings.Contains(err.Error(), row.err) {
				t.Errorf("got %v, want %q", err, row.err)
			}
		})
	}
	if err := check("sv", `{"a": "för {client}", "n": {"one": "om en minut", "other": "om {minutes} minuter"}}`); err != nil {
		t.Errorf("a good catalogue: got %v, want nil", err)
	}
	if _, err := english.render("nowhere", false); err == nil {
		t.Error("a text that does not exist: got nil, want an error")
	}
	if _, err := (catalogue{"a": {"other": "{nonsense}"}}).render("a", false); err == nil {
		t.Error("a placeholder that does not exist: got nil, want an error")
	}
}

func TestTextsAreEscapedAndValuesIsolated(t *testing.T) {
	for _, row := range []struct {
		what, text string
		plain      bool
		want       string
	}{
		{"in a body", `<b> & "{client}"`, false, `&lt;b&gt; &amp; &#34;<bdi>{{$.Client.Name}}</bdi>&#34;`},
		{"in a title", "to {client}", true, "to {{$.Client.Name}}"},
	} {
		t.Run(row.what, func(t *testing.T) {
			if got, err := (catalogue{"a": {"other": row.text}}).render("a", row.plain); err != nil || got != row.want {
				t.Errorf("got %s, %v, want %s", got, err, row.want)
			}
		})
	}
}

func TestAnEndingStaysWithItsName(t *testing.T) {
	for raw, want := range map[string]string{
		"{client}-இல் உள்நுழையுங்கள்": "{client}-\u2060இல் உள்நுழையுங்கள்",
		"Truecaller-ൽ തുടരുക":         "Truecaller-\u2060ൽ തുടരുക",
		"i Truecaller-appen":          "i Truecaller-appen",
		"{client}\u2011এ যান":         "{client}\u2011এ যান",
	} {
		quoted, err := json.Marshal(map[string]string{"a": raw})
		if err != nil {
			t.Fatal(err)
		}
		if c, err := parseCatalogue(quoted); err != nil || c["a"]["other"] != want {
			t.Errorf("%s: got %q, %v, want %q", raw, c["a"]["other"], err, want)
		}
	}
}
