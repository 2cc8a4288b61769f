// SPDX-License-Identifier: Apache-2.0

// Package truecaller implements Truecaller's interfaces and knows nothing of OpenID
// Connect: the push to a phone, the callback with its outcome, and the profile that
// the callback's token fetches.
//
//	Client    push request, profile request
//	Receiver  the callback endpoint and the worker behind its durable inbox
//	Profile   what a profile says, decoded with tolerance
//
// What a callback means is decided by a Recipient, who is not in here.
package truecaller

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"time"
)

// Options are the limits of a Client. Zero values mean the defaults.
type Options struct {
	Timeout        time.Duration   // of one whole request, its response included; default 5 s
	ConnectTimeout time.Duration   // of the TCP connection, and again of its TLS handshake; default 3 s
	HeaderTimeout  time.Duration   // from the request to the header of the response; default Timeout
	MaxProfile     int64           // bytes of a profile; default 256 KiB
	Log            *slog.Logger    // receives hosts that stop responding; nil: discarded
	Observer       RequestObserver // counts requests; if nil, none are counted
}

// Client makes requests to Truecaller: over one connection pool, with timeouts and
// size limits, without following redirects. A host that does not respond gets no
// requests for a while (breaker.go). A Client is safe for concurrent use.
type Client struct {
	http       *http.Client
	maxProfile int64
	breakers   *breakers
	observer   RequestObserver
}

// maxAnswer is how much of the response to a push or code is read, in bytes.
const maxAnswer = 64 << 10

// NewClient returns a client that uses no proxy.
func NewClient(o Options) *Client {
	if o.Timeout <= 0 {
		o.Timeout = 5 * time.Second
	}
	if o.ConnectTimeout <= 0 {
		o.ConnectTimeout = 3 * time.Second
	}
	if o.HeaderTimeout <= 0 {
		o.HeaderTimeout = o.Timeout
	}
	if o.MaxProfile <= 0 {
		o.MaxProfile = 256 << 10
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Observer == nil {
		o.Observer = unobserved{}
	}
	return &Client{
		maxProfile: o.MaxProfile,
		breakers:   newBreakers(o.Log),
		observer:   o.Observer,
		http: &http.Client{
			Timeout: o.Timeout,
			// A redirect would send the bearer to another host (invariant 5).
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Transport: &http.Transport{
				DialContext:            (&net.Dialer{Timeout: o.ConnectTimeout}).DialContext,
				TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
				TLSHandshakeTimeout:    o.ConnectTimeout,
				ResponseHeaderTimeout:  o.HeaderTimeout,
				MaxResponseHeaderBytes: 64 << 10,
				MaxIdleConnsPerHost:    64,
				// Shorter than servers and middleboxes keep theirs: whether a push on a
				// dropped connection was sent is unknown.
				IdleConnTimeout:   30 * time.Second,
				ForceAttemptHTTP2: true,
			},
		},
	}
}

// withoutURL removes the address from an http.Client's error: the host is in the
// configuration, and the path may have what the log must not.
func withoutURL(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return wrapped.Err
	}
	return err
}
