package authorize

import (
	"context"
	"encoding/base64"

	"calleridp/keys"
	"calleridp/provider/login"
)

// SentForm is what identifies a form that starts an attempt, as a browser sent it.
type SentForm struct {
	Cookie  login.BrowserSecret // the secret of the browser's cookie, "" for none
	Request string              // the sealed authorization request
	Input   string              // the number as typed, or the sealed nonce of a one-tap link
	Network string              // as in Submission
}

// BrowserFor returns the secret of the browser that sent a form: that of its cookie,
// or one for a browser that has none. The same form gives the same one, so that a
// browser may send it twice before it has got a cookie: by a double click, or because
// the response was lost. It follows from the sealed request, which nobody has but the
// browser that got the page, from what was typed and from the network.
func (f *Flow) BrowserFor(ctx context.Context, form SentForm) (login.BrowserSecret, error) {
	if form.Cookie != "" {
		return form.Cookie, nil
	}
	return f.derived(form), nil
}

func (f *Flow) derived(form SentForm) login.BrowserSecret {
	secret := f.master.MAC(keys.PurposeBrowserSecret,
		[]byte(form.Cookie), []byte(form.Request), []byte(form.Input), []byte(form.Network))
	return login.BrowserSecret(base64.RawURLEncoding.EncodeToString(secret[:]))
}
