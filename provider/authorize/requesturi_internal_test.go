// SPDX-License-Identifier: Apache-2.0

package authorize

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider/client"

	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// slow is an address that takes its time, and counts.
type slow struct {
	takes time.Duration
	text  string
	err   error
	asked atomic.Int32
}

func (s *slow) Get(ctx context.Context, _, _ string) ([]byte, error) {
	s.asked.Add(1)
	select {
	case <-time.After(s.takes):
		return []byte(s.text), s.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *slow) want(t *testing.T, what string, asked int32) {
	t.Helper()
	if got := s.asked.Load(); got != asked {
		t.Errorf("%s: got %d fetches, want %d", what, got, asked)
	}
}

func errorOf(err error) string {
	if e, ok := errors.AsType[*oidc.Error](err); ok {
		return string(e.ErrorType)
	}
	return fmt.Sprint(err)
}

// Contents are read again after ten seconds, or an hour if the URI names their hash.
func TestContentsAreReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slow{text: "text"}
		rs := newReferences(s, slog.New(slog.DiscardHandler))
		get := func(uri string) {
			t.Helper()
			if text, err := rs.get(t.Context(), client.Client{ID: "a"}, uri, "192.0.2.1/32"); text != "text" || err != nil {
				t.Errorf("%s: got %q, %v", uri, text, err)
			}
		}
		get("https://a.example/r")
		get("https://a.example/r")
		s.want(t, "twice at once", 1)
		time.Sleep(referenceFresh)
		get("https://a.example/r")
		s.want(t, "after ten seconds", 2)
		get("https://a.example/r#other")
		s.want(t, "another fragment", 3)
		time.Sleep(referenceFresh)
		get("https://a.example/r#other")
		s.want(t, "another fragment after ten seconds", 4)
		const hash = "mC2ePrmW9VnmM_TRlN7zdh2Qn1o7ZH0ahR_q1nwyydE" // SHA-256 of "text"
		get("https://a.example/r#" + hash)
		s.want(t, "the hash as fragment", 5)
		time.Sleep(referenceFixed - time.Second)
		get("https://a.example/r#" + hash)
		s.want(t, "within the hour", 5)
		time.Sleep(time.Second)
		get("https://a.example/r#" + hash)
		s.want(t, "after the hour", 6)
	})
}

// An address that fails is left alone for ten seconds.
func TestFailingAddressIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, s := range map[string]*slow{
			"failing": {err: errors.New("no")}, "empty": {text: " \n"}, "long": {text: strings.Repeat("x", maxObject+1)},
		} {
			rs := newReferences(s, slog.New(slog.DiscardHandler))
			for range 3 {
				if _, err := rs.get(t.Context(), client.Client{ID: "a"}, "https://a.example/r", "192.0.2.1/32"); errorOf(err) != "invalid_request_uri" {
					t.Errorf("%s: got %v, want invalid_request_uri", name, err)
				}
			}
			s.want(t, name, 1)
			time.Sleep(referenceFresh)
			rs.get(t.Context(), client.Client{ID: "a"}, "https://a.example/r", "192.0.2.1/32")
			s.want(t, name+" later", 2)
		}
	})
}

// However many ask at once, an address is asked once; who hangs up changes nothing.
func TestCrowdFetchesOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slow{text: "text", takes: time.Second}
		rs := newReferences(s, slog.New(slog.DiscardHandler))
		var crowd sync.WaitGroup
		for i := range 20 {
			synctest.Wait() // the first, who begins the fetch, hangs up
			crowd.Go(func() {
				ctx, cancel := context.WithCancel(t.Context())
				if i%2 == 0 {
					time.AfterFunc(time.Millisecond, cancel)
				}
				text, err := rs.get(ctx, client.Client{ID: "a"}, "https://a.example/r", "192.0.2.1/32")
				if i%2 == 0 && !errors.Is(err, context.Canceled) || i%2 == 1 && (text != "text" || err != nil) {
					t.Errorf("caller %d: got %q, %v", i, text, err)
				}
				cancel()
			})
		}
		crowd.Wait()
		s.want(t, "a crowd", 1)
	})
}

