package ui

import (
	"io/fs"
	"log/slog"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"calleridp/provider/authorize"
	"calleridp/provider/client"
	"calleridp/provider/endpoint"

	"github.com/go-chi/chi/v5"
)

func branded(t *testing.T, c Config) *UI {
	t.Helper()
	c.Log, c.Countries = slog.New(slog.DiscardHandler), []Country{{"SE", 46}}
	u, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// signInOf is the sign-in page of a client, and its headers.
func signInOf(u *UI, c endpoint.ClientView, locales ...string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	u.SignIn(w, httptest.NewRequest("GET", "/authorize", nil), authorize.SignInView{Client: c, Request: "sealed", UILocales: locales})
	return w
}

const svg = `<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><script>alert(1)</script></svg>`

func TestBrand(t *testing.T) {
	logo, err := ReadLogo([]byte(svg))
	if err != nil {
		t.Fatal(err)
	}
	accent, err := client.ParseAccent("#8b0000", "")
	if err != nil {
		t.Fatal(err)
	}
	u := branded(t, Config{DeploymentName: "Lingon ID", Brand: Brand{Logo: logo, Accent: accent, PrivacyURL: "https://lingon.example/p", TermsURL: "https://lingon.example/t"}})
	answer := signInOf(u, shop)
	page := answer.Body.String()
	for _, want := range []string{"--accent:#8b0000", "Lingon ID", `href="https://lingon.example/p"`, `href="https://lingon.example/t"`, "/static/logo-"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %s:\n%s", want, page)
		}
	}
	// The style is the page's own by its nonce; nothing became unsafe.
	policy := answer.Header().Get("Content-Security-Policy")
	nonce := regexp.MustCompile(`<style nonce="([^"]+)">`).FindStringSubmatch(page)
	if nonce == nil || !strings.Contains(policy, "'nonce-"+nonce[1]+"'") || strings.Contains(policy, "unsafe") {
		t.Errorf("policy %s", policy)
	}
	// A client's accent wins, on its own pages.
	green, err := client.ParseAccent("#006400", "#90ee90")
	if err != nil {
		t.Fatal(err)
	}
	own := shop
	own.Accent = green
	if page := signInOf(u, own).Body.String(); !strings.Contains(page, "--accent:#006400") || strings.Contains(page, "#8b0000") {
		t.Error("the client's accent is not on its page")
	}
	// Without any, the page has no style of its own.
	if page := signInOf(branded(t, Config{}), shop).Body.String(); strings.Contains(page, "<style") {
		t.Error("a style for nothing")
	}
	// The picture, opened by itself, runs nothing.
	name := regexp.MustCompile(`/static/(logo-[^"]+)`).FindStringSubmatch(page)[1]
	router := chi.NewRouter()
	u.Mount(router, nil)
	w := httptest.NewRecorder()
	router.ServeHTTP(w, httptest.NewRequest("GET", "/static/"+name, nil))
	if w.Header().Get("Content-Type") != "image/svg+xml" || !strings.Contains(w.Header().Get("Content-Security-Policy"), "default-src 'none'; sandbox") {
		t.Errorf("%v", w.Header())
	}
}

func TestReadLogo(t *testing.T) {
	for _, row := range []struct{ what, raw, want string }{
		{"svg", svg, "image/svg+xml"},
		{"svg without a declaration", "<!-- logo -->\n<svg/>", "image/svg+xml"},
		{"png", "\x89PNG\r\n\x1a\n....", "image/png"},
		{"webp", "RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"},
		{"html", "<!doctype html><svg/>", ""},
		{"jpeg", "\xff\xd8\xff\xe0", ""},
		{"another document", "<html><svg/></html>", ""},
		{"nothing", "", ""},
		{"too large", "<svg>" + strings.Repeat(" ", maxLogo), ""},
	} {
		got, err := ReadLogo([]byte(row.raw))
		if (err == nil) != (row.want != "") || err == nil && got.Type != row.want {
			t.Errorf("%s: %v, %v", row.what, got, err)
		}
	}
}

// The grounds on which accents are checked are those of the stylesheet.
func TestAccentGroundsAreTheStylesheets(t *testing.T) {
	css, err := os.ReadFile("static/app.css")
	if err != nil {
		t.Fatal(err)
	}
	light, dark, _ := strings.Cut(string(css), "prefers-color-scheme: dark")
	for theme, grounds := range map[string][]string{light: client.LightGrounds, dark: client.DarkGrounds} {
		for i, token := range []string{"--card", "--ground", "--tint"} {
			m := regexp.MustCompile(token + `: (#[0-9a-f]+);`).FindStringSubmatch(theme)
			if m == nil || strings.ReplaceAll(m[1], "#fff", "#ffffff") != grounds[i] && m[1] != grounds[i] {
				t.Errorf("%s is %v, and accents are checked on %s", token, m, grounds[i])
			}
		}
	}
	if a, err := client.ParseAccent("#0066cc", "#6db3ff"); err != nil || a == nil {
		t.Errorf("the pages' own accent would be refused: %v", err)
	}
}

