// SPDX-License-Identifier: Apache-2.0

package keys_test

import (
	"context"
	"sync"
	"time"

	"calleridp/keys"
)

// memory is a Store without a file, whose contents a test can read and damage.
type memory struct {
	mu      sync.Mutex
	records []keys.Record
	version uint64

	unreadable error // what every read returns

	before func() // called before a replacement, without the lock
	fails  error  // what the next replacement returns, without storing anything
	writes int
	reads  int
	slow   time.Duration // how long a read takes
}

func (m *memory) SigningKeys(context.Context) ([]keys.Record, uint64, error) {
	time.Sleep(m.slow)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reads++
	if m.unreadable != nil {
		return nil, 0, m.unreadable
	}
	return append([]keys.Record(nil), m.records...), m.version, nil
}

func (m *memory) ReplaceSigningKeys(_ context.Context, records []keys.Record, version uint64) error {
	if before := m.before; before != nil {
		m.before = nil
		before()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.fails; err != nil {
		m.fails = nil
		return err
	}
	if version != m.version {
		return keys.ErrConflict
	}
	m.records, m.version = append([]keys.Record(nil), records...), version+1
	m.writes++
	return nil
}
