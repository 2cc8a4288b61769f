// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"context"
	"net/http"
	"time"

	"calleridp/provider/apikey"
	"calleridp/provider/audit"
	"calleridp/provider/notify"
	"calleridp/provider/signals"

	"github.com/danielgtaylor/huma/v2"
)

// Streams are the event streams of clients. *bolt.Store is one.
type Streams interface {
	Streams(ctx context.Context) ([]signals.Stream, error)
	ChangeStream(ctx context.Context, clientID string, change func(known *signals.Stream) (signals.Update, error)) (signals.Update, error)
}

// Stream is a client's event stream, and how its deliveries stand.
type Stream struct {
	Client      string    `json:"client_id"`
	ID          string    `json:"stream_id"`
	Method      string    `json:"method" doc:"urn:ietf:rfc:8935 (push) or urn:ietf:rfc:8936 (poll)."`
	Endpoint    string    `json:"endpoint_url,omitempty" doc:"Where events are pushed to."`
	Events      []string  `json:"events_delivered"`
	Description string    `json:"description,omitempty"`
	Status      string    `json:"status" doc:"enabled, paused or disabled."`
	Reason      string    `json:"reason,omitempty"`
	By          string    `json:"set_by" doc:"Who has set the status: receiver, operator or transmitter."`
	Created     time.Time `json:"created"`
	Waiting     int       `json:"waiting"`
	Oldest      time.Time `json:"oldest,omitzero" doc:"When what the first one is about happened."`
	Failures    int       `json:"failures" doc:"In a row."`
	Next        time.Time `json:"next_try_at,omitzero" doc:"Absent: at once, or when the receiver polls."`
	Delivered   time.Time `json:"delivered_at,omitzero" doc:"The last push."`
	Failed      time.Time `json:"failed_at,omitzero" doc:"The last push."`
	Failure     string    `json:"failure,omitempty" doc:"Why that failed."`
}

func (a *API) streams() {
	tags := []string{"Streams"}
	register(a, huma.Operation{
		OperationID: "list-streams", Method: http.MethodGet, Path: "/v1/streams", Tags: tags,
		Summary: "List the event streams of clients", Description: "What waits for each, and how deliveries went.",
	}, apikey.NoticesRead, a.ListStreams)
	register(a, huma.Operation{
		OperationID: "show-stream", Method: http.MethodGet, Path: "/v1/streams/{id}", Tags: tags,
		Summary: "Show the event stream of a client", Errors: []int{http.StatusNotFound},
	}, apikey.NoticesRead, a.ShowStream)
	register(a, huma.Operation{
		OperationID: "pause-stream", Method: http.MethodPost, Path: "/v1/streams/{id}/pause", Tags: tags,
		Summary: "Pause the event stream of a client", Description: "Events are held. The receiver is told, and cannot end it.", Errors: []int{http.StatusNotFound},
	}, apikey.NoticesWrite, a.PauseStream)
	register(a, huma.Operation{
		OperationID: "resume-stream", Method: http.MethodPost, Path: "/v1/streams/{id}/resume", Tags: tags,
		Summary: "Resume the event stream of a client", Description: "What is held follows, and is tried at once.", Errors: []int{http.StatusNotFound},
	}, apikey.NoticesWrite, a.ResumeStream)
	register(a, huma.Operation{
		OperationID: "remove-stream", Method: http.MethodDelete, Path: "/v1/streams/{id}", Tags: tags,
		Summary: "Remove the event stream of a client", Description: "With what waits for it. The client may create another one.", Errors: []int{http.StatusNotFound},
	}, apikey.NoticesWrite, a.RemoveStream)
}

