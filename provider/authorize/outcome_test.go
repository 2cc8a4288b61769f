// SPDX-License-Identifier: Apache-2.0

package authorize_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"calleridp/keys"
	"calleridp/provider/grant"
	"calleridp/provider/internal/testworld"
	"calleridp/provider/login"
	"calleridp/provider/redact"
	"calleridp/provider/session"
)

// The master key and the attempt's id, which is in the request log, make neither
// a live session nor a code; nor does the stored record with them.
func TestInvariant10_MasterKeyAndLogMakeNoSession(t *testing.T) {
	w := testworld.New(t)
	id := w.Approved(testworld.AuthRequest("app", "scope", "openid phone"), testworld.Number)
	done, err := w.Continue(id)
	if err != nil {
		t.Fatal(err)
	}
	code := testworld.Param(done.Response, "code")
	if _, err := w.Store.SessionBySecret(t.Context(), done.Session.Hash()); err != nil || code == "" {
		t.Fatalf("no live session or no code: %v", err)
	}

	// What earlier versions derived, and what else an attacker might try.
	for _, purpose := range []keys.Purpose{
		"attempt-code", "attempt-session", "attempt-grant", "attempt-sid",
		keys.PurposeAttemptRecord, keys.PurposeSessionRecord, keys.PurposeCodeRecord,
	} {
		mac := testworld.Master().MAC(purpose, []byte(id))
		made := base64.RawURLEncoding.EncodeToString(mac[:])
		if made == string(done.Session) || made == code {
			t.Errorf("%s makes a secret of the attempt", purpose)
		}
		if _, err := w.Store.SessionBySecret(t.Context(), session.Secret(made).Hash()); !errors.Is(err, session.ErrNotFound) {
			t.Errorf("%s: got %v for a session, want %v", purpose, err, session.ErrNotFound)
		}
		_, err := w.Store.UseCode(t.Context(), grant.HashCode(redact.Text(made)), func(grant.Code, *grant.Grant) grant.Redemption {
			return grant.Redemption{}
		})
		if !errors.Is(err, grant.ErrNotFound) {
			t.Errorf("%s: got %v for a code, want %v", purpose, err, grant.ErrNotFound)
		}
	}

	// The record, as an attacker with the master key and the file reads it.
	a, err := w.Store.Attempt(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{code, string(done.Session)} {
		if text := fmt.Sprintf("%+v %q", a, a.Outcome); strings.Contains(text, secret) {
			t.Errorf("a secret is readable in the record")
		}
	}
	if _, err := a.OutcomeFor(""); !errors.Is(err, login.ErrNotYours) {
		t.Errorf("without the browser's secret: got %v, want %v", err, login.ErrNotYours)
	}
	// The browser itself can have the same response again.
	again, err := w.Continue(id)
	if err != nil || again.Session != done.Session || testworld.Param(again.Response, "code") != code {
		t.Errorf("got another response, %v", err)
	}
}
