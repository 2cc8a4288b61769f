// SPDX-License-Identifier: Apache-2.0

package truecaller

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/truecaller/phone"

	"github.com/sony/gobreaker/v2"
)

// api is a Truecaller with the responses of the test, in fake time.
type api struct {
	t      *testing.T
	client *Client
	app    App
	log    *safeBuffer
	asked  atomic.Int32
	answer func(*http.Request) (*http.Response, error)
}

// inAPIBubble runs a test of the client in fake time.
func inAPIBubble(t *testing.T, test func(t *testing.T, a *api)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		a := &api{t: t, app: appAt(t, "https://api4.truecaller.com"), log: &safeBuffer{}}
		a.app.Profiles = bases(t, goodHost+" "+slowHost)
		a.client = NewClient(Options{Log: slog.New(slog.NewJSONHandler(a.log, nil))})
		a.client.http.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
			a.asked.Add(1)
			return a.answer(r)
		})
		test(t, a)
		checkDiscreet(t, a.log.String())
	})
}

// says responds with a status and a body.
func says(status int, body string) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(body)), Request: r, Header: http.Header{}}, nil
	}
}

// connects is how a request ends that had a connection.
func connects(r *http.Request) {
	httptrace.ContextClientTrace(r.Context()).GotConn(httptrace.GotConnInfo{})
}

func noConnection(*http.Request) (*http.Response, error) {
	return nil, errors.New("connection refused")
}

