// SPDX-License-Identifier: Apache-2.0

package account

import (
	"encoding/json"
	"strings"
	"time"

	"calleridp/provider/subject"
	"calleridp/truecaller"
	"calleridp/truecaller/phone"
)

// What is stored about a user, as they download it: everything except secrets.
// Names are those of the claims and of OAuth where these have one.

type storedPerson struct {
	Issuer          string          `json:"issuer"`
	Downloaded      time.Time       `json:"downloaded_at"`
	Sub             string          `json:"sub"`
	PhoneNumber     string          `json:"phone_number"`
	NumberIsYours   bool            `json:"phone_number_is_yours"` // false when it has changed hands
	NumberVerified  time.Time       `json:"phone_number_verified_at,omitzero"`
	TruecallerID    string          `json:"truecaller_id,omitempty"`
	TruecallerOAuth string          `json:"truecaller_oauth_sub,omitempty"`
	Created         time.Time       `json:"created_at,omitzero"`
	LastSignIn      time.Time       `json:"last_sign_in_at,omitzero"`
	SignOuts        uint32          `json:"signed_out_everywhere,omitempty"` // how often
	Profile         storedProfile   `json:"truecaller_profile"`
	Sessions        []storedSession `json:"sessions"`
	Consents        []storedConsent `json:"consents"`
	Grants          []storedGrant   `json:"grants"`
	Signals         []storedKnown   `json:"signals,omitempty"` // clients that hear of the user
}

type storedKnown struct {
	ClientID string    `json:"client_id"`
	Phone    bool      `json:"phone_number"` // that it has got the number
	At       time.Time `json:"last_used_at"`
}

type storedProfile struct {
	ID          string          `json:"id,omitempty"`
	UserID      string          `json:"user_id,omitempty"`
	OAuthSub    string          `json:"oauth_sub,omitempty"`
	Numbers     []string        `json:"phone_numbers,omitempty"`
	FirstName   string          `json:"given_name,omitempty"`
	LastName    string          `json:"family_name,omitempty"`
	Email       string          `json:"email,omitempty"`
	URL         string          `json:"website,omitempty"`
	FacebookID  string          `json:"facebook_id,omitempty"`
	TwitterID   string          `json:"twitter_id,omitempty"`
	AvatarURL   string          `json:"picture,omitempty"`
	Gender      string          `json:"gender,omitempty"`
	CompanyName string          `json:"company_name,omitempty"`
	JobTitle    string          `json:"job_title,omitempty"`
	AboutMe     string          `json:"about_me,omitempty"`
	Addresses   []storedAddress `json:"addresses,omitempty"`
	Badges      []string        `json:"badges,omitempty"`
	Inactive    bool            `json:"inactive,omitempty"`
	Updated     time.Time       `json:"updated_at,omitzero"`
}

type storedAddress struct {
	Street  string `json:"street_address,omitempty"`
	City    string `json:"locality,omitempty"`
	Zipcode string `json:"postal_code,omitempty"`
	Country string `json:"country,omitempty"`
}

type storedSession struct {
	ID       string    `json:"sid"`
	AuthTime time.Time `json:"auth_time"`
	ACR      string    `json:"acr,omitempty"`
	AMR      []string  `json:"amr,omitempty"`
	Created  time.Time `json:"created_at"`
	Expires  time.Time `json:"expires_at"`
	LastUsed time.Time `json:"last_used_at,omitzero"`
	Browser  string    `json:"browser,omitempty"`
	OS       string    `json:"os,omitempty"`
	Country  string    `json:"country,omitempty"`

	// Participants are the clients that got something in it.
	Participants []storedParticipant `json:"participants,omitempty"`
}

type storedParticipant struct {
	ClientID string    `json:"client_id"`
	SID      string    `json:"sid"` // of the session, or of one that it continues
	At       time.Time `json:"last_used_at,omitzero"`
}

type storedConsent struct {
	ClientID string    `json:"client_id"`
	Scopes   []string  `json:"scopes"`
	Created  time.Time `json:"created_at"`
	LastUsed time.Time `json:"last_used_at"`
	Shown    []string  `json:"shown_as,omitempty"` // names that the user saw of the client
}

