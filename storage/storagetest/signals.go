// SPDX-License-Identifier: Apache-2.0

package storagetest

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"calleridp/provider/grant"
	"calleridp/provider/login"
	"calleridp/provider/notify"
	"calleridp/provider/session"
	"calleridp/provider/signals"
	"calleridp/provider/subject"
)

// stream gives a client a stream.
func (w *world) stream(clientID string, change ...func(*signals.Stream)) {
	w.t.Helper()
	_, err := w.ChangeStream(w.ctx, clientID, func(*signals.Stream) (signals.Update, error) {
		s := signals.Stream{ID: "id-" + clientID, ClientID: clientID, Method: signals.Poll, AllRequested: true, Status: signals.Enabled, Created: w.now}
		for _, c := range change {
			c(&s)
		}
		return signals.Update{Stream: &s}, nil
	})
	w.must(err)
}

// signals are the events that wait for a client's stream, with their sid, in order; they are
// done with then.
func (w *world) signals(clientID string) (all []string) {
	w.t.Helper()
	waiting, n, err := w.PollNotices(w.ctx, clientID, nil, 1000)
	w.must(err)
	w.same(n, len(waiting))
	var done []string
	for _, n := range waiting {
		if n.Receiver != signals.Lane(clientID) || n.Kind != notify.Signal || n.At.IsZero() {
			w.t.Errorf("a signal is not whole: %+v", n)
		}
		all = append(all, strings.Join(slices.DeleteFunc([]string{n.Event, n.SID, n.Detail}, func(s string) bool { return s == "" }), " "))
		done = append(done, n.ID)
	}
	_, _, err = w.PollNotices(w.ctx, clientID, done, 0)
	w.must(err)
	return all
}

// user makes a user with a number.
func (w *world) user() subject.Person {
	w.t.Helper()
	a := w.create()
	p := w.person(a.Number)
	w.approve(a.ID, p)
	return p
}

// opened is a session of a user at these clients, with these scopes.
func (w *world) opened(sub string, scopes []string, clients ...string) session.Session {
	w.t.Helper()
	s := w.session()
	s.Sub = sub
	w.signIn(s, session.SecretHash{})
	for _, id := range clients {
		c := w.codeOf(s, id)
		c.Grant.Sub, c.Grant.Scopes = sub, scopes
		w.must(w.CreateCode(w.ctx, c))
	}
	return s
}

// A client's stream is kept as it was stored, and changed or deleted in one step.
func testStreams(t *testing.T, w *world) {
	_, err := w.Stream(w.ctx, "shop")
	w.is(err, signals.ErrNotFound)
	full := Filled[signals.Stream](w.now)
	full.ClientID = "shop"
	_, err = w.ChangeStream(w.ctx, "shop", func(known *signals.Stream) (signals.Update, error) {
		if known != nil {
			t.Errorf("known before: %+v", known)
		}
		return signals.Update{Stream: &full}, nil
	})
	w.must(err)
	w.reopen()
	w.reads(full)(w.Stream(w.ctx, "shop"))
	w.stream("blog")
	all, err := w.Streams(w.ctx)
	w.must(err)
	if len(all) != 2 || all[0].ClientID != "blog" || all[1].ClientID != "shop" {
		t.Errorf("streams: %+v, want blog's and shop's", all)
	}

	refused := errors.New("refused")
	_, err = w.ChangeStream(w.ctx, "shop", func(known *signals.Stream) (signals.Update, error) {
		w.same(*known, full)
		return signals.Update{}, refused
	})
	w.is(err, refused)
	w.reads(full)(w.Stream(w.ctx, "shop"))
	_, err = w.ChangeStream(w.ctx, "none", func(*signals.Stream) (signals.Update, error) { return signals.Update{}, refused })
	w.is(err, refused)
	_, err = w.Stream(w.ctx, "none")
	w.is(err, signals.ErrNotFound)

	// What is told with a change waits, and what goes before others does.
	tells := func(n notify.Notice) {
		t.Helper()
		_, err = w.ChangeStream(w.ctx, "blog", func(known *signals.Stream) (signals.Update, error) {
			return signals.Update{Stream: known, Tell: []notify.Notice{n}}, nil
		})
		w.must(err)
	}
	tells(signals.About(signals.Verification, "blog", w.now, "state"))
	tells(signals.About(signals.StreamUpdated, "blog", w.now, "paused"))
	w.same(w.signals("blog"), []string{"stream-updated paused", "verification state"})

	subject := [32]byte{1}
	for _, removed := range []bool{false, true, true} {
		if removed {
			w.must(w.RemoveSubject(w.ctx, "blog", subject))
		}
		got, err := w.SubjectRemoved(w.ctx, "blog", subject)
		w.must(err)
		w.same(got, removed)
		other, err := w.SubjectRemoved(w.ctx, "shop", subject)
		w.must(err)
		w.same(other, false)
	}
	w.must(w.AddSubject(w.ctx, "blog", subject))
	got, err := w.SubjectRemoved(w.ctx, "blog", subject)
	w.must(err)
	w.same(got, false)

	// A stream that is deleted takes everything along.
	w.must(w.RemoveSubject(w.ctx, "blog", subject))
	tells(signals.About(signals.Verification, "blog", w.now, "state"))
	_, err = w.ChangeStream(w.ctx, "blog", func(*signals.Stream) (signals.Update, error) { return signals.Update{Drop: true}, nil })
	w.must(err)
	_, err = w.Stream(w.ctx, "blog")
	w.is(err, signals.ErrNotFound)
	w.stream("blog")
	w.same(len(w.signals("blog")), 0)
	got, err = w.SubjectRemoved(w.ctx, "blog", subject)
	w.must(err)
	w.same(got, false)
}

