// SPDX-License-Identifier: Apache-2.0

package tracing

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/keys"
	"calleridp/provider/endpoint"
	"calleridp/provider/login"
	"calleridp/provider/notify"
	"calleridp/truecaller"
)

// record returns a tracer whose spans stay in its queues.
func record(sample float64) *Tracer {
	return New(Options{Sample: sample, Endpoint: &url.URL{}, Log: slog.New(slog.DiscardHandler)})
}

func (t *Tracer) spans() []span {
	a, _ := t.attempts.take(queued)
	b, _ := t.requests.take(queued)
	return append(a, b...)
}

// The trace of an attempt follows from its ID alone, at every server.
func TestTheAttemptIsTheTrace(t *testing.T) {
	id := login.ID(keys.RandomText(16))
	raw, err := base64.RawURLEncoding.DecodeString(string(id))
	if err != nil {
		t.Fatal(err)
	}
	one, other := record(1), record(1)
	if got := ID(one.InAttempt(t.Context(), id)); got != hex.EncodeToString(raw) || got != ID(other.InAttempt(t.Context(), id)) {
		t.Errorf("got the trace %s, want %x", got, raw)
	}
	begun := time.Now()
	a := login.Attempt{ID: id, State: login.Done, Method: login.Push, Created: begun, Ended: begun.Add(7 * time.Second)}
	one.Attempt(one.InAttempt(t.Context(), id), "attempt.pushed", a)
	other.Attempt(other.InAttempt(t.Context(), id), "attempt.done", a)
	pushed, done := one.spans(), other.spans()
	if len(pushed) != 1 || len(done) != 2 {
		t.Fatalf("got %d and %d spans, want one, and one with the root", len(pushed), len(done))
	}
	root := done[1]
	if root.name != "attempt" || root.id != pushed[0].parent || root.id != done[0].parent || root.trace != pushed[0].trace || root.took != 7*time.Second {
		t.Errorf("the root is %+v, want the parent of the others, of 7 s", root)
	}
	if got := ID(one.InAttempt(t.Context(), "not an id of ours")); len(got) != 32 || strings.Trim(got, "0") == "" {
		t.Errorf("an ID that is none got the trace %q, want one of 16 bytes", got)
	}
}

// Whether an attempt is recorded follows from its ID, and a share is a share.
func TestSample(t *testing.T) {
	none, tenth, all := record(0), record(0.1), record(1)
	recorded := 0
	for range 20000 {
		id := login.ID(keys.RandomText(16))
		if ID(none.InAttempt(t.Context(), id)) != "" || ID(all.InAttempt(t.Context(), id)) == "" {
			t.Fatal("a share of 0 records, or a share of 1 does not")
		}
		if ID(tenth.InAttempt(t.Context(), id)) != "" {
			recorded++
		}
	}
	if recorded < 1700 || recorded > 2300 { // seven standard deviations
		t.Errorf("a tenth of 20000 is %d", recorded)
	}
	r := none.Begin(t.Context())
	none.Step(r, endpoint.StepDecide, false, time.Second)
	none.Request(r, "id", "GET", "/x", 200, time.Second)
	if got := none.spans(); len(got) != 0 {
		t.Errorf("got %d spans of what is not recorded", len(got))
	}
}

// A request and the attempt on which it works are linked, both ways.
func TestRequestsAndAttemptsAreLinked(t *testing.T) {
	tr := record(1)
	r := tr.Begin(t.Context())
	id := login.ID(keys.RandomText(16))
	within := tr.InAttempt(r, id)
	tr.Asked(within, truecaller.ForPush, truecaller.OutcomeOK, time.Millisecond)
	tr.Committed(r, false, time.Millisecond)
	tr.Request(r, "request-id", "POST", "/signin", 303, time.Second)
	tr.Committed(context.Background(), false, time.Second) // of nothing that is traced
	by := map[string]span{}
	for _, s := range tr.spans() {
		by[s.name] = s
	}
	push, commit, request := by["truecaller.push"], by["store.commit"], by["POST /signin"]
	trace, root := ofAttempt(id)
	if push.trace != trace || push.parent != root || !slices.Equal(push.links, []link{{request.trace, request.id}}) {
		t.Errorf("the push is %+v, want it in the attempt with a link to its request", push)
	}
	if !slices.Equal(request.links, []link{{trace, root}}) || commit.parent != request.id || commit.trace != request.trace || len(by) != 3 {
		t.Errorf("the request is %+v with %+v, want a link to the attempt", request, commit)
	}
}

