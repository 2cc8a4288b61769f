// SPDX-License-Identifier: Apache-2.0

package authorize

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"time"

	"calleridp/keys"
	"calleridp/provider/endpoint"
	"calleridp/provider/login"
	"calleridp/provider/subject"
	"calleridp/truecaller/phone"
)

// A device cookie (as OWASP describes them) says that a browser has signed in with a
// number. It gives no access: it gives the browser a lane of its own for pushes to
// that number (login.PushRequest.Device), which the tries of strangers do not close.

const (
	// DeviceLife is how long a device is remembered after its last sign-in.
	DeviceLife = 180 * 24 * time.Hour
	// maxDevices is how many numbers one browser is remembered for.
	maxDevices = 3
)

// device is what a device cookie says, sealed for one number.
type device struct {
	ID  string `json:"i"` // 16 random bytes as base64url
	Sub string `json:"s"` // of the user who signed in
	// SignOuts is how often that user had signed out everywhere: another time ends it.
	SignOuts uint32 `json:"o,omitempty"`
	Until    int64  `json:"e"` // seconds since 1970
}

// Expiry implements endpoint.Box.
func (d *device) Expiry() int64 { return d.Until }

// devices makes and reads device cookies.
type devices struct {
	master *keys.Master
	people subject.Store
}

// seal returns the device for a number: without the number, it does not open.
func (ds devices) seal(d device, n phone.Number) (string, error) {
	plain, err := json.Marshal(d)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(ds.master.Seal(keys.PurposeDevice, plain, []byte(n.Digits()))), nil
}

// open returns the device of a number in a cookie; ok is false if it has none.
func (ds devices) open(cookie []string, n phone.Number, now time.Time) (_ device, at int, ok bool) {
	for i, sealed := range cookie[:min(len(cookie), maxDevices)] {
		box, err := base64.RawURLEncoding.Strict().DecodeString(sealed)
		if err != nil {
			continue
		}
		plain, err := ds.master.Open(keys.PurposeDevice, box, []byte(n.Digits()))
		var found device // a new one: JSON leaves what is not in it as it was
		if err == nil && json.Unmarshal(plain, &found) == nil && endpoint.Live(&found, now) == nil {
			return found, i, true
		}
	}
	return device{}, 0, false
}

// known returns the ID of the device, if its user still has the number and has not signed
// out everywhere since; "" for an unknown one.
func (ds devices) known(ctx context.Context, cookie []string, n phone.Number) (string, error) {
	d, _, ok := ds.open(cookie, n, time.Now())
	if !ok {
		return "", nil
	}
	person, err := ds.people.Person(ctx, d.Sub)
	switch {
	case errors.Is(err, subject.ErrNotFound):
		return "", nil
	case err != nil:
		return "", err
	case person.NumberLost || person.Number != n || person.SignOuts != d.SignOuts:
		return "", nil
	}
	return d.ID, nil
}

// Remember returns the device cookie of a browser that has finished an attempt, whose
// cookie before was this one: with its number first. An attempt without a sign-in
// changes nothing. Behind the devices is the greeting of the next sign-in page.
func (f *Flow) Remember(ctx context.Context, id login.ID, browser login.BrowserSecret, cookie []string) ([]string, error) {
	a, err := f.attempts.Recall(ctx, id, browser)
	if err == nil && a.State != login.Done {
		a, err = f.attempts.Get(ctx, id, browser)
	}
	if err != nil || a.State != login.Done || a.Number.IsZero() {
		return cookie, err
	}
	now := time.Now()
	remembered := make([]string, 1, maxDevices)
	d, at, ok := f.devices.open(cookie, a.Number, now)
	for i, other := range cookie {
		if (!ok || i != at) && !isGreeting(other) && len(remembered) < maxDevices {
			remembered = append(remembered, other)
		}
	}
	if !ok || d.Sub != a.Sub || d.SignOuts != a.SignOuts {
		d = device{ID: keys.RandomText(16), Sub: a.Sub, SignOuts: a.SignOuts}
	}
	d.Until = now.Add(DeviceLife).Unix()
	if remembered[0], err = f.devices.seal(d, a.Number); err != nil {
		return cookie, err
	}
	greet, err := f.greetings.seal(greeting{Sub: a.Sub, SignOuts: a.SignOuts, Since: now.Unix(), Until: d.Until})
	return append(remembered, greet), err
}