// Each fact becomes the events of it, in one order, for the clients that know the user and
// have a stream that takes them.
func testSignals(t *testing.T, w *world) {
	before := w.user()
	w.opened(before.Sub, []string{"openid", "phone"}, "late")
	for _, id := range []string{"a", "b", "late", Silent} {
		w.stream(id)
	}
	w.stream("other")
	w.stream("off", func(s *signals.Stream) { s.Status = signals.Disabled })
	w.stream("few", func(s *signals.Stream) {
		s.AllRequested, s.Requested = false, signals.URIs([]signals.Event{signals.AccountPurged})
	})
	quiet := func(clients ...string) {
		t.Helper()
		for _, id := range append(clients, "other", "off", Silent) {
			if all := w.signals(id); all != nil {
				t.Errorf("%s got %v, want nothing", id, all)
			}
		}
	}

	p := w.user()
	s := w.opened(p.Sub, []string{"openid"}, "a", "b", "off", "few", Silent)
	var knowers []string
	for _, k := range w.account(p.Sub).Known {
		knowers = append(knowers, k.ClientID)
	}
	w.same(knowers, []string{"a", "b", "few", "off"}) // those with a stream
	quiet("a", "b", "few", "late")
	w.endSession(s.ID)
	w.reopen()
	revoked := "session-revoked " + s.ID
	w.same(w.signals("a"), []string{revoked})
	w.same(w.signals("b"), []string{revoked})
	quiet("few", "late")

	s = w.opened(p.Sub, []string{"openid"}, "a")
	w.must(w.EndSessions(w.ctx, p.Sub))
	p = w.user()
	if all := w.signals("a"); !slices.Contains(all, "session-revoked "+s.ID) {
		t.Errorf("everywhere: %v, want the session %s", all, s.ID)
	}
	quiet("b", "few", "late")

	// Access that is taken away: that client alone, and then it knows the user no more.
	s = w.opened(p.Sub, []string{"openid", "phone"}, "a", "b", "few")
	w.must(w.RevokeClient(w.ctx, p.Sub, "b"))
	for _, k := range w.account(p.Sub).Known {
		if k.ClientID == "b" {
			t.Errorf("its access is gone, and it knows the user: %+v", k)
		}
	}
	if all := w.signals("b"); len(all) < 2 || all[0] != "token-claims-change access-removed" || !slices.Contains(all, "session-revoked "+s.ID+" access-removed") {
		t.Errorf("access removed: %v", all)
	}
	quiet("a", "few", "late")

	// A sign-in that gives a client a code begins a session.
	a := w.attempt()
	w.must(w.CreateAttempt(w.ctx, a, lockOf(a), w.now))
	mine := w.session()
	mine.Sub = p.Sub
	c := w.codeOf(mine, "a")
	c.Grant.Sub = p.Sub
	_, err := w.finish(a.ID, session.SecretHash{}, func(a *login.Attempt) (session.Session, grant.Code, error) {
		a.State = login.Done
		return mine, c, nil
	})
	w.must(err)
	w.same(w.signals("a"), []string{"session-established " + mine.ID})
	quiet("b", "few", "late")

	// A deleted user: every client that knows them, also those without a session.
	w.endSession(mine.ID)
	w.endSession(s.ID)
	w.signals("a")
	w.signals("b")
	w.must(w.DeletePerson(w.ctx, p.Sub))
	if all := w.signals("a"); len(all) == 0 || all[0] != "account-purged" {
		t.Errorf("deleted: %v", all)
	}
	w.same(w.signals("few"), []string{"account-purged"})
	quiet("late")
	w.must(w.DeletePerson(w.ctx, p.Sub))
	quiet("a", "b", "few", "late")

	// What a client got before it had a stream is in its grant.
	w.must(w.DeletePerson(w.ctx, before.Sub))
	if all := w.signals("late"); len(all) == 0 || all[0] != "account-purged" {
		t.Errorf("deleted, known by a grant: %v", all)
	}
	quiet("a", "b", "few")
}

