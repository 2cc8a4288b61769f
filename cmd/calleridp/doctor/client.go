// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"calleridp/provider/admin"
	"calleridp/provider/client"
	"calleridp/provider/fetch"
	"calleridp/truecaller"
)

// client checks the settings of one client.
func (e *examination) client(ctx context.Context) {
	check := "client " + e.Client
	c, stored, err := e.findClient(ctx)
	if err != nil {
		e.add(check, Failed, err.Error(), "calleridp client list shows all")
		return
	}
	add := func(status Status, found, fix string) { e.add(check, status, found, fix) }
	here := e.s.ClientDeployment()
	for _, one := range append(client.Validate(c), client.ValidateFor(c, here)...) {
		if stored && one.Field == "secret" {
			continue // the server shows no secret; it has checked it
		}
		add(Failed, one.Error(), "")
	}
	for _, one := range client.Advise(c) {
		add(Warning, one.Error(), "")
	}
	switch {
	case here.ExcusesPKCE(c):
		add(Warning, "it is excused from PKCE (RFC 9700 section 2.1.1)", "set dangerously_without_pkce to false as soon as it sends code_challenge")
	default:
		add(OK, "it needs PKCE, with S256", "")
	}
	alg := c.IDTokenAlg
	if alg == "" {
		alg = client.Algorithms[0]
	}
	if alg == client.AlgNone {
		add(Warning, "its ID tokens have no signature", "register id_token_signed_response_alg RS256")
	} else {
		add(OK, "its ID tokens are signed with "+alg, "")
	}
	e.redirects(ctx, check, c)
	fetcher := fetch.New(fetch.Options{Networks: e.s.ClientNetworks})
	if c.KeysURI != "" {
		raw, err := fetcher.Get(ctx, c.KeysURI, "application/json")
		if err == nil {
			_, err = client.ParseKeys(raw)
		}
		if err != nil {
			add(Failed, fmt.Sprintf("jwks_uri: %v", err), "publish a JWK set there; list the network in client_networks if it is your own")
		} else {
			add(OK, "jwks_uri has usable keys", "")
		}
	}
	if to := c.BackChannel.LogoutURI; to != "" {
		e.results = append(e.results, backChannel(ctx, check, fetcher, to))
	}
}

// findClient returns the client with the id of the options: from the configuration, or from
// the store of the running server.
func (e *examination) findClient(ctx context.Context) (c client.Client, stored bool, err error) {
	at := slices.IndexFunc(e.s.Clients, func(c client.Client) bool { return c.ID == e.Client })
	if at >= 0 {
		return e.s.Clients[at], false, nil
	}
	if e.running != nil {
		return client.Client{}, false, fmt.Errorf("the configuration does not declare it, and the running server cannot be asked")
	}
	var found admin.Client
	if err := e.admin.Get(ctx, "/v1/clients/"+url.PathEscape(e.Client), &found); err != nil {
		return client.Client{}, false, err
	}
	c, err = found.Settings()
	return c, true, err
}

// redirects checks the redirect URIs of a client. They are for browsers; that this machine
// reaches them is not needed, and a stranger's are left alone.
func (e *examination) redirects(ctx context.Context, check string, c client.Client) {
	for i, uri := range c.RedirectURIs {
		what := fmt.Sprintf("redirect_uris[%d] %s", i, uri)
		u, err := url.Parse(uri)
		switch {
		case err != nil || u.Scheme != "https" && u.Scheme != "http":
			e.add(check, NotChecked, what+": an application on the user's device", "")
			continue
		case truecaller.IsLoopback(u.Hostname()):
			e.add(check, NotChecked, what+": on the user's own device", "")
			continue
		case c.Registration != nil:
			e.add(check, NotChecked, what+": registered by a stranger; doctor requests nothing there", "")
			continue
		}
		exact := "it is matched exactly: path, case and trailing slash must be those that the application sends"
		a, err := e.get(ctx, uri)
		switch {
		case err != nil:
			e.add(check, Warning, fmt.Sprintf("%s: no response for this machine (%v)", what, err), "browsers go there: correct it, unless only they reach it")
		case a.StatusCode == http.StatusNotFound:
			e.add(check, Warning, what+": status 404", "correct the path; "+exact)
		case a.StatusCode >= 500 && strings.HasPrefix(u.Scheme, "http"):
			e.add(check, Warning, fmt.Sprintf("%s: status %d, for a request without a code", what, a.StatusCode), "see whether the application runs")
		default:
			e.add(check, OK, fmt.Sprintf("%s: it responds; %s", what, exact), "")
		}
	}
}

// backChannel sends a client a logout token that is none, as the server would send one.
func backChannel(ctx context.Context, check string, f *fetch.Client, to string) Result {
	reply, err := f.Post(ctx, to, url.Values{"logout_token": {"a-probe-of-calleridp-doctor"}})
	fix := "it must respond with 200 to a valid logout token and with 400 to any other (OpenID Connect Back-Channel Logout section 2.8)"
	what := "backchannel_logout_uri"
	switch {
	case err != nil:
		return Result{check, Failed, fmt.Sprintf("%s: %v", what, err), "make it reachable; list its network in client_networks if it is your own"}
	case reply.Status == http.StatusBadRequest:
		return Result{check, OK, what + ": it responds, and refuses an invalid logout token", ""}
	case reply.Status >= 200 && reply.Status < 300:
		return Result{check, Failed, what + ": it accepts an invalid logout token, so an attacker can sign its users out", fix}
	}
	return Result{check, Warning, fmt.Sprintf("%s: status %d for an invalid logout token", what, reply.Status), fix}
}
