// SPDX-License-Identifier: Apache-2.0

package admin_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"calleridp/provider/admin"
)

// An import brings nothing of a removed client back: tokens and consents of before belong to
// an earlier client of the ID, whatever the file says of when it was made.
func TestImportedClientsAreNew(t *testing.T) {
	a := newAPI(t)
	var c admin.Client
	a.call("POST", "/v1/clients", `{"client_id":"shop","client_name":"Shop","redirect_uris":["https://shop.example.com/cb"]}`, 201, &c)
	known, err := a.registry.Client(t.Context(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	var exported admin.Portable
	exported.AddClient(known)
	body, err := json.Marshal(map[string]any{"clients": exported.Clients})
	if err != nil {
		t.Fatal(err)
	}
	given := time.Now() // a grant of the client, say
	a.call("DELETE", "/v1/clients/shop", "", 200, &c)
	var done admin.Imported
	a.call("POST", "/v1/clients/import", string(body), 200, &done)
	imported, err := a.registry.Client(t.Context(), "shop")
	if err != nil || done.Added != 1 {
		t.Fatalf("import: %+v, %v", done, err)
	}
	if !imported.RegisteredAfter(given) {
		t.Errorf("the imported client is from %s, so it has what was given to the removed one at %s", imported.Created, given)
	}
	a.call("POST", "/v1/clients/import", string(body), 200, &done)
	if done.Unchanged != 1 || done.Added+len(done.Conflicts) != 0 {
		t.Errorf("the same file again: %+v", done)
	}
}

// The times of imported users are ones that can have been. A sign-in in the future would keep
// a number that somebody else has got by then with its first user (subject.Policy).
func TestImportedUsersHaveTheirPast(t *testing.T) {
	a := newAPI(t)
	const user = `{"users":[{"sub":"5Q3bY9rKcVxW8eTt2LmZ0g","phone_number":"+46701740605","created":"2026-01-02T03:04:05Z"%s}]}`
	for _, odd := range []string{
		`,"last_sign_in":"2199-01-02T03:04:05Z"`,
		`,"verified_at":"2199-01-02T03:04:05Z"`,
		`,"created":"2199-01-02T03:04:05Z"`,
		`,"created":"9999-12-31T23:59:59-12:00"`,
		`,"created":"0000-01-01T00:00:00+12:00"`,
		`,"last_sign_in":"0000-01-01T00:00:00+12:00"`,
	} {
		var done admin.Imported
		a.call("POST", "/v1/users/import", fmt.Sprintf(user, odd), 200, &done)
		if len(done.Conflicts) != 1 || done.Added != 0 {
			t.Errorf("%s: %+v", odd, done)
		}
		a.call("GET", "/v1/users", "", 200, &[]admin.UserSummary{})
	}
	var done admin.Imported
	a.call("POST", "/v1/users/import", fmt.Sprintf(user, ""), 200, &done)
	if done.Added != 1 {
		t.Errorf("without an odd time: %+v", done)
	}
}
