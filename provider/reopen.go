package provider

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"calleridp/keys"
	"calleridp/provider/client"
	"calleridp/truecaller/phone"
)

// Reopening is a page whose form holds a sealed request, as its browser sent it
// for having the page once more, in another language.
type Reopening struct {
	Request string // sealed: of the sign-in page, the consent page or the sign-out question
	Network string // as in Submission

	// What the sign-in page had beside it.
	Phone, Region string
	Problem       *Problem
}

// Reopen implements Flow. The purpose under which a request was sealed says which
// page it is of.
func (p *Provider) Reopen(w http.ResponseWriter, r *http.Request, page Reopening) {
	err := p.reopenSignIn(w, r, page)
	if errors.Is(err, ErrBadRequest) {
		err = p.reopenConsent(w, r, page.Request)
	}
	if errors.Is(err, ErrBadRequest) {
		err = p.reopenSignOut(w, r, page.Request)
	}
	bad := (*refused)(nil)
	switch {
	case err == nil:
	case errors.As(err, &bad):
		p.errorPage(w, r, *bad.page)
	case errors.Is(err, ErrRequestExpired):
		p.errorPage(w, r, ErrorView{Kind: ErrorRequestExpired})
	case errors.Is(err, ErrBadRequest):
		p.errorPage(w, r, ErrorView{Kind: ErrorBadRequest, Detail: err.Error()})
	default:
		p.oops(w, r, err)
	}
}

func (p *Provider) reopenSignIn(w http.ResponseWriter, r *http.Request, page Reopening) error {
	q, c, err := p.submitted(r.Context(), page.Request)
	if err != nil {
		return err
	}
	v, err := p.signInView(r.Context(), q, c, page.Phone, page.Network)
	if err != nil {
		return err
	}
	if region := strings.ToUpper(page.Region); phone.IsRegion(region) {
		v.Region = region
	}
	v.Problem = page.Problem
	p.Pages.SignIn(w, r, v)
	return nil
}

func (p *Provider) reopenConsent(w http.ResponseWriter, r *http.Request, sealed string) error {
	q := new(consentRequest)
	if err := p.unseal(keys.PurposeConsentRequest, sealed, q); err != nil {
		return err
	}
	q, c, s, err := p.checkConsent(r, sealed)
	if err != nil {
		return err
	}
	v, err := p.consentView(r.Context(), q.Request, c, s, q.Ticket)
	if err != nil {
		return err
	}
	p.Pages.Consent(w, r, v)
	return nil
}

func (p *Provider) reopenSignOut(w http.ResponseWriter, r *http.Request, sealed string) error {
	q := new(logoutRequest)
	if err := p.unseal(keys.PurposeLogoutRequest, sealed, q); err != nil {
		return err
	}
	if time.Now().Unix() >= q.Until {
		return ErrRequestExpired
	}
	c := client.Client{}
	if q.ClientID != "" {
		var err error
		if c, err = p.Clients.Client(r.Context(), q.ClientID); errors.Is(err, client.ErrNotFound) {
			return ErrBadRequest
		} else if err != nil {
			return err
		}
	}
	p.askSignOut(w, r, c, q)
	return nil
}
