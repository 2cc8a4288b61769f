// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
	"testing"
	"time"

	"calleridp/provider/grant"
	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/session"
	"calleridp/provider/subject"
	"calleridp/storage/storagetest"
	"calleridp/truecaller/phone"
)

// parallel distributes b.N calls of f among n goroutines, and reports how many
// commits they needed.
func parallel(b *testing.B, s *Store, n int, f func()) {
	before := s.Stats().Commits
	calls := make(chan struct{}, b.N)
	for range b.N {
		calls <- struct{}{}
	}
	close(calls)
	b.ResetTimer()
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			for range calls {
				f()
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(s.Stats().Commits-before)/float64(b.N), "commits/op")
}

func BenchmarkCreateAttempt(b *testing.B) {
	wide := limit.Rate{Burst: 1 << 30, Period: time.Hour}
	for _, n := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("parallel=%d", n), func(b *testing.B) {
			s := open(b, Options{})
			number, _ := phone.FromDigits("46701740605")
			parallel(b, s, n, func() {
				now, id := time.Now(), randomID()
				a := login.Attempt{ID: login.ID(id), Correlation: sha256.Sum256([]byte(id)), Number: number, State: login.Pushing,
					Request: make([]byte, 600), Created: now, Expires: now.Add(5 * time.Minute)}
				err := s.CreateAttempt(context.Background(), a, limit.Spend{
					Lock: limit.Key{Kind: limit.Lock, ID: id}, LockFor: time.Minute,
					Asker: []limit.Charge{
						{Key: limit.Key{Kind: limit.Number, ID: id}, Rate: wide},
						{Key: limit.Key{Kind: limit.Network, ID: "192.0.2.7/32"}, Rate: wide},
						{Key: limit.Key{Kind: limit.Client, ID: "shop"}, Rate: wide},
						{Key: limit.Key{Kind: limit.Deployment}, Rate: wide},
					},
				}, now)
				if err != nil {
					b.Error(err)
				}
			})
		})
	}
}

func BenchmarkSignIn(b *testing.B) {
	for _, n := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("parallel=%d", n), func(b *testing.B) {
			s := open(b, Options{})
			var mu sync.Mutex
			i := 0
			parallel(b, s, n, func() {
				mu.Lock()
				i++
				digits := fmt.Sprintf("4670174%07d", i)
				mu.Unlock()
				signIn(b, s, digits)
			})
		})
	}
}

// BenchmarkUserinfo reads what userinfo reads: the token, its grant, the user.
func BenchmarkUserinfo(b *testing.B) {
	s := open(b, Options{NoSync: true})
	ctx, now := context.Background(), time.Now()
	a := signIn(b, s, "46701740605")
	p, err := s.Person(ctx, a.Sub)
	if err != nil {
		b.Fatal(err)
	}
	full := storagetest.Filled[subject.Person](now)
	full.Sub = p.Sub
	token := grant.AccessToken{Hash: [32]byte{1}, GrantID: "g", Scopes: []string{"openid", "profile"}, Expires: now.Add(time.Hour)}
	err = s.write(ctx, func(t *txn) error {
		if err := t.putPerson(full, a.Number); err != nil {
			return err
		}
		return t.redeem(grant.Redemption{Access: &token, Grant: &grant.Grant{ID: "g", Sub: p.Sub, Scopes: token.Scopes, Expires: now.Add(time.Hour)}})
	})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		_, g, err := s.AccessToken(ctx, token.Hash)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := s.Person(ctx, g.Sub); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSessionBySecret(b *testing.B) {
	s := open(b, Options{NoSync: true})
	ctx := context.Background()
	err := s.write(ctx, func(t *txn) error {
		return t.putSession(session.Session{ID: "s", Secret: [32]byte{1}, Sub: "sub", Expires: t.now.Add(time.Hour)})
	})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := s.SessionBySecret(ctx, [32]byte{1}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	s := open(b, Options{})
	s.Close()
	for b.Loop() {
		openAt(b, s.path, Options{}).Close()
	}
}
