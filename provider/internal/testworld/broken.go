// SPDX-License-Identifier: Apache-2.0

package testworld

import (
	"context"
	"errors"

	"calleridp/provider/session"
)

// ErrDisk is what a broken operation returns.
var ErrDisk = errors.New("the disk is full")

// Breaks makes one operation fail in all parts that share it.
type Breaks struct {
	Op string // the operation, "" for none
}

// Err returns ErrDisk for the operation that fails.
func (b *Breaks) Err(op string) error {
	if b.Op == op {
		return ErrDisk
	}
	return nil
}

// BrokenSessions is a store whose operations can be made to fail.
type BrokenSessions struct {
	session.Store
	*Breaks
}

// SessionBySecret fails for the operation "finding the session".
func (s BrokenSessions) SessionBySecret(ctx context.Context, secret session.SecretHash) (session.Session, error) {
	if err := s.Err("finding the session"); err != nil {
		return session.Session{}, err
	}
	return s.Store.SessionBySecret(ctx, secret)
}

// RecallBySecret fails as SessionBySecret does.
func (s BrokenSessions) RecallBySecret(ctx context.Context, secret session.SecretHash) (session.Session, error) {
	if err := s.Err("finding the session"); err != nil {
		return session.Session{}, err
	}
	return s.Store.RecallBySecret(ctx, secret)
}

// EndSession fails for the operation "ending a session".
func (s BrokenSessions) EndSession(ctx context.Context, id string) (session.Session, error) {
	if err := s.Err("ending a session"); err != nil {
		return session.Session{}, err
	}
	return s.Store.EndSession(ctx, id)
}
