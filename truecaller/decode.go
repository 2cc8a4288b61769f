package truecaller

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"calleridp/truecaller/phone"

	"golang.org/x/text/unicode/norm"
)

// The longest strings that are kept, in runes. Longer ones are cut: they are
// what people say about themselves, and end in ID tokens.
const (
	maxName  = 100
	maxText  = 500
	maxURL   = 1000
	maxShort = 64
	maxItems = 20
)

// DecodeProfile reads a profile in any of the shapes that Truecaller documents
// or sends: numbers and booleans as themselves or as strings, onlineIdentity or
// onlineIdentities, null for absent. Only a phone number is mandatory. A field
// of the wrong type counts as absent. Errors wrap ErrProfile.
func DecodeProfile(raw []byte) (Profile, error) {
	if !utf8.Valid(raw) {
		return Profile{}, fmt.Errorf("%w: not UTF-8", ErrProfile)
	}
	var w wireProfile
	d := json.NewDecoder(bytes.NewReader(raw))
	if err := d.Decode(&w); err != nil {
		return Profile{}, fmt.Errorf("%w: not a JSON object", ErrProfile)
	}
	if d.More() {
		return Profile{}, fmt.Errorf("%w: more than one JSON value", ErrProfile)
	}
	p := Profile{
		ID:          w.ID.text(maxShort),
		UserID:      w.UserID.text(maxShort),
		FirstName:   w.Name.v.First.text(maxName),
		LastName:    w.Name.v.Last.text(maxName),
		AvatarURL:   w.AvatarURL.text(maxURL),
		Gender:      w.Gender.text(maxShort),
		CompanyName: w.CompanyName.text(maxName),
		JobTitle:    w.JobTitle.text(maxName),
		AboutMe:     w.AboutMe.text(maxText),
		Inactive:    strings.EqualFold(w.IsActive.text(maxShort), "false"),
		UpdatedAt:   newest(w.History.v),
	}
	for _, identity := range []wireIdentity{w.Identities.v, w.Identity.v} {
		p.Email = first(p.Email, identity.Email.text(maxURL))
		p.URL = first(p.URL, identity.URL.text(maxURL))
		p.FacebookID = first(p.FacebookID, identity.FacebookID.text(maxShort))
		p.TwitterID = first(p.TwitterID, identity.TwitterID.text(maxShort))
	}
	for _, number := range w.PhoneNumbers {
		if n, err := phone.FromDigits(number.digits()); err == nil && !p.Has(n) && len(p.Numbers) < maxItems {
			p.Numbers = append(p.Numbers, n)
		}
	}
	if len(p.Numbers) == 0 {
		return Profile{}, fmt.Errorf("%w: no phone number in it", ErrProfile)
	}
	for _, badge := range w.Badges {
		if text := badge.text(maxShort); text != "" && len(p.Badges) < maxItems {
			p.Badges = append(p.Badges, text)
		}
	}
	for _, a := range w.Addresses {
		address := Address{
			Street:  a.Street.text(maxName),
			City:    a.City.text(maxName),
			Zipcode: a.Zipcode.text(maxShort),
		}
		if code := strings.ToUpper(a.CountryCode.text(maxShort)); len(code) == 2 && code[0] >= 'A' && code[0] <= 'Z' && code[1] >= 'A' && code[1] <= 'Z' {
			address.CountryCode = code
		}
		if address != (Address{}) && len(p.Addresses) < maxItems {
			p.Addresses = append(p.Addresses, address)
		}
	}
	return p, nil
}

type wireProfile struct {
	ID           scalar                                `json:"id"`
	UserID       scalar                                `json:"userId"`
	Name         object[wireName]                      `json:"name"`
	PhoneNumbers list[scalar]                          `json:"phoneNumbers"`
	AvatarURL    scalar                                `json:"avatarUrl"`
	Gender       scalar                                `json:"gender"`
	CompanyName  scalar                                `json:"companyName"`
	JobTitle     scalar                                `json:"jobTitle"`
	AboutMe      scalar                                `json:"aboutMe"`
	IsActive     scalar                                `json:"isActive"`
	Identity     object[wireIdentity]                  `json:"onlineIdentity"`
	Identities   object[wireIdentity]                  `json:"onlineIdentities"`
	Badges       list[scalar]                          `json:"badges"`
	Addresses    list[wireAddress]                     `json:"addresses"`
	History      object[map[string]object[wireChange]] `json:"history"`
}

type wireName struct {
	First scalar `json:"first"`
	Last  scalar `json:"last"`
}

type wireIdentity struct {
	Email      scalar `json:"email"`
	URL        scalar `json:"url"`
	FacebookID scalar `json:"facebookId"`
	TwitterID  scalar `json:"twitterId"`
}

type wireAddress struct {
	Street      scalar `json:"street"`
	City        scalar `json:"city"`
	Zipcode     scalar `json:"zipcode"`
	CountryCode scalar `json:"countryCode"`
}

type wireChange struct {
	UpdateTime scalar `json:"updateTime"`
}

// scalar is a string, number or boolean as its text; anything else is "".
type scalar string

func (s *scalar) UnmarshalJSON(raw []byte) error {
	*s = ""
	switch raw[0] {
	case '"':
		var text string
		if json.Unmarshal(raw, &text) == nil {
			*s = scalar(text)
		}
	case '{', '[', 'n':
	default:
		*s = scalar(raw)
	}
	return nil
}

// text is the scalar as it may be shown: valid, NFC, without control or
// direction characters, trimmed, at most max runes.
func (s scalar) text(max int) string {
	// Cutting first bounds the work; composing may shorten, never lengthen
	// beyond what the last cut allows.
	clean := strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r) && r != zwj && r != zwnj, r == utf8.RuneError, unicode.Is(unicode.Co, r), r == 0x2028, r == 0x2029:
			return -1
		}
		return r
	}, cut(string(s), 4*max))
	return strings.TrimSpace(cut(strings.TrimSpace(norm.NFC.String(clean)), max))
}

// Joiners are format characters that names in Indic scripts need.
const (
	zwnj = '\u200c'
	zwj  = '\u200d'
)

func (s scalar) digits() string { return strings.TrimSpace(string(s)) }

func cut(s string, runes int) string {
	for i := range s {
		if runes == 0 {
			return s[:i]
		}
		runes--
	}
	return s
}

// list is an array, of which elements that do not decode are left out; anything
// else is empty.
type list[T any] []T

func (l *list[T]) UnmarshalJSON(raw []byte) error {
	*l = nil
	var elements []json.RawMessage
	if json.Unmarshal(raw, &elements) != nil {
		return nil
	}
	for _, element := range elements {
		if len(*l) >= 4*maxItems {
			break
		}
		var v T
		if json.Unmarshal(element, &v) == nil {
			*l = append(*l, v)
		}
	}
	return nil
}

// object is an object; anything else is the zero value.
type object[T any] struct{ v T }

func (o *object[T]) UnmarshalJSON(raw []byte) error {
	var v T
	if raw[0] == '{' && json.Unmarshal(raw, &v) == nil {
		o.v = v
	}
	return nil
}

// newest is the latest updateTime of a profile's history, in milliseconds on
// the wire. Times before 2000 or in the far future are not believed.
func newest(history map[string]object[wireChange]) time.Time {
	var latest time.Time
	for _, change := range history {
		ms, err := strconv.ParseInt(change.v.UpdateTime.digits(), 10, 64)
		if at := time.UnixMilli(ms).UTC(); err == nil && at.Year() >= 2000 && at.Year() < 3000 && at.After(latest) {
			latest = at
		}
	}
	return latest
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
