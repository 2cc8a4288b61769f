// SPDX-License-Identifier: Apache-2.0

package token

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"calleridp/keys"
	"calleridp/provider/client"
	"calleridp/provider/endpoint"
	"calleridp/provider/grant"
	"calleridp/provider/redact"

	"github.com/zitadel/oidc/v3/pkg/oidc"
)

func checkDeviceCode(in endpoint.Parameters) error {
	if in.Get("device_code") == "" {
		return endpoint.InvalidRequest("device_code is missing")
	}
	return nil
}

// pollDevice redeems the code of a device, once its user has allowed what it asks for (RFC
// 8628 §3.4). Until then, each poll reads two records at most and writes nothing.
func (e *Endpoint) pollDevice(r *http.Request, c client.Client, in endpoint.Parameters) (*response, error) {
	if !c.DeviceFlow {
		return nil, oidc.ErrUnauthorizedClient().WithDescription("the client is not registered for the device flow")
	}
	ctx := r.Context()
	const refusal = "the device code is unknown, used, or was issued for another client"
	code := redact.Text(in.Get("device_code"))
	user, ok := grant.ParseDeviceCode(code)
	if !ok {
		return nil, e.invalidGrant(ctx, "device_code", refusal, grant.ErrNotFound, c.ID, grant.Grant{})
	}
	hash := grant.HashDeviceCode(e.deviceMAC, code)
	if !e.polls.allow(hash, time.Now()) {
		return nil, oidc.ErrSlowDown().WithDescription("wait for interval seconds between two requests, and for five more each time")
	}
	_, _, err := e.cfg.Grants.Code(ctx, hash)
	if err == nil {
		return e.redeem(r, c, redemption{
			kind: "device_code",
			hash: hash,
			use:  grant.CodeUse{ClientID: c.ID},
			refuse: func(why error, g grant.Grant) error {
				switch {
				case errors.Is(why, grant.ErrDenied) && g.ClientID == c.ID:
					return oidc.ErrAccessDenied().WithDescription("the user did not allow it")
				case errors.Is(why, grant.ErrExpired) && g.ClientID == c.ID:
					return expiredDeviceCode()
				}
				return e.invalidGrant(ctx, "device_code", refusal, why, c.ID, g)
			},
		})
	}
	if !errors.Is(err, grant.ErrNotFound) {
		return nil, fmt.Errorf("device code: %w", err)
	}
	d, err := e.cfg.Devices.DeviceRequest(ctx, user)
	if err == nil && (d.Code != hash || d.ClientID != c.ID || c.RegisteredAfter(d.Created)) {
		err = grant.ErrNotFound // another request has this user code, or another client this request
	}
	switch {
	case errors.Is(err, grant.ErrNotFound):
		return nil, e.invalidGrant(ctx, "device_code", refusal, err, c.ID, grant.Grant{})
	case err != nil:
		return nil, fmt.Errorf("device code: %w", err)
	case !d.Live(time.Now()):
		return nil, expiredDeviceCode()
	}
	return nil, oidc.ErrAuthorizationPending().WithDescription("the user has not decided yet")
}

func expiredDeviceCode() error {
	return oidc.ErrExpiredDeviceCode().WithDescription("the device code has expired; ask for another one")
}

func (e *Endpoint) deviceMAC(parts ...[]byte) [32]byte {
	return e.cfg.Master.MAC(keys.PurposeDeviceCode, parts...)
}

// polls remembers when device codes were last presented here, to refuse what comes too
// soon (RFC 8628 §3.5, slow_down) before anything is read. It is this server's memory:
// see DESIGN.md#device-flow-polls-write-nothing.
type polls struct {
	interval time.Duration

	mu      sync.Mutex
	now     map[grant.CodeHash]time.Time // since turned
	before  map[grant.CodeHash]time.Time // of the turn before
	turned  time.Time
	mostNow int
}

// mostPolls is how many device codes are remembered in one turn. Of more, the oldest are
// forgotten, and may be presented again at once.
const mostPolls = 50_000

// early is by how much a poll may come too soon: networks deliver one late, and the next
// in time.
const early = time.Second

func newPolls(interval time.Duration) *polls { return &polls{interval: interval, mostNow: mostPolls} }

// allow reports whether a device code is presented late enough after the last time that it
// was allowed. What is refused does not count: a device that polls too often gets an
// answer as often as any other.
func (p *polls) allow(code grant.CodeHash, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	wait := max(p.interval-early, 0)
	last, known := p.now[code]
	if !known {
		last, known = p.before[code]
	}
	if since := now.Sub(last); known && since >= 0 && since < wait {
		return false
	}
	if p.now == nil || now.Sub(p.turned) >= wait || len(p.now) >= p.mostNow {
		p.before, p.now, p.turned = p.now, map[grant.CodeHash]time.Time{}, now
	}
	p.now[code] = now
	return true
}
