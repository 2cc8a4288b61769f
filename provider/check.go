package provider

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"calleridp/provider/claims"
	"calleridp/provider/client"
	"calleridp/provider/grant"
)

// refused says why an authorization request is not served: by a page, when
// there is nobody to whom the browser could safely be sent back (page), or by
// an error response to the client (code).
type refused struct {
	page              *ErrorView
	code, description string
}

func (e *refused) Error() string {
	if e.page != nil {
		return "refused: " + string(e.page.Kind) + ": " + e.page.Detail
	}
	return "refused: " + e.code + ": " + e.description
}

func toClient(code, format string, args ...any) error {
	return &refused{code: code, description: fmt.Sprintf(format, args...)}
}

func toPage(kind ErrorKind, format string, args ...any) error {
	return &refused{page: &ErrorView{Kind: kind, Status: http.StatusBadRequest, Detail: fmt.Sprintf(format, args...)}}
}

// check validates an authorization request. The error is a *refused or a
// failure of ours. With a refused that has a code, the request returned is
// enough to tell the client.
func (p *Provider) check(ctx context.Context, in parameters) (*authRequest, client.Client, error) {
	q := &authRequest{UILocales: locales(in.get("ui_locales"))}
	c, err := p.checkClient(ctx, in, q)
	if err != nil {
		if bad := (*refused)(nil); errors.As(err, &bad) && bad.page != nil {
			bad.page.UILocales = q.UILocales
		}
		return q, c, err
	}
	// From here on errors go to the client.
	app, err := p.appOf(c)
	if err != nil {
		return q, c, err
	}
	for _, step := range []func(parameters, *authRequest, client.Client) error{
		checkResponse, checkUnsupported, checkScope, checkPKCE, checkPrompt, p.checkHint,
	} {
		if err := step(in, q, c); err != nil {
			return q, c, err
		}
	}
	if app.NativeOnly() {
		return q, c, toClient("unauthorized_client", "the client's people sign in natively, not through a browser")
	}
	q.Nonce = in.get("nonce")
	q.LoginHint = in.get("login_hint")
	return q, c, nil
}

// checkClient finds the client and compares the redirect URI. As long as these
// two are in doubt, the browser is sent nowhere (RFC 6749 §4.1.2.1).
func (p *Provider) checkClient(ctx context.Context, in parameters, q *authRequest) (client.Client, error) {
	if in.repeated["client_id"] || in.repeated["redirect_uri"] {
		return client.Client{}, toPage(ErrorBadRequest, "client_id or redirect_uri is given more than once (RFC 6749 §3.1)")
	}
	id := in.get("client_id")
	if id == "" {
		return client.Client{}, toPage(ErrorBadRequest, "client_id is missing")
	}
	c, err := p.Clients.Client(ctx, id)
	if errors.Is(err, client.ErrNotFound) {
		return client.Client{}, toPage(ErrorUnknownClient, "no client is registered with client_id %q", clip(id))
	}
	if err != nil {
		return client.Client{}, err
	}
	uri := in.get("redirect_uri")
	if !c.RedirectAllowed(uri) {
		return client.Client{}, toPage(ErrorRedirectURI, "%s", redirectDetail(c, uri))
	}
	q.ClientID, q.RedirectURI = id, uri
	return c, nil
}

// redirectDetail tells a developer what is different about a redirect URI.
func redirectDetail(c client.Client, uri string) string {
	nearest := c.NearestRedirect(uri)
	switch {
	case len(c.RedirectURIs) == 0:
		return fmt.Sprintf("no redirect_uri is registered for %s, so that nobody can sign in through a browser", c.ID)
	case uri == "":
		return fmt.Sprintf("redirect_uri is missing; registered for %s is %q", c.ID, nearest)
	case uri == nearest+"/" || uri+"/" == nearest:
		return fmt.Sprintf("redirect_uri is %q; the nearest registered for %s is %q: they differ in the slash at the end", clip(uri), c.ID, nearest)
	}
	return fmt.Sprintf("redirect_uri is %q; the nearest registered for %s is %q; they are compared byte by byte", clip(uri), c.ID, nearest)
}

// clip keeps what a stranger sent to a length that fits a page and a log.
func clip(s string) string {
	if len(s) > 300 {
		return strings.ToValidUTF8(s[:300], "") + "..."
	}
	return s
}

