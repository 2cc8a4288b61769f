// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"calleridp/keys"
	"calleridp/provider/grant"
	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/storage/record"
	"calleridp/truecaller"
)

// childEnv makes this test binary run one of the programs below instead of tests.
const childEnv = "BOLT_TEST_CHILD"

func TestMain(m *testing.M) {
	switch name, path, _ := strings.Cut(os.Getenv(childEnv), " "); name {
	case "":
		os.Exit(m.Run())
	case "writer":
		writer(path)
	case "full":
		full(path)
	case "migrator":
		migrator(path)
	}
}

func child(t *testing.T, name, path string) *exec.Cmd {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary)
	cmd.Env = append(os.Environ(), childEnv+"="+name+" "+path)
	cmd.Stderr = os.Stderr
	return cmd
}

func childMaster() *keys.Master {
	master, err := keys.NewMaster([]byte("0123456789abcdef0123456789abcdef"))
	if err != nil {
		panic(err)
	}
	return master
}

func childOpen(path string) *Store {
	s, err := Open(path, childMaster(), Options{})
	if err != nil {
		panic(err)
	}
	return s
}

// writer writes until it is killed, and prints which writes are durable.
func writer(path string) {
	s := childOpen(path)
	ctx := context.Background()
	var out sync.Mutex
	durable := func(what, id string, err error) {
		if err != nil {
			panic(err)
		}
		out.Lock()
		defer out.Unlock()
		fmt.Printf("%s %s\n", what, id)
	}
	for range 8 {
		go func() {
			for {
				now := time.Now()
				d := truecaller.Delivery{ID: randomID(), Received: now, Callback: truecaller.Callback{AccessToken: strings.Repeat("t", 500)}}
				_, err := s.PutDelivery(ctx, d)
				durable("delivery", d.ID, err)
				kept := truecaller.Delivery{ID: randomID(), Received: now}
				_, err = s.PutDelivery(ctx, kept)
				durable("kept", kept.ID, err)
				a := login.Attempt{ID: login.ID(randomID()), Correlation: [32]byte([]byte(randomID() + randomID())), Expires: now.Add(time.Hour)}
				durable("attempt", string(a.ID), s.CreateAttempt(ctx, a, limit.Spend{}, now))
				_, err = s.UpdateAttempt(ctx, a.ID, func(a login.Attempt) (login.Update, error) {
					a.State = login.Approved
					return login.Update{Attempt: a, Effects: login.Effects{Drop: d.ID}}, nil
				})
				durable("approved", string(a.ID)+" "+d.ID, err)
			}
		}()
	}
	select {}
}

