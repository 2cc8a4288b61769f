// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
)

// memory keeps what it is given, or fails.
type memory struct {
	slog.Handler
	lines   *bytes.Buffer
	durable []bool
	err     error
}

func (m *memory) Handle(ctx context.Context, r slog.Record) error {
	m.durable = append(m.durable, MustBeDurable(ctx))
	if m.err != nil {
		return m.err
	}
	return m.Handler.Handle(ctx, r)
}

func newMemory() *memory {
	lines := &bytes.Buffer{}
	return &memory{Handler: slog.NewTextHandler(lines, nil), lines: lines}
}

// A change has its line before it is made, and another one if it fails. Both name who
// made it.
func TestChange(t *testing.T) {
	m := newMemory()
	k := Log(slog.New(m), nil)
	ctx, cancel := context.WithCancel(WithOperator(t.Context(), "key ci"))
	said := func() string {
		var all []string
		for line := range strings.Lines(m.lines.String()) {
			_, text, _ := strings.Cut(strings.TrimSpace(line), "msg=")
			all = append(all, text)
		}
		m.lines.Reset()
		return strings.Join(all, "; ")
	}
	if err := Change(ctx, k, Event{Name: ClientRemoved, Client: "shop"}, func(context.Context) error {
		if got, want := said(), "client.removed client=shop operator=\"key ci\""; got != want {
			t.Errorf("before the change: %s, want %s", got, want)
		}
		return nil
	}); err != nil || said() != "" {
		t.Errorf("a change: %v", err)
	}

	failure := errors.New("no such client")
	err := Change(ctx, k, Event{Name: ClientRemoved, Client: "shop"}, func(context.Context) error {
		cancel()
		return failure
	})
	if !errors.Is(err, failure) || errors.Is(err, ErrNotRecorded) {
		t.Errorf("a change that fails: %v", err)
	}
	want := `client.removed client=shop operator="key ci"; change.failed change=client.removed client=shop error="no such client" operator="key ci"`
	if got := said(); got != want {
		t.Errorf("after a failure:\ngot  %s\nwant %s", got, want)
	}
	for i, durable := range m.durable {
		if !durable {
			t.Errorf("line %d was not to be durable", i)
		}
	}
}

// A change whose line cannot be kept does not happen.
func TestThreat_NoChangeWithoutItsLine(t *testing.T) {
	m := newMemory()
	m.err = errors.New("no space left on device")
	err := Change(t.Context(), Log(slog.New(m), nil), Event{Name: ClientAdded, Client: "shop"}, func(context.Context) error {
		t.Error("it happened")
		return nil
	})
	if !errors.Is(err, ErrNotRecorded) || !errors.Is(err, m.err) {
		t.Errorf("got %v, want ErrNotRecorded and why", err)
	}
}

// What nobody waits for needs not be durable, and names an operator only if there is one.
func TestRecordIsNotDurable(t *testing.T) {
	m := newMemory()
	Log(slog.New(m), nil).Record(t.Context(), Event{Name: ClientRemoved, Client: "shop"})
	if len(m.durable) != 1 || m.durable[0] || strings.Contains(m.lines.String(), "operator") {
		t.Errorf("durable: %v, line: %s", m.durable, m.lines)
	}
}

// RecordDurable writes each event, also one that Sums would count only.
func TestKeepIsNotSummedUp(t *testing.T) {
	m := newMemory()
	sums := NewSums(slog.New(m), nil)
	k := Log(slog.New(m), sums)
	for range 3 {
		if err := k.RecordDurable(t.Context(), Event{Name: GrantRevoked, Client: "shop"}); err != nil {
			t.Fatal(err)
		}
	}
	sums.Flush()
	if got := strings.Count(m.lines.String(), "grant.revoked"); got != 3 {
		t.Errorf("%d lines, want 3\n%s", got, m.lines)
	}
}
