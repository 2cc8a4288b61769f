// SPDX-License-Identifier: Apache-2.0

package page

import (
	"html/template"
	"net/url"
	"strings"
	"unicode"

	"calleridp/provider/client"
	"calleridp/provider/endpoint"
)

// view is what one template shows. Each page has a struct of its own that embeds
// chrome, so that a template cannot name a field that its page does not fill in.
type view interface{ frame() *chrome }

// chrome is what the layout shows around every page.
type chrome struct {
	Nonce               string
	Base                string
	Style, Script, Icon string
	Joins               bool         // the script changes how the page is laid out, and so runs before it is drawn
	Solver              string       // the script that solves a challenge; "" for none
	Logo                string       // "" for none
	Accent              template.CSS // "" for the stylesheet's own
	Privacy, Terms      string       // the operator's pages; "" for none
	Lang, Dir           string
	Deployment          string
	Simulation          bool
	Client              clientView
	Switch              *switcher // nil for none
}

func (c *chrome) frame() *chrome { return c }

// clientView is a endpoint.ClientView whose links are safe on a page.
type clientView struct {
	Name, Initial    string
	Logo             string // the path of a picture of ours, under Base; "" for none
	Picture          string // the same with Base, for the application's mark
	URI, TOS, Policy string // https, or ""
	Home             string // the host of URI
	Accent           *client.Accent
	own              bool // the account page of this deployment, which is no client
}

// chromeOf returns the chrome of a page that a client's user sees.
func chromeOf(c endpoint.ClientView) chrome { return chrome{Client: showClient(c)} }

func showClient(c endpoint.ClientView) clientView {
	v := clientView{
		Name:   strings.TrimSpace(c.Name),
		Logo:   logoPath(c.Logo),
		URI:    webURL(c.URI),
		TOS:    webURL(c.TOSURI),
		Policy: webURL(c.PolicyURI),
		Accent: c.Accent,
		own:    c.Own,
	}
	if u, err := url.Parse(v.URI); err == nil {
		v.Home = u.Hostname()
	}
	if v.Name == "" {
		v.Name = c.ID
	}
	v.Initial = initial(v.Name)
	return v
}

// initial returns the first letter or digit of a name as a capital, "" if it has none.
func initial(name string) string {
	for _, r := range name {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return string(unicode.ToUpper(r))
		}
	}
	return ""
}

// under returns the client with its picture's address.
func (c clientView) under(base string) clientView {
	if c.Logo != "" {
		c.Picture = base + c.Logo
	}
	return c
}

// shownNumber returns a masked number as the pages write it: +46•••••0605 as +46 •••• 0605.
func shownNumber(masked string) string {
	before, after, ok := strings.Cut(masked, "•")
	if !ok {
		return masked
	}
	return before + " •••• " + strings.TrimLeft(after, "•")
}

// logoPath returns the path of a client's picture, "" for anything else: a page loads no
// picture from elsewhere.
func logoPath(path string) string {
	if !strings.HasPrefix(path, endpoint.PathClientLogo) {
		return ""
	}
	return path
}

// webURL returns a client's link if it leads to the web over TLS, and "" otherwise.
func webURL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
		return ""
	}
	return raw
}
