package login_test

import (
	"runtime"
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
			first, endFirst := w.engine.Watch(a.ID)
			second, endSecond := w.engine.Watch(a.ID)
			other, endOther := w.engine.Watch("another")
			defer endSecond()
			defer endOther()
			if hinted(first) || hinted(second) {
				t.Error("a hint before any change")
			}
			endFirst()
			endFirst() // ending twice is harmless
			step(w, a)
			if hinted(first) || !hinted(second) || hinted(other) {
				t.Error("the wrong watchers were hinted")
			}
			if hinted(second) {
				t.Error("one change gave two hints")
			}
		})
	}
	t.Run("done", func(t *testing.T) {
		w := newWorld(t)
		a := w.start()
		c, end := w.engine.Watch(a.ID)
		defer end()
		w.approve()
		w.finish(a.ID) // two changes, one hint that is not taken: they are merged
		if !hinted(c) || hinted(c) {
			t.Error("hints are not merged")
		}
	})
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
			c, end := w.engine.Watch(a.ID)
			defer end()
			time.Sleep(4*time.Minute - 1)
			synctest.Wait()
			if hinted(c) {
				t.Error("a hint too early")
			}
			time.Sleep(time.Nanosecond)
			synctest.Wait()
			if !hinted(c) {
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
	var all []<-chan struct{}
	var ends []func()
	for range 40 {
		c, end := w.engine.Watch(a.ID)
		all, ends = append(all, c), append(ends, end)
	}
	w.approve()
	n := 0
	for _, c := range all {
		if hinted(c) {
			n++
		}
	}
	if n != 16 {
		t.Errorf("%d of 40 were hinted, want the last 16", n)
	}
	if w.engine.Watching() != 1 {
		t.Errorf("%d attempts are watched", w.engine.Watching())
	}
	for _, end := range ends {
		end()
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
	var ends []func()
	for i := range pages {
		_, end := w.engine.Watch(login.ID(rune(i)))
		ends = append(ends, end)
	}
	a := w.start()
	c, end := w.engine.Watch(a.ID)
	defer end()
	if cost := (heap() - before) / pages; cost > 2048 {
		t.Errorf("a watcher costs %d bytes", cost)
	}
	w.approve()
	if !hinted(c) {
		t.Error("no hint")
	}
	for _, end := range ends {
		end()
	}
	if n := w.engine.Watching(); n != 1 {
		t.Errorf("%d attempts are still remembered", n)
	}
}