func TestOverrides(t *testing.T) {
	signin, err := templateFiles.ReadFile("templates/signin.html")
	if err != nil {
		t.Fatal(err)
	}
	u := branded(t, Config{Overrides: fstest.MapFS{
		"locales/en.json":       {Data: []byte(`{"signin.title": "Welcome to {client}"}`)},
		"templates/signin.html": {Data: []byte(strings.Replace(string(signin), "<h1>", "<p>Our own words.</p><h1>", 1))},
		"static/custom.css":     {Data: []byte(".card { border-radius: 0 }")},
		"static/icon.svg":       {Data: []byte(svg)},
		"README.md":             {Data: []byte("what this is")},
	}})
	page := signInOf(u, shop).Body.String()
	for _, want := range []string{"Welcome to <bdi>Lingon Market</bdi>", "Our own words.", "Mobile number"} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q:\n%s", want, page)
		}
	}
	if swedish := signInOf(u, shop, "sv").Body.String(); strings.Contains(swedish, "Welcome") || !strings.Contains(swedish, "Our own words.") {
		t.Error("the texts of another language changed, or its template did not")
	}
	if css := string(u.static.byName[u.static.style].plain); !strings.HasSuffix(css, ".card { border-radius: 0 }") || !strings.Contains(css, "--accent") {
		t.Error("the style is not added at the end")
	}
	if string(u.static.byName[u.static.icon].plain) != svg {
		t.Error("the icon is not the operator's")
	}
}

func TestOverridesAreCheckedAtTheStart(t *testing.T) {
	builtin := func(name string) string {
		raw, err := templateFiles.ReadFile("templates/" + name + ".html")
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	for _, row := range []struct{ file, text, want string }{
		{"templates/login.html", "x", "templates/login.html takes the place of nothing"},
		{"index.html", "x", "takes the place of nothing"},
		{"locales/en/signin.json", "{}", "takes the place of nothing"},
		{"locales/en.json", `{"signin.title": `, "unexpected end"},
		{"locales/en.json", `{"signin.titel": "x"}`, "locales/en.json: there is no text signin.titel"},
		{"locales/en.json", `{"signin.title": "Sign in to {app}"}`, "locales/en.json: signin.title has the placeholders [app], want [client]"},
		{"locales/en.json", `{"signin.title": "{{.Request}}"}`, "doubled brackets"},
		{"locales/sv.json", `{"signin.title": "Hej"}`, "locales/sv.json: signin.title has the placeholders [], want [client]"},
		{"locales/fi.json", `{"signin.title": "Kirjaudu: {client}"}`, "is missing"},
		{"locales/klingon-language-of-qonos.json", `{}`, "klingon"},
		{"templates/signin.html", "{{define \"title\"}}x{{end}}{{define \"content\"}}x{{end}}", "must have action="},
		{"templates/signin.html", builtin("signin") + `<script>x</script>`, "Content-Security-Policy"},
		{"templates/signin.html", strings.Replace(builtin("signin"), "<h1>", `<h1 style="color:red">`, 1), "Content-Security-Policy"},
		{"templates/signin.html", strings.Replace(builtin("signin"), "<h1>", `<h1 onclick="x()">`, 1), "Content-Security-Policy"},
		{"templates/signin.html", strings.Replace(builtin("signin"), "<h1>", `<h1>{{.Nothing}}`, 1), "Nothing"},
		{"templates/signin.html", strings.Replace(builtin("signin"), "<h1>", `<h1>{{if}}`, 1), "signin"},
		{"templates/signin.html", strings.Replace(builtin("signin"), "<h1>", `<h1>[[signin.hello]]`, 1), "there is no text signin.hello"},
		{"templates/layout.html", strings.Replace(builtin("layout"), `dir="{{.Dir}}"`, "", 1), "must have dir="},
	} {
		_, err := New(Config{Log: slog.New(slog.DiscardHandler), Countries: []Country{{"SE", 46}}, Overrides: fstest.MapFS{row.file: {Data: []byte(row.text)}}})
		if err == nil || !strings.Contains(err.Error(), row.want) || !strings.Contains(err.Error(), "ui: ") {
			t.Errorf("%s: %v, want %q", row.file, err, row.want)
		}
	}
}

// What is demanded of an operator's templates holds for the built-in ones.
func TestBuiltinTemplatesPassTheChecksOfOverrides(t *testing.T) {
	files, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil || len(files) < 8 {
		t.Fatal(files, err)
	}
	copied := fstest.MapFS{}
	for _, file := range files {
		raw, err := fs.ReadFile(templateFiles, file)
		if err != nil {
			t.Fatal(err)
		}
		copied[file] = &fstest.MapFile{Data: raw}
	}
	branded(t, Config{Overrides: copied})
	for name := range hooks {
		if copied["templates/"+name+".html"] == nil {
			t.Errorf("hooks of %s, which is no template", name)
		}
	}
}
