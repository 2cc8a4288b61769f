// SPDX-License-Identifier: Apache-2.0

package truecaller

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// A native Android application signs its user in by Truecaller's OAuth interface
// (docs/truecaller.md section 5). Truecaller's SDK gives the application an
// authorization code, bound by PKCE to a verifier that the application keeps. The
// code and the verifier get a token, and the token gets the profile.

// Errors of ExchangeCode and FetchUserinfo, beside ErrUnauthorized, ErrProfile
// and ErrProfileUnavailable.
var (
	// ErrCodeRefused: the code or its verifier is wrong, expired or used.
	ErrCodeRefused = errors.New("truecaller: the authorization code or its verifier was refused")
	// ErrClientIDRefused: the operator configured a wrong client id.
	ErrClientIDRefused = errors.New("truecaller: the OAuth client id was refused: check native_client_id in the configuration, " +
		"and in Truecaller's portal that the app is of type Android and approved")
	// ErrExchange: the response of the token endpoint is not a documented one.
	ErrExchange = errors.New("truecaller: the token endpoint's response cannot be parsed")
	// ErrExchangeUnavailable: no response, a 429 or a 5xx. The code may be used up.
	ErrExchangeUnavailable = errors.New("truecaller: the token endpoint did not respond")
	// ErrNoProfile: Truecaller has no profile of the user.
	ErrNoProfile = errors.New("truecaller: there is no profile")
	// ErrNoOpenID: the application did not request the scope openid.
	ErrNoOpenID = errors.New("truecaller: the scope openid was not granted")
	// ErrNoNumber: the application did not request the scope phone, or the user did not
	// grant it.
	ErrNoNumber = errors.New("truecaller: the scope phone was not granted: there is no phone number")
	// ErrUnverified: Truecaller has not verified the number.
	ErrUnverified = errors.New("truecaller: the phone number is not verified")
)

// maxCode is the longest code that is sent, in characters. Truecaller documents neither
// the length nor the alphabet.
const maxCode = 2048

// IsCode reports whether s may be an authorization code: visible characters (RFC 6749
// appendix A.11), at most 2048.
func IsCode(s string) bool { return len(s) <= maxCode && isBearer(s) }

// IsVerifier reports whether s has the form of a PKCE code_verifier: 43 to 128
// unreserved characters (RFC 7636 §4.1).
func IsVerifier(s string) bool {
	return len(s) >= 43 && len(s) <= 128 && consistsOf(s, unreserved)
}

// AdmitExchange returns a permit to redeem a code for app, or an *Unavailable. Callers
// get it before they write anything, and pass it to ExchangeCode or return it.
func (c *Client) AdmitExchange(app App) (*Permit, error) {
	if app.OAuth == nil {
		return &Permit{}, nil // ExchangeCode says what is wrong
	}
	return c.admit(ForToken, app.OAuth.Host)
}

// ExchangeCode redeems a code of the SDK for an access token (docs/truecaller.md
// section 5). permit is that of AdmitExchange for app. There is no client secret and no
// redirect URI: only the verifier proves that the code is the application's. It makes
// one request, because a code is good for one use. The error is, or wraps, one of the
// errors above, and has neither code nor verifier.
func (c *Client) ExchangeCode(ctx context.Context, permit *Permit, app App, code, verifier string) (token string, err error) {
	if !IsCode(code) || !IsVerifier(verifier) {
		return "", ErrCodeRefused // it cannot be valid
	}
	if app.OAuth == nil || app.NativeClientID == "" {
		return "", fmt.Errorf("%w: app %q has none", ErrClientIDRefused, app.ID)
	}
	form := url.Values{
		"grant_type":    {"authorization_code"},
		"client_id":     {app.NativeClientID},
		"code":          {code},
		"code_verifier": {verifier},
	}
	at := app.OAuth.JoinPath("v1/token").String()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, at, strings.NewReader(form.Encode()))
	if err != nil {
		return "", fmt.Errorf("%w: its address is not usable", ErrExchangeUnavailable)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "application/json")
	begun := time.Now() // before this, the caller returns the permit
	defer func() { c.asked(ctx, ForToken, permit, begun, err) }()
	answer, err := c.http.Do(r)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrExchangeUnavailable, withoutURL(err))
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if answer.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%w: status %d", exchangeRefusal(answer.StatusCode, body), answer.StatusCode)
	}
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrExchangeUnavailable, withoutURL(err))
	}
	var given struct {
		AccessToken string `json:"access_token"`
		TokenType   string `json:"token_type"`
	}
	switch err := json.Unmarshal(body, &given); {
	case err != nil:
		return "", fmt.Errorf("%w: not the JSON of an access token", ErrExchange)
	case !isBearer(given.AccessToken):
		return "", fmt.Errorf("%w: no usable access token", ErrExchange)
	case given.TokenType != "" && !strings.EqualFold(given.TokenType, "Bearer"): // RFC 6749 §7.1
		return "", fmt.Errorf("%w: the token is not a bearer token", ErrExchange)
	}
	return given.AccessToken, nil
}

