// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"bytes"
	"hash/maphash"
	"sync"

	"calleridp/provider/login"
	"calleridp/storage/record"
)

// memory is what this process has last seen of rows, sealed. Another process may have
// changed them since, so nothing is decided by it alone: a transaction that guesses by it
// has the database check the guess (guess.go), and a waiting page that it answers hears
// of what it does not know yet (Heard).
type memory struct {
	mu       sync.Mutex
	new, old map[place]seen
	newSize  int // of the rows in new, in bytes

	seed  maphash.Seed
	heard [64]uint64 // counts changes that were heard of, by the hash of their place
	puts  uint64     // counts what was remembered
	epoch uint64     // counts how often the store has begun to listen
}

// place is where a row stands.
type place struct{ table, key string }

// seen is a row as it was.
type seen struct {
	value   []byte // nil: there was no row
	epoch   uint64 // since when it has been listened for changes of the row; 0: it has not
	put     uint64 // memory.puts when it became this
	created bool   // by this server, and opens has not asked
}

const (
	// memoryMost is how many bytes of rows each half of the memory has.
	memoryMost = 16 << 20
	// rowCosts is what a row costs besides its key and value, in bytes.
	rowCosts = 160
)

func sizeOf(p place, row seen) int { return rowCosts + len(p.key) + len(row.value) }

func newMemory() *memory { return &memory{seed: maphash.MakeSeed()} }

// moment is a point in time, in what was heard of one row and in what was remembered.
type moment struct{ epoch, heard, puts uint64 }

// now returns the moment before a row is read or written.
func (m *memory) now(p place) moment {
	m.mu.Lock()
	defer m.mu.Unlock()
	return moment{m.epoch, m.heard[m.shard(p)], m.puts}
}

func (m *memory) shard(p place) uint64 { return maphash.Comparable(m.seed, p) % uint64(len(m.heard)) }

// put remembers a row that was read or written after a moment; a nil value is that there
// was none. If this process has remembered another one since, nothing tells which of both
// is newer, and the row is not current.
func (m *memory) put(p place, value []byte, after moment) {
	m.mu.Lock()
	defer m.mu.Unlock()
	before, known := m.find(p)
	m.puts++
	row := seen{value: value, put: m.puts, created: before.created}
	same := known && bytes.Equal(before.value, value)
	if same {
		row.put, row.epoch = before.put, before.epoch
	}
	overtaken := known && !same && before.put > after.puts
	if !overtaken && after.epoch == m.epoch && after.heard == m.heard[m.shard(p)] {
		row.epoch = m.epoch
	}
	m.set(p, row)
}

// set puts a row into the new half, which becomes the old one when it is full.
func (m *memory) set(p place, row seen) {
	m.unset(p)
	if size := sizeOf(p, row); m.new == nil || m.newSize+size > memoryMost {
		m.old, m.new, m.newSize = m.new, make(map[place]seen), 0
	}
	m.new[p] = row
	m.newSize += sizeOf(p, row)
}

// unset takes a row out of the new half.
func (m *memory) unset(p place) {
	if row, known := m.new[p]; known {
		m.newSize -= sizeOf(p, row)
		delete(m.new, p)
	}
}

// creates notes that this server has just made a row that it remembers.
func (m *memory) creates(p place) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if row, known := m.find(p); known {
		row.created = true
		m.set(p, row)
	}
}

// opens reports, once, whether this server has made a row.
func (m *memory) opens(p place) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	row, known := m.find(p)
	if !known || !row.created {
		return false
	}
	row.created = false
	m.set(p, row)
	return true
}

func (m *memory) find(p place) (row seen, known bool) {
	if row, known = m.new[p]; !known {
		row, known = m.old[p]
	}
	return row, known
}

// get returns a row as it was.
func (m *memory) get(p place) (row seen, known bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.find(p)
}

// forget forgets a row, of whose change by another process was heard, or which was not
// as remembered.
func (m *memory) forget(p place) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.heard[m.shard(p)]++
	m.unset(p)
	delete(m.old, p)
}

// listens begins an epoch: from now on, forget is called for each change.
func (m *memory) listens() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.epoch++
}

// current reports whether no change of the row was heard of since it was seen, by a
// store that listens.
func (m *memory) current(row seen) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return row.epoch != 0 && row.epoch == m.epoch
}

func at(k *record.Kind, key []byte) place { return place{k.Name, string(key)} }

// remembered returns an attempt as this process has last seen it, without what was
// noted.
func (s *Store) remembered(id login.ID) (a record.Attempt, row seen, ok bool) {
	row, known := s.memory.get(at(&record.Attempts, []byte(id)))
	if !known || row.value == nil || s.expired(row.value) {
		return record.Attempt{}, row, false
	}
	err := s.sealer.Open(&record.Attempts, []byte(id), row.value, &a)
	return a, row, err == nil
}
