package truecaller

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"
)

// ReceiverConfig is what a Receiver needs. All fields are required.
type ReceiverConfig struct {
	Apps      map[string]App // by App.ID
	Inbox     Inbox
	Recipient Recipient
	Client    *Client
	Log       *slog.Logger
}

// Receiver takes Truecaller's callbacks: an http.Handler for
// {prefix}/{app}/{secret}, and the worker behind it (Run).
type Receiver struct {
	ReceiverConfig
	prefix string
	fresh  chan Delivery
	work   *inProgress
}

// NewReceiver makes a receiver for callbacks at prefix, "/callback/" say.
func NewReceiver(prefix string, c ReceiverConfig) (*Receiver, error) {
	if len(c.Apps) == 0 || c.Inbox == nil || c.Recipient == nil || c.Client == nil || c.Log == nil {
		return nil, errors.New("truecaller: a receiver needs Apps, Inbox, Recipient, Client and Log")
	}
	return &Receiver{ReceiverConfig: c, prefix: prefix, fresh: make(chan Delivery, 256), work: newInProgress()}, nil
}

// readTimeout bounds how long a slow sender may hold a connection.
const readTimeout = 5 * time.Second

// ServeHTTP answers a callback (invariant 4): 200 for everything well-formed,
// whether or not anybody waits for it; 4xx for malformed; 500 only when it could
// not be stored, so that Truecaller sends it again.
func (rc *Receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
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
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		http.Error(w, "callbacks are not compressed", http.StatusUnsupportedMediaType)
		return
	}
	http.NewResponseController(w).SetReadDeadline(time.Now().Add(readTimeout)) // not every writer can; the server has its own
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxCallback))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		http.Error(w, "callbacks are at most 16 KiB", http.StatusRequestEntityTooLarge)
		return
	}
	if err != nil {
		http.Error(w, "the body did not arrive", http.StatusBadRequest)
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

// keep stores a callback that somebody waits for, and hands it to the worker.
func (rc *Receiver) keep(ctx context.Context, app string, c Callback) error {
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
		size[0], size[1], size[2], size[3] = byte(len(part)>>24), byte(len(part)>>16), byte(len(part)>>8), byte(len(part))
		h.Write(size[:])
		io.WriteString(h, part)
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:16])
}

// app finds the Truecaller app whose path this is. The secret is compared in
// constant time, also for an app that does not exist.
func (rc *Receiver) app(rest string) (string, bool) {
	id, secret, _ := strings.Cut(rest, "/")
	app, known := rc.Apps[id]
	secrets := app.CallbackSecrets
	if !known {
		secrets = []string{"no such app"}
	}
	match := 0
	given := sha256.Sum256([]byte(secret))
	for _, want := range secrets {
		sum := sha256.Sum256([]byte(want))
		match |= subtle.ConstantTimeCompare(given[:], sum[:])
	}
	return id, known && match == 1 && secret != ""
}
