// SPDX-License-Identifier: Apache-2.0

package trail

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"calleridp/provider/audit"
	"calleridp/truecaller/phone"
)

func attemptDone(b *testing.B) audit.Event {
	b.Helper()
	number, err := phone.FromDigits("46701740605")
	if err != nil {
		b.Fatal(err)
	}
	return audit.Event{Name: audit.AttemptDone, Attempt: "pBrhe7YnI4bIemqFhD2xVA", Method: "push", Number: number,
		Client: "shop", Network: "192.0.2.7/32", App: "default", Subject: "du5NzoQC37qlOX6-fOvEqA"}
}

// BenchmarkRecordToLog is what an event costs who records it if it becomes a line of the
// log in a file, as all did before there were files of the audit.
func BenchmarkRecordToLog(b *testing.B) {
	f, err := os.Create(filepath.Join(b.TempDir(), "log"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	r := audit.Log(slog.New(slog.NewJSONHandler(f, nil)).With("log", "audit"), nil)
	e := attemptDone(b)
	b.ReportAllocs()
	for b.Loop() {
		r.Record(b.Context(), e)
	}
}

func open(b *testing.B) (*Trail, audit.DurableRecorder) {
	b.Helper()
	t, err := Open(b.Context(), Config{Server: "web-1", Key: newKey(b, 1), Log: slog.New(slog.DiscardHandler),
		Dir: b.TempDir(), Heads: &memory{heads: map[string]Head{}}, Keep: 1 << 60, MaxBytes: 1 << 30})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { t.Close(context.Background()) })
	return t, audit.Log(slog.New(t.Handler()), nil)
}

// BenchmarkRecord is what it costs now, and how many of them are lost if nothing else is
// done: a server does some dozen in the time of a sign-in.
func BenchmarkRecord(b *testing.B) {
	t, r := open(b)
	e := attemptDone(b)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		r.Record(b.Context(), e)
		if i%1000 == 999 { // lets the goroutine that writes keep up, as a server does
			b.StopTimer()
			for len(t.queue) > 0 {
				if err := r.RecordDurable(b.Context(), e); err != nil {
					b.Fatal(err)
				}
			}
			b.StartTimer()
		}
	}
	if lost := t.Stats().Lost; lost > 0 {
		b.Errorf("%d events were lost", lost)
	}
}

// BenchmarkWrite is what the goroutine that writes spends on a line, in batches.
func BenchmarkWrite(b *testing.B) {
	for _, size := range []int{1, 100} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			t, _ := open(b)
			t.Close(context.Background())
			body := fmt.Appendf(nil, `"event":"attempt.done","level":"INFO","attempt":"pBrhe7YnI4bIemqFhD2xVA","method":"push","number":"+46•••••0605","client":"shop","network":"192.0.2.7/32","app":"default","sub":"du5NzoQC37qlOX6-fOvEqA"`)
			batch := make([]entry, size)
			for i := range batch {
				batch[i] = entry{body: body}
			}
			b.ReportAllocs()
			for n := 0; b.Loop(); n += size {
				if err := t.w.write(batch, false); err != nil {
					b.Fatal(err)
				}
			}
			t.w.close()
		})
	}
}

// BenchmarkRecordDurable is how long a change of an operator waits for its line: an fsync.
func BenchmarkRecordDurable(b *testing.B) {
	_, r := open(b)
	e := audit.Event{Name: audit.ClientAdded, Client: "shop"}
	for b.Loop() {
		if err := r.RecordDurable(b.Context(), e); err != nil {
			b.Fatal(err)
		}
	}
}
