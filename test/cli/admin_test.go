// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"calleridp/cmd/calleridp/selfsigned"
	"calleridp/provider/admin"
	"calleridp/test/harness"
)

// An operator edits a client, and gives a program a key, which uses the API over TLS. What it
// sends twice is done once, also by the server that was started again meanwhile.
func TestAdminAPIOfARunningServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "admin.crt"), filepath.Join(dir, "admin.key")
	if err := selfsigned.Write(certFile, keyFile, "localhost"); err != nil {
		t.Fatal(err)
	}
	vendor := httptest.NewServer(http.NotFoundHandler())
	defer vendor.Close()
	address := "127.0.0.1:" + harness.FreePort(t)
	server := harness.Serve(t, vendor.URL, "admin_listen: "+address+"\nadmin_tls: {cert_file: "+certFile+", key_file: "+keyFile+"}\n")

	good(t, "client", "add", "--id", "shop", "--name", "Shop", "--redirect-uri", "https://shop.example.com/cb", "--socket", server.Socket)
	edited := good(t, "client", "edit", "shop", "--add-redirect-uri", "https://shop.example.com/cb2", "--consent", "remember", "--socket", server.Socket)
	const want = `+ consent: "remember"
- redirect_uris: ["https://shop.example.com/cb"]
+ redirect_uris: ["https://shop.example.com/cb","https://shop.example.com/cb2"]
`
	if edited != want {
		t.Errorf("client edit printed\n%swant\n%s", edited, want)
	}
	good(t, "client", "edit", "shop", "--remove-redirect-uri", "https://shop.example.com/cb", "--consent", "none", "--socket", server.Socket)
	shown := good(t, "client", "show", "shop", "--socket", server.Socket)
	if !strings.Contains(shown, "https://shop.example.com/cb2\n") || strings.Contains(shown, "remember") {
		t.Errorf("after that, client show printed\n%s", shown)
	}
	one(t, "has no redirect URI https://x.example.com/", "client", "edit", "shop", "--remove-redirect-uri", "https://x.example.com/", "--socket", server.Socket)
	one(t, "nothing changes", "client", "edit", "shop", "--socket", server.Socket)
	one(t, "client demo is declared in the config file", "client", "edit", "demo", "--name", "X", "--socket", server.Socket)

	status := good(t, "status", "--socket", server.Socket)
	if !strings.Contains(status, "store                      healthy\n") || !strings.Contains(status, "truecaller                 not asked since the start\n") {
		t.Errorf("status printed\n%s", status)
	}
	effective := good(t, "config", "show", "--socket", server.Socket)
	if !strings.Contains(effective, "admin_listen: "+address+"\n") || !strings.Contains(effective, "  client_id: demo\n") {
		t.Errorf("config show printed\n%s", effective)
	}

	var key admin.APIKey
	made := good(t, "api-key", "add", "--name", "deploy", "--scope", "clients:write", "--socket", server.Socket, "--output", "json")
	if err := json.Unmarshal([]byte(made), &key); err != nil || key.Key == "" {
		t.Fatalf("api-key add printed %s, %v", made, err)
	}
	var all admin.APIKey
	if err := json.Unmarshal([]byte(good(t, "api-key", "add", "--name", "watch", "--scope", "*:read", "--socket", server.Socket, "--output", "json")), &all); err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pem, err := os.ReadFile(certFile)
	if err != nil || !pool.AppendCertsFromPEM(pem) {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: "localhost"}}}
	send := func(key, method, path, body string, status int) (text string, headers http.Header) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, "https://"+address+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		if key != "" {
			r.Header.Set("Authorization", "Bearer "+key)
		}
		r.Header.Set("Idempotency-Key", "deploy-1234")
		response, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		raw, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != status {
			t.Errorf("%s %s: got %d %s %v, want %d", method, path, response.StatusCode, raw, err, status)
		}
		return string(raw), response.Header
	}
	if page, headers := send("", "GET", "/docs", "", 200); !strings.Contains(page, "/v1/clients/{id}") || !strings.HasPrefix(headers.Get("Content-Type"), "text/html") {
		t.Errorf("the page of the API: %s", page)
	}
	send("", "GET", "/v1/clients", "", 401)
	send("calleridp_guess", "GET", "/v1/clients", "", 401)
	send(key.Key, "GET", "/v1/clients", "", 403)
	if text, _ := send(all.Key, "GET", "/v1/config", "", 200); !strings.Contains(text, `"master_key_file"`) || strings.Contains(text, harness.ClientSecret) || strings.Contains(text, server.CallbackSecret) {
		t.Errorf("the configuration: %s", text)
	}
	if text, _ := send(all.Key, "GET", "/v1/status", "", 200); !strings.Contains(text, `"store":"healthy"`) {
		t.Errorf("the status: %s", text)
	}
	const wiki = `{"client_id":"wiki","client_name":"Wiki","redirect_uris":["https://wiki.example.com/cb"]}`
	first, _ := send(key.Key, "POST", "/v1/clients", wiki, 201)
	server.Stop(os.Interrupt)
	server.Start()
	second, headers := send(key.Key, "POST", "/v1/clients", wiki, 201)
	if !strings.Contains(first, "client_secret") || strings.Contains(second, "client_secret") || headers.Get("Idempotency-Replayed") != "true" {
		t.Errorf("sent twice: got %s and %s %v", first, second, headers)
	}
	send(key.Key, "POST", "/v1/clients", strings.Replace(wiki, "Wiki", "Wiki 2", 1), 422)
	good(t, "api-key", "remove", key.ID, "--socket", server.Socket)
	send(key.Key, "POST", "/v1/clients", wiki, 401)

	// Plain HTTP gets nothing.
	if plain, err := http.Get("http://" + address + "/v1/clients"); err == nil {
		plain.Body.Close()
		if plain.StatusCode != 400 {
			t.Errorf("over plain HTTP: got %d", plain.StatusCode)
		}
	}
	server.Logged(`"client.edited"`, `"operator":"uid `)
	server.Logged(`"client.added"`, `"operator":"key deploy (`+key.ID+`)"`)
	if strings.Contains(server.Log(), key.Key[21:]) {
		t.Error("the key is in the log")
	}
}
