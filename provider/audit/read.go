// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// ErrCursor is returned for a cursor that no page had.
var ErrCursor = errors.New("audit: the cursor is not one of a page")

// ErrNoReader is returned where the audit is not in a file, and cannot be read.
var ErrNoReader = errors.New("audit: the audit is not written to a file, so it cannot be read here")

// Query says which lines of the audit a reader wants. The zero value wants the newest of
// all.
type Query struct {
	Events   []Name // any of these; a name that ends in "." means all that begin with it
	Client   string // client_id
	Subject  string // the user's own sub
	Operator string
	Since    time.Time // of this time or later; zero: from the beginning
	Until    time.Time // before this time; zero: up to now
	Limit    int       // lines of a page; 0: 100, at most 1000
	Cursor   string    // Next of the page before; "": the first page
}

// Line is a line of the audit.
type Line struct {
	Server string    // which has written it
	Seq    uint64    // its number in the chain of that server
	Time   time.Time // when it was recorded
	Event  Name
	Text   json.RawMessage // the whole line: a JSON object, without the line's end
	// Genuine means that the server has written this line, and that it was not changed. It
	// says nothing of lines that are missing: that is what calleridp audit verify finds.
	Genuine bool
}

// Page is what a query finds, the newest lines first.
type Page struct {
	Lines []Line
	// Next is the cursor of the next page, "" if this is the last one. A page may have fewer
	// lines than the limit and a next one: looking further would have taken too long.
	Next string
}

// Reader finds lines of the audit.
type Reader interface {
	// Lines returns one page. It wraps ErrCursor for a cursor that no page had.
	Lines(ctx context.Context, q Query) (Page, error)
}
