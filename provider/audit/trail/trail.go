// SPDX-License-Identifier: Apache-2.0

// Package trail keeps the audit in files of its own: append-only JSON lines, each
// authenticated and chained to the one before it under a key that only the server has.
// What it finds, and what it cannot find, is in docs/operators/audit.md.
//
//	trail.go    opening, closing, and what its users call
//	handler.go  events become lines
//	line.go     the format of a line; whether one is genuine
//	write.go    the one goroutine that writes
//	files.go    the names of files, and reading them line by line
//	start.go    what a start finds: the end of the chain, torn lines, missing ones
//	heads.go    how far a chain has come, as the store knows it
//	retain.go   removing old files
//	read.go     an audit.Reader over the files
//	verify.go   what is missing or was changed
//	stream.go   the same in a captured stream
//
// One goroutine writes. Callers hand it events: Record does not wait and loses an event
// rather than a sign-in, Keep waits until its line is on the disk.
package trail

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"calleridp/provider/audit"
)

// Config is what a trail needs.
type Config struct {
	// Server is the name of its chain, see CheckName. If "", it is that of the files in Dir;
	// in an empty folder it is Host, or what Host and a few letters make if another server
	// has that name.
	Server string
	Host   string // a name to begin with, if Server is ""
	// Alone means that no other server uses the store: a chain that it knows is this one's.
	Alone bool

	// Restored, if not nil, says that this is the first start with a store that was restored
	// from a backup. A line records it, with what the backup knew of the chain.
	Restored *Restoration

	Version string // of the program, for audit.opened
	Key     Key
	Log     *slog.Logger // failures; what reaches it must not come back as an event

	// Dir is the folder of the files; it is made if it is missing. If "", there are none,
	// and a new chain begins with each start.
	Dir   string
	Heads Heads         // required with Dir
	Keep  time.Duration // how old a file gets
	// MaxBytes is the size after which a file is followed by the next one. Each day (UTC)
	// has one, too.
	MaxBytes int64

	// Also get each line, after the file.
	Also []io.Writer
}

// Restoration says when a backup was taken, and when the store was restored from it.
type Restoration struct{ Taken, At time.Time }

const (
	// queued is how many events may wait for the goroutine that writes: some seconds of a
	// busy server.
	queued = 16384
	// syncEvery is how long a line may be written and not yet be on the disk.
	syncEvery = time.Second
	// headEvery and headLines are how far the store may be behind the files.
	headEvery = 5 * time.Second
	headLines = 10_000
	// removeEvery is how often old files are looked for.
	removeEvery = time.Hour
)

// ErrClosed is returned after Close.
var ErrClosed = errors.New("trail: the audit is closed")

// errLost is returned for an event that was lost. The trail counts it.
var errLost = errors.New("trail: the event was lost")

// Trail is an open audit. It is safe for concurrent use.
type Trail struct {
	c     Config
	queue chan entry
	stop  chan struct{} // closed by Close
	done  chan struct{} // closed when the goroutine has ended
	lock  *os.File

	closing sync.Once
	closed  error

	w writer // of the goroutine

	known, found uint64 // at the start: the newest line that the store knew, and that the files had

	mu      sync.Mutex
	durable place  // what is on the disk
	first   uint64 // the oldest line that is kept

	news chan struct{} // the store should hear of durable at once

	written, lost atomic.Uint64
	waiting       atomic.Uint64 // lost, and no line says so yet
	failed        atomic.Pointer[error]
}

// entry is an event on its way to its line.
type entry struct {
	at   time.Time
	body []byte     // its members, as of a JSON object
	done chan error // if somebody waits until it is on the disk
}

