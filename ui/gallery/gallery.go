// SPDX-License-Identifier: Apache-2.0

// Package gallery shows every page in every state, with canned data, for developers who
// work on the pages and for the tests that look at them:
//
//	/gallery                                        the list of pages
//	/gallery/{page}?lang=sv&theme=dark&dir=rtl      one page
//
// theme is light or dark; without it, the browser decides. dir overrides the language's
// direction. No link on these pages leads anywhere. The gallery is for development: it
// reveals nothing secret, and has no place in production.
package gallery

import (
	"fmt"
	"html/template"
	"net/http"
	"strings"

	"calleridp/provider/endpoint"
	"calleridp/ui/language"
	"calleridp/ui/page"
)

const pathGallery = "/gallery"

type gallery struct {
	pages     *page.Pages
	languages []*language.Language
	style     string            // the path of the stylesheet
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
	g.style = base + page.PathStatic + pages.Style()
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+pathGallery, g.list)
	mux.HandleFunc("GET "+pathGallery+"/{page}", g.page)
	return mux
}

var galleryList = template.Must(template.New("").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Gallery</title>
<link rel="stylesheet" href="{{.Style}}"></head><body><main><h1>Gallery</h1>
<ul>{{range $name := .Scenes}}<li>{{$name}}{{range $lang, $own := $.Languages}} · <a href="/gallery/{{$name}}?lang={{$lang}}" hreflang="{{$lang}}" lang="{{$lang}}">{{$own}}</a>
(<a href="/gallery/{{$name}}?lang={{$lang}}&amp;theme=light">light</a>, <a href="/gallery/{{$name}}?lang={{$lang}}&amp;theme=dark">dark</a>){{end}}</li>
{{end}}</ul></main></body></html>
`))

func (g *gallery) list(w http.ResponseWriter, r *http.Request) {
	names := []string{}
	for _, s := range scenes() {
		names = append(names, s.name)
	}
	own := map[string]string{}
	for _, l := range g.languages {
		own[l.Tag] = l.Name()
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
	galleryList.Execute(w, map[string]any{"Style": g.style, "Scenes": names, "Languages": own})
}

func (g *gallery) page(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	r = r.Clone(r.Context())
	r.Header.Del("Cookie") // the address decides the language
	exhibit := page.Exhibit{Style: g.styles[query.Get("theme")]}
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