func noAnswer(r *http.Request) (*http.Response, error) {
	connects(r)
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func cutOff(r *http.Request) (*http.Response, error) {
	connects(r)
	return nil, io.ErrUnexpectedEOF
}

// heldBack reports whether a breaker kept a request from being made.
func heldBack(err error) bool {
	_, ok := errors.AsType[*Unavailable](err)
	return ok
}

// push is one push as the engine makes it.
func (a *api) push() error {
	permit, err := a.client.Admit(a.app)
	if err != nil {
		return err
	}
	defer permit.Return()
	_, err = a.client.Push(context.Background(), permit, a.app, number(a.t, typed), ourState)
	return err
}

// pushes makes n pushes that are all let through.
func (a *api) pushes(n int, answer func(*http.Request) (*http.Response, error)) {
	a.t.Helper()
	a.answer = answer
	before := a.asked.Load()
	for range n {
		a.push()
	}
	if got := a.asked.Load() - before; int(got) != n {
		a.t.Fatalf("%d of %d pushes were sent, want all", got, n)
	}
}

// closed makes sure that the breaker for pushes lets requests through, or not.
func (a *api) closed(want bool) {
	a.t.Helper()
	permit, err := a.client.Admit(a.app)
	if (err == nil) != want {
		a.t.Fatalf("lets a push through: %v (%v)", !want, err)
	}
	if err == nil {
		permit.Return()
	}
}

// retryAt is when a refused push may be tried again.
func (a *api) retryAt() time.Time {
	a.t.Helper()
	err := a.push()
	down, ok := errors.AsType[*Unavailable](err)
	if !ok || down.Purpose != ForPush || down.Host != "api4.truecaller.com" {
		a.t.Fatalf("a push failed with %v, want Unavailable for a push to api4.truecaller.com", err)
	}
	return down.RetryAt
}

// After five pushes in a row without a response none is sent for half a minute, then
// one, which decides.
func TestBreaker(t *testing.T) {
	inAPIBubble(t, func(t *testing.T, a *api) {
		a.pushes(openAfter-1, says(503, ""))
		a.closed(true)
		a.pushes(1, says(503, ""))
		opened := time.Now()
		for range 3 {
			if at := a.retryAt(); at.Before(opened.Add(pushPause)) || at.After(opened.Add(pushPause+time.Second)) {
				t.Errorf("the next push may be sent after %s, want %s", at.Sub(opened), pushPause)
			}
			time.Sleep(pushPause / 3)
		}
		if a.asked.Load() != openAfter || time.Since(opened) != pushPause {
			t.Errorf("%d requests after %s, want %d after %s", a.asked.Load(), time.Since(opened), openAfter, pushPause)
		}

		// It is half open. The one that is let through fails.
		time.Sleep(time.Until(a.retryAt()))
		a.pushes(1, says(503, ""))
		again := a.retryAt()
		if again.Before(time.Now().Add(pushPause)) {
			t.Errorf("the breaker is open again for %s, want %s", time.Until(again), pushPause)
		}

		// Then one gets a response.
		time.Sleep(time.Until(again))
		a.pushes(2*openAfter, says(200, goodReply))
		a.pushes(openAfter-1, says(503, "")) // those before it are forgotten
		a.closed(true)

		for text, n := range map[string]int{`"WARN","msg":"Truecaller does not answer`: 2, `"INFO","msg":"Truecaller responds again"`: 1} {
			if got := strings.Count(a.log.String(), text); got != n {
				t.Errorf("%d times %s in the log, want %d:\n%s", got, text, n, a.log.String())
			}
		}
	})
}

// Any response keeps the breaker closed. A request that was not sent, or that the caller
// gave up, does not count.
func TestBreakerCountsWhatIsNotAnswered(t *testing.T) {
	for what, row := range map[string]struct {
		answer func(*http.Request) (*http.Response, error)
		opens  bool
	}{
		"no connection":     {noConnection, true},
		"no answer in time": {noAnswer, true},
		"cut off":           {cutOff, true},
		"408":               {says(408, ""), true},
		"429":               {says(429, ""), true},
		"500":               {says(500, ""), true},
		"503 with 1008":     {says(503, `{"code":1008}`), true},
		"302":               {says(302, ""), false},
		"400":               {says(400, ""), false},
		"401":               {says(401, ""), false},
		"403 with 1008":     {says(403, `{"code":1008}`), false},
		"404":               {says(404, ""), false},
		"no requestId":      {says(200, `{}`), false},
		"accepted":          {says(200, goodReply), false},
	} {
		t.Run(what, func(t *testing.T) {
			inAPIBubble(t, func(t *testing.T, a *api) {
				a.pushes(openAfter, row.answer)
				if _, err := a.client.Admit(a.app); (err != nil) != row.opens {
					t.Errorf("%s: Admit() = %v, want the breaker open: %v", what, err, row.opens)
				}
			})
		})
	}
	inAPIBubble(t, func(t *testing.T, a *api) {
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		a.answer = func(r *http.Request) (*http.Response, error) { connects(r); return nil, r.Context().Err() }
		for range 2 * openAfter {
			permit, err := a.client.Admit(a.app)
			if err != nil {
				t.Fatal(err)
			}
			a.client.Push(ended, permit, a.app, number(t, typed), ourState)
			if permit, err = a.client.Admit(a.app); err != nil {
				t.Fatal(err)
			}
			a.client.Push(t.Context(), permit, a.app, phone.Number{}, ourState)
		}
		a.closed(true)
	})
}

// A host that responds only now and then has failed.
func TestBreakerCountsTheRatio(t *testing.T) {
	inAPIBubble(t, func(t *testing.T, a *api) {
		for range openAtLeast/2 - 1 {
			a.pushes(1, says(200, goodReply))
			a.pushes(1, says(503, ""))
		}
		a.pushes(1, says(200, goodReply))
		a.closed(true)
		a.pushes(1, says(503, ""))
		a.closed(false)
	})
	// The last minute counts, wherever it begins.
	inAPIBubble(t, func(t *testing.T, a *api) {
		pairs := func(n int) {
			for range n {
				a.pushes(1, says(200, goodReply))
				a.pushes(1, says(503, ""))
			}
		}
		a.closed(true)
		time.Sleep(openWindow - 2*time.Second)
		pairs(openAtLeast/2 - 1)
		time.Sleep(4 * time.Second)
		pairs(1)
		a.closed(false)
	})
	// The same, more slowly, is not a failure.
	inAPIBubble(t, func(t *testing.T, a *api) {
		for range 2 * openAtLeast {
			a.pushes(1, says(200, goodReply))
			a.pushes(1, says(503, ""))
			time.Sleep(windowStep)
		}
		a.closed(true)
	})
}

// While one push probes the host, no other is sent, and the others may retry soon.
func TestBreakerLetsOneThrough(t *testing.T) {
	inAPIBubble(t, func(t *testing.T, a *api) {
		a.pushes(openAfter, says(503, ""))
		time.Sleep(time.Until(a.retryAt()))

		// Who is let through and sends nothing, gives way to the next.
		permit, err := a.client.Admit(a.app)
		if err != nil {
			t.Fatal(err)
		}
		permit.Return()
		permit.Return()

		a.answer = noAnswer
		go a.push()
		synctest.Wait()
		if at := a.retryAt(); time.Until(at) != probePause {
			t.Errorf("the others wait %s, want %s", time.Until(at), probePause)
		}
		if a.asked.Load() != openAfter+1 {
			t.Errorf("%d requests, want %d", a.asked.Load(), openAfter+1)
		}
		time.Sleep(10 * time.Second) // no response
		a.closed(false)
		if a.asked.Load() != openAfter+1 {
			t.Errorf("%d requests, want %d", a.asked.Load(), openAfter+1)
		}
	})
}

// A host that takes no pushes may still give profiles, and the other way round,
// and so may another host.
func TestBreakersAreApart(t *testing.T) {
	inAPIBubble(t, func(t *testing.T, a *api) {
		a.app.Profiles = bases(t, "https://api4.truecaller.com "+slowHost)
		states := func() string {
			var all [3]string
			for _, b := range a.client.Breakers() {
				text := fmt.Sprintf("%s %s %s", b.Purpose, b.Host, b.State)
				switch {
				case b.Purpose == ForPush:
					all[0] = text
				case b.Host == "api4.truecaller.com":
					all[1] = text
				default:
					all[2] = text
				}
			}
			return strings.Join(all[:], ", ")
		}
		a.pushes(openAfter, says(503, ""))
		fetch := func(endpoint string) error {
			_, err := a.client.FetchProfile(t.Context(), a.app, endpoint, bearer)
			return err
		}
		a.answer = says(200, goodBody)
		if err := fetch(""); err != nil {
			t.Errorf("a fetch while the breaker for pushes is open failed: %v", err)
		}
		a.answer = says(503, "")
		for range openAfter {
			fetch("")
		}
		before := a.asked.Load()
		err := fetch("")
		down, ok := errors.AsType[*Unavailable](err)
		if !errors.Is(err, ErrProfileUnavailable) || !ok || a.asked.Load() != before {
			t.Fatalf("a fetch failed with %v after %d requests, want Unavailable after none", err, a.asked.Load()-before)
		}
		if wait := time.Until(down.RetryAt); wait < shortPause || wait > shortPause+time.Second {
			t.Errorf("the next fetch may be made after %s, want %s", wait, shortPause)
		}
		a.answer = says(200, goodBody)
		if err := fetch(slowHost + "/v1/default"); err != nil {
			t.Errorf("a fetch from another host failed: %v", err)
		}
		if got, want := states(), "push api4.truecaller.com open, profile api4.truecaller.com open, profile profile4-noneu.truecaller.com closed"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		time.Sleep(time.Until(down.RetryAt))
		if got := states(); !strings.Contains(got, "profile api4.truecaller.com half_open") {
			t.Errorf("the breakers are %s, want that of profiles half open", got)
		}
	})
}

// Every outcome of a profile request gives the breaker the right verdict.
func TestBreakerOfProfiles(t *testing.T) {
	for status, opens := range map[int]bool{200: false, 401: false, 404: false, 429: true, 500: true} {
		inAPIBubble(t, func(t *testing.T, a *api) {
			a.answer = says(status, "")
			for range openAfter {
				a.client.FetchProfile(t.Context(), a.app, "", bearer)
			}
			before := a.asked.Load()
			a.client.FetchProfile(t.Context(), a.app, "", bearer)
			if asked := a.asked.Load() != before; asked == opens {
				t.Errorf("after status %d: made another request: %v, want %v", status, asked, !opens)
			}
		})
	}
}

// Deliveries wait for a host that does not respond without many requests, and are all
// done when it responds.
func TestInvariant8_AnOpenHostIsNotHammered(t *testing.T) {
	const deliveries = 500
	inBubble(t, func(t *testing.T, w *world) {
		w.answer = func(*http.Request, string) (int, string) { return 503, "" }
		var looked atomic.Int32
		w.token = func(Delivery) error { looked.Add(1); return nil }
		for i := range deliveries {
			w.delivery(fmt.Sprintf("d%d", i))
		}
		begun := time.Now()
		stop := w.run()
		time.Sleep(5 * time.Minute)
		// The first at once fill their slots, those that fail before the breaker opens
		// are followed by another, and then one is sent in each pause.
		w.mu.Lock()
		asked := len(w.asked)
		w.mu.Unlock()
		if most := fetchesPerHost + openAfter + int(time.Since(begun)/shortPause); asked > most || asked < 10 {
			t.Errorf("%d requests, want at most %d", asked, most)
		}
		if n, most := int(looked.Load()), deliveries*(5+int(time.Since(begun)/shortPause)); n > most {
			t.Errorf("the deliveries were taken up %d times, want at most %d", n, most)
		}
		w.set(func() { w.answer = nil })
		time.Sleep(2 * time.Minute)
		stop()
		w.wantInbox()
		if len(w.told) != deliveries || !strings.HasPrefix(w.told[0], "profile ") {
			t.Errorf("%d deliveries are done, want %d: %.200q", len(w.told), deliveries, w.told)
		}
		if n := strings.Count(w.log.String(), "tried again"); n > asked {
			t.Errorf("%d lines in the log for %d requests, want no more than these", n, asked)
		}
	})
}

// The OAuth host has a breaker for codes and one for profiles, and a host with an open
// breaker gets no retries.
func TestBreakerOfTheOAuthHost(t *testing.T) {
	inAPIBubble(t, func(t *testing.T, a *api) {
		a.app.OAuth, a.app.NativeClientID = bases(t, "https://oauth.truecaller.com")[0], "client"
		verifier := strings.Repeat("v", 43)
		exchange := func() error {
			permit, err := a.client.AdmitExchange(a.app)
			if err == nil {
				_, err = a.client.ExchangeCode(t.Context(), permit, a.app, "code", verifier)
			}
			return err
		}
		for status, opens := range map[int]bool{400: false, 401: false, 503: true} {
			a.answer = says(status, "")
			for range openAfter {
				if err := exchange(); heldBack(err) {
					t.Fatalf("after status %d: the exchange was held back: %v", status, err)
				}
			}
			before := a.asked.Load()
			err := exchange()
			if heldBack(err) != opens || (a.asked.Load() == before) != opens {
				t.Fatalf("after status %d: held back %v (%v), want %v", status, heldBack(err), err, opens)
			}
			time.Sleep(openWindow + shortPause) // another window
			a.answer = says(400, "")
			exchange()
		}
		userinfo := func() error {
			_, err := a.client.FetchUserinfo(t.Context(), a.app, bearer)
			return err
		}
		a.answer = says(503, "")
		if err := userinfo(); heldBack(err) {
			t.Errorf("the first userinfo request was held back: %v", err)
		}
		before := time.Now()
		if err := userinfo(); !heldBack(err) || !errors.Is(err, ErrProfileUnavailable) || time.Since(before) > 2*time.Second {
			t.Errorf("the second failed with %v after %s, want Unavailable within 2s", err, time.Since(before))
		}
		before = time.Now()
		if err := userinfo(); !heldBack(err) || !time.Now().Equal(before) {
			t.Errorf("the third failed with %v after %s, want Unavailable at once", err, time.Since(before))
		}
	})
}

// A breaker opens after failures in a row, or when half of enough requests have failed:
// a single one among many that succeed is no reason.
func TestWhenABreakerOpens(t *testing.T) {
	for _, row := range []struct {
		succeeded, failed, inARow uint32
		want                      bool
	}{
		{0, 0, 0, false},
		{0, openAfter - 1, openAfter - 1, false},
		{0, openAfter, openAfter, true},
		{1000, openAfter, openAfter, true},
		{openAtLeast - 1, 1, 1, false},
		{1000, 1, 1, false},
		{openAtLeast / 2, openAtLeast / 2, 1, true},
		{openAtLeast/2 + 1, openAtLeast / 2, 1, false},
		{openAtLeast/2 - 1, openAtLeast / 2, 1, false}, // too few to tell
	} {
		counts := gobreaker.Counts{TotalSuccesses: row.succeeded, TotalFailures: row.failed, ConsecutiveFailures: row.inARow}
		if got := hasFailed(counts); got != row.want {
			t.Errorf("%+v: got %v, want %v", row, got, row.want)
		}
	}
}