// No text of a request becomes a name or an attribute (invariant 10).
func TestInvariant10_SpansHaveNoTextOfRequests(t *testing.T) {
	tr := record(1)
	r := tr.Begin(t.Context())
	tr.Request(r, "id", "46701740605", "", 404, time.Second)
	for _, s := range tr.spans() {
		if text := fmt.Sprint(s); strings.Contains(text, "46701740605") {
			t.Errorf("got %s", text)
		}
		for _, a := range s.attributes {
			if !slices.Contains(Keys, a.key) {
				t.Errorf("got the attribute %s, which is not in the list", a.key)
			}
		}
	}
}

// A queue has a bound, what does not fit is counted, and a flood of requests costs no
// sign-in its spans.
func TestFlood(t *testing.T) {
	tr := record(1)
	for range 10 * queued {
		tr.Request(tr.Begin(t.Context()), "id", "GET", "/authorize", 200, time.Millisecond)
	}
	tr.Committed(tr.InAttempt(t.Context(), "a"), false, time.Millisecond)
	spans, dropped := tr.requests.take(10 * queued)
	if len(spans) != queued || dropped != 9*queued {
		t.Errorf("%d spans wait and %d were dropped, want %d and %d", len(spans), dropped, queued, 9*queued)
	}
	if spans, dropped := tr.attempts.take(queued); len(spans) != 1 || dropped != 0 {
		t.Errorf("%d spans of attempts wait and %d were dropped, want 1 and 0", len(spans), dropped)
	}
}

// A collector that fails costs the spans that it got, the log a line, and later ones nothing.
func TestCollectorFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		counts, fails, lines := map[string]int{}, true, 0
		tr := New(Options{
			Endpoint: &url.URL{Scheme: "http", Host: "collector.example", Path: "/v1/traces"},
			Header:   http.Header{"Authorization": {"secret-of-the-collector"}},
			Sample:   1,
			Log:      slog.New(counting{&lines, t}),
			Sent:     func(outcome string, n int) { counts[outcome] += n },
		})
		tr.sender.client.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
			mu.Lock()
			defer mu.Unlock()
			w := httptest.NewRecorder()
			if r.Header.Get("Authorization") != "secret-of-the-collector" || r.Header.Get("Content-Type") != "application/x-protobuf" {
				t.Errorf("the collector got %v", r.Header)
			}
			if fails {
				return nil, errors.New("no route")
			}
			return w.Result(), nil
		})
		ctx, stop := context.WithCancel(t.Context())
		go tr.Run(ctx)
		add := func() { tr.Notified(ctx, notify.Logout, notify.Delivered, time.Second) }
		for range 3 {
			add()
			time.Sleep(sendEvery)
			synctest.Wait()
		}
		mu.Lock()
		fails = false
		mu.Unlock()
		add()
		time.Sleep(sendEvery)
		synctest.Wait()
		for range batch { // not waited for
			add()
		}
		synctest.Wait()
		add()
		stop() // what is left is sent
		synctest.Wait()
		if counts[Failed] != 3 || counts[Sent] != batch+2 || lines != 2 {
			t.Errorf("counted %v in %d lines, want 3 failed, %d sent and 2 lines", counts, lines, batch+2)
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// counting counts lines.
type counting struct {
	n *int
	t *testing.T
}

func (c counting) Enabled(context.Context, slog.Level) bool { return true }
func (c counting) Handle(_ context.Context, r slog.Record) error {
	*c.n++
	r.Attrs(func(a slog.Attr) bool {
		if strings.Contains(a.Value.String(), "collector.example") {
			c.t.Errorf("a line has the address: %s", a)
		}
		return true
	})
	return nil
}
func (c counting) WithAttrs([]slog.Attr) slog.Handler { return c }
func (c counting) WithGroup(string) slog.Handler      { return c }

// Looking for a trace costs a request without one no memory.
func TestOffAllocatesNothing(t *testing.T) {
	ctx := context.WithValue(t.Context(), queueKey{}, 1)
	if n := testing.AllocsPerRun(100, func() {
		if ID(ctx) != "" {
			t.Error("got a trace")
		}
	}); n != 0 {
		t.Errorf("got %v allocations, want none", n)
	}
}

type queueKey struct{}

func BenchmarkRequest(b *testing.B) {
	for name, sample := range map[string]float64{"recorded": 1, "not recorded": 0} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			tr := record(sample)
			for b.Loop() {
				ctx := tr.Begin(b.Context())
				tr.Step(ctx, endpoint.StepDecide, false, time.Millisecond)
				tr.Committed(ctx, false, time.Millisecond)
				tr.Request(ctx, "id", "GET", "/authorize", 200, time.Millisecond)
				tr.requests.take(8)
			}
		})
	}
	b.Run("off", func(b *testing.B) {
		b.ReportAllocs()
		ctx := b.Context()
		for b.Loop() {
			ID(ctx)
		}
	})
}
