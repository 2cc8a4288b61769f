// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"
)

// stored is a Store that returns the same for every secret.
type stored struct {
	Store
	session Session
	err     error
}

func (s stored) SessionBySecret(context.Context, SecretHash) (Session, error) {
	return s.session, s.err
}

func (s stored) RecallBySecret(ctx context.Context, secret SecretHash) (Session, error) {
	return s.SessionBySecret(ctx, secret)
}

// A store may return a session that has expired and is not swept yet. A caller that
// ignores ok gets nothing of it.
func TestCurrentReturnsLiveSessionsOnly(t *testing.T) {
	now := time.Now()
	live := Session{ID: "sid", Sub: "sub", Created: now.Add(-time.Hour), Expires: now.Add(time.Hour)}
	expired, ahead := live, live
	expired.Expires = now.Add(-time.Second)
	ahead.Created = now.Add(time.Hour)
	disk := errors.New("disk")
	for _, row := range []struct {
		what   string
		secret Secret
		store  stored
		want   Session
		ending Session // what Unexpired returns
		err    error
	}{
		{"a live one", "secret", stored{session: live}, live, live, nil},
		{"no cookie", "", stored{session: live}, Session{}, Session{}, nil},
		{"an expired one", "secret", stored{session: expired}, Session{}, Session{}, nil},
		{"one from the future", "secret", stored{session: ahead}, Session{}, ahead, nil},
		{"none", "secret", stored{session: live, err: ErrNotFound}, Session{}, Session{}, nil},
		{"a failure", "secret", stored{session: live, err: disk}, Session{}, Session{}, disk},
	} {
		got, ok, err := Current(t.Context(), row.store, row.secret)
		if !reflect.DeepEqual(got, row.want) || ok != (row.want.ID != "") || err != row.err {
			t.Errorf("%s: got %+v, %v, %v, want %+v, %v", row.what, got, ok, err, row.want, row.err)
		}
		got, ok, err = Recalled(t.Context(), row.store, row.secret)
		if !reflect.DeepEqual(got, row.want) || ok != (row.want.ID != "") || err != row.err {
			t.Errorf("%s, recalled: got %+v, %v, %v, want %+v, %v", row.what, got, ok, err, row.want, row.err)
		}
		got, ok, err = Unexpired(t.Context(), row.store, row.secret)
		if !reflect.DeepEqual(got, row.ending) || ok != (row.ending.ID != "") || err != row.err {
			t.Errorf("%s, for ending it: got %+v, %v, %v, want %+v, %v", row.what, got, ok, err, row.ending, row.err)
		}
	}
}
