// SPDX-License-Identifier: Apache-2.0

package transmitter

import (
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"time"

	"calleridp/keys"
	"calleridp/provider/audit"
	"calleridp/provider/client"
	"calleridp/provider/endpoint"
	"calleridp/provider/fetch"
	"calleridp/provider/redact"
	"calleridp/provider/signals"
)

// configuration is a stream as its receiver reads it (SSF §8.1.1).
type configuration struct {
	ID          string   `json:"stream_id"`
	Issuer      string   `json:"iss"`
	Audience    string   `json:"aud"`
	Supported   []string `json:"events_supported"`
	Requested   []string `json:"events_requested,omitempty"`
	Delivered   []string `json:"events_delivered"`
	Delivery    delivery `json:"delivery"`
	VerifyEvery int64    `json:"min_verification_interval"`
	Description string   `json:"description,omitempty"`
}

// delivery is how events reach the receiver (SSF §6.1). The value of its header is not shown.
type delivery struct {
	Method   signals.Method `json:"method"`
	Endpoint string         `json:"endpoint_url"`
}

func (t *Transmitter) shown(c client.Client, s signals.Stream) configuration {
	out := configuration{
		ID:          s.ID,
		Issuer:      t.cfg.Issuer,
		Audience:    c.ID,
		Supported:   signals.URIs(signals.Supported),
		Requested:   s.Requested,
		Delivered:   signals.URIs(s.Delivered()),
		Delivery:    delivery{s.Method, s.Endpoint},
		VerifyEvery: int64(signals.VerifyEvery / time.Second),
		Description: s.Description,
	}
	if s.Method == signals.Poll {
		out.Delivery.Endpoint = t.cfg.Issuer + endpoint.PathSSFPoll + s.ID
	}
	return out
}

// settings are what a receiver may say of its stream. nil: nothing was said.
type settings struct {
	ID        string    `json:"stream_id"`
	Requested *[]string `json:"events_requested"`
	Delivery  *struct {
		Method        signals.Method `json:"method"`
		Endpoint      string         `json:"endpoint_url"`
		Authorization *redacted      `json:"authorization_header"`
	} `json:"delivery"`
	Description *string `json:"description"`

	// What this side supplies may be there, and must be right (SSF §8.1.1.3).
	Issuer      json.RawMessage `json:"iss"`
	Audience    json.RawMessage `json:"aud"`
	Supported   json.RawMessage `json:"events_supported"`
	Delivered   json.RawMessage `json:"events_delivered"`
	VerifyEvery json.RawMessage `json:"min_verification_interval"`
}

// redacted is a secret in a request.
type redacted redact.Text

// UnmarshalJSON implements json.Unmarshaler.
func (s *redacted) UnmarshalJSON(raw []byte) error {
	var text string
	err := json.Unmarshal(raw, &text)
	*s = redacted(text)
	return err
}

// apply returns the stream with what a receiver has said of it. With whole, what was not said
// is as in a new stream.
func (in settings) apply(s signals.Stream, whole bool) (signals.Stream, error) {
	if whole {
		s.Requested, s.AllRequested, s.Description = nil, true, ""
	}
	if in.Requested != nil {
		s.Requested, s.AllRequested = *in.Requested, false
		if len(s.Requested) > signals.MaxRequested {
			return s, invalid("events_requested has too many members")
		}
		for _, uri := range s.Requested {
			if len(uri) > signals.MaxText {
				return s, invalid("a member of events_requested is too long")
			}
		}
	}
	if in.Description != nil {
		if s.Description = *in.Description; len(s.Description) > signals.MaxText {
			s.Description = strings.ToValidUTF8(s.Description[:signals.MaxText], "")
		}
	}
	if in.Delivery == nil {
		if whole {
			s.Method, s.Endpoint, s.Authorization = signals.Poll, "", ""
		}
		return s, nil
	}
	switch d := in.Delivery; d.Method {
	case signals.Poll: // whose address is ours
		s.Method, s.Endpoint, s.Authorization = signals.Poll, "", ""
	case signals.Push:
		if fetch.CheckPost(d.Endpoint) != nil {
			return s, invalid("delivery.endpoint_url must be an https URL without user and fragment, or http on loopback")
		}
		switch {
		case d.Authorization != nil:
			s.Authorization = redact.Text(*d.Authorization)
		case s.Method != signals.Push || s.Endpoint != d.Endpoint: // a secret stays with the address it is for
			s.Authorization = ""
		}
		if len(s.Authorization) > signals.MaxHeader || strings.ContainsFunc(string(s.Authorization), func(r rune) bool { return r < ' ' || r > '~' }) {
			return s, invalid("delivery.authorization_header is not the value of a header (RFC 9110 section 5.5)")
		}
		s.Method, s.Endpoint = signals.Push, d.Endpoint
	default:
		return s, invalid("delivery.method must be urn:ietf:rfc:8935 or urn:ietf:rfc:8936")
	}
	return s, nil
}

