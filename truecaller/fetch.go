// SPDX-License-Identifier: Apache-2.0

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

// Errors of fetching a profile, and causes of Recipient.Failed.
var (
	// ErrUnauthorized: Truecaller rejected the token. It is never retried.
	ErrUnauthorized = errors.New("truecaller: the access token was refused")
	// ErrForeignEndpoint: the callback named a host that is not configured
	// (invariant 5). The token was sent nowhere.
	ErrForeignEndpoint = errors.New("truecaller: the callback names a foreign profile endpoint")
	// ErrProfile: the profile is malformed or too large.
	ErrProfile = errors.New("truecaller: the profile cannot be parsed")
	// ErrProfileUnavailable: no response, a 5xx, or no request because the host has
	// not been responding (*Unavailable). It may be retried.
	ErrProfileUnavailable = errors.New("truecaller: the profile could not be fetched")
	// ErrTokenExpired: the token's ten minutes are over (invariant 8).
	ErrTokenExpired = errors.New("truecaller: the access token's ten minutes are over")
)

const profilePath = "/v1/default"

// profileURL returns the profile address below the configured base that endpoint
// selects; "" selects the first. Scheme, host and port must equal those of a base
// (invariant 5). The rest of endpoint is not looked at, except that it tells apart two
// bases at one host. The result consists of our configuration alone, never of the
// endpoint's text.
func (a App) profileURL(endpoint string) (*url.URL, error) {
	if endpoint == "" {
		if len(a.Profiles) == 0 {
			return nil, ErrForeignEndpoint
		}
		return profileAt(a.Profiles[0]), nil
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.User != nil || u.Host == "" {
		return nil, ErrForeignEndpoint
	}
	var selected *url.URL
	for _, base := range a.Profiles {
		ours := profileAt(base)
		if u.Scheme != ours.Scheme || hostPort(u) != hostPort(ours) {
			continue
		}
		if u.Path == ours.Path {
			return ours, nil
		}
		if selected == nil {
			selected = ours
		}
	}
	if selected == nil {
		return nil, ErrForeignEndpoint
	}
	return selected, nil
}

// profileAt returns the profile's address below a base.
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

// fetchProfile makes one request for the profile that token opens. The error is, or
// wraps, one of the errors above; only ErrProfileUnavailable may be retried.
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

// get makes one request with a bearer token. It fails with ErrUnauthorized, ErrProfile
// or ErrProfileUnavailable; the caller interprets any other status, for which get
// returns no body.
func (c *Client) get(ctx context.Context, at *url.URL, token string) (status int, body []byte, err error) {
	if !isBearer(token) {
		return 0, nil, ErrUnauthorized // it cannot be sent
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
	// The Content-Type is ignored: the decoder decides what is a profile.
	body, err = io.ReadAll(io.LimitReader(answer.Body, c.maxProfile+1))
	switch {
	case int64(len(body)) > c.maxProfile:
		return 0, nil, fmt.Errorf("%w: more than %d bytes", ErrProfile, c.maxProfile)
	case err != nil:
		return 0, nil, fmt.Errorf("%w: %w", ErrProfileUnavailable, withoutURL(err))
	}
	return http.StatusOK, body, nil
}
