// SPDX-License-Identifier: Apache-2.0

package testworld

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"calleridp/truecaller"
	"calleridp/truecaller/phone"
)

// Phone stands for Truecaller's push interface: it accepts every push and
// remembers its state.
type Phone struct {
	mu      sync.Mutex
	state   map[phone.Number]string
	failure error
	down    time.Time
}

// Admit implements login.Pusher.
func (p *Phone) Admit(truecaller.App) (*truecaller.Permit, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Now().Before(p.down) {
		return nil, &truecaller.Unavailable{Purpose: truecaller.ForPush, Host: "api4.truecaller.com", RetryAt: p.down}
	}
	return new(truecaller.Permit), nil
}

// Push implements login.Pusher.
func (p *Phone) Push(
	_ context.Context, _ *truecaller.Permit, _ truecaller.App, n phone.Number, state string,
) (requestID string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state[n] = state
	return "", p.failure
}

// Pushed returns how many numbers were sent a push.
func (p *Phone) Pushed() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.state)
}

// State returns the state of the last push to the number.
func (p *Phone) State(n phone.Number) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state[n]
}

// Fail makes every following push fail with err, nil for success.
func (p *Phone) Fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failure = err
}

// DownUntil makes the interface unavailable until then.
func (p *Phone) DownUntil(then time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = then
}

// OAuth stands for Truecaller's OAuth interface: it accepts every code with the
// usual verifier, as often as it comes. Tests set its fields between requests.
type OAuth struct {
	Down        *truecaller.Unavailable
	ExchangeErr error
	UserinfoErr error
	Profile     truecaller.Profile
	Meanwhile   func() // what happens while the profile is fetched; nil: nothing

	mu    sync.Mutex
	codes []string
}

// AdmitExchange implements login.Exchanger.
func (o *OAuth) AdmitExchange(truecaller.App) (*truecaller.Permit, error) {
	if o.Down != nil {
		return nil, o.Down
	}
	return &truecaller.Permit{}, nil
}

// ExchangeCode implements login.Exchanger.
func (o *OAuth) ExchangeCode(
	_ context.Context, _ *truecaller.Permit, app truecaller.App, code, verifier string,
) (accessToken string, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.codes = append(o.codes, app.ID+" "+code)
	if verifier != Verifier {
		return "", fmt.Errorf("%w: status 403", truecaller.ErrCodeRefused)
	}
	return truecallerAccessToken, o.ExchangeErr
}

// FetchUserinfo implements login.Exchanger.
func (o *OAuth) FetchUserinfo(context.Context, truecaller.App, string) (truecaller.Profile, error) {
	if o.Meanwhile != nil {
		o.Meanwhile()
	}
	if o.UserinfoErr != nil {
		return truecaller.Profile{}, o.UserinfoErr
	}
	return o.Profile, nil
}

// Codes returns the codes that were exchanged, each after its app's ID.
func (o *OAuth) Codes() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.codes)
}

const truecallerAccessToken = "access-token-of-truecaller"
