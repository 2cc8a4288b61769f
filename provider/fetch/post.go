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

	"calleridp/provider/redact"
)

// maxIgnored is how much of a response's body is read, also where it says nothing: so that the
// connection can be used again.
const maxIgnored = 4 << 10

// Reply is a response to Post or PostSET.
type Reply struct {
	Status     int
	RetryAfter time.Duration // RFC 9110 §10.2.3; 0: none
	Body       string        // of PostSET: its beginning
}

// Post sends a form to an address that a client has registered for it. The error wraps
// ErrAddress or ErrResponse, or is that of ctx; it does not name the address.
func (c *Client) Post(ctx context.Context, address string, form url.Values) (Reply, error) {
	reply, err := c.post(ctx, address, form.Encode(), http.Header{"Content-Type": {"application/x-www-form-urlencoded"}})
	reply.Body = ""
	return reply, err
}

// PostSET sends a Security Event Token as Post sends a form (RFC 8935 §2.1). authorization is
// the value of the header that the client has given for it; "": none.
func (c *Client) PostSET(ctx context.Context, address string, authorization redact.Text, set string) (Reply, error) {
	header := http.Header{"Content-Type": {"application/secevent+jwt"}, "Accept": {"application/json"}}
	if authorization != "" {
		header.Set("Authorization", string(authorization))
	}
	return c.post(ctx, address, set, header)
}

func (c *Client) post(ctx context.Context, address, body string, header http.Header) (Reply, error) {
	if err := CheckPost(address); err != nil {
		return Reply{}, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(body))
	if err != nil {
		return Reply{}, fmt.Errorf("%w: %w", ErrAddress, err)
	}
	r.Header = header
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
	begins, _ := io.ReadAll(io.LimitReader(response.Body, maxIgnored)) // what is cut off says nothing
	return Reply{Status: response.StatusCode, RetryAfter: retryAfter(response.Header.Get("Retry-After"), time.Now()), Body: string(begins)}, nil
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