// allStreams returns the streams with how their deliveries stand.
func (a *API) allStreams(ctx context.Context) ([]Stream, error) {
	all, err := a.Streams.Streams(ctx)
	if err != nil {
		return nil, err
	}
	standings, err := a.Notices.Receivers(ctx)
	if err != nil {
		return nil, err
	}
	of := map[string]notify.Standing{}
	for _, s := range standings {
		of[s.ID] = s
	}
	out := make([]Stream, 0, len(all))
	for _, s := range all {
		stands := of[signals.Lane(s.ClientID)]
		out = append(out, Stream{
			Client:      s.ClientID,
			ID:          s.ID,
			Method:      string(s.Method),
			Endpoint:    s.Endpoint,
			Events:      signals.URIs(s.Delivered()),
			Description: s.Description,
			Status:      string(s.Status),
			Reason:      s.Reason,
			By:          string(s.By),
			Created:     s.Created.UTC(),
			Waiting:     stands.Waiting,
			Oldest:      stands.Oldest,
			Failures:    int(stands.Failures),
			Next:        stands.Next,
			Delivered:   stands.Delivered,
			Failed:      stands.Failed,
			Failure:     stands.Reason,
		})
	}
	return out, nil
}

// ListStreams returns a page of the streams.
func (a *API) ListStreams(ctx context.Context, in *Paging) (*Reply[Page[Stream]], error) {
	if err := allowed(ctx, apikey.NoticesRead); err != nil {
		return nil, err
	}
	all, err := a.allStreams(ctx)
	if err != nil {
		return nil, err
	}
	page, err := pageOf(all, *in, func(s Stream) string { return s.Client })
	if err != nil {
		return nil, err
	}
	return reply(page), nil
}

// ShowStream returns the stream of a client.
func (a *API) ShowStream(ctx context.Context, in *ClientRef) (*Reply[Stream], error) {
	if err := allowed(ctx, apikey.NoticesRead); err != nil {
		return nil, err
	}
	s, err := a.stream(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return reply(s), nil
}

func (a *API) stream(ctx context.Context, clientID string) (Stream, error) {
	all, err := a.allStreams(ctx)
	if err != nil {
		return Stream{}, err
	}
	for _, s := range all {
		if s.Client == clientID {
			return s, nil
		}
	}
	return Stream{}, refused(http.StatusNotFound, "client %s has no event stream", clientID)
}

// PauseStream has a stream hold its events.
func (a *API) PauseStream(ctx context.Context, in *ClientAction) (*Reply[Stream], error) {
	return a.switchStream(ctx, in.ID, audit.StreamStopped, func(s signals.Stream) signals.Update {
		return signals.Stopped(s, signals.ByOperator, "paused by an operator of the transmitter", time.Now())
	})
}

// ResumeStream has it carry events again.
func (a *API) ResumeStream(ctx context.Context, in *ClientAction) (*Reply[Stream], error) {
	return a.switchStream(ctx, in.ID, audit.StreamResumed, func(s signals.Stream) signals.Update {
		return signals.Resumed(s, signals.ByOperator, time.Now())
	})
}

// RemoveStream deletes a stream, and returns it as it was.
func (a *API) RemoveStream(ctx context.Context, in *ClientRef) (*Reply[Stream], error) {
	if err := allowed(ctx, apikey.NoticesWrite); err != nil {
		return nil, err
	}
	was, err := a.stream(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	err = a.changeStream(ctx, in.ID, audit.StreamRemoved, func(signals.Stream) signals.Update { return signals.Update{Drop: true} })
	if err != nil {
		return nil, err
	}
	return reply(was), nil
}

func (a *API) switchStream(ctx context.Context, clientID string, name audit.Name, to func(signals.Stream) signals.Update) (*Reply[Stream], error) {
	if err := allowed(ctx, apikey.NoticesWrite); err != nil {
		return nil, err
	}
	if _, err := a.stream(ctx, clientID); err != nil {
		return nil, err
	}
	if err := a.changeStream(ctx, clientID, name, to); err != nil {
		return nil, err
	}
	s, err := a.stream(ctx, clientID)
	if err != nil {
		return nil, err
	}
	return reply(s), nil
}

func (a *API) changeStream(ctx context.Context, clientID string, name audit.Name, to func(signals.Stream) signals.Update) error {
	return a.change(ctx, audit.Event{Name: name, Client: clientID}, func(ctx context.Context) error {
		_, err := a.Streams.ChangeStream(ctx, clientID, func(known *signals.Stream) (signals.Update, error) {
			if known == nil { // its receiver has deleted it meanwhile
				return signals.Update{}, refused(http.StatusNotFound, "client %s has no event stream", clientID)
			}
			return to(*known), nil
		})
		return err
	})
}
