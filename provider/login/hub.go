package login

import (
	"sync"
	"time"
)

// maxWatchers is how many pages may wait for one attempt. With one more, the
// oldest gets no more hints, and is left to what it does by itself.
const maxWatchers = 16

// hub wakes the pages that wait for attempts. A hint carries nothing: whoever
// receives one looks at the record. Hints to a watcher that has not taken the
// last one are merged. It also knows when each live attempt's time is over.
type hub struct {
	over func(ID) // called once when an attempt's time is over

	mu       sync.Mutex
	attempts map[ID]*waiting
}

// waiting is kept while an attempt is live or somebody watches it.
type waiting struct {
	watchers []chan struct{}
	timer    *time.Timer // nil once the attempt has ended
}

func newHub(over func(ID)) *hub { return &hub{over: over, attempts: map[ID]*waiting{}} }

// expect remembers that the attempt lives until end.
func (h *hub) expect(id ID, end time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.at(id).expect(h, id, end)
}

// watch adds a watcher of an attempt that lives until end, zero when it has
// ended already.
func (h *hub) watch(id ID, end time.Time) (<-chan struct{}, func()) {
	c := make(chan struct{}, 1)
	h.mu.Lock()
	defer h.mu.Unlock()
	w := h.at(id)
	if len(w.watchers) == maxWatchers {
		w.watchers = append(w.watchers[:0], w.watchers[1:]...)
	}
	w.watchers = append(w.watchers, c)
	if !end.IsZero() {
		w.expect(h, id, end)
	}
	return c, func() { h.leave(id, c) }
}

// wake gives each watcher of the attempt a hint.
func (h *hub) wake(id ID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if w := h.attempts[id]; w != nil {
		w.hint()
	}
}

// settle is wake for an attempt that has ended: nobody waits for its time any
// more.
func (h *hub) settle(id ID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if w := h.attempts[id]; w != nil {
		if w.timer != nil {
			w.timer.Stop()
			w.timer = nil
		}
		w.hint()
		h.tidy(id, w)
	}
}

func (h *hub) size() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.attempts)
}

func (h *hub) watchers() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for _, w := range h.attempts {
		n += len(w.watchers)
	}
	return n
}

func (h *hub) leave(id ID, c chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	w := h.attempts[id]
	if w == nil {
		return
	}
	for i := range w.watchers {
		if w.watchers[i] == c {
			w.watchers = append(w.watchers[:i], w.watchers[i+1:]...)
			break
		}
	}
	h.tidy(id, w)
}

func (h *hub) at(id ID) *waiting {
	w := h.attempts[id]
	if w == nil {
		w = &waiting{}
		h.attempts[id] = w
	}
	return w
}

func (h *hub) tidy(id ID, w *waiting) {
	if len(w.watchers) == 0 && w.timer == nil {
		delete(h.attempts, id)
	}
}

func (w *waiting) expect(h *hub, id ID, end time.Time) {
	if w.timer == nil {
		w.timer = time.AfterFunc(time.Until(end), func() {
			h.over(id)
			h.settle(id)
		})
	}
}

func (w *waiting) hint() {
	for _, c := range w.watchers {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}
