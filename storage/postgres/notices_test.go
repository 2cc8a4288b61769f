// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"errors"
	"testing"
	"time"

	"calleridp/provider/notify"
	"calleridp/provider/redact"
	"calleridp/provider/session"
)

// One of several processes tells a client something, and another one goes on when that
// one was killed; what the first decides afterwards is refused.
func TestNoticesOfAnotherProcess(t *testing.T) {
	dsn := database(t)
	o := Options{DSN: redact.Text(dsn), Tells: func(string) bool { return true }}
	first, second := open(t, o), open(t, o)
	ctx := t.Context()
	now := time.Now()
	ended := session.Session{ID: "sid", Sub: "sub", Participants: []session.Participant{{ClientID: "app", SID: "sid"}}}
	err := first.write(ctx, func(tx *txn) error {
		if err := tx.look(); err != nil {
			return err
		}
		tx.tellEnded(ended)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	take := func(s *Store, want int) {
		t.Helper()
		taken, err := s.TakeReceivers(ctx, 10)
		if err != nil || len(taken) != want {
			t.Fatalf("%v are taken, %v, want %d", taken, err, want)
		}
	}
	take(first, 1)
	take(second, 0)
	n, err := first.NextNotice(ctx, "app")
	if err != nil || n.SID != "sid" || n.At.Sub(now).Abs() > time.Minute {
		t.Fatalf("%+v, %v", n, err)
	}
	if _, err := second.NextNotice(ctx, "app"); !errors.Is(err, notify.ErrNotHeld) {
		t.Errorf("the next notice for another process: %v, want ErrNotHeld", err)
	}

	var holds time.Duration
	if err := first.pool.QueryRow(ctx, "SELECT until - clock_timestamp() FROM receivers").Scan(&holds); err != nil || holds > notify.Held || holds < notify.Held/2 {
		t.Errorf("held for %s, %v, want %s", holds, err, notify.Held)
	}
	exec(t, dsn, "UPDATE receivers SET until = now()") // as if that time had passed
	take(second, 1)
	settle := func(r notify.Receiver, n notify.Notice) (notify.Receiver, notify.Notice, bool) { return r, n, true }
	if err := first.SettleNotice(ctx, n, settle); !errors.Is(err, notify.ErrNotHeld) {
		t.Errorf("what the first decides: %v, want ErrNotHeld", err)
	}
	if err := second.SettleNotice(ctx, n, settle); err != nil {
		t.Error(err)
	}
	if left, err := first.NoticesWaiting(ctx); err != nil || left != 0 {
		t.Errorf("%d are left, %v", left, err)
	}
	// What was told of long ago, and is about to be swept, does not take a new notice along.
	exec(t, dsn, "UPDATE receivers SET expires = now() + interval '1 hour'")
	err = first.write(ctx, func(tx *txn) error {
		if err := tx.look(); err != nil {
			return err
		}
		tx.tellEnded(ended)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var left time.Duration
	if err := first.pool.QueryRow(ctx, "SELECT expires - now() FROM receivers").Scan(&left); err != nil || left < notify.Kept {
		t.Errorf("the receiver expires in %s, %v, want later than its notice", left, err)
	}
	// A process that ends leaves what it holds.
	err = first.write(ctx, func(tx *txn) error {
		tx.tellEnded(ended)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := second.LeaveReceiver(ctx, "app", 0); err != nil {
		t.Fatal(err)
	}
	take(first, 1)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	take(second, 1)
}
