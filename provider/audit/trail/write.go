// SPDX-License-Identifier: Apache-2.0

package trail

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"calleridp/durable"
	"calleridp/provider/audit"
)

// writer is what the goroutine that writes has for itself.
type writer struct {
	t     *Trail
	at    place // the last whole line
	file  *os.File
	is    file // what file is
	size  int64
	torn  []torn // to be declared by the next file
	dirty bool   // some of file is not on the disk

	lines  int       // of this run
	tried  time.Time // when writing failed last
	behind int       // lines since the store was asked to hear of them
	told   atomic.Uint64
}

// work writes until the trail is closed, everything that waits at a time.
func (t *Trail) work() {
	defer close(t.done)
	ticker := time.NewTicker(syncEvery)
	defer ticker.Stop()
	for {
		var batch []entry
		select {
		case e := <-t.queue:
			batch = append(batch, e)
		case <-ticker.C:
			t.w.tick()
			continue
		case <-t.stop:
			t.closed = t.w.last()
			return
		}
		t.w.batch(t.rest(batch))
	}
}

// mostAtOnce bounds what is written at once.
const mostAtOnce = 1000

// rest adds what else waits.
func (t *Trail) rest(batch []entry) []entry {
	for len(batch) < mostAtOnce {
		select {
		case e := <-t.queue:
			batch = append(batch, e)
		default:
			return batch
		}
	}
	return batch
}

// batch writes events. While writing fails, those that nobody waits for are lost for a
// second at a time, so that a full disk does not cost each of them a try.
func (w *writer) batch(batch []entry) {
	durably := false
	for _, e := range batch {
		durably = durably || e.done != nil
	}
	var err error
	if last := w.t.failed.Load(); last != nil && !durably && time.Since(w.tried) < syncEvery {
		err = *last
	} else {
		err = w.write(batch, durably)
	}
	for _, e := range batch {
		switch {
		case e.done != nil:
			e.done <- err
		case err != nil:
			w.t.lose(1)
		}
	}
}

// tick puts what was written on the disk, and tries again what has failed.
func (w *writer) tick() {
	switch {
	case w.t.waiting.Load() > 0:
		_ = w.write(nil, true) // it is reported
	case w.dirty:
		w.report(w.sync())
	}
}

// last writes what waits and the last line.
func (w *writer) last() error {
	for batch := w.t.rest(nil); len(batch) > 0; batch = w.t.rest(nil) {
		w.batch(batch)
	}
	err := w.write([]entry{w.t.own(audit.Closed, slog.LevelInfo, slog.Int("lines", w.lines))}, true)
	return errors.Join(err, w.close())
}

func (w *writer) close() error {
	if w.file == nil {
		return nil
	}
	err := w.file.Close()
	w.file = nil
	return err
}

// write writes the lines of events, after one that says how many were lost. If durably,
// they are on the disk when it returns nil. After an error, some of them may have been
// written, and are counted as lost all the same.
func (w *writer) write(batch []entry, durably bool) (err error) {
	defer func() { w.report(err) }()
	lost := w.t.waiting.Load()
	if lost > 0 {
		why := "the queue was full"
		if last := w.t.failed.Load(); last != nil {
			why = (*last).Error()
		}
		batch = append([]entry{w.t.own(audit.Lost, slog.LevelWarn, slog.Uint64("lines", lost), slog.String("error", why))}, batch...)
	}
	if len(batch) == 0 {
		return nil
	}
	var text []byte
	lines := make([]int, 0, len(batch)+1) // where they end
	next := w.at
	add := func(e entry) {
		text, next = next.follow(text, w.t.c.Key, w.t.c.Server, e.at, e.body)
		lines = append(lines, len(text))
	}
	if w.t.c.Dir != "" {
		if err := w.rotate(); err != nil {
			return err
		}
		next = w.at
	}
	for _, e := range batch {
		add(e)
	}
	if w.t.c.Dir != "" {
		if err := w.append(text); err != nil {
			return err
		}
	}
	w.at = next
	w.lines += len(lines)
	w.t.written.Add(uint64(len(lines)))
	w.t.waiting.Add(-lost)
	if durably && w.file != nil {
		if err := w.sync(); err != nil {
			return err
		}
		w.soon()
	}
	err = w.also(text, lines)
	if err != nil && w.t.c.Dir != "" { // the file has them
		w.t.c.Log.Error("lines of the audit did not get further than its file", "error", err)
		return nil
	}
	return err
}

// also hands lines to whoever gets them besides the file.
func (w *writer) also(text []byte, ends []int) (err error) {
	from := 0
	for _, end := range ends {
		for _, out := range w.t.c.Also {
			if _, failed := out.Write(text[from:end]); failed != nil {
				err = failed
			}
		}
		from = end
	}
	return err
}

// append appends lines to the file. After an error the file is left as it is: the next one
// declares what was torn.
func (w *writer) append(text []byte) error {
	n, err := w.file.Write(text)
	w.size += int64(n)
	w.dirty = true
	if err == nil {
		return nil
	}
	w.abandon()
	return err
}

// abandon closes a file of which it is not known how it ends, and looks.
func (w *writer) abandon() {
	is := w.is
	w.close()
	w.dirty = false
	end, err := w.t.scan(is)
	if err != nil { // the next start sees the file as it is then
		w.t.c.Log.Error("the end of a file of the audit cannot be read", "file", is.name, "error", err)
		return
	}
	if end.place.seq > w.at.seq { // of lines whose callers got an error; they are genuine
		w.at = end.place
	}
	if end.torn != nil {
		w.torn = append(w.torn, *end.torn)
	}
}

