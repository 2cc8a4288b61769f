package login

import (
	"sync"
	"time"
)

// hub wakes the pages that wait for an attempt. A hint carries nothing: whoever
// receives one looks at the record. Hints to a watcher that has not taken the
// last one are merged.
type hub struct {
	mu       sync.Mutex
	watchers map[ID]map[chan struct{}]struct{}
}

func newHub() *hub { return &hub{watchers: map[ID]map[chan struct{}]struct{}{}} }

func (h *hub) watch(id ID) (<-chan struct{}, func()) {
	c := make(chan struct{}, 1)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.watchers[id] == nil {
		h.watchers[id] = map[chan struct{}]struct{}{}
	}
	h.watchers[id][c] = struct{}{}
	var once sync.Once
	return c, func() {
		once.Do(func() {
			h.mu.Lock()
			defer h.mu.Unlock()
			delete(h.watchers[id], c)
			if len(h.watchers[id]) == 0 {
				delete(h.watchers, id)
			}
		})
	}
}

func (h *hub) wake(id ID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c := range h.watchers[id] {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// wakeAt wakes the attempt's watchers when its time is over, so that their
// pages move on.
func (h *hub) wakeAt(id ID, at time.Time) {
	time.AfterFunc(time.Until(at), func() { h.wake(id) })
}