// aboutClientID are words by which the text of an error is about the client id.
var aboutClientID = []string{
	"client id",
	"client_id",
	"clientid",
	"invalid client",
	"invalid_client",
	"unauthorized_client",
	"not allowed for",
	"partner",
}

// exchangeRefusal interprets a response other than 200. A 403 may be about the code,
// which comes from outside, or about the client id, which the operator configured. The
// body is not documented: exchangeRefusal reads RFC 6749 §5.2's error and the envelope
// of Truecaller's other interfaces. In doubt it blames the code.
func exchangeRefusal(status int, body []byte) error {
	switch {
	case status >= 500, status == http.StatusTooManyRequests, status == http.StatusRequestTimeout:
		return ErrExchangeUnavailable
	case status == http.StatusUnauthorized, status == http.StatusNotFound:
		return ErrClientIDRefused
	case status != http.StatusBadRequest && status != http.StatusForbidden:
		return ErrExchange
	}
	var said struct {
		Error       scalar `json:"error"`
		Description scalar `json:"error_description"`
		Message     scalar `json:"message"`
	}
	json.Unmarshal(body, &said)
	text := strings.ToLower(string(said.Error + " " + said.Description + " " + said.Message))
	if slices.ContainsFunc(aboutClientID, func(words string) bool { return strings.Contains(text, words) }) {
		return ErrClientIDRefused
	}
	return ErrCodeRefused
}

// How often the profile of a native sign-in is requested, and the first pause between.
// The user waits in the application.
const (
	userinfoTries = 3
	userinfoPause = 200 * time.Millisecond
)

// FetchUserinfo fetches the profile that token opens (docs/truecaller.md section 5).
// It retries a 5xx or a broken connection twice; a refusal is final. The error is, or
// wraps, one of the errors of this package, and does not have the token.
func (c *Client) FetchUserinfo(ctx context.Context, app App, token string) (Profile, error) {
	if app.OAuth == nil {
		return Profile{}, ErrForeignEndpoint
	}
	for try, pause := 1, userinfoPause; ; try, pause = try+1, 3*pause {
		p, err := c.fetchUserinfo(ctx, app.OAuth.JoinPath("v1/userinfo"), token)
		_, down := errors.AsType[*Unavailable](err)
		if try == userinfoTries || down || !errors.Is(err, ErrProfileUnavailable) {
			return p, err
		}
		timer := time.NewTimer(pause/2 + rand.N(pause))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return Profile{}, err
		}
	}
}

func (c *Client) fetchUserinfo(ctx context.Context, at *url.URL, token string) (Profile, error) {
	status, body, err := c.get(ctx, at, token)
	switch {
	case err != nil:
		return Profile{}, err
	case status == http.StatusNotFound:
		return Profile{}, ErrNoProfile
	case status == http.StatusUnprocessableEntity:
		return Profile{}, ErrNoOpenID
	case status != http.StatusOK:
		return Profile{}, fmt.Errorf("%w: status %d", ErrProfile, status)
	}
	return DecodeUserinfo(body)
}
