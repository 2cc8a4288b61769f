// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"io/fs"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"

	"calleridp/provider/authorize"
	"calleridp/ui/page"
	"calleridp/ui/pagetest"

	"github.com/go-chi/chi/v5"
)

// newUI returns pages with an operator's files.
func newUI(overrides fs.FS) (*UI, error) {
	return New(Config{
		Countries: []page.Country{{Region: "SE", Code: 46}},
		Overrides: overrides,
		Log:       slog.New(slog.DiscardHandler),
	})
}

// signInPage returns the sign-in page of a client.
func signInPage(u *UI, locales ...string) string {
	return pagetest.Draw("/authorize", func(w http.ResponseWriter, r *http.Request) {
		u.SignIn(w, r, authorize.SignInView{Client: pagetest.Shop, Request: "sealed", UILocales: locales})
	}).Body.String()
}

// builtinTemplate returns a built-in template.
func builtinTemplate(t *testing.T, name string) string {
	t.Helper()
	raw, err := builtin.ReadFile("templates/" + name + ".html")
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

const svg = `<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><script>alert(1)</script></svg>`

func TestOverrides(t *testing.T) {
	signIn := builtinTemplate(t, "signin")
	u, err := newUI(fstest.MapFS{
		"locales/en.json":       {Data: []byte(`{"signin.title": "Welcome to {client}"}`)},
		"templates/signin.html": {Data: []byte(strings.Replace(signIn, "<h1>", "<p>Our own words.</p><h1>", 1))},
		"static/custom.css":     {Data: []byte(".card { border-radius: 0 }")},
		"static/icon.svg":       {Data: []byte(svg)},
		"README.md":             {Data: []byte("what this is")},
	})
	if err != nil {
		t.Fatal(err)
	}
	html := signInPage(u)
	pagetest.Contains(t, html, "Welcome to <bdi>Lingon Market</bdi>", "Our own words.", "Mobile number")
	if swedish := signInPage(u, "sv"); strings.Contains(swedish, "Welcome") || !strings.Contains(swedish, "Our own words.") {
		t.Errorf("got a page in Swedish with other texts, or the built-in template:\n%s", swedish)
	}
	if css := linked(t, u, html, "stylesheet"); !strings.HasSuffix(css, ".card { border-radius: 0 }") || !strings.Contains(css, "--accent") {
		t.Error("got a stylesheet without the operator's style at its end")
	}
	if icon := linked(t, u, html, "icon"); icon != svg {
		t.Errorf("got the icon %s, want the operator's", icon)
	}
}

// linked returns the static file to which a page links.
func linked(t *testing.T, u *UI, html, rel string) string {
	t.Helper()
	_, path, found := strings.Cut(html, `<link rel="`+rel+`" href="`)
	if !found {
		t.Fatalf("got no %s:\n%s", rel, html)
	}
	path, _, _ = strings.Cut(path, `"`)
	router := chi.NewRouter()
	u.Mount(router, nil)
	return pagetest.Draw(path, router.ServeHTTP).Body.String()
}

func TestOverridesAreCheckedAtTheStart(t *testing.T) {
	// inHeading returns a template with markup in front of its heading.
	inHeading := func(name, tag string) string {
		return strings.Replace(builtinTemplate(t, name), "<h1>", tag, 1)
	}
	for _, row := range []struct{ file, text, want string }{
		{"templates/login.html", "x", "templates/login.html replaces no file"},
		{"index.html", "x", "replaces no file"},
		{"locales/en/signin.json", "{}", "replaces no file"},
		{"locales/en.json", `{"signin.title": `, "unexpected end"},
		{"locales/en.json", `{"signin.titel": "x"}`, "locales/en.json: there is no text signin.titel"},
		{"locales/en.json", `{"signin.title": "Sign in to {app}"}`, "locales/en.json: signin.title has the placeholders [app], want [client]"},
		{"locales/en.json", `{"signin.title": "{{.Request}}"}`, "doubled brackets"},
		{"locales/sv.json", `{"signin.title": "Hej"}`, "locales/sv.json: signin.title has the placeholders [], want [client]"},
		{"locales/fi.json", `{"signin.title": "Kirjaudu: {client}"}`, "is missing"},
		{"locales/klingon-language-of-qonos.json", `{}`, "klingon"},
		{"templates/signin.html", "{{define \"title\"}}x{{end}}{{define \"content\"}}x{{end}}", "must have action="},
		{"templates/signin.html", builtinTemplate(t, "signin") + `<script>x</script>`, "Content-Security-Policy"},
		{"templates/signin.html", inHeading("signin", `<h1 style="color:red">`), "Content-Security-Policy"},
		{"templates/signin.html", inHeading("signin", `<h1 onclick="x()">`), "Content-Security-Policy"},
		{"templates/signin.html", inHeading("signin", `<h1>{{.Nothing}}`), "Nothing"},
		{"templates/signin.html", inHeading("signin", `<h1>{{if}}`), "signin"},
		{"templates/signin.html", inHeading("signin", `<h1>[[signin.hello]]`), "there is no text signin.hello"},
		{"templates/layout.html", strings.Replace(builtinTemplate(t, "layout"), `dir="{{.Dir}}"`, "", 1), "must have dir="},
	} {
		t.Run(row.file+" "+row.want, func(t *testing.T) {
			overrides := fstest.MapFS{row.file: {Data: []byte(row.text)}}
			_, err := newUI(overrides)
			if err == nil || !strings.Contains(err.Error(), row.want) || !strings.HasPrefix(err.Error(), "ui: ") {
				t.Errorf("got %v, want ui: %q", err, row.want)
			}
			if err := CheckOverrides(overrides); err == nil || !strings.Contains(err.Error(), row.want) || strings.HasPrefix(err.Error(), "ui: ") {
				t.Errorf("CheckOverrides: got %v, want %q", err, row.want)
			}
		})
	}
}

// A template cannot name a field that only another page shows.
func TestATemplateNamesItsOwnPagesFieldsOnly(t *testing.T) {
	for _, row := range []struct{ page, field string }{
		{"signin", "Outcome"}, {"signin", "Attempt"}, {"waiting", "Phone"}, {"onward", "Attempt"}, {"ended", "Token"},
		{"consent", "Detail"}, {"account", "Request"}, {"accountstep", "Sessions"}, {"formpost", "Onward"},
		{"signout", "Number"}, {"signedout", "Request"}, {"home", "Request"}, {"error", "Fields"},
	} {
		t.Run(row.page+" with "+row.field, func(t *testing.T) {
			text := strings.ReplaceAll(builtinTemplate(t, row.page), "<h1>", "<h1>{{."+row.field+"}}")
			err := CheckOverrides(fstest.MapFS{"templates/" + row.page + ".html": {Data: []byte(text)}})
			if err == nil || !strings.Contains(err.Error(), "can't evaluate field "+row.field) {
				t.Errorf("got %v, want an error about the field %s", err, row.field)
			}
		})
	}
}

// The checks of an operator's templates hold for the built-in ones.
func TestBuiltinTemplatesPassTheChecksOfOverrides(t *testing.T) {
	files, err := fs.Glob(builtin, "templates/*.html")
	if err != nil || len(files) < 8 {
		t.Fatal(files, err)
	}
	copied := fstest.MapFS{}
	for _, file := range files {
		raw, err := builtin.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		copied[file] = &fstest.MapFile{Data: raw}
	}
	if _, err := newUI(copied); err != nil {
		t.Errorf("got %v, want nil", err)
	}
}

func TestNewRefusesAnIssuerThatIsNoURL(t *testing.T) {
	c := Config{Countries: []page.Country{{Region: "SE", Code: 46}}, Log: slog.New(slog.DiscardHandler), Issuer: "nonsense"}
	if _, err := New(c); err == nil {
		t.Error("got nil, want an error")
	}
	if _, err := New(Config{}); err == nil {
		t.Error("no log: got nil, want an error")
	}
}
