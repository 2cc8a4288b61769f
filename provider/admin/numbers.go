// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"context"
	"errors"
	"net/http"
	"time"

	"calleridp/provider/apikey"
	"calleridp/provider/audit"
	"calleridp/provider/subject"

	"github.com/danielgtaylor/huma/v2"
)

// Recycling is a number of which an operator says that somebody else has it since a day.
type Recycling struct {
	Once
	Body struct {
		Number string `json:"number" doc:"As the user would type it, or with +."`
		Since  string `json:"since" format:"date" doc:"The day (UTC) on which it was given to somebody else, or taken from its user."`
	}
}

// Recycled is the user who has lost a number.
type Recycled struct {
	Sub    string `json:"sub"`
	Number string `json:"number" doc:"Masked."`
}

func (a *API) numbers() {
	register(a, huma.Operation{
		OperationID: "recycle-number", Method: http.MethodPost, Path: "/v1/numbers/recycle", Tags: []string{"Users"},
		Summary: "Say that a number was recycled",
		Description: "Its user loses it and is signed out, and applications with a stream of events are told, as if somebody else had signed in with it. " +
			"A number that was verified on that day or later is refused.",
		Errors: []int{http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity},
	}, apikey.UsersWrite, a.RecycleNumber)
}

// RecycleNumber has the user of a number lose it.
func (a *API) RecycleNumber(ctx context.Context, in *Recycling) (*Reply[Recycled], error) {
	if err := allowed(ctx, apikey.UsersWrite); err != nil {
		return nil, err
	}
	since, err := time.Parse(time.DateOnly, in.Body.Since)
	if err != nil || since.After(time.Now()) {
		return nil, refused(http.StatusUnprocessableEntity, "since must be a day like 2026-11-30, and not in the future (got %q)", in.Body.Since)
	}
	n, err := a.number(in.Body.Number)
	if err != nil {
		return nil, err
	}
	p, err := a.People.PersonOf(ctx, n)
	if err == nil {
		err = subject.Recycled(p, since)
	}
	if err == nil {
		err = a.change(ctx, audit.Event{Name: audit.NumberRecycled, Subject: p.Sub, Number: n, Reason: "operator"}, func(ctx context.Context) error {
			_, err := a.People.RecycleNumber(ctx, n, since)
			return err
		})
	}
	switch {
	case errors.Is(err, subject.ErrNotFound):
		return nil, refused(http.StatusNotFound, "no user has %s", n.Masked())
	case errors.Is(err, subject.ErrVerifiedSince):
		return nil, refused(http.StatusConflict, "Truecaller has vouched for %s on %s: it is its user's", n.Masked(), p.VerifiedAt.UTC().Format(time.DateOnly))
	case err != nil:
		return nil, err
	}
	return reply(Recycled{Sub: p.Sub, Number: n.Masked()}), nil
}
