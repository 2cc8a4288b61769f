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
	"calleridp/provider/client"

	"github.com/danielgtaylor/huma/v2"
)

// RegistrationToken is an initial access token (RFC 7591 §3) as the API writes it. The token
// itself is in the response that makes it, and nowhere else.
type RegistrationToken struct {
	ID      string    `json:"id"`
	Token   string    `json:"token,omitempty" doc:"Only in the response that makes it."`
	Note    string    `json:"note,omitempty" doc:"For whom it is."`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
	Uses    uint32    `json:"uses" doc:"Registrations that it still permits."`
}

// NewRegistrationToken is a request for one.
type NewRegistrationToken struct {
	Note      string `json:"note" required:"false" doc:"For whom it is."`
	ExpiresIn int64  `json:"expires_in" doc:"Seconds."`
	Uses      int    `json:"uses" doc:"Registrations that it permits."`
}

// AddedRegistrationToken is the request that makes one.
type AddedRegistrationToken struct {
	Once
	Body NewRegistrationToken
}

// RegistrationTokenID names one.
type RegistrationTokenID struct {
	ID string `path:"id"`
}

func (a *API) registrationTokens() {
	tags := []string{"Registration tokens"}
	register(a, huma.Operation{
		OperationID: "list-registration-tokens", Method: http.MethodGet, Path: "/v1/registration-tokens", Tags: tags,
		Summary: "List the initial access tokens of client registration",
	}, apikey.RegistrationTokensRead, a.ListRegistrationTokens)
	register(a, huma.Operation{
		OperationID: "add-registration-token", Method: http.MethodPost, Path: "/v1/registration-tokens", DefaultStatus: http.StatusCreated, Tags: tags,
		Summary: "Make an initial access token", Description: "The response has the token, once.",
	}, apikey.RegistrationTokensWrite, a.AddRegistrationToken)
	register(a, huma.Operation{
		OperationID: "remove-registration-token", Method: http.MethodDelete, Path: "/v1/registration-tokens/{id}", Tags: tags,
		Summary: "Remove an initial access token", Description: "Clients that were registered with it stay.", Errors: []int{http.StatusNotFound},
	}, apikey.RegistrationTokensWrite, a.RemoveRegistrationToken)
}

// ListRegistrationTokens returns a page of the tokens, the oldest first.
func (a *API) ListRegistrationTokens(ctx context.Context, in *Paging) (*Reply[Page[RegistrationToken]], error) {
	if err := allowed(ctx, apikey.RegistrationTokensRead); err != nil {
		return nil, err
	}
	all, err := a.Clients.InitialTokens(ctx)
	if err != nil {
		return nil, err
	}
	out := []RegistrationToken{}
	for _, t := range all {
		out = append(out, shownToken(t))
	}
	page, err := pageOf(out, *in, func(t RegistrationToken) string { return byTime(t.Created, t.ID) })
	if err != nil {
		return nil, err
	}
	return reply(page), nil
}

// byTime returns a key that orders by time.
func byTime(t time.Time, id string) string {
	return t.UTC().Format("2006-01-02T15:04:05.000000000Z") + " " + id
}

// AddRegistrationToken makes a token.
func (a *API) AddRegistrationToken(ctx context.Context, in *AddedRegistrationToken) (*Added[RegistrationToken], error) {
	if err := allowed(ctx, apikey.RegistrationTokensWrite); err != nil {
		return nil, err
	}
	const longest = int64(1<<63-1) / int64(time.Second)
	life := time.Duration(min(max(in.Body.ExpiresIn, 0), longest)) * time.Second
	t, text, err := client.NewInitialToken(in.Body.Note, life, in.Body.Uses)
	if fields, ok := errors.AsType[client.FieldErrors](err); ok {
		return nil, invalid(fields)
	}
	if err != nil {
		return nil, err
	}
	err = a.change(ctx, audit.Event{Name: audit.InitialTokenAdded, Of: t.ID}, func(ctx context.Context) error {
		return a.Clients.AddInitialToken(ctx, t)
	})
	if err != nil {
		return nil, err
	}
	out := shownToken(t)
	etag := etagOf(out)
	out.Token = text
	return &Added[RegistrationToken]{ETag: etag, Location: "/v1/registration-tokens/" + t.ID, Body: out}, nil
}

// RemoveRegistrationToken removes a token.
func (a *API) RemoveRegistrationToken(ctx context.Context, in *RegistrationTokenID) (*Reply[RegistrationToken], error) {
	if err := allowed(ctx, apikey.RegistrationTokensWrite); err != nil {
		return nil, err
	}
	unknown := refused(http.StatusNotFound, "there is no registration token %s", in.ID)
	all, err := a.Clients.InitialTokens(ctx)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(all, func(t client.InitialToken) bool { return t.ID == in.ID })
	if i < 0 {
		return nil, unknown
	}
	err = a.change(ctx, audit.Event{Name: audit.InitialTokenRemoved, Of: in.ID}, func(ctx context.Context) error {
		return a.Clients.RemoveInitialToken(ctx, in.ID)
	})
	switch {
	case errors.Is(err, client.ErrInitialToken):
		return nil, unknown
	case err != nil:
		return nil, err
	}
	return reply(shownToken(all[i])), nil
}

func shownToken(t client.InitialToken) RegistrationToken {
	return RegistrationToken{ID: t.ID, Note: t.Note, Created: t.Created.UTC(), Expires: t.Expires.UTC(), Uses: t.Left}
}
