// SPDX-License-Identifier: Apache-2.0

package authorize

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"calleridp/provider/claims"
	"calleridp/provider/client"
	"calleridp/provider/endpoint"
	"calleridp/provider/grant"
	"calleridp/provider/idtoken"
	"calleridp/truecaller"

	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// hints reads id_token_hint. *idtoken.Issuer does it.
type hints interface {
	ReadHint(compact string) (idtoken.Hint, error)
	// Subject returns the user's sub as the client knows it.
	Subject(c client.Client, sub string) string
}

// maxNonce is the longest nonce, in bytes.
const maxNonce = 1 << 10

// validate parses the parameters of a client whose redirect URI was matched. An error is an
// *oidc.Error for the client, an *endpoint.PageError or an internal one; the request returned
// with it is enough to send the client that error.
func (e *Endpoint) validate(p presented, c client.Client, redirectURI string) (*request, error) {
	in := p.in
	state, err := in.State()
	if err != nil {
		return nil, err
	}
	q := &request{
		ClientID:    c.ID,
		RedirectURI: redirectURI,
		State:       state,
		Nonce:       in.Get("nonce"),
		LoginHint:   in.Get("login_hint"),
		UILocales:   in.UILocales(),
		Signed:      p.signed,
	}
	if in.Garbled("state") {
		q.State = ""
	}
	app, err := e.clients.app(c)
	if err != nil {
		return q, err
	}
	// The response mode comes first: all other errors are sent in it (OAuth 2.0
	// Multiple Response Types §2.1).
	if q.Mode, err = parseMode(in.Get("response_mode"), in.Get("response_type"), redirectURI); err != nil {
		return q, err
	}
	if in.AnyRepeated() != "" {
		return q, invalidRequest("a parameter is given more than once (RFC 6749 section 3.1)")
	}
	if p.refusal != nil {
		return q, p.refusal
	}
	// A value that is sent back must be the client's, byte by byte (RFC 6749 §4.1.2,
	// OpenID Connect Core §2).
	if in.Garbled("state") {
		return q, invalidRequest(endpoint.GarbledState)
	}
	if in.Garbled("nonce") {
		return q, invalidRequest("nonce is not UTF-8")
	}
	if q.Type, err = parseResponseType(in.Get("response_type"), c, e.clients.here); err != nil {
		return q, err
	}
	if err := checkUnsupported(in); err != nil {
		return q, err
	}
	if err := checkNonce(q); err != nil {
		return q, err
	}
	if q.Scopes, err = in.ScopeFor(c); err != nil {
		return q, err
	}
	if q.Type.Code() {
		if q.Challenge, err = parsePKCE(in, e.clients.here.ExcusesPKCE(c)); err != nil {
			return q, err
		}
	} else {
		q.Scopes = withoutOffline(q.Scopes)
	}
	if q.Prompt, err = parsePrompt(in); err != nil {
		return q, err
	}
	if q.MaxAge, err = parseMaxAge(in, c); err != nil {
		return q, err
	}
	if q.HintSub, err = parseHint(in, c, e.hints); err != nil {
		return q, err
	}
	if err := parseClaims(in, c, app, q); err != nil {
		return q, err
	}
	if !endpoint.Fits(q) { // what JSON must escape takes up to six times its size
		return q, invalidRequest(fmt.Sprintf("the request is too large to be kept: as JSON it is longer than %d bytes", endpoint.MaxRequest))
	}
	if app.NativeOnly() {
		return q, oidc.ErrUnauthorizedClient().WithDescription("the client's users sign in natively, not through a browser")
	}
	return q, nil
}

func invalidRequest(description string) error {
	return oidc.ErrInvalidRequest().WithDescription("%s", description)
}

// checkUnsupported refuses parameters that would change the meaning of the
// request if they were ignored (OpenID Connect Core §7.2.1, RFC 8707 §2).
func checkUnsupported(in endpoint.Parameters) error {
	for _, parameter := range []struct {
		name string
		err  oidc.Error
	}{
		{"registration", oidc.Error{ErrorType: "registration_not_supported"}},
		{"resource", oidc.Error{ErrorType: oidc.InvalidTarget}},
	} {
		if in.Has(parameter.name) {
			return parameter.err.WithDescription("%s is not supported", parameter.name)
		}
	}
	return nil
}

