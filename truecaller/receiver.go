// SPDX-License-Identifier: Apache-2.0

package truecaller

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// ReceiverConfig is what a Receiver needs. The first six are required.
type ReceiverConfig struct {
	Apps      map[string]App // by App.ID; each must pass App.Validate
	Inbox     Inbox
	Recipient Recipient
	Client    *Client
	Log       *slog.Logger
	Callbacks CallbackLog // for callbacks that no attempt waits for

	From     func(*http.Request) string // the sender, for the log; nil: the connection's address
	Observer CallbackObserver           // if nil, callbacks are not counted
	// Trace returns ctx for work on a callback for which an attempt waits. If nil, ctx is
	// as it was.
	Trace func(ctx context.Context, c Callback) context.Context
}

// Receiver receives Truecaller's callbacks. It is an http.Handler for
// {prefix}{app}/{secret}, with a worker behind it (Run).
type Receiver struct {
	cfg     ReceiverConfig
	prefix  string
	read    time.Duration // readTimeout, shorter in tests
	fresh   chan Delivery // to the worker; when it is full, the worker finds them in the inbox
	work    *inProgress
	slots   map[string]chan struct{} // by profile host: one for each request at a time
	secrets *secretBook
	early   *early
	recheck chan struct{} // see Recheck
	last    atomic.Int64  // see LastCallback; nanoseconds since 1970, 0: none
}

// NewReceiver returns a receiver for callbacks below prefix, such as "/callback/".
func NewReceiver(prefix string, c ReceiverConfig) (*Receiver, error) {
	if len(c.Apps) == 0 || c.Inbox == nil || c.Recipient == nil || c.Client == nil || c.Log == nil || c.Callbacks == nil {
		return nil, errors.New("truecaller: a receiver needs Apps, Inbox, Recipient, Client, Log and Callbacks")
	}
	if c.From == nil {
		c.From = func(r *http.Request) string { return r.RemoteAddr }
	}
	if c.Observer == nil {
		c.Observer = unobserved{}
	}
	if c.Trace == nil {
		c.Trace = func(ctx context.Context, _ Callback) context.Context { return ctx }
	}
	rc := &Receiver{
		cfg:     c,
		prefix:  prefix,
		read:    readTimeout,
		fresh:   make(chan Delivery, 256),
		work:    newInProgress(),
		slots:   map[string]chan struct{}{},
		secrets: newSecretBook(c.Apps),
		early:   newEarly(),
		recheck: make(chan struct{}, 1),
	}
	for id, app := range c.Apps {
		if id != app.ID {
			return nil, fmt.Errorf("truecaller: app %q is registered under the id %q", app.ID, id)
		}
		if invalid := app.Validate(); invalid != nil {
			return nil, fmt.Errorf("truecaller: app %q: %w", id, invalid)
		}
		for _, base := range app.Profiles {
			rc.slots[base.Host] = make(chan struct{}, fetchesPerHost)
		}
	}
	return rc, nil
}

const (
	// readTimeout bounds how long a slow sender may hold a connection.
	readTimeout = 5 * time.Second
	// keepTimeout bounds how long storing may take. Truecaller waits three
	// seconds for the response (docs/truecaller.md section 1).
	keepTimeout = 2500 * time.Millisecond
)

// ServeHTTP responds to a callback (invariant 4): with 200 if it is well-formed, whether
// or not an attempt waits for it; with 4xx if it is malformed; with 500 only if it could
// not be stored, so that Truecaller sends it again. Only a POST changes anything.
func (rc *Receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// First, because the server reads what a handler leaves unread. Not every writer
	// supports it; the server has its own limits.
	http.NewResponseController(w).SetReadDeadline(time.Now().Add(rc.read))
	w.Header().Set("Cache-Control", "no-store")
	begun := time.Now()
	ctx, app, outcome, err := rc.take(w, r)
	rc.cfg.Observer.Callback(ctx, app, outcome, time.Since(begun))
	rc.note(r, app, outcome, err)
	answer := callbackAnswers[outcome]
	if answer.status == http.StatusOK {
		rc.last.Store(begun.UnixNano())
		w.WriteHeader(http.StatusOK)
		return
	}
	http.Error(w, answer.text, answer.status)
}

