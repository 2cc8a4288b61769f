package postgres

import (
	"sync"

	"calleridp/provider/login"
	"calleridp/storage/record"
)

// hint is what this process has read of an attempt, and what its next transaction will
// probably need: it is read together with the attempt, which saves a round trip. A hint
// that is wrong or missing costs one.
type hint struct {
	sub, clientID string
	lock, block   [32]byte
	cooling       [32]byte
	paid          []record.Paid
}

func hintOf(a record.Attempt) hint {
	return hint{sub: a.Sub, clientID: a.ClientID, lock: a.Lock, block: a.Block, cooling: a.Cooling, paid: a.Paid}
}

// locks returns what the end of the attempt changes in limits.
func (h hint) locks() [][32]byte {
	keys := make([][32]byte, 0, 3+len(h.paid))
	for _, key := range [...][32]byte{h.block, h.lock, h.cooling} {
		if key != ([32]byte{}) {
			keys = append(keys, key)
		}
	}
	for _, p := range h.paid {
		keys = append(keys, p.Key)
	}
	return keys
}

// hintsMost is how many hints each half of the memory has.
const hintsMost = 8192

// hints are those of the attempts that were read last.
type hints struct {
	mu       sync.Mutex
	new, old map[login.ID]hint
}

func (h *hints) put(id login.ID, value hint) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.new == nil || len(h.new) >= hintsMost {
		h.old, h.new = h.new, make(map[login.ID]hint)
	}
	h.new[id] = value
}

func (h *hints) get(id login.ID) hint {
	h.mu.Lock()
	defer h.mu.Unlock()
	if value, known := h.new[id]; known {
		return value
	}
	return h.old[id]
}
