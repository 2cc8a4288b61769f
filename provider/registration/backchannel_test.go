// SPDX-License-Identifier: Apache-2.0

package registration_test

import (
	"strings"
	"testing"

	"calleridp/provider/client"
)

// A client says where it hears of logouts, and reads it again (Back-Channel Logout §2.2).
func TestBackChannelMembers(t *testing.T) {
	w := worldWith(t, open())
	r := send(w, "POST", "/register", `{"redirect_uris":["`+callback+`"],
		"backchannel_logout_uri":"https://app.example/logout","backchannel_logout_session_required":true}`)
	got := r.JSON()
	if r.StatusCode != 201 || got["backchannel_logout_uri"] != "https://app.example/logout" || got["backchannel_logout_session_required"] != true {
		t.Fatalf("got %v, want 201 and both members", r)
	}
	c, err := w.Clients.Client(t.Context(), r.Member("client_id"))
	if want := (client.BackChannel{LogoutURI: "https://app.example/logout", SessionRequired: true}); err != nil || c.BackChannel != want {
		t.Errorf("stored: %+v, %v, want %+v", c.BackChannel, err, want)
	}
	for _, uri := range []string{"http://127.0.0.1/logout", "http://app.example/logout", "https://app.example/#x"} {
		if r := send(w, "POST", "/register", `{"redirect_uris":["`+callback+`"],"backchannel_logout_uri":"`+uri+`"}`); r.StatusCode != 400 || strings.Contains(r.Member("error_description"), "loopback") {
			t.Errorf("%s: got %v, want 400, and no advice that leads to another refusal", uri, r)
		}
	}
}
