package provider

import (
	"context"
	"errors"
	"fmt"
	"time"

	"calleridp/keys"
	"calleridp/provider/client"
	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/truecaller"
)

// One-tap (docs/truecaller.md section 2): the page carries a link that opens
// Truecaller on the same Android phone. Showing the page stores nothing
// (invariant 1), so the nonce in the link travels sealed beside it; the click
// that opens the link also posts it here, and only then is there an attempt.

const purposeNonce keys.Purpose = "one-tap-nonce"

// sealedNonce is a nonce that we made, for one client's request at one app.
type sealedNonce struct {
	Nonce    string `json:"n"` // 32 random bytes as base64url
	ClientID string `json:"c"`
	App      string `json:"a"`
	Until    int64  `json:"e"` // seconds since 1970
}

// appOf is the Truecaller app through which a client's people are asked.
func (p *Provider) appOf(c client.Client) (truecaller.App, error) {
	id := c.TruecallerApp
	if id == "" {
		id = p.TruecallerApp
	}
	app, ok := p.Apps[id]
	if !ok {
		return truecaller.App{}, fmt.Errorf("provider: client %q names the Truecaller app %q, which is not configured", c.ID, id)
	}
	return app, nil
}

// oneTap is a link that nobody has opened, with its nonce sealed for the form;
// nil where the app offers none.
func (p *Provider) oneTap(c client.Client, app truecaller.App, until int64) (*OneTapView, error) {
	if app.OneTap == nil {
		return nil, nil
	}
	nonce := NewSecret()
	sealed, err := p.seal(purposeNonce, sealedNonce{Nonce: nonce, ClientID: c.ID, App: app.ID, Until: until})
	if err != nil {
		return nil, err
	}
	link, err := linkFor(c, app, nonce)
	if err != nil {
		return nil, err
	}
	return &OneTapView{Nonce: sealed, Link: link}, nil
}

// linkFor makes the link in the language of the page. Where the app names no
// privacy page and terms, the client's own are shown.
func linkFor(c client.Client, app truecaller.App, nonce string) (func(lang string) string, error) {
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
	if _, err := app.DeepLink(nonce, "en"); err != nil {
		return nil, err
	}
	return func(lang string) string {
		link, _ := app.DeepLink(nonce, lang) // a language is no reason to fail
		return link
	}, nil
}

// StartOneTap implements Flow.
func (p *Provider) StartOneTap(ctx context.Context, s OneTapSubmission) (OneTapStarted, error) {
	q, c, err := p.submitted(ctx, s.Request)
	if err != nil {
		return OneTapStarted{}, err
	}
	app, err := p.appOf(c)
	if err != nil {
		return OneTapStarted{}, err
	}
	// Only a nonce that was made here, for this client, and not long ago.
	given := new(sealedNonce)
	if err := p.unseal(purposeNonce, s.Nonce, given); err != nil {
		return OneTapStarted{}, err
	}
	if given.ClientID != c.ID || given.App != app.ID || app.OneTap == nil {
		return OneTapStarted{}, ErrBadRequest
	}
	if time.Now().Unix() >= given.Until {
		return OneTapStarted{}, ErrRequestExpired
	}
	kept, err := p.kept(q, s.UserAgent, s.Network)
	if err != nil {
		return OneTapStarted{}, err
	}
	start := login.StartOneTap{Nonce: given.Nonce, App: app.ID, ClientID: c.ID, Browser: s.Browser, Network: s.Network, Request: kept}
	a, err := p.Engine.StartOneTap(ctx, start)
	used := errors.Is(err, login.ErrState)
	if used {
		// The page's nonce was used before: its person has come back to it. The
		// waiting page has the link with this one.
		start.Nonce = NewSecret()
		a, err = p.Engine.StartOneTap(ctx, start)
	}
	if full := (*limit.Exceeded)(nil); errors.As(err, &full) {
		problem := problemOf(full)
		if full.Reserved { // there is no challenge to solve for a link
			problem.Kind = Limited
		}
		return OneTapStarted{}, p.again(ctx, q, c, "", s.Network, problem)
	}
	if err != nil {
		return OneTapStarted{}, err
	}
	return OneTapStarted{Attempt: a.ID, OtherLink: used}, nil
}

// NewOneTap implements Flow.
func (p *Provider) NewOneTap(ctx context.Context, request string) (*OneTapView, error) {
	q, c, err := p.submitted(ctx, request)
	if err != nil {
		return nil, err
	}
	app, err := p.appOf(c)
	if err != nil {
		return nil, err
	}
	return p.oneTap(c, app, q.Until)
}

// submitted opens the sealed request of a form, and looks at its client again.
func (p *Provider) submitted(ctx context.Context, sealed string) (*authRequest, client.Client, error) {
	q := new(authRequest)
	if err := p.unseal(purposeRequest, sealed, q); err != nil {
		return nil, client.Client{}, err
	}
	if time.Now().Unix() >= q.Until {
		return nil, client.Client{}, ErrRequestExpired
	}
	c, err := p.recheck(ctx, q)
	return q, c, err
}

// again is the refusal that shows the sign-in page once more.
func (p *Provider) again(ctx context.Context, q *authRequest, c client.Client, phone, network string, problem Problem) error {
	v, err := p.signInView(ctx, q, c, phone, network)
	if err != nil {
		return err
	}
	v.Problem = &problem
	return &Refusal{Problem: problem, View: v}
}
