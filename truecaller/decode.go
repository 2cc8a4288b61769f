// SPDX-License-Identifier: Apache-2.0

package truecaller

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"calleridp/truecaller/phone"
)

// maxItems is how many elements of each list of a profile are read and kept.
const maxItems = 20

// DecodeProfile decodes a profile in any form that Truecaller documents or sends
// (docs/truecaller.md section 4): numbers and booleans as themselves or as strings,
// onlineIdentity or onlineIdentities, null for absent. Only a phone number is
// mandatory. A field of the wrong type and a number that is not E.164, or that no plan can
// have, count as absent.
// Errors wrap ErrProfile.
func DecodeProfile(raw []byte) (Profile, error) {
	if !utf8.Valid(raw) {
		return Profile{}, fmt.Errorf("%w: not UTF-8", ErrProfile)
	}
	var w wireProfile
	if err := json.Unmarshal(raw, &w); err != nil {
		return Profile{}, fmt.Errorf("%w: not one JSON object", ErrProfile)
	}
	p := Profile{
		ID:          w.ID.whole(maxID),
		UserID:      w.UserID.whole(maxID),
		FirstName:   w.Name.v.First.text(maxName),
		LastName:    w.Name.v.Last.text(maxName),
		AvatarURL:   w.AvatarURL.whole(maxURL),
		Gender:      w.Gender.text(maxShort),
		CompanyName: w.CompanyName.text(maxName),
		JobTitle:    w.JobTitle.text(maxName),
		AboutMe:     w.AboutMe.text(maxText),
		Inactive:    strings.EqualFold(w.IsActive.text(maxShort), "false"),
		UpdatedAt:   newest(w.History.v),
	}
	// The plural is the newer one.
	for _, identity := range []wireIdentity{w.Identities.v, w.Identity.v} {
		p.Email = cmp.Or(p.Email, identity.Email.whole(maxEmail))
		p.URL = cmp.Or(p.URL, identity.URL.whole(maxURL))
		p.FacebookID = cmp.Or(p.FacebookID, identity.FacebookID.whole(maxID))
		p.TwitterID = cmp.Or(p.TwitterID, identity.TwitterID.whole(maxID))
	}
	for _, number := range w.PhoneNumbers {
		n, err := phone.FromDigits(strings.TrimSpace(string(number)))
		if err == nil && n.MayExist() && !p.Has(n) {
			p.Numbers = append(p.Numbers, n.Line())
		}
	}
	if len(p.Numbers) == 0 {
		return Profile{}, fmt.Errorf("%w: no phone number in it", ErrProfile)
	}
	for _, badge := range w.Badges {
		if text := badge.text(maxShort); text != "" {
			p.Badges = append(p.Badges, text)
		}
	}
	for _, a := range w.Addresses {
		address := Address{
			Street:      a.Street.text(maxName),
			City:        a.City.text(maxName),
			Zipcode:     a.Zipcode.text(maxShort),
			CountryCode: country(a.CountryCode.text(maxShort)),
		}
		if address != (Address{}) {
			p.Addresses = append(p.Addresses, address)
		}
	}
	return p, nil
}

// country returns an ISO 3166-1 alpha-2 code in upper case, "" for any other text.
func country(code string) string {
	if len(code) != 2 || !consistsOf(code, letters) {
		return ""
	}
	return strings.ToUpper(code)
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

// scalar is a string, number or boolean as its text; any other JSON value is "".
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

// list is an array without the elements that do not decode or exceed maxItems; any
// other JSON value is empty.
type list[T any] []T

func (l *list[T]) UnmarshalJSON(raw []byte) error {
	*l = nil
	var elements []json.RawMessage
	if json.Unmarshal(raw, &elements) != nil {
		return nil
	}
	for _, element := range elements[:min(len(elements), maxItems)] {
		var v T
		if json.Unmarshal(element, &v) == nil {
			*l = append(*l, v)
		}
	}
	return nil
}

// object is an object; any other JSON value is the zero value.
type object[T any] struct{ v T }

func (o *object[T]) UnmarshalJSON(raw []byte) error {
	var v T
	if raw[0] == '{' && json.Unmarshal(raw, &v) == nil {
		o.v = v
	}
	return nil
}

// newest returns the latest updateTime of a profile's history, which has milliseconds.
// It ignores times before 2000 or after 2999.
func newest(history map[string]object[wireChange]) time.Time {
	var latest time.Time
	for _, change := range history {
		ms, err := strconv.ParseInt(strings.TrimSpace(string(change.v.UpdateTime)), 10, 64)
		if at := time.UnixMilli(ms).UTC(); err == nil && at.Year() >= 2000 && at.Year() < 3000 && at.After(latest) {
			latest = at
		}
	}
	return latest
}
