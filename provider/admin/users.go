// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"calleridp/provider/apikey"
	"calleridp/provider/audit"
	"calleridp/provider/subject"
	"calleridp/truecaller/phone"

	"github.com/danielgtaylor/huma/v2"
)

// People reads users for operators, ends their sessions and deletes them. *bolt.Store
// is one.
type People interface {
	Account(ctx context.Context, sub string) (subject.Record, error)
	EndSessions(ctx context.Context, sub string) error
	RevokeClient(ctx context.Context, sub, clientID string) error
	DeletePerson(ctx context.Context, sub string) error
	// ImportPerson adds a user from elsewhere, unless they are here, as subject.Import
	// decides. It returns subject.ErrNotFound for one who was deleted here. With dryRun it
	// changes nothing.
	ImportPerson(ctx context.Context, p subject.Person, dryRun bool) (added bool, err error)
	// PersonOf returns the user to whom the number is bound now, in whatever
	// spelling (phone.SameLine), or subject.ErrNotFound.
	PersonOf(ctx context.Context, n phone.Number) (subject.Person, error)
	// RecycleNumber has the user of a number lose it, as if another user had got it, if
	// subject.Recycled agrees, and returns the user as they were. The number is bound to
	// none then. The error is subject.ErrNotFound or that of subject.Recycled.
	RecycleNumber(ctx context.Context, n phone.Number, since time.Time) (subject.Person, error)
	// ListPeople returns at most so many users, in the order of their subs, behind the
	// sub after.
	ListPeople(ctx context.Context, after string, most int) ([]subject.Person, error)
}

// UserWith says whose number is meant. It travels in the body, because a phone
// number has no place in an address (invariant 10).
type UserWith struct {
	Number string `json:"number" doc:"As people write it."`
}

// UserRef names a user.
type UserRef struct {
	Sub string `path:"sub" doc:"The user's own sub, also for pairwise clients."`
}

// UserQuery is a request to find a user.
type UserQuery struct{ Body UserWith }

// UserAction is a request to do something with a user.
type UserAction struct {
	Once
	UserRef
}

// UserClient names a client that has access to a user.
type UserClient struct {
	UserRef
	ClientRef
}

// User is what operators see of a user: enough to help and to clear up, and nothing
// of the profile.
type User struct {
	Sub          string            `json:"sub"`
	Number       string            `json:"number" doc:"Masked."`
	NumberLost   bool              `json:"number_lost,omitempty" doc:"It belongs to somebody else now."`
	Created      time.Time         `json:"created"`
	LastSignIn   time.Time         `json:"last_sign_in"`
	Sessions     []UserSession     `json:"sessions"`
	Applications []UserApplication `json:"applications"`
}

// UserSummary is what a list of users says of each.
type UserSummary struct {
	Sub        string    `json:"sub"`
	Number     string    `json:"number" doc:"Masked."`
	NumberLost bool      `json:"number_lost,omitempty" doc:"It belongs to somebody else now."`
	Created    time.Time `json:"created"`
	LastSignIn time.Time `json:"last_sign_in"`
}

// UserSession is a browser in which the user is signed in.
type UserSession struct {
	SID      string    `json:"sid"`
	Browser  string    `json:"browser,omitempty"`
	OS       string    `json:"os,omitempty"`
	Country  string    `json:"country,omitempty" doc:"Of the network at the sign-in, ISO 3166-1 alpha-2."`
	Created  time.Time `json:"created"`
	LastUsed time.Time `json:"last_used"`
	Expires  time.Time `json:"expires"`
}

// UserApplication is a client that has access.
type UserApplication struct {
	ClientID string `json:"client_id"`
	Consent  bool   `json:"consent" doc:"It need not ask again."`
	Grants   int    `json:"grants" doc:"Those that live."`
	Offline  bool   `json:"offline" doc:"One of them is for offline access."`
}

func (a *API) users() {
	tags := []string{"Users"}
	register(a, huma.Operation{
		OperationID: "list-users", Method: http.MethodGet, Path: "/v1/users", Tags: tags,
		Summary: "List the users", Description: "In the order of sub, which says nothing of when they came.",
	}, apikey.UsersRead, a.ListUsers)
	register(a, huma.Operation{
		OperationID: "find-user", Method: http.MethodPost, Path: "/v1/users/find", Tags: tags,
		Summary: "Find the user who has a number", Description: "It is a POST, because a phone number has no place in an address.",
		Errors: []int{http.StatusNotFound},
	}, apikey.UsersRead, a.FindUser)
	register(a, huma.Operation{
		OperationID: "get-user", Method: http.MethodGet, Path: "/v1/users/{sub}", Tags: tags,
		Summary: "Show a user", Description: "With their sessions and the clients that have access.", Errors: []int{http.StatusNotFound},
	}, apikey.UsersRead, a.GetUser)
	register(a, huma.Operation{
		OperationID: "sign-out-user", Method: http.MethodPost, Path: "/v1/users/{sub}/signout", Tags: tags,
		Summary: "End all sessions of a user", Description: "Grants for offline access stay. The response has the user as they were before.",
		Errors: []int{http.StatusNotFound},
	}, apikey.UsersWrite, a.SignOutUser)
	register(a, huma.Operation{
		OperationID: "delete-user", Method: http.MethodDelete, Path: "/v1/users/{sub}", Tags: tags,
		Summary: "Delete everything about a user",
		Description: "A tombstone without personal data remains, so that the sub is never given again: " +
			"the next user of the number gets another one. The response has the user as they were before.",
		Errors: []int{http.StatusNotFound},
	}, apikey.UsersWrite, a.DeleteUser)
	register(a, huma.Operation{
		OperationID: "revoke-application", Method: http.MethodDelete, Path: "/v1/users/{sub}/applications/{id}", Tags: tags,
		Summary: "Take a client's access to a user away", Description: "The consent, all grants, those for offline access too, and unused codes.",
		Errors: []int{http.StatusNotFound},
	}, apikey.UsersWrite, a.RevokeApplication)
}

