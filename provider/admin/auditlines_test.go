// SPDX-License-Identifier: Apache-2.0

package admin_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"calleridp/keys"
	"calleridp/provider/admin"
	"calleridp/provider/apikey"
	"calleridp/provider/audit"
	"calleridp/provider/audit/trail"
)

// unreadable is the reader of an audit that is in no file.
type unreadable struct{}

func (unreadable) Lines(context.Context, audit.Query) (audit.Page, error) {
	return audit.Page{}, fmt.Errorf("test: %w", audit.ErrNoReader)
}

// An operator reads the lines that each filter wants, page by page, the newest first.
func TestAuditIsRead(t *testing.T) {
	master, err := keys.NewMaster(bytes.Repeat([]byte{1}, keys.MasterSize))
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "audit")
	written, err := trail.Open(t.Context(), trail.Config{
		Server: "web-1", Version: "test", Key: master, Log: slog.New(slog.DiscardHandler),
		Dir: dir, Heads: newAPI(t).store, Keep: 24 * time.Hour, MaxBytes: 1 << 20,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { written.Close(context.Background()) })
	keeper := audit.Log(slog.New(written.Handler()), nil)
	keep := func(operator string, e audit.Event) {
		t.Helper()
		if err := keeper.RecordDurable(audit.WithOperator(t.Context(), operator), e); err != nil {
			t.Fatal(err)
		}
	}
	keep("uid 0", audit.Event{Name: audit.ClientAdded, Client: "shop"})
	keep("uid 0", audit.Event{Name: audit.UserDeleted, Subject: "sub-one"})
	keep("key ci", audit.Event{Name: audit.ClientRemoved, Client: "shop"})

	a := newAPI(t, func(c *admin.Config) { c.Lines = trail.NewReader(dir, master) })
	now := time.Now()
	for _, row := range []struct {
		query, want string
	}{
		{"event=client.", "client.removed client.added"},
		{"event=client.added,user.deleted", "user.deleted client.added"},
		{"event=client.&client=shop&operator=uid+0", "client.added"},
		{"client=other", ""},
		{"sub=sub-one", "user.deleted"},
		{"operator=key+ci", "client.removed"},
		{"sub=sub-one&since=" + url.QueryEscape(now.Add(-time.Hour).Format(time.RFC3339)), "user.deleted"},
		{"sub=sub-one&since=" + url.QueryEscape(now.Add(time.Hour).Format(time.RFC3339)), ""},
		{"sub=sub-one&until=" + url.QueryEscape(now.Add(-time.Hour).Format(time.RFC3339)), ""},
	} {
		var lines []admin.AuditLine
		a.call("GET", "/v1/audit?"+row.query, "", 200, &lines)
		var got []string
		for _, l := range lines {
			got = append(got, string(l.Event))
			if !l.Genuine || l.Server != "web-1" || l.Time.IsZero() || l.Line["event"] != string(l.Event) || l.Line["mac"] == nil {
				t.Errorf("%s: %+v", row.query, l)
			}
		}
		if strings.Join(got, " ") != row.want {
			t.Errorf("%s: got %q, want %q", row.query, got, row.want)
		}
	}

	var got []string
	for cursor := ""; ; {
		var page admin.Page[admin.AuditLine]
		a.call("GET", "/v1/audit?event=client.,user.&limit=1&cursor="+cursor, "", 200, &page)
		for _, l := range page.Items {
			got = append(got, string(l.Event))
		}
		if len(page.Items) > 1 || len(got) > 3 {
			t.Fatalf("a page of one line: %+v", page)
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	if want := "client.removed user.deleted client.added"; strings.Join(got, " ") != want {
		t.Errorf("page by page: got %q, want %q", got, want)
	}

	if want := `msg=audit.shown sub=sub-one operator="uid 7"`; !strings.Contains(a.audit.String(), want) {
		t.Errorf("the audit lacks %s:\n%s", want, a.audit)
	}
	a.refuses("GET", "/v1/audit?cursor=x", "", 422, "begin without one")
	a.refuses("GET", "/v1/audit?since=yesterday", "", 422, "query.since")
	a.refuses("GET", "/v1/audit?phone=1", "", 422, "query.phone")
}

// Who may not read the audit does not; an audit that is in no file is said to be elsewhere.
func TestAuditIsNotRead(t *testing.T) {
	a := newAPI(t, func(c *admin.Config) { c.Lines = unreadable{} })
	a.refuses("GET", "/v1/audit", "", 409, "look where audit.to sends it")
	ctx := admin.WithAccess(t.Context(), admin.Access{Who: "key x", Scopes: []apikey.Scope{apikey.UsersRead}})
	if _, err := a.ListAudit(ctx, &admin.AuditQuery{}); err == nil || !strings.Contains(err.Error(), "audit:read") {
		t.Errorf("without the scope: %v", err)
	}
}
