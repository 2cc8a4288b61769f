// SPDX-License-Identifier: Apache-2.0

package record

import (
	"encoding/hex"
	"log/slog"
	"sync"
)

// damageMost is how many records a Damage logs.
const damageMost = 100

// Damage logs records that cannot be read and are left out, so that the others are
// found. It logs each once, and not all of very many. The zero value is ready to use.
type Damage struct {
	mu   sync.Mutex
	told map[string]bool
}

// Tell logs that the record under this key cannot be read, and what is done about it.
func (d *Damage) Tell(log *slog.Logger, k *Kind, key []byte, done string, err error) {
	id := k.Name + " " + string(key)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.told[id] || len(d.told) > damageMost {
		return
	}
	if d.told == nil {
		d.told = map[string]bool{}
	}
	d.told[id] = true
	if len(d.told) > damageMost {
		log.Error("more records cannot be read than are listed here")
		return
	}
	log.Error("a record cannot be read: "+done, "kind", k.Name, "key", hex.EncodeToString(key), "error", err)
}
