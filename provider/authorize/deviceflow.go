// SPDX-License-Identifier: Apache-2.0

package authorize

import (
	"context"
	"errors"
	"net/http"
	"time"

	"calleridp/provider/audit"
	"calleridp/provider/client"
	"calleridp/provider/clock"
	"calleridp/provider/endpoint"
	"calleridp/provider/grant"
	"calleridp/provider/login"
	"calleridp/provider/session"
)

// A sign-in for a device (RFC 8628) has no response in the browser: the code is
// stored under the hash of the device's code, and the browser goes to a page of ours.

// deviceRequest is what a request has that a device has begun.
type deviceRequest struct {
	Code    []byte `json:"c"` // a grant.CodeHash
	Expires int64  `json:"e"` // of the device's code, in seconds since 1970
	Created int64  `json:"a"` // of the device's request, as well
}

func (d *deviceRequest) hash() grant.CodeHash { return grant.CodeHash(d.Code) }
func (d *deviceRequest) expires() time.Time   { return time.Unix(d.Expires, 0) }

// whole reports whether nothing is missing that this version of the program needs.
func (d *deviceRequest) whole() bool { return len(d.Code) == len(grant.CodeHash{}) }

// forDevice reports whether a device has begun the request.
func (q *request) forDevice() bool { return q.Device != nil }

// destination returns the redirect URI of the client that gets the response, "" for the
// account page and for a device: the browser stays here then, and users see all of the
// client's hosts.
func (q *request) destination() string {
	if q.forAccount() || q.forDevice() {
		return ""
	}
	return q.RedirectURI
}

// signInForDevice is how old a sign-in may be that allows a device something. In a browser
// that has been signed in for longer, the user approves on their phone again: one press on
// a page to which a stranger's link has led is not enough (RFC 8628 §5.4).
const signInForDevice = 10 * time.Minute

// AuthorizeDevice goes on for the user of a device, who has confirmed that they have
// started its request: with the sign-in page, the consent prompt or, in a session whose
// sign-in is recent, with the answer.
func (e *Endpoint) AuthorizeDevice(w http.ResponseWriter, r *http.Request, d grant.DeviceRequest, c client.Client) error {
	app, err := e.clients.app(c)
	if err != nil {
		return err
	}
	if app.NativeOnly() {
		return badRequest("the client's users sign in natively, not through a browser")
	}
	age := int64(signInForDevice / time.Second)
	q := &request{
		ClientID:    c.ID,
		RedirectURI: endpoint.PathDeviceDone,
		Scopes:      d.Scopes,
		MaxAge:      &age,
		PushFirst:   prefersPush(c.DefaultACRValues, app),
		Device:      &deviceRequest{Code: d.Code[:], Expires: d.Expires.Unix(), Created: d.Created.Unix()},
		Until:       min(time.Now().Add(e.form.sealer.lifetime).Unix(), d.Expires.Unix()),
	}
	decided, err := e.decide(r.Context(), q, c, e.cookies.Session(r))
	if err != nil {
		return err
	}
	return e.proceed(w, r, q, c, decided)
}

// againForDevice returns why the client may not have the answer to the request of a device
// any more, nil if it may.
func (cs clients) againForDevice(q *request, c client.Client) error {
	now := time.Now()
	switch d := q.Device; {
	case !d.whole() || !c.DeviceFlow || c.RegisteredAfter(time.Unix(d.Created+1, 0)):
		return endpoint.ErrBadRequest
	case !now.Before(d.expires()) || clock.Ahead(time.Unix(d.Created, 0), now):
		return endpoint.ErrRequestExpired
	}
	return nil
}

// answer turns a code into the decision on a device's request. It expires when the
// device's own code does, and stays until then, so that the request is decided once.
func (d *deviceRequest) answer(code grant.Code) grant.Code {
	code.Hash, code.RedirectURI = d.hash(), ""
	code.Expires, code.FormExpires = d.expires(), d.expires()
	code.Grant.Expires = code.Expires
	return code
}

// ofDevice is of for the request of a device: grant.ErrNotFound if it was not answered
// yet, login.ErrState if it was denied, or answered by another user.
func (cs codes) ofDevice(ctx context.Context, d *deviceRequest, s session.Session) (gift, error) {
	c, _, err := cs.store.Code(ctx, d.hash())
	if err == nil && (c.Denied || c.Grant.Sub != s.Sub) {
		err = login.ErrState
	}
	return gift{issued: c.Grant.Created}, err
}

// denyDevice takes the decision of a user who does not allow a device what it asks for.
func (e *Endpoint) denyDevice(w http.ResponseWriter, r *http.Request, q *request, s session.Session) error {
	err := e.codes.denyDevice(r.Context(), q, s)
	if errors.Is(err, login.ErrState) {
		return answered(q)
	}
	if err != nil {
		return err
	}
	endpoint.SeeOther(w, endpoint.PathDeviceDenied)
	return nil
}

// denyDevice answers the request of a device: the user does not allow it. login.ErrState
// if it was answered.
func (cs codes) denyDevice(ctx context.Context, q *request, s session.Session) error {
	err := cs.store.CreateCode(ctx, grant.DeniedCode(q.Device.hash(), q.ClientID, time.Now(), q.Device.expires()))
	if errors.Is(err, grant.ErrExists) {
		return login.ErrState
	}
	if err == nil {
		cs.audit.Record(ctx, audit.Event{Name: audit.DeviceDenied, Subject: s.Sub, Client: q.ClientID})
	}
	return err
}

// allowed audits that a request was allowed, if it is a device's.
func (cs codes) allowed(ctx context.Context, q *request, s session.Session) {
	if q.forDevice() {
		cs.audit.Record(ctx, audit.Event{Name: audit.DeviceAllowed, Subject: s.Sub, Session: s.ID, Client: q.ClientID})
	}
}
