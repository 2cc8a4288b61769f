// SPDX-License-Identifier: Apache-2.0

package console_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"calleridp/provider/admin"
	"calleridp/provider/apikey"
	"calleridp/provider/audit"
	"calleridp/ui"
	pages "calleridp/ui/console"
	"calleridp/ui/pagetest"
)

// lines is an audit with one page, and what was asked of it.
type lines struct {
	page  audit.Page
	err   error
	asked *[]audit.Query
}

func (l lines) Lines(_ context.Context, q audit.Query) (audit.Page, error) {
	*l.asked = append(*l.asked, q)
	return l.page, l.err
}

// open returns the pages of a console, for an operator with these scopes.
func open(l lines, effective any, scopes ...apikey.Scope) func(w http.ResponseWriter, r *http.Request) {
	api := admin.New(admin.Config{Lines: l, Effective: func() any { return effective }, Audit: audit.Discard, Log: slog.New(slog.DiscardHandler)})
	return pages.Handler(pages.Config{Door: door{scopes: scopes}, API: api, Tokens: ui.Tokens(), Log: slog.New(slog.DiscardHandler)}).ServeHTTP
}

// draw returns a page, which is well-formed and has no script.
func draw(t *testing.T, path string, page func(w http.ResponseWriter, r *http.Request)) *httptest.ResponseRecorder {
	t.Helper()
	got := pagetest.Draw(path, page)
	pagetest.WellFormed(t, path, got.Body.String())
	if strings.Contains(got.Body.String(), "<script") {
		t.Errorf("%s has a script:\n%s", path, got.Body)
	}
	return got
}

// An operator sees what a line says, escaped; the filters reach the audit, stay in the form
// and on the next page.
func TestAuditPage(t *testing.T) {
	at := time.Date(2026, 11, 30, 6, 20, 1, 0, time.UTC)
	page := audit.Page{Next: "older&", Lines: []audit.Line{
		{Server: "web-1", Seq: 7, Time: at, Event: audit.ClientAdded, Genuine: true, Text: json.RawMessage(`{"seq":7,"event":"client.added","client":"<script>alert(1)</script>","lines":12345678901234567890,"mac":"secret-mac"}`)},
		{Server: "web-2", Seq: 8, Time: at, Event: "<i>", Text: json.RawMessage(`{"seq":8,"app":null}`)},
	}}
	var asked []audit.Query
	read := open(lines{page, nil, &asked}, nil, apikey.AuditRead)
	got := draw(t, "/console/audit?event=client.,user.deleted&client=%3Cb%3E&sub=s&operator=uid+0&since=2026-11-30T06:00&until=2026-12-01T00:00:05", read)
	pagetest.Want(t, got, 200, "2026-11-30 06:20:01 UTC", "&lt;script&gt;alert(1)", "12345678901234567890", "&lt;i&gt;", "not genuine", "<bdi>web-1</bdi> 7",
		`value="client.,user.deleted"`, `value="&lt;b&gt;"`, `value="uid 0"`, `value="2026-11-30T06:00"`, `<option value="attempt.">`,
		"?client=%3Cb%3E&amp;cursor=older%26&amp;event=client.%2Cuser.deleted&amp;operator=uid&#43;0&amp;since=2026-11-30T06%3A00&amp;sub=s&amp;until=2026", "Audit</a>")
	if strings.Contains(got.Body.String(), "secret-mac") || strings.Contains(got.Body.String(), "API keys") {
		t.Error("the page shows a mac, or a link to what the operator may not see")
	}
	want := audit.Query{Client: "<b>", Subject: "s", Operator: "uid 0", Limit: 50, Since: at.Add(-20*time.Minute - time.Second), Until: time.Date(2026, 12, 1, 0, 0, 5, 0, time.UTC)}
	if q := asked[0]; !slices.Equal(q.Events, []audit.Name{"client.", "user.deleted"}) || q.Client != want.Client || q.Subject != want.Subject ||
		q.Operator != want.Operator || q.Limit != want.Limit || !q.Since.Equal(want.Since) || !q.Until.Equal(want.Until) {
		t.Errorf("asked for %+v", q)
	}
}

// What cannot be read is said in the page, and who may not read it is refused.
func TestAuditPageRefuses(t *testing.T) {
	var asked []audit.Query
	none := open(lines{audit.Page{}, audit.ErrNoReader, &asked}, nil, apikey.AuditRead)
	pagetest.Want(t, draw(t, "/console/audit", none), 409, "look where audit.to sends it")
	pagetest.Want(t, draw(t, "/console/audit?since=yesterday", none), 422, "Since: write a date", `value="yesterday"`)
	empty := open(lines{audit.Page{}, nil, &asked}, nil, apikey.AuditRead)
	pagetest.Want(t, draw(t, "/console/audit", empty), 200, "No line matches.")
	further := open(lines{audit.Page{Next: "x"}, nil, &asked}, nil, apikey.AuditRead)
	pagetest.Want(t, draw(t, "/console/audit", further), 200, "There are older ones.", "/console/audit?cursor=x")
	asked = nil
	pagetest.Want(t, draw(t, "/console/audit", open(lines{audit.Page{}, nil, &asked}, nil, apikey.UsersRead)), 403, "audit:read")
	if len(asked) > 0 {
		t.Errorf("the audit was read: %+v", asked)
	}
}
