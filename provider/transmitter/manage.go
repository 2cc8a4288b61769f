// SPDX-License-Identifier: Apache-2.0

package transmitter

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"calleridp/keys"
	"calleridp/provider/audit"
	"calleridp/provider/client"
	"calleridp/provider/endpoint"
	"calleridp/provider/notify"
	"calleridp/provider/signals"

	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// standing is the status of a stream (SSF §8.1.2).
type standing struct {
	ID     string         `json:"stream_id"`
	Status signals.Status `json:"status"`
	Reason string         `json:"reason,omitempty"`
}

func (t *Transmitter) status(r *http.Request, c client.Client) (any, error) {
	s, err := t.streamOf(r.Context(), c, r.URL.Query().Get("stream_id"))
	if err != nil {
		return nil, err
	}
	return standing{s.ID, s.Status, s.Reason}, nil
}

// setStatus sets the status (SSF §8.1.2.2). A receiver cannot end an operator's pause.
func (t *Transmitter) setStatus(r *http.Request, c client.Client) (any, error) {
	var in standing
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	switch in.Status {
	case signals.Enabled, signals.Paused, signals.Disabled:
	default:
		return nil, invalid("status must be enabled, paused or disabled")
	}
	if len(in.Reason) > signals.MaxText {
		return nil, invalid("reason is too long")
	}
	now := time.Now()
	s, err := t.change(r.Context(), c, in.ID, func(s signals.Stream) (signals.Update, error) {
		if s.HeldByOperator() {
			return signals.Update{}, held()
		}
		s.Status, s.Reason, s.By, s.Changed = in.Status, in.Reason, signals.ByReceiver, now
		return signals.Update{Stream: &s, Drop: s.Status == signals.Disabled}, nil
	})
	if err != nil {
		return nil, err
	}
	t.record(r, audit.StreamChanged, c)
	return standing{s.ID, s.Status, s.Reason}, nil
}

// subjectChange is a receiver's wish to hear of a subject, or not to.
type subjectChange struct {
	ID      string `json:"stream_id"`
	Subject *struct {
		Format  string `json:"format"`
		Issuer  string `json:"iss"`
		Subject string `json:"sub"`
	} `json:"subject"`
}

// hash returns the keyed hash by which a subject of a client is stored, and false for a
// subject that no event here has: only iss_sub of this issuer can be one (RFC 9493 §3.2.3).
func (t *Transmitter) hash(c client.Client, in subjectChange) (hash [32]byte, can bool) {
	if in.Subject.Format != "iss_sub" || in.Subject.Issuer != t.cfg.Issuer || in.Subject.Subject == "" {
		return hash, false
	}
	return t.subjectHash(c, in.Subject.Subject), true
}

// subjectHash returns the keyed hash of a sub as the client knows it.
func (t *Transmitter) subjectHash(c client.Client, sub string) [32]byte {
	return t.cfg.Master.MAC(keys.PurposeSignalSubject, []byte(c.ID), []byte(sub))
}

// readSubject reads a subjectChange, and checks that its stream is the client's.
func (t *Transmitter) readSubject(r *http.Request, c client.Client) (in subjectChange, err error) {
	if err := decode(r, &in); err != nil {
		return in, err
	}
	if in.Subject == nil || in.Subject.Format == "" {
		return in, invalid("subject must be a subject identifier with a format (RFC 9493)")
	}
	_, err = t.streamOf(r.Context(), c, in.ID)
	return in, err
}

// addSubject has a stream carry events about a subject again (SSF §8.1.3.2). Its response is
// the same whether there is such a user or not (§9.1).
func (t *Transmitter) addSubject(r *http.Request, c client.Client) (any, error) {
	in, err := t.readSubject(r, c)
	if err != nil {
		return nil, err
	}
	if hash, can := t.hash(c, in); can {
		if err := t.cfg.Store.AddSubject(r.Context(), c.ID, hash); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// removeSubject has it carry none (SSF §8.1.3.3).
func (t *Transmitter) removeSubject(r *http.Request, c client.Client) (any, error) {
	in, err := t.readSubject(r, c)
	if err != nil {
		return nil, err
	}
	if hash, can := t.hash(c, in); can {
		err := t.cfg.Store.RemoveSubject(r.Context(), c.ID, hash)
		if errors.Is(err, signals.ErrTooMany) {
			return nil, refusal(http.StatusTooManyRequests, "invalid_request", "too many subjects are removed from the stream; add some again")
		}
		if err != nil {
			return nil, err
		}
	}
	return endpoint.Answer{Status: http.StatusNoContent}, nil
}

// verify has a verification event sent (SSF §8.1.4.2).
func (t *Transmitter) verify(r *http.Request, c client.Client) (any, error) {
	var in struct {
		ID    string  `json:"stream_id"`
		State *string `json:"state"`
	}
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	body := map[string]string{}
	if in.State != nil {
		body["state"] = *in.State
	}
	if len(body["state"]) > signals.MaxState {
		return nil, invalid("state is too long")
	}
	detail, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	_, err = t.change(r.Context(), c, in.ID, func(s signals.Stream) (signals.Update, error) {
		if wait := s.Verified.Add(signals.VerifyEvery).Sub(now); wait > 0 && wait <= signals.VerifyEvery {
			return signals.Update{}, &endpoint.Refusal{
				Status:     http.StatusTooManyRequests,
				OAuth:      oidc.ErrInvalidRequest().WithDescription("wait for min_verification_interval seconds between two requests"),
				RetryAfter: wait,
			}
		}
		s.Verified = now
		about := signals.About(signals.Verification, c.ID, now, string(detail))
		return signals.Update{Stream: &s, Tell: []notify.Notice{about}}, nil
	})
	if err != nil {
		return nil, err
	}
	return endpoint.Answer{Status: http.StatusNoContent}, nil
}
