// SPDX-License-Identifier: Apache-2.0

package deviceflow

import (
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"calleridp/keys"
	"calleridp/provider/audit"
	"calleridp/provider/client"
	"calleridp/provider/endpoint"
	"calleridp/provider/grant"
	"calleridp/provider/limit"
)

// confirmation is what the user is asked about. It travels sealed in the form.
type confirmation struct {
	User  []byte `json:"u"` // a grant.UserCodeHash
	Code  string `json:"c"` // the user code, to show it again
	Until int64  `json:"e"` // seconds since 1970
}

// Expiry implements endpoint.Box.
func (q *confirmation) Expiry() int64 { return q.Until }

// ask shows the requesting application and its network before the user signs in, also when the
// code came with the address: an attacker may have started the request and sent its
// address to the user (RFC 8628 §5.4). The user must confirm before anything else happens.
func (e *Endpoint) ask(w http.ResponseWriter, r *http.Request, d grant.DeviceRequest, c client.Client, code string) error {
	sealed, err := endpoint.Seal(e.cfg.Master, keys.PurposeDeviceRequest, confirmation{User: d.User[:], Code: code, Until: d.Expires.Unix()})
	if err != nil {
		return err
	}
	e.cfg.Pages.ConfirmDevice(w, r, ConfirmView{
		Client:  e.cfg.Browser.ViewFor(c, ""),
		Request: sealed,
		Code:    grant.FormatUserCode(code),
		Country: e.cfg.Country(d.Network),
		Network: masked(d.Network),
		Here:    sameNetwork(d.Network, e.cfg.Addr.Network(r)),
	})
	return nil
}

// Reopen shows the page of a sealed request once more: endpoint.ErrBadRequest when it is
// not one. It changes nothing.
func (e *Endpoint) Reopen(w http.ResponseWriter, r *http.Request, sealed string) error {
	q, d, c, err := e.open(r, sealed)
	if err != nil {
		return err
	}
	return e.ask(w, r, d, c, q.Code)
}

// open opens the sealed request of the form, and finds what it is about once more.
func (e *Endpoint) open(r *http.Request, sealed string) (*confirmation, grant.DeviceRequest, client.Client, error) {
	q := new(confirmation)
	now := time.Now()
	err := endpoint.Open(e.cfg.Master, keys.PurposeDeviceRequest, sealed, q, now)
	if err == nil && len(q.User) != len(grant.UserCodeHash{}) {
		err = endpoint.ErrBadRequest
	}
	if err != nil {
		return q, grant.DeviceRequest{}, client.Client{}, err
	}
	d, c, err := e.waiting(r.Context(), grant.UserCodeHash(q.User), now)
	if errors.Is(err, errUnknown) {
		err = finished("the request of the device was answered, or has expired")
	}
	return q, d, c, err
}

func finished(detail string) error {
	return endpoint.NewPageError(endpoint.ErrorFinished, http.StatusGone, "%s", detail)
}

// confirm takes the user's decision.
func (e *Endpoint) confirm(w http.ResponseWriter, r *http.Request, in endpoint.Parameters) error {
	_, d, c, err := e.open(r, in.Get("request"))
	if err != nil {
		return err
	}
	switch in.Get("decision") {
	case "continue":
		return e.cfg.SignIn.AuthorizeDevice(w, r, d, c)
	case "deny":
		err := e.cfg.Grants.CreateCode(r.Context(), grant.DeniedCode(d.Code, d.ClientID, time.Now(), d.Expires))
		if errors.Is(err, grant.ErrExists) {
			return finished("the request of the device was answered meanwhile")
		}
		if err != nil {
			return err
		}
		e.cfg.Audit.Record(r.Context(), audit.Event{Name: audit.DeviceDenied, Client: d.ClientID, Network: e.cfg.Addr.Network(r)})
		endpoint.SeeOther(w, endpoint.PathDeviceDenied)
		return nil
	}
	return endpoint.NewPageError(endpoint.ErrorBadRequest, http.StatusBadRequest, "decision is not one of continue, deny")
}

// done is the page after the user's decision.
func (e *Endpoint) done(w http.ResponseWriter, r *http.Request) error {
	e.cfg.Pages.DeviceDone(w, r, DoneView{Denied: r.URL.Query().Get("did") == "denied"})
	return nil
}

// masked returns a network so that its user can recognise it, without revealing where
// the device is: without the last number of an IPv4 address, and the first 48 bits of an
// IPv6 one.
func masked(network string) string {
	prefix, err := netip.ParsePrefix(network)
	if err != nil {
		return ""
	}
	const hidden = "•••"
	addr := prefix.Addr()
	if addr.Is4() {
		text := addr.String()
		return text[:strings.LastIndexByte(text, '.')+1] + hidden
	}
	wide := netip.PrefixFrom(addr, 48).Masked().Addr().String()
	return strings.TrimSuffix(wide, "::") + ":" + hidden
}

// sameNetwork reports whether two networks are one: the same IPv4 address, or the same
// IPv6 /48.
func sameNetwork(a, b string) bool {
	wide := func(network string) string {
		all := limit.NetworksOf(network)
		return all[len(all)-1]
	}
	_, err := netip.ParsePrefix(a)
	return err == nil && wide(a) == wide(b)
}
