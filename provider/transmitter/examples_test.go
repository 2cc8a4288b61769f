// SPDX-License-Identifier: Apache-2.0

package transmitter_test

import (
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"

	"calleridp/provider/internal/testworld"
)

var update = flag.Bool("update", false, "write the examples of docs/signals.md")

// The examples of the document are events that happened, with other values where those differ
// from run to run.
func TestExamples(t *testing.T) {
	w := testworld.New(t, receivers("app", "old"))
	app, old := newReceiver(t, w, "app"), newReceiver(t, w, "old")
	ids := map[string]string{"app": app.stream(`{}`), "old": old.stream(`{}`)}
	first := testworld.Profile(t, testworld.Number)
	_, session := w.SignInAs(testworld.AuthRequest("app", "scope", "openid phone"), first)
	w.CodeTokens(session, "old", "scope", "openid")
	tokens := w.CodeTokens(session, "app", "scope", "openid phone")
	sub := tokens.Claims(t)["sub"].(string)
	w.SignInAs(testworld.AuthRequest("hourly"), testworld.AnotherProfile(t, testworld.Number))
	if err := w.Store.RevokeClient(t.Context(), sub, "old"); err != nil {
		t.Fatal(err)
	}
	if err := w.Store.DeletePerson(t.Context(), sub); err != nil {
		t.Fatal(err)
	}
	app.call("POST", "/ssf/verify", `{"stream_id":"`+ids["app"]+`","state":"your state"}`, 204)
	// The number of a deleted user is in no event: this one is of a user who is still there.
	_, session = w.SignInAs(testworld.AuthRequest("app", "scope", "openid phone"), testworld.Profile(t, testworld.OtherNumber))
	w.CodeTokens(session, "app", "scope", "openid phone")
	w.SignInAs(testworld.AuthRequest("hourly"), testworld.AnotherProfile(t, testworld.OtherNumber))

	var doc strings.Builder
	seen := map[string]bool{}
	for _, e := range append(app.poll(ids["app"]), old.poll(ids["old"])...) {
		name := e.uri[strings.LastIndex(e.uri, "/")+1:]
		if name == "token-claims-change" && e.claims["aud"] == "old" {
			name += ", when access was taken away"
		}
		if seen[name] {
			continue
		}
		seen[name] = true
		for claim, value := range map[string]any{"jti": "18a4c0...", "iat": 1796040000, "txn": "q83vEj..."} {
			if e.claims[claim] != nil {
				e.claims[claim] = value
			}
		}
		if e.body["event_timestamp"] != nil {
			e.body["event_timestamp"] = 1796040000
		}
		subject := e.claims["sub_id"].(map[string]any)
		hide := func(s map[string]any) {
			for member, value := range map[string]string{"sub": "R6DOX5S28hgPMYH7g_SW7Q", "id": "vAxUPU54EUYieZetuJcY0w"} {
				if s[member] != nil {
					s[member] = value
				}
			}
		}
		hide(subject)
		for _, member := range []string{"user", "session"} {
			if inner, ok := subject[member].(map[string]any); ok {
				hide(inner)
			}
		}
		text, err := json.MarshalIndent(e.claims, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		doc.WriteString("\n`" + strings.Replace(name, ",", "`,", 1))
		if !strings.Contains(name, ",") {
			doc.WriteString("`")
		}
		doc.WriteString(":\n\n```json\n" + string(text) + "\n```\n")
	}
	for _, name := range []string{"session-established", "session-revoked", "identifier-recycled", "token-claims-change", "account-purged", "verification"} {
		if !seen[name] {
			t.Errorf("there is no %s among the examples", name)
		}
	}
	const path, begins = "../../docs/signals.md", "`TestExamples` makes them.\n"
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, _, found := strings.Cut(string(raw), begins)
	want := head + begins + doc.String()
	if !found {
		t.Fatalf("%s does not say where its examples begin", path)
	}
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if want != string(raw) {
		t.Errorf("the examples of %s are out of date; write them with: go test ./provider/transmitter -run Examples -update", path)
	}
}
