// SPDX-License-Identifier: Apache-2.0

package token

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"calleridp/provider/audit"
	"calleridp/provider/claims"
	"calleridp/provider/client"
	"calleridp/provider/endpoint"
	"calleridp/provider/grant"
	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/redact"
	"calleridp/provider/subject"
	"calleridp/truecaller"

	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// The token exchange (RFC 8693) is how a native application signs a user in: it
// presents the authorization code that Truecaller's SDK gave it, and gets the
// tokens that a web sign-in gives.

// TokenTypeTruecallerCode is the subject_token_type of an authorization code of
// Truecaller's Android SDK.
const TokenTypeTruecallerCode = "urn:calleridp:params:oauth:token-type:truecaller-code"

// checkExchange looks at the parameters of RFC 8693 §2.1. Delegation and other
// resources are not for this grant.
func checkExchange(in endpoint.Parameters) error {
	requested := in.Get("requested_token_type")
	switch {
	case in.Has("audience"):
		return oidc.ErrInvalidTarget().WithDescription("audience is not supported: the tokens are for the client that asks")
	case in.Has("actor_token"), in.Has("actor_token_type"):
		return endpoint.InvalidRequest("actor_token is not supported: there is no delegation")
	case in.Get("subject_token") == "":
		return endpoint.InvalidRequest("subject_token is missing")
	case in.Get("subject_token_type") == "":
		return endpoint.InvalidRequest("subject_token_type is missing")
	case in.Get("subject_token_type") != TokenTypeTruecallerCode:
		return endpoint.InvalidRequest("subject_token_type is not " + TokenTypeTruecallerCode)
	case requested != "" && requested != string(oidc.AccessTokenType):
		return endpoint.InvalidRequest("requested_token_type is not " + string(oidc.AccessTokenType))
	case !truecaller.IsCode(in.Get("subject_token")):
		return endpoint.InvalidRequest("subject_token is not an authorization code")
	case in.Get("code_verifier") == "":
		return endpoint.InvalidRequest("code_verifier is missing: the PKCE verifier whose challenge the SDK was given")
	case !truecaller.IsVerifier(in.Get("code_verifier")):
		return endpoint.InvalidRequest("code_verifier is not 43 to 128 of the characters A-Z a-z 0-9 - . _ ~ (RFC 7636 section 4.1)")
	}
	return nil
}

// exchange carries out a native sign-in.
func (e *Endpoint) exchange(r *http.Request, c client.Client, in endpoint.Parameters) (*response, error) {
	ctx := r.Context()
	app, err := e.cfg.Apps.Of(c.TruecallerApp)
	if err != nil {
		return nil, fmt.Errorf("client %q: %w", c.ID, err)
	}
	if !c.Native || app.NativeClientID == "" {
		return nil, oidc.ErrUnauthorizedClient().WithDescription("the client is not set up for native sign-in (native, and native_client_id of its Truecaller app)")
	}
	requested, err := exchangeScopes(in, c)
	if err != nil {
		return nil, err
	}
	access, hash := grant.NewToken()
	out := issued{client: c, access: access}
	signIn, err := e.cfg.Native.Native(ctx, login.NativeRequest{
		Code:     redact.Text(in.Get("subject_token")),
		Verifier: redact.Text(in.Get("code_verifier")),
		App:      app.ID,
		ClientID: c.ID,
		Network:  e.cfg.Addr.Network(r),
		Server:   !c.Public,
	}, func(a login.Attempt, profile truecaller.Profile) (grant.Redemption, error) {
		// Everything that may fail comes before the transaction that uses the
		// attempt, as with a code.
		out.now = a.Ended
		scopes := claims.Granted(profile, requested)
		buys := e.cfg.GrantPolicy.Issue(grant.Grant{
			ID:       a.GrantID,
			ClientID: c.ID,
			Sub:      a.Sub,
			Scopes:   scopes,
			AuthTime: a.AuthTime,
			ACR:      claims.ACRNative,
			AMR:      claims.AMR(),
			Created:  out.now,
			Offline:  slices.Contains(scopes, claims.OfflineAccess),
		}, hash, out.now)
		var err error
		out.grant = buys.Current
		out.person, out.scopes, err = e.policy.allowed(ctx, c, out.grant, out.grant.Scopes)
		if err != nil {
			return grant.Redemption{}, err
		}
		return buys, e.sign(ctx, &out)
	})
	if err != nil {
		return nil, e.exchangeRefusal(ctx, c, signIn.Attempt, err)
	}
	resp := e.respond(out, signIn.Redemption.Current)
	resp.IssuedTokenType = oidc.AccessTokenType
	return resp, nil
}

// exchangeScopes returns the requested scopes that exist and that the client may
// have; openid where it requests none (RFC 6749 §3.3).
func exchangeScopes(in endpoint.Parameters, c client.Client) ([]string, error) {
	requested, err := in.Scope()
	if err != nil {
		return nil, err
	}
	if len(requested) == 0 {
		requested = []string{claims.OpenID}
	}
	scopes := c.GrantableScopes(requested)
	if len(scopes) == 0 {
		return nil, oidc.ErrInvalidScope().WithDescription("the client may have none of these scopes")
	}
	return scopes, nil
}

