package postgres

import (
	"testing"
	"time"

	"calleridp/provider/redact"
	"calleridp/truecaller"
)

// One process works on a delivery; if it dies, another one takes it, and if it stops,
// at once.
func TestDeliveriesAreTakenOnce(t *testing.T) {
	dsn := database(t)
	a, b := open(t, Options{DSN: redact.Text(dsn)}), open(t, Options{DSN: redact.Text(dsn)})
	ctx := t.Context()
	has := func(s *Store, want int) {
		t.Helper()
		got, err := s.Deliveries(ctx, 10)
		if err != nil || len(got) != want {
			t.Errorf("%d deliveries, %v, want %d", len(got), err, want)
		}
	}
	for _, id := range []string{"1", "2"} {
		if err := a.PutDelivery(ctx, truecaller.Delivery{ID: id, Received: time.Now()}); err != nil {
			t.Fatal(err)
		}
	}
	has(a, 2)
	has(b, 0)
	// It still says so after a while.
	exec(t, dsn, "UPDATE deliveries SET until = now() + interval '1 hour'")
	until(t, "the process says that it works on its deliveries", func() bool {
		var long int
		err := a.pool.QueryRow(ctx, "SELECT count(*) FROM deliveries WHERE until > now() + interval '30 minutes'").Scan(&long)
		return err == nil && long == 0
	})
	has(b, 0)

	exec(t, dsn, "UPDATE deliveries SET node = 'dead', until = now() WHERE key = '1'")
	has(b, 1)
	has(a, 1)
	a.Close()
	has(b, 2)
}