// Open opens the trail and goes on where its chain has ended. It returns an error if it
// cannot write: a server without its audit does not start.
func Open(ctx context.Context, c Config) (*Trail, error) {
	t := &Trail{
		c:     c,
		queue: make(chan entry, queued),
		stop:  make(chan struct{}),
		done:  make(chan struct{}),
		news:  make(chan struct{}, 1),
	}
	t.w = writer{t: t}
	if c.Dir == "" {
		t.c.Server = cmp.Or(c.Server, c.Host)
		if err := CheckName(t.c.Server); err != nil {
			return nil, err
		}
	}
	if c.Dir != "" {
		if err := t.start(ctx); err != nil {
			t.unlock()
			return nil, fmt.Errorf("trail: %s: %w", c.Dir, err)
		}
	}
	begin := []entry{t.own(audit.Opened, slog.LevelInfo, slog.String("version", c.Version))}
	if c.Restored != nil && c.Dir != "" {
		begin = append(begin, t.own(audit.Restored, slog.LevelWarn, slog.Time("taken", c.Restored.Taken), slog.Time("restored", c.Restored.At),
			slog.Uint64("known", t.known), slog.Uint64("found", t.found)))
	}
	if err := t.w.write(begin, true); err != nil {
		t.w.close()
		t.unlock()
		return nil, fmt.Errorf("trail: the audit cannot be written: %w", err)
	}
	if c.Dir != "" {
		if err := t.tell(ctx); err != nil {
			t.w.close()
			t.unlock()
			return nil, fmt.Errorf("trail: the store cannot keep how far the audit is: %w", err)
		}
	}
	go t.work()
	return t, nil
}

// own returns an event of the audit itself.
func (t *Trail) own(name audit.Name, level slog.Level, attrs ...slog.Attr) entry {
	body := fmt.Appendf(nil, `"event":%q,"level":%q`, name, level)
	for _, a := range attrs {
		body = appendAttr(body, a)
	}
	return entry{at: time.Now(), body: body}
}

// add queues an event, and does not wait.
func (t *Trail) add(e entry) error {
	select {
	case <-t.stop:
		return ErrClosed
	default:
	}
	select {
	case t.queue <- e:
		return nil
	default:
		t.lose(1)
		return errLost
	}
}

// keep returns nil when the line of an event is on the disk.
func (t *Trail) keep(ctx context.Context, e entry) error {
	e.done = make(chan error, 1)
	select {
	case <-t.stop:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	case t.queue <- e:
	}
	select {
	case err := <-e.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-t.done:
		select {
		case err := <-e.done:
			return err
		default:
			return ErrClosed
		}
	}
}

func (t *Trail) lose(n int) {
	t.lost.Add(uint64(n))
	t.waiting.Add(uint64(n))
}

// Run tells the store how far the chain is and removes old files, until ctx is done.
func (t *Trail) Run(ctx context.Context) {
	if t.c.Dir == "" {
		return
	}
	t.remove(ctx)
	heads, removals := time.NewTicker(headEvery), time.NewTicker(removeEvery)
	defer heads.Stop()
	defer removals.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-removals.C:
			t.remove(ctx)
			continue
		case <-heads.C:
		case <-t.news:
		}
		if err := t.tell(ctx); err != nil && ctx.Err() == nil {
			t.c.Log.Error("the store cannot keep how far the audit is", "error", err)
		}
	}
}

// tell stores how far the chain is on the disk. It returns an error if the store has
// another line with the number: two servers write the chain, each in a folder of its own.
func (t *Trail) tell(ctx context.Context) error {
	t.mu.Lock()
	h := headOf(t.c.Server, t.first, t.durable, time.Now())
	told := t.w.told.Load()
	t.mu.Unlock()
	if h.Seq == told {
		return nil
	}
	if err := t.c.Heads.AdvanceAuditHead(ctx, h); err != nil {
		return err
	}
	if told == 0 { // the first time
		heads, err := t.c.Heads.AuditHeads(ctx)
		if err != nil {
			return err
		}
		if i := slices.IndexFunc(heads, func(k Head) bool { return k.Server == h.Server }); i < 0 || heads[i].Digest != h.Digest {
			return ErrInUse
		}
	}
	t.w.told.Store(h.Seq)
	return nil
}

// Close writes what waits and that the server stops, tells the store, and closes the file.
// Further calls return the same error.
func (t *Trail) Close(ctx context.Context) error {
	t.closing.Do(func() {
		close(t.stop)
		<-t.done
		if t.c.Dir != "" {
			t.closed = errors.Join(t.closed, t.tell(ctx))
		}
		t.unlock()
	})
	return t.closed
}

func (t *Trail) unlock() {
	if t.lock != nil {
		t.lock.Close()
	}
}

// Stats holds counters for operators.
type Stats struct {
	Written uint64 // lines
	Lost    uint64 // events that have no line
	Queued  int    // events that wait for theirs
	Failing bool   // the last line could not be written
}

// Stats returns the counters.
func (t *Trail) Stats() Stats {
	return Stats{t.written.Load(), t.lost.Load(), len(t.queue), t.failed.Load() != nil}
}
