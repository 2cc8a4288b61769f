// SPDX-License-Identifier: Apache-2.0

package authorize

import (
	"context"
	"encoding/base64"
	"strings"
	"time"

	"calleridp/keys"
	"calleridp/provider/login"
	"calleridp/truecaller/phone"
)

// SentForm is what identifies a form that starts an attempt, as a browser sent it.
type SentForm struct {
	Cookie  login.BrowserSecret // the secret of the browser's cookie, "" for none
	Request string              // the sealed authorization request
	Input   string              // the number as typed, or the sealed nonce of a one-tap link
	Network string              // as in Submission
	Region  string              // as in Submission, like the rest; "" and nil for a one-tap link
	Devices []string
}

// BrowserFor returns the secret under which a form starts an attempt. It is a new one,
// unless an attempt of the cookie's secret is live, which other tabs wait for: the
// cookie is as it came, and an earlier user of this computer may have noted it.
//
// The same form gives the same secret, so that a browser may send it twice before it
// has got the cookie: by a double click, or because the response was lost. The secret
// is derived from the sealed request, which only the browser with the page has,
// from what was typed, the network and the cookie.
func (f *Flow) BrowserFor(ctx context.Context, form SentForm) (login.BrowserSecret, error) {
	if form.Cookie != "" {
		f.foreseeDevice(ctx, form)
		live, err := f.attempts.HasLive(ctx, form.Cookie, "")
		if err != nil || live {
			return form.Cookie, err
		}
	}
	secret := f.master.MAC(keys.PurposeBrowserSecret,
		[]byte(form.Cookie), []byte(form.Request), []byte(form.Input), []byte(form.Network))
	return login.BrowserSecret(base64.RawURLEncoding.EncodeToString(secret[:])), nil
}

// foreseeDevice has the store read the user of a known device together with the browser's
// attempts. It is a hint: Submit reads the number as it should be.
func (f *Flow) foreseeDevice(ctx context.Context, form SentForm) {
	if len(form.Devices) == 0 {
		return
	}
	region := strings.ToUpper(form.Region)
	if !phone.IsRegion(region) {
		region = f.form.region
	}
	number, err := Submission{Phone: form.Input}.number(region)
	if err != nil {
		return
	}
	if d, _, ok := f.devices.open(form.Devices, number, time.Now()); ok {
		f.devices.people.ForeseePerson(ctx, d.Sub)
	}
}

// Owner returns the secret of the browser that started an attempt, among those that
// its cookie has; the first if none has.
func (f *Flow) Owner(ctx context.Context, id login.ID, secrets ...login.BrowserSecret) login.BrowserSecret {
	for _, secret := range secrets[1:] {
		if _, err := f.attempts.Recall(ctx, id, secret); err == nil { // who started it never changes
			return secret
		}
	}
	return secrets[0]
}
