// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"calleridp/provider/grant"
	"calleridp/provider/notify"
	"calleridp/provider/session"
	"calleridp/provider/signals"
	"calleridp/storage/record"
)

var _ notify.Store = (*Store)(nil)

// held are the receivers that are being told.
type held struct {
	mu    sync.Mutex
	until map[string]time.Time
	left  map[string]time.Time // when those that are free again were left, not long ago
}

// order sorts receivers by when they were due, those first that were not told lately.
func (h *held) order(due []notify.Receiver) {
	h.mu.Lock()
	defer h.mu.Unlock()
	since := func(r notify.Receiver) time.Time {
		if left := h.left[r.ID]; left.After(r.Next) {
			return left
		}
		return r.Next
	}
	slices.SortStableFunc(due, func(a, b notify.Receiver) int { return since(a).Compare(since(b)) })
}

// leftKept is for how long receivers that were told go behind others.
const leftKept = time.Minute

// take holds a receiver, and reports whether it was free.
func (h *held) take(id string, now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.until == nil {
		h.until = map[string]time.Time{}
	}
	if now.Before(h.until[id]) {
		return false
	}
	h.until[id] = now.Add(notify.Held)
	return true
}

// keep holds a receiver for longer, if it is held.
func (h *held) keep(id string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, is := h.until[id]; !is {
		return false
	}
	h.until[id] = time.Now().Add(notify.Held)
	return true
}

func (h *held) leave(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.until, id)
}

// tell stores notices, for those receivers that may be told, as far as there is room. Those
// of one call have happened at once, in their order.
func (t *txn) tell(all ...notify.Notice) error {
	if t.s.options.Tells == nil {
		return nil
	}
	for _, n := range notify.Numbered(all) {
		if takes, err := t.takes(n); err != nil || !takes {
			if err != nil {
				return err
			}
			continue
		}
		if most := n.Kind.MaxWaiting(); t.waiting(n.Receiver, most) >= most {
			continue
		}
		if err := t.putNotice(n); err != nil {
			return err
		}
		if t.has(&receivers, []byte(n.Receiver)) {
			continue
		}
		if err := t.putReceiver(notify.Receiver{ID: n.Receiver}); err != nil {
			return err
		}
	}
	return nil
}

// tellEnded stores the notices of sessions that the transaction ends.
func (t *txn) tellEnded(ended ...session.Session) error {
	all := notify.Ended(t.now, ended...)
	return t.tell(append(all, signals.Revoked(all, signals.SignedOut)...)...)
}

// takes reports whether a notice is for a receiver that may be told, and a signal for a
// client that has a stream for it.
func (t *txn) takes(n notify.Notice) (bool, error) {
	if !t.s.options.Tells(n.Receiver) {
		return false, nil
	}
	clientID, isStream := signals.ClientOf(n.Receiver)
	if !isStream {
		return true, nil
	}
	stream, err := t.stream(clientID)
	return stream != nil && stream.Takes(signals.Event(n.Event)), err
}

// tellOf stores the notices of a user's sessions and grants, of all clients or of one, and
// those that more makes of the clients that know the user.
func (t *txn) tellOf(sub, clientID string, why signals.Cause, more func(by []signals.Knower) []notify.Notice) error {
	if t.s.options.Tells == nil {
		return nil
	}
	ofSessions, ofGrants := t.openOf(sub)
	all := notify.Everywhere(t.now, ofSessions, ofGrants)
	if clientID != "" {
		all = notify.Of(clientID, all)
	}
	if more != nil {
		consents, err := t.consentsOf(sub)
		if err != nil {
			return err
		}
		all = append(all, more(signals.Knowers(t.knownOf(sub), ofSessions, ofGrants, consents))...)
	}
	return t.tell(append(all, signals.Revoked(all, why)...)...)
}