// Whoever has spent their budget gets no place: what others have published stays known.
func TestThreat_StrangersForgetNoContents(t *testing.T) {
	const hash = "mC2ePrmW9VnmM_TRlN7zdh2Qn1o7ZH0ahR_q1nwyydE" // SHA-256 of "text"
	synctest.Test(t, func(t *testing.T) {
		s := &slow{text: "text"}
		rs := newReferences(s, slog.New(slog.DiscardHandler))
		get := func(uri, network string) error {
			_, err := rs.get(t.Context(), client.Client{ID: "a"}, uri, network)
			return err
		}
		if err := get("https://a.example/r#"+hash, "192.0.2.1/32"); err != nil {
			t.Fatal(err)
		}
		for i := range 10 * maxReferences {
			get(fmt.Sprintf("https://b.example/r#%d", i), "192.0.2.2/32")
		}
		if want := 1 + fetchRate.Burst; len(rs.known) != int(want) {
			t.Errorf("after a flood: got %d contents, want %d", len(rs.known), want)
		}
		s.want(t, "a flood", int32(1+fetchRate.Burst))
		if err := get("https://a.example/r#"+hash, "192.0.2.1/32"); err != nil {
			t.Error(err)
		}
		s.want(t, "the first again", int32(1+fetchRate.Burst))
	})
}

// An address that responds slowly holds few requests, of its client and of all.
func TestThreat_SlowAddressesHoldFewRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slow{text: "text", takes: 5 * time.Second}
		rs := newReferences(s, slog.New(slog.DiscardHandler))
		var crowd sync.WaitGroup
		var refused atomic.Int32
		ask := func(id string, i int) {
			crowd.Go(func() {
				uri := fmt.Sprintf("https://%s.example/%d", id, i)
				if _, err := rs.get(t.Context(), client.Client{ID: id}, uri, fmt.Sprintf("192.0.2.%d/32", i)); errorOf(err) == "temporarily_unavailable" {
					refused.Add(1)
				}
			})
		}
		for i := range 10 {
			ask("a", i)
		}
		synctest.Wait()
		s.want(t, "one client", maxClientFetches)
		for i := range 100 {
			ask(fmt.Sprintf("c%d", i), i)
		}
		synctest.Wait()
		s.want(t, "many clients", maxFetches)
		if got := refused.Load(); got != 110-maxFetches {
			t.Errorf("got %d refusals, want %d", got, 110-maxFetches)
		}
		crowd.Wait()
		if _, err := rs.get(t.Context(), client.Client{ID: "a"}, "https://a.example/later", "192.0.2.1/32"); err != nil {
			t.Errorf("when they are done: got %v", err)
		}
		if len(rs.running) != 0 || rs.all != 0 {
			t.Errorf("got %v and %d under way, want none", rs.running, rs.all)
		}
	})
}

// A network's budget comes back with time; a wider IPv6 network has a wider one.
func TestFetchesOfANetwork(t *testing.T) {
	rs := newReferences(&slow{}, slog.New(slog.DiscardHandler))
	now := time.Now()
	spend := func(network func(i int) string) (n int) {
		for i := range 2000 {
			if rs.pay(network(i), now) {
				n++
			}
		}
		return n
	}
	if got := spend(func(int) string { return "192.0.2.1/32" }); got != fetchRate.Burst {
		t.Errorf("one address: got %d, want %d", got, fetchRate.Burst)
	}
	if got := spend(func(i int) string { return fmt.Sprintf("2001:db8:0:%x::/64", i) }); got != 16*fetchRate.Burst {
		t.Errorf("a /48: got %d, want %d", got, 16*fetchRate.Burst)
	}
	now = now.Add(time.Second)
	if !rs.pay("192.0.2.1/32", now) || rs.pay("192.0.2.1/32", now) {
		t.Error("after a second: want one fetch more")
	}
}

// What is remembered is bounded.
func TestReferencesAreBounded(t *testing.T) {
	rs := newReferences(&slow{}, slog.New(slog.DiscardHandler))
	now := time.Now()
	for i := range maxPayers + 50 {
		rs.pay(fmt.Sprintf("10.%d.%d.%d/32", i>>16, i>>8&255, i&255), now)
		rs.at(fmt.Sprint("https://a.example/", i))
	}
	if len(rs.paid) > maxPayers || len(rs.known) > maxReferences {
		t.Errorf("got %d networks and %d URIs, want at most %d and %d", len(rs.paid), len(rs.known), maxPayers, maxReferences)
	}
	rs.pay("192.0.2.1/32", now.Add(time.Hour))
	if len(rs.paid) != 1 {
		t.Errorf("an hour later: got %d networks, want one", len(rs.paid))
	}
}
