// SPDX-License-Identifier: Apache-2.0

package storagetest

import (
	"errors"
	"sync"
	"testing"
	"time"

	"calleridp/provider/consent"
	"calleridp/provider/grant"
	"calleridp/provider/login"
	"calleridp/provider/session"
)

// endSession ends a session, and returns it as it was.
func (w *world) endSession(id string) session.Session {
	w.t.Helper()
	ended, err := w.EndSession(w.ctx, id)
	w.must(err)
	return ended
}

// participants checks who takes part in a session.
func (w *world) participants(id string, want ...session.Participant) {
	w.t.Helper()
	s, err := w.Session(w.ctx, id)
	w.must(err)
	w.same(met(w.t, s.Participants), want)
}

// met returns participants without their times, which each has.
func met(t *testing.T, all []session.Participant) []session.Participant {
	t.Helper()
	var out []session.Participant
	for _, p := range all {
		if p.At.IsZero() {
			t.Errorf("%s has no time", p.ClientID)
		}
		out = append(out, session.Participant{ClientID: p.ClientID, SID: p.SID})
	}
	return out
}

// codeOf returns a code of a client in a session.
func (w *world) codeOf(s session.Session, clientID string) grant.Code {
	c := w.code(s.ID)
	c.Grant.Sub, c.Grant.ClientID = s.Sub, clientID
	return c
}

// The step that makes a code notes its client in the session, in each of the three ways
// in which there are codes, and the end of the session returns all of them.
func testParticipants(t *testing.T, w *world) {
	a, s := w.create(), w.session()
	first := w.codeOf(s, "shop")
	_, err := w.finish(a.ID, session.SecretHash{}, func(a *login.Attempt) (session.Session, grant.Code, error) {
		a.State, a.Ended = login.Done, w.now
		return s, first, nil
	})
	w.must(err)
	shop, bank, news := session.Participant{ClientID: "shop", SID: s.ID}, session.Participant{ClientID: "bank", SID: s.ID}, session.Participant{ClientID: "news", SID: s.ID}
	w.participants(s.ID, shop)

	w.must(w.CreateCode(w.ctx, w.codeOf(s, "bank")))
	w.participants(s.ID, shop, bank)
	k := w.codeOf(s, "news")
	w.must(w.allow(s.Sub, "news", k, func(*consent.Consent) consent.Consent {
		return consent.Widen(nil, s.Sub, "news", []string{"openid"}, w.now)
	}))
	w.participants(s.ID, shop, bank, news)
	again := w.codeOf(s, "shop")
	again.Grant.Created = w.now.Add(time.Second)
	w.must(w.CreateCode(w.ctx, again))
	w.participants(s.ID, bank, news, shop)

	// A code that is refused adds no participant.
	refused := w.codeOf(s, "late")
	refused.Hash = again.Hash
	w.is(w.CreateCode(w.ctx, refused), grant.ErrExists)
	w.participants(s.ID, bank, news, shop)

	// The same user signs in again in the browser: the new session continues the old one.
	next := w.session()
	next.Sub = s.Sub
	w.signIn(next, s.Secret)
	w.noSession(s)
	w.participants(next.ID, bank, news, shop)
	w.must(w.CreateCode(w.ctx, w.codeOf(next, "shop")))
	now := session.Participant{ClientID: "shop", SID: next.ID}
	w.participants(next.ID, bank, news, shop, now)

	// Another user signs in there.
	other := w.session()
	w.signIn(other, next.Secret)
	w.noSession(next)
	w.participants(other.ID)

	w.must(w.CreateCode(w.ctx, w.codeOf(other, "bank")))
	w.reopen()
	ended := w.endSession(other.ID)
	w.same(met(w.t, ended.Participants), []session.Participant{{ClientID: "bank", SID: other.ID}})
	if ended.Sub != other.Sub || ended.ID != other.ID {
		t.Errorf("the session that was ended: got %+v, want %s of %s", ended, other.ID, other.Sub)
	}
	w.same(w.endSession(other.ID), session.Session{})

	over := w.session()
	over.Expires = w.now.Add(-time.Millisecond)
	over.Participants = []session.Participant{{ClientID: "bank", SID: over.ID}}
	w.signIn(over, session.SecretHash{})
	w.same(w.endSession(over.ID), session.Session{})
}

// Clients that get codes of a session at once, while it ends, either take part in it when
// it ends or get none.
func testParallelParticipants(t *testing.T, w *world) {
	for range 8 {
		s := w.session()
		w.signIn(s, session.SecretHash{})
		clients := []string{"a", "b", "c", "d"}
		joined := make([]bool, len(clients))
		var ended session.Session
		var all sync.WaitGroup
		for i, id := range clients {
			all.Go(func() {
				err := w.CreateCode(w.ctx, w.codeOf(s, id))
				if joined[i] = err == nil; err != nil && !errors.Is(err, session.ErrNotFound) {
					t.Error(err)
				}
			})
		}
		all.Go(func() {
			var err error
			if ended, err = w.EndSession(w.ctx, s.ID); err != nil {
				t.Error(err)
			}
		})
		all.Wait()
		told := map[string]bool{}
		for _, p := range ended.Participants {
			told[p.ClientID] = true
		}
		for i, id := range clients {
			if told[id] != joined[i] {
				t.Errorf("client %s: it got a code: %t, and took part when the session ended: %t", id, joined[i], told[id])
			}
		}
	}
}