// openOf returns the sessions and grants of a user that can be read.
func (t *txn) openOf(sub string) (ofSessions []session.Session, ofGrants []grant.Grant) {
	for _, e := range t.owned(&personIndex, sub) {
		switch e.of {
		case &sessions:
			var s session.Session
			if found, err := t.get(&sessions, e.key, (*record.Session)(&s)); found && err == nil { // a damaged one cannot tell
				ofSessions = append(ofSessions, s)
			}
		case &grants:
			if g, err := t.grant(string(e.key)); g != nil && err == nil {
				ofGrants = append(ofGrants, *g)
			}
		}
	}
	return ofSessions, ofGrants
}

func (t *txn) putNotice(n notify.Notice) error {
	return t.put(&notices, record.NoticeKey(n.Receiver, n.ID), n.Expires(), (*record.Notice)(&n))
}

func (t *txn) putReceiver(r notify.Receiver) error {
	return t.put(&receivers, []byte(r.ID), t.now.Add(notify.ReceiverKept), (*record.Receiver)(&r))
}

// waiting returns how many notices wait for a receiver, up to most.
func (r reader) waiting(receiver string, most int) (n int) {
	for range r.noticesOf(receiver) {
		if n++; n >= most {
			break
		}
	}
	return n
}

// noticesOf returns the keys and values of a receiver's notices, in their order.
func (r reader) noticesOf(receiver string) func(yield func(key, value []byte) bool) {
	return r.prefixed(&notices, record.NoticeKey(receiver, ""))
}

// told returns every receiver that has notices.
func (r reader) told() (all []string) {
	cursor := r.tx.Bucket(notices.id).Cursor()
	for k, _ := cursor.First(); len(k) >= 2; {
		end := 2 + int(binary.BigEndian.Uint16(k))
		all = append(all, string(k[2:end]))
		after := append(bytes.Clone(k[:end]), 0xff) // no ID begins with this byte
		k, _ = cursor.Seek(after)
	}
	return all
}

// receiver returns how a receiver stands; as new, if nothing is known.
func (r reader) receiver(id string) (notify.Receiver, error) {
	found := notify.Receiver{ID: id}
	_, err := r.get(&receivers, []byte(id), (*record.Receiver)(&found))
	return found, err
}

// TakeReceivers implements notify.Store.
func (s *Store) TakeReceivers(ctx context.Context, most int) (taken []string, err error) {
	err = s.read(ctx, func(r reader) error {
		var due []notify.Receiver
		for _, id := range r.told() {
			to, err := r.receiver(id)
			if err != nil {
				return err
			}
			if !r.now.Before(to.Next) {
				due = append(due, to)
			}
		}
		s.held.order(due)
		for _, to := range due {
			if len(taken) < most && s.held.take(to.ID, r.now) {
				taken = append(taken, to.ID)
			}
		}
		return nil
	})
	return taken, err
}

// NextNotice implements notify.Store.
func (s *Store) NextNotice(ctx context.Context, receiver string) (notify.Notice, error) {
	if !s.held.keep(receiver) {
		return notify.Notice{}, notify.ErrNotHeld
	}
	return view(ctx, s, func(r reader) (notify.Notice, error) {
		for key, value := range r.noticesOf(receiver) {
			var n notify.Notice
			if !r.alive(value) {
				continue
			}
			if err := r.open(&notices, key, value, (*record.Notice)(&n)); err != nil {
				s.damage.Tell(s.log, &record.Notices, key, "the client is not told", err)
				continue
			}
			return n, nil
		}
		return notify.Notice{}, notify.ErrNone
	})
}