// LastCallback returns when this server received the last callback that it took, the zero
// time if there was none since its start. A malformed one, and one at a wrong path, are none.
func (rc *Receiver) LastCallback() time.Time {
	at := rc.last.Load()
	if at == 0 {
		return time.Time{}
	}
	return time.Unix(0, at)
}

// take processes a callback without responding to it. ctx is that of the request, or of
// the attempt that waits for it; err is the cause of CallbackNotKept.
func (rc *Receiver) take(w http.ResponseWriter, r *http.Request) (ctx context.Context, app string, o CallbackOutcome, err error) {
	ctx = r.Context()
	app, ok := rc.app(ctx, strings.TrimPrefix(r.URL.Path, rc.prefix))
	if !ok {
		return ctx, "", CallbackWrongPath, nil
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return ctx, app, CallbackWrongMethod, nil
	}
	// No decompression: a small body must not become a large one.
	for _, encoding := range r.Header.Values("Content-Encoding") {
		if encoding != "" && !strings.EqualFold(encoding, "identity") {
			return ctx, app, CallbackCompressed, nil
		}
	}
	body, o := readCallback(w, r)
	if o != "" {
		return ctx, app, o, nil
	}
	c, err := ParseCallback(body)
	if err != nil {
		return ctx, app, CallbackMalformed, nil
	}
	ctx, o, err = rc.keep(ctx, app, c)
	return ctx, app, o, err
}

// readCallback returns the body, or the outcome of a body that it rejects.
func readCallback(w http.ResponseWriter, r *http.Request) (body []byte, o CallbackOutcome) {
	if r.ContentLength > MaxCallback {
		w.Header().Set("Connection", "close") // the rest is not read
		return nil, CallbackTooLarge
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxCallback))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return nil, CallbackTooLarge
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, CallbackSlow
	case err != nil:
		return nil, CallbackCutOff
	}
	return body, ""
}

// keep stores a callback for which an attempt waits, and hands it to the worker. It
// goes on if the sender disconnects. It returns of, or its successor for the attempt.
func (rc *Receiver) keep(of context.Context, app string, c Callback) (context.Context, CallbackOutcome, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(of), keepTimeout)
	defer cancel()
	expected, err := rc.cfg.Recipient.Expects(ctx, app, c)
	if err != nil {
		return of, CallbackNotKept, err
	}
	d := Delivery{ID: deliveryID(app, c), App: app, Received: time.Now(), Callback: c}
	due := []Delivery{d}
	if !expected && rc.mayBeEarly(app, c) {
		// The attempt may have been stored between Expects and put.
		rc.early.put(d)
		if expected, err = rc.cfg.Recipient.Expects(ctx, app, c); err != nil {
			return of, CallbackNotKept, err
		}
		if expected {
			// Earlier callbacks of this requestId are due as well: take removes them, so
			// that Arrived will not find them.
			due = append(rc.early.take(c.RequestID, time.Now()), d)
		}
	}
	if !expected {
		return of, CallbackUnknown, nil
	}
	of = rc.cfg.Trace(of, c)
	ctx, cancel = context.WithTimeout(context.WithoutCancel(of), keepTimeout)
	defer cancel()
	for _, d := range due {
		held, err := rc.cfg.Inbox.PutDelivery(ctx, d)
		if err != nil {
			return of, CallbackNotKept, err
		}
		if !held { // another process works on it
			continue
		}
		select {
		case rc.fresh <- d:
		default: // the worker is behind; its sweep of the inbox finds it
		}
	}
	return of, CallbackKept, nil
}

// deliveryID returns the same ID for equal callbacks, so that a callback that is sent
// three times is one delivery.
func deliveryID(app string, c Callback) string {
	h := sha256.New()
	for _, part := range []string{app, c.RequestID, c.State, c.AccessToken, c.Endpoint, c.Status} {
		var size [4]byte
		binary.BigEndian.PutUint32(size[:], uint32(len(part)))
		h.Write(size[:])
		io.WriteString(h, part)
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:16])
}

// app returns the ID of the Truecaller app in a callback path. ok is false if the path
// has none of its secrets.
func (rc *Receiver) app(ctx context.Context, rest string) (id string, ok bool) {
	id, secret, _ := strings.Cut(rest, "/")
	now := time.Now()
	if rc.secrets.opens(id, secret, now) || rc.secrets.ask(ctx, id, now) && rc.secrets.opens(id, secret, now) {
		return id, true
	}
	return "", false
}
