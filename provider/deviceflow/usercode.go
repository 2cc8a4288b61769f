// SPDX-License-Identifier: Apache-2.0

package deviceflow

import (
	"context"
	"errors"
	"net/http"
	"time"

	"calleridp/provider/audit"
	"calleridp/provider/client"
	"calleridp/provider/endpoint"
	"calleridp/provider/grant"
	"calleridp/provider/limit"
)

// errUnknown is of every user code that leads to no request that waits for its user.
var errUnknown = errors.New("deviceflow: no request waits with this user code")

// enter shows the page with the field. A code in the address only fills the field in:
// nothing is looked up before the user sends it (RFC 8628 §3.3.1, §5.4).
func (e *Endpoint) enter(w http.ResponseWriter, r *http.Request) error {
	in, err := endpoint.Query(r)
	if err != nil {
		return err
	}
	v := EnterView{}
	if code, ok := grant.ParseUserCode(in.Get("user_code")); ok {
		v.Code = grant.FormatUserCode(code)
	}
	e.cfg.Pages.EnterUserCode(w, r, v)
	return nil
}

// entered takes the code that a user typed. Each try costs its network, so that codes
// cannot be guessed (RFC 8628 §5.1); one that no code can look like costs nothing.
func (e *Endpoint) entered(w http.ResponseWriter, r *http.Request, in endpoint.Parameters) error {
	typed, now, network := in.Get("user_code"), time.Now(), e.cfg.Addr.Network(r)
	refuse := func(p Problem, retry time.Time) error {
		e.cfg.Pages.EnterUserCode(w, r, EnterView{Code: endpoint.Clip(typed), Problem: p, RetryAt: retry})
		return nil
	}
	code, ok := grant.ParseUserCode(typed)
	if !ok {
		return refuse(CodeUnknown, time.Time{})
	}
	err := e.cfg.Budgets.Spend(r.Context(), limit.Spend{Asker: limit.OnNetworks(limit.UserCodeNetwork, network, e.cfg.Policy.UserCodes)}, now)
	if exceeded, ok := errors.AsType[*limit.Exceeded](err); ok {
		e.cfg.Audit.Record(r.Context(), audit.Event{Name: audit.DeviceLimited, Network: network, Limit: string(exceeded.Kind)})
		return refuse(CodeLimited, exceeded.RetryAt)
	}
	if err != nil {
		return err
	}
	d, c, err := e.waiting(r.Context(), grant.HashUserCode(e.userMAC, code), now)
	if errors.Is(err, errUnknown) {
		e.cfg.Audit.Record(r.Context(), audit.Event{Name: audit.DeviceCodeUnknown, Network: network})
		return refuse(CodeUnknown, time.Time{})
	}
	if err != nil {
		return err
	}
	return e.ask(w, r, d, c, code)
}

// waiting returns the request that waits for its user under this code, with its client, or
// errUnknown. Whether it is answered meanwhile, the answer's transaction decides.
func (e *Endpoint) waiting(ctx context.Context, user grant.UserCodeHash, now time.Time) (grant.DeviceRequest, client.Client, error) {
	d, err := e.cfg.Devices.DeviceRequest(ctx, user)
	if errors.Is(err, grant.ErrNotFound) || err == nil && !d.Live(now) {
		err = errUnknown
	}
	if err != nil {
		return d, client.Client{}, err
	}
	switch _, _, err := e.cfg.Grants.Code(ctx, d.Code); {
	case err == nil: // it was answered
		return d, client.Client{}, errUnknown
	case !errors.Is(err, grant.ErrNotFound):
		return d, client.Client{}, err
	}
	c, err := e.cfg.Clients.Client(ctx, d.ClientID)
	if errors.Is(err, client.ErrNotFound) || err == nil && (!c.DeviceFlow || c.RegisteredAfter(d.Created)) {
		err = errUnknown
	}
	return d, c, err
}
