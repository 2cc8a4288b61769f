// Package truecaller speaks Truecaller's interfaces and knows nothing of OpenID
// Connect: the push that asks a phone, the callback that answers, the profile
// that the answer's token fetches.
//
//	Client    push request, profile request
//	Receiver  the callback endpoint and the worker behind its durable inbox
//	Profile   what a profile says, decoded with tolerance
//
// What a callback means is decided by a Recipient, who is not in here.
package truecaller

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"calleridp/truecaller/phone"
)

// Options are the limits of a Client. Zero values mean the defaults.
type Options struct {
	Timeout        time.Duration // of one whole request; default 5 s
	ConnectTimeout time.Duration // default 3 s
	MaxProfile     int64         // bytes of a profile; default 256 KiB
}

// Client makes requests to Truecaller: over one connection pool, with
// timeouts, with caps on what it reads, following no redirect.
type Client struct {
	http       *http.Client
	maxProfile int64
}

// NewClient makes a client.
func NewClient(o Options) *Client {
	if o.Timeout <= 0 {
		o.Timeout = 5 * time.Second
	}
	if o.ConnectTimeout <= 0 {
		o.ConnectTimeout = 3 * time.Second
	}
	if o.MaxProfile <= 0 {
		o.MaxProfile = 256 << 10
	}
	return &Client{
		maxProfile: o.MaxProfile,
		http: &http.Client{
			Timeout: o.Timeout,
			// A redirect would carry the bearer to another place (invariant 5).
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Transport: &http.Transport{
				DialContext:            (&net.Dialer{Timeout: o.ConnectTimeout}).DialContext,
				TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
				TLSHandshakeTimeout:    o.ConnectTimeout,
				ResponseHeaderTimeout:  o.Timeout,
				MaxResponseHeaderBytes: 64 << 10,
				MaxIdleConnsPerHost:    64,
				IdleConnTimeout:        90 * time.Second,
				ForceAttemptHTTP2:      true,
			},
		},
	}
}

// PushFailure says what became of a push that Truecaller did not accept.
type PushFailure string

// The kinds of push failures.
const (
	PushAppKeyRejected PushFailure = "appkey_rejected" // 404: an operator's mistake
	PushNoAccount      PushFailure = "no_account"      // 403 with code 1008
	PushRefused        PushFailure = "refused"         // any other 4xx
	PushUnavailable    PushFailure = "unavailable"     // not taken: no connection, 429, 5xx
	PushUnknown        PushFailure = "unknown"         // may have been sent: no usable answer
)

// PushError is every error of Push.
type PushError struct {
	Kind   PushFailure
	Status int // HTTP status, 0 without an answer
	Code   int // Truecaller's own code, 0 without one
	cause  error
}

func (e *PushError) Error() string {
	switch {
	case e.cause != nil:
		return fmt.Sprintf("truecaller: push: %s: %v", e.Kind, e.cause)
	case e.Code != 0:
		return fmt.Sprintf("truecaller: push: %s: status %d, code %d", e.Kind, e.Status, e.Code)
	}
	return fmt.Sprintf("truecaller: push: %s: status %d", e.Kind, e.Status)
}

func (e *PushError) Unwrap() error { return e.cause }

// codeNoAccount is Truecaller's code for a number without an account.
const codeNoAccount = 1008

// maxRequestID is the longest requestId that is kept (invariant 6).
const maxRequestID = 256

// Push asks Truecaller to ask the holder of n. state comes back in the callback.
// It never retries: the phone would ring twice.
func (c *Client) Push(ctx context.Context, app App, n phone.Number, state string) (requestID string, err error) {
	body, err := json.Marshal(struct {
		PhoneNumber int64  `json:"phoneNumber"`
		State       string `json:"state"`
	}{n.Int64(), state})
	if err != nil {
		return "", &PushError{Kind: PushRefused, cause: err}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, app.API.JoinPath("v1/apps/requests").String(), bytes.NewReader(body))
	if err != nil {
		return "", &PushError{Kind: PushRefused, cause: err}
	}
	// Without GetBody the transport cannot send it a second time on its own.
	r.GetBody = nil
	r.Header.Set("appKey", app.Key)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Cache-Control", "no-cache")

	answer, err := c.http.Do(r)
	if err != nil {
		kind := PushUnknown
		if dial := (*net.OpError)(nil); errors.As(err, &dial) && dial.Op == "dial" {
			kind = PushUnavailable // nothing was written
		}
		return "", &PushError{Kind: kind, cause: withoutURL(err)}
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(answer.Body, 64<<10))
	if answer.StatusCode != http.StatusOK {
		return "", pushError(answer.StatusCode, raw)
	}
	if err != nil {
		return "", &PushError{Kind: PushUnknown, Status: answer.StatusCode, cause: err}
	}
	var accepted struct {
		RequestID string `json:"requestId"`
	}
	if err := json.Unmarshal(raw, &accepted); err != nil || accepted.RequestID == "" || len(accepted.RequestID) > maxRequestID {
		return "", &PushError{Kind: PushUnknown, Status: answer.StatusCode, cause: errors.New("the answer has no usable requestId")}
	}
	return accepted.RequestID, nil
}

