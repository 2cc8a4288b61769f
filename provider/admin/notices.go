package admin

import (
	"context"
	"errors"
	"net/http"
	"time"

	"calleridp/provider/audit"
	"calleridp/provider/notify"

	"github.com/go-chi/chi/v5"
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
	Oldest    time.Time `json:"oldest,omitzero"`       // when what the first one is about happened
	Failures  int       `json:"failures"`              // in a row
	Next      time.Time `json:"next_try_at,omitzero"`  // zero: at once
	Delivered time.Time `json:"delivered_at,omitzero"` // the last one
	Failed    time.Time `json:"failed_at,omitzero"`    // the last one
	Reason    string    `json:"reason,omitempty"`      // why that failed
}

// Dropped is how many notices were deleted.
type Dropped struct {
	Client string `json:"client_id"`
	Number int    `json:"dropped"`
}

func (h *handler) listNotices(r *http.Request) (int, any, error) {
	all, err := h.Notices.Receivers(r.Context())
	if err != nil {
		return 0, nil, err
	}
	out := []Receiver{}
	for _, s := range all {
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
	return http.StatusOK, out, nil
}

func (h *handler) retryNotices(r *http.Request) (int, any, error) {
	id := chi.URLParam(r, "id")
	err := h.Notices.RetryReceiver(r.Context(), id)
	if errors.Is(err, notify.ErrNotFound) {
		return 0, nil, refused{http.StatusNotFound, "nothing was ever sent to a client " + id}
	}
	if err != nil {
		return 0, nil, err
	}
	h.Audit.Record(r.Context(), audit.Event{Name: audit.NoticesRetried, Client: id})
	return http.StatusOK, Receiver{Client: id}, nil
}

func (h *handler) dropNotices(r *http.Request) (int, any, error) {
	id := chi.URLParam(r, "id")
	n, err := h.Notices.DropNotices(r.Context(), id)
	if err != nil {
		return 0, nil, err
	}
	h.Audit.Record(r.Context(), audit.Event{Name: audit.NoticesDropped, Client: id})
	return http.StatusOK, Dropped{Client: id, Number: n}, nil
}
