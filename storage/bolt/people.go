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
	var p *subject.Person
	err := s.read(ctx, func(r reader) (err error) {
		p, err = r.person(sub)
		return err
	})
	if err != nil {
		return subject.Person{}, err
	}
	if p == nil {
		return subject.Person{}, subject.ErrNotFound
	}
	return *p, nil
}

// person is the person with this sub, nil if there is none.
func (r reader) person(sub string) (*subject.Person, error) {
	p := &subject.Person{}
	if found, err := r.get(&people, []byte(sub), (*record.Person)(p)); !found || err != nil {
		return nil, err
	}
	return p, nil
}

// personOf is the person to whom the number is bound now, nil if none.
func (r reader) personOf(n phone.Number) (*subject.Person, error) {
	sub, err := r.subOf(n)
	if sub == "" || err != nil {
		return nil, err
	}
	return r.person(sub)
}

// PersonOf implements admin.People.
func (s *Store) PersonOf(ctx context.Context, n phone.Number) (subject.Person, error) {
	var p *subject.Person
	err := s.read(ctx, func(r reader) (err error) {
		p, err = r.personOf(n)
		return err
	})
	if err != nil {
		return subject.Person{}, err
	}
	if p == nil {
		return subject.Person{}, subject.ErrNotFound
	}
	return *p, nil
}

// subOf is the sub of the person to whom the number is bound now, "" if none.
func (r reader) subOf(n phone.Number) (sub string, err error) {
	key := r.s.sealer.NumberKey(n)
	_, err = r.get(&numbers, key[:], (*record.Text)(&sub))
	return sub, err
}

// putPerson keeps a person and binds the number to them. Who had the number
// before stays, and has lost it: a sub is never issued again.
func (t *txn) putPerson(p subject.Person, n phone.Number) error {
	if t.isDeleted(p.Sub) {
		return subject.ErrNotFound
	}
	if err := t.put(&people, []byte(p.Sub), never, (*record.Person)(&p)); err != nil {
		return err
	}
	bound, err := t.subOf(n)
	if err != nil || bound == p.Sub {
		return err
	}
	before, err := t.person(bound)
	if err != nil {
		return err
	}
	if before != nil {
		before.NumberLost = true
		if err := t.put(&people, []byte(bound), never, (*record.Person)(before)); err != nil {
			return err
		}
	}
	key := t.s.sealer.NumberKey(n)
	return t.put(&numbers, key[:], never, (*record.Text)(&p.Sub))
}