// checkResponse reads how and what to answer. response_mode comes first, so
// that everything else is answered in it (OAuth 2.0 Multiple Response Types §2.1).
func checkResponse(in parameters, q *authRequest, _ client.Client) error {
	q.State = in.get("state")
	switch in.get("response_mode") {
	case "", "query":
	case "form_post":
		q.FormPost = true
	default:
		return toClient("invalid_request", "response_mode is not one of query, form_post")
	}
	if name := in.anyRepeated(); name != "" {
		return toClient("invalid_request", "a parameter is given more than once (RFC 6749 section 3.1)")
	}
	switch in.get("response_type") {
	case "code":
		return nil
	case "":
		return toClient("invalid_request", "response_type is missing")
	}
	return toClient("unsupported_response_type", "response_type must be code")
}

// checkUnsupported refuses what would change the request's meaning if it were
// ignored (OpenID Connect Core §6.1, §6.2, §7.2.1).
func checkUnsupported(in parameters, _ *authRequest, _ client.Client) error {
	for _, name := range []string{"request", "request_uri", "registration"} {
		if in.has(name) {
			return toClient(name+"_not_supported", "%s is not supported", name)
		}
	}
	return nil
}

// checkScope keeps the scopes that exist and that the client may have; others
// are ignored (OpenID Connect Core §3.1.2.1).
func checkScope(in parameters, q *authRequest, c client.Client) error {
	asked := strings.Fields(in.get("scope"))
	if !slices.Contains(asked, claims.OpenID) {
		return toClient("invalid_scope", "scope must have openid in it")
	}
	for _, scope := range claims.Scopes {
		if slices.Contains(asked, scope) && c.AllowsScope(scope) {
			q.Scopes = append(q.Scopes, scope)
		}
	}
	return nil
}

// checkPKCE demands S256 of every client that is not excused (RFC 7636 §4.3,
// RFC 9700 §2.1.1). A missing method means plain, which nobody may use.
func checkPKCE(in parameters, q *authRequest, c client.Client) error {
	challenge, method := in.get("code_challenge"), in.get("code_challenge_method")
	switch {
	case challenge == "" && method == "" && c.WithoutPKCE && !c.Public:
		return nil
	case challenge == "":
		return toClient("invalid_request", "code_challenge is missing: PKCE is required (RFC 7636)")
	case method == "":
		return toClient("invalid_request", "code_challenge_method is missing; it must be S256")
	case method != "S256":
		return toClient("invalid_request", "code_challenge_method must be S256")
	case !grant.IsChallenge(challenge):
		return toClient("invalid_request", "code_challenge is not a SHA-256 in base64url")
	}
	q.Challenge = challenge
	return nil
}

// maxMaxAge bounds max_age: more than thirty years mean no bound.
const maxMaxAge = 1_000_000_000

// checkPrompt reads prompt and max_age (OpenID Connect Core §3.1.2.1).
func checkPrompt(in parameters, q *authRequest, c client.Client) error {
	prompts := strings.Fields(in.get("prompt"))
	for _, prompt := range prompts {
		switch prompt {
		case "none":
			if len(prompts) > 1 {
				return toClient("invalid_request", "prompt has none and something else")
			}
			q.Silent = true
		case "login", "select_account":
			// There is one account in a browser; to choose another is to sign
			// in with another number.
			q.Reauth = true
		case "consent":
			q.Consent = true
		default:
			return toClient("invalid_request", "prompt has an unknown value")
		}
	}
	if text := in.get("max_age"); text != "" {
		if len(text) > 10 || strings.Trim(text, "0123456789") != "" {
			return toClient("invalid_request", "max_age is not a number of seconds")
		}
		seconds, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return toClient("invalid_request", "max_age is not a number of seconds")
		}
		q.MaxAge = min(seconds, maxMaxAge) + 1
	} else if c.DefaultMaxAge != nil {
		q.MaxAge = min(int64(*c.DefaultMaxAge/time.Second), maxMaxAge) + 1
	}
	return nil
}

// checkHint reads id_token_hint: whom the client expects (OpenID Connect Core
// §3.1.2.1).
func (p *Provider) checkHint(in parameters, q *authRequest, c client.Client) error {
	text := in.get("id_token_hint")
	if text == "" {
		return nil
	}
	hint, err := p.readHint(text)
	if err != nil || hint.Audience != c.ID {
		return toClient("invalid_request", "id_token_hint is not an ID token that was issued here to this client")
	}
	q.HintSub = hint.Subject
	return nil
}

// locales reads ui_locales: BCP 47 tags, best first.
func locales(text string) []string {
	var tags []string
	for _, tag := range strings.Fields(text) {
		if len(tag) <= 35 && len(tags) < 16 && strings.Trim(tag, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-") == "" {
			tags = append(tags, tag)
		}
	}
	return tags
}
