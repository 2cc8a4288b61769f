// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/keys"
	"calleridp/provider/consent"
	"calleridp/provider/grant"
	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/session"
	"calleridp/provider/subject"
	"calleridp/storage/record"
	"calleridp/truecaller"
	"calleridp/truecaller/phone"

	"go.etcd.io/bbolt"
)

func randomID() string { return keys.RandomText(16) }

// signIn makes a whole sign-in with its five commits: attempt, delivery, approval,
// session and code, redemption.
func signIn(t testing.TB, s *Store, digits string) login.Attempt {
	t.Helper()
	ctx, now := context.Background(), time.Now()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	number, err := phone.FromDigits(digits)
	must(err)
	id := login.ID(randomID())
	a := login.Attempt{ID: id, Method: login.Push, State: login.Pushing, Correlation: sha256.Sum256([]byte(id)), App: "main", Number: number,
		ClientID: "shop", Network: "192.0.2.7/32", Request: []byte(strings.Repeat("sealed request ", 20)), Created: now, Expires: now.Add(5 * time.Minute)}
	wide := limit.Rate{Burst: 1_000_000, Period: time.Hour}
	must(s.CreateAttempt(ctx, a, limit.Spend{
		Lock: limit.Key{Kind: limit.Lock, ID: digits}, LockFor: 5 * time.Minute,
		Asker: []limit.Charge{
			{Key: limit.Key{Kind: limit.Number, ID: digits}, Rate: limit.Rate{Burst: 100, Period: time.Hour}},
			{Key: limit.Key{Kind: limit.Network, ID: digits[:9]}, Rate: wide},
			{Key: limit.Key{Kind: limit.Client, ID: "shop"}, Rate: wide},
			{Key: limit.Key{Kind: limit.Deployment}, Rate: wide},
		},
	}, now))
	s.NoteAttempt(ctx, id, login.Note{Kind: login.NoteAccepted, At: now, RequestID: "request-of-truecaller"})
	d := truecaller.Delivery{ID: randomID(), App: "main", Received: now, Callback: truecaller.Callback{RequestID: "request-of-truecaller", AccessToken: "token"}}
	_, err = s.PutDelivery(ctx, d)
	must(err)
	s.NoteAttempt(ctx, id, login.Note{Kind: login.NoteToken, At: now, App: "main", Delivery: d.ID})
	_, err = s.ApproveAttempt(ctx, id, number, func(a login.Attempt, known *subject.Person) (login.Approval, error) {
		p := subject.Person{Sub: randomID(), Number: number, Created: now}
		if known != nil {
			p = *known
		}
		p.LastSignIn, p.Profile = now, truecaller.Profile{FirstName: "Asha-in-the-clear", Numbers: []phone.Number{number}}
		a.State, a.Sub = login.Approved, p.Sub
		return login.Approval{Attempt: a, Person: p, Effects: login.Effects{Unlock: true, Drop: d.ID}}, nil
	})
	must(err)
	sid := randomID()
	c := grant.Code{Hash: sha256.Sum256([]byte("code" + sid)), RedirectURI: "https://shop.example/cb", Expires: now.Add(time.Minute),
		Grant: grant.Grant{ID: randomID(), ClientID: "shop", SID: sid, Scopes: []string{"openid", "phone"}, Created: now, Expires: now.Add(10 * time.Minute)}}
	done, err := s.FinishAttempt(ctx, id, func(a login.Attempt, _ *consent.Consent) (login.SignIn, error) {
		a.State = login.Done
		c.Grant.Sub = a.Sub
		in := session.Session{ID: sid, Secret: sha256.Sum256([]byte(sid)), Sub: a.Sub, Created: now, Expires: now.Add(8 * time.Hour)}
		return login.SignIn{Attempt: a, Session: in, Code: c}, nil
	})
	must(err)
	_, err = s.UseCode(ctx, c.Hash, func(c grant.Code, _ *grant.Grant) grant.Redemption {
		c.Redeemed = true
		return grant.Redemption{Code: &c, Grant: &c.Grant, Access: &grant.AccessToken{
			Hash: sha256.Sum256([]byte("token" + sid)), GrantID: c.Grant.ID, Issued: now, Expires: now.Add(10 * time.Minute)}}
	})
	must(err)
	return done.Attempt
}

