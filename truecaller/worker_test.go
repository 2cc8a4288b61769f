// SPDX-License-Identifier: Apache-2.0

package truecaller

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sony/gobreaker/v2"
)

// inBubble runs a test of the worker in fake time, and looks through the log
// for secrets afterwards.
func inBubble(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		test(t, w)
		if log := w.log.String(); strings.Contains(log, "token-") || strings.Contains(log, "\"s-") || strings.Contains(log, typed) {
			t.Errorf("the log has a secret:\n%s", log)
		}
	})
}

var errStore = errors.New("the disk is full")

// A crash between callback and profile loses nothing.
func TestInvariant8_RunResumesTheInbox(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.delivery("d1")
		d := w.delivery("d2")
		d.AccessToken, d.Status = "", "user_rejected"
		w.keep(d)
		w.runOnce()
		w.wantInbox()
		w.wantAsked(1)
		if len(w.told) != 2 {
			t.Errorf("the recipient was told %q, want two deliveries", w.told)
		}
		if w.asked[0] != goodHost+"/v1/default token-d1" {
			t.Errorf("the worker fetched %q, want the profile of d1", w.asked)
		}
	})
}

func TestTokenThatNobodyWaitsForIsNotUsed(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.token = func(Delivery) error { return fmt.Errorf("ended: %w", ErrNotFound) }
		w.delivery("d1")
		foreign := w.delivery("d2")
		foreign.Endpoint = "https://evil.example/v1/default"
		w.keep(foreign)
		w.runOnce()
		w.wantInbox()
		w.wantAsked(0)
		w.wantTold()
	})
}

func TestInvariant5_ForeignEndpointFails(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		d := w.delivery("d1")
		d.Endpoint = "https://evil.example/v1/default"
		w.keep(d)
		w.runOnce()
		w.wantInbox()
		w.wantAsked(0)
		w.wantTold("failed: the callback names a foreign profile endpoint: d1")
	})
}

// An app that the configuration has lost has no host to send its tokens to.
func TestDeliveryOfAnUnknownAppFails(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		d := w.delivery("d1")
		d.App = "gone"
		w.keep(d)
		w.runOnce()
		w.wantAsked(0)
		w.wantTold("failed: the callback names a foreign profile endpoint: d1")
	})
}

func TestInvariant8_UnavailableProfileIsTriedAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		tries := 0
		w.answer = func(*http.Request, string) (int, string) {
			switch tries++; tries {
			case 1:
				return 503, ""
			case 2:
				return 0, "" // no answer
			}
			return 200, goodBody
		}
		w.delivery("d1")
		stop := w.run()
		time.Sleep(5 * time.Second)
		stop()
		w.wantInbox()
		w.wantAsked(3)
		w.wantTold("profile d1")
		first, second := w.askedAt[1].Sub(w.askedAt[0]), w.askedAt[2].Sub(w.askedAt[1])
		if first < retryFirst/2 || first > retryFirst*3/2 || second < retryFirst || second > retryFirst*3 {
			t.Errorf("the worker waited %s, then %s; want about %s, then twice that", first, second, retryFirst)
		}
	})
}

func TestInvariant8_RefusedTokenIsNeverTriedAgain(t *testing.T) {
	for status, cause := range map[int]string{401: "the access token was refused", 403: "the access token was refused", 404: "the profile cannot be parsed"} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				w.answer = func(*http.Request, string) (int, string) { return status, "" }
				w.delivery("d1")
				stop := w.run()
				time.Sleep(time.Hour)
				stop()
				w.wantInbox()
				w.wantAsked(1)
				w.wantTold("failed: " + cause + ": d1")
			})
		})
	}
}

func TestInvariant8_TriesEndWithTheTokensLife(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.answer = func(*http.Request, string) (int, string) { return 503, "" }
		d := w.delivery("d1")
		stop := w.run()
		time.Sleep(tokenLife - time.Millisecond)
		w.wantTold()
		time.Sleep(2 * time.Millisecond)
		w.wantTold("failed: the access token's ten minutes are over: d1")
		stop()
		w.wantInbox()
		// Pauses grow to half a minute: some twenty tries, not hundreds.
		if n := len(w.asked); n < 15 || n > 50 || w.askedAt[n-1].Sub(d.Received) >= tokenLife {
			t.Errorf("%d tries, the last after %s; want 15 to 50 within %s", n, w.askedAt[n-1].Sub(d.Received), tokenLife)
		}
	})
}