// agrees returns an error if a member that this side supplies is there and not as it is.
func (in settings) agrees(is configuration) error {
	for _, member := range []struct {
		name string
		said json.RawMessage
		is   any
	}{
		{"iss", in.Issuer, is.Issuer},
		{"aud", in.Audience, is.Audience},
		{"events_supported", in.Supported, is.Supported},
		{"events_delivered", in.Delivered, is.Delivered},
		{"min_verification_interval", in.VerifyEvery, is.VerifyEvery},
	} {
		if member.said == nil {
			continue
		}
		raw, err := json.Marshal(member.is)
		if err != nil {
			return err
		}
		var said, want any
		if json.Unmarshal(member.said, &said) != nil || json.Unmarshal(raw, &want) != nil {
			return invalid(member.name + " is not readable")
		}
		if list, ok := said.([]any); ok && member.name == "aud" && len(list) == 1 {
			said = list[0]
		}
		if !reflect.DeepEqual(said, want) {
			return invalid(member.name + " is supplied by the transmitter, and is another one")
		}
	}
	return nil
}

// create makes the client's stream (SSF §8.1.1.1). A client has one at most: 409.
func (t *Transmitter) create(r *http.Request, c client.Client) (any, error) {
	var in settings
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	now := time.Now()
	fresh, err := in.apply(signals.Stream{
		ID: keys.RandomText(16), ClientID: c.ID, Status: signals.Enabled, By: signals.ByReceiver, Created: now, Changed: now,
	}, true)
	if err != nil {
		return nil, err
	}
	_, err = t.cfg.Store.ChangeStream(r.Context(), c.ID, func(known *signals.Stream) (signals.Update, error) {
		if known != nil && !c.RegisteredAfter(known.Created) {
			return signals.Update{}, errExists
		}
		return signals.Update{Stream: &fresh, Drop: true}, nil
	})
	if errors.Is(err, errExists) {
		return nil, refusal(http.StatusConflict, "invalid_request", "a receiver has one stream: read and change that")
	}
	if err != nil {
		return nil, err
	}
	t.record(r, audit.StreamCreated, c)
	return endpoint.Answer{Status: http.StatusCreated, Body: t.shown(c, fresh)}, nil
}

var errExists = errors.New("transmitter: the client has a stream")

// read returns one stream, or a list of all there are: one at most (SSF §8.1.1.2).
func (t *Transmitter) read(r *http.Request, c client.Client) (any, error) {
	if query := r.URL.Query(); query.Has("stream_id") {
		s, err := t.streamOf(r.Context(), c, query.Get("stream_id"))
		if err != nil {
			return nil, err
		}
		return t.shown(c, s), nil
	}
	all := []configuration{}
	s, err := t.cfg.Store.Stream(r.Context(), c.ID)
	switch {
	case errors.Is(err, signals.ErrNotFound):
	case err != nil:
		return nil, err
	case !c.RegisteredAfter(s.Created):
		all = append(all, t.shown(c, s))
	}
	return all, nil
}

// update changes what a receiver names of its stream (SSF §8.1.1.3), replace all that is the
// receiver's (§8.1.1.4).
func (t *Transmitter) update(r *http.Request, c client.Client) (any, error) {
	return t.configure(r, c, false)
}

func (t *Transmitter) replace(r *http.Request, c client.Client) (any, error) {
	return t.configure(r, c, true)
}

func (t *Transmitter) configure(r *http.Request, c client.Client, whole bool) (any, error) {
	var in settings
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	if in.ID == "" {
		return nil, invalid("stream_id is missing")
	}
	s, err := t.change(r.Context(), c, in.ID, func(s signals.Stream) (signals.Update, error) {
		if err := in.agrees(t.shown(c, s)); err != nil {
			return signals.Update{}, err
		}
		changed, err := in.apply(s, whole)
		return signals.Update{Stream: &changed}, err
	})
	if err != nil {
		return nil, err
	}
	t.record(r, audit.StreamChanged, c)
	return t.shown(c, s), nil
}

// remove deletes a stream with what waits for it (SSF §8.1.1.5).
func (t *Transmitter) remove(r *http.Request, c client.Client) (any, error) {
	_, err := t.change(r.Context(), c, r.URL.Query().Get("stream_id"), func(s signals.Stream) (signals.Update, error) {
		if s.HeldByOperator() {
			return signals.Update{}, held() // a new stream would end the pause
		}
		return signals.Update{Drop: true}, nil
	})
	if err != nil {
		return nil, err
	}
	t.record(r, audit.StreamDeleted, c)
	return endpoint.Answer{Status: http.StatusNoContent}, nil
}

func (t *Transmitter) record(r *http.Request, name audit.Name, c client.Client) {
	t.cfg.Audit.Record(r.Context(), audit.Event{Name: name, Client: c.ID, Network: t.cfg.Addr.Network(r)})
}
