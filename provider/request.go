package provider

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"calleridp/keys"
	"calleridp/provider/client"
	"calleridp/provider/session"
	"calleridp/truecaller/phone"
)

// authRequest is a validated authorization request (OpenID Connect Core
// §3.1.2.1). It travels sealed in the sign-in form, and is kept in the attempt
// that it starts: nothing is stored for it before (invariant 1).
type authRequest struct {
	ClientID    string   `json:"c"`
	RedirectURI string   `json:"u"`
	FormPost    bool     `json:"f,omitempty"`
	Scopes      []string `json:"s"`
	State       string   `json:"st,omitempty"`
	Nonce       string   `json:"n,omitempty"`
	Challenge   string   `json:"p,omitempty"`
	MaxAge      int64    `json:"m,omitempty"` // seconds, plus one; 0 for none
	Reauth      bool     `json:"r,omitempty"` // prompt=login or select_account
	Consent     bool     `json:"k,omitempty"` // prompt=consent
	Silent      bool     `json:"-"`           // prompt=none; never sealed
	HintSub     string   `json:"h,omitempty"` // sub of the id_token_hint
	UILocales   []string `json:"l,omitempty"`
	From        *origin  `json:"o,omitempty"` // the browser that submitted it; nil until then
	LoginHint   string   `json:"-"`

	// Until is when the sign-in page is too old, in seconds since 1970.
	Until int64 `json:"e"`
}

// origin is what is remembered of the browser that submitted a request, for the
// session.
type origin struct {
	Device  session.Device `json:"d"`
	Country string         `json:"c,omitempty"` // ISO 3166-1 alpha-2
}

// maxAge is the bound on the age of the sign-in, if there is one.
func (q *authRequest) maxAge() (time.Duration, bool) {
	return time.Duration(q.MaxAge-1) * time.Second, q.MaxAge > 0
}

// respond makes the authorization response for the client: these parameters,
// state as it came, and iss (RFC 9207 §2), on success and on error.
func (p *Provider) respond(q *authRequest, params ...[2]string) Response {
	if q.own() {
		return Response{RedirectURI: q.RedirectURI}
	}
	if q.State != "" {
		params = append(params, [2]string{"state", q.State})
	}
	params = append(params, [2]string{"iss", p.Issuer})
	return Response{RedirectURI: q.RedirectURI, Params: params, FormPost: q.FormPost}
}

// refuse is the error response (RFC 6749 §4.1.2.1, OpenID Connect Core
// §3.1.2.6). description is for the application's developer.
func (p *Provider) refuse(q *authRequest, code, description string) Response {
	if q.own() {
		return Response{RedirectURI: PathAccount}
	}
	return p.respond(q, [2]string{"error", code}, [2]string{"error_description", description})
}

// seal encrypts a request for a form.
func (p *Provider) seal(purpose keys.Purpose, v any) (string, error) {
	plain, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(p.Master.Seal(purpose, plain, nil)), nil
}

// unseal undoes seal; ErrBadRequest for everything that seal did not make.
func (p *Provider) unseal(purpose keys.Purpose, sealed string, v any) error {
	// One box has one text: no padding bits, no line ends in between.
	box, err := base64.RawURLEncoding.Strict().DecodeString(sealed)
	if err != nil || strings.ContainsAny(sealed, "\r\n") {
		return ErrBadRequest
	}
	plain, err := p.Master.Open(purpose, box, nil)
	if err != nil {
		return ErrBadRequest
	}
	return json.Unmarshal(plain, v)
}

// signInView is the sign-in page for a request that comes from network.
func (p *Provider) signInView(ctx context.Context, q *authRequest, c client.Client, typed, network string) (SignInView, error) {
	q.Until = time.Now().Add(p.Lifetimes.Request).Unix()
	sealed, err := p.seal(keys.PurposeAuthorizationRequest, q)
	if err != nil {
		return SignInView{}, err
	}
	app, err := p.appOf(c)
	if err != nil {
		return SignInView{}, err
	}
	oneTap, err := p.oneTap(c, app, q.Until)
	if err != nil {
		return SignInView{}, err
	}
	// Where no number can be typed, nobody gets the reserve by solving a challenge.
	tries, err := p.Engine.NetworkTries(ctx, network, !app.WithoutPush)
	if err != nil {
		return SignInView{}, err
	}
	var challenge *ChallengeView
	if !app.WithoutPush {
		if challenge, err = p.challenge(ctx, network, q.Until); err != nil {
			return SignInView{}, err
		}
	}
	return SignInView{
		Tries: fewLeft(tries), Challenge: challenge, Client: clientView(c), App: app.Name, Request: sealed, Phone: typed, Region: p.regionOf(typed, c), Countries: p.countries(c), WithoutPush: app.WithoutPush, OneTap: oneTap,
		UILocales: q.UILocales, FormAction: formAction(q.RedirectURI),
	}, nil
}

// region is the country in which a number without a country code is read.
func (p *Provider) region(c client.Client) string {
	if c.Region != "" {
		return c.Region
	}
	return p.DefaultRegion
}

// regionOf is the country of a number that the page starts with, else the one in
// which it will be read.
func (p *Provider) regionOf(typed string, c client.Client) string {
	region := p.region(c)
	if n, err := phone.Parse(typed, region); err == nil && n.Region() != "" {
		return n.Region()
	}
	return region
}

// countries are those that the client's people mostly come from.
func (p *Provider) countries(c client.Client) []string {
	if len(c.Countries) > 0 {
		return c.Countries
	}
	return p.Countries
}

func clientView(c client.Client) ClientView {
	if c.ID == ownClientID {
		return ClientView{Own: true}
	}
	name := c.Name
	if name == "" {
		name = c.ID
	}
	accent, _ := client.ParseAccent(c.Colour, c.ColourDark) // what the registry refused to keep counts as none
	return ClientView{ID: c.ID, Name: name, LogoURI: c.LogoURI, URI: c.URI, TOSURI: c.TOSURI, PolicyURI: c.PolicyURI, Accent: accent}
}
