// SPDX-License-Identifier: Apache-2.0

package tracing

import "sync"

const (
	// queued is how many spans wait at most in each queue, of some 500 bytes each.
	queued = 2048
	// batch is how many spans one request to the collector has at most, and from how many
	// on it is made at once.
	batch = 512
)

// queue holds spans until they are sent. One that is full drops what is new: recording
// never waits for the collector.
type queue struct {
	full chan<- struct{} // rouses the sender

	mu      sync.Mutex
	spans   []span
	dropped int
}

func newQueue(full chan<- struct{}) *queue { return &queue{full: full} }

func (q *queue) add(s span) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.spans) >= queued {
		q.dropped++
		return
	}
	q.spans = append(q.spans, s)
	if len(q.spans) == batch {
		select {
		case q.full <- struct{}{}:
		default:
		}
	}
}

// take returns up to most spans, and how many were dropped since the last time.
func (q *queue) take(most int) (spans []span, dropped int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	dropped, q.dropped = q.dropped, 0
	n := min(most, len(q.spans))
	spans = append(spans, q.spans[:n]...)
	rest := copy(q.spans, q.spans[n:])
	clear(q.spans[rest:])
	q.spans = q.spans[:rest]
	return spans, dropped
}
