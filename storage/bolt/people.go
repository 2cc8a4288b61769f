package bolt

import (
	"context"

	"calleridp/provider/subject"
	"calleridp/storage/record"
	"calleridp/truecaller/phone"
)

var _ subject.Store = (*Store)(nil)

// Person implements subject.Store.
func (s *Store) Person(ctx context.Context, sub string) (subject.Person, error) {
	return view(ctx, s, func(r reader) (subject.Person, error) { return present(r.person(sub)) })
}

// PersonOf implements admin.People.
func (s *Store) PersonOf(ctx context.Context, n phone.Number) (subject.Person, error) {
	return view(ctx, s, func(r reader) (subject.Person, error) { return present(r.personOf(n)) })
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

// personOf returns the user to whom the number belongs, or nil if there is none.
func (r reader) personOf(n phone.Number) (*subject.Person, error) {
	sub, err := r.subOf(n)
	if sub == "" || err != nil {
		return nil, err
	}
	return r.person(sub)
}

// subOf returns the sub of the user to whom the number belongs, or "" if there
// is none.
func (r reader) subOf(n phone.Number) (sub string, err error) {
	key := r.s.sealer.NumberKey(n)
	_, err = r.get(&numbers, key[:], (*record.Text)(&sub))
	return sub, err
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
	owner, err := t.subOf(n)
	if err != nil || owner == p.Sub {
		return err
	}
	before, err := t.person(owner)
	if err != nil {
		return err
	}
	if before != nil {
		before.NumberLost = true
		if err := t.put(&people, []byte(owner), never, (*record.Person)(before)); err != nil {
			return err
		}
	}
	key := t.s.sealer.NumberKey(n)
	return t.put(&numbers, key[:], never, (*record.Text)(&p.Sub))
}
