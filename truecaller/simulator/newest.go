package simulator

import "slices"

// newest holds values by key, and forgets the oldest beyond its limit: a laptop
// that runs for weeks keeps no more than this.
type newest[V any] struct {
	limit int
	byKey map[string]V
	keys  []string // oldest first
}

func newestOf[V any](limit int) newest[V] { return newest[V]{limit: limit, byKey: map[string]V{}} }

// put adds a value as the newest. One with the same key gives way to it.
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

// get is the value with this key, its zero value if there is none.
func (n *newest[V]) get(key string) V { return n.byKey[key] }
