// SPDX-License-Identifier: Apache-2.0

package login

import (
	"slices"
	"sync"
	"time"

	"calleridp/provider/redact"
)

const (
	// maxWatchers is how many pages may watch one attempt, and how many may watch for
	// one browser. One more takes the place of the oldest, because the user looks at
	// the newest, and the oldest may be a dead connection that was not noticed yet.
	maxWatchers = 16
	// maxOthers is how many other attempts are kept for a watcher that takes none.
	maxOthers = 256
)

// Watcher receives changes that a user can see.
type Watcher struct {
	// Hints receives after each change of the attempt, when it expires, and after
	// each change of another attempt of the same browser. A hint carries nothing: the
	// watcher looks at the record. Hints are merged until they are taken. The channel
	// is closed when a newer page has taken this one's place; nil for a watcher that
	// hears of nothing.
	Hints <-chan struct{}
	// Others takes the browser's other attempts that have changed, the oldest
	// change first. One page can thus wait for all pages of its browser.
	Others func() []ID
	// End ends the watch. Ending it twice is harmless.
	End func()
}

// hub wakes the pages that wait for attempts. It also knows when each live attempt
// expires.
type hub struct {
	over func(ID) // called once when an attempt expires

	mu       sync.Mutex
	attempts map[ID]*waiting
	browsers map[browserHash][]*watcher
	pages    int // watchers that have not ended, those included that were replaced
}

// browserHash is the SHA-256 of a browser cookie's secret; zero for no browser.
type browserHash = redact.Hash

// waiting is kept while an attempt is live or a page watches it.
type waiting struct {
	watchers []*watcher
	timer    *time.Timer // nil once the attempt has ended
}

// watcher is one page.
type watcher struct {
	id      ID
	browser browserHash
	hints   chan struct{}
	others  []ID
	ended   bool
}

func newHub(over func(ID)) *hub {
	return &hub{over: over, attempts: map[ID]*waiting{}, browsers: map[browserHash][]*watcher{}}
}

// expect remembers when the attempt expires.
func (h *hub) expect(a Attempt) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.at(a.ID).expect(h, a)
}

// watch adds a watcher of an attempt, for the browser with this hash. The attempt
// has only its ID where it is unknown.
func (h *hub) watch(a Attempt, browser browserHash) Watcher {
	w := &watcher{id: a.ID, browser: browser, hints: make(chan struct{}, 1)}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.pages++
	at := h.at(a.ID)
	if len(at.watchers) == maxWatchers {
		h.replace(at.watchers[0])
		at = h.at(a.ID) // an attempt without watchers is forgotten
	}
	at.watchers = append(at.watchers, w)
	if !a.Expires.IsZero() && !a.State.Terminal() {
		at.expect(h, a)
	}
	if browser != (browserHash{}) {
		if all := h.browsers[browser]; len(all) == maxWatchers {
			h.replace(all[0])
		}
		h.browsers[browser] = append(h.browsers[browser], w)
	}
	return Watcher{Hints: w.hints, Others: func() []ID { return h.take(w) }, End: func() { h.leave(w) }}
}

// wake gives a hint to each watcher of the attempt, and of its browser.
func (h *hub) wake(a Attempt) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hint(a.ID, a.Browser)
}

// settle is wake for an attempt that has ended, and will not expire.
func (h *hub) settle(a Attempt) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if at := h.attempts[a.ID]; at != nil && at.timer != nil {
		at.timer.Stop()
		at.timer = nil
	}
	h.hint(a.ID, a.Browser)
	h.tidy(a.ID)
}

func (h *hub) size() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.attempts)
}

func (h *hub) watchers() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.pages
}

func (h *hub) take(w *watcher) []ID {
	h.mu.Lock()
	defer h.mu.Unlock()
	ids := w.others
	w.others = nil
	return ids
}

func (h *hub) leave(w *watcher) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !w.ended {
		w.ended = true
		h.pages--
	}
	h.remove(w)
}

// replace ends the watch of a page whose place a newer one takes.
func (h *hub) replace(w *watcher) {
	h.remove(w)
	close(w.hints) // nothing hints it any more
}

// remove takes a watcher off the lists, once or more often.
func (h *hub) remove(w *watcher) {
	is := func(other *watcher) bool { return other == w }
	if at := h.attempts[w.id]; at != nil {
		at.watchers = slices.DeleteFunc(at.watchers, is)
		h.tidy(w.id)
	}
	if left := slices.DeleteFunc(h.browsers[w.browser], is); len(left) > 0 {
		h.browsers[w.browser] = left
	} else {
		delete(h.browsers, w.browser)
	}
}

func (h *hub) hint(id ID, browser browserHash) {
	if at := h.attempts[id]; at != nil {
		for _, w := range at.watchers {
			w.hint()
		}
	}
	for _, w := range h.browsers[browser] { // no page watches for no browser
		if w.id != id && len(w.others) < maxOthers && !slices.Contains(w.others, id) {
			w.others = append(w.others, id)
			w.hint()
		}
	}
}

func (h *hub) at(id ID) *waiting {
	at := h.attempts[id]
	if at == nil {
		at = &waiting{}
		h.attempts[id] = at
	}
	return at
}

func (h *hub) tidy(id ID) {
	if at := h.attempts[id]; at != nil && len(at.watchers) == 0 && at.timer == nil {
		delete(h.attempts, id)
	}
}

func (at *waiting) expect(h *hub, a Attempt) {
	if at.timer == nil {
		id, browser := a.ID, a.Browser // and not all of the attempt
		at.timer = time.AfterFunc(time.Until(a.Expires), func() {
			h.over(id)
			h.settle(Attempt{ID: id, Browser: browser})
		})
	}
}

func (w *watcher) hint() {
	select {
	case w.hints <- struct{}{}:
	default:
	}
}
