// SPDX-License-Identifier: Apache-2.0

package registration_test

import (
	"reflect"
	"strings"
	"testing"

	"calleridp/provider/internal/testworld"
)

// Clients of devices without a browser register, if there is a device flow.
func TestRegisteringForTheDeviceFlow(t *testing.T) {
	const device = `"urn:ietf:params:oauth:grant-type:device_code"`
	w := worldWith(t, open(), testworld.WithDevices)
	r := register(w, `{"client_name": "TV", "grant_types": [`+device+`, "refresh_token"], "token_endpoint_auth_method": "none"}`)
	if r.StatusCode != 201 || len(r.JSON()["redirect_uris"].([]any)) != 0 || len(r.JSON()["response_types"].([]any)) != 0 ||
		!reflect.DeepEqual(r.JSON()["grant_types"], []any{strings.Trim(device, `"`), "refresh_token"}) {
		t.Fatalf("got %v, want a client without redirect URIs and response types", r)
	}
	d := w.StartDevice(r.Member("client_id"), "openid phone offline_access")
	if r := w.Poll(d); r.Member("error") != "authorization_pending" {
		t.Errorf("its device polls: got %v, want authorization_pending", r)
	}
	for body, want := range map[string]int{
		`{"client_name": "TV", "grant_types": [` + device + `]}`:                                                                   201,
		`{"client_name": "TV", "grant_types": [` + device + `, "authorization_code"], "redirect_uris": ["https://tv.example/cb"]}`: 201,
		`{"client_name": "TV", "grant_types": [` + device + `], "redirect_uris": []}`:                                              201,
		`{"grant_types": [` + device + `]}`:                                                                                        400, // nobody would know who asks
		`{"client_name": "TV", "grant_types": [` + device + `], "redirect_uris": ["https://tv.example/cb"]}`:                       400,
		`{"client_name": "TV", "grant_types": [` + device + `], "response_types": ["code"]}`:                                       400,
		`{"client_name": "TV", "grant_types": [` + device + `], "scope": "openid offline_access"}`:                                 400,
		`{"client_name": "TV", "grant_types": [` + device + `, "authorization_code"]}`:                                             400,
	} {
		r := register(w, body)
		if r.StatusCode != want {
			t.Errorf("%s: got %v, want %d", body, r, want)
		}
	}
	// Not where there is none.
	w = worldWith(t, open())
	register(w, `{"client_name": "TV", "grant_types": [`+device+`]}`).WantOAuthError(t, "without the flow", 400, "invalid_client_metadata")
}

// What the conformance suite's plan of third-party-initiated login asks for: the address
// comes back in both responses, and must be https.
func TestInitiateLoginURI(t *testing.T) {
	w := worldWith(t, open())
	const uri = "https://app.example/initiate_login"
	r := register(w, `{"redirect_uris": ["https://app.example/cb"], "initiate_login_uri": "`+uri+`"}`)
	if r.StatusCode != 201 || r.Member("initiate_login_uri") != uri {
		t.Fatalf("registered: got %v, want %s", r, uri)
	}
	target, token := manages(t, r)
	if r := send(w, "GET", target, "", token); r.Member("initiate_login_uri") != uri {
		t.Errorf("read again: got %v, want %s", r, uri)
	}
	register(w, `{"redirect_uris": ["https://app.example/cb"], "initiate_login_uri": "http://app.example/initiate_login"}`).
		WantOAuthError(t, "without TLS", 400, "invalid_client_metadata")
}
