// SPDX-License-Identifier: Apache-2.0

package authorize

import (
	"context"
	"errors"
	"time"

	"calleridp/keys"
	"calleridp/provider/client"
	"calleridp/provider/endpoint"
	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/redact"
	"calleridp/truecaller"
)

// One-tap (docs/truecaller.md section 2): the page carries a link that opens
// Truecaller on the same Android phone. Showing the page stores nothing (invariant
// 1), so the link's nonce travels sealed beside it; the click that opens the link
// also posts it here, and only then is there an attempt.

// sealedNonce is a nonce for one client's request at one Truecaller app.
type sealedNonce struct {
	Nonce    redact.Text `json:"n"` // 32 random bytes as base64url
	ClientID string      `json:"c"`
	App      string      `json:"a"`
	Until    int64       `json:"e"` // seconds since 1970
}

// seal seals the nonce. Nowhere else is it written out.
func (n sealedNonce) seal(master *keys.Master) (string, error) {
	return endpoint.Seal(master, keys.PurposeOneTapNonce, struct {
		sealedNonce
		Nonce string `json:"n"` // hides the one that is redacted
	}{n, string(n.Nonce)})
}

// Expiry implements endpoint.Box.
func (n *sealedNonce) Expiry() int64 { return n.Until }

// nonceLength is the length of a nonce, in characters.
const nonceLength = 43

// links makes one-tap links.
type links struct{ master *keys.Master }

// sealed returns an unused link, with its nonce sealed for the form; nil where
// the app offers none.
func (ls links) sealed(c client.Client, app truecaller.App, until int64) (*OneTapView, error) {
	if app.OneTap == nil {
		return nil, nil
	}
	nonce := redact.Text(keys.RandomText(32))
	box, err := sealedNonce{Nonce: nonce, ClientID: c.ID, App: app.ID, Until: until}.seal(ls.master)
	if err != nil {
		return nil, err
	}
	link, err := linkFor(c, app, nonce)
	if err != nil {
		return nil, err
	}
	return &OneTapView{Nonce: box, Link: link}, nil
}

// open returns the nonce of a form, if it was made here for this client and app
// and has not expired.
func (ls links) open(sealed string, c client.Client, app truecaller.App) (nonce redact.Text, err error) {
	var given sealedNonce
	if err := endpoint.Open(ls.master, keys.PurposeOneTapNonce, sealed, &given, time.Now()); err != nil {
		return "", err
	}
	if len(given.Nonce) != nonceLength || given.ClientID != c.ID || given.App != app.ID || app.OneTap == nil {
		return "", endpoint.ErrBadRequest
	}
	return given.Nonce, nil
}

// linkFor returns a function that makes the link in the language of the page.
// Where the app names no privacy page and terms, the client's own are shown.
func linkFor(c client.Client, app truecaller.App, nonce redact.Text) (func(lang string) string, error) {
	dialog := *app.OneTap
	if dialog.PrivacyURL == "" {
		dialog.PrivacyURL = c.PolicyURI
	}
	if dialog.TermsURL == "" {
		dialog.TermsURL = c.TOSURI
	}
	if dialog.Validate() != nil { // the client's are not fit for a link
		dialog = *app.OneTap
	}
	app.OneTap = &dialog
	if _, err := app.DeepLink(string(nonce), "en"); err != nil {
		return nil, err
	}
	return func(lang string) string {
		link, _ := app.DeepLink(string(nonce), lang) // a language is no reason to fail
		return link
	}, nil
}

// StartOneTap starts an attempt whose link the browser opens. Repeated while that
// attempt is live it returns the same one, and afterwards another one, with
// another link. Its errors are those of Submit.
func (f *Flow) StartOneTap(ctx context.Context, s OneTapSubmission) (OneTapStarted, error) {
	q, c, err := f.form.submitted(ctx, s.Request)
	if err != nil {
		return OneTapStarted{}, err
	}
	app, err := f.clients.appFor(c, q)
	if err != nil {
		return OneTapStarted{}, err
	}
	nonce, err := f.form.links.open(s.Nonce, c, app)
	if err != nil {
		return OneTapStarted{}, err
	}
	kept, err := f.keep(q, s.UserAgent, s.Network)
	if err != nil {
		return OneTapStarted{}, err
	}
	start := login.OneTapRequest{
		Nonce:    nonce,
		App:      app.ID,
		ClientID: c.ID,
		Browser:  s.Browser,
		Network:  s.Network,
		Request:  kept,
	}
	a, err := f.attempts.StartOneTap(ctx, start)
	used := errors.Is(err, login.ErrState)
	if used {
		// The page's nonce was used before: the user has come back to the page. The
		// waiting page has the link with the new nonce.
		start.Nonce = redact.Text(keys.RandomText(32))
		a, err = f.attempts.StartOneTap(ctx, start)
	}
	if exceeded, ok := errors.AsType[*limit.Exceeded](err); ok {
		return OneTapStarted{}, f.form.refused(ctx, q, c, "", s.Network, problemOf(exceeded))
	}
	if err != nil {
		return OneTapStarted{}, err
	}
	return OneTapStarted{Attempt: a.ID, OtherLink: used}, nil
}

// NewOneTap returns another link for the sealed request of a page that is still
// open, because a nonce is good for one attempt. nil where there is none.
func (f *Flow) NewOneTap(ctx context.Context, request string) (*OneTapView, error) {
	q, c, err := f.form.submitted(ctx, request)
	if err != nil {
		return nil, err
	}
	app, err := f.clients.appFor(c, q)
	if err != nil {
		return nil, err
	}
	return f.form.links.sealed(c, app, q.Until)
}
