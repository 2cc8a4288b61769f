// SPDX-License-Identifier: Apache-2.0

package truecaller

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var ourNonce = strings.Repeat("n", 43)

// oneTapWorld is a world whose app offers one-tap, and in which no callback is expected
// until the test changes that.
func oneTapWorld(t *testing.T) (w *world, attempt *bool) {
	w = newWorld(t)
	w.app.OneTap = &Dialog{}
	w.app.Name = "Lingon"
	w.restart()
	attempt = new(bool)
	w.expects = func(Callback) (bool, error) { return *attempt, nil }
	return w, attempt
}

func (w *world) early(status, token string) int {
	body := fmt.Sprintf(`{"requestId":%q,"status":%q}`, ourNonce, status)
	if token != "" {
		body = fmt.Sprintf(`{"requestId":%q,"accessToken":%q}`, ourNonce, token)
	}
	return w.post("/callback/main/secret-one", body).Code
}

// A callback that overtakes the request of its one-tap attempt is not lost, and gets the
// same response as any other (invariant 4).
func TestInvariant4_ACallbackMayOvertakeTheOneTapAttempt(t *testing.T) {
	w, attempt := oneTapWorld(t)
	if w.early("flow_invoked", "") != 200 || w.early("", "token-one") != 200 || w.early("", "token-one") != 200 {
		t.Fatal("an early callback got another status than 200")
	}
	w.wantInbox()
	*attempt = true
	w.rc.Arrived(t.Context(), "another nonce")
	w.wantInbox()
	w.rc.Arrived(t.Context(), ourNonce)
	if len(w.inbox) != 2 {
		t.Errorf("%d deliveries, want the news and the token", len(w.inbox))
	}
	w.inbox = map[string]Delivery{}
	w.rc.Arrived(t.Context(), ourNonce)
	w.wantInbox() // once
}

// The attempt may be stored between Expects and put.
func TestEarlyCallbackWhoseAttemptIsMadeMeanwhile(t *testing.T) {
	w, _ := oneTapWorld(t)
	asked := 0
	w.expects = func(Callback) (bool, error) { asked++; return asked > 1, nil }
	w.early("", "token-one")
	if len(w.inbox) != 1 || len(w.rc.early.kept) != 0 {
		t.Errorf("%d deliveries and %d early callbacks, want 1 and 0", len(w.inbox), len(w.rc.early.kept))
	}
}

// Then those that came before this one are not lost either: Arrived may find none
// any more.
func TestEarlyCallbacksBeforeTheOneThatIsDue(t *testing.T) {
	w, _ := oneTapWorld(t)
	w.early("", "token-one")
	asked := 0
	w.expects = func(Callback) (bool, error) { asked++; return asked > 1, nil }
	w.early("flow_invoked", "")
	w.rc.Arrived(t.Context(), ourNonce)
	if len(w.inbox) != 2 || len(w.rc.early.kept) != 0 {
		t.Errorf("%d deliveries, want the token and the news; %d kept", len(w.inbox), len(w.rc.early.kept))
	}
}

func TestEarlyCallbacksAreForgottenAndBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, attempt := oneTapWorld(t)
		w.early("", "token-one")
		time.Sleep(earlyLife)
		*attempt = true
		w.rc.Arrived(t.Context(), ourNonce)
		w.wantInbox()

		*attempt = false
		w.early("", "token-one")
		time.Sleep(earlyLife - 1)
		w.rc.early.expire(time.Now())
		if len(w.rc.early.kept) != 1 {
			t.Errorf("%d early callbacks before the end of their time, want 1", len(w.rc.early.kept))
		}
		time.Sleep(time.Nanosecond)
		if w.rc.early.expire(time.Now()); len(w.rc.early.kept) != 0 {
			t.Errorf("%d early callbacks after the end of their time, want 0", len(w.rc.early.kept))
		}

		e := newEarly()
		for i := range 3 * earlyMax {
			for j := range 3 * earlyPerID {
				e.put(Delivery{ID: fmt.Sprint(i, j), Received: time.Now(), Callback: Callback{RequestID: fmt.Sprint(i)}})
			}
		}
		if len(e.kept) != earlyMax || len(e.take(fmt.Sprint(3*earlyMax-1), time.Now())) != earlyPerID || e.take("0", time.Now()) != nil {
			t.Errorf("%d early callbacks are kept, want %d: the newest, and %d of one requestId", len(e.kept), earlyMax, earlyPerID)
		}
		// One that was taken and came again is not lost with its old place.
		e.put(Delivery{ID: "x", Received: time.Now(), Callback: Callback{RequestID: "again"}})
		e.take("again", time.Now())
		for i := range earlyMax - 1 {
			e.put(Delivery{ID: "y", Received: time.Now(), Callback: Callback{RequestID: fmt.Sprint("filler", i)}})
		}
		e.put(Delivery{ID: "x", Received: time.Now(), Callback: Callback{RequestID: "again"}})
		e.put(Delivery{ID: "z", Received: time.Now(), Callback: Callback{RequestID: "one more"}})
		if e.take("again", time.Now()) == nil {
			t.Error("a requestId that came again was dropped with its first place in the ring")
		}
	})
}

// What cannot be a one-tap callback of ours is not kept.
func TestOnlyOneTapCallbacksAreKeptEarly(t *testing.T) {
	w, _ := oneTapWorld(t)
	for _, body := range []string{
		`{"requestId":"` + ourNonce + `","state":"s","accessToken":"t"}`,
		`{"requestId":"short","accessToken":"t"}`,
		`{"requestId":"` + strings.Repeat("n", 65) + `","accessToken":"t"}`,
	} {
		w.post("/callback/main/secret-one", body)
	}
	if len(w.rc.early.kept) != 0 {
		t.Errorf("%d early callbacks are kept, want 0", len(w.rc.early.kept))
	}
	w.app.OneTap = nil
	w.restart()
	if w.early("", "token"); len(w.rc.early.kept) != 0 {
		t.Errorf("%d early callbacks of an app without one-tap, want 0", len(w.rc.early.kept))
	}
}

// The place in the ring of a requestId that was taken, and has come again, evicts it no
// earlier than its new one.
func TestAnEarlyCallbackThatComesAgainIsKept(t *testing.T) {
	e := newEarly()
	put := func(id string) { e.put(Delivery{ID: "d-" + id, Callback: Callback{RequestID: id}}) }
	put("again") // in the first place
	e.take("again", e.kept["again"].since)
	for i := range earlyMax - 1 {
		put(fmt.Sprint(i))
		if i == 0 {
			put("again") // in the third
		}
	}
	put("one more") // in the second place, and the first was overwritten before
	if e.kept["again"] == nil {
		t.Error("the callback that came again was dropped")
	}
	put("and another") // in the third
	if e.kept["again"] != nil {
		t.Error("the callback that came again outlives its place")
	}
}

// The attempt may be made in another process, which tells this one.
func TestEarlyCallbackWhoseAttemptIsMadeElsewhere(t *testing.T) {
	w, attempt := oneTapWorld(t)
	w.early("", "token-one")
	w.rc.Recheck()
	w.rc.Recheck() // neither waits
	w.rc.arrivedElsewhere(t.Context())
	w.wantInbox()
	*attempt = true
	w.rc.arrivedElsewhere(t.Context())
	if len(w.inbox) != 1 || len(w.rc.early.kept) != 0 {
		t.Errorf("%d deliveries and %d early callbacks, want 1 and 0", len(w.inbox), len(w.rc.early.kept))
	}
}
