// SPDX-License-Identifier: Apache-2.0

package logo

import (
	"context"
	"errors"
	"fmt"
	"image/color"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider/client"
)

// web is what clients publish. A text that is empty fails.
type web struct {
	mu    sync.Mutex
	at    map[string][]byte
	slow  time.Duration
	asked []string
	most  int // fetches at once
	now   int
}

func (w *web) Get(_ context.Context, address, _ string) ([]byte, error) {
	w.mu.Lock()
	w.asked = append(w.asked, address)
	w.now++
	w.most = max(w.most, w.now)
	raw := w.at[address]
	w.mu.Unlock()
	time.Sleep(w.slow)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now--
	if raw == nil {
		return nil, errors.New("connection refused")
	}
	return raw, nil
}

func (w *web) publish(address string, raw []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at[address] = raw
}

func (w *web) asks() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.asked)
}

const address = "https://app.example/logo.png"

var app = client.Client{ID: "app", LogoURI: address}

func logosOf(w *web) *Logos {
	return New(Config{Fetch: w, Log: slog.New(slog.DiscardHandler)})
}

// A logo is fetched beside the page that lacks it, and is on those after it. It is looked at
// again a day later, and shown meanwhile.
func TestOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &web{at: map[string][]byte{address: asPNG(t, pictureOf(64, 64, red))}, slow: 3 * time.Second}
		l := logosOf(w)
		start := time.Now()
		for range 100 {
			if got := l.Of(app); got != "" {
				t.Fatalf("got %q before it was fetched", got)
			}
		}
		if time.Since(start) != 0 {
			t.Error("the page has waited")
		}
		time.Sleep(w.slow)
		synctest.Wait()
		first := l.Of(app)
		if !strings.HasPrefix(first, "/client-logo/app/") || !strings.HasSuffix(first, ".png") || w.asks() != 1 {
			t.Fatalf("got %q after %d fetches, want a path after one", first, w.asks())
		}
		w.publish(address, asPNG(t, pictureOf(64, 64, color.NRGBA{B: 0xff, A: 0xff})))
		time.Sleep(freshFor - time.Second)
		if got := l.Of(app); got != first || w.asks() != 1 {
			t.Errorf("within a day: got %q after %d fetches", got, w.asks())
		}
		time.Sleep(time.Second)
		if got := l.Of(app); got != first {
			t.Errorf("a day later: got %q, want the one of before", got)
		}
		time.Sleep(w.slow)
		synctest.Wait()
		if got := l.Of(app); got == first || got == "" || w.asks() != 2 {
			t.Errorf("afterwards: got %q after %d fetches, want another path", got, w.asks())
		}
	})
}

// An address that fails is asked rarely, and its logo of before is shown for two days.
func TestOfFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &web{at: map[string][]byte{}}
		l := logosOf(w)
		for range 6 * 3600 { // six hours, a page each second
			if got := l.Of(app); got != "" {
				t.Fatalf("got %q", got)
			}
			time.Sleep(time.Second)
		}
		synctest.Wait()
		// After 0, 1, 3, 7, 15 and 31 minutes, an hour and three minutes, then each hour.
		if got := w.asks(); got != 11 {
			t.Errorf("got %d fetches in six hours, want 11", got)
		}
		w.publish(address, asPNG(t, pictureOf(64, 64, red)))
		time.Sleep(time.Hour)
		l.Of(app)
		synctest.Wait()
		if l.Of(app) == "" {
			t.Fatal("got none, want the logo that is there now")
		}
		w.publish(address, []byte("<svg/>"))
		for time.Sleep(freshFor); l.Of(app) != ""; time.Sleep(time.Minute) {
			synctest.Wait()
			if w.asks() > 100 {
				t.Fatal("a logo of before stays for ever")
			}
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.memory != 0 {
			t.Errorf("got %d bytes of no logo", l.memory)
		}
	})
}

func TestThreat_FetchesOfLogosAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &web{at: map[string][]byte{}, slow: 5 * time.Second}
		w.at[address] = asPNG(t, pictureOf(64, 64, red))
		l := New(Config{Fetch: w, Strangers: true, Log: slog.New(slog.DiscardHandler)})
		for i := range 500 {
			l.Of(client.Client{ID: "stranger", LogoURI: fmt.Sprint(address, i), Registration: &client.Registration{}})
		}
		synctest.Wait()
		if w.most != maxFetches {
			t.Errorf("got %d fetches at once, want %d", w.most, maxFetches)
		}
		l.Of(app) // an operator's client does not wait for slow strangers
		time.Sleep(w.slow)
		synctest.Wait()
		if l.Of(app) == "" || w.asks() != maxFetches+1 {
			t.Errorf("got %d fetches, want %d, with the logo of the operator's client", w.asks(), maxFetches+1)
		}
	})
}

// What is remembered is bounded, in number and in bytes; what is used stays.
func TestThreat_MemoryOfLogosIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &web{at: map[string][]byte{address: asPNG(t, pictureOf(64, 64, red))}}
		l := logosOf(w)
		l.Of(app)
		synctest.Wait()
		for i := range maxKnown + 100 {
			l.Of(client.Client{ID: "app", LogoURI: fmt.Sprint(address, i)})
			synctest.Wait()
			time.Sleep(time.Second)
			if l.Of(app) == "" {
				t.Fatalf("the logo that each page shows was forgotten at %d", i)
			}
		}
		l.mu.Lock()
		known := len(l.known)
		// As large as logos are that do not compress.
		for i := range 400 {
			p := &published{used: time.Now()}
			uri := fmt.Sprint("https://large.example/", i)
			l.known[uri] = p
			l.put(uri, p, make([]byte, 64<<10))
			l.makeRoom()
		}
		sum := 0
		for _, p := range l.known {
			sum += len(p.picture)
		}
		if known != maxKnown || l.memory > maxMemory || l.memory != sum {
			t.Errorf("got %d addresses and %d bytes, of which %d are there", known, l.memory, sum)
		}
		l.mu.Unlock()
	})
}

// Whose name nothing proves shows no logo, unless the operator wants it, and has none fetched.
func TestThreat_StrangersLogo(t *testing.T) {
	for _, shows := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := &web{at: map[string][]byte{address: asPNG(t, pictureOf(64, 64, red))}}
			l := New(Config{Fetch: w, Strangers: shows, Log: slog.New(slog.DiscardHandler)})
			stranger := app
			stranger.Registration = &client.Registration{}
			l.Of(stranger)
			synctest.Wait()
			if got := l.Of(stranger); (got != "") != shows || (w.asks() > 0) != shows {
				t.Errorf("show_logos %t: got %q after %d fetches", shows, got, w.asks())
			}
		})
	}
}
