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
// time. A budget that all share is one row, whose lock each holds until it is committed.
// docs/scale.md has figures:
//
//	go test ./storage/postgres -run - -bench CreateAttempt -benchtime 2000x
func BenchmarkCreateAttempt(b *testing.B) {
	durable, err := pgtest.Start(pgtest.Options{Durable: true})
	if err != nil {
		b.Fatal(err)
	}
	defer durable.Stop()
	for _, row := range []struct {
		name string
		kind limit.Kind
	}{{"budget of all", limit.Deployment}, {"budgets of their own", limit.Network}} {
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
					if err := s.CreateAttempt(b.Context(), a, limit.Spend{Asker: []limit.Charge{{Key: key, Rate: rate}}}, now); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "sign-ins/s")
		})
	}
}
