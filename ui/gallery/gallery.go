// SPDX-License-Identifier: Apache-2.0

// Package gallery shows every page in every state, with canned data, for developers who
// work on the pages and for the tests that look at them:
//
//	/gallery?lang=sv&theme=dark&dir=rtl&width=320   all pages, small
//	/gallery/{page}?lang=sv&theme=dark&dir=rtl      one page
//
// theme is light or dark; without it, the browser decides. dir overrides the language's
// direction. With framed, the list may have the page in a frame. No link on these pages leads
// anywhere. The gallery is for development: it reveals nothing secret, and has no place in
// production.
package gallery

import (
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"

	"calleridp/provider/endpoint"
	"calleridp/ui/language"
	"calleridp/ui/page"
)

const pathGallery = "/gallery"

type gallery struct {
	pages     *page.Pages
	languages []*language.Language
	listStyle string            // the path of the list's own stylesheet
	styles    map[string]string // the names of the stylesheets, by theme
}

// Handler returns the gallery of the pages, which serve their own static files under
// base. It adds stylesheets to theirs, so call it before they are served.
func Handler(pages *page.Pages, languages *language.Set, base string) http.Handler {
	g := &gallery{pages: pages, languages: languages.All(), styles: map[string]string{}}
	for theme, media := range map[string]string{"light": "not all", "dark": "all"} {
		themed := strings.NewReplacer(
			"(prefers-color-scheme: dark)", media,
			"color-scheme: light dark", "color-scheme: "+theme)
		g.styles[theme] = pages.AddStyle(theme+".css", themed.Replace)
	}
	own, err := files.ReadFile("gallery.css")
	if err != nil {
		panic(err) // it is embedded
	}
	g.listStyle = base + page.PathStatic + pages.AddStyle("gallery.css", func(css string) string { return css + string(own) })
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+pathGallery, g.list)
	mux.HandleFunc("GET "+pathGallery+"/{page}", g.page)
	return mux
}

//go:embed gallery.html gallery.css
var files embed.FS

var galleryList = template.Must(template.ParseFS(files, "gallery.html"))

// listView is what the list of pages shows: what was chosen, and what may be.
type listView struct {
	Style                   string
	Lang, Theme, Dir, Width string
	Languages               []*language.Language
	Widths                  []string
	Groups                  []group
}

// widths are those of the windows that the list shows, in pixels; each has a class of
// gallery.css.
var widths = []string{"360", "320", "768", "1280"}

// list shows every page small, in a frame of its own, as the query chooses.
func (g *gallery) list(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	view := listView{
		Style:     g.listStyle,
		Lang:      query.Get("lang"),
		Theme:     query.Get("theme"),
		Dir:       query.Get("dir"),
		Width:     query.Get("width"),
		Languages: g.languages,
		Widths:    widths,
		Groups:    groups(),
	}
	if !slices.ContainsFunc(g.languages, func(l *language.Language) bool { return l.Tag == view.Lang }) {
		view.Lang = g.languages[0].Tag
	}
	if !slices.Contains(widths, view.Width) {
		view.Width = widths[0]
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; frame-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'")
	galleryList.Execute(w, view) // an error means that the browser has gone
}

func (g *gallery) page(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	r = r.Clone(r.Context())
	r.Header.Del("Cookie") // the address decides the language
	exhibit := page.Exhibit{Style: g.styles[query.Get("theme")], Framed: query.Has("framed")}
	if dir := query.Get("dir"); dir == "ltr" || dir == "rtl" {
		exhibit.Dir = dir
	}
	for _, s := range scenes() {
		if s.name == r.PathValue("page") {
			s.draw(g.pages, exhibit, w, r, query.Get("lang"))
			return
		}
	}
	g.pages.Error(w, r, endpoint.ErrorView{Kind: endpoint.ErrorNotFound, Correlation: w.Header().Get("X-Request-ID")})
}

// Try draws every page in every state and language into nothing. It returns the first
// error: a field that does not exist, markup that does not close.
func Try(pages *page.Pages, languages *language.Set) error {
	for _, l := range languages.All() {
		for _, s := range scenes() {
			r, err := http.NewRequest(http.MethodGet, "/", nil)
			if err != nil {
				return err
			}
			var failed error
			s.draw(pages, page.Exhibit{Failed: func(err error) { failed = err }}, discard{}, r, l.Tag)
			if failed != nil {
				return fmt.Errorf("the page %q in %s: %w", s.name, l.Tag, failed)
			}
		}
	}
	return nil
}

// discard is a browser that ignores its response.
type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) WriteHeader(int)             {}
