package provider

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"calleridp/provider/claims"
	"calleridp/provider/client"
	"calleridp/provider/grant"
	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/subject"
	"calleridp/truecaller"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// The token exchange (RFC 8693) is how a native application signs somebody in:
// it brings the authorization code that Truecaller's SDK gave it, and gets the
// tokens that a web sign-in gives. The library knows no subject tokens but its
// own, so that this grant is ours from the parameters on.
const (
	// TokenTypeTruecallerCode is the subject_token_type of an authorization code
	// of Truecaller's Android SDK.
	TokenTypeTruecallerCode = "urn:calleridp:params:oauth:token-type:truecaller-code"

	tokenTypeAccess = string(oidc.AccessTokenType) // RFC 8693 §3
)

// Error codes of the token exchange that the library has no word for.
const (
	invalidTarget = "invalid_target" // RFC 8693 §2.2.2, RFC 8707 §2
	// temporarilyUnavailable is RFC 6749 §4.1.2.1's word, which §5.2 lacks: with
	// 429 for a budget, with 503 for a Truecaller that does not answer.
	temporarilyUnavailable = "temporarily_unavailable"
)

// checkExchange looks at the parameters of RFC 8693 §2.1. Who may act for whom,
// and at which resource, is not for this grant to say.
func checkExchange(in parameters) *problem {
	switch {
	case in.has("resource"), in.has("audience"):
		return &problem{http.StatusBadRequest, invalidTarget, "resource and audience are not supported: the tokens are for the client that asks"}
	case in.has("actor_token"), in.has("actor_token_type"):
		return badRequest("actor_token is not supported: nobody acts for another here")
	case in.get("subject_token") == "":
		return badRequest("subject_token is missing")
	case in.get("subject_token_type") == "":
		return badRequest("subject_token_type is missing")
	case in.get("subject_token_type") != TokenTypeTruecallerCode:
		return badRequest("subject_token_type is not " + TokenTypeTruecallerCode)
	case in.get("requested_token_type") != "" && in.get("requested_token_type") != tokenTypeAccess:
		return badRequest("requested_token_type is not " + tokenTypeAccess)
	case !truecaller.IsCode(in.get("subject_token")):
		return badRequest("subject_token is not an authorization code")
	case in.get("code_verifier") == "":
		return badRequest("code_verifier is missing: the PKCE verifier whose challenge the SDK was given")
	case !truecaller.IsVerifier(in.get("code_verifier")):
		return badRequest("code_verifier is not 43 to 128 of the characters A-Z a-z 0-9 - . _ ~ (RFC 7636 section 4.1)")
	}
	return nil
}

// tokenEndpoint sends token exchanges to our own handler and everything else to
// the library's. Both stand behind guard.
func (p *Provider) tokenEndpoint(library http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if oidc.GrantType(r.PostForm.Get("grant_type")) != oidc.GrantTypeTokenExchange {
			library.ServeHTTP(w, r)
			return
		}
		out, bad := p.exchange(w, r)
		if bad != nil {
			directEndpoint{}.writeProblem(w, bad)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(out)
	})
}

// exchange is a token exchange whose parameters are in order.
func (p *Provider) exchange(w http.ResponseWriter, r *http.Request) (*tokenResponse, *problem) {
	ctx, in := r.Context(), r.PostForm
	c, bad := p.exchanger(ctx, r)
	if bad != nil {
		return nil, bad
	}
	app, err := p.appOf(c)
	if err != nil {
		return nil, p.broken(ctx, "token exchange", err)
	}
	if !c.Native || app.NativeClientID == "" {
		return nil, &problem{http.StatusBadRequest, string(oidc.UnauthorizedClient), "the client is not set up for native sign-in (native, and native_client_id of its Truecaller app)"}
	}
	asked, bad := exchangeScopes(in.Get("scope"), c)
	if bad != nil {
		return nil, bad
	}
	now := time.Now()
	access, hash := grant.NewToken()
	signIn, err := p.Engine.Native(ctx, login.NativeRequest{
		Code: in.Get("subject_token"), Verifier: in.Get("code_verifier"), App: app.ID, ClientID: c.ID,
		Network: p.network(r), Server: !c.Public,
	}, func(a login.Attempt, profile truecaller.Profile) grant.Redemption {
		scopes := claims.Told(profile, asked)
		return p.lives.Issue(grant.Grant{
			ID: a.GrantID, ClientID: c.ID, Sub: a.Sub, Scopes: scopes,
			AuthTime: a.AuthTime, ACR: ACR, Created: now, Offline: slices.Contains(scopes, claims.OfflineAccess),
		}, hash, now)
	})
	a, bought := signIn.Attempt, signIn.Redemption.Current
	if err != nil {
		return nil, p.exchangeProblem(w, r, c, a, err)
	}
	person, scopes, err := p.authorizeSubject(ctx, c, bought, bought.Scopes)
	if err != nil {
		return nil, p.exchangeProblem(w, r, c, a, err)
	}
	out, err := p.tokenAnswer(issue{c, person, bought, scopes, access, "", now})
	if err != nil {
		return nil, p.broken(ctx, "token exchange", err)
	}
	out.IssuedTokenType = tokenTypeAccess
	return out, nil
}

