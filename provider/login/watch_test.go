// SPDX-License-Identifier: Apache-2.0

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
	case _, more := <-c:
		return more
	default:
		return false
	}
}

// replaced reports whether a watch was ended for a newer one.
func replaced(w login.Watcher) bool {
	select {
	case _, more := <-w.Hints:
		return !more
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
			first, second := w.engine.Watch(t.Context(), a.ID, browser), w.engine.Watch(t.Context(), a.ID, browser)
			other := w.engine.Watch(t.Context(), "another", "of another browser")
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
		watcher := w.engine.Watch(t.Context(), a.ID, browser)
		defer watcher.End()
		w.approve()
		w.finish(a.ID) // two changes, one hint that is not taken: they are merged
		if !hinted(watcher.Hints) || hinted(watcher.Hints) {
			t.Error("hints are not merged")
		}
	})
}

// A change that another process has made wakes the attempt's pages, and those of its
// browser's other attempts.
func TestWatchersAreHintedOfChangesElsewhere(t *testing.T) {
	w := newWorld(t)
	a := w.start()
	its, same, other := w.engine.Watch(t.Context(), a.ID, browser), w.engine.Watch(t.Context(), "mine", browser), w.engine.Watch(t.Context(), "other", "another browser's secret")
	w.engine.Changed(a.ID, a.Browser)
	if !hinted(its.Hints) || !hinted(same.Hints) || hinted(other.Hints) {
		t.Error("the wrong watchers were hinted")
	}
	if ids := same.Others(); len(ids) != 1 || ids[0] != a.ID {
		t.Errorf("others %v, want the changed attempt", ids)
	}
}

// A page may wait for all pages of its browser. It is told which of their attempts
// have changed, once for each until it looks, and of no other browser's.
func TestInvariant2_AWatcherHearsOfItsBrowsersAttemptsAlone(t *testing.T) {
	w := newWorld(t)
	mine, other, none := w.engine.Watch(t.Context(), "mine", browser), w.engine.Watch(t.Context(), "other", "another browser's secret"), w.engine.Watch(t.Context(), "none", "")
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
			watcher, listener := w.engine.Watch(t.Context(), a.ID, browser), w.engine.Watch(t.Context(), "another", browser)
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

// An attempt and a browser have a few watchers. With one more, the oldest is told to
// end, and none blocks another.
func TestThreat_WatchersAreBounded(t *testing.T) {
	for what, id := range map[string]func(i int, of login.ID) login.ID{
		"pages of the attempt":                     func(_ int, of login.ID) login.ID { return of },
		"pages of its browser":                     func(int, login.ID) login.ID { return "another" },
		"pages of its browser, each of an attempt": func(i int, _ login.ID) login.ID { return login.ID(rune(i)) },
	} {
		w := newWorld(t)
		a := w.start()
		var all []login.Watcher
		for i := range 40 {
			all = append(all, w.engine.Watch(t.Context(), id(i, a.ID), browser))
		}
		if n := w.engine.Pages(); n != 40 {
			t.Errorf("%s: got %d pages counted, want 40 until they have ended", what, n)
		}
		w.approve()
		for i, watcher := range all {
			if last := i >= 40-16; last != hinted(watcher.Hints) || last == replaced(watcher) {
				t.Errorf("%s: page %d was hinted or replaced, want the last 16 hinted and the others replaced", what, i)
			}
		}
		for i, watcher := range all {
			watcher.End()
			watcher.End() // ending twice is harmless
			if n := w.engine.Pages(); n != 40-1-i {
				t.Errorf("%s: got %d pages counted after %d have ended", what, n, i+1)
			}
		}
		w.finish(a.ID)
		if n := w.engine.Watching(); n != 0 {
			t.Errorf("%s: %d attempts are remembered after everything has ended", what, n)
		}
	}
}

// Another browser, which may know the attempt's id, neither hears of it nor takes the
// place of its pages.
func TestInvariant2_AStrangerDoesNotReplaceWatchers(t *testing.T) {
	w := newWorld(t)
	a := w.start()
	mine := w.engine.Watch(t.Context(), a.ID, browser)
	defer mine.End()
	for i := range 40 {
		stranger := w.engine.Watch(t.Context(), a.ID, []login.BrowserSecret{"", "another browser's secret"}[i%2])
		defer stranger.End()
		defer func() {
			if hinted(stranger.Hints) {
				t.Error("a stranger was hinted")
			}
		}()
	}
	w.approve()
	if !hinted(mine.Hints) {
		t.Error("the attempt's own page was replaced")
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
		all = append(all, w.engine.Watch(t.Context(), login.ID(rune(i)), login.BrowserSecret(rune(i))))
	}
	a := w.start()
	watcher := w.engine.Watch(t.Context(), a.ID, browser)
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
