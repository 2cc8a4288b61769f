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
	"time"
)

// ReceiverConfig is what a Receiver needs. All fields are required.
type ReceiverConfig struct {
	Apps      map[string]App // by App.ID; each must be valid (App.Validate)
	Inbox     Inbox
	Recipient Recipient
	Client    *Client
	Log       *slog.Logger
}

// Receiver takes Truecaller's callbacks: an http.Handler for
// {prefix}{app}/{secret}, and the worker behind it (Run).
type Receiver struct {
	ReceiverConfig
	prefix  string
	read    time.Duration // readTimeout, less in tests
	fresh   chan Delivery // to the worker; when it is full, the worker finds them in the inbox
	work    *inProgress
	slots   map[string]chan struct{} // by profile host: who may make a request now
	secrets *secretBook
}

// NewReceiver makes a receiver for callbacks at prefix, "/callback/" say.
func NewReceiver(prefix string, c ReceiverConfig) (*Receiver, error) {
	if len(c.Apps) == 0 || c.Inbox == nil || c.Recipient == nil || c.Client == nil || c.Log == nil {
		return nil, errors.New("truecaller: a receiver needs Apps, Inbox, Recipient, Client and Log")
	}
	rc := &Receiver{ReceiverConfig: c, prefix: prefix, read: readTimeout, fresh: make(chan Delivery, 256), work: newInProgress(), slots: map[string]chan struct{}{}, secrets: newSecretBook(c.Apps)}
	for id, app := range c.Apps {
		if id != app.ID {
			return nil, fmt.Errorf("truecaller: app %q stands under the id %q", app.ID, id)
		}
		if err := app.Validate(); err != nil {
			return nil, err
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
	// seconds for the answer (truecaller.md section 1.6).
	keepTimeout = 2500 * time.Millisecond
)

// ServeHTTP answers a callback (invariant 4): 200 for everything well-formed,
// whether or not anybody waits for it; 4xx for malformed; 500 only when it could
// not be stored, so that Truecaller sends it again. Only a POST changes anything.
func (rc *Receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// Before anything else, because the server reads what a handler leaves. Not
	// every writer can do it; the server has limits of its own.
	http.NewResponseController(w).SetReadDeadline(time.Now().Add(rc.read))
	w.Header().Set("Cache-Control", "no-store")
	app, ok := rc.app(strings.TrimPrefix(r.URL.Path, rc.prefix))
	if !ok {
		http.NotFound(w, r)
		return
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "callbacks are POSTed", http.StatusMethodNotAllowed)
		return
	}
	// Nothing is decompressed: a small body must not become a large one.
	for _, encoding := range r.Header.Values("Content-Encoding") {
		if encoding != "" && !strings.EqualFold(encoding, "identity") {
			http.Error(w, "callbacks are not compressed", http.StatusUnsupportedMediaType)
			return
		}
	}
	body, status := readCallback(w, r)
	if status != 0 {
		http.Error(w, "the callback could not be read", status)
		return
	}
	c, err := ParseCallback(body)
	if err != nil {
		rc.Log.WarnContext(r.Context(), "malformed callback", "app", app, "bytes", len(body))
		http.Error(w, "malformed callback", http.StatusBadRequest)
		return
	}
	if err := rc.keep(r.Context(), app, c); err != nil {
		rc.Log.ErrorContext(r.Context(), "a callback could not be stored; Truecaller may send it again", "app", app, "error", err)
		http.Error(w, "not stored", http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusOK)
}

// readCallback returns the body, or the status that says why not.
func readCallback(w http.ResponseWriter, r *http.Request) (body []byte, status int) {
	if r.ContentLength > MaxCallback {
		w.Header().Set("Connection", "close") // the rest is not read
		return nil, http.StatusRequestEntityTooLarge
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxCallback))
	tooLarge := (*http.MaxBytesError)(nil)
	switch {
	case errors.As(err, &tooLarge):
		return nil, http.StatusRequestEntityTooLarge
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, http.StatusRequestTimeout
	case err != nil:
		return nil, http.StatusBadRequest
	}
	return body, 0
}

// keep stores a callback that somebody waits for, and hands it to the worker.
// It does not stop when the sender goes away: what has arrived is kept.
func (rc *Receiver) keep(ctx context.Context, app string, c Callback) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepTimeout)
	defer cancel()
	expected, err := rc.Recipient.Expects(ctx, c)
	if err != nil {
		return err
	}
	if !expected {
		rc.Log.InfoContext(ctx, "callback for no live attempt", "app", app)
		return nil
	}
	d := Delivery{ID: deliveryID(app, c), App: app, Received: time.Now(), Callback: c}
	if err := rc.Inbox.PutDelivery(ctx, d); err != nil {
		return err
	}
	select {
	case rc.fresh <- d:
	default: // the worker is behind; its sweep of the inbox finds it
	}
	return nil
}

// deliveryID is the same for the same callback, so that a callback sent three
// times is one delivery.
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

// app finds the Truecaller app whose path this is.
func (rc *Receiver) app(rest string) (string, bool) {
	id, secret, _ := strings.Cut(rest, "/")
	return id, rc.secrets.opens(id, secret, time.Now())
}
