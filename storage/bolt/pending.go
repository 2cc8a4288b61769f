// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"maps"
	"sync/atomic"
)

// pending is what was noted and is not committed yet. The queue's mutex guards
// it; the count is read without.
//
// A note is data: what happened to an attempt (login.Note), or that a delivery was
// dropped. Every later read has it, although it waits up to noteDelay for its
// commit. A reader takes the notes of its key first and its snapshot of the file
// then, and applies those notes that the snapshot does not have: a snapshot has
// what was committed in transactions up to its own number.
type pending struct {
	notes map[string][]*op
	count atomic.Int64
}

func (p *pending) add(o *op) {
	if o.key == "" {
		return
	}
	if p.notes == nil {
		p.notes = map[string][]*op{}
	}
	p.notes[o.key] = append(p.notes[o.key], o)
	p.count.Add(1)
}

// remove forgets a note. Readers may hold the old slice, so it is not changed.
func (p *pending) remove(o *op) {
	if o.key == "" {
		return
	}
	var left []*op
	for _, n := range p.notes[o.key] {
		if n != o {
			left = append(left, n)
		}
	}
	if p.notes[o.key] = left; left == nil {
		delete(p.notes, o.key)
	}
	p.count.Add(-1)
}

// of returns the notes of a key, in order.
func (q *queue) of(key string) []*op {
	if q.pending.count.Load() == 0 {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.pending.notes[key]
}

// all returns the notes of all keys.
func (q *queue) all() map[string][]*op {
	if q.pending.count.Load() == 0 {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return maps.Clone(q.pending.notes)
}

// missing reports whether o is not in the snapshot that r reads.
func (r reader) missing(o *op) bool {
	in := o.in.Load()
	return in == 0 || in > int64(r.tx.ID())
}