// subjectTokenErrors are the descriptions of Truecaller's errors. What is wrong
// with a subject token is an invalid_request (RFC 8693 §2.2.2).
var subjectTokenErrors = []struct {
	err         error
	description string
}{
	{truecaller.ErrCodeRefused, "Truecaller does not accept subject_token with this code_verifier: a code is good once, and not for long"},
	{truecaller.ErrUnauthorized, "Truecaller does not accept the token that it issued for subject_token; ask the SDK for another one"},
	{truecaller.ErrNoOpenID, "the application must ask the SDK for the scope openid"},
	{truecaller.ErrNoNumber, "Truecaller returned no phone number: the application must ask the SDK for the scope phone, and the user must grant it"},
	{truecaller.ErrUnverified, "Truecaller has not verified the phone number"},
	{truecaller.ErrNoProfile, "Truecaller has no profile of the user"},
}

// unavailableRetry is when an application may try again after Truecaller did not
// answer.
const unavailableRetry = 10 * time.Second

// exchangeRefusal returns the error response of a sign-in that did not succeed. a
// is the attempt, if there is one.
func (e *Endpoint) exchangeRefusal(ctx context.Context, c client.Client, a login.Attempt, err error) error {
	for _, known := range subjectTokenErrors {
		if errors.Is(err, known.err) {
			return endpoint.InvalidRequest(known.description)
		}
	}
	if used, ok := errors.AsType[*login.UsedError](err); ok {
		if err := e.presentedAgain(ctx, c, used.Before); err != nil {
			return fmt.Errorf("token exchange: revoking what a code gave that was used again: %w", err)
		}
		return endpoint.InvalidRequest("subject_token was presented before; ask the SDK for another one")
	}
	if errors.Is(err, login.ErrContested) {
		return endpoint.InvalidRequest("subject_token was presented a second time meanwhile; ask the SDK for another one")
	}
	if exceeded, ok := errors.AsType[*limit.Exceeded](err); ok {
		return unavailable(http.StatusTooManyRequests, time.Until(exceeded.RetryAt), "too many sign-ins; the subject_token is still good")
	}
	retry := unavailableRetry
	down, isDown := errors.AsType[*truecaller.Unavailable](err)
	if isDown {
		retry = time.Until(down.RetryAt)
	}
	switch {
	case errors.Is(err, truecaller.ErrExchangeUnavailable), errors.Is(err, truecaller.ErrProfileUnavailable), errors.Is(err, login.ErrState):
		return unavailable(http.StatusServiceUnavailable, retry, "Truecaller does not respond; ask the SDK for another code and try again")
	case errors.Is(err, errRevoked), errors.Is(err, subject.ErrNotFound):
		return endpoint.InvalidRequest("the user has deleted their account meanwhile")
	case isDown:
		return unavailable(http.StatusServiceUnavailable, retry, "Truecaller does not respond; the subject_token is still good")
	}
	return fmt.Errorf("token exchange by attempt %s: %w", a.ID, err)
}

// temporarilyUnavailable is RFC 6749 §4.1.2.1's code, which §5.2 lacks.
const temporarilyUnavailable = "temporarily_unavailable"

// unavailable refuses with temporarily_unavailable: with 429 for a rate limit, with 503 if
// Truecaller does not respond.
func unavailable(status int, retry time.Duration, description string) error {
	e := oidc.Error{ErrorType: temporarilyUnavailable}
	return &endpoint.Refusal{
		Status:     status,
		OAuth:      e.WithDescription("%s", description),
		RetryAfter: max(retry, time.Second),
	}
}

// presentedAgain revokes what a code has given that is presented again, by whichever
// client (RFC 6749 §4.1.2): one of the two presenters is not the application. The
// first use, if it was still under way, has been ended by login.Engine.Native.
func (e *Endpoint) presentedAgain(ctx context.Context, c client.Client, before login.Attempt) error {
	const kind = "truecaller_code"
	if before.State != login.Done {
		e.cfg.Failures.Log.LogAttrs(ctx, slog.LevelInfo, "grant refused",
			slog.String("kind", kind),
			slog.String("client", c.ID),
			slog.String("attempt", string(before.ID)),
			slog.Any("reason", grant.ErrReused))
		return nil
	}
	_, err := e.cfg.Grants.UseGrant(ctx, before.GrantID, func(g grant.Grant) grant.Redemption { return grant.Revoke(g) })
	if err != nil && !errors.Is(err, grant.ErrNotFound) {
		return err
	}
	e.cfg.Audit.Record(ctx, audit.Event{
		Name:    audit.GrantReused,
		Kind:    kind,
		Client:  c.ID,
		Attempt: string(before.ID),
		Grant:   before.GrantID,
		Subject: before.Sub,
	})
	return nil
}
