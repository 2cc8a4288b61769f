// SPDX-License-Identifier: Apache-2.0

package transmitter_test

import (
	"context"
	"net/url"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider/fetch"
	"calleridp/provider/internal/testworld"
	"calleridp/provider/notify"
	"calleridp/provider/redact"
	"calleridp/provider/transmitter"
)

// poster stands for receivers on the network, in a bubble without one.
type poster struct {
	*fetch.Client
	push func(address string, authorization redact.Text, set string) (fetch.Reply, error)
}

func (p poster) PostSET(_ context.Context, address string, authorization redact.Text, set string) (fetch.Reply, error) {
	return p.push(address, authorization, set)
}

// A receiver that is away for a week gets everything in order when it is back, each event with
// the jti of its first try. One that stays away is paused, and is told so before what is held.
func TestPush(t *testing.T) {
	testworld.Ring()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex // of what the receiver does, and of what it has seen
		away, keyless := true, false
		var tried, got []event
		set := func(change func()) {
			mu.Lock()
			defer mu.Unlock()
			change()
		}
		seen := func(events *[]event) []event {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(*events)
		}
		w := testworld.New(t, receivers("app"), func(c *testworld.Config) {
			c.Provider.Fetch = poster{fetch.New(fetch.Options{}), func(address string, authorization redact.Text, token string) (fetch.Reply, error) {
				e := readEvent(t, token)
				mu.Lock()
				defer mu.Unlock()
				tried = append(tried, e)
				switch {
				case address != "https://app.example/events" || authorization != "Bearer x":
					t.Errorf("to %s with %q", address, string(authorization))
				case away:
					return fetch.Reply{Status: 503}, nil
				case keyless:
					return fetch.Reply{Status: 400, Body: `{"err":"invalid_key","description":"a new key"}`}, nil
				}
				got = append(got, e)
				return fetch.Reply{Status: 202}, nil
			}}
		})
		app := newReceiver(t, w, "app")
		id := app.stream(`{"delivery":{"method":"urn:ietf:rfc:8935","endpoint_url":"https://app.example/events","authorization_header":"Bearer x"},
			"events_requested":["` + caep + `session-revoked"]}`)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { w.Provider.Run(ctx); close(ended) }()
		signOuts := func(n int) (sids []any) {
			for range n {
				tokens, session := w.Tokens("app", "openid")
				sids = append(sids, testworld.Claims(t, tokens.ID)["sid"])
				w.Get("/logout?"+url.Values{"id_token_hint": {tokens.ID}}.Encode(), session)
				time.Sleep(6 * time.Minute) // the lock of the number
			}
			return sids
		}
		sidsOf := func(events []event) (sids []any) {
			for _, e := range events {
				sids = append(sids, e.claims["sub_id"].(map[string]any)["session"].(map[string]any)["id"])
			}
			return sids
		}
		want := signOuts(3)
		time.Sleep(7 * 24 * time.Hour)
		first := seen(&tried)[0].claims["jti"]
		set(func() { away, keyless = false, true })
		time.Sleep(2 * time.Hour)
		set(func() { keyless = false })
		time.Sleep(2 * time.Hour)
		if sids := sidsOf(seen(&got)); !slices.Equal(sids, want) {
			t.Fatalf("after a week: got %v, want %v", sids, want)
		}
		if seen(&got)[0].claims["jti"] != first {
			t.Error("the event has another jti than at its first try")
		}

		set(func() { got, away = nil, true })
		want = signOuts(2)
		time.Sleep(8*24*time.Hour + 2*time.Hour)
		app = newReceiver(t, w, "app")
		if status := app.call("GET", "/ssf/status?stream_id="+id, "", 200); status["status"] != "paused" || status["reason"] == nil {
			t.Fatalf("after eight days: %v, want paused with a reason", status)
		}
		if n := len(w.Events("stream.paused")); n != 1 {
			t.Errorf("%d events stream.paused, want 1", n)
		}
		set(func() { away = false })
		time.Sleep(2 * time.Hour)
		if got := seen(&got); len(got) != 1 || got[0].uri != ssf+"stream-updated" || got[0].body["status"] != "paused" || got[0].about() != id {
			t.Fatalf("back again: got %v, want that the stream is paused", uris(got))
		}
		app = newReceiver(t, w, "app")
		app.call("POST", "/ssf/status", `{"stream_id":"`+id+`","status":"enabled"}`, 200)
		time.Sleep(time.Minute)
		if sids := sidsOf(seen(&got)[1:]); !slices.Equal(sids, want) {
			t.Errorf("enabled again: got %v, want %v", sids, want)
		}
		cancel()
		<-ended
	})
}

// A deployment that has turned signals off sends nothing that was kept before.
func TestNothingIsSentWhereSignalsAreOff(t *testing.T) {
	off := transmitter.New(transmitter.Config{})
	res := off.Send(t.Context(), notify.Notice{Kind: notify.Signal, Receiver: "stream:app", Event: "session-revoked", At: time.Now()})
	if res.Outcome != notify.Dropped || res.Reason == "" {
		t.Errorf("got %+v, want that it is dropped, with a reason", res)
	}
}

// A polled stream that was paused, for whatever reason, has its time again when its receiver
// resumes it.
func TestAResumedStreamIsPolled(t *testing.T) {
	testworld.Ring()
	for who, pause := range map[string]bool{"paused because its receiver stayed away": false, "paused by its receiver": true} {
		t.Run(who, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := testworld.New(t, receivers("app"))
				app := newReceiver(t, w, "app")
				id := app.stream(`{"events_requested":["` + caep + `session-revoked"]}`)
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan struct{})
				go func() { w.Provider.Run(ctx); close(ended) }()
				if pause {
					app.call("POST", "/ssf/status", `{"stream_id":"`+id+`","status":"paused"}`, 200)
				}
				tokens, session := w.Tokens("app", "openid")
				w.Get("/logout?"+url.Values{"id_token_hint": {tokens.ID}}.Encode(), session)
				time.Sleep(9 * 24 * time.Hour)
				app = newReceiver(t, w, "app")
				if status := app.call("GET", "/ssf/status?stream_id="+id, "", 200); status["status"] != "paused" {
					t.Fatalf("after nine days: got %v, want paused", status)
				}
				app.call("POST", "/ssf/status", `{"stream_id":"`+id+`","status":"enabled"}`, 200)
				time.Sleep(5 * time.Minute)
				if status := app.call("GET", "/ssf/status?stream_id="+id, "", 200); status["status"] != "enabled" {
					t.Errorf("resumed: got %v, want enabled", status)
				}
				if got := app.poll(id); !slices.Contains(uris(got), "caep/event-type/session-revoked") {
					t.Errorf("resumed: got %v, want the session's end", uris(got))
				}
				cancel()
				<-ended
			})
		})
	}
}
