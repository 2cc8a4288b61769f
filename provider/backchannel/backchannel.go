// SPDX-License-Identifier: Apache-2.0

// Package backchannel tells applications that a session has ended, with a logout token
// over a direct request (OpenID Connect Back-Channel Logout 1.0). It makes the token at each
// delivery; package notify decides when there is one.
package backchannel

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"calleridp/provider/audit"
	"calleridp/provider/client"
	"calleridp/provider/endpoint"
	"calleridp/provider/fetch"
	"calleridp/provider/idtoken"
	"calleridp/provider/notify"
)

const (
	// tokenType is the typ of a logout token (§2.4).
	tokenType = "logout+jwt"
	// event is the member of events (§2.4).
	event = "http://schemas.openid.net/event/backchannel-logout"
	// lifetime of a logout token: at most two minutes (§4).
	lifetime = 2 * time.Minute
	// sendFor is how long one try takes at most: less than notify.Held.
	sendFor = 6 * time.Second
)

// Clients knows the relying parties. *client.Registry is one.
type Clients interface {
	// Client returns the client with this id, or client.ErrNotFound.
	Client(ctx context.Context, id string) (client.Client, error)
}

// Poster sends forms to what clients have registered. *fetch.Client is one.
type Poster interface {
	Post(ctx context.Context, address string, form url.Values) (fetch.Reply, error)
}

// Config is what a Channel needs. Everything is required.
type Config struct {
	Issuer  string
	Keys    idtoken.Keys
	Tokens  *idtoken.Issuer // knows sub and sid as the client knows them
	Clients Clients
	Post    Poster
	Audit   audit.Recorder
	Log     *slog.Logger
}

// Channel sends logout tokens. It is a notify.Sender for notify.Logout.
type Channel struct{ cfg Config }

// New returns a Channel.
func New(cfg Config) *Channel { return &Channel{cfg: cfg} }

// Metadata implements endpoint.Describer (§2.1).
func (ch *Channel) Metadata() endpoint.Metadata {
	return endpoint.Metadata{
		{Name: "backchannel_logout_supported", Value: true},
		{Name: "backchannel_logout_session_supported", Value: true},
	}
}

// Stranger implements notify.Sender.
func (ch *Channel) Stranger(ctx context.Context, receiver string) bool {
	c, err := ch.cfg.Clients.Client(ctx, receiver)
	return err == nil && c.Registration != nil
}

// logoutToken is the payload of a logout token (§2.4). It never has a nonce, so that it is
// no ID token.
type logoutToken struct {
	Issuer   string              `json:"iss"`
	Subject  string              `json:"sub"`
	Audience string              `json:"aud"`
	IssuedAt int64               `json:"iat"`
	Expires  int64               `json:"exp"`
	ID       string              `json:"jti"`
	Events   map[string]struct{} `json:"events"`
	SID      string              `json:"sid,omitempty"`
}

// Send implements notify.Sender.
func (ch *Channel) Send(ctx context.Context, n notify.Notice) notify.Result {
	c, err := ch.cfg.Clients.Client(ctx, n.Receiver)
	switch {
	case errors.Is(err, client.ErrNotFound):
		return dropped("the client was removed")
	case err != nil:
		ch.cfg.Log.Error("the client of a notice could not be read; the notice waits", "client", n.Receiver, "error", err)
		return failed("the store failed", 0)
	case c.RegisteredAfter(n.Met): // an earlier client of this ID: it is none of this one's business
		return dropped("the client was removed")
	case c.BackChannel.LogoutURI == "":
		return dropped("the client has no backchannel_logout_uri")
	case n.SID == "" && c.BackChannel.SessionRequired: // §2.2
		return dropped("the client needs a session, and its access belongs to none")
	}
	token, err := ch.token(c, n, time.Now())
	if err != nil {
		ch.cfg.Log.Error("a logout token could not be created; its notice waits", "client", n.Receiver, "error", err)
		return failed("no token could be signed", 0)
	}
	trying, cancel := context.WithTimeout(ctx, sendFor)
	defer cancel()
	reply, err := ch.cfg.Post.Post(trying, c.BackChannel.LogoutURI, url.Values{"logout_token": {token}})
	if err != nil {
		return failed(err.Error(), 0)
	}
	return resultOf(reply)
}

// resultOf says what a response means (§2.8).
func resultOf(reply fetch.Reply) notify.Result {
	switch reply.Status {
	case http.StatusOK, http.StatusNoContent: // some frameworks send 204 in the place of 200
		return notify.Result{Outcome: notify.Delivered}
	case http.StatusBadRequest:
		return notify.Result{Outcome: notify.Refused, Reason: "status 400: the application refused the logout token"}
	}
	return failed(fmt.Sprintf("status %d", reply.Status), reply.RetryAfter)
}

// token signs a logout token, with the algorithm of the client's ID tokens (§2.6 has the
// client expect that).
func (ch *Channel) token(c client.Client, n notify.Notice, now time.Time) (string, error) {
	payload, err := json.Marshal(logoutToken{
		Issuer:   ch.cfg.Issuer,
		Subject:  ch.cfg.Tokens.Subject(c, n.Sub),
		Audience: c.ID,
		IssuedAt: now.Unix(),
		Expires:  now.Add(lifetime).Unix(),
		ID:       n.ID,
		Events:   map[string]struct{}{event: {}},
		SID:      ch.cfg.Tokens.SID(c, n.SID),
	})
	if err != nil {
		return "", err
	}
	return ch.cfg.Keys.Sign(c.SigningAlg(), tokenType, payload)
}

// Ended implements notify.Sender: it records what became of a notice.
func (ch *Channel) Ended(ctx context.Context, n notify.Notice, res notify.Result) {
	name, recorded := map[notify.Outcome]audit.Name{
		notify.Delivered: audit.LogoutDelivered,
		notify.Refused:   audit.LogoutRefused,
		notify.Abandoned: audit.LogoutAbandoned,
	}[res.Outcome]
	if recorded {
		ch.cfg.Audit.Record(ctx, audit.Event{Name: name, Client: n.Receiver, Subject: n.Sub, Session: n.SID, Reason: res.Reason})
	}
}

func dropped(reason string) notify.Result {
	return notify.Result{Outcome: notify.Dropped, Reason: reason}
}

func failed(reason string, after time.Duration) notify.Result {
	return notify.Result{Outcome: notify.Failed, Reason: reason, RetryAfter: after}
}
