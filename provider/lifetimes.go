// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"fmt"
	"time"

	"calleridp/provider/grant"
)

// Lifetimes are how long things are valid. Zero means the default.
type Lifetimes struct {
	Request      time.Duration // the sign-in page, from opening to sending; default 1 h
	Code         time.Duration // default 60 s
	AccessToken  time.Duration // default 1 h
	IDToken      time.Duration // default 1 h, at least 5 min
	RefreshIdle  time.Duration // an unused refresh token; default 30 days
	RefreshMax   time.Duration // a refresh family, from the sign-in on; default 180 days
	RefreshGrace time.Duration // a refresh token after its use; default 45 s
	Session      time.Duration // a signed-in browser; default 24 h
}

// minIDToken keeps clients whose clock is off, or whose network is slow, from
// seeing a token expire on arrival.
const minIDToken = 5 * time.Minute

// complete fills in the defaults, and refuses what is too short.
func (l *Lifetimes) complete() error {
	for _, lifetime := range []struct {
		name     string
		value    *time.Duration
		standard time.Duration
		least    time.Duration
	}{
		{"Request", &l.Request, time.Hour, time.Minute},
		{"Code", &l.Code, time.Minute, time.Second},
		{"AccessToken", &l.AccessToken, time.Hour, time.Minute},
		{"IDToken", &l.IDToken, time.Hour, minIDToken},
		{"RefreshIdle", &l.RefreshIdle, 30 * 24 * time.Hour, time.Minute},
		{"RefreshMax", &l.RefreshMax, 180 * 24 * time.Hour, time.Minute},
		{"RefreshGrace", &l.RefreshGrace, 45 * time.Second, time.Second},
		{"Session", &l.Session, 24 * time.Hour, time.Minute},
	} {
		if *lifetime.value == 0 {
			*lifetime.value = lifetime.standard
		}
		if *lifetime.value < lifetime.least {
			return fmt.Errorf("provider: lifetime %s is %s; it must be at least %s", lifetime.name, *lifetime.value, lifetime.least)
		}
	}
	return nil
}

// grants returns the lifetimes of what a grant gives.
func (l Lifetimes) grants() grant.Policy {
	return grant.Policy{
		AccessToken:  l.AccessToken,
		RefreshIdle:  l.RefreshIdle,
		RefreshMax:   l.RefreshMax,
		RefreshGrace: l.RefreshGrace,
	}
}