// After kill -9 at any time, every write that was reported as durable is stored,
// and each transaction is stored as a whole.
func TestKilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	kept, deliveries, attempts := map[string]bool{}, map[string]bool{}, map[string]login.State{}
	for round := range 4 {
		cmd := child(t, "writer", path)
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(stdout)
		for n := 0; ; n++ {
			line, err := lines.ReadString('\n')
			if errors.Is(err, io.EOF) || errors.Is(err, os.ErrClosed) {
				break // an incomplete line reports no write
			}
			if err != nil {
				t.Fatal(err)
			}
			if n == 100+round*37 {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
			switch f := strings.Fields(line); f[0] {
			case "kept":
				kept[f[1]] = true
			case "delivery":
				deliveries[f[1]] = true
			case "attempt":
				attempts[f[1]] = ""
			case "approved":
				attempts[f[1]] = login.Approved
				delete(deliveries, f[2])
			}
		}
		cmd.Wait()

		s := openAt(t, path, Options{})
		intact(t, s)
		ctx := context.Background()
		inbox, err := s.Deliveries(ctx, 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		there := map[string]bool{}
		for _, d := range inbox {
			there[d.ID] = true
		}
		for id := range kept {
			if !there[id] {
				t.Errorf("round %d: a delivery is gone that was reported as durable", round)
			}
		}
		missing := 0
		for id := range deliveries {
			if !there[id] {
				missing++
			}
		}
		// A writer may have been killed between a durable approval and its
		// report: then the approval has deleted the delivery.
		if missing > 8 {
			t.Errorf("round %d: %d of %d deliveries are gone", round, missing, len(deliveries))
		}
		for id, state := range attempts {
			a, err := s.Attempt(ctx, login.ID(id))
			if err != nil || state != "" && a.State != state {
				t.Errorf("round %d: attempt %s, reported as %q: %q, %v", round, id, state, a.State, err)
			}
		}
		clear(deliveries) // the missing ones are explained, the others are known
		for id := range there {
			deliveries[id] = true
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if len(attempts) < 50 {
		t.Errorf("only %d attempts were made", len(attempts))
	}
}

// On a full disk, writes return an error and change nothing, and reads succeed.
// Writes succeed again when the disk has room.
func TestDiskFull(t *testing.T) {
	if runtime.GOOS != "linux" {
		return // only Linux has the limit on file sizes that simulates a full disk
	}
	out, err := child(t, "full", filepath.Join(t.TempDir(), "store.db")).Output()
	if err != nil || string(out) != "as it should be\n" {
		t.Errorf("%v\n%s", err, out)
	}
}

func full(path string) {
	s := childOpen(path)
	ctx, now := context.Background(), time.Now()
	check := func(ok bool, format string, args ...any) {
		if !ok {
			fmt.Printf(format+"\n", args...)
		}
	}
	charge := limit.Charge{Key: limit.Key{Kind: limit.Client, ID: "shop"}, Rate: limit.Rate{Burst: 1 << 20, Period: time.Hour}}
	attempt := func(size int) (login.Attempt, limit.Spend) {
		id := randomID()
		return login.Attempt{ID: login.ID(id), Correlation: [32]byte([]byte(id + id)), Request: make([]byte, size), Expires: now.Add(time.Hour)},
			limit.Spend{Lock: limit.Key{Kind: limit.Lock, ID: id}, LockFor: time.Hour, Asker: []limit.Charge{charge}}
	}
	first, spend := attempt(10)
	check(s.CreateAttempt(ctx, first, spend, now) == nil, "the first write failed")
	tat := func() (at time.Time) {
		s.read(ctx, func(r reader) error {
			l, err := r.limit(s.sealer.LimitKey(charge.Key))
			at = l.Until
			return err
		})
		return at
	}

	for _, room := range []int64{16 << 10, 3 << 20} { // pages cannot be written; the file cannot grow
		lift, err := limitFileSize(room)
		if err != nil {
			panic(err)
		}
		failures := 0
		for range 20 {
			before := tat()
			a, spend := attempt(300 << 10)
			err := s.CreateAttempt(ctx, a, spend, now)
			_, found := s.Attempt(ctx, a.ID)
			_, byState := s.AttemptByCorrelation(ctx, a.Correlation)
			check((err == nil) == (found == nil) && (err == nil) == (byState == nil), "create: %v; by id: %v, by state: %v", err, found, byState)
			check((err == nil) == !tat().Equal(before), "create: %v; the budget went from %v to %v", err, before, tat())
			if err != nil {
				failures++
				check(!errors.Is(found, record.ErrUnreadable) && errors.Is(found, login.ErrNotFound), "reading it: %v", found)
				a.ID = login.ID(randomID())
				a.Correlation[0]++
				a.Request = nil
				spend.Asker = nil // a lock that was left behind would refuse this
				err := s.CreateAttempt(ctx, a, spend, now)
				var held *limit.Exceeded
				check(!errors.As(err, &held), "a failed write took the lock")
			}
			s.NoteAttempt(ctx, first.ID, login.Note{Kind: login.NoteAccepted, At: now, RequestID: "lost"})
			_, err = s.Attempt(ctx, first.ID)
			check(err == nil, "reading the first: %v", err)
		}
		check(failures > 5, "%d failures with room for %d bytes", failures, room)
		for range 100 { // the last commit is one that failed
			a, spend := attempt(300 << 10)
			if s.CreateAttempt(ctx, a, spend, now) != nil {
				break
			}
		}
		check(s.Healthy() != nil && s.Stats().Failures >= uint64(failures), "a failed commit, and: %v, %d counted", s.Healthy(), s.Stats().Failures)
		lift()
		s.tryAgain(ctx)
		check(s.Healthy() == nil, "with room again: %v", s.Healthy())
		a, spend := attempt(300 << 10)
		check(s.CreateAttempt(ctx, a, spend, now) == nil, "it does not write when there is room again")
		c := grant.Code{Hash: [32]byte{byte(room >> 12)}, Expires: now.Add(time.Hour), Grant: grant.Grant{ID: "g"}}
		check(s.CreateCode(ctx, c) == nil, "it does not write when there is room again")
	}
	check(s.Close() == nil, "close failed")
	s = childOpen(path)
	_, err := s.Attempt(ctx, first.ID)
	check(err == nil, "after a restart: %v", err)
	check(s.Close() == nil, "close failed")
	fmt.Println("as it should be")
}
