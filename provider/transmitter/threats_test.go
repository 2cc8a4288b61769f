// SPDX-License-Identifier: Apache-2.0

package transmitter_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"calleridp/provider/internal/testworld"
	"calleridp/provider/signals"
)

// The phone number's loss to another user: those clients of the user who had it that got the
// number learn of that, the others of the end of their sessions, the new user's of nothing.
func TestThreat_WhoLearnsOfALostNumber(t *testing.T) {
	w := testworld.New(t, receivers("app", "pair", "old", "es256"))
	streams := map[string]string{}
	all := map[string]receiver{}
	for _, id := range []string{"app", "pair", "old", "es256"} {
		all[id] = newReceiver(t, w, id)
		streams[id] = all[id].stream(`{}`)
	}
	first := testworld.Profile(t, testworld.Number)
	first.ID = "first"
	done, session := w.SignInAs(testworld.AuthRequest("app", "scope", "openid phone"), first)
	_ = done
	subs := map[string]string{
		"app":  w.CodeTokens(session, "app").ID,
		"pair": w.CodeTokens(session, "pair", "scope", "openid").ID,
		"old":  w.CodeTokens(session, "old", "scope", "openid phone").ID,
	}
	for id := range all {
		all[id].poll(streams[id]) // the sign-ins
	}
	second := testworld.Profile(t, testworld.Number)
	second.ID = "second"
	w.SignInAs(testworld.AuthRequest("es256", "scope", "openid phone"), second)

	got := map[string][]event{}
	for id := range all {
		got[id] = all[id].poll(streams[id])
	}
	for _, id := range []string{"app", "old"} {
		sub := testworld.Claims(t, subs[id])["sub"]
		names := uris(got[id])
		if len(names) < 3 || names[0] != "risc/event-type/identifier-recycled" || names[1] != "caep/event-type/token-claims-change" || names[2] != "caep/event-type/session-revoked" {
			t.Fatalf("%s: got %v", id, names)
		}
		if about := got[id][0].about(); about != testworld.Number {
			t.Errorf("%s: the number is %q", id, about)
		}
		if claims, _ := got[id][1].body["claims"].(map[string]any); got[id][1].about() != sub || claims == nil || claims["phone_number"] != nil {
			t.Errorf("%s: %v", id, got[id][1])
		}
		if got[id][2].about() != sub || got[id][0].claims["txn"] != got[id][2].claims["txn"] {
			t.Errorf("%s: %v", id, got[id][2])
		}
	}
	if got["app"][0].claims["txn"] == got["old"][0].claims["txn"] {
		t.Error("two clients can put their users together by txn")
	}
	for _, e := range got["pair"] {
		text, _ := json.Marshal(e.claims)
		if e.uri != caep+"session-revoked" || bytes.Contains(text, []byte(testworld.Number[1:])) || e.about() != testworld.Claims(t, subs["pair"])["sub"] {
			t.Errorf("pair, which never had the number: got %s", text)
		}
	}
	if len(got["pair"]) == 0 {
		t.Error("pair is not told that its session was revoked")
	}
	for _, e := range got["es256"] { // the new user's own sign-in
		if e.uri != caep+"session-established" || e.body["acr"] == nil {
			t.Errorf("the new user's application: got %v", e.claims)
		}
	}
	if w.SignedIn(session) {
		t.Error("the user who lost the number is still signed in")
	}
	w.WantNotLogged()
}

// Nothing of a number is in the queue: a user who was deleted meanwhile leaves only that.
func TestThreat_ADeletedUserLeavesNoNumberInTheQueue(t *testing.T) {
	w := testworld.New(t, receivers("app"))
	app := newReceiver(t, w, "app")
	id := app.stream(`{}`)
	tokens, _ := w.Tokens("app", "openid phone")
	sub := testworld.Claims(t, tokens.ID)["sub"].(string)
	second := testworld.Profile(t, testworld.Number)
	second.ID = "second"
	w.SignInAs(testworld.AuthRequest("old", "scope", "openid"), second)
	if err := w.Store.DeletePerson(t.Context(), sub); err != nil {
		t.Fatal(err)
	}
	got := app.poll(id)
	for _, e := range got {
		if e.about() == testworld.Number {
			t.Errorf("got %v, want no number", e.claims)
		}
	}
	if names := uris(got); !slices.Contains(names, "risc/event-type/account-purged") {
		t.Errorf("got %v, want that the account was purged", names)
	}
}

// A receiver learns nothing by adding and removing subjects, and stops events about one of
// its own users by it, also of a pairwise sub.
func TestThreat_SubjectsAreNotProbed(t *testing.T) {
	w := testworld.New(t, receivers("app", "pair"))
	pair := newReceiver(t, w, "pair")
	id := pair.stream(`{}`)
	tokens, session := w.Tokens("pair", "openid")
	sub := testworld.Claims(t, tokens.ID)["sub"].(string)
	pair.poll(id)
	subject := func(format, sub string) string {
		return `{"stream_id":"` + id + `","subject":{"format":"` + format + `","iss":"` + testworld.Issuer + `","sub":"` + sub + `","email":"a@b.example","phone_number":"` + testworld.Number + `"}}`
	}
	for _, s := range []string{subject("iss_sub", "unknown"), subject("email", ""), subject("phone_number", ""), subject("iss_sub", sub)} {
		pair.call("POST", "/ssf/subjects/add", s, 200)
		pair.call("POST", "/ssf/subjects/remove", s, 204)
	}
	pair.call("POST", "/ssf/subjects/add", `{"stream_id":"`+id+`"}`, 400)
	pair.call("POST", "/ssf/subjects/add", `{"stream_id":"x","subject":{"format":"opaque","id":"x"}}`, 404)
	signOut := func(token string, session *http.Cookie) {
		w.Get("/logout?"+url.Values{"id_token_hint": {token}}.Encode(), session)
	}
	signOut(tokens.ID, session)
	if got := pair.poll(id); len(got) != 0 {
		t.Errorf("of a removed subject: got %v", uris(got))
	}
	pair.call("POST", "/ssf/subjects/add", subject("iss_sub", sub), 200)
	tokens, session = w.Tokens("pair", "openid")
	signOut(tokens.ID, session)
	if got := uris(pair.poll(id)); !slices.Contains(got, "caep/event-type/session-revoked") {
		t.Errorf("of a subject that was added again: got %v", got)
	}
}

// A receiver that an operator has paused makes itself no other stream.
func TestThreat_AReceiverEndsNoOperatorsPause(t *testing.T) {
	w := testworld.New(t, receivers("app"))
	app := newReceiver(t, w, "app")
	id := app.stream(`{}`)
	_, err := w.Store.ChangeStream(t.Context(), "app", func(s *signals.Stream) (signals.Update, error) {
		return signals.Stopped(*s, signals.ByOperator, "by hand", time.Now()), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	app.call("POST", "/ssf/status", `{"stream_id":"`+id+`","status":"enabled"}`, 403)
	app.call("DELETE", "/ssf/streams?stream_id="+id, "", 403)
	app.call("POST", "/ssf/streams", `{}`, 409)
	app.call("PATCH", "/ssf/streams", `{"stream_id":"`+id+`","description":"x"}`, 200)
	if status := app.call("GET", "/ssf/status?stream_id="+id, "", 200); status["status"] != "paused" {
		t.Errorf("got %v, want paused", status)
	}
}
