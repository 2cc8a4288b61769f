// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"calleridp/provider/apikey"
	"calleridp/provider/audit"
	"calleridp/provider/grant"
	"calleridp/provider/subject"

	"github.com/danielgtaylor/huma/v2"
)

// Grants reads and revokes grants. *bolt.Store is one.
type Grants interface {
	// Grant returns the grant with this ID, or grant.ErrNotFound.
	Grant(ctx context.Context, id string) (grant.Grant, error)
	// ListGrants returns at most so many grants that have not expired, in the order of
	// their IDs, behind the ID after.
	ListGrants(ctx context.Context, after string, most int) ([]grant.Grant, error)
	UseGrant(ctx context.Context, id string, use func(g grant.Grant) grant.Redemption) (grant.Redemption, error)
}

// Grant is what a client got of a user, as the API writes it.
type Grant struct {
	ID       string    `json:"id"`
	ClientID string    `json:"client_id"`
	Sub      string    `json:"sub" doc:"The user's own sub, also for pairwise clients."`
	SID      string    `json:"sid,omitempty" doc:"The session that it came from."`
	Scope    string    `json:"scope"`
	Offline  bool      `json:"offline" doc:"It outlives the session."`
	Revoked  bool      `json:"revoked,omitempty"`
	Created  time.Time `json:"created"`
	Expires  time.Time `json:"expires" doc:"No token of it lives longer."`
}

// GrantsQuery is a request for grants of a client, of a user or of all.
type GrantsQuery struct {
	Paging
	ClientID string `query:"client_id" maxLength:"128" doc:"Only those of this client."`
	Sub      string `query:"sub" maxLength:"128" doc:"Only those of this user."`
}

// GrantRef names a grant.
type GrantRef struct {
	ID string `path:"id"`
}

// mostLooked is how many grants are looked at for one page: one of a client with few of
// them may have fewer items than its limit, or none, and a next page.
const mostLooked = 5000

func (a *API) grants() {
	tags := []string{"Grants"}
	register(a, huma.Operation{
		OperationID: "list-grants", Method: http.MethodGet, Path: "/v1/grants", Tags: tags,
		Summary: "List grants", Description: "Those that live, of a client, of a user or of all. A page may have fewer items than its limit, also none, and a next one.",
	}, apikey.GrantsRead, a.ListGrants)
	register(a, huma.Operation{
		OperationID: "revoke-grant", Method: http.MethodDelete, Path: "/v1/grants/{id}", Tags: tags,
		Summary: "Revoke a grant", Description: "And with it its tokens. The user's consent stays.", Errors: []int{http.StatusNotFound},
	}, apikey.GrantsWrite, a.RevokeGrant)
}

// ListGrants returns a page of the grants that live.
func (a *API) ListGrants(ctx context.Context, in *GrantsQuery) (*Reply[Page[Grant]], error) {
	if err := allowed(ctx, apikey.GrantsRead); err != nil {
		return nil, err
	}
	after, err := in.after()
	if err != nil {
		return nil, err
	}
	if in.Sub != "" && !subject.IsSub(in.Sub) { // perhaps a number, which the audit must not have
		return nil, refused(http.StatusUnprocessableEntity, noSub)
	}
	a.Audit.Record(ctx, audit.Event{Name: audit.GrantsListed, Client: in.ClientID, Subject: in.Sub})
	page := Page[Grant]{Items: []Grant{}}
	for looked := 0; looked < mostLooked; {
		part, err := a.Grants.ListGrants(ctx, after, longestPage)
		if err != nil {
			return nil, err
		}
		if len(part) == 0 {
			return reply(page), nil
		}
		for _, g := range part {
			if len(page.Items) == in.limit() {
				page.Next = cursor(after)
				return reply(page), nil
			}
			after = g.ID
			if !g.Revoked && (in.ClientID == "" || g.ClientID == in.ClientID) && (in.Sub == "" || g.Sub == in.Sub) {
				page.Items = append(page.Items, shownGrant(g))
			}
		}
		looked += len(part)
	}
	page.Next = cursor(after)
	return reply(page), nil
}

// RevokeGrant revokes a grant, and returns it as it was.
func (a *API) RevokeGrant(ctx context.Context, in *GrantRef) (*Reply[Grant], error) {
	if err := allowed(ctx, apikey.GrantsWrite); err != nil {
		return nil, err
	}
	g, err := a.Grants.Grant(ctx, in.ID)
	if errors.Is(err, grant.ErrNotFound) || err == nil && g.Revoked {
		return nil, refused(http.StatusNotFound, "there is no grant %s, or it is revoked", in.ID)
	}
	if err != nil {
		return nil, err
	}
	event := audit.Event{Name: audit.UserGrantRevoked, Subject: g.Sub, Client: g.ClientID, Grant: g.ID}
	err = a.change(ctx, event, func(ctx context.Context) error {
		_, err := a.Grants.UseGrant(ctx, in.ID, grant.Revoke)
		return err
	})
	if err != nil {
		return nil, err
	}
	return reply(shownGrant(g)), nil
}

func shownGrant(g grant.Grant) Grant {
	return Grant{
		ID:       g.ID,
		ClientID: g.ClientID,
		Sub:      g.Sub,
		SID:      g.SID,
		Scope:    strings.Join(g.Scopes, " "),
		Offline:  g.Offline,
		Revoked:  g.Revoked,
		Created:  g.Created,
		Expires:  g.Expires,
	}
}
