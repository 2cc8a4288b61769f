// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"errors"
	"net/url"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/truecaller"
)

// While Truecaller has not been answering, a push costs nobody anything: nothing
// is written, no budget is spent, the number is not locked.
func TestInvariant7_APushThatIsNotSentCostsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *login.Config) {
			c.Pusher = truecaller.NewClient(truecaller.Options{})
			c.Apps = map[string]truecaller.App{"main": {ID: "main", API: &url.URL{Scheme: "http", Host: "127.0.0.1:1"}}} // where nobody listens
		})
		const first = 46701740611
		from := func(n int) func(*login.PushRequest) { return dialled(t, strconv.Itoa(n)) }
		for n := first; n < first+5; n++ {
			a := w.start(from(n), solving(strconv.Itoa(n)))
			w.expect(a.ID, login.Failed, login.Unavailable)
		}

		w.settle()
		commits := w.store.Stats().Commits
		down := (*truecaller.Unavailable)(nil)
		for range 3 {
			if _, err := w.begin(); !errors.As(err, &down) || time.Until(down.RetryAt) < 29*time.Second {
				t.Fatalf("%v", err)
			}
		}
		if now := w.store.Stats().Commits; now != commits {
			t.Errorf("%d commits", now-commits)
		}
		if w.locked() {
			t.Error("the number is locked")
		}
		if n := w.log.count("attempt.unavailable", map[string]string{"number": "+46•••••0605", "client": "demo"}); n != 3 {
			t.Errorf("%d times in the audit", n)
		}

		// Then one is let through. One whose challenge was used before takes nobody's
		// turn away.
		time.Sleep(time.Until(down.RetryAt))
		_, err := w.begin(from(first), solving(strconv.Itoa(first)))
		w.refused(err, limit.Challenge)
		a := w.start()
		w.expect(a.ID, login.Failed, login.Unavailable)
		if _, err := w.begin(from(first + 9)); !errors.As(err, &down) {
			t.Errorf("%v", err)
		}
	})
}