// records counts the records in every bucket.
func records(t testing.TB, s *Store) map[string]int {
	t.Helper()
	n := map[string]int{}
	err := s.db.View(func(tx *bbolt.Tx) error {
		for _, b := range buckets {
			n[string(b.id)] = 0
			tx.Bucket(b.id).ForEach(func(_, _ []byte) error { n[string(b.id)]++; return nil })
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// During a week of sign-ins by the same hundred users, the file reaches its size
// on the first days. After the last sign-in has expired, only the users are left.
func TestWeekOfLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, Options{NoSync: true, SweepEvery: 5 * time.Minute})
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		go s.Run(ctx)
		var pages [7]int
		for hour := range 7 * 24 {
			for range 12 {
				b := make([]byte, 1)
				rand.Read(b)
				signIn(t, s, fmt.Sprintf("467017406%02d", int(b[0])%100))
			}
			time.Sleep(time.Hour)
			pages[hour/24] = 0
			s.db.View(func(tx *bbolt.Tx) error {
				for _, b := range buckets {
					stats := tx.Bucket(b.id).Stats()
					pages[hour/24] += stats.BranchPageN + stats.BranchOverflowN + stats.LeafPageN + stats.LeafOverflowN
				}
				return nil
			})
		}
		// Days differ by a few pages. One record a sign-in that is never deleted
		// would add a dozen pages each day. The file itself is larger by the pages
		// that a long read keeps from being used again.
		if size := s.Stats().Bytes; pages[6] > pages[1]+pages[1]/2 || size > 4<<20 {
			t.Errorf("the store grows, pages in use by day: %v, file %d", pages, size)
		}
		intact(t, s)
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		for name, n := range records(t, s) {
			switch name {
			case "meta":
			case "people", "numbers":
				if n == 0 || n > 100 {
					t.Errorf("%d %s", n, name)
				}
			default:
				if n != 0 {
					t.Errorf("%d left in %s", n, name)
				}
			}
		}
		before := s.Stats().Commits
		time.Sleep(24 * time.Hour)
		if got := s.Stats().Commits; got != before {
			t.Errorf("%d commits without any work", got-before)
		}
	})
}

// A renewed record is swept at its new expiry, also at an earlier one. A record
// that is deleted and stored again has the expiry of the second.
func TestSweepLooksAtTheRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, Options{NoSync: true})
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		go s.Run(ctx)
		start := time.Now()
		put := func(id string, end time.Duration) {
			t.Helper()
			err := s.write(ctx, func(t *txn) error { return t.putGrant(grant.Grant{ID: id, Expires: start.Add(end)}) })
			if err != nil {
				t.Fatal(err)
			}
		}
		put("renewed", time.Hour)
		put("renewed", 3*time.Hour)
		put("shortened", 5*time.Hour)
		put("shortened", 2*time.Hour)
		put("again", 4*time.Hour)
		if err := s.write(ctx, func(t *txn) error { return t.forget(&grants, []byte("again")) }); err != nil {
			t.Fatal(err)
		}
		put("again", 6*time.Hour)
		put("unset", -50*365*24*time.Hour)
		for hour, want := range []string{"again renewed shortened ", "again renewed shortened ", "again renewed ", "again ", "again ", "again ", ""} {
			time.Sleep(time.Until(start.Add(time.Duration(hour)*time.Hour + time.Minute)))
			synctest.Wait()
			got := ""
			s.db.View(func(tx *bbolt.Tx) error {
				return tx.Bucket(grants.id).ForEach(func(k, _ []byte) error { got += string(k) + " "; return nil })
			})
			if got != want {
				t.Errorf("after %d h: %q, want %q", hour, got, want)
			}
			intact(t, s)
		}
		if left := records(t, s)["expiry"]; left != 0 {
			t.Errorf("%d entries left in the expiry index", left)
		}
	})
}

// An attempt is stored for an hour after its expiry. A record that cannot be read
// does not stop the sweep.
func TestSweepTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, Options{NoSync: true})
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		go s.Run(ctx)
		a := login.Attempt{ID: "a", Browser: [32]byte{2}, Form: [32]byte{3}, Correlation: [32]byte{1}, Expires: time.Now().Add(5 * time.Minute)}
		if err := s.CreateAttempt(ctx, a, limit.Spend{}, time.Now()); err != nil {
			t.Fatal(err)
		}
		err := s.write(ctx, func(t *txn) error {
			t.writes++
			key := []byte("damaged")
			if err := t.putGrant(grant.Grant{ID: "damaged", Expires: t.now.Add(time.Minute)}); err != nil {
				return err
			}
			value := append([]byte(nil), t.tx.Bucket(grants.id).Get(key)...)
			value[len(value)-1]++
			return t.tx.Bucket(grants.id).Put(key, value)
		})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(64 * time.Minute)
		if _, err := s.Attempt(ctx, "a"); err != nil {
			t.Errorf("an hour after its end: %v", err)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if _, err := s.Attempt(ctx, "a"); !errors.Is(err, login.ErrNotFound) {
			t.Errorf("later: %v", err)
		}
		for _, name := range []string{"attempts", "correlations", "forms", "browser_attempts", "grants", "expiry"} {
			if n := records(t, s)[name]; n != 0 {
				t.Errorf("%d left in %s", n, name)
			}
		}
	})
}

// A large sweep continues in small batches until it is complete.
func TestSweepBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, Options{NoSync: true})
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		err := s.write(ctx, func(t *txn) error {
			for i := range 3*sweepMax + 1 {
				if err := t.put(&accessTokens, fmt.Append(nil, i), t.now.Add(time.Minute), &record.AccessToken{}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		before := s.Stats().Commits
		time.Sleep(time.Minute)
		go s.Run(ctx)
		time.Sleep(11 * time.Second)
		synctest.Wait()
		if n := records(t, s)["access_tokens"]; n != 0 {
			t.Errorf("%d left", n)
		}
		if commits := s.Stats().Commits - before; commits != 4 {
			t.Errorf("%d commits, want 4", commits)
		}
	})
}