func pushError(status int, body []byte) *PushError {
	var envelope struct {
		Code int `json:"code"`
	}
	json.Unmarshal(body, &envelope) // the body is optional; the status decides without it
	e := &PushError{Status: status, Code: envelope.Code}
	switch {
	case status == http.StatusForbidden && envelope.Code == codeNoAccount:
		e.Kind = PushNoAccount
	case status == http.StatusNotFound:
		e.Kind = PushAppKeyRejected
	case status == http.StatusTooManyRequests || status >= 500:
		e.Kind = PushUnavailable
	case status >= 400:
		e.Kind = PushRefused
	default: // a redirect, or a 2xx that is not 200
		e.Kind = PushUnknown
	}
	return e
}

// Errors of FetchProfile.
var (
	// ErrUnauthorized: Truecaller does not accept the token. It is never retried.
	ErrUnauthorized = errors.New("truecaller: the access token was refused")
	// ErrForeignEndpoint: the callback named a host that is not configured
	// (invariant 5). The token was sent nowhere.
	ErrForeignEndpoint = errors.New("truecaller: the callback names a foreign profile endpoint")
	// ErrProfile: the profile cannot be understood, or is too large.
	ErrProfile = errors.New("truecaller: the profile cannot be understood")
	// ErrUnavailable: no answer, or a 5xx. It may be retried.
	ErrUnavailable = errors.New("truecaller: the profile could not be fetched")
	// ErrTokenExpired: the token's ten minutes are over.
	ErrTokenExpired = errors.New("truecaller: the access token's ten minutes are over")
)

const profilePath = "/v1/default"

// profileURL selects the configured base that endpoint names; "" names the
// first. Anything else is refused: scheme, host and port must be one of ours,
// whole, and the path exactly /v1/default (invariant 5).
func (a App) profileURL(endpoint string) (string, error) {
	if len(a.Profiles) == 0 {
		return "", ErrForeignEndpoint
	}
	if endpoint == "" {
		return strings.TrimSuffix(a.Profiles[0].String(), "/") + profilePath, nil
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.Opaque != "" || u.RawPath != "" {
		return "", ErrForeignEndpoint
	}
	for _, base := range a.Profiles {
		if u.Scheme == base.Scheme && hostPort(u) == hostPort(base) && u.Path == strings.TrimSuffix(base.Path, "/")+profilePath {
			// What is used is ours, not theirs.
			return strings.TrimSuffix(base.String(), "/") + profilePath, nil
		}
	}
	return "", ErrForeignEndpoint
}

func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	return net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

// FetchProfile makes one request for the profile that token opens. endpoint is
// what the callback named. The error is, or wraps, one of the errors above.
func (c *Client) FetchProfile(ctx context.Context, app App, endpoint, token string) (Profile, error) {
	at, err := app.profileURL(endpoint)
	if err != nil {
		return Profile{}, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return Profile{}, fmt.Errorf("%w: %v", ErrProfile, err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Cache-Control", "no-cache")
	answer, err := c.http.Do(r)
	if err != nil {
		return Profile{}, fmt.Errorf("%w: %v", ErrUnavailable, withoutURL(err))
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, c.maxProfile+1))
	switch {
	case answer.StatusCode == http.StatusUnauthorized || answer.StatusCode == http.StatusForbidden:
		return Profile{}, ErrUnauthorized
	case answer.StatusCode != http.StatusOK && (answer.StatusCode >= 500 || answer.StatusCode == http.StatusTooManyRequests):
		return Profile{}, fmt.Errorf("%w: status %d", ErrUnavailable, answer.StatusCode)
	case answer.StatusCode != http.StatusOK:
		return Profile{}, fmt.Errorf("%w: status %d", ErrProfile, answer.StatusCode)
	case err != nil:
		return Profile{}, fmt.Errorf("%w: %v", ErrUnavailable, err)
	case int64(len(body)) > c.maxProfile:
		return Profile{}, fmt.Errorf("%w: more than %d bytes", ErrProfile, c.maxProfile)
	}
	return DecodeProfile(body)
}

// withoutURL drops the address from an http.Client's error: hosts are in the
// configuration, and paths might carry more than the log should have.
func withoutURL(err error) error {
	if wrapped := (*url.Error)(nil); errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}
