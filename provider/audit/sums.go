package audit

import (
	"context"
	"log/slog"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"calleridp/provider/limit"
)

// Interval is how often Run writes what was summed up.
const Interval = time.Minute

const (
	mostNetworks = 100    // lines of a kind that one interval tells apart by network
	mostOthers   = 10_000 // those that it tells apart by user, session, attempt or grant, which an attacker has few of
	mostAlike    = 10     // warnings and errors with one message that one interval writes for a network
)

// Sums keeps a flood of requests from filling the disk with log lines. It writes the
// first line of each kind at once, and counts the others. At the end of the interval, it
// writes their number, as the attribute "more".
//
// Three sorts of lines pass through it: events of the audit, as their description says;
// callbacks (Note); and all warnings and errors of the program (Logger).
//
// Its memory is bounded. When an interval has too many networks or users to tell
// apart, it counts what follows together, as "others".
type Sums struct {
	log      *slog.Logger
	observer Observer

	mu      sync.Mutex
	tables  map[kind]*table // of the interval
	inOrder []*table
}

// Observer counts what the log would have without sums. It must be quick and safe for
// concurrent use.
type Observer interface {
	// Event is called for each event of the audit.
	Event(Name)
	// Line is called for each warning and error that is not of the audit.
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
	most  int         // how many are told apart
}

// table holds the lines of a kind in one interval.
type table struct {
	kind
	entries map[string]*entry
	inOrder []*entry
}

// entry counts the lines that are alike.
type entry struct {
	handler       slog.Handler
	by            []slog.Attr
	seen, written int
}

// admit counts a line, and reports whether it is to be written.
func (s *Sums) admit(h slog.Handler, l line) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tables[l.kind]
	if t == nil {
		t = &table{kind: l.kind, entries: map[string]*entry{}}
		s.tables[l.kind] = t
		s.inOrder = append(s.inOrder, t)
	}
	e := t.entryOf(h, l)
	e.seen++
	if e.written == l.first {
		return false
	}
	e.written++
	return true
}

// entryOf returns the entry that counts the line. In a full table, that entry leaves out
// which network or user it is. If the rest has too many values as well, the entry counts
// all lines of the kind.
func (t *table) entryOf(h slog.Handler, l line) *entry {
	for i, by := range []func([]slog.Attr) []slog.Attr{whole, withoutNames, nothing} {
		left := by(l.by)
		key := keyOf(left)
		if e := t.entries[key]; e != nil {
			return e
		}
		if len(t.entries) < (i+1)*l.most {
			e := &entry{handler: h, by: left}
			t.entries[key] = e
			t.inOrder = append(t.inOrder, e)
			return e
		}
	}
	panic("unreachable: nothing makes one entry")
}

// others stands for the networks or users that are not told apart.
const others = "others"

// names are the keys whose values an attacker can multiply.
var names = map[string]bool{"network": true, "sub": true, "sid": true, "by": true, "attempt": true, "grant": true, "scope": true}

func whole(by []slog.Attr) []slog.Attr { return by }

func withoutNames(by []slog.Attr) []slog.Attr {
	left := make([]slog.Attr, len(by))
	for i, attr := range by {
		left[i] = attr
		if names[attr.Key] {
			left[i].Value = slog.StringValue(others)
		}
	}
	return left
}

func nothing(by []slog.Attr) []slog.Attr {
	left := make([]slog.Attr, len(by))
	for i, attr := range by {
		left[i] = slog.String(attr.Key, others)
	}
	return left
}

func keyOf(by []slog.Attr) string {
	var key []byte
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
