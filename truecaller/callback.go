package truecaller

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"
)

// Callback is what Truecaller posted, decoded and checked for shape, not for
// truth: anybody who knows the callback address can post one. It prints without
// its token and its ids.
type Callback struct {
	RequestID   string // Truecaller's request id (push), or our own nonce (one-tap)
	State       string // the state we sent with a push; "" when absent
	AccessToken string // a bearer for the profile; "" when Status says why not
	Endpoint    string // the profile address it names; only ever selects a configured host
	Status      string // flow_invoked, user_rejected, use_another_number, or one we do not know
}

// Format says what kind of callback it is, for every verb (invariant 10).
func (c Callback) Format(f fmt.State, _ rune) { io.WriteString(f, c.kind()) }

// LogValue says what kind of callback it is (invariant 10).
func (c Callback) LogValue() slog.Value { return slog.StringValue(c.kind()) }

func (c Callback) kind() string {
	if c.AccessToken != "" {
		return "callback with a token"
	}
	return "callback with a status"
}

// Delivery is a callback that was kept in the inbox.
type Delivery struct {
	ID       string // the same for the same callback, so that a repeated one is one delivery
	App      string // the Truecaller app at whose path it arrived
	Received time.Time
	Callback
}

// ErrNotFound is returned by stores for a thing that is not there.
var ErrNotFound = errors.New("truecaller: not found")

// Inbox keeps deliveries from the answer to Truecaller until their work is
// done, so that a crash between callback and profile loses nothing
// (invariants 4 and 8). Access tokens are encrypted while they are stored.
type Inbox interface {
	// PutDelivery is durable when it returns nil. The same ID twice is one delivery.
	PutDelivery(ctx context.Context, d Delivery) error

	// Deliveries returns up to max deliveries, oldest first, for resuming after
	// a start.
	Deliveries(ctx context.Context, max int) ([]Delivery, error)

	// DropDelivery forgets one. Dropping an absent one is no error. It need not
	// be durable when it returns: work on a delivery may be repeated.
	DropDelivery(ctx context.Context, id string) error
}

// Recipient decides what callbacks mean. It is implemented by the attempt
// engine; this package only carries.
type Recipient interface {
	// Expects says whether any live attempt waits for this callback. A callback
	// that nobody expects is answered like any other and not stored.
	Expects(ctx context.Context, c Callback) (bool, error)

	// Progress takes a delivery without a token: an event or a refusal. It is
	// harmless to repeat.
	Progress(ctx context.Context, d Delivery) error

	// Token takes a delivery with a token, before its profile is fetched.
	// ErrNotFound: nobody waits for it any more, its token is not used and the
	// delivery is dropped.
	Token(ctx context.Context, d Delivery) error

	// Profile takes the profile that the delivery's token fetched. It forgets
	// the delivery in the same transaction as what it does with the profile.
	Profile(ctx context.Context, d Delivery, p Profile) error

	// Failed takes the final failure to fetch the profile, and forgets the
	// delivery in the same transaction. cause is one of the errors of this
	// package.
	Failed(ctx context.Context, d Delivery, cause error) error
}