// ListUsers returns a page of the users.
func (a *API) ListUsers(ctx context.Context, in *Paging) (*Reply[Page[UserSummary]], error) {
	if err := allowed(ctx, apikey.UsersRead); err != nil {
		return nil, err
	}
	after, err := in.after()
	if err != nil {
		return nil, err
	}
	people, err := a.People.ListPeople(ctx, after, in.limit()+1) // one more says whether there is a next page
	if err != nil {
		return nil, err
	}
	page := Page[UserSummary]{Items: []UserSummary{}}
	for i, p := range people {
		if i == in.limit() {
			page.Next = cursor(people[i-1].Sub)
			break
		}
		page.Items = append(page.Items, UserSummary{
			Sub:        p.Sub,
			Number:     p.Number.Masked(),
			NumberLost: p.NumberLost,
			Created:    p.Created,
			LastSignIn: p.LastSignIn,
		})
	}
	a.Audit.Record(ctx, audit.Event{Name: audit.UsersListed})
	return reply(page), nil
}

// FindUser returns the user who has a number now.
func (a *API) FindUser(ctx context.Context, in *UserQuery) (*Reply[User], error) {
	if err := allowed(ctx, apikey.UsersRead); err != nil {
		return nil, err
	}
	n, err := a.number(in.Body.Number)
	if err != nil {
		return nil, err
	}
	person, err := a.People.PersonOf(ctx, n)
	if errors.Is(err, subject.ErrNotFound) {
		return nil, refused(http.StatusNotFound, "no user has signed in with the number %s", n.Masked())
	}
	if err != nil {
		return nil, err
	}
	return a.showUser(ctx, person.Sub, audit.UserFound)
}

// GetUser returns a user.
func (a *API) GetUser(ctx context.Context, in *UserRef) (*Reply[User], error) {
	if err := allowed(ctx, apikey.UsersRead); err != nil {
		return nil, err
	}
	return a.showUser(ctx, in.Sub, audit.UserShown)
}

// SignOutUser ends all sessions of a user, and returns the user as they were.
func (a *API) SignOutUser(ctx context.Context, in *UserAction) (*Reply[User], error) {
	return a.changeUser(ctx, in.Sub, audit.UserSignedOut, a.People.EndSessions)
}

// DeleteUser deletes a user, and returns them as they were.
func (a *API) DeleteUser(ctx context.Context, in *UserRef) (*Reply[User], error) {
	return a.changeUser(ctx, in.Sub, audit.UserDeleted, a.People.DeletePerson)
}

// RevokeApplication takes a client's access to a user away.
func (a *API) RevokeApplication(ctx context.Context, in *UserClient) (*Reply[UserApplication], error) {
	if err := allowed(ctx, apikey.UsersWrite); err != nil {
		return nil, err
	}
	record, err := a.account(ctx, in.Sub)
	if err != nil {
		return nil, err
	}
	all := shownUser(record).Applications
	i := slices.IndexFunc(all, func(u UserApplication) bool { return u.ClientID == in.ID })
	if i < 0 {
		return nil, refused(http.StatusNotFound, "client %s has no access to this user", in.ID)
	}
	event := audit.Event{Name: audit.UserAccessRevoked, Subject: in.Sub, Client: in.ID}
	err = a.change(ctx, event, func(ctx context.Context) error { return a.People.RevokeClient(ctx, in.Sub, in.ID) })
	if err != nil {
		return nil, err
	}
	return reply(all[i]), nil
}

// noSub is what operators are told of something else than a sub.
const noSub = "a sub has 22 letters, digits, - and _; find a user by number to see theirs"

// account returns what is stored about a user, or a Problem.
func (a *API) account(ctx context.Context, sub string) (subject.Record, error) {
	record, err := a.People.Account(ctx, sub)
	if errors.Is(err, subject.ErrNotFound) {
		if !subject.IsSub(sub) { // perhaps a number, which is not repeated
			return record, refused(http.StatusNotFound, "there is no user with this sub: "+noSub)
		}
		return record, refused(http.StatusNotFound, "there is no user with the sub %s", sub)
	}
	return record, err
}

func (a *API) showUser(ctx context.Context, sub string, event audit.Name) (*Reply[User], error) {
	record, err := a.account(ctx, sub)
	if err != nil {
		return nil, err
	}
	a.Audit.Record(ctx, audit.Event{Name: event, Subject: sub})
	return reply(shownUser(record)), nil
}

// changeUser does something with a user, and returns them as they were before.
func (a *API) changeUser(ctx context.Context, sub string, event audit.Name, do func(context.Context, string) error) (*Reply[User], error) {
	if err := allowed(ctx, apikey.UsersWrite); err != nil {
		return nil, err
	}
	record, err := a.account(ctx, sub)
	if err != nil {
		return nil, err
	}
	err = a.change(ctx, audit.Event{Name: event, Subject: sub}, func(ctx context.Context) error { return do(ctx, sub) })
	if err != nil {
		return nil, err
	}
	return reply(shownUser(record)), nil
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
		out.Sessions = append(out.Sessions, shownSession(s))
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
