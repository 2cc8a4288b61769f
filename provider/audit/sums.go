// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"calleridp/provider/limit"
)

// Interval is how often Run writes what was summed up.
const Interval = time.Minute

// What one interval tells apart. The first three are about names: keys whose values an
// attacker can multiply, such as a network. Where an interval has too many of them, a line
// loses its names and keeps the other keys, which say what is attacked.
const (
	mostNetworks = 100    // networks with the same other keys
	mostOfOne    = 100    // lines of a kind that name one network or user
	mostTold     = 10_000 // lines of a kind that name anything
	// mostCombinations are those of a kind without names. The configuration bounds the
	// values of their keys: it takes 33,000 clients at three endpoints to exceed this.
	mostCombinations = 100_000
	mostHandlers     = 100 // sets of attributes that Logger's users give to lines of a kind
	mostAlike        = 10  // warnings and errors with one message that one interval writes for a network
)

// Sums keeps a flood of requests from filling the disk with log lines. It writes the
// first line of each kind at once, and counts the others. At the end of the interval, it
// writes their number, as the attribute "more".
//
// Three sorts of lines pass through it: events of the audit, as their description says;
// callbacks (Note); and all warnings and errors of the program (Logger).
//
// Its memory is bounded. When an interval has too many networks or users to tell
// apart, it counts what follows together, as "others". One network or user does not use
// up what others need.
type Sums struct {
	log      *slog.Logger
	observer Observer

	mu      sync.Mutex
	tables  map[kind]*table // of the interval
	inOrder []*table

	recorders atomic.Int64 // that Log has made
}

// Observer counts what the log would have without sums. It must be quick and safe for
// concurrent use.
type Observer interface {
	// Event is called for each event of the audit.
	Event(Name)
	// Line is called for each warning and error that is not of the audit, also for those
	// below the log's level.
	Line(slog.Level)
}

type unobserved struct{}

func (unobserved) Event(Name)      {}
func (unobserved) Line(slog.Level) {}

// NewSums returns sums that are written to log. If o is nil, nothing is counted.
func NewSums(log *slog.Logger, o Observer) *Sums {
	if o == nil {
		o = unobserved{}
	}
	return &Sums{log: log, observer: o, tables: map[kind]*table{}}
}

// Run writes the sums at the end of each interval, until ctx is done. Flush writes
// the last ones.
func (s *Sums) Run(ctx context.Context) {
	ticker := time.NewTicker(Interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			s.Flush()
		}
	}
}

// Flush ends the interval: it writes how many lines of each kind were not written.
func (s *Sums) Flush() {
	s.mu.Lock()
	tables := s.inOrder
	s.tables, s.inOrder = map[kind]*table{}, nil
	s.mu.Unlock()
	for _, t := range tables {
		for _, e := range t.inOrder {
			more := e.seen - e.written
			if more == 0 {
				continue
			}
			record := slog.NewRecord(time.Now(), t.level, t.message, 0)
			record.AddAttrs(e.by...)
			record.AddAttrs(slog.Int("more", more))
			_ = e.handler.Handle(context.Background(), record)
		}
	}
}

// kind is what lines have in common that are summed up together. The program has as many
// kinds as it has events and messages.
type kind struct {
	level   slog.Level
	message string
}

// line is a line that may be summed up.
type line struct {
	kind
	by    []slog.Attr // tells it apart from others of its kind
	first int         // how many that are alike are written
	most  int         // how many with the same other keys are told apart by their names
}

// writer is what writes a line, and its sum.
type writer struct {
	slog.Handler
	with string // its attributes and groups, which tell its lines apart from those of others
}

// table holds the lines of a kind in one interval.
type table struct {
	kind
	entries map[string]*entry
	inOrder []*entry

	handlers     map[string]bool // with which attributes, beside none
	told         int             // entries with names
	combinations map[string]int  // the same, by what is left without the names
	owned        map[string]int  // the same, by network or user
}

// entry counts the lines that are alike.
type entry struct {
	handler       slog.Handler
	by            []slog.Attr
	seen, written int
}

