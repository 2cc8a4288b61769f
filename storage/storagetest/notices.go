// SPDX-License-Identifier: Apache-2.0

package storagetest

import (
	"slices"
	"testing"
	"time"

	"calleridp/provider/notify"
	"calleridp/provider/session"
	"calleridp/provider/signals"
	"calleridp/provider/subject"
)

// Silent is a client that no engine under test tells anything. Its Options.Tells is Tells.
const Silent = "silent"

// Tells is Options.Tells of an engine under test.
func Tells(receiver string) bool { return receiver != Silent && receiver != signals.Lane(Silent) }

// told are the receivers and sids of what waits for these clients, which are taken for it
// and left again.
func (w *world) told(clients ...string) (all []session.Participant) {
	w.t.Helper()
	taken, err := w.TakeReceivers(w.ctx, 1000)
	w.must(err)
	for _, id := range clients {
		if !slices.Contains(taken, id) {
			continue
		}
		for {
			n, err := w.NextNotice(w.ctx, id)
			if err != nil {
				w.is(err, notify.ErrNone)
				break
			}
			if n.Receiver != id || n.Kind != notify.Logout || n.ID == "" || n.At.IsZero() || n.Sub == "" {
				w.t.Errorf("a notice is not whole: %+v", n)
			}
			all = append(all, session.Participant{ClientID: n.Receiver, SID: n.SID})
			w.must(w.SettleNotice(w.ctx, n, delivered))
		}
	}
	for _, id := range taken {
		w.must(w.LeaveReceiver(w.ctx, id, 0))
	}
	return all
}

// delivered settles a notice.
func delivered(r notify.Receiver, n notify.Notice) (notify.Receiver, notify.Notice, bool) {
	r.Failures, r.Next = 0, time.Time{}
	return r, n, true
}

// Each step that ends sessions writes the notices of it.
func testNotices(t *testing.T, w *world) {
	waiting := func() int {
		t.Helper()
		n, err := w.NoticesWaiting(w.ctx)
		w.must(err)
		return n
	}
	at := func(s session.Session, clients ...string) (all []session.Participant) {
		for _, id := range clients {
			all = append(all, session.Participant{ClientID: id, SID: s.ID})
		}
		return all
	}
	open := func(sub string, clients ...string) session.Session {
		t.Helper()
		s := w.session()
		if sub != "" {
			s.Sub = sub
		}
		w.signIn(s, session.SecretHash{})
		for _, id := range clients {
			w.must(w.CreateCode(w.ctx, w.codeOf(s, id)))
		}
		return s
	}
	s := open("", "a", "b", Silent)
	if n := waiting(); n != 0 {
		t.Fatalf("%d notices wait before anything has ended", n)
	}
	w.endSession(s.ID)
	w.endSession(s.ID)
	w.same(waiting(), 2)
	w.reopen() // durable
	w.same(w.told("a", "b", Silent), at(s, "a", "b"))
	w.same(waiting(), 0)

	// The same user again is told when the new session ends, another user at once.
	s = open("", "a")
	next := w.session()
	next.Sub = s.Sub
	w.signIn(next, s.Secret)
	w.same(waiting(), 0)
	w.signIn(w.session(), next.Secret)
	w.same(w.told("a"), at(s, "a"))

	// Everywhere: sessions, and grants whose session is no more; without a session, all of
	// the user's at the client.
	person := func() subject.Person {
		a := w.create()
		p := w.person(a.Number)
		w.approve(a.ID, p)
		return p
	}
	p := person()
	here := open(p.Sub, "a", "b")
	gone, native := w.code(""), w.code("")
	gone.Grant.Sub, gone.Grant.ClientID, gone.Grant.Offline = p.Sub, "a", true
	native.Grant.Sub, native.Grant.ClientID = p.Sub, "c"
	w.redeem(gone)
	w.redeem(native)
	w.must(w.EndSessions(w.ctx, p.Sub))
	w.same(w.told("a", "b", "c"), append(append(at(here, "a"), session.Participant{ClientID: "a"}), append(at(here, "b"), session.Participant{ClientID: "c"})...))
	w.same(waiting(), 0)

	p = person()
	here = open(p.Sub, "a", "b")
	w.must(w.RevokeClient(w.ctx, p.Sub, "b"))
	w.same(w.told("a", "b"), at(here, "b"))
	w.must(w.RevokeClient(w.ctx, p.Sub, "a"))
	w.told("a")
	w.must(w.DeletePerson(w.ctx, p.Sub))
	w.same(w.told("a", "b", "c"), at(here, "a", "b"))

	// Nothing is told of a session that ended by itself.
	over := w.session()
	over.Expires = w.now.Add(-time.Millisecond)
	over.Participants = at(over, "a")
	w.signIn(over, session.SecretHash{})
	w.endSession(over.ID)
	w.same(waiting(), 0)
}

