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
	"calleridp/provider/notify"
	"calleridp/provider/signals"

	"github.com/danielgtaylor/huma/v2"
)

// Notices is the queue of what clients are told. *bolt.Store is one.
type Notices interface {
	Receivers(ctx context.Context) ([]notify.Standing, error)
	RetryReceiver(ctx context.Context, receiver string) error
	DropNotices(ctx context.Context, receiver string) (int, error)
}

// Receiver is how the deliveries to a client stand.
type Receiver struct {
	Client    string    `json:"client_id"`
	Waiting   int       `json:"waiting"`
	Oldest    time.Time `json:"oldest,omitzero" doc:"When what the first one is about happened."`
	Failures  int       `json:"failures" doc:"In a row."`
	Next      time.Time `json:"next_try_at,omitzero" doc:"Absent: at once."`
	Delivered time.Time `json:"delivered_at,omitzero" doc:"The last one."`
	Failed    time.Time `json:"failed_at,omitzero" doc:"The last one."`
	Reason    string    `json:"reason,omitempty" doc:"Why that failed."`
}

// Dropped is how many notices were deleted.
type Dropped struct {
	Client string `json:"client_id"`
	Number int    `json:"dropped"`
}

func (a *API) notices() {
	register(a, huma.Operation{
		OperationID: "list-notices", Method: http.MethodGet, Path: "/v1/notices", Tags: []string{"Notices"},
		Summary: "List what waits for which client", Description: "Deliveries of logout tokens, and how they went.",
	}, apikey.NoticesRead, a.ListNotices)
	register(a, huma.Operation{
		OperationID: "retry-notices", Method: http.MethodPost, Path: "/v1/notices/{id}/retry", Tags: []string{"Notices"},
		Summary: "Try at once what waits for a client", Errors: []int{http.StatusNotFound},
	}, apikey.NoticesWrite, a.RetryNotices)
	register(a, huma.Operation{
		OperationID: "drop-notices", Method: http.MethodDelete, Path: "/v1/notices/{id}", Tags: []string{"Notices"},
		Summary: "Delete what waits for a client",
	}, apikey.NoticesWrite, a.DropNotices)
}

// ListNotices returns a page of the clients that were told something.
func (a *API) ListNotices(ctx context.Context, in *Paging) (*Reply[Page[Receiver]], error) {
	if err := allowed(ctx, apikey.NoticesRead); err != nil {
		return nil, err
	}
	all, err := a.receivers(ctx)
	if err != nil {
		return nil, err
	}
	page, err := pageOf(all, *in, func(r Receiver) string { return r.Client })
	if err != nil {
		return nil, err
	}
	return reply(page), nil
}

func (a *API) receivers(ctx context.Context) ([]Receiver, error) {
	all, err := a.Notices.Receivers(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]Receiver, 0, len(all))
	for _, s := range all {
		if _, isStream := signals.ClientOf(s.ID); isStream { // see streams.go
			continue
		}
		out = append(out, Receiver{
			Client:    s.ID,
			Waiting:   s.Waiting,
			Oldest:    s.Oldest,
			Failures:  int(s.Failures),
			Next:      s.Next,
			Delivered: s.Delivered,
			Failed:    s.Failed,
			Reason:    s.Reason,
		})
	}
	return out, nil
}

// RetryNotices has what waits for a client tried at once.
func (a *API) RetryNotices(ctx context.Context, in *ClientAction) (*Reply[Receiver], error) {
	if err := allowed(ctx, apikey.NoticesWrite); err != nil {
		return nil, err
	}
	unknown := refused(http.StatusNotFound, "nothing was ever sent to a client %s", in.ID)
	all, err := a.receivers(ctx)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(all, func(r Receiver) bool { return r.Client == in.ID }) {
		return nil, unknown
	}
	err = a.change(ctx, audit.Event{Name: audit.NoticesRetried, Client: in.ID}, func(ctx context.Context) error {
		return a.Notices.RetryReceiver(ctx, in.ID)
	})
	if errors.Is(err, notify.ErrNotFound) {
		return nil, unknown
	}
	if err != nil {
		return nil, err
	}
	return reply(Receiver{Client: in.ID}), nil
}

// DropNotices deletes what waits for a client.
func (a *API) DropNotices(ctx context.Context, in *ClientRef) (*Reply[Dropped], error) {
	if err := allowed(ctx, apikey.NoticesWrite); err != nil {
		return nil, err
	}
	n := 0
	err := a.change(ctx, audit.Event{Name: audit.NoticesDropped, Client: in.ID}, func(ctx context.Context) (err error) {
		n, err = a.Notices.DropNotices(ctx, in.ID)
		return err
	})
	if err != nil {
		return nil, err
	}
	return reply(Dropped{Client: in.ID, Number: n}), nil
}
