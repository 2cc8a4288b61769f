// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"calleridp/test/harness"
)

// A number gets another user while the receiver is down, and the server is killed before the
// receiver is back: it still gets every event, in order, once it listens again.
func TestSignalsSurviveAKill(t *testing.T) {
	t.Parallel()
	at := "127.0.0.1:" + harness.FreePort(t)
	const secret = "secret-of-the-client-that-is-told"
	clients := filepath.Join(t.TempDir(), "clients.yaml")
	err := os.WriteFile(clients, fmt.Appendf(nil, `
- client_id: told
  name: Told
  secret: %s
  redirect_uris: ["https://told.example/cb"]
  signals: true
`, secret), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	server := harness.Dev(t, "--clients", clients)
	socket := filepath.Join(server.Data, "admin.sock")
	run := func(args ...string) string {
		t.Helper()
		out, err := harness.Run(t, append(args, "--socket", socket)...)
		if err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
		return out
	}
	send := func(r *http.Request, status int) (body map[string]any) {
		t.Helper()
		got, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer got.Body.Close()
		raw, err := io.ReadAll(got.Body)
		if err != nil || got.StatusCode != status {
			t.Fatalf("%s: got %d %s, %v, want %d", r.URL.Path, got.StatusCode, raw, err, status)
		}
		if len(raw) > 0 {
			if err := json.Unmarshal(raw, &body); err != nil {
				t.Fatal(err)
			}
		}
		return body
	}
	request := func(path, contentType, body string) *http.Request {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.Issuer+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", contentType)
		return r
	}
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {"told"}, "client_secret": {secret}}
	token := send(request("/token", "application/x-www-form-urlencoded", form.Encode()), 200)["access_token"].(string)
	create := request("/ssf/streams", "application/json", `{"delivery":{"method":"urn:ietf:rfc:8935","endpoint_url":"http://`+at+`/events"},
		"events_requested":["https://schemas.openid.net/secevent/risc/event-type/identifier-recycled",
		"https://schemas.openid.net/secevent/caep/event-type/token-claims-change","https://schemas.openid.net/secevent/caep/event-type/session-revoked"]}`)
	create.Header.Set("Authorization", "Bearer "+token)
	send(create, 201)

	rp := newRelyingParty(t, server)
	number := harness.Number(24) // another user at every second sign-in
	mine := rp
	mine.config.ClientID, mine.config.ClientSecret, mine.config.RedirectURL = "told", secret, "https://told.example/cb"
	mine.config.Scopes = []string{"openid", "phone"}
	first := mine.signIn(harness.NewBrowser(t, server.Issuer), number)
	second := mine.signIn(harness.NewBrowser(t, server.Issuer), number)
	if first["sub"] == second["sub"] {
		t.Fatal("the number has the same user")
	}
	if listed := run("stream", "list"); !strings.Contains(listed, "told") || !strings.Contains(listed, "enabled") {
		t.Errorf("streams:\n%s", listed)
	}
	server.Stop(syscall.SIGKILL)

	events := make(chan string, 10)
	listener, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	app := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		events <- string(raw)
		w.WriteHeader(http.StatusAccepted)
	})}
	go app.Serve(listener)
	defer app.Close()
	server.Restart()
	run("stream", "resume", "told")
	seen := map[string]bool{}
	for _, want := range []string{"stream-updated", "identifier-recycled", "token-claims-change", "session-revoked"} {
		var raw string
		select {
		case raw = <-events:
		case <-time.After(harness.Timeout):
			t.Fatalf("no %s came", want)
		}
		payload, err := base64.RawURLEncoding.DecodeString(strings.Split(raw, ".")[1])
		if err != nil {
			t.Fatal(err)
		}
		var said struct {
			ID      string          `json:"jti"`
			Subject json.RawMessage `json:"sub_id"`
			Events  map[string]any  `json:"events"`
		}
		if err := json.Unmarshal(payload, &said); err != nil || seen[said.ID] || len(said.Events) != 1 {
			t.Fatalf("got %s, %v", payload, err)
		}
		seen[said.ID] = true
		for uri := range said.Events {
			if !strings.HasSuffix(uri, "/"+want) {
				t.Errorf("got %s, want %s", uri, want)
			}
		}
		if bytes.Contains(said.Subject, []byte(second["sub"].(string))) {
			t.Errorf("%s is about the new user: %s", want, said.Subject)
		}
	}
}