// A receiver is told one notice after the other, by one server at a time.
func testReceivers(t *testing.T, w *world) {
	end := func(clients ...string) session.Session {
		t.Helper()
		s := w.session()
		w.signIn(s, session.SecretHash{})
		for _, id := range clients {
			w.must(w.CreateCode(w.ctx, w.codeOf(s, id)))
		}
		w.endSession(s.ID)
		return s
	}
	first := end("slow", "quick")
	second := end("slow")
	select {
	case <-w.Noticed():
	default:
		t.Error("nothing says that there are notices")
	}
	taken, err := w.TakeReceivers(w.ctx, 10)
	w.must(err)
	slices.Sort(taken)
	w.same(taken, []string{"quick", "slow"})
	again, err := w.TakeReceivers(w.ctx, 10)
	w.must(err)
	w.same(len(again), 0)
	_, err = w.NextNotice(w.ctx, "nobody")
	w.is(err, notify.ErrNotHeld)

	n, err := w.NextNotice(w.ctx, "slow")
	w.must(err)
	w.same(n.SID, first.ID)
	fails := func(r notify.Receiver, n notify.Notice) (notify.Receiver, notify.Notice, bool) {
		r.Failures++
		r.Failed, r.Reason = w.now, "status 500"
		r.Next = time.Now().Add(time.Hour)
		n.Tries++
		return r, n, false
	}
	w.must(w.SettleNotice(w.ctx, n, fails))
	again, err = w.TakeReceivers(w.ctx, 10)
	w.must(err)
	w.same(len(again), 0)

	w.must(w.LeaveReceiver(w.ctx, "quick", 0))
	w.reopen()
	again, err = w.TakeReceivers(w.ctx, 10)
	w.must(err)
	w.same(again, []string{"quick"})
	w.must(w.LeaveReceiver(w.ctx, "quick", time.Hour))
	again, err = w.TakeReceivers(w.ctx, 10)
	w.must(err)
	w.same(len(again), 0)

	all, err := w.Receivers(w.ctx)
	w.must(err)
	if len(all) != 2 || all[0].ID != "quick" || all[0].Waiting != 1 || all[1].Waiting != 2 || all[1].Failures != 1 ||
		all[1].Reason != "status 500" || all[1].Oldest.IsZero() || all[1].Oldest.After(time.Now()) {
		t.Errorf("receivers: %+v", all)
	}

	// The operator has them tried again: the first one first, with its tries.
	w.is(w.RetryReceiver(w.ctx, "nobody"), notify.ErrNotFound)
	w.must(w.RetryReceiver(w.ctx, "slow"))
	again, err = w.TakeReceivers(w.ctx, 10)
	w.must(err)
	w.same(again, []string{"slow"})
	n, err = w.NextNotice(w.ctx, "slow")
	w.must(err)
	if n.SID != first.ID || n.Tries != 1 {
		t.Errorf("the first notice after a retry: %+v, want that of %s with one try", n, first.ID)
	}
	w.must(w.SettleNotice(w.ctx, n, delivered))
	n, err = w.NextNotice(w.ctx, "slow")
	w.must(err)
	w.same(n.SID, second.ID)

	// One that is dropped while it is on its way does not come back.
	dropped, err := w.DropNotices(w.ctx, "slow")
	w.must(err)
	w.same(dropped, 1)
	w.must(w.SettleNotice(w.ctx, n, fails))
	left, err := w.NoticesWaiting(w.ctx)
	w.must(err)
	w.same(left, 1)
}

// A receiver that was told goes behind those that wait, whatever their IDs: one whose notices
// never end keeps no other out.
func testReceiversTakeTurns(t *testing.T, w *world) {
	ids := []string{"b", "c", "a"}
	s := w.session()
	w.signIn(s, session.SecretHash{})
	for _, id := range ids {
		w.must(w.CreateCode(w.ctx, w.codeOf(s, id)))
	}
	w.endSession(s.ID)
	for range 2 {
		var turns []string
		for range ids {
			taken, err := w.TakeReceivers(w.ctx, 1)
			w.must(err)
			for _, id := range taken {
				w.must(w.LeaveReceiver(w.ctx, id, 0))
			}
			turns = append(turns, taken...)
		}
		slices.Sort(turns)
		w.same(turns, []string{"a", "b", "c"})
	}
}

// A receiver that is gone does not fill the store.
func testNoticesAreBounded(t *testing.T, w *world) {
	s := w.session()
	for i := range notify.MaxWaiting/60 + 2 {
		s = w.session()
		for j := range 60 {
			s.Participants = append(s.Participants, session.Participant{ClientID: "gone", SID: s.ID + string(rune('a'+j)) + string(rune('a'+i))})
		}
		w.signIn(s, session.SecretHash{})
		w.endSession(s.ID)
	}
	left, err := w.NoticesWaiting(w.ctx)
	w.must(err)
	w.same(left, notify.MaxWaiting)
	dropped, err := w.DropNotices(w.ctx, "gone")
	w.must(err)
	w.same(dropped, notify.MaxWaiting)
}
