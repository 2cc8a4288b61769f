package login_test

import (
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider/login"
	"calleridp/truecaller"
)

// hinted takes a hint, if there is one.
func hinted(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestWatchersAreHintedAtEachChange(t *testing.T) {
	rows := map[string]func(*world, login.Attempt){
		"approved": func(w *world, _ login.Attempt) { w.approve() },
		"declined": func(w *world, _ login.Attempt) {
			w.must(w.engine.Progress(w.t.Context(), w.callback(status("user_rejected"))))
		},
		"mismatch": func(w *world, _ login.Attempt) {
			w.must(w.engine.Profile(w.t.Context(), w.callback(), profile(w.t, "x", "46701740699")))
		},
		"no profile": func(w *world, _ login.Attempt) {
			w.must(w.engine.Failed(w.t.Context(), w.callback(), truecaller.ErrUnauthorized))
		},
		"cancelled": func(w *world, a login.Attempt) { w.must(w.engine.Cancel(w.t.Context(), a.ID, browser)) },
	}
	for what, step := range rows {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t)
			a := w.start()
			first, second := w.engine.Watch(a.ID, browser), w.engine.Watch(a.ID, browser)
			other := w.engine.Watch("another", "of another browser")
			defer second.End()
			defer other.End()
			if hinted(first.Hints) || hinted(second.Hints) {
				t.Error("a hint before any change")
			}
			first.End()
			first.End() // ending twice is harmless
			step(w, a)
			if hinted(first.Hints) || !hinted(second.Hints) || hinted(other.Hints) {
				t.Error("the wrong watchers were hinted")
			}
			if hinted(second.Hints) {
				t.Error("one change gave two hints")
			}
			if ids := second.Others(); ids != nil {
				t.Errorf("the attempt itself is called another: %v", ids)
			}
		})
	}
	t.Run("done", func(t *testing.T) {
		w := newWorld(t)
		a := w.start()
		watcher := w.engine.Watch(a.ID, browser)
		defer watcher.End()
		w.approve()
		w.finish(a.ID) // two changes, one hint that is not taken: they are merged
		if !hinted(watcher.Hints) || hinted(watcher.Hints) {
			t.Error("hints are not merged")
		}
	})
}

// A page may wait for all pages of its browser. It is told which of their attempts
// have changed, once for each until it looks, and of no other browser's.
func TestInvariant2_AWatcherHearsOfItsBrowsersAttemptsAlone(t *testing.T) {
	w := newWorld(t)
	mine, other, none := w.engine.Watch("mine", browser), w.engine.Watch("other", "another browser's secret"), w.engine.Watch("none", "")
	defer mine.End()
	defer other.End()
	defer none.End()
	a := w.start()
	w.approve()
	w.finish(a.ID)
	if !hinted(mine.Hints) || !slices.Equal(mine.Others(), []login.ID{a.ID}) {
		t.Error("the browser's own page has not heard")
	}
	if mine.Others() != nil {
		t.Error("it is told twice")
	}
	if hinted(other.Hints) || other.Others() != nil || hinted(none.Hints) || none.Others() != nil {
		t.Error("a page of another browser has heard")
	}
}

// When the time is over a waiting page is told so, also after a restart and for
// a watcher that came late.
func TestWatchersAreHintedWhenTheTimeIsOver(t *testing.T) {
	for _, restart := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			a := w.start()
			time.Sleep(time.Minute)
			if restart {
				w.restart()
			}
			watcher, listener := w.engine.Watch(a.ID, browser), w.engine.Watch("another", browser)
			defer watcher.End()
			defer listener.End()
			time.Sleep(4*time.Minute - 1)
			synctest.Wait()
			if hinted(watcher.Hints) || hinted(listener.Hints) {
				t.Error("a hint too early")
			}
			time.Sleep(time.Nanosecond)
			synctest.Wait()
			if !hinted(watcher.Hints) || !hinted(listener.Hints) || !slices.Equal(listener.Others(), []login.ID{a.ID}) {
				t.Error("no hint when the time was over")
			}
			w.expect(a.ID, login.Expired, login.NoReason)
		})
	}
}

// An attempt has a few watchers; more of them push out the oldest, and none
// blocks anybody.
func TestWatchersAreBounded(t *testing.T) {
	w := newWorld(t)
	a := w.start()
	var all, listeners []login.Watcher
	for range 40 {
		all = append(all, w.engine.Watch(a.ID, ""))
		listeners = append(listeners, w.engine.Watch("another", browser))
	}
	w.approve()
	for what, watchers := range map[string][]login.Watcher{"pages of the attempt": all, "pages of its browser": listeners} {
		n := 0
		for _, watcher := range watchers {
			if hinted(watcher.Hints) {
				n++
			}
		}
		if n != 16 {
			t.Errorf("%d of 40 %s were hinted, want the last 16", n, what)
		}
	}
	for _, watcher := range listeners {
		watcher.End()
	}
	if w.engine.Watching() != 1 {
		t.Errorf("%d attempts are watched", w.engine.Watching())
	}
	for _, watcher := range all {
		watcher.End()
	}
	w.finish(a.ID)
	if n := w.engine.Watching(); n != 0 {
		t.Errorf("%d attempts are remembered after everything has ended", n)
	}
}

// Ten thousand pages wait: each costs little, an approval reaches its page, and
// nothing stays behind.
func TestTenThousandWaitingPages(t *testing.T) {
	w := newWorld(t)
	const pages = 10_000
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	var all []login.Watcher
	for i := range pages {
		all = append(all, w.engine.Watch(login.ID(rune(i)), login.BrowserSecret(rune(i))))
	}
	a := w.start()
	watcher := w.engine.Watch(a.ID, browser)
	defer watcher.End()
	if cost := (heap() - before) / pages; cost > 2048 {
		t.Errorf("a watcher costs %d bytes", cost)
	}
	w.approve()
	if !hinted(watcher.Hints) {
		t.Error("no hint")
	}
	for _, watcher := range all {
		watcher.End()
	}
	if n := w.engine.Watching(); n != 1 {
		t.Errorf("%d attempts are still remembered", n)
	}
}
