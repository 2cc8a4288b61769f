package logout_test

import (
	"testing"

	"calleridp/provider/authorize"
	"calleridp/provider/internal/testworld"
)

func TestReopenTheSignOutPrompt(t *testing.T) {
	w := testworld.New(t)
	_, session := w.Tokens("app", "openid")
	sealed := signOutRequest(t, w, session, "client_id=app&post_logout_redirect_uri=https://app.example/bye")
	again := w.Reopen(authorize.Reopening{Request: sealed}, session).WantPage(t, "reopening", "confirm")
	if again["Client"].(map[string]any)["Name"] != "App" || again["FormAction"] != "https://app.example" {
		t.Errorf("prompt: got %v, want the client and its form action", again)
	}
	if !w.SignedIn(session) {
		t.Error("after reopening: got the session ended, want it live")
	}
}