// admit counts a line, and reports whether it is to be written.
func (s *Sums) admit(w writer, l line) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tables[l.kind]
	if t == nil {
		t = &table{
			kind:         l.kind,
			entries:      map[string]*entry{},
			handlers:     map[string]bool{},
			combinations: map[string]int{},
			owned:        map[string]int{},
		}
		s.tables[l.kind] = t
		s.inOrder = append(s.inOrder, t)
	}
	if !t.knows(w) {
		w = writer{Handler: s.log.Handler()}
	}
	e := t.entryOf(w, l)
	e.seen++
	if e.written == l.first {
		return false
	}
	e.written++
	return true
}

// knows reports whether the table tells w's attributes apart from others.
func (t *table) knows(w writer) bool {
	if w.with == "" || t.handlers[w.with] {
		return true
	}
	if len(t.handlers) == mostHandlers {
		return false
	}
	t.handlers[w.with] = true
	return true
}

// entryOf returns the entry that counts the line: with its names, without them, or with
// all others of the writer.
func (t *table) entryOf(w writer, l line) *entry {
	key := w.keyOf(l.by)
	if e := t.entries[key]; e != nil {
		return e
	}
	nameless, owner, named := withoutNames(l.by)
	rest := w.keyOf(nameless)
	if named && t.told < mostTold && t.combinations[rest] < l.most && (owner == "" || t.owned[owner] < mostOfOne) {
		t.told++
		t.combinations[rest]++
		t.owned[owner]++
		return t.add(key, w, l.by)
	}
	if e := t.entries[rest]; e != nil {
		return e
	}
	if len(t.entries)-t.told < mostCombinations {
		return t.add(rest, w, nameless)
	}
	all := nothing(l.by)
	if e := t.entries[w.keyOf(all)]; e != nil {
		return e
	}
	return t.add(w.keyOf(all), w, all)
}

func (t *table) add(key string, w writer, by []slog.Attr) *entry {
	e := &entry{handler: w.Handler, by: by}
	t.entries[key] = e
	t.inOrder = append(t.inOrder, e)
	return e
}

// others stands for the networks or users that are not told apart.
const others = "others"

// names are the keys whose values an attacker can multiply.
var names = map[string]bool{"network": true, "sub": true, "sid": true, "by": true, "attempt": true, "grant": true, "scope": true}

// withoutNames returns what is left of by without its names, and the network or user
// among them.
func withoutNames(by []slog.Attr) (left []slog.Attr, owner string, named bool) {
	left = slices.Clone(by)
	for i, attr := range by {
		if !names[attr.Key] {
			continue
		}
		named = true
		left[i].Value = slog.StringValue(others)
		if attr.Key == "network" || attr.Key == "sub" {
			owner = attr.Value.String()
		}
	}
	return left, owner, named
}

func nothing(by []slog.Attr) []slog.Attr {
	left := make([]slog.Attr, len(by))
	for i, attr := range by {
		left[i] = slog.String(attr.Key, others)
	}
	return left
}

func (w writer) keyOf(by []slog.Attr) string {
	key := strconv.AppendQuote(nil, w.with)
	for _, attr := range by {
		key = strconv.AppendQuote(key, attr.Value.String())
	}
	return string(key)
}

// networkOf returns the network by which lines are summed up: the widest one that has
// a budget. So a /48 of IPv6 is one network, and not 65,536.
func networkOf(network string) string {
	all := limit.NetworksOf(network)
	return all[len(all)-1]
}

type senderKey struct{}

// WithSender returns a context for a request from this address.
func WithSender(ctx context.Context, addr netip.Addr) context.Context {
	return context.WithValue(ctx, senderKey{}, addr)
}

// networkAttr names the network of the request that ctx belongs to, if there is one.
func networkAttr(ctx context.Context) []slog.Attr {
	addr, ok := ctx.Value(senderKey{}).(netip.Addr)
	if !ok {
		return nil
	}
	return []slog.Attr{slog.String("network", networkOf(limit.NetworkOf(addr)))}
}
