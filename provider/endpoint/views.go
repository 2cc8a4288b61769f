// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"net/http"
	"net/url"

	"calleridp/provider/client"
)

// ClientView is what a page may say about the client.
type ClientView struct {
	ID, Name, URI, TOSURI, PolicyURI string
	Logo                             string         // the path of its picture here; "" for none
	Accent                           *client.Accent // nil: the operator's
	// Own is set when there is no client: the user signs in to their account
	// page here. The other fields are then empty.
	Own bool
}

// Logos knows pictures of clients.
type Logos interface {
	// Of returns the path under which the logo of a client is served here, "" for none. It
	// may be none until it was fetched, which Of begins and does not wait for.
	Of(c client.Client) string
}

// ViewOf returns what a page may say about c, without its logo.
func ViewOf(c client.Client) ClientView { return ViewFor(c, "") }

// ViewFor is ViewOf for a page that leads to a response to redirectURI, "" for none.
func ViewFor(c client.Client, redirectURI string) ClientView {
	name := c.Shown(redirectURI)
	if name == "" {
		name = c.ID
	}
	home := c.URI
	if c.Registration != nil && (!c.LeadsTo(home) || c.DeviceFlow && redirectURI == "") {
		home = "" // another's address would vouch for the name (RFC 7591 §5, RFC 8628 §5.4)
	}
	accent, _ := client.ParseAccent(c.Colour, c.ColourDark) // one that does not parse counts as unset
	return ClientView{
		ID:        c.ID,
		Name:      name,
		URI:       home,
		TOSURI:    c.TOSURI,
		PolicyURI: c.PolicyURI,
		Accent:    accent,
	}
}

// ErrorKind chooses the fixed sentence of an error page.
type ErrorKind string

// The kinds of error pages, with their statuses.
const (
	ErrorBadRequest       ErrorKind = "bad_request"        // 400, a request that no client of ours makes
	ErrorUnknownClient    ErrorKind = "unknown_client"     // 400
	ErrorRedirectURI      ErrorKind = "redirect_uri"       // 400
	ErrorRequestExpired   ErrorKind = "request_expired"    // 400, the sealed request is too old
	ErrorNotYourBrowser   ErrorKind = "not_your_browser"   // 403 (invariant 2)
	ErrorNotFound         ErrorKind = "not_found"          // 404
	ErrorMethodNotAllowed ErrorKind = "method_not_allowed" // 405
	ErrorFinished         ErrorKind = "finished"           // 410, the attempt was used already
	ErrorTooLarge         ErrorKind = "too_large"          // 413
	ErrorCrossOrigin      ErrorKind = "cross_origin"       // 403, a form of another site
	ErrorInternal         ErrorKind = "internal"           // 500
)

// ErrorView is what an error page shows. Correlation is on the page and in the
// log, where the cause is (invariant 10). Detail is for the client's developer
// and is shown only in development.
type ErrorView struct {
	Kind        ErrorKind
	Status      int
	Correlation string
	Detail      string
	UILocales   []string
	// Client and Restart are of the client at which the user may start again, see
	// RestartError; Restart is "" for none.
	Client  ClientView
	Restart string
}

// ErrorPages draws error pages. It writes the whole response, status included.
type ErrorPages interface {
	Error(w http.ResponseWriter, r *http.Request, v ErrorView)
}

// FormAction returns what a page's Content-Security-Policy must name so that a
// form may end at uri: the origin of a web address, the scheme of another; "" for
// a page of our own.
func FormAction(uri string) string {
	if origin := WebOrigin(uri); origin != "" {
		return origin
	}
	u, err := url.Parse(uri)
	if err != nil || u.Scheme == "" {
		return ""
	}
	return u.Scheme + ":"
}

// WebOrigin returns the origin of a web address, "" for any other URI.
func WebOrigin(uri string) string {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}
