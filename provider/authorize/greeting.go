// SPDX-License-Identifier: Apache-2.0

package authorize

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"calleridp/keys"
	"calleridp/provider/endpoint"
	"calleridp/provider/subject"
	"calleridp/truecaller/phone"
)

// A greeting is the last entry of a device cookie: who has signed in last in this browser.
// The sign-in page then offers that number by its last two digits, and the browser need not
// send it. The cookie has no number, not even a sealed one: it names the user, whose number
// is read from the store. Like the devices, it gives no access, and ends when its user signs
// out everywhere, with the account, and when the number changes hands.
type greeting struct {
	Sub      string `json:"s"`
	SignOuts uint32 `json:"o,omitempty"` // as in device
	Since    int64  `json:"a"`           // of the sign-in, seconds since 1970
	Until    int64  `json:"e"`           // seconds since 1970
}

// Expiry implements endpoint.Box.
func (g *greeting) Expiry() int64 { return g.Until }

// greetingMark begins the greeting among the entries of a cookie. No device begins with it.
const greetingMark = "~"

func isGreeting(entry string) bool { return strings.HasPrefix(entry, greetingMark) }

// greetings makes and reads greetings.
type greetings struct {
	master *keys.Master
	people subject.Store
}

func (gs greetings) seal(g greeting) (string, error) {
	plain, err := json.Marshal(g)
	if err != nil {
		return "", err
	}
	return greetingMark + base64.RawURLEncoding.EncodeToString(gs.master.Seal(keys.PurposeGreeting, plain, nil)), nil
}

// open returns the greeting of a cookie; ok is false if it has none.
func (gs greetings) open(cookie []string) (g greeting, ok bool) {
	if len(cookie) == 0 || len(cookie) > maxDevices+1 {
		return greeting{}, false
	}
	sealed, found := strings.CutPrefix(cookie[len(cookie)-1], greetingMark)
	if !found {
		return greeting{}, false
	}
	box, err := base64.RawURLEncoding.Strict().DecodeString(sealed)
	if err != nil {
		return greeting{}, false
	}
	plain, err := gs.master.Open(keys.PurposeGreeting, box, nil)
	if err != nil || json.Unmarshal(plain, &g) != nil || endpoint.Live(&g, time.Now()) != nil {
		return greeting{}, false
	}
	return g, true
}

// number returns the number of the user whom a cookie greets, and when they signed in; the
// zero Number if it greets none.
func (gs greetings) number(ctx context.Context, cookie []string) (phone.Number, time.Time, error) {
	g, ok := gs.open(cookie)
	if !ok {
		return phone.Number{}, time.Time{}, nil
	}
	person, err := gs.people.Person(ctx, g.Sub)
	switch {
	case errors.Is(err, subject.ErrNotFound):
		return phone.Number{}, time.Time{}, nil
	case err != nil:
		return phone.Number{}, time.Time{}, err
	case person.NumberLost || person.SignOuts != g.SignOuts:
		return phone.Number{}, time.Time{}, nil
	}
	return person.Number, time.Unix(g.Since, 0), nil
}

// greet adds to a sign-in page whom its browser's device cookie greets. A page that starts
// with a number, or explains a problem, greets no user: it is about that number.
func (gs greetings) greet(ctx context.Context, v *SignInView, cookie []string) error {
	if v.Phone != "" || v.Problem != nil || v.WithoutPush {
		return nil
	}
	n, since, err := gs.number(ctx, cookie)
	if err != nil || n.IsZero() {
		return err
	}
	v.Known = &KnownView{Number: n.Hint(), Since: since}
	return nil
}
