// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// maxIgnored is how much of a response's body is read, which says nothing: so that the
// connection can be used again.
const maxIgnored = 4 << 10

// Reply is a response to Post. Its body is ignored.
type Reply struct {
	Status     int
	RetryAfter time.Duration // RFC 9110 §10.2.3; 0: none
}

// Post sends a form to an address that a client has registered for it. The error wraps
// ErrAddress or ErrResponse, or is that of ctx; it does not name the address.
func (c *Client) Post(ctx context.Context, address string, form url.Values) (Reply, error) {
	if err := CheckPost(address); err != nil {
		return Reply{}, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return Reply{}, fmt.Errorf("%w: %w", ErrAddress, err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := c.http.Do(r)
	if at, ok := errors.AsType[*url.Error](err); ok {
		err = at.Err
	}
	switch {
	case ctx.Err() != nil:
		return Reply{}, ctx.Err()
	case errors.Is(err, ErrAddress):
		return Reply{}, err
	case err != nil:
		return Reply{}, fmt.Errorf("%w: %w", ErrResponse, err)
	}
	defer response.Body.Close()
	io.CopyN(io.Discard, response.Body, maxIgnored)
	return Reply{Status: response.StatusCode, RetryAfter: retryAfter(response.Header.Get("Retry-After"), time.Now())}, nil
}

// CheckPost returns why nothing is sent to an address, as Check does: plain http is for
// loopback, on a laptop, alone.
func CheckPost(address string) error {
	if u, err := url.Parse(address); err == nil && u.Scheme == "http" && isLoopback(u.Hostname()) {
		u.Scheme = "https"
		return Check(u.String())
	}
	return Check(address)
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// retryAfter parses the header: seconds, or a date.
func retryAfter(value string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}
