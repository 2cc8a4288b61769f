// SPDX-License-Identifier: Apache-2.0

// Package fetch reads what clients have published at addresses of their own, such as
// their keys (jwks_uri). A client's developer chooses the address, so it must not
// reach into the operator's network (OWASP: server-side request forgery).
//
//	fetch.go     one request, with its limits
//	networks.go  which addresses are public
package fetch

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync/atomic"
	"syscall"
	"time"
)

// Limits of one request.
const (
	timeout  = 5 * time.Second // from the name's resolution to the last byte
	maxBytes = 128 << 10       // of a response
	longest  = 2048            // bytes of an address
)

// Errors of Get.
var (
	// ErrAddress means that the address is not one that is fetched from: not https, or
	// in a network that is not public.
	ErrAddress = errors.New("fetch: the address is not permitted")
	// ErrResponse means that there was no response, or not the one that is wanted.
	ErrResponse = errors.New("fetch: no usable response")
)

// Options are the settings of a Client. The zero value is the strictest.
type Options struct {
	Networks []netip.Prefix // that may be reached beside the public ones
	Roots    *x509.CertPool // that sign the servers' certificates; nil: the system's
}

// Client fetches. It is safe for concurrent use.
type Client struct {
	http     *http.Client
	networks atomic.Pointer[[]netip.Prefix]
}

// New returns a Client. It uses no proxy, because a proxy would resolve names itself.
func New(o Options) *Client {
	c := &Client{}
	c.networks.Store(&o.Networks)
	dialer := &net.Dialer{Timeout: timeout, ControlContext: c.permit}
	c.http = &http.Client{
		Timeout: timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return fmt.Errorf("%w: it redirects", ErrResponse)
		},
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.Roots},
			MaxResponseHeaderBytes: 16 << 10,
			MaxIdleConns:           16,
			IdleConnTimeout:        30 * time.Second,
			ForceAttemptHTTP2:      true,
		},
	}
	return c
}

// permit refuses a connection by the address that it is about to use, after
// which no name is resolved: a name may resolve to another address at each look.
func (c *Client) permit(_ context.Context, _, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil || !permitted(to.Addr(), *c.networks.Load()) {
		return fmt.Errorf("%w: %s is neither public nor in client_networks", ErrAddress, address)
	}
	return nil
}

// Networks returns the networks that may be reached beside the public ones.
func (c *Client) Networks() []netip.Prefix { return *c.networks.Load() }

// SetNetworks replaces the networks that may be reached beside the public ones, from the next
// request on. Connections to those before are not kept for it: permit sees new ones only.
func (c *Client) SetNetworks(networks []netip.Prefix) {
	c.networks.Store(&networks)
	c.http.CloseIdleConnections()
}

// Get returns what is at an https address. accept is the value of the header Accept. The
// error wraps ErrAddress or ErrResponse, or is that of ctx.
func (c *Client) Get(ctx context.Context, address, accept string) ([]byte, error) {
	if err := Check(address); err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAddress, err)
	}
	r.Header.Set("Accept", accept)
	response, err := c.http.Do(r)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, ErrAddress):
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrResponse, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%w: %s responded with status %d", ErrResponse, address, response.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBytes+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrResponse, err)
	case len(body) > maxBytes:
		return nil, fmt.Errorf("%w: %s sent more than %d KiB", ErrResponse, address, maxBytes>>10)
	}
	return body, nil
}

// Check returns why nothing is fetched from an address, without a look at the network:
// the error wraps ErrAddress.
func Check(address string) error {
	u, err := url.Parse(address)
	switch {
	case len(address) > longest:
		return fmt.Errorf("%w: it is longer than %d bytes", ErrAddress, longest)
	case err != nil:
		return fmt.Errorf("%w: it is not a URL", ErrAddress)
	case u.Scheme != "https" || u.Hostname() == "" || u.Opaque != "":
		return fmt.Errorf("%w: it must be an https URL", ErrAddress)
	case u.User != nil || u.Fragment != "":
		return fmt.Errorf("%w: it must have no user and no fragment", ErrAddress)
	}
	return nil
}