// exchanger authenticates the client, by what guard has let through.
func (p *Provider) exchanger(ctx context.Context, r *http.Request) (client.Client, *problem) {
	given := &op.ClientCredentials{ClientID: r.PostForm.Get("client_id"), ClientSecret: r.PostForm.Get("client_secret")}
	if id, secret, ok := r.BasicAuth(); ok { // RFC 6749 §2.3.1: both are form-encoded
		var err1, err2 error
		given.ClientID, err1 = url.QueryUnescape(id)
		given.ClientSecret, err2 = url.QueryUnescape(secret)
		if err1 != nil || err2 != nil {
			return client.Client{}, unauthenticated("client authentication failed")
		}
	}
	c, err := p.Clients.Authenticate(ctx, given.ClientID, given.ClientSecret)
	if errors.Is(err, client.ErrUnauthenticated) {
		return client.Client{}, unauthenticated("client authentication failed")
	}
	if err != nil {
		return client.Client{}, p.broken(ctx, "client authentication", err)
	}
	return c, nil
}

// exchangeScopes are the scopes that the client asks for, as far as they exist
// and it may have them; openid where it asks for none (RFC 6749 §3.3).
func exchangeScopes(text string, c client.Client) ([]string, *problem) {
	asked := strings.Fields(text)
	if len(asked) == 0 {
		asked = []string{claims.OpenID}
	}
	var scopes []string
	for _, scope := range claims.Scopes {
		if slices.Contains(asked, scope) && c.AllowsScope(scope) {
			scopes = append(scopes, scope)
		}
	}
	if len(scopes) == 0 {
		return nil, &problem{http.StatusBadRequest, string(oidc.InvalidScope), "the client may have none of these scopes"}
	}
	return scopes, nil
}

// exchangeProblems are what an application is told about Truecaller's errors.
// What is wrong with a subject token is an invalid_request (RFC 8693 §2.2.2).
var exchangeProblems = []struct {
	err         error
	description string
}{
	{truecaller.ErrCodeRefused, "Truecaller does not accept subject_token with this code_verifier: a code is good once, and not for long"},
	{truecaller.ErrUnauthorized, "Truecaller does not accept its own answer to subject_token; ask the SDK for another one"},
	{truecaller.ErrNoOpenID, "the application must ask the SDK for the scope openid"},
	{truecaller.ErrNoNumber, "Truecaller tells no phone number: the application must ask the SDK for the scope phone, and the person must grant it"},
	{truecaller.ErrUnverified, "Truecaller has not verified the phone number"},
	{truecaller.ErrNoProfile, "Truecaller has no profile of the person"},
}

// exchangeProblem is the answer to a sign-in that did not come about. a is the
// attempt, if there is one.
func (p *Provider) exchangeProblem(w http.ResponseWriter, r *http.Request, c client.Client, a login.Attempt, err error) *problem {
	later := func(status int, wait time.Duration, description string) *problem {
		seconds := max(1, int(math.Ceil(wait.Seconds())))
		w.Header().Set("Retry-After", strconv.Itoa(seconds)) // RFC 9110 §10.2.3
		return &problem{status, temporarilyUnavailable, description}
	}
	ctx := r.Context()
	for _, known := range exchangeProblems {
		if errors.Is(err, known.err) {
			return badRequest(known.description)
		}
	}
	used, full, down := (*login.UsedError)(nil), (*limit.Exceeded)(nil), (*truecaller.Unavailable)(nil)
	wait := unavailablePause
	if errors.As(err, &down) {
		wait = time.Until(down.RetryAt)
	}
	switch {
	case errors.As(err, &used):
		p.codeUsedAgain(ctx, c, used.Before)
		return badRequest("subject_token was presented before; ask the SDK for another one")
	case errors.As(err, &full):
		return later(http.StatusTooManyRequests, time.Until(full.RetryAt), "too many sign-ins; the subject_token is still good")
	case errors.Is(err, truecaller.ErrExchangeUnavailable), errors.Is(err, truecaller.ErrProfileUnavailable), errors.Is(err, login.ErrState):
		return later(http.StatusServiceUnavailable, wait, "Truecaller does not answer; ask the SDK for another code and try again")
	case errors.Is(err, errGone), errors.Is(err, subject.ErrNotFound):
		return badRequest("the person has deleted their account meanwhile")
	case down != nil:
		return later(http.StatusServiceUnavailable, wait, "Truecaller does not answer; the subject_token is still good")
	}
	return p.broken(ctx, "token exchange by attempt "+string(a.ID), err)
}

// unavailablePause is how long an application is told to wait for a Truecaller
// that did not answer.
const unavailablePause = 10 * time.Second

// codeUsedAgain revokes what a code has given that somebody presents again (RFC
// 6749 §4.1.2): one of the two is not the application.
func (p *Provider) codeUsedAgain(ctx context.Context, c client.Client, before login.Attempt) {
	attrs := []slog.Attr{slog.String("kind", "truecaller_code"), slog.String("client", c.ID), slog.String("attempt", string(before.ID))}
	if before.ClientID != c.ID || before.State != login.Done {
		p.Logger.LogAttrs(ctx, slog.LevelInfo, "grant refused", append(attrs, slog.Any("reason", grant.ErrReused))...)
		return
	}
	id := before.GrantID
	_, err := p.Grants.UseGrant(ctx, id, func(g grant.Grant) grant.Redemption { return grant.Revoke(g) })
	if err != nil && !errors.Is(err, grant.ErrNotFound) {
		p.correlated(ctx, "revoking the grant of a code that was used again", err)
	}
	p.Audit.LogAttrs(ctx, slog.LevelWarn, "grant.reused", append(attrs, slog.String("grant", id), slog.String("sub", before.Sub))...)
}

// broken hides a failure of ours (invariant 10).
func (p *Provider) broken(ctx context.Context, what string, err error) *problem {
	return &problem{http.StatusInternalServerError, string(oidc.ServerError), "internal error, reference " + p.correlated(ctx, what, err)}
}
