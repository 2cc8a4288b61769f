// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"bytes"
	"context"

	"calleridp/provider/grant"
	"calleridp/provider/notify"
	"calleridp/provider/signals"
	"calleridp/provider/subject"
	"calleridp/storage/record"
)

var _ signals.Store = (*Store)(nil)

// Stream implements signals.Store.
func (s *Store) Stream(ctx context.Context, clientID string) (signals.Stream, error) {
	return view(ctx, s, func(r reader) (signals.Stream, error) {
		stream, err := r.stream(clientID)
		switch {
		case err != nil:
			return signals.Stream{}, err
		case stream == nil:
			return signals.Stream{}, signals.ErrNotFound
		}
		return *stream, nil
	})
}

// stream returns the stream of a client, nil if it has none.
func (r reader) stream(clientID string) (*signals.Stream, error) {
	stream := &signals.Stream{}
	if found, err := r.get(&streams, []byte(clientID), (*record.Stream)(stream)); !found || err != nil {
		return nil, err
	}
	return stream, nil
}

// Streams implements signals.Store.
func (s *Store) Streams(ctx context.Context) ([]signals.Stream, error) {
	return view(ctx, s, func(r reader) (all []signals.Stream, err error) {
		err = r.tx.Bucket(streams.id).ForEach(func(key, value []byte) error {
			var stream signals.Stream
			err := r.open(&streams, key, value, (*record.Stream)(&stream))
			all = append(all, stream)
			return err
		})
		return all, err
	})
}

// ChangeStream implements signals.Store.
func (s *Store) ChangeStream(
	ctx context.Context, clientID string, change func(*signals.Stream) (signals.Update, error),
) (signals.Update, error) {
	defer s.wakeNotices()
	return update(ctx, s, func(t *txn) (u signals.Update, err error) {
		before, err := t.stream(clientID)
		if err != nil {
			return u, err
		}
		if u, err = change(before); err != nil {
			return signals.Update{}, err
		}
		if err := t.changeStream(clientID, u); err != nil {
			return signals.Update{}, err
		}
		return u, nil
	})
}

func (t *txn) changeStream(clientID string, u signals.Update) (err error) {
	lane, key := signals.Lane(clientID), []byte(clientID)
	if u.Drop {
		if _, err := t.dropNotices(lane); err != nil {
			return err
		}
	}
	if u.Stream == nil {
		if err := t.dropPrefix(&removedSubjects, record.RemovedPrefix(clientID)); err != nil {
			return err
		}
		if err := t.del(&receivers, []byte(lane)); err != nil {
			return err
		}
		return t.del(&streams, key)
	}
	if err := t.put(&streams, key, never, (*record.Stream)(u.Stream)); err != nil {
		return err
	}
	to, err := t.receiver(lane)
	if err != nil {
		return err
	}
	to.Failures, to.Next = 0, never
	if err := t.putReceiver(to); err != nil {
		return err
	}
	for _, n := range notify.Numbered(u.Tell) {
		if err := t.putNotice(n); err != nil {
			return err
		}
	}
	return nil
}

// PollNotices implements signals.Store.
func (s *Store) PollNotices(ctx context.Context, clientID string, done []string, most int) ([]notify.Notice, int, error) {
	lane := signals.Lane(clientID)
	if len(done) > 0 {
		err := s.write(ctx, func(t *txn) error {
			for _, id := range done {
				if err := t.del(&notices, record.NoticeKey(lane, id)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return nil, 0, err
		}
	}
	left := 0
	first, err := view(ctx, s, func(r reader) (first []notify.Notice, err error) {
		left = 0
		for key, value := range r.noticesOf(lane) {
			var n notify.Notice
			if !r.alive(value) {
				continue
			}
			if err := r.open(&notices, key, value, (*record.Notice)(&n)); err != nil {
				s.damage.Tell(s.log, &record.Notices, key, "the client is not told", err)
				continue
			}
			if left++; len(first) < most {
				first = append(first, n)
			}
		}
		return first, nil
	})
	return first, left, err
}

// RemoveSubject implements signals.Store.
func (s *Store) RemoveSubject(ctx context.Context, clientID string, subject [32]byte) error {
	return s.write(ctx, func(t *txn) error {
		key, n := record.RemovedKey(clientID, subject), 0
		for range t.prefixed(&removedSubjects, record.RemovedPrefix(clientID)) {
			n++
		}
		if n >= signals.MaxRemoved && !t.has(&removedSubjects, key) {
			return signals.ErrTooMany
		}
		return t.put(&removedSubjects, key, never, &record.Tombstone{})
	})
}

// AddSubject implements signals.Store.
func (s *Store) AddSubject(ctx context.Context, clientID string, subject [32]byte) error {
	return s.write(ctx, func(t *txn) error { return t.del(&removedSubjects, record.RemovedKey(clientID, subject)) })
}

// SubjectRemoved implements signals.Store.
func (s *Store) SubjectRemoved(ctx context.Context, clientID string, subject [32]byte) (bool, error) {
	return view(ctx, s, func(r reader) (bool, error) {
		return r.has(&removedSubjects, record.RemovedKey(clientID, subject)), nil
	})
}

// learn stores what a grant makes of a client's knowledge, if the client has a stream.
func (t *txn) learn(g grant.Grant) error {
	if t.s.options.Tells == nil || !t.s.options.Tells(signals.Lane(g.ClientID)) || !t.has(&streams, []byte(g.ClientID)) {
		return nil
	}
	for _, k := range signals.Learnt(g) {
		if err := t.put(&known, record.KnownKey(k), never, (*record.Known)(&k)); err != nil {
			return err
		}
	}
	return nil
}

// knownOf returns which clients know a user; what cannot be read tells nothing.
func (r reader) knownOf(sub string) (all []subject.Known) {
	for key, value := range r.prefixed(&known, record.KnownPrefix(sub)) {
		var k subject.Known
		if r.open(&known, key, value, (*record.Known)(&k)) == nil {
			all = append(all, k)
		}
	}
	return all
}

// forgetKnown deletes that clients know a user: all of them, or one.
func (t *txn) forgetKnown(sub, clientID string) error {
	if clientID == "" {
		return t.dropPrefix(&known, record.KnownPrefix(sub))
	}
	for _, phone := range []bool{false, true} {
		if err := t.del(&known, record.KnownKey(subject.Known{Sub: sub, ClientID: clientID, Phone: phone})); err != nil {
			return err
		}
	}
	return nil
}

// prefixed returns the keys and values of the records whose keys have a prefix.
func (r reader) prefixed(b *bucket, prefix []byte) func(yield func(key, value []byte) bool) {
	return func(yield func(key, value []byte) bool) {
		cursor := r.tx.Bucket(b.id).Cursor()
		for k, v := cursor.Seek(prefix); bytes.HasPrefix(k, prefix); k, v = cursor.Next() {
			if !yield(k, v) {
				return
			}
		}
	}
}

// dropPrefix deletes the records whose keys have a prefix.
func (t *txn) dropPrefix(b *bucket, prefix []byte) error {
	var keys [][]byte
	for key := range t.prefixed(b, prefix) {
		keys = append(keys, bytes.Clone(key))
	}
	for _, key := range keys {
		if err := t.del(b, key); err != nil {
			return err
		}
	}
	return nil
}
