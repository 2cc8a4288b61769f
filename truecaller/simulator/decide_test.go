// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// decide makes a decision by the control interface and returns the status.
func (w *world) decide(id, decision string) int {
	status, _ := w.do("POST", "/sim/requests/"+url.PathEscape(id)+"/"+decision, "")
	return status
}

func TestDecisions(t *testing.T) {
	for decision, want := range map[string]string{approve: "token", decline: "user_rejected", another: "use_another_number", expire: ""} {
		for _, kind := range []string{"push", "onetap"} {
			t.Run(kind+" "+decision, func(t *testing.T) {
				inBubble(t, func(w *world) {
					if kind == "push" {
						w.push("07")
					} else {
						w.tap("07")
						w.callback()
					}
					before := len(w.deliveries())
					id := w.pending("07")[0].RequestID
					if kind == "push" && decision == another { // a push has no footer
						if status := w.decide(id, decision); status != 404 || len(w.pending("07")) != 1 {
							t.Errorf("%s got %d, want 404 and a request that is still pending", decision, status)
						}
						return
					}
					if status := w.decide(id, decision); status != 200 {
						t.Fatalf("%s got %d, want 200", decision, status)
					}
					var got []string
					for _, d := range w.deliveries()[before:] {
						if got = append(got, d.body["status"]); d.body["accessToken"] != "" {
							got = []string{"token"}
						}
					}
					if strings.Join(got, " ") != want {
						t.Errorf("%q by the time it is answered, want %q", got, want)
					}
					for _, again := range []string{approve, decline, expire} {
						if status := w.decide(id, again); status != 409 {
							t.Errorf("%s after %s got %d, want 409", again, decision, status)
						}
					}
					time.Sleep(time.Hour)
					if n := len(w.deliveries()) - before; n != len(got) {
						t.Errorf("%d callbacks in the end, want %d", n, len(got))
					}
					if open := w.pending("07"); len(open) != 0 {
						t.Errorf("pending: %+v, want none", open)
					}
				})
			})
		}
	}
	inBubble(t, func(w *world) {
		w.push("07")
		if status := w.decide("nobody", approve); status != 404 {
			t.Errorf("deciding an unknown request got %d, want 404", status)
		}
		if status := w.decide(w.pending("07")[0].RequestID, "explode"); status != 404 {
			t.Errorf("an unknown decision got %d, want 404", status)
		}
	})
}

// Of two decisions at the same moment, one counts.
func TestDecidedOnce(t *testing.T) {
	inBubble(t, func(w *world) {
		w.push("07")
		id := w.pending("07")[0].RequestID
		statuses := make([]int, 20)
		var all sync.WaitGroup
		for i := range statuses {
			all.Go(func() { statuses[i] = w.decide(id, []string{approve, decline}[i%2]) })
		}
		all.Wait()
		slices.Sort(statuses)
		if statuses[0] != 200 || statuses[1] != 409 || len(w.deliveries()) != 1 {
			t.Errorf("two decisions at once got %v and %d callbacks, want 200, 409 and 1", statuses, len(w.deliveries()))
		}
	})
}

// Any id is found again, with all the characters of base64.
func TestDecideEveryShapeOfID(t *testing.T) {
	inBubble(t, func(w *world) {
		for range 50 {
			w.push("07")
		}
		open := w.pending("07")
		for _, p := range open {
			if status := w.decide(p.RequestID, decline); status != 200 {
				t.Errorf("declining %s got %d, want 200", p.RequestID, status)
			}
		}
		if len(open) != 50 || len(w.pending("07")) != 0 {
			t.Errorf("%d pending, then %d; want 50, then 0", len(open), len(w.pending("07")))
		}
	})
}

