// Package ui is every page that a person sees: the handlers behind the sign-in
// page, the templates, the texts in each language, the stylesheet and the script,
// and a gallery of all pages in every state.
//
// It decides nothing. What happens to a sign-in is the provider's; the pages
// show it, and pass on what the person did:
//
//	POST /language                another language              -> the same page
//	POST /signin                  a number was submitted        -> 303 to the attempt
//	POST /onetap                  the one-tap link was opened   -> 303 to the attempt, or JSON
//	GET  /attempt/{id}            waiting, approved, how it ended
//	GET  /attempt/{id}/events     the same, live (server-sent events)
//	GET  /attempt/{id}/status     the same, once (JSON)
//	GET  /attempt/{id}/continue   uses an approved attempt      -> to the client
//	POST /attempt/{id}/cancel     ends it                       -> 303 to the attempt
//	POST /attempt/{id}/again      the sign-in page once more
//	POST /attempt/{id}/leave      to the client, without success
//	GET  /static/{name}           stylesheet, script, icon; named by their content
//
// Everything works without JavaScript. The script makes it faster and quieter.
package ui

import (
	"cmp"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"calleridp/provider"
	"calleridp/provider/endpoint"
)

// Config is what the pages need to know.
type Config struct {
	// Issuer is the address under which the pages are served. Its path, if it
	// has one, starts every link; its origin may post forms even when a proxy
	// changes the Host. "": no path, and the request's own Host.
	Issuer string

	Cookies endpoint.Cookies

	// ClientAddr is the address of the person's browser, behind whatever proxies
	// are trusted. nil: the address of the connection.
	ClientAddr func(*http.Request) netip.Addr

	// Countries are those that the number field offers. Required.
	Countries []Country

	// Groups is how they write their mobile numbers, as phone.Groups has it. "": a
	// number is not formatted while it is typed.
	Groups string

	// DeploymentName is shown on every page. "": AppName, and without one
	// CallerIdP.
	DeploymentName string
	// AppName is the name under which Truecaller shows the request on the phone:
	// that of the Truecaller app. "": DeploymentName.
	AppName string

	// Brand is the operator's logo, colour and links.
	Brand Brand
	// Overrides is a folder of the operator's own texts, templates and style; nil
	// for none. See overrides.go.
	Overrides fs.FS

	// Simulation makes every page say that no real phone is involved.
	Simulation bool
	// ShowDetail puts ErrorView.Detail on error pages. For development only: it
	// tells strangers how a client is configured.
	ShowDetail bool

	Log *slog.Logger // required
}

// UI draws the pages. It is safe for concurrent use.
type UI struct {
	Config
	base      string // path of the issuer, without a slash at its end
	origin    *http.CrossOriginProtection
	static    *assets
	languages *languages
	buttons   map[string]map[string]template.HTML // for choosing a language

	unshowable func(error) // hears why a page cannot be rendered; nil in service

	draining chan struct{} // closed by Drain
	drain    sync.Once
	beat     time.Duration // between two events on a quiet stream
	patience time.Duration // how long a browser may take to accept an event
	tellers  chan struct{} // full while maxTellers pages look
}

var _ provider.Pages = (*UI)(nil)

// New reads the templates and texts and checks them: a template that names a
// missing text, or a text with a wrong placeholder, is an error here and not on
// a page.
func New(c Config) (*UI, error) {
	if c.Log == nil {
		return nil, errors.New("ui: Log is required")
	}
	if len(c.Countries) == 0 {
		return nil, errors.New("ui: Countries are required")
	}
	c.DeploymentName = cmp.Or(c.DeploymentName, c.AppName, "CallerIdP")
	c.AppName = cmp.Or(c.AppName, c.DeploymentName)
	if c.ClientAddr == nil {
		c.ClientAddr = endpoint.ConnectionAddr
	}
	u := &UI{Config: c, origin: http.NewCrossOriginProtection(), draining: make(chan struct{}), beat: 15 * time.Second, patience: 10 * time.Second, tellers: make(chan struct{}, maxTellers)}
	if c.Issuer != "" {
		issuer, err := url.Parse(c.Issuer)
		if err != nil || issuer.Host == "" {
			return nil, fmt.Errorf("ui: the issuer %q is not a URL", c.Issuer)
		}
		u.base = strings.TrimRight(issuer.EscapedPath(), "/")
		if err := u.origin.AddTrustedOrigin(issuer.Scheme + "://" + issuer.Host); err != nil {
			return nil, fmt.Errorf("ui: %w", err)
		}
	}
	var err error
	if c.Overrides != nil {
		if err := checkOverrides(c.Overrides); err != nil {
			return nil, err
		}
	}
	if u.static, err = loadAssets(c.Overrides, c.Brand.Logo, c.Groups); err != nil {
		return nil, err
	}
	if u.languages, err = loadLanguages(c.Overrides); err != nil {
		return nil, err
	}
	u.buttons = u.languages.buttons(u.base)
	for _, s := range u.languages.all {
		s.countries = sync.OnceValue(func() *countryList { return newCountryList(s.tag, c.Countries) })
		for _, other := range s.others {
			other.countries = s.countries
		}
	}
	if c.Overrides != nil {
		return u, u.tryPages()
	}
	return u, nil
}

// Drain ends the live connections of waiting pages, so that a server can shut
// down: give it to http.Server.RegisterOnShutdown. The pages ask again by
// themselves, from whichever server answers then.
func (u *UI) Drain() { u.drain.Do(func() { close(u.draining) }) }

// Languages are the languages of the pages, for ui_locales_supported in the
// discovery document (OpenID Connect Discovery §3): BCP 47, the first being used
// when no other fits.
func (u *UI) Languages() []string {
	var tags []string
	for _, s := range u.languages.all {
		tags = append(tags, s.Tag)
	}
	return tags
}
