// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"calleridp/provider/apikey"
	"calleridp/provider/audit"

	"github.com/danielgtaylor/huma/v2"
)

// AuditQuery says which lines of the audit are wanted, and which part of them.
type AuditQuery struct {
	Cursor   string    `query:"cursor" maxLength:"65536" doc:"Where the page begins: next of the page before. It has a place in the chain of each server."`
	Limit    int       `query:"limit" minimum:"1" maximum:"500" default:"100" doc:"How many items the page has at most."`
	Event    []string  `query:"event" maxItems:"50" doc:"Only these events, separated by commas; with a dot at the end, all that begin so, as in attempt."`
	Client   string    `query:"client" maxLength:"256" doc:"Only lines with this client_id."`
	Subject  string    `query:"sub" maxLength:"256" doc:"Only lines about this user: the user's own sub."`
	Operator string    `query:"operator" maxLength:"256" doc:"Only what this operator did, such as uid 0."`
	Since    time.Time `query:"since" doc:"Only lines of this time or later."`
	Until    time.Time `query:"until" doc:"Only lines before this time."`
}

// AuditLine is a line of the audit.
type AuditLine struct {
	Server  string         `json:"server" doc:"Which has written it."`
	Seq     uint64         `json:"seq" doc:"Its number in the chain of that server."`
	Time    time.Time      `json:"time" doc:"When it was recorded."`
	Event   audit.Name     `json:"event"`
	Genuine bool           `json:"genuine" doc:"That server has written it, and it was not changed. Missing lines are found by calleridp audit verify alone."`
	Line    map[string]any `json:"line" doc:"The whole line."`
}

func (a *API) auditLines() {
	register(a, huma.Operation{
		OperationID: "list-audit", Method: http.MethodGet, Path: "/v1/audit", Tags: []string{"Audit"},
		Summary:     "List lines of the audit",
		Description: "The newest first. A page may have fewer lines than its limit, or none, and a next one: to look further would have taken too long.",
		Errors:      []int{http.StatusConflict},
	}, apikey.AuditRead, a.ListAudit)
}

// ListAudit returns a page of the audit. It is in the audit itself, with the client and the
// user that were looked for.
func (a *API) ListAudit(ctx context.Context, in *AuditQuery) (*Reply[Page[AuditLine]], error) {
	if err := allowed(ctx, apikey.AuditRead); err != nil {
		return nil, err
	}
	q := audit.Query{
		Client:   in.Client,
		Subject:  in.Subject,
		Operator: in.Operator,
		Since:    in.Since,
		Until:    in.Until,
		Limit:    Paging{Limit: in.Limit}.limit(),
		Cursor:   in.Cursor,
	}
	for _, name := range in.Event {
		q.Events = append(q.Events, audit.Name(name))
	}
	a.Audit.Record(ctx, audit.Event{Name: audit.AuditShown, Client: in.Client, Subject: in.Subject})
	page, err := a.Lines.Lines(ctx, q)
	switch {
	case errors.Is(err, audit.ErrNoReader):
		return nil, refused(http.StatusConflict, "the audit is not in files, so the server cannot read it: look where audit.to sends it, or add file there")
	case errors.Is(err, audit.ErrCursor):
		return nil, errCursor
	case err != nil:
		return nil, err
	}
	out := Page[AuditLine]{Items: make([]AuditLine, 0, len(page.Lines)), Next: page.Next}
	for _, l := range page.Lines {
		line, err := object(l.Text)
		if err != nil {
			return nil, fmt.Errorf("admin: line %d of %s in the audit: %w", l.Seq, l.Server, err)
		}
		out.Items = append(out.Items, AuditLine{l.Server, l.Seq, l.Time, l.Event, l.Genuine, line})
	}
	return reply(out), nil
}

// object decodes a JSON object, with its numbers as they are written.
func object(text []byte) (o map[string]any, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	return o, d.Decode(&o)
}
