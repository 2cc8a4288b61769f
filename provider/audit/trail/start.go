// SPDX-License-Identifier: Apache-2.0

package trail

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"calleridp/durable"
	"calleridp/provider/audit"
)

// ErrInUse means that another server writes a chain with this name in the same folder.
var ErrInUse = errors.New("another server with this name writes there; give each its own audit.server")

// start finds where the chain has ended, and what is missing of it.
//
// What follows the last genuine line of the newest file was torn by a crash, or changed.
// It stays where it is, and the next file declares it. Nothing is written into a file that
// ends so. If the store has seen lines that no file has, the chain goes on after those: the
// gap in the numbers stays, and calleridp audit verify finds it at any later time.
func (t *Trail) start(ctx context.Context) error {
	if err := os.MkdirAll(t.c.Dir, 0o700); err != nil {
		return err
	}
	heads, err := t.c.Heads.AuditHeads(ctx)
	if err != nil {
		return err
	}
	chains, err := list(t.c.Dir)
	if err != nil {
		return err
	}
	if t.c.Server == "" {
		t.c.Server = t.name(chains, heads)
	}
	if err := CheckName(t.c.Server); err != nil {
		return err
	}
	if err := t.takeLock(); err != nil {
		return err
	}
	if chains, err = list(t.c.Dir); err != nil { // the lock was waited for
		return err
	}
	var head Head
	if i := slices.IndexFunc(heads, func(h Head) bool { return h.Server == t.c.Server }); i >= 0 {
		head = heads[i]
	}
	t.w.told.Store(head.Seq)
	t.first = max(head.First, 1)
	files := chains[t.c.Server]
	if head.Seq == 0 && len(files) > 0 { // the store is new
		t.first = files[0].first
	}
	newest := true
	for _, is := range slices.Backward(files) {
		end, err := t.scan(is)
		if err != nil {
			return err
		}
		if end.torn != nil {
			t.w.torn = append(t.w.torn, *end.torn)
			t.c.Log.Warn("a file of the audit ends with something else than a line, as after a crash: it stays there, and the next file names it",
				"file", is.name, "offset", end.torn.At, "bytes", end.torn.Bytes)
		}
		if end.lines > 0 {
			t.w.at = end.place
			if newest && end.torn == nil && head.Seq <= end.seq {
				if err := t.w.reopen(is, end.size); err != nil {
					return err
				}
			}
			break
		}
		newest = false
	}
	slices.Reverse(t.w.torn)
	t.durable = t.w.at
	t.known, t.found = head.Seq, t.w.at.seq
	if head.Seq <= t.w.at.seq {
		return nil
	}
	from := t.w.at.seq + 1
	t.c.Log.Error("lines of the audit are missing: they were cut off, or the files are older than the store",
		"from", from, "to", head.Seq, "folder", t.c.Dir)
	t.w.at = place{head.Seq, head.mac()}
	return t.w.write([]entry{t.own(audit.Gap, slog.LevelError, slog.Uint64("from", from), slog.Uint64("to", head.Seq))}, true)
}

// name chooses the name of a server that has none: that of the newest files, so that a
// container with another host name goes on with the chain.
func (t *Trail) name(chains map[string][]file, heads []Head) string {
	var newest file
	for _, files := range chains {
		if last := files[len(files)-1]; last.server == t.c.Host || newest.server != t.c.Host && last.begun.After(newest.begun) {
			newest = last
		}
	}
	if newest.server != "" {
		return newest.server
	}
	if t.c.Alone && len(heads) == 1 {
		return heads[0].Server
	}
	if t.c.Alone || !slices.ContainsFunc(heads, func(h Head) bool { return h.Server == t.c.Host }) {
		return t.c.Host
	}
	// Another server of this host has it, or this one has lost its folder.
	name := strings.Trim(t.c.Host[:min(len(t.c.Host), 50)], "._-") + "-" + strings.ToLower(rand.Text()[:6])
	t.c.Log.Warn("another server has the name of this host in the audit, or the files of this one are gone; set audit.server to give it a name", "name", name)
	return name
}

// reopen goes on with a file that ends as it should.
func (w *writer) reopen(is file, size int64) error {
	f, err := os.OpenFile(path(w.t.c.Dir, is), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	w.file, w.is, w.size = f, is, size
	return f.Sync() // what the last run has written and not synced
}

func lockFile(dir, server string) string { return filepath.Join(dir, "audit-"+server+".lock") }

// takeLock keeps two servers from the same chain.
func (t *Trail) takeLock() error {
	f, err := os.OpenFile(lockFile(t.c.Dir, t.c.Server), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err := durable.Lock(f, time.Second); err != nil { // a server that was killed gives it up at once
		f.Close()
		return fmt.Errorf("%w (%w)", ErrInUse, err)
	}
	t.lock = f
	return nil
}