// SettleNotice implements notify.Store.
func (s *Store) SettleNotice(
	ctx context.Context, n notify.Notice, settle func(notify.Receiver, notify.Notice) (notify.Receiver, notify.Notice, bool),
) error {
	if !s.held.keep(n.Receiver) {
		return notify.ErrNotHeld
	}
	waits := false
	err := s.write(ctx, func(t *txn) error {
		before, err := t.receiver(n.Receiver)
		if err != nil {
			return err
		}
		stored, key := notify.Notice{}, record.NoticeKey(n.Receiver, n.ID)
		found, err := t.get(&notices, key, (*record.Notice)(&stored))
		if err != nil {
			return err
		}
		if !found { // an operator has dropped it
			stored = n
		}
		to, after, done := settle(before, stored)
		waits = to.Next.After(t.now)
		if err := t.putReceiver(to); err != nil {
			return err
		}
		switch {
		case !found:
			return nil
		case done:
			return t.del(&notices, key)
		}
		return t.putNotice(after)
	})
	if err == nil && waits {
		s.held.leave(n.Receiver)
	}
	return err
}

// LeaveReceiver implements notify.Store.
func (s *Store) LeaveReceiver(_ context.Context, receiver string, pause time.Duration) error {
	s.held.mu.Lock()
	defer s.held.mu.Unlock()
	if _, is := s.held.until[receiver]; !is {
		return nil
	}
	now := time.Now()
	maps.DeleteFunc(s.held.until, func(_ string, until time.Time) bool { return until.Before(now.Add(-notify.Held)) })
	if s.held.until[receiver] = now.Add(pause); pause <= 0 {
		delete(s.held.until, receiver)
	}
	if s.held.left == nil {
		s.held.left = map[string]time.Time{}
	}
	maps.DeleteFunc(s.held.left, func(_ string, left time.Time) bool { return left.Before(now.Add(-leftKept)) })
	s.held.left[receiver] = now.Add(pause)
	return nil
}

// Noticed implements notify.Store.
func (s *Store) Noticed() <-chan struct{} { return s.noticed }

// wakeNotices says that notices have been written, perhaps.
func (s *Store) wakeNotices() {
	select {
	case s.noticed <- struct{}{}:
	default:
	}
}

// Receivers implements notify.Queue.
func (s *Store) Receivers(ctx context.Context) ([]notify.Standing, error) {
	return view(ctx, s, func(r reader) ([]notify.Standing, error) {
		ids := r.told()
		err := r.tx.Bucket(receivers.id).ForEach(func(key, value []byte) error {
			if r.alive(value) {
				ids = append(ids, string(key))
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		slices.Sort(ids)
		var all []notify.Standing
		for _, id := range slices.Compact(ids) {
			to, err := r.receiver(id)
			if err != nil {
				return nil, err
			}
			standing := notify.Standing{Receiver: to}
			for key, value := range r.noticesOf(id) {
				if !r.alive(value) {
					continue
				}
				var n notify.Notice
				if standing.Waiting++; standing.Waiting == 1 && r.open(&notices, key, value, (*record.Notice)(&n)) == nil {
					standing.Oldest = n.At
				}
			}
			all = append(all, standing)
		}
		return all, nil
	})
}

// RetryReceiver implements notify.Queue.
func (s *Store) RetryReceiver(ctx context.Context, id string) error {
	err := s.write(ctx, func(t *txn) error {
		if !t.has(&receivers, []byte(id)) {
			return notify.ErrNotFound
		}
		to, err := t.receiver(id)
		if err != nil {
			return err
		}
		to.Failures, to.Next = 0, time.Time{}
		return t.putReceiver(to)
	})
	if err == nil {
		s.wakeNotices()
	}
	return err
}

// DropNotices implements notify.Queue.
func (s *Store) DropNotices(ctx context.Context, receiver string) (int, error) {
	return update(ctx, s, func(t *txn) (int, error) { return t.dropNotices(receiver) })
}

func (t *txn) dropNotices(receiver string) (int, error) {
	n := t.waiting(receiver, math.MaxInt)
	return n, t.dropPrefix(&notices, record.NoticeKey(receiver, ""))
}

// NoticesWaiting implements notify.Queue.
func (s *Store) NoticesWaiting(ctx context.Context) (n int, err error) {
	err = s.read(ctx, func(r reader) error {
		n = r.tx.Bucket(notices.id).Stats().KeyN
		return nil
	})
	return n, err
}
