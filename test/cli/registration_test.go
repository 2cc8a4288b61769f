// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"calleridp/test/harness"
)

// registeredClient is what the registration endpoint answers.
type registeredClient struct {
	ID     string `json:"client_id"`
	Secret string `json:"client_secret"`
	Token  string `json:"registration_access_token"`
	At     string `json:"registration_client_uri"`
	Error  string `json:"error"`
}

// ask makes a request about a client.
func ask(t *testing.T, method, at, token, body string) (status int, c registeredClient) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, at, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	json.NewDecoder(response.Body).Decode(&c) // an empty body is none
	return response.StatusCode, c
}

// Operators hand out tokens with which clients register themselves, each as often as it
// says, also after a restart.
func TestRegistrationTokens(t *testing.T) {
	t.Parallel()
	server := harness.Serve(t, "http://127.0.0.1:1", "registration: {mode: token}\n")
	config := []string{"--config", filepath.Join(server.Dir, "calleridp.yaml")}
	command := func(args ...string) string { t.Helper(); return good(t, append(args, config...)...) }
	add := func(args ...string) (token struct{ ID, Token string }) {
		t.Helper()
		out := command(append([]string{"registration-token", "add", "--output", "json"}, args...)...)
		if err := json.Unmarshal([]byte(out), &token); err != nil || token.Token == "" {
			t.Fatalf("registration-token add: %v\n%s", err, out)
		}
		return token
	}
	first, second := add("--note", "a partner", "--uses", "2"), add()
	if list := command("registration-token", "list"); !strings.Contains(list, "a partner") || strings.Contains(list, first.Token) || strings.Contains(list, second.Token) {
		t.Errorf("registration-token list printed\n%s\nwant the note and no token", list)
	}
	at, body := server.Issuer+"/register", `{"client_name":"Partner","redirect_uris":["https://app.example/cb"]}`
	status, c := ask(t, http.MethodPost, at, first.Token, body)
	if status != http.StatusCreated || !authenticates(t, server.Issuer, c.ID, c.Secret) {
		t.Fatalf("registered with status %d as %+v, want a client that authenticates", status, c)
	}
	if status, c := ask(t, http.MethodPost, at, "", body); status != http.StatusUnauthorized || c.Error != "invalid_token" {
		t.Errorf("without a token: status %d, %+v", status, c)
	}
	server.Stop(os.Interrupt)
	server.Start()
	if status, _ := ask(t, http.MethodPost, at, first.Token, body); status != http.StatusCreated {
		t.Errorf("the second use: status %d", status)
	}
	if status, _ := ask(t, http.MethodPost, at, first.Token, body); status != http.StatusUnauthorized {
		t.Errorf("the third use of two: status %d", status)
	}
	command("registration-token", "remove", second.ID)
	if status, _ := ask(t, http.MethodPost, at, second.Token, body); status != http.StatusUnauthorized {
		t.Errorf("a removed token: status %d", status)
	}
	one(t, "there is no registration token "+second.ID, append([]string{"registration-token", "remove"}, append(config, second.ID)...)...)
	one(t, "uses: must be between", append([]string{"registration-token", "add", "--uses", "0"}, config...)...)
	one(t, "expires_in: must be between", append([]string{"registration-token", "add", "--expires-in", "1s"}, config...)...)

	if list := command("client", "list"); !strings.Contains(list, "registration") {
		t.Errorf("client list printed\n%s\nwant where the client is from", list)
	}
	if status, read := ask(t, http.MethodGet, c.At, c.Token, ""); status != http.StatusOK || read.ID != c.ID {
		t.Errorf("its registration: status %d, %+v", status, read)
	}
	if status, _ := ask(t, http.MethodDelete, c.At, c.Token, ""); status != http.StatusNoContent || authenticates(t, server.Issuer, c.ID, c.Secret) {
		t.Errorf("deleted with status %d, and it authenticates", status)
	}
	log := server.Logged("initial_token.added", "initial_token.removed", "client.registered", "client.deregistered", "registration.refused")
	for _, secret := range []string{first.Token, second.Token, c.Token, c.Secret} {
		if strings.Contains(log, secret) {
			t.Error("a secret is in the log")
		}
	}
}
