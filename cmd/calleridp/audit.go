// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"calleridp/cmd/calleridp/config"
	"calleridp/cmd/calleridp/serve"
	"calleridp/provider/audit"
	"calleridp/provider/audit/trail"
)

// auditing is the audit of a running server.
type auditing struct {
	audit.DurableRecorder
	reader audit.Reader
	trail  *trail.Trail // nil: the log alone has it
}

// openAudit opens the places that the configuration names. base is the log without sums,
// which they have of themselves.
func openAudit(ctx context.Context, s config.Settings, heads trail.Heads, restored *trail.Restoration, base, log *slog.Logger, sums *audit.Sums) (*auditing, error) {
	a := &auditing{reader: noReader{}}
	var to everywhere
	c := trail.Config{
		Server:   s.Audit.Server,
		Host:     config.HostName(),
		Alone:    s.Postgres == nil,
		Restored: restored,
		Version:  versionText(),
		Key:      s.Master,
		Log:      log,
		Keep:     time.Duration(s.Audit.Keep),
		MaxBytes: s.Audit.MaxBytes(),
	}
	if s.Audit.Goes(config.AuditFile) {
		c.Dir, c.Heads = s.Audit.Dir, heads
		a.reader = trail.NewReader(c.Dir, s.Master)
	}
	if s.Audit.Goes(config.AuditStdout) {
		c.Also = append(c.Also, os.Stdout)
	}
	if s.Audit.Goes(config.AuditSyslog) {
		out, err := openSyslog(s.Audit.SyslogSocket)
		if err != nil {
			return nil, fmt.Errorf("audit.syslog_socket: %w; start syslog, or remove syslog from audit.to", err)
		}
		c.Also = append(c.Also, out)
	}
	if c.Dir != "" || len(c.Also) > 0 {
		var err error
		if a.trail, err = trail.Open(ctx, c); err != nil {
			return nil, fmt.Errorf("main: opening the audit: %w", err)
		}
		to = append(to, serve.WithRequestID(a.trail.Handler()))
	}
	if s.Audit.Goes(config.AuditLog) {
		to = append(to, base.With("log", "audit").Handler())
	}
	a.DurableRecorder = audit.Log(slog.New(to), sums)
	return a, nil
}

// closeTimeout bounds the time for recording the last line in the store.
const closeTimeout = 5 * time.Second

// close writes what is left, before the store is closed.
func (a *auditing) close() error {
	if a.trail == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	return a.trail.Close(ctx)
}

// audited is a store that is closed after the audit.
type audited struct {
	serve.Store
	before func() error
}

// Close implements serve.Store.
func (s audited) Close() error {
	return errors.Join(s.before(), s.Store.Close())
}

// noReader is the reader of an audit that is in no file.
type noReader struct{}

func (noReader) Lines(context.Context, audit.Query) (audit.Page, error) {
	return audit.Page{}, audit.ErrNoReader
}

// everywhere hands a line to several places. The first of them decides whether it was kept.
type everywhere []slog.Handler

func (everywhere) Enabled(context.Context, slog.Level) bool { return true }

func (all everywhere) Handle(ctx context.Context, r slog.Record) error {
	var kept error
	for i, h := range all {
		if err := h.Handle(ctx, r.Clone()); err != nil && i == 0 {
			kept = err
		}
	}
	return kept
}

func (all everywhere) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := make(everywhere, len(all))
	for i, h := range all {
		with[i] = h.WithAttrs(attrs)
	}
	return with
}

func (all everywhere) WithGroup(name string) slog.Handler {
	with := make(everywhere, len(all))
	for i, h := range all {
		with[i] = h.WithGroup(name)
	}
	return with
}
