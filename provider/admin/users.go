package admin

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"calleridp/provider/audit"
	"calleridp/provider/subject"
	"calleridp/truecaller/phone"

	"github.com/go-chi/chi/v5"
)

// People reads users for operators, ends their sessions and deletes them. *bolt.Store
// is one.
type People interface {
	Account(ctx context.Context, sub string) (subject.Record, error)
	EndSessions(ctx context.Context, sub string) error
	DeletePerson(ctx context.Context, sub string) error
	// PersonOf returns the user to whom the number is bound now, in whatever
	// spelling (phone.SameLine), or subject.ErrNotFound.
	PersonOf(ctx context.Context, n phone.Number) (subject.Person, error)
}

// UserWith says whose number is meant. It travels in the body, because a phone
// number has no place in an address (invariant 10).
type UserWith struct {
	Number string `json:"number"` // as people write it
}

// User is what operators see of a user: enough to help and to clear up, and nothing
// of the profile.
type User struct {
	Sub          string            `json:"sub"`
	Number       string            `json:"number"`                // masked
	NumberLost   bool              `json:"number_lost,omitempty"` // it belongs to somebody else now
	Created      time.Time         `json:"created"`
	LastSignIn   time.Time         `json:"last_sign_in"`
	Sessions     []UserSession     `json:"sessions"`
	Applications []UserApplication `json:"applications"`
}

// UserSession is a browser in which the user is signed in.
type UserSession struct {
	SID      string    `json:"sid"`
	Browser  string    `json:"browser,omitempty"`
	OS       string    `json:"os,omitempty"`
	Created  time.Time `json:"created"`
	LastUsed time.Time `json:"last_used"`
	Expires  time.Time `json:"expires"`
}

// UserApplication is a client that has access.
type UserApplication struct {
	ClientID string `json:"client_id"`
	Consent  bool   `json:"consent"` // it need not ask again
	Grants   int    `json:"grants"`  // that live
	Offline  bool   `json:"offline"` // one of them is for offline access
}

func (h *handler) findUser(r *http.Request) (int, any, error) {
	var in UserWith
	if err := readBody(r, &in); err != nil {
		return 0, nil, err
	}
	n, err := h.number(in.Number)
	if err != nil {
		return 0, nil, err
	}
	person, err := h.People.PersonOf(r.Context(), n)
	if errors.Is(err, subject.ErrNotFound) {
		return 0, nil, refused{http.StatusNotFound, "no user has signed in with the number " + n.Masked()}
	}
	if err != nil {
		return 0, nil, err
	}
	return h.user(r, person.Sub, audit.UserFound, nil)
}

func (h *handler) showUser(r *http.Request) (int, any, error) {
	return h.user(r, chi.URLParam(r, "sub"), audit.UserShown, nil)
}

func (h *handler) signOutUser(r *http.Request) (int, any, error) {
	return h.user(r, chi.URLParam(r, "sub"), audit.UserSignedOut, h.People.EndSessions)
}

func (h *handler) deleteUser(r *http.Request) (int, any, error) {
	return h.user(r, chi.URLParam(r, "sub"), audit.UserDeleted, h.People.DeletePerson)
}

// user does something with a user, and returns the user as they were before.
func (h *handler) user(r *http.Request, sub string, event audit.Name, do func(context.Context, string) error) (int, any, error) {
	record, err := h.People.Account(r.Context(), sub)
	if errors.Is(err, subject.ErrNotFound) {
		return 0, nil, refused{http.StatusNotFound, "there is no user with the sub " + sub}
	}
	if err == nil && do != nil {
		err = do(r.Context(), sub)
	}
	if err != nil {
		return 0, nil, err
	}
	h.Audit.Record(r.Context(), audit.Event{Name: event, Subject: sub})
	return http.StatusOK, shownUser(record), nil
}

func shownUser(record subject.Record) User {
	p := record.Person
	out := User{
		Sub:          p.Sub,
		Number:       p.Number.Masked(),
		NumberLost:   !record.Bound,
		Created:      p.Created,
		LastSignIn:   p.LastSignIn,
		Sessions:     []UserSession{},
		Applications: []UserApplication{},
	}
	for _, s := range record.Sessions {
		out.Sessions = append(out.Sessions, UserSession{
			SID:      s.ID,
			Browser:  s.Device.Browser,
			OS:       s.Device.OS,
			Created:  s.Created,
			LastUsed: s.LastUsed,
			Expires:  s.Expires,
		})
	}
	of := func(clientID string) *UserApplication {
		i := slices.IndexFunc(out.Applications, func(a UserApplication) bool { return a.ClientID == clientID })
		if i < 0 {
			i = len(out.Applications)
			out.Applications = append(out.Applications, UserApplication{ClientID: clientID})
		}
		return &out.Applications[i]
	}
	for _, k := range record.Consents {
		of(k.ClientID).Consent = true
	}
	for _, g := range record.Grants {
		if g.Revoked {
			continue
		}
		a := of(g.ClientID)
		a.Grants++
		a.Offline = a.Offline || g.Offline
	}
	return out
}
