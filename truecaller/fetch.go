package truecaller

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Errors of FetchProfile, and causes of Recipient.Failed.
var (
	// ErrUnauthorized: Truecaller does not accept the token. It is never retried.
	ErrUnauthorized = errors.New("truecaller: the access token was refused")
	// ErrForeignEndpoint: the callback named a host that is not configured
	// (invariant 5). The token was sent nowhere.
	ErrForeignEndpoint = errors.New("truecaller: the callback names a foreign profile endpoint")
	// ErrProfile: the profile cannot be understood, or is too large.
	ErrProfile = errors.New("truecaller: the profile cannot be understood")
	// ErrProfileUnavailable: no answer, a 5xx, or not asked because the host has
	// not been answering (*Unavailable). It may be retried.
	ErrProfileUnavailable = errors.New("truecaller: the profile could not be fetched")
	// ErrTokenExpired: the token's ten minutes are over (invariant 8).
	ErrTokenExpired = errors.New("truecaller: the access token's ten minutes are over")
)

const profilePath = "/v1/default"

// profileURL selects the configured base that endpoint names; "" names the
// first. Anything else is refused: scheme, host and port must be those of one
// base, whole, and the path exactly /v1/default below it (invariant 5). The
// result is made of our configuration alone, never of the endpoint's text.
func (a App) profileURL(endpoint string) (*url.URL, error) {
	if endpoint == "" {
		if len(a.Profiles) == 0 {
			return nil, ErrForeignEndpoint
		}
		return profileAt(a.Profiles[0]), nil
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.Opaque != "" || u.RawPath != "" {
		return nil, ErrForeignEndpoint
	}
	for _, base := range a.Profiles {
		ours := profileAt(base)
		if u.Scheme == ours.Scheme && hostPort(u) == hostPort(ours) && u.Path == ours.Path {
			return ours, nil
		}
	}
	return nil, ErrForeignEndpoint
}

// profileAt is the profile's address below a base.
func profileAt(base *url.URL) *url.URL {
	return &url.URL{Scheme: base.Scheme, Host: base.Host, Path: strings.TrimSuffix(base.Path, "/") + profilePath}
}

func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	return net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

// FetchProfile makes one request for the profile that token opens. endpoint is
// what the callback named, "" if nothing. The error is, or wraps, one of the
// errors above; only ErrProfileUnavailable is worth another try.
func (c *Client) FetchProfile(ctx context.Context, app App, endpoint, token string) (Profile, error) {
	at, err := app.profileURL(endpoint)
	if err != nil {
		return Profile{}, err
	}
	return c.fetchProfile(ctx, at, token)
}

func (c *Client) fetchProfile(ctx context.Context, at *url.URL, token string) (Profile, error) {
	status, body, err := c.get(ctx, at, token)
	if err != nil {
		return Profile{}, err
	}
	if status != http.StatusOK {
		return Profile{}, fmt.Errorf("%w: status %d", ErrProfile, status)
	}
	return DecodeProfile(body)
}

// get makes one request with a bearer token. ErrUnauthorized, ErrProfile and
// ErrProfileUnavailable are those that mean the same everywhere; what any other
// status but 200 means is the caller's business, and it has no body then.
func (c *Client) get(ctx context.Context, at *url.URL, token string) (status int, body []byte, err error) {
	if !isBearer(token) {
		return 0, nil, ErrUnauthorized // it cannot be sent, so no server can accept it
	}
	permit, err := c.admit(ForProfile, at.Host)
	if err != nil {
		return 0, nil, fmt.Errorf("%w: %w", ErrProfileUnavailable, err)
	}
	begun := time.Now()
	defer func() { c.asked(ctx, ForProfile, permit, begun, err) }()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return 0, nil, ErrForeignEndpoint
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Cache-Control", "no-cache")
	answer, err := c.http.Do(r)
	if err != nil {
		return 0, nil, fmt.Errorf("%w: %w", ErrProfileUnavailable, withoutURL(err))
	}
	defer answer.Body.Close()
	switch status := answer.StatusCode; {
	case status == http.StatusOK:
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return 0, nil, fmt.Errorf("%w: status %d", ErrUnauthorized, status)
	case status >= 500, status == http.StatusTooManyRequests, status == http.StatusRequestTimeout:
		io.CopyN(io.Discard, answer.Body, 4<<10) // so that the connection can be used again
		return 0, nil, fmt.Errorf("%w: status %d", ErrProfileUnavailable, status)
	default:
		return status, nil, nil
	}
	// The Content-Type is not looked at: the decoder decides what is a profile.
	body, err = io.ReadAll(io.LimitReader(answer.Body, c.maxProfile+1))
	switch {
	case int64(len(body)) > c.maxProfile:
		return 0, nil, fmt.Errorf("%w: more than %d bytes", ErrProfile, c.maxProfile)
	case err != nil:
		return 0, nil, fmt.Errorf("%w: %w", ErrProfileUnavailable, withoutURL(err))
	}
	return http.StatusOK, body, nil
}