type storedGrant struct {
	ID       string    `json:"id"`
	ClientID string    `json:"client_id"`
	SID      string    `json:"sid,omitempty"`
	Scopes   []string  `json:"scopes"`
	IDToken  []string  `json:"id_token_claims,omitempty"` // requested by name, like the next
	Userinfo []string  `json:"userinfo_claims,omitempty"`
	AuthTime time.Time `json:"auth_time"`
	ACR      string    `json:"acr,omitempty"`
	AMR      []string  `json:"amr,omitempty"`
	Created  time.Time `json:"created_at"`
	Expires  time.Time `json:"expires_at"`
	Revoked  bool      `json:"revoked"`
	Offline  bool      `json:"offline_access"`
	Rotated  time.Time `json:"refreshed_at,omitzero"`
}

// export returns everything in a record as JSON, for its user.
func export(record subject.Record, issuer string, now time.Time) ([]byte, error) {
	person := record.Person
	out := storedPerson{
		Issuer:          issuer,
		Downloaded:      now.UTC(),
		Sub:             person.Sub,
		PhoneNumber:     person.Number.E164(),
		NumberIsYours:   record.Bound,
		NumberVerified:  person.VerifiedAt,
		TruecallerID:    person.TruecallerID,
		TruecallerOAuth: person.OAuthSub,
		Created:         person.Created,
		LastSignIn:      person.LastSignIn,
		SignOuts:        person.SignOuts,
		Profile:         storedProfileOf(person.Profile),
		Sessions:        []storedSession{},
		Consents:        []storedConsent{},
		Grants:          []storedGrant{},
	}
	for _, s := range record.Sessions {
		var participants []storedParticipant
		for _, p := range s.Participants {
			participants = append(participants, storedParticipant(p))
		}
		out.Sessions = append(out.Sessions, storedSession{
			ID:       s.ID,
			AuthTime: s.AuthTime,
			ACR:      s.ACR,
			AMR:      s.AMR,
			Created:  s.Created,
			Expires:  s.Expires,
			LastUsed: s.LastUsed,
			Browser:  s.Device.Browser,
			OS:       s.Device.OS,
			Country:  s.Country,

			Participants: participants,
		})
	}
	for _, c := range record.Consents {
		out.Consents = append(out.Consents, storedConsent{
			ClientID: c.ClientID,
			Scopes:   c.Scopes,
			Created:  c.Created,
			LastUsed: c.LastUsed,
			Shown:    c.Shown,
		})
	}
	for _, k := range record.Known {
		out.Signals = append(out.Signals, storedKnown{ClientID: k.ClientID, Phone: k.Phone, At: k.At})
	}
	for _, g := range record.Grants {
		out.Grants = append(out.Grants, storedGrant{
			ID:       g.ID,
			ClientID: g.ClientID,
			SID:      g.SID,
			Scopes:   g.Scopes,
			IDToken:  g.IDTokenClaims,
			Userinfo: g.UserinfoClaims,
			AuthTime: g.AuthTime,
			ACR:      g.ACR,
			AMR:      g.AMR,
			Created:  g.Created,
			Expires:  g.Expires,
			Revoked:  g.Revoked,
			Offline:  g.Offline,
			Rotated:  g.Rotated,
		})
	}
	return json.MarshalIndent(out, "", "  ")
}

func storedProfileOf(p truecaller.Profile) storedProfile {
	out := storedProfile{
		ID:          p.ID,
		UserID:      p.UserID,
		OAuthSub:    p.OAuthSub,
		Numbers:     numbersOf(p.Numbers),
		FirstName:   p.FirstName,
		LastName:    p.LastName,
		Email:       p.Email,
		URL:         p.URL,
		FacebookID:  p.FacebookID,
		TwitterID:   p.TwitterID,
		AvatarURL:   p.AvatarURL,
		Gender:      p.Gender,
		CompanyName: p.CompanyName,
		JobTitle:    p.JobTitle,
		AboutMe:     p.AboutMe,
		Badges:      p.Badges,
		Inactive:    p.Inactive,
		Updated:     p.UpdatedAt,
	}
	for _, a := range p.Addresses {
		out.Addresses = append(out.Addresses, storedAddress{Street: a.Street, City: a.City, Zipcode: a.Zipcode, Country: a.CountryCode})
	}
	return out
}

func numbersOf(numbers []phone.Number) []string {
	var all []string
	for _, n := range numbers {
		all = append(all, n.E164())
	}
	return all
}

// nameOf returns the name in a user's profile, "" for none.
func nameOf(p subject.Person) string {
	return strings.TrimSpace(p.Profile.FirstName + " " + p.Profile.LastName)
}