// A number that another user has got ends what the one before had, and is an event for those
// clients that had it.
func testSignalsOfALostNumber(t *testing.T, w *world) {
	for _, id := range []string{"a", "b", "c"} {
		w.stream(id)
	}
	p := w.user()
	s := w.opened(p.Sub, []string{"openid", "phone"}, "a")
	w.opened(p.Sub, []string{"openid"}, "b")
	offline := w.codeOf(s, "c")
	offline.Grant.Sub, offline.Grant.Scopes, offline.Grant.Offline, offline.Grant.UserinfoClaims = p.Sub, []string{"openid"}, true, []string{"phone_number"}
	w.redeem(offline)
	w.endSession(s.ID) // long ago
	for _, id := range []string{"a", "b", "c"} {
		w.signals(id)
	}
	here := w.opened(p.Sub, []string{"openid"}, "b")

	again := w.attempt()
	again.Number = p.Number
	w.must(w.CreateAttempt(w.ctx, again, lockOf(w.attempt()), w.now))
	heir := w.person(p.Number)
	w.approve(again.ID, heir)
	w.noSession(here)
	w.same(w.revoked(offline.Grant.ID), false) // as with every end of a session
	for _, id := range []string{"a", "c"} {
		if all := w.signals(id); len(all) < 2 || all[0] != "identifier-recycled" || all[1] != "token-claims-change number-lost" {
			t.Errorf("%s: %v", id, all)
		}
	}
	if all := w.signals("b"); !slices.Contains(all, "session-revoked "+here.ID+" number-lost") || slices.Contains(all, "identifier-recycled") {
		t.Errorf("b, which never had the number: %v", all)
	}

	// Once.
	w.approve(again.ID, heir)
	for _, id := range []string{"a", "b", "c"} {
		if all := w.signals(id); all != nil {
			t.Errorf("%s again: %v", id, all)
		}
	}
}

// A stream is a receiver like another one: in order, bounded, and due at once when its
// receiver asks for something.
func testStreamsAreReceivers(t *testing.T, w *world) {
	w.stream("a")
	p := w.user()
	var want []string
	for range 3 {
		s := w.opened(p.Sub, []string{"openid"}, "a")
		w.endSession(s.ID)
		want = append(want, "session-revoked "+s.ID)
		time.Sleep(time.Millisecond) // facts are ordered by their time
	}
	lane := signals.Lane("a")
	take := func() []string {
		taken, err := w.TakeReceivers(w.ctx, 10)
		w.must(err)
		return slices.DeleteFunc(taken, func(id string) bool { return id != lane })
	}
	w.same(take(), []string{lane})
	n, err := w.NextNotice(w.ctx, lane)
	w.must(err)
	w.same(n.Event+" "+n.SID, want[0])
	w.must(w.SettleNotice(w.ctx, n, func(r notify.Receiver, n notify.Notice) (notify.Receiver, notify.Notice, bool) {
		r.Next = time.Now().Add(time.Hour)
		return r, n, false
	}))
	w.same(len(take()), 0)
	w.stream("a")
	w.same(take(), []string{lane})

	first, waiting, err := w.PollNotices(w.ctx, "a", nil, 2)
	w.must(err)
	w.same(waiting, 3)
	w.same(len(first), 2)
	w.same(first[0].ID, n.ID)
	_, waiting, err = w.PollNotices(w.ctx, "a", []string{first[1].ID, "unknown"}, 0)
	w.must(err)
	w.same(waiting, 2)
	w.same(w.signals("a"), []string{want[0], want[2]})
}

// A number of which an operator says that it was recycled is bound to none, and its user loses
// it as to another user, unless it was verified since.
func testRecycledNumbers(t *testing.T, w *world) {
	w.stream("a")
	p := w.user()
	s := w.opened(p.Sub, []string{"openid", "phone"}, "a")
	_, err := w.RecycleNumber(w.ctx, newNumber(), w.now)
	w.is(err, subject.ErrNotFound)
	_, err = w.RecycleNumber(w.ctx, p.Number, p.VerifiedAt)
	w.is(err, subject.ErrVerifiedSince)
	if !w.account(p.Sub).Bound || len(w.signals("a")) != 0 {
		t.Fatal("a number that was verified on that day is lost")
	}
	was, err := w.RecycleNumber(w.ctx, p.Number, p.VerifiedAt.Add(time.Second))
	w.must(err)
	w.same(was, p)
	w.reopen()
	w.noSession(s)
	got := w.account(p.Sub)
	if got.Bound || !got.Person.NumberLost {
		t.Errorf("after it was recycled: %+v", got.Person)
	}
	if all := w.signals("a"); len(all) < 3 || all[0] != "identifier-recycled" || all[1] != "token-claims-change number-lost" {
		t.Errorf("a got %v", all)
	}
	_, err = w.RecycleNumber(w.ctx, p.Number, p.VerifiedAt.Add(time.Second))
	w.is(err, subject.ErrNotFound)
	// The next sign-in with it is a new user's.
	a := w.attempt()
	a.Number = p.Number
	w.must(w.CreateAttempt(w.ctx, a, lockOf(w.attempt()), w.now))
	if known := w.approve(a.ID, w.person(p.Number)); known != nil {
		t.Errorf("the number is bound to %+v", known)
	}
}
