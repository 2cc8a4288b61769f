package registration_test

import (
	"encoding/json"
	"testing"

	"calleridp/provider/registration"
)

// A client says where it hears of logouts, and reads it again (Back-Channel Logout §2.2).
func TestLogoutMembers(t *testing.T) {
	w := worldWith(t, open())
	r := send(w, "POST", "/register", `{"redirect_uris":["`+callback+`"],
		"backchannel_logout_uri":"https://app.example/logout","backchannel_logout_session_required":true}`)
	var got struct {
		ID string `json:"client_id"`
		registration.LogoutMetadata
	}
	want := registration.LogoutMetadata{BackchannelURI: "https://app.example/logout", BackchannelSession: true}
	if err := json.NewDecoder(r.Body).Decode(&got); err != nil || r.StatusCode != 201 || got.LogoutMetadata != want {
		t.Fatalf("got %v, %+v, want %+v", r, got, want)
	}
	c, err := w.Clients.Client(t.Context(), got.ID)
	if err != nil || c.Logout.BackchannelURI != want.BackchannelURI || !c.Logout.BackchannelSession {
		t.Errorf("stored: %+v, %v", c.Logout, err)
	}
	for _, uri := range []string{"http://127.0.0.1/logout", "http://app.example/logout", "https://app.example/#x"} {
		if r := send(w, "POST", "/register", `{"redirect_uris":["`+callback+`"],"backchannel_logout_uri":"`+uri+`"}`); r.StatusCode != 400 {
			t.Errorf("%s: got %v, want 400", uri, r)
		}
	}
}