func TestInvariant8_OldTokenIsNotUsed(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		d := w.delivery("d1")
		d.Received = time.Now().Add(-tokenLife)
		w.keep(d)
		w.runOnce()
		w.wantAsked(0)
		w.wantTold("failed: the access token's ten minutes are over: d1")
	})
}

// The attempt may end while its profile is waited for.
func TestTriesEndWhenNobodyWaits(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.answer = func(*http.Request, string) (int, string) { return 503, "" }
		w.delivery("d1")
		stop := w.run()
		time.Sleep(3 * time.Second)
		w.set(func() { w.token = func(Delivery) error { return ErrNotFound } })
		n := len(w.asked)
		time.Sleep(time.Hour)
		stop()
		w.wantInbox()
		w.wantAsked(n)
		w.wantTold()
	})
}

// What the recipient could not store stays, and is tried again later.
func TestDeliveryStaysWhenTheStoreFails(t *testing.T) {
	fails := func(Delivery) error { return errStore }
	for what, spoil := range map[string]func(*world){
		"Token":    func(w *world) { w.token = fails },
		"Profile":  func(w *world) { w.profile = fails },
		"Progress": func(w *world) { w.progress = fails },
	} {
		t.Run(what, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				spoil(w)
				d := w.delivery("d1")
				if what == "Progress" {
					d.AccessToken, d.Status = "", "user_rejected"
					w.keep(d)
				}
				stop := w.run()
				time.Sleep(sweepEvery - time.Millisecond)
				w.wantInbox("d1")
				w.set(func() { w.token, w.profile, w.progress = nil, nil, nil })
				time.Sleep(2 * sweepEvery)
				stop()
				w.wantInbox()
				if !strings.Contains(w.log.String(), "stays in the inbox") {
					t.Error("the log does not say that the delivery stays in the inbox")
				}
			})
		})
	}
}

// A token may open only once, so a moment's trouble of the store must not cost
// the profile that it opened.
func TestProfileInHandIsNotFetchedAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		tries := 0
		w.profile = func(Delivery) error {
			if tries++; tries < settleTries {
				return errStore
			}
			return nil
		}
		w.delivery("d1")
		stop := w.run()
		time.Sleep(sweepEvery)
		stop()
		w.wantInbox()
		w.wantAsked(1)
		w.wantTold("profile d1 (error)", "profile d1 (error)", "profile d1")
	})
}

// While the store is down the profile is offered a few times, and then its delivery waits
// for the next sweep.
func TestAProfileThatCannotBeStoredWaits(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.profile = func(Delivery) error { return errStore }
		w.delivery("d1")
		stop := w.run()
		time.Sleep(sweepEvery - time.Millisecond)
		stop()
		w.wantInbox("d1")
		w.wantTold(slices.Repeat([]string{"profile d1 (error)"}, settleTries)...)
	})
}

// The same delivery comes from the handler and from each sweep.
func TestDeliveryIsWorkedOnOnceAtATime(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		var now, most atomic.Int32
		w.answer = func(r *http.Request, _ string) (int, string) {
			most.Store(max(most.Load(), now.Add(1)))
			defer now.Add(-1)
			<-r.Context().Done() // until the client's timeout
			return 0, ""
		}
		d := w.delivery("d1")
		stop := w.run()
		for range 5 {
			w.rc.fresh <- d
			time.Sleep(sweepEvery)
		}
		stop()
		if most.Load() != 1 {
			t.Errorf("%d fetches of one delivery at once, want 1", most.Load())
		}
		w.wantInbox("d1")
	})
}

// A host that never answers takes all of its slots and none of the others'.
func TestSlowProfileHostHoldsUpNobodyElse(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.answer = func(r *http.Request, _ string) (int, string) {
			if strings.HasPrefix(r.URL.String(), slowHost) {
				<-r.Context().Done()
				return 0, ""
			}
			return 200, goodBody
		}
		for i := range 10 * fetchesPerHost {
			d := w.delivery(fmt.Sprintf("slow%d", i))
			d.Endpoint = slowHost + "/v1/default"
			w.keep(d)
		}
		stop := w.run()
		synctest.Wait()
		w.wantAsked(fetchesPerHost)
		w.deliversAtOnce("good")
		stop()
	})
}

