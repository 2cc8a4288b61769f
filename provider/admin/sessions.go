// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"context"
	"errors"
	"net/http"

	"calleridp/provider/apikey"
	"calleridp/provider/audit"
	"calleridp/provider/session"

	"github.com/danielgtaylor/huma/v2"
)

// Sessions ends single sessions. *bolt.Store is one.
type Sessions interface {
	Session(ctx context.Context, id string) (session.Session, error)
	EndSession(ctx context.Context, id string) (ended session.Session, err error)
}

// SessionRef names a session.
type SessionRef struct {
	SID string `path:"sid" doc:"The sid of ID tokens."`
}

// UserSessions is a request for the sessions of a user.
type UserSessions struct {
	UserRef
	Paging
}

func (a *API) sessions() {
	tags := []string{"Sessions"}
	register(a, huma.Operation{
		OperationID: "list-sessions", Method: http.MethodGet, Path: "/v1/users/{sub}/sessions", Tags: tags,
		Summary: "List the sessions of a user", Description: "The oldest first.", Errors: []int{http.StatusNotFound},
	}, apikey.SessionsRead, a.ListSessions)
	register(a, huma.Operation{
		OperationID: "end-session", Method: http.MethodDelete, Path: "/v1/sessions/{sid}", Tags: tags,
		Summary: "End a session", Description: "Its grants end with it, except those for offline access, and its clients are told.",
		Errors: []int{http.StatusNotFound},
	}, apikey.SessionsWrite, a.EndSession)
}

// ListSessions returns a page of the sessions of a user.
func (a *API) ListSessions(ctx context.Context, in *UserSessions) (*Reply[Page[UserSession]], error) {
	if err := allowed(ctx, apikey.SessionsRead); err != nil {
		return nil, err
	}
	record, err := a.account(ctx, in.Sub)
	if err != nil {
		return nil, err
	}
	page, err := pageOf(shownUser(record).Sessions, in.Paging, func(s UserSession) string { return byTime(s.Created, s.SID) })
	if err != nil {
		return nil, err
	}
	a.Audit.Record(ctx, audit.Event{Name: audit.UserShown, Subject: in.Sub})
	return reply(page), nil
}

// EndSession ends a session, and returns it as it was.
func (a *API) EndSession(ctx context.Context, in *SessionRef) (*Reply[UserSession], error) {
	if err := allowed(ctx, apikey.SessionsWrite); err != nil {
		return nil, err
	}
	s, err := a.Sessions.Session(ctx, in.SID)
	if errors.Is(err, session.ErrNotFound) {
		return nil, refused(http.StatusNotFound, "there is no session %s", in.SID)
	}
	if err != nil {
		return nil, err
	}
	err = a.change(ctx, audit.Event{Name: audit.UserSessionEnded, Subject: s.Sub, Session: s.ID}, func(ctx context.Context) error {
		_, err := a.Sessions.EndSession(ctx, in.SID)
		return err
	})
	if err != nil {
		return nil, err
	}
	return reply(shownSession(s)), nil
}

func shownSession(s session.Session) UserSession {
	return UserSession{
		SID:      s.ID,
		Browser:  s.Device.Browser,
		OS:       s.Device.OS,
		Country:  s.Country,
		Created:  s.Created,
		LastUsed: s.LastUsed,
		Expires:  s.Expires,
	}
}
