package bolt

import (
	"context"

	"calleridp/keys"
	"calleridp/provider/subject"
	"calleridp/truecaller"
	"calleridp/truecaller/phone"
)

var _ subject.Store = (*Store)(nil)

type personRecord subject.Person

func (p *personRecord) fields(c *codec) {
	text(c, &p.Sub)
	c.phone(&p.Number)
	text(c, &p.TruecallerID)
	c.time(&p.Created)
	c.time(&p.LastSignIn)
	c.time(&p.VerifiedAt)
	profileFields(c, &p.Profile)
	text(c, &p.OAuthSub)
	c.flag(&p.NumberLost)
}

func profileFields(c *codec, p *truecaller.Profile) {
	text(c, &p.ID)
	text(c, &p.UserID)
	list(c, &p.Numbers, (*codec).phone)
	text(c, &p.FirstName)
	text(c, &p.LastName)
	text(c, &p.Email)
	text(c, &p.URL)
	text(c, &p.FacebookID)
	text(c, &p.TwitterID)
	text(c, &p.AvatarURL)
	text(c, &p.Gender)
	text(c, &p.CompanyName)
	text(c, &p.JobTitle)
	text(c, &p.AboutMe)
	list(c, &p.Addresses, addressFields)
	texts(c, &p.Badges)
	c.flag(&p.Inactive)
	c.time(&p.UpdatedAt)
	text(c, &p.OAuthSub)
}

func addressFields(c *codec, a *truecaller.Address) {
	text(c, &a.Street)
	text(c, &a.City)
	text(c, &a.Zipcode)
	text(c, &a.CountryCode)
}

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
	p := &personRecord{}
	if found, err := r.get(&people, []byte(sub), p.fields); !found || err != nil {
		return nil, err
	}
	return (*subject.Person)(p), nil
}

const numberPurpose keys.Purpose = "bolt/number"

func (s *Store) numberKey(n phone.Number) []byte {
	sum := s.master.MAC(numberPurpose, []byte(n.Digits()))
	return sum[:]
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
	_, err = r.get(&numbers, r.s.numberKey(n), func(c *codec) { text(c, &sub) })
	return sub, err
}

// putPerson keeps a person and binds the number to them. Who had the number
// before stays, and has lost it: a sub is never issued again.
func (t *txn) putPerson(p subject.Person, n phone.Number) error {
	if t.isDeleted(p.Sub) {
		return subject.ErrNotFound
	}
	record := personRecord(p)
	if err := t.put(&people, []byte(p.Sub), never, record.fields); err != nil {
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
		lost := personRecord(*before)
		if err := t.put(&people, []byte(bound), never, lost.fields); err != nil {
			return err
		}
	}
	return t.put(&numbers, t.s.numberKey(n), never, func(c *codec) { text(c, &p.Sub) })
}
