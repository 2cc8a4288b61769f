// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"calleridp/test/harness"

	"github.com/coreos/go-oidc/v3/oidc"
)

// An operator signs a user out while the application is down, and the server is killed
// before the application is back: it still gets its logout token, once it listens again.
func TestBackchannelLogoutSurvivesAKill(t *testing.T) {
	t.Parallel()
	at := "127.0.0.1:" + harness.FreePort(t)
	clients := filepath.Join(t.TempDir(), "clients.yaml")
	err := os.WriteFile(clients, fmt.Appendf(nil, `
- client_id: told
  name: Told
  secret: secret-of-the-client-that-is-told
  redirect_uris: ["https://told.example/cb"]
  backchannel_logout_uri: http://%s/logout
  backchannel_logout_session_required: true
`, at), 0o600)
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
	rp := newRelyingParty(t, server)
	var metadata map[string]any
	if err := rp.provider.Claims(&metadata); err != nil || metadata["backchannel_logout_supported"] != true || metadata["backchannel_logout_session_supported"] != true {
		t.Errorf("discovery says %v, %v", metadata, err)
	}
	rp.config.ClientID, rp.config.ClientSecret, rp.config.RedirectURL = "told", "secret-of-the-client-that-is-told", "https://told.example/cb"
	rp.config.Scopes = []string{"openid"}
	claims := rp.signIn(harness.NewBrowser(t, server.Issuer), harness.Number(5))
	run("user", "signout", claims["sub"].(string))
	if listed := run("notice", "list"); !strings.Contains(listed, "told") {
		t.Errorf("what waits:\n%s", listed)
	}
	server.Stop(syscall.SIGKILL)

	tokens := make(chan string, 10)
	listener, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	app := http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { tokens <- r.PostFormValue("logout_token") })}
	go app.Serve(listener)
	defer app.Close()
	server.Restart()
	run("notice", "retry", "told")
	var raw string
	select {
	case raw = <-tokens:
	case <-time.After(harness.Timeout):
		t.Fatal("the application was not told")
	}
	token, err := rp.provider.Verifier(&oidc.Config{ClientID: "told"}).Verify(t.Context(), raw)
	if err != nil {
		t.Fatal(err)
	}
	var said struct {
		SID    string         `json:"sid"`
		Events map[string]any `json:"events"`
	}
	if err := token.Claims(&said); err != nil || said.SID != claims["sid"] || token.Subject != claims["sub"] || len(said.Events) != 1 {
		t.Errorf("got %+v of %s, %v; want the sid %v of %v", said, token.Subject, err, claims["sid"], claims["sub"])
	}
	if text := server.Logged("logout.delivered"); strings.Contains(text, raw) {
		t.Error("the logout token is in the log")
	}
}