// The newest is first, and each phone shows its own. A phone that is never looked
// at forgets.
func TestPending(t *testing.T) {
	inBubble(t, func(w *world) {
		w.push("07")
		first := w.pending("07")[0].RequestID
		w.push("09")
		w.push("07")
		if open := w.pending("07"); len(open) != 2 || open[1].RequestID != first || open[0].Phone != fiction+"07" {
			t.Errorf("pending: %+v, want two, the newest first", open)
		}
		for query, want := range map[string]int{"": 3, "?phone=": 3, "?phone=%2B46701740607": 2, "?phone=+46701740607": 2, "?phone=46701740610": 0} {
			var open []Pending
			if w.get("/sim/requests"+query, &open); len(open) != want {
				t.Errorf("/sim/requests%s lists %d, want %d", query, len(open), want)
			}
		}
		if _, body := w.do("GET", "/sim/requests?phone=46701740610", ""); body != "[]" {
			t.Errorf("nothing pending is listed as %s, want []", body)
		}
		time.Sleep(pendingLife)
		if open := w.pending("07"); len(open) != 0 {
			t.Errorf("pending after ten minutes: %+v, want none", open)
		}
	})
}

// A callback is repeated without a response or after a 500 only, four tries in all.
func TestCallbackIsSentAgain(t *testing.T) {
	type answer struct {
		status int
		err    error
	}
	lost := answer{err: errors.New("connection reset")}
	four := []time.Duration{0, 500 * time.Millisecond, 1500 * time.Millisecond, 3000 * time.Millisecond}
	for what, row := range map[string]struct {
		answers []answer // the last one repeats
		want    []time.Duration
	}{
		"200":           {[]answer{{status: 200}}, four[:1]},
		"204":           {[]answer{{status: 204}}, four[:1]},
		"400":           {[]answer{{status: 400}}, four[:1]},
		"404":           {[]answer{{status: 404}}, four[:1]},
		"413":           {[]answer{{status: 413}}, four[:1]},
		"429":           {[]answer{{status: 429}}, four[:1]},
		"503":           {[]answer{{status: 503}}, four[:1]},
		"a redirect":    {[]answer{{status: 307}}, four[:1]},
		"500, then 200": {[]answer{{status: 500}, {status: 200}}, four[:2]},
		"500, then 400": {[]answer{{status: 500}, {status: 400}}, four[:2]},
		"500 always":    {[]answer{{status: 500}}, four},
		"lost, 500, ok": {[]answer{lost, {status: 500}, {status: 200}}, four[:3]},
		"lost always":   {[]answer{lost}, four},
	} {
		t.Run(what, func(t *testing.T) {
			inBubble(t, func(w *world) {
				w.answer = func() (int, error) {
					a := row.answers[0]
					if len(row.answers) > 1 {
						row.answers = row.answers[1:]
					}
					return a.status, a.err
				}
				w.push("05")
				time.Sleep(time.Hour)
				var got []time.Duration
				for _, d := range w.deliveries() {
					if got = append(got, d.after); d.path != "/lingon" || d.body["accessToken"] == "" {
						t.Errorf("the callback is %+v, want one to /lingon with a token", d)
					}
				}
				if !slices.Equal(got, row.want) {
					t.Errorf("tried after %v, want %v", got, row.want)
				}
			})
		})
	}
}

// A callback without a response is repeated after five seconds.
func TestCallbackIsNotWaitedForForLong(t *testing.T) {
	inBubble(t, func(w *world) {
		var tries []time.Duration
		silent := roundTrip(func(r *http.Request) (*http.Response, error) {
			tries = append(tries, time.Since(w.begun))
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		sim := New(Config{Apps: w.sim.cfg.Apps, HTTP: &http.Client{Transport: silent}})
		defer sim.Close()
		sim.callback(&sim.cfg.Apps[0], []byte(`{}`))
		if len(tries) != 4 || tries[1] != answerWithin+500*time.Millisecond {
			t.Errorf("the callback was sent after %v, want four tries and a timeout of %s", tries, answerWithin)
		}
	})
}

// Close ends what is still to be delivered.
func TestCloseEndsRetries(t *testing.T) {
	inBubble(t, func(w *world) {
		w.answer = func() (int, error) { return 500, nil }
		w.push("05")
		time.Sleep(time.Millisecond)
		w.sim.Close()
		time.Sleep(time.Hour)
		if n := len(w.deliveries()); n != 1 {
			t.Errorf("%d tries after Close, want 1", n)
		}
	})
}
