// SPDX-License-Identifier: Apache-2.0

package authorize

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"calleridp/provider/client"
	"calleridp/provider/endpoint"
	"calleridp/provider/grant"
	"calleridp/truecaller"
)

// clients finds the client of a request.
type clients struct {
	registry Clients
	apps     truecaller.Apps
	here     client.Deployment // only its response types and StrangersWithoutPKCE
	issuer   string
}

// find finds the client. While client or redirect URI are in doubt the browser is sent
// nowhere (RFC 6749 §4.1.2.1), so the error is an *endpoint.PageError or an internal one.
func (cs clients) find(ctx context.Context, in endpoint.Parameters) (client.Client, error) {
	locales := in.UILocales()
	if in.Repeated("client_id") || in.Repeated("redirect_uri") {
		return client.Client{}, badRequest("client_id or redirect_uri is given more than once (RFC 6749 §3.1)").In(locales)
	}
	id := in.Get("client_id")
	if id == "" {
		return client.Client{}, badRequest("client_id is missing").In(locales)
	}
	c, err := cs.registry.Client(ctx, id)
	if errors.Is(err, client.ErrNotFound) {
		return c, endpoint.NewPageError(endpoint.ErrorUnknownClient, http.StatusBadRequest,
			"no client is registered with client_id %q", endpoint.Clip(id)).In(locales)
	}
	return c, err
}

// redirectURI matches the redirect URI of a request. Its error is as that of find.
func (p presented) redirectURI(c client.Client) (string, error) {
	uri := p.in.Get("redirect_uri")
	switch {
	case c.RedirectAllowed(uri):
		return uri, nil
	case uri == "" && p.refusal != nil: // it may be in the object
		return "", badRequest(p.refusal.Description).In(p.in.UILocales())
	}
	return "", endpoint.NewPageError(endpoint.ErrorRedirectURI, http.StatusBadRequest, "%s", redirectDetail(c, uri)).In(p.in.UILocales())
}

// redirectDiffers refuses a request whose object is refused and names another redirect URI
// than the query.
func redirectDiffers(in endpoint.Parameters) error {
	return endpoint.NewPageError(endpoint.ErrorRedirectURI, http.StatusBadRequest,
		"redirect_uri differs from the request object's").In(in.UILocales())
}

func badRequest(detail string) *endpoint.PageError {
	return endpoint.NewPageError(endpoint.ErrorBadRequest, http.StatusBadRequest, "%s", detail)
}

// redirectDetail tells a developer what is different about a redirect URI.
func redirectDetail(c client.Client, uri string) string {
	nearest := c.NearestRedirect(uri)
	switch {
	case len(c.RedirectURIs) == 0:
		return fmt.Sprintf("no redirect_uri is registered for %s; register one", c.ID)
	case uri == "":
		return fmt.Sprintf("redirect_uri is missing; registered for %s is %q", c.ID, nearest)
	case uri == nearest+"/" || uri+"/" == nearest:
		return fmt.Sprintf("redirect_uri is %q; the nearest registered for %s is %q: they differ in the slash at the end", endpoint.Clip(uri), c.ID, nearest)
	}
	return fmt.Sprintf("redirect_uri is %q; the nearest registered for %s is %q; they are compared byte by byte", endpoint.Clip(uri), c.ID, nearest)
}

// again finds the client of a sealed request once more, because the registration
// may have changed since, or another version of the program may have sealed the request:
// endpoint.ErrBadRequest when the client may not have the response any more, or not
// of this type, or not without the PKCE challenge that is missing.
func (cs clients) again(ctx context.Context, q *request) (client.Client, error) {
	if q.forAccount() {
		return cs.account(), nil
	}
	c, err := cs.registry.Client(ctx, q.ClientID)
	if errors.Is(err, client.ErrNotFound) {
		return client.Client{}, endpoint.ErrBadRequest
	}
	if err != nil {
		return client.Client{}, err
	}
	if q.forDevice() {
		return c, cs.againForDevice(q, c)
	}
	t := q.responseType()
	proven := grant.IsChallenge(q.Challenge) || q.Challenge == "" && (cs.here.ExcusesPKCE(c) || !t.Code())
	permitted := cs.here.AllowsResponseType(t) && c.AllowsResponseType(t)
	if c.RequestObjects.Required && !q.Signed {
		return client.Client{}, endpoint.ErrBadRequest
	}
	if !proven || !permitted || !c.RedirectAllowed(q.RedirectURI) {
		return client.Client{}, endpoint.ErrBadRequest
	}
	return c, nil
}

// restart returns err, with the way to start again at the client of a request, if there is
// one: a device is where its user starts again.
func (cs clients) restart(ctx context.Context, q *request, err error) error {
	if q.forAccount() || q.forDevice() {
		return err
	}
	c, unknown := cs.registry.Client(ctx, q.ClientID)
	if unknown != nil { // then nothing is offered, and err is what went wrong first
		return err
	}
	return endpoint.Restart(err, c, cs.issuer)
}

// app returns the Truecaller app through which the client's users are asked.
func (cs clients) app(c client.Client) (truecaller.App, error) {
	app, err := cs.apps.Of(c.TruecallerApp)
	if err != nil {
		return truecaller.App{}, fmt.Errorf("authorize: client %q: %w", c.ID, err)
	}
	return app, nil
}

// account returns the client that stands for the account page: it uses the
// default Truecaller app, or the first other one if that serves native
// applications alone.
func (cs clients) account() client.Client {
	c := client.Client{ID: endpoint.AccountClientID, TruecallerApp: cs.apps.Default}
	if !cs.apps.ByID[cs.apps.Default].NativeOnly() {
		return c
	}
	for _, id := range slices.Sorted(maps.Keys(cs.apps.ByID)) {
		if !cs.apps.ByID[id].NativeOnly() {
			c.TruecallerApp = id
			break
		}
	}
	return c
}
