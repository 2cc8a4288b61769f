package admin_test

import (
	"encoding/json"
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
