package bolt

import (
	"context"
	"errors"
	"time"

	"calleridp/keys"
	"calleridp/provider/subject"
	"calleridp/truecaller"
	"calleridp/truecaller/phone"
)

var _ subject.Store = (*Store)(nil)

type personRecord struct {
	Number       string        `json:"n"`
	TruecallerID string        `json:"i,omitempty"`
	Created      time.Time     `json:"t"`
	LastSignIn   time.Time     `json:"l"`
	VerifiedAt   time.Time     `json:"v"`
	Profile      profileRecord `json:"p"`
}

type profileRecord struct {
	ID          string          `json:"id,omitempty"`
	UserID      string          `json:"ui,omitempty"`
	Numbers     []string        `json:"n,omitempty"`
	FirstName   string          `json:"f,omitempty"`
	LastName    string          `json:"l,omitempty"`
	Email       string          `json:"e,omitempty"`
	URL         string          `json:"u,omitempty"`
	FacebookID  string          `json:"fb,omitempty"`
	TwitterID   string          `json:"tw,omitempty"`
	AvatarURL   string          `json:"av,omitempty"`
	Gender      string          `json:"g,omitempty"`
	CompanyName string          `json:"co,omitempty"`
	JobTitle    string          `json:"jt,omitempty"`
	AboutMe     string          `json:"am,omitempty"`
	Addresses   []addressRecord `json:"ad,omitempty"`
	Badges      []string        `json:"bd,omitempty"`
	UpdatedAt   time.Time       `json:"up,omitzero"`
}

type addressRecord struct {
	Street  string `json:"s,omitempty"`
	City    string `json:"c,omitempty"`
	Zipcode string `json:"z,omitempty"`
	Country string `json:"cc,omitempty"`
}

const numberPurpose keys.Purpose = "number index"

func (r reader) numberKey(n phone.Number) []byte {
	sum := r.s.master.MAC(numberPurpose, []byte(n.Digits()))
	return sum[:]
}

func (s *Store) Person(_ context.Context, sub string) (p subject.Person, err error) {
	err = s.read(func(r reader) error {
		p, err = r.person(sub)
		return err
	})
	return p, err
}

// personOf is the person to whom the number is bound now, nil if none.
func (r reader) personOf(n phone.Number) (*subject.Person, error) {
	var sub string
	if err := r.get(bNumbers, r.numberKey(n), &sub); errors.Is(err, errMissing) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	p, err := r.person(sub)
	if errors.Is(err, subject.ErrNotFound) {
		return nil, nil
	}
	return &p, err
}

func (r reader) person(sub string) (subject.Person, error) {
	var v personRecord
	if err := r.get(bPeople, []byte(sub), &v); err != nil {
		return subject.Person{}, orNotFound(err, subject.ErrNotFound)
	}
	number, err := numberOf(v.Number)
	if err != nil {
		return subject.Person{}, err
	}
	w := v.Profile
	p := subject.Person{
		Sub: sub, Number: number, TruecallerID: v.TruecallerID, Created: v.Created, LastSignIn: v.LastSignIn, VerifiedAt: v.VerifiedAt,
		Profile: truecaller.Profile{
			ID: w.ID, UserID: w.UserID, FirstName: w.FirstName, LastName: w.LastName, Email: w.Email, URL: w.URL,
			FacebookID: w.FacebookID, TwitterID: w.TwitterID, AvatarURL: w.AvatarURL, Gender: w.Gender,
			CompanyName: w.CompanyName, JobTitle: w.JobTitle, AboutMe: w.AboutMe, Badges: w.Badges, UpdatedAt: w.UpdatedAt,
		},
	}
	for _, digits := range w.Numbers {
		n, err := numberOf(digits)
		if err != nil {
			return subject.Person{}, err
		}
		p.Profile.Numbers = append(p.Profile.Numbers, n)
	}
	for _, a := range w.Addresses {
		p.Profile.Addresses = append(p.Profile.Addresses, truecaller.Address{Street: a.Street, City: a.City, Zipcode: a.Zipcode, CountryCode: a.Country})
	}
	return p, nil
}

// putPerson keeps the person and binds the number to them.
func (t *txn) putPerson(p subject.Person) error {
	w := p.Profile
	v := personRecord{
		Number: p.Number.Digits(), TruecallerID: p.TruecallerID, Created: p.Created, LastSignIn: p.LastSignIn, VerifiedAt: p.VerifiedAt,
		Profile: profileRecord{
			ID: w.ID, UserID: w.UserID, FirstName: w.FirstName, LastName: w.LastName, Email: w.Email, URL: w.URL,
			FacebookID: w.FacebookID, TwitterID: w.TwitterID, AvatarURL: w.AvatarURL, Gender: w.Gender,
			CompanyName: w.CompanyName, JobTitle: w.JobTitle, AboutMe: w.AboutMe, Badges: w.Badges, UpdatedAt: w.UpdatedAt,
		},
	}
	for _, n := range w.Numbers {
		v.Profile.Numbers = append(v.Profile.Numbers, n.Digits())
	}
	for _, a := range w.Addresses {
		v.Profile.Addresses = append(v.Profile.Addresses, addressRecord{Street: a.Street, City: a.City, Zipcode: a.Zipcode, Country: a.CountryCode})
	}
	if err := t.put(bPeople, []byte(p.Sub), v, time.Time{}); err != nil {
		return err
	}
	return t.put(bNumbers, t.numberKey(p.Number), p.Sub, time.Time{})
}