// Deliveries that wait for another try take no slot of the host's.
func TestRetriesHoldUpNobody(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.rc.cfg.Client.breakers.trip = func(gobreaker.Counts) bool { return false } // or the host would get a rest
		w.answer = func(_ *http.Request, token string) (int, string) {
			if strings.HasPrefix(token, "token-bad") {
				return 503, ""
			}
			return 200, goodBody
		}
		for i := range 10 * fetchesPerHost {
			w.delivery(fmt.Sprintf("bad%d", i))
		}
		stop := w.run()
		synctest.Wait()
		w.deliversAtOnce("good")
		stop()
	})
}

// More than may be in progress at once wait in the inbox for their turn.
func TestManyDeliveriesAreAllWorkedOff(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		var now, most atomic.Int32
		w.token = func(Delivery) error {
			most.Store(max(most.Load(), now.Add(1)))
			defer now.Add(-1)
			time.Sleep(time.Second)
			return nil
		}
		for i := range maxInProgress + 500 {
			w.delivery(fmt.Sprintf("d%d", i))
		}
		stop := w.run()
		time.Sleep(3 * sweepEvery)
		stop()
		w.wantInbox()
		if len(w.told) != maxInProgress+500 || most.Load() > maxInProgress {
			t.Errorf("%d deliveries done, at most %d at once; want %d, %d", len(w.told), most.Load(), maxInProgress+500, maxInProgress)
		}
	})
}

// The end of the process stops a fetch, and the next process goes on.
func TestInvariant8_StopLosesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.answer = func(r *http.Request, _ string) (int, string) {
			<-r.Context().Done()
			return 0, ""
		}
		w.delivery("fetching")
		stop := w.run()
		synctest.Wait()
		w.stopsAtOnce(stop)
		w.wantInbox("fetching")
		w.wantTold()

		w.set(func() { w.answer = func(*http.Request, string) (int, string) { return 503, "" } })
		w.restart()
		stop = w.run()
		synctest.Wait() // it pauses before another try
		w.stopsAtOnce(stop)
		w.wantInbox("fetching")

		w.set(func() { w.answer = nil })
		w.restart()
		w.runOnce()
		w.wantInbox()
		w.wantTold("profile fetching")
	})
}

// A profile that arrives as the process ends is kept all the same.
func TestProfileInHandSurvivesTheStop(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.profile = func(Delivery) error { time.Sleep(time.Second); return nil }
		w.delivery("d1")
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { w.rc.Run(ctx); close(done) }()
		synctest.Wait()
		cancel()
		<-done
		w.wantInbox()
		w.wantTold("profile d1")
	})
}

// A delivery that another process holds is its work alone: it is not fetched, and decides
// nothing.
func TestInvariant8_AnotherProcessWorksOnTheDelivery(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		for _, id := range []string{"d1", "d2"} {
			d := w.delivery(id)
			w.set(func() { w.elsewhere[id] = true })
			w.rc.fresh <- d
		}
		w.runOnce()
		w.wantAsked(0)
		w.wantTold()
		w.wantInbox("d1", "d2")
	})
}

// Who has lost a delivery between two tries does not try again.
func TestInvariant8_ALostDeliveryIsNotTriedAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.answer = func(*http.Request, string) (int, string) {
			w.set(func() { w.elsewhere["d1"] = true })
			return 503, ""
		}
		w.delivery("d1")
		stop := w.run()
		time.Sleep(time.Hour)
		stop()
		w.wantAsked(1)
		w.wantTold()
		w.wantInbox("d1")
	})
}

// While the store cannot say who holds a delivery, its token is not used.
func TestInvariant8_NobodyKnowsWhoHoldsTheDelivery(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.hold = func(string) (bool, error) { return false, errStore }
		w.delivery("d1")
		stop := w.run()
		synctest.Wait()
		w.wantAsked(0)
		w.set(func() { w.hold = nil })
		time.Sleep(2 * sweepEvery)
		stop()
		w.wantAsked(1)
		w.wantTold("profile d1")
		w.wantInbox()
	})
}