// sync puts the file on the disk. After an error nobody knows what of it is there, so
// another file follows.
func (w *writer) sync() error {
	if err := w.file.Sync(); err != nil {
		w.abandon()
		return err
	}
	w.dirty = false
	t := w.t
	t.mu.Lock()
	w.behind += int(w.at.seq - t.durable.seq)
	t.durable = w.at
	t.mu.Unlock()
	if w.behind >= headLines {
		w.soon()
	}
	return nil
}

// soon lets the store hear of the newest line.
func (w *writer) soon() {
	w.behind = 0
	select {
	case w.t.news <- struct{}{}:
	default:
	}
}

// rotate begins a file where there is none, or the last one is full or of another day.
func (w *writer) rotate() error {
	now := time.Now().UTC()
	if w.file != nil {
		if w.size < w.t.c.MaxBytes && now.Format(time.DateOnly) == w.is.begun.Format(time.DateOnly) {
			return nil
		}
		if err := w.sync(); err != nil {
			return err
		}
		w.report(w.close())
		w.soon()
	}
	return w.begin(now)
}

// begin begins the next file, with the line that says what it follows. Where that fails
// nothing is left of it.
func (w *writer) begin(now time.Time) error {
	var f *os.File
	var is file
	for f == nil {
		is, _ = parseName(newName(w.t.c.Server, now, w.at.seq+1))
		var err error
		f, err = durable.CreateAppend(path(w.t.c.Dir, is))
		switch {
		case errors.Is(err, os.ErrExist):
			now = now.Add(time.Millisecond)
		case err != nil:
			return err
		}
	}
	body := fmt.Appendf(nil, `"event":%q,"level":"INFO","file":%q`, audit.FileBegun, is.name)
	if len(w.torn) > 0 {
		body = appendTorn(body, w.torn)
	}
	text, next := w.at.follow(nil, w.t.c.Key, w.t.c.Server, now, body)
	_, err := f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = durable.SyncDir(w.t.c.Dir)
	}
	if err != nil {
		f.Close()
		// Nothing follows it, and no caller has heard of it.
		if os.Remove(path(w.t.c.Dir, is)) != nil {
			w.is = is
			w.abandon()
		}
		return err
	}
	w.file, w.is, w.size, w.at, w.torn, w.dirty = f, is, int64(len(text)), next, nil, true
	w.t.written.Add(1)
	if err := w.also(text, []int{len(text)}); err != nil {
		w.t.c.Log.Error("a line of the audit did not get further than its file", "error", err)
	}
	return nil
}

func appendTorn(body []byte, all []torn) []byte {
	body = append(body, `,"torn":[`...)
	for i, one := range all {
		if i > 0 {
			body = append(body, ',')
		}
		body = fmt.Appendf(body, `{"file":%q,"at":%d,"bytes":%d,"sha256":%q}`, one.File, one.At, one.Bytes, one.SHA256)
	}
	return append(body, ']')
}

// report remembers and logs that writing fails, or that it does not fail any more.
func (w *writer) report(err error) {
	before := w.t.failed.Load()
	switch {
	case err != nil:
		w.tried = time.Now()
		w.t.failed.Store(&err)
		w.t.c.Log.Error("the audit cannot be written: changes of operators are refused, and sign-ins leave no line", "error", err)
	case before != nil:
		w.t.failed.Store(nil)
		w.t.c.Log.Warn("the audit can be written again", "lost", w.t.lost.Load())
	}
}

// ending is how a file ends.
type ending struct {
	place     // of the last genuine line; where there is none, the zero place
	lines int // genuine ones
	size  int64
	torn  *torn // what follows it
}

// scan reads a file of the chain up to the first line that is not genuine or does not
// follow the one before it.
func (t *Trail) scan(is file) (ending, error) {
	f, err := os.Open(path(t.c.Dir, is))
	if err != nil {
		return ending{}, err
	}
	defer f.Close()
	var end ending
	s := newScanner(f)
	at := int64(0)
	for s.scan() {
		if !s.whole {
			break
		}
		l, err := genuine(t.c.Key, s.text)
		if err != nil || l.Server != is.server {
			break
		}
		if end.lines > 0 && (l.Seq != end.seq+1 || l.Prev != end.mac) ||
			end.lines == 0 && (l.Event != audit.FileBegun || l.File != is.name) {
			break
		}
		end.place, at = l.place, s.next
		end.lines++
	}
	if s.err != nil {
		return ending{}, s.err
	}
	end.torn, err = tornOf(f, is, at)
	if end.size = at; end.torn != nil {
		end.size += end.torn.Bytes
	}
	return end, err
}

// tornOf describes what a file has from an offset on; nil if that is nothing.
func tornOf(f io.ReadSeeker, is file, at int64) (*torn, error) {
	if _, err := f.Seek(at, io.SeekStart); err != nil {
		return nil, err
	}
	sum := sha256.New()
	n, err := io.Copy(sum, f)
	if err != nil || n == 0 {
		return nil, err
	}
	return &torn{is.name, at, n, base64.RawURLEncoding.EncodeToString(sum.Sum(nil))}, nil
}
