package ui

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"calleridp/provider/endpoint"

	"golang.org/x/text/language"
)

// constants are the values of all constants of a type in a file of Go.
func constants(t *testing.T, file, typeName string) []string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	ast.Inspect(parsed, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if name, ok := spec.Type.(*ast.Ident); ok && name.Name == typeName {
			for _, v := range spec.Values {
				s, err := strconv.Unquote(v.(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				found = append(found, s)
			}
		}
		return true
	})
	if len(found) == 0 {
		t.Fatalf("%s has no constants of type %s", file, typeName)
	}
	slices.Sort(found)
	return found
}

func loaded(t *testing.T) *languages {
	t.Helper()
	l, err := loadLanguages(nil)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestEveryProblemAndErrorHasATextAndAStatus(t *testing.T) {
	for _, s := range loaded(t).all {
		if got, want := s.texts.stars("problem.*"), constants(t, "../provider/authorize/views.go", "ProblemKind"); !slices.Equal(got, want) {
			t.Errorf("%s has texts for the problems %v, want %v", s.Tag, got, want)
		}
		kinds := constants(t, "../provider/endpoint/views.go", "ErrorKind")
		for _, part := range []string{"error.*.title", "error.*.text"} {
			if got := s.texts.stars(part); !slices.Equal(got, kinds) {
				t.Errorf("%s has %s for %v, want %v", s.Tag, part, got, kinds)
			}
		}
		for _, kind := range kinds {
			if statuses[endpoint.ErrorKind(kind)] == 0 {
				t.Errorf("%s has no status", kind)
			}
		}
		ends := []string{"expired", "failed", "onetap_declined", "onetap_expired", "several_only"}
		for _, o := range outcomes {
			ends = append(ends, o)
		}
		slices.Sort(ends)
		ends = slices.Compact(ends)
		for _, part := range []string{"outcome.*.title", "outcome.*.text"} {
			if got := s.texts.stars(part); !slices.Equal(got, ends) {
				t.Errorf("%s has %s for %v, want %v", s.Tag, part, got, ends)
			}
		}
	}
}

// Missing texts and wrong placeholders stop New; texts that no template names
// are found here.
func TestEveryTextIsUsed(t *testing.T) {
	texts := loaded(t).all[0].texts
	used := map[string]bool{
		"wait.minutes": true, "wait.hours": true, // the placeholder {wait}
		"ago.now": true, "ago.hours": true, "ago.days": true, "ago.months": true, // the placeholder {ago}
		"language": true, // its own name, in the gallery's list
	}
	files, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != len(pageNames)+1 {
		t.Errorf("%d templates for %d pages and a layout", len(files), len(pageNames))
	}
	for _, file := range files {
		raw, err := templateFiles.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found := mention.FindAllStringSubmatch(string(raw), -1)
		if len(found) != strings.Count(string(raw), "[[") {
			t.Errorf("%s names a text in a way that is not understood", file)
		}
		for _, m := range found {
			if key := m[2]; strings.Contains(key, "*") {
				for _, star := range texts.stars(key) {
					used[strings.Replace(key, "*", star, 1)] = true
				}
			} else {
				used[key] = true
			}
		}
	}
	for key := range texts {
		if !used[key] {
			t.Errorf("no template uses %s", key)
		}
	}
}

func TestEveryLanguageIsWritten(t *testing.T) {
	for _, s := range loaded(t).all {
		if _, err := s.pages(); err != nil {
			t.Error(err)
		}
	}
}

func TestCataloguesThatAreRefused(t *testing.T) {
	english, err := parseCatalogue([]byte(`{"a": "for {client}", "n": {"one": "in {minutes} minute", "other": "in {minutes} minutes"}}`))
	if err != nil {
		t.Fatal(err)
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
		c, err := parseCatalogue([]byte(row.raw))
		if err == nil {
			err = c.check(language.MustParse(row.tag), english)
		}
		if err == nil || !strings.Contains(err.Error(), row.err) {
			t.Errorf("%s: %v, want %q", row.what, err, row.err)
		}
	}
	for _, good := range []string{
		`{"a": "för {client}", "n": {"one": "om en minut", "other": "om {minutes} minuter"}}`,
	} {
		c, err := parseCatalogue([]byte(good))
		if err == nil {
			err = c.check(language.Swedish, english)
		}
		if err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	if _, err := english.render("nowhere", false); err == nil {
		t.Error("a text that is not there was written")
	}
	if _, err := (catalogue{"a": {"other": "{nonsense}"}}).render("a", false); err == nil {
		t.Error("a placeholder that is not there was written")
	}
}

func TestTextsAreEscapedAndValuesIsolated(t *testing.T) {
	got, err := catalogue{"a": {"other": `<b> & "{client}"`}}.render("a", false)
	if err != nil || got != `&lt;b&gt; &amp; &#34;<bdi>{{$.Client.Name}}</bdi>&#34;` {
		t.Errorf("%s %v", got, err)
	}
	got, err = catalogue{"a": {"other": "to {client}"}}.render("a", true)
	if err != nil || got != "to {{$.Client.Name}}" {
		t.Errorf("%s %v", got, err)
	}
}

func TestTheLanguageOfAPage(t *testing.T) {
	u := newWorld(t).ui
	for _, row := range []struct {
		uiLocales []string
		accept    string
		want      string
	}{
		{nil, "", "en"},
		{nil, "sv-SE,sv;q=0.9,en;q=0.8", "sv"},
		{nil, "xx, sv;q=0.1", "sv"},
		{nil, "sv;q=0", "en"},
		{nil, "%%%", "en"},
		{[]string{"sv"}, "en", "sv"},
		{[]string{"sv-FI", "en"}, "en", "sv"},
		{[]string{"xx", "sv"}, "en", "sv"},
		{[]string{"ja"}, "sv", "sv"},
		{[]string{"not a tag", strings.Repeat("a-", 500)}, "sv", "sv"},
		{nil, "sv," + strings.Repeat("en-US,", 100), "sv"},
		{nil, strings.Repeat("-", 10_000), "en"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Accept-Language", row.accept)
		if got := u.in(r, row.uiLocales).Tag; got != row.want {
			t.Errorf("%v and %.40q give %s, want %s", row.uiLocales, row.accept, got, row.want)
		}
	}
}

func TestDirection(t *testing.T) {
	for tag, want := range map[string]string{"en": "ltr", "ar": "rtl", "ur": "rtl", "he": "rtl", "pa": "ltr", "pa-Arab": "rtl"} {
		if got := direction(language.MustParse(tag)); got != want {
			t.Errorf("%s is written %s, want %s", tag, got, want)
		}
	}
}
