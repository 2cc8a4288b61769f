// SPDX-License-Identifier: Apache-2.0

package simulator

import "slices"

// newest holds values by key, and drops the oldest beyond its limit, so that a simulator
// that runs for weeks does not grow.
type newest[V any] struct {
	limit int
	byKey map[string]V
	keys  []string // oldest first
}

func newestOf[V any](limit int) newest[V] { return newest[V]{limit: limit, byKey: map[string]V{}} }

// put adds a value as the newest. It replaces a value with the same key.
func (n *newest[V]) put(key string, v V) {
	if _, replaced := n.byKey[key]; replaced {
		n.keys = slices.DeleteFunc(n.keys, func(k string) bool { return k == key })
	}
	n.byKey[key] = v
	if n.keys = append(n.keys, key); len(n.keys) > n.limit {
		delete(n.byKey, n.keys[0])
		n.keys = n.keys[1:]
	}
}

// get returns the value with this key, the zero value if there is none.
func (n *newest[V]) get(key string) V { return n.byKey[key] }
