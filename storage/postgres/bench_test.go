// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"calleridp/provider/limit"
	"calleridp/provider/redact"
	"calleridp/storage/postgres/pgtest"
)

// BenchmarkCreateAttempt begins sign-ins of different people in a durable database, 16 at a
// time. A row of a budget is locked by each that spends from it until it is committed, which
// takes longer with a synchronous replica: commit_delay stands for 3 ms of it. docs/scale.md has figures:
//
//	go test ./storage/postgres -run - -bench CreateAttempt -benchtime 2000x
func BenchmarkCreateAttempt(b *testing.B) {
	b.Run("alone", func(b *testing.B) { benchmarkCreateAttempt(b) })
	b.Run("with a replica", func(b *testing.B) { benchmarkCreateAttempt(b, "commit_delay = 3000", "commit_siblings = 0") })
}

func benchmarkCreateAttempt(b *testing.B, settings ...string) {
	durable, err := pgtest.Start(pgtest.Options{Durable: true, Settings: settings})
	if err != nil {
		b.Fatal(err)
	}
	defer durable.Stop()
	for _, row := range []struct {
		name string
		kind limit.Kind
		part func(limit.Charge) limit.Charge
	}{
		{"budget of all in one row", limit.Deployment, func(c limit.Charge) limit.Charge { return c }},
		{"budget of all in parts", limit.Deployment, limit.Charge.AnyPart},
		{"budgets of their own", limit.Network, func(c limit.Charge) limit.Charge { return c }},
	} {
		b.Run(row.name, func(b *testing.B) {
			dsn, err := durable.Database(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			s, now := open(b, Options{DSN: redact.Text(dsn)}), time.Now()
			rate := limit.Rate{Burst: 1_000_000, Period: time.Hour}
			var n atomic.Int64
			b.SetParallelism(8) // for each CPU
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					a, key := newAttempt(), limit.Key{Kind: row.kind}
					copy(a.Browser[:], a.ID)
					if row.kind != limit.Deployment {
						key.ID = fmt.Sprint(n.Add(1))
					}
					if err := s.CreateAttempt(b.Context(), a, limit.Spend{Asker: []limit.Charge{row.part(limit.Charge{Key: key, Rate: rate})}}, now); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "sign-ins/s")
		})
	}
}
