package ui

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/text/language"
)

// What an operator may put in the place of the built-in files, in a folder of the
// same structure:
//
//	templates/NAME.html   a page, or layout.html, which is around all of them
//	locales/TAG.json      some texts of a language, or all texts of a new one
//	static/custom.css     added at the end of the stylesheet
//	static/icon.svg       the icon in the browser's tab
//
// Everything is checked at the start, so that no mistake waits for a visitor.

// overridable is a file of an override folder that has a meaning.
func overridable(path string) bool {
	if path == "static/custom.css" || path == "static/icon.svg" {
		return true
	}
	if name, ok := strings.CutPrefix(path, "templates/"); ok {
		name, ok = strings.CutSuffix(name, ".html")
		return ok && (name == "layout" || slices.Contains(pageNames, name))
	}
	name, ok := strings.CutPrefix(path, "locales/")
	return ok && strings.HasSuffix(name, ".json") && !strings.Contains(name, "/")
}

// sources are the files that pages are made of.
type sources struct {
	builtin   fs.FS
	overrides fs.FS // nil for none
}

// read returns a file, the operator's first.
func (s sources) read(path string) ([]byte, error) {
	if s.overrides != nil {
		if raw, err := fs.ReadFile(s.overrides, path); !errors.Is(err, fs.ErrNotExist) {
			return raw, err
		}
	}
	return fs.ReadFile(s.builtin, path)
}

// checkOverrides says which file of an override folder has no meaning, or must not
// be as it is.
func checkOverrides(overrides fs.FS) error {
	return fs.WalkDir(overrides, ".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return fmt.Errorf("ui: overrides: %w", err)
		case d.IsDir() || strings.HasPrefix(d.Name(), ".") || strings.EqualFold(d.Name(), "README.md"):
			return nil
		case !overridable(path):
			return fmt.Errorf("ui: overrides: %s takes the place of nothing; there are templates/{layout,%s}.html, locales/LANGUAGE.json, static/custom.css and static/icon.svg",
				path, strings.Join(pageNames, ","))
		}
		if name, ok := strings.CutPrefix(path, "templates/"); ok {
			raw, err := fs.ReadFile(overrides, path)
			if err != nil {
				return fmt.Errorf("ui: overrides: %w", err)
			}
			if err := checkTemplate(strings.TrimSuffix(name, ".html"), string(raw)); err != nil {
				return fmt.Errorf("ui: overrides: %s: %w", path, err)
			}
		}
		return nil
	})
}

// hooks are what a template must have, because the handlers, the script, password
// managers or tests rely on it.
var hooks = map[string][]string{
	"layout":   {`{{template "title" .}}`, `{{template "content" .}}`, `lang="{{.Lang}}"`, `dir="{{.Dir}}"`, `{{block "refresh" .}}`},
	"signin":   {`action="{{.Base}}/signin"`, `name="request"`, `id="phone"`, `name="phone"`, `id="submit"`, `id="number"`},
	"waiting":  {`id="waiting"`, `id="cancel"`, `id="again"`, `http-equiv="refresh"`, `id="say"`},
	"onward":   {`{{.Onward}}`},
	"ended":    {`id="ended"`, `/again"`, `/leave"`},
	"consent":  {`id="consent"`, `id="allow"`, `id="deny"`, `name="request"`},
	"formpost": {`id="formpost"`, `{{.Action}}`, `{{range .Fields}}`},
	"signout":  {`id="submit"`, `name="request"`},
	"error":    {`id="error"`, `.Correlation}}`},
}

// blocked is what the pages' Content-Security-Policy would stop in the browser.
var blocked = regexp.MustCompile(`(?i)\sstyle\s*=|\son[a-z]+\s*=|javascript:|<(?:script|style|link|iframe|object|embed|base)\b`)

// allowedMarkup is the layout's own use of what is blocked elsewhere.
var allowedMarkup = regexp.MustCompile(`<(?:script|style|link)\b[^>]*(?:nonce="\{\{\$?\.Nonce\}\}"|rel="icon")[^>]*>`)

func checkTemplate(name, text string) error {
	for _, hook := range hooks[name] {
		if !strings.Contains(text, hook) {
			return fmt.Errorf("must have %s", hook)
		}
	}
	if found := blocked.FindString(allowedMarkup.ReplaceAllString(text, "")); found != "" {
		return fmt.Errorf("has %q, which the Content-Security-Policy of the pages stops; put styles into static/custom.css", strings.TrimSpace(found))
	}
	return nil
}

// over puts an operator's texts over the built-in ones, which may be none.
func (c catalogue) over(builtin catalogue) catalogue {
	merged := catalogue{}
	for key, t := range builtin {
		merged[key] = t
	}
	for key, t := range c {
		merged[key] = t
	}
	return merged
}

// readCatalogue reads the texts of a language: the built-in ones, with the
// operator's over them.
func (s sources) readCatalogue(path string, tag language.Tag) (catalogue, error) {
	var texts catalogue
	if raw, err := fs.ReadFile(s.builtin, path); err == nil {
		if texts, err = parseCatalogue(raw); err != nil {
			return nil, err
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if s.overrides == nil {
		return texts, nil
	}
	raw, err := fs.ReadFile(s.overrides, path)
	if errors.Is(err, fs.ErrNotExist) {
		return texts, nil
	}
	if err != nil {
		return nil, err
	}
	own, err := parseCatalogue(raw)
	if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
		return nil, fmt.Errorf("at byte %d: %w", syntax.Offset, err)
	}
	if err != nil {
		return nil, err
	}
	merged := own.over(texts)
	if len(texts) == 0 { // a new language, which is compared with the others
		return merged, nil
	}
	// Compared with what it takes the place of, so that a mistake is told of this
	// file and not of the languages that differ from it.
	for key := range own {
		if _, ok := texts[key]; !ok {
			return nil, fmt.Errorf("there is no text %s", key)
		}
	}
	return merged, merged.check(tag, texts)
}

// CheckOverrides says what is wrong with a folder of the operator's own texts,
// templates and style, nil for nothing.
func CheckOverrides(overrides fs.FS) error {
	one := []Country{{Region: "SE", Code: 46}} // a template does not care how many there are
	_, err := New(Config{Overrides: overrides, Countries: one, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return errors.New(strings.TrimPrefix(strings.TrimPrefix(err.Error(), "ui: "), "overrides: "))
	}
	return nil
}

// tryPages shows every page in every state and language to nobody, and returns
// what cannot be shown: a field that does not exist, markup that does not close.
func (u *UI) tryPages() error {
	var failed error
	u.unshowable = func(err error) { failed = errors.Join(failed, err) }
	defer func() { u.unshowable = nil }()
	for _, in := range u.languages.all {
		for _, s := range scenes() {
			r, err := http.NewRequest(http.MethodGet, "/", nil)
			if err != nil {
				return err
			}
			s.show(u, nowhere{}, r, []string{in.Tag})
			if failed != nil {
				return fmt.Errorf("ui: overrides: the page %q in %s: %w", s.name, in.Tag, failed)
			}
		}
	}
	return nil
}

// nowhere is a browser that nobody looks at.
type nowhere struct{}

func (nowhere) Header() http.Header         { return http.Header{} }
func (nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (nowhere) WriteHeader(int)             {}
