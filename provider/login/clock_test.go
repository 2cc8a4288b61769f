// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"crypto/sha256"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider/limit"
	"calleridp/provider/login"
)

// What a clock that was a day fast has stored locks nobody out when it is put right,
// and does not live for a day longer.
func TestInvariant7_AClockThatWasFastLocksNobodyOut(t *testing.T) {
	const fast = 24 * time.Hour
	synctest.Test(t, func(t *testing.T) {
		tight := limit.Rate{Burst: 2, Period: 12 * time.Hour}
		w := newWorld(t, func(c *login.Config) {
			c.Limits = login.Limits{Number: tight, Network: tight, Client: tight, Deployment: tight}
		})
		// The fast clock: the same attempt and spend as the engine's, a day ahead.
		now := time.Now()
		ahead := login.Attempt{
			ID:          "of-the-fast-clock-----",
			Correlation: [32]byte{1},
			Method:      login.Push,
			State:       login.Waiting,
			Browser:     sha256.Sum256([]byte(browser)),
			Created:     now.Add(fast),
			Expires:     now.Add(fast + 5*time.Minute),
		}
		spend := limit.Spend{
			Lock:    limit.Key{Kind: limit.Lock, ID: digits},
			LockFor: 5 * time.Minute,
			Number:  []limit.Charge{{Key: limit.Key{Kind: limit.Number, ID: digits}, Rate: w.config.Limits.Number}},
			Asker: []limit.Charge{
				{Key: limit.Key{Kind: limit.Client, ID: "demo"}, Rate: w.config.Limits.Client},
				{Key: limit.Key{Kind: limit.Network, ID: "192.0.2.7/32"}, Rate: w.config.Limits.Network},
				{Key: limit.Key{Kind: limit.Deployment}, Rate: w.config.Limits.Deployment},
			},
		}
		w.must(w.store.CreateAttempt(t.Context(), ahead, spend, now.Add(fast)))
		second := login.Attempt{ID: "a-second-one----------", Correlation: [32]byte{2}, Created: ahead.Created, Expires: ahead.Expires}
		spend.Lock = limit.Key{}
		w.must(w.store.CreateAttempt(t.Context(), second, spend, now.Add(fast)))
		w.restart()
		if _, err := w.begin(); err != nil {
			var exceeded *limit.Exceeded
			errors.As(err, &exceeded)
			t.Errorf("a push after the clock was put right: %v", err)
		}
		if a, err := w.engine.Get(t.Context(), ahead.ID, browser); err != nil || a.State != login.Expired || a.Ended.After(time.Now()) {
			t.Errorf("the attempt of the fast clock: %v, %v; want %v", a.State, err, login.Expired)
		}
		if at := w.engine.AgainAt(ahead); at.After(time.Now()) {
			t.Errorf("another push after it: %v, want now", at)
		}
	})
}
