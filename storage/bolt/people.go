// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"context"
	"fmt"
	"time"

	"calleridp/provider/notify"
	"calleridp/provider/signals"
	"calleridp/provider/subject"
	"calleridp/storage/record"
	"calleridp/truecaller/phone"
)

var _ subject.Store = (*Store)(nil)

// Person implements subject.Store.
func (s *Store) Person(ctx context.Context, sub string) (subject.Person, error) {
	return view(ctx, s, func(r reader) (subject.Person, error) { return present(r.person(sub)) })
}

// ForeseePerson implements subject.Store.
func (*Store) ForeseePerson(context.Context, string) {}

// PersonOf implements admin.People.
func (s *Store) PersonOf(ctx context.Context, n phone.Number) (subject.Person, error) {
	return view(ctx, s, func(r reader) (subject.Person, error) { return present(r.personOf(n)) })
}

// ListPeople implements admin.People.
func (s *Store) ListPeople(ctx context.Context, after string, most int) ([]subject.Person, error) {
	return view(ctx, s, func(r reader) (page []subject.Person, err error) {
		err = r.from(&people, after, most, func(key, value []byte) error {
			var p subject.Person
			err := r.open(&people, key, value, (*record.Person)(&p))
			page = append(page, p)
			return err
		})
		return page, err
	})
}

// present returns what p points to, or subject.ErrNotFound if p is nil.
func present(p *subject.Person, err error) (subject.Person, error) {
	switch {
	case err != nil:
		return subject.Person{}, err
	case p == nil:
		return subject.Person{}, subject.ErrNotFound
	}
	return *p, nil
}

// person returns the user with this sub, or nil if there is none.
func (r reader) person(sub string) (*subject.Person, error) {
	p := &subject.Person{}
	if found, err := r.get(&people, []byte(sub), (*record.Person)(p)); !found || err != nil {
		return nil, err
	}
	return p, nil
}

// personOf returns the user to whom the number belongs, or nil if there is none. A number
// that leads to a user who is not there is an error: it must not become a new user's.
func (r reader) personOf(n phone.Number) (*subject.Person, error) {
	sub, err := r.subOf(n)
	if sub == "" || err != nil {
		return nil, err
	}
	p, err := r.person(sub)
	if err == nil && p == nil {
		err = fmt.Errorf("bolt: a number leads to a user who is not there: %w", record.ErrUnreadable)
	}
	return p, err
}

// subOf returns the sub of the user to whom the number belongs, or "" if there
// is none.
func (r reader) subOf(n phone.Number) (sub string, err error) {
	for _, key := range r.s.sealer.NumberKeys(n) {
		if found, err := r.get(&numbers, key[:], (*record.Text)(&sub)); found || err != nil {
			return sub, err
		}
	}
	return "", nil
}

// putPerson stores a user, to whom the number belongs from now on. The user who
// had the number before stays and has lost it: a sub is never issued again.
func (t *txn) putPerson(p subject.Person, n phone.Number) error {
	if t.isDeleted(p.Sub) {
		return subject.ErrNotFound
	}
	if err := t.put(&people, []byte(p.Sub), never, (*record.Person)(&p)); err != nil {
		return err
	}
	for i, key := range t.s.sealer.NumberKeys(n) {
		today := i == 0
		var owner string
		found, err := t.get(&numbers, key[:], (*record.Text)(&owner))
		switch {
		case err != nil:
			return err
		case found && owner != p.Sub:
			if err := t.loseNumber(owner); err != nil {
				return err
			}
		}
		switch {
		case today && owner != p.Sub:
			err = t.put(&numbers, key[:], never, (*record.Text)(&p.Sub))
		case !today && found:
			err = t.del(&numbers, key[:])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// loseNumber marks a user whose number belongs to another one now, and ends the user's
// sessions: what vouched for them is another's.
func (t *txn) loseNumber(sub string) error {
	p, err := t.person(sub)
	if err != nil || p == nil || p.NumberLost {
		return err
	}
	lost := func(by []signals.Knower) []notify.Notice { return signals.Lost(t.now, sub, by) }
	if err := t.tellOf(sub, "", signals.NumberLost, lost); err != nil {
		return err
	}
	if err := t.endSessionsOf(sub); err != nil {
		return err
	}
	p.NumberLost = true
	p.SignOuts++
	return t.put(&people, []byte(sub), never, (*record.Person)(p))
}

// unbind forgets whose the number is, in every spelling that leads to the user.
func (t *txn) unbind(n phone.Number, sub string) error {
	for _, key := range t.s.sealer.NumberKeys(n) {
		var owner string
		found, err := t.get(&numbers, key[:], (*record.Text)(&owner))
		if err == nil && found && owner == sub {
			err = t.del(&numbers, key[:])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// ImportPerson implements admin.People.
func (s *Store) ImportPerson(ctx context.Context, p subject.Person, dryRun bool) (added bool, err error) {
	return update(ctx, s, func(t *txn) (bool, error) {
		if t.isDeleted(p.Sub) {
			return false, subject.ErrNotFound
		}
		bySub, err := t.person(p.Sub)
		if err != nil {
			return false, err
		}
		byNumber, err := t.personOf(p.Number)
		if err != nil {
			return false, err
		}
		add, err := subject.Import(p, bySub, byNumber)
		if err != nil || !add || dryRun {
			return add, err
		}
		return true, t.putPerson(p, p.Number)
	})
}

// RecycleNumber implements admin.People.
func (s *Store) RecycleNumber(ctx context.Context, n phone.Number, since time.Time) (subject.Person, error) {
	defer s.wakeNotices()
	return update(ctx, s, func(t *txn) (subject.Person, error) {
		p, err := present(t.personOf(n))
		if err != nil {
			return subject.Person{}, err
		}
		if err := subject.Recycled(p, since); err != nil {
			return subject.Person{}, err
		}
		if err := t.loseNumber(p.Sub); err != nil {
			return subject.Person{}, err
		}
		return p, t.unbind(n, p.Sub)
	})
}
