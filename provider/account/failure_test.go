// SPDX-License-Identifier: Apache-2.0

package account_test

import (
	"context"
	"net/url"
	"testing"

	"calleridp/provider/internal/testworld"
	"calleridp/provider/subject"
)

type brokenRecords struct {
	subject.RecordStore
	*testworld.Breaks
}

func (r brokenRecords) Account(ctx context.Context, sub string) (subject.Record, error) {
	if err := r.Err("reading the account"); err != nil {
		return subject.Record{}, err
	}
	if r.Err("the user is deleted") != nil {
		return subject.Record{}, subject.ErrNotFound
	}
	return r.RecordStore.Account(ctx, sub)
}

func (r brokenRecords) RevokeClient(ctx context.Context, sub, clientID string) error {
	if err := r.Err("revoking"); err != nil {
		return err
	}
	return r.RecordStore.RevokeClient(ctx, sub, clientID)
}

func (r brokenRecords) EndSessions(ctx context.Context, sub string) error {
	if err := r.Err("ending all sessions"); err != nil {
		return err
	}
	return r.RecordStore.EndSessions(ctx, sub)
}

func (r brokenRecords) DeletePerson(ctx context.Context, sub string) error {
	if err := r.Err("deleting"); err != nil {
		return err
	}
	return r.RecordStore.DeletePerson(ctx, sub)
}

// Where our store fails, the user gets the error page, the cookies stay, and the audit
// records no end and no deletion.
func TestADeedThatFailsIsNotClaimed(t *testing.T) {
	b := &testworld.Breaks{}
	w := testworld.New(t, func(c *testworld.Config) {
		c.Provider.Sessions = testworld.BrokenSessions{Store: c.Provider.Sessions, Breaks: b}
		c.Provider.Records = brokenRecords{c.Provider.Records, b}
	})
	_, session := w.Tokens("app", "openid")
	token := accountPage(t, w, session)["Token"].(string)
	id := sessionID(t, w, session, 0)
	for _, row := range []struct{ op, path string }{
		{"revoking", "/account/revoke"},
		{"ending a session", "/account/signout"},
		{"ending all sessions", "/account/signout-all"},
		{"deleting", "/account/delete"},
		{"finding the session", "/account/delete"},
		{"reading the account", "/account/download"},
	} {
		b.Op = row.op
		w.Log.Reset()
		a := w.Post(row.path, url.Values{"token": {token}, "client": {"app"}, "session": {id}}, testworld.Cookie(session))
		a.WantErrorPage(t, row.op, 500, "internal")
		if set := a.Header.Values("Set-Cookie"); len(set) > 0 {
			t.Errorf("%s: got the cookies %q, want none", row.op, set)
		}
		w.WantNotLogged("access.revoked", "session.ended", "sessions.ended", "person.deleted", "person.downloaded")
	}
	for _, op := range []string{"finding the session", "reading the account"} {
		b.Op = op
		for _, path := range []string{"/account", "/account/delete", "/account/download"} {
			w.Get(path, session).WantErrorPage(t, op+" for "+path, 500, "internal")
		}
	}
	// A user who was deleted meanwhile is not signed in.
	b.Op = "the user is deleted"
	for _, path := range []string{"/account", "/account/delete"} {
		w.Get(path, session).WantPage(t, path+" of a deleted user", "signin")
	}
	w.Post("/account/delete", url.Values{"token": {token}}, testworld.Cookie(session)).
		WantRedirect(t, "a form of a deleted user", "/account")
	b.Op = ""
	accountPage(t, w, session)
}

// Each deed is audited, with its user, the session in which it was done, and what it
// was done to.
func TestDeedsAreAudited(t *testing.T) {
	w := testworld.New(t)
	_, here := w.Tokens("app", "openid")
	w.Tokens("app", "openid") // in another browser
	sub, sid := w.Claim(here, "sub"), w.Claim(here, "sid")
	other := sessionID(t, w, here, 1)
	for _, row := range []struct {
		path, event string
		form        url.Values
		want        map[string]any
	}{
		{"/account/revoke", "access.revoked", url.Values{"client": {"app"}}, map[string]any{"client": "app"}},
		{"/account/signout", "session.ended", url.Values{"session": {other}}, map[string]any{"sid": other, "client": "urn:calleridp:account"}},
		{"/account/download", "person.downloaded", url.Values{}, map[string]any{}},
		{"/account/signout-all", "sessions.ended", url.Values{}, map[string]any{}},
	} {
		w.Log.Reset()
		send(t, w, here, row.path, row.form)
		events := w.Events(row.event)
		if len(events) != 1 {
			t.Errorf("%s: got the audit %v, want one %s", row.path, events, row.event)
			continue
		}
		row.want["sub"], row.want["by"] = sub, sid
		testworld.WantMembers(t, row.event, events[0], row.want)
	}
}

// Of a session that is not the user's, or is gone, no end is audited.
func TestNoEndOfAnothersSessionIsAudited(t *testing.T) {
	w := testworld.New(t)
	_, here := w.SignIn(testworld.AuthRequest("app"), testworld.Number)
	_, stranger := w.SignIn(testworld.AuthRequest("app"), testworld.OtherNumber)
	for _, id := range []string{sessionID(t, w, stranger, 0), "no session", ""} {
		w.Log.Reset()
		send(t, w, here, "/account/signout", url.Values{"session": {id}}).WantRedirect(t, "ending it", "/account?did=signout")
		w.WantNotLogged("session.ended")
	}
	if a := w.Get("/account?did=signout", here).WantPage(t, "the page afterwards", "account"); a["Did"] != "signout" {
		t.Errorf("the page afterwards: got %v, want that it says so", a["Did"])
	}
}
