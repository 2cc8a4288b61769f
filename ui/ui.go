// SPDX-License-Identifier: Apache-2.0

// Package ui assembles the pages that users see. It has no rule of its own: each
// subject has a room.
//
//	language   the texts in each language, and which language a user reads
//	page       the templates, what each page shows, its security headers, the assets
//	signin     what browsers send from the pages of a sign-in
//	gallery    every page in every state, for development
//
// The built-in files are here: locales, templates and static. An operator's files may
// replace them, see overrides.go, and change them while the server runs, see reload.go.
package ui

import (
	"cmp"
	"crypto/sha256"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"

	"calleridp/provider"
	"calleridp/provider/endpoint"
	"calleridp/ui/gallery"
	"calleridp/ui/language"
	"calleridp/ui/page"
	"calleridp/ui/signin"

	"github.com/go-chi/chi/v5"
)

//go:embed locales templates static
var builtin embed.FS

// Config configures the pages.
type Config struct {
	// Issuer is the address under which the pages are served. Every link starts with its
	// path, if it has one. Its origin may post forms even if a proxy changes the Host. If
	// empty, there is no path, and the request's own Host decides.
	Issuer string

	Cookies endpoint.Cookies

	// ClientAddr returns the address of the user's browser, behind all trusted proxies.
	// If nil, it is the address of the connection.
	ClientAddr func(*http.Request) netip.Addr

	// Countries lists the countries of the number field. Required.
	Countries []page.Country

	// Groups says how the countries group their mobile numbers, in the format of
	// phone.Groups. If empty, the number field formats nothing.
	Groups string

	// DeploymentName is shown on every page. Default: AppName, or CallerIdP.
	DeploymentName string
	// AppName is the name under which Truecaller shows the request on the phone: that of
	// the Truecaller app. Default: DeploymentName.
	AppName string

	// Brand is the operator's logo, colour and links.
	Brand page.Brand
	// Overrides is a folder of the operator's texts, templates and style. If nil, there
	// are none. See overrides.go.
	Overrides fs.FS

	// Simulation shows on every page that no real phone is involved.
	Simulation bool
	// ShowDetail shows ErrorView.Detail on error pages. It is for development only,
	// because it reveals a client's registration.
	ShowDetail bool

	Log *slog.Logger // required
}

// UI draws the pages and handles what browsers send from them. It is safe for
// concurrent use.
type UI struct {
	current  atomic.Pointer[drawing]
	previous atomic.Pointer[drawing] // before the last reload; nil for none
	signIn   *signin.Handlers
	base     string // path of the issuer, without a slash at its end
}

var (
	_ provider.Pages = (*UI)(nil)
	_ signin.Pages   = (*UI)(nil)
)

// drawing is one state of the files that the pages are made of.
type drawing struct {
	pages     *page.Pages
	languages *language.Set
	config    Config
	overrides [sha256.Size]byte // digest of the operator's files
}

// New reads the templates and texts and checks them. A template that names a missing
// text, or a text with a wrong placeholder, is an error here and not on a page.
func New(c Config) (*UI, error) {
	u, err := build(c)
	if err != nil {
		return nil, fmt.Errorf("ui: %w", err)
	}
	return u, nil
}

func build(c Config) (*UI, error) {
	d, err := draw(c)
	if err != nil {
		return nil, err
	}
	u := &UI{}
	u.current.Store(d)
	var origin string
	if u.base, origin, err = splitIssuer(c.Issuer); err != nil {
		return nil, err
	}
	u.signIn, err = signin.New(signin.Config{
		Pages:      u,
		Languages:  func() *language.Set { return u.current.Load().languages },
		Origin:     origin,
		Base:       u.base,
		Cookies:    c.Cookies,
		ClientAddr: d.config.ClientAddr,
		Log:        c.Log,
	})
	if err != nil {
		return nil, err
	}
	return u, nil
}

// draw reads and checks the files.
func draw(c Config) (*drawing, error) {
	if c.Log == nil {
		return nil, errors.New("no Log is configured")
	}
	c.DeploymentName = cmp.Or(c.DeploymentName, c.AppName, "CallerIdP")
	c.AppName = cmp.Or(c.AppName, c.DeploymentName)
	if c.ClientAddr == nil {
		c.ClientAddr = endpoint.ConnectionAddr
	}
	base, _, err := splitIssuer(c.Issuer)
	if err != nil {
		return nil, err
	}
	d := &drawing{config: c}
	if c.Overrides != nil {
		if err := checkOverrides(c.Overrides); err != nil {
			return nil, err
		}
		if d.overrides, err = digest(c.Overrides); err != nil {
			return nil, err
		}
	}
	if d.languages, err = language.Load(builtin, c.Overrides); err != nil {
		return nil, err
	}
	d.pages, err = page.New(page.Config{
		Files:          overlay{over: c.Overrides, under: builtin},
		Languages:      d.languages,
		Base:           base,
		Cookies:        c.Cookies,
		Countries:      c.Countries,
		Groups:         c.Groups,
		DeploymentName: c.DeploymentName,
		AppName:        c.AppName,
		Brand:          c.Brand,
		Simulation:     c.Simulation,
		ShowDetail:     c.ShowDetail,
		Log:            c.Log,
	})
	if err != nil {
		return nil, err
	}
	if c.Overrides != nil {
		if err := gallery.Try(d.pages, d.languages); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// splitIssuer returns the path of an issuer without a slash at its end, and its origin.
// Both are empty if the issuer is.
func splitIssuer(issuer string) (base, origin string, err error) {
	if issuer == "" {
		return "", "", nil
	}
	u, err := url.Parse(issuer)
	if err != nil || u.Host == "" {
		return "", "", fmt.Errorf("the issuer %q is not a URL", issuer)
	}
	return strings.TrimRight(u.EscapedPath(), "/"), u.Scheme + "://" + u.Host, nil
}

// Mount registers the pages' own paths on r, which serves the issuer's path:
// those of package signin, the static files, the page at the root, and robots.txt.
func (u *UI) Mount(r chi.Router, flow signin.Flow) {
	u.signIn.Mount(r, flow)
	r.Get(page.PathStatic+"{name}", u.static)
	for path, show := range map[string]http.HandlerFunc{endpoint.PathHome: u.home, endpoint.PathRobots: page.Robots} {
		r.Get(path, show)
		r.Head(path, show) // monitors of operators
	}
}

// Gallery returns the gallery of the pages, see package gallery. Call it before the
// pages are served.
func (u *UI) Gallery() http.Handler {
	d := u.current.Load()
	return gallery.Handler(d.pages, d.languages, u.base)
}

// Drain ends the live connections of waiting pages, so that a server can shut down.
// Call it from http.Server.RegisterOnShutdown. The pages reconnect by themselves, to
// whichever server responds then.
func (u *UI) Drain() { u.signIn.Drain() }

// Languages returns the languages of the pages (BCP 47), for ui_locales_supported in
// the discovery document (OpenID Connect Discovery §3). The first is used if no other
// fits.
func (u *UI) Languages() []string { return u.current.Load().tags() }

func (d *drawing) tags() []string {
	var tags []string
	for _, l := range d.languages.All() {
		tags = append(tags, l.Tag)
	}
	return tags
}