// parsePKCE returns the code_challenge. S256 is required of every client that is
// not excused (RFC 7636 §4.3, RFC 9700 §2.1.1); a missing method means plain,
// which is never accepted.
func parsePKCE(in endpoint.Parameters, excused bool) (challenge string, err error) {
	challenge, method := in.Get("code_challenge"), in.Get("code_challenge_method")
	switch {
	case challenge == "" && method == "" && excused:
		return "", nil
	case challenge == "":
		return "", invalidRequest("code_challenge is missing: PKCE is required (RFC 7636)")
	case method == "":
		return "", invalidRequest("code_challenge_method is missing; it must be S256")
	case method != "S256":
		return "", invalidRequest("code_challenge_method must be S256")
	case !grant.IsChallenge(challenge):
		return "", invalidRequest("code_challenge is not a SHA-256 in base64url")
	}
	return challenge, nil
}

// prompt is what the prompt parameter demands (OpenID Connect Core §3.1.2.1).
type prompt struct {
	None    bool `json:"-"`           // no page may be shown; never sealed, because it shows none
	SignIn  bool `json:"r,omitempty"` // login or select_account
	Consent bool `json:"k,omitempty"`
}

func parsePrompt(in endpoint.Parameters) (prompt, error) {
	var p prompt
	values, ok := in.List("prompt")
	if !ok {
		return prompt{}, invalidRequest("prompt is malformed: it must be values with one space between them")
	}
	for _, value := range values {
		switch value {
		case oidc.PromptNone:
			if len(values) > 1 {
				return prompt{}, invalidRequest("prompt has none and something else")
			}
			p.None = true
		case oidc.PromptLogin, oidc.PromptSelectAccount:
			// A browser has one account here; another is chosen by signing in with
			// another number.
			p.SignIn = true
		case oidc.PromptConsent:
			p.Consent = true
		default:
			return prompt{}, invalidRequest("prompt has an unknown value")
		}
	}
	return p, nil
}

// maxMaxAge bounds max_age, in seconds: more than thirty years mean no bound.
const maxMaxAge = 1_000_000_000

// parseMaxAge returns max_age in seconds, the client's default_max_age where the
// request has none, nil where neither has (OpenID Connect Core §3.1.2.1).
func parseMaxAge(in endpoint.Parameters, c client.Client) (*int64, error) {
	text := in.Get("max_age")
	if text == "" {
		if c.DefaultMaxAge == nil {
			return nil, nil
		}
		return new(min(int64(*c.DefaultMaxAge/time.Second), maxMaxAge)), nil
	}
	seconds, err := strconv.ParseUint(text, 10, 63)
	if err != nil || len(text) > 10 {
		return nil, invalidRequest("max_age is not a number of seconds")
	}
	return new(min(int64(seconds), maxMaxAge)), nil
}

// parseHint returns the sub of id_token_hint: whom the client expects (OpenID
// Connect Core §3.1.2.1).
func parseHint(in endpoint.Parameters, c client.Client, issuer hints) (sub string, err error) {
	text := in.Get("id_token_hint")
	if text == "" {
		return "", nil
	}
	hint, err := issuer.ReadHint(text)
	if errors.Is(err, idtoken.ErrEncryptedHint) {
		return "", invalidRequest("id_token_hint is encrypted; send the signed ID token inside (OpenID Connect Core section 3.1.2.1)")
	}
	if err != nil || hint.Audience != c.ID {
		return "", invalidRequest("id_token_hint is not an ID token that was issued here to this client")
	}
	return hint.Subject, nil
}

// parseClaims reads the parameter claims into q (OpenID Connect Core §5.5). A client may
// request the claims of the scopes that it may have.
func parseClaims(in endpoint.Parameters, c client.Client, app truecaller.App, q *request) error {
	wanted, err := claims.ParseRequest(in.Get("claims"))
	if err != nil {
		return invalidRequest(err.Error())
	}
	q.IDTokenClaims, q.UserinfoClaims = c.GrantableClaims(wanted.IDToken), c.GrantableClaims(wanted.Userinfo)
	if !q.responseType().Code() && !q.responseType().AccessToken() {
		q.UserinfoClaims = nil // nothing will fetch them
	}
	if err := parseACR(in, c, wanted.ACR, app, q); err != nil {
		return err
	}
	switch {
	case wanted.Sub == "":
	case q.HintSub != "" && q.HintSub != wanted.Sub:
		return invalidRequest("claims and id_token_hint name different users")
	default:
		q.SubGuessed = q.HintSub == "" // an ID token proves that the client has met the user
		q.HintSub = wanted.Sub
	}
	return nil
}
