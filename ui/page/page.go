// SPDX-License-Identifier: Apache-2.0

// Package page draws every page that a user sees: the templates, what each of them
// may show, the assets, the operator's brand and the security headers. It decides
// nothing, and receives views from the provider and from package signin.
package page

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"sync"

	"calleridp/provider"
	"calleridp/provider/endpoint"
	"calleridp/ui/language"
)

// Config holds what the pages need.
type Config struct {
	// Files holds the folders templates and static, with an operator's files in
	// place of the built-in ones. Required.
	Files fs.FS
	// Languages holds the languages of the pages. Required.
	Languages *language.Set

	// Base is the issuer's path without a slash at its end. Every link starts with
	// it.
	Base    string
	Cookies endpoint.Cookies

	// Countries lists the countries of the number field. Required.
	Countries []Country
	// Groups says how the countries group their mobile numbers, in the format of
	// phone.Groups. If empty, the number field formats nothing.
	Groups string

	// DeploymentName is shown on every page.
	DeploymentName string
	// AppName is the name under which Truecaller shows the request on the phone.
	AppName string
	Brand   Brand

	// Simulation shows on every page that no real phone is involved.
	Simulation bool
	// ShowDetail shows ErrorView.Detail on error pages. It is for development only,
	// because it reveals a client's registration.
	ShowDetail bool

	Log *slog.Logger // required
}

// Pages draws the pages. It is safe for concurrent use.
type Pages struct {
	cfg       Config
	assets    *assets
	templates templates
	countries map[string]func() *countryList // by language
	buttons   map[string]map[string]*block   // of the list of languages, by form and language
	exhibit   Exhibit                        // zero in service
}

var _ provider.Pages = (*Pages)(nil)

// New parses the templates. A template that names a missing text is an error here
// and not on a page.
func New(c Config) (*Pages, error) {
	switch {
	case c.Log == nil:
		return nil, errors.New("no Log is configured")
	case len(c.Countries) == 0:
		return nil, errors.New("no Countries are configured")
	}
	p := &Pages{cfg: c, countries: map[string]func() *countryList{}}
	var err error
	if p.assets, err = loadAssets(c.Files, c.Brand.Logo, c.Groups); err != nil {
		return nil, err
	}
	if p.templates, err = parseTemplates(c.Files, c.Languages); err != nil {
		return nil, err
	}
	p.buttons = languageButtons(c.Languages.All(), c.Base)
	for _, l := range c.Languages.All() {
		p.countries[l.Tag] = sync.OnceValue(func() *countryList { return newCountryList(l, c.Countries) })
	}
	return p, nil
}

// Exhibit says how a gallery draws the pages differently from the service.
type Exhibit struct {
	Style string // the name of another stylesheet; "" for the pages' own
	Dir   string // the direction of writing; "" for the language's own

	// Still keeps a page where it is: it does not refresh itself, runs no script that
	// sends requests, and its link to the client leads nowhere.
	Still bool
	// Framed lets pages of the same origin have the page in a frame.
	Framed bool
	// OneTap is what the script would say beside the one-tap button: absent, opened or
	// declined. If empty, the script is on the page and says it.
	OneTap string

	// Failed receives the error of a page that cannot be drawn. If nil, the error is
	// logged, and the user gets an error page.
	Failed func(error)
}

// Exhibited returns the same pages, drawn for a gallery.
func (p *Pages) Exhibited(e Exhibit) *Pages {
	exhibited := *p
	exhibited.exhibit = e
	return &exhibited
}

// choose returns the language of a page.
func (p *Pages) choose(r *http.Request, uiLocales []string) language.Choice {
	return p.cfg.Languages.Choose(r, p.cfg.Cookies.Language(r), uiLocales)
}

// response is a page on its way to the browser.
type response struct {
	template string // its name
	language language.Choice
	status   int
	view     view
	policy   policy
	again    again  // in another language
	blocks   blocks // nil for none but the list of languages
}

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// show renders a page whole, then writes it. If rendering fails, the response is an
// error page and not half of this one.
func (p *Pages) show(w http.ResponseWriter, r *http.Request, resp response) {
	nonce := newNonce()
	p.frame(r, &resp, nonce)
	b := buffers.Get().(*bytes.Buffer)
	defer buffers.Put(b)
	b.Reset()
	if err := p.templates.render(b, resp.language.Language, resp.template, resp.view); err != nil {
		p.failed(w, r, resp, err)
		return
	}
	if p.exhibit.Framed {
		resp.policy.framedBy = sameOrigin
	}
	resp.policy.writeHeaders(w.Header(), nonce)
	resp.blocks.write(w, r, resp.status, b.Bytes())
}

// failed reports that a page does not render.
func (p *Pages) failed(w http.ResponseWriter, r *http.Request, resp response, err error) {
	if p.exhibit.Failed != nil {
		p.exhibit.Failed(err)
		return
	}
	p.cfg.Log.ErrorContext(r.Context(), "a page does not render", "page", resp.template, "language", resp.language.Tag,
		"correlation", correlation(w), "error", err)
	if resp.template == "error" {
		http.Error(w, "server error "+correlation(w), http.StatusInternalServerError)
		return
	}
	p.internalError(w, r)
}

// frame fills in what every page shows.
func (p *Pages) frame(r *http.Request, resp *response, nonce string) {
	c := resp.view.frame()
	c.Nonce = nonce
	c.Base = p.cfg.Base
	c.Simulation = p.cfg.Simulation
	c.Deployment = p.cfg.DeploymentName
	c.Style = cmp.Or(p.exhibit.Style, p.assets.style)
	c.Icon = p.assets.icon
	c.Logo = p.assets.logo
	c.Privacy = p.cfg.Brand.PrivacyURL
	c.Terms = p.cfg.Brand.TermsURL
	if c.Accent = accentStyle(c.Client.Accent); c.Accent == "" {
		c.Accent = accentStyle(p.cfg.Brand.Accent)
	}
	c.Script = resp.policy.script
	c.Solver = resp.policy.solver
	c.Joins = resp.policy.joins
	c.Lang = resp.language.Tag
	c.Dir = cmp.Or(p.exhibit.Dir, resp.language.Dir)
	c.Switch = p.switcher(r, resp)
	if c.Client.own {
		c.Client = p.ownMark()
	}
	c.Client = c.Client.under(p.cfg.Base)
}

// ownMark returns the deployment as the application of a page of its own.
func (p *Pages) ownMark() clientView {
	v := showClient(endpoint.ClientView{Name: p.cfg.DeploymentName})
	if p.assets.logo != "" {
		v.Logo = PathStatic + p.assets.logo
	}
	return v
}

// newNonce returns a fresh nonce for a page's Content-Security-Policy.
func newNonce() string {
	var random [16]byte
	rand.Read(random[:])
	return base64.RawURLEncoding.EncodeToString(random[:])
}

// correlation returns the id that the server gave to the request.
func correlation(w http.ResponseWriter) string { return w.Header().Get("X-Request-ID") }
