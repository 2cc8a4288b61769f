// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"image"
	"image/color"
	"image/png"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"calleridp/test/harness"
)

// The logo of a client, here one that has registered itself, is a picture of ours on the
// sign-in page, with links to its policies (OpenID Connect Dynamic Client Registration §2).
// Browsers ask the client for nothing.
func TestLogoOfAClient(t *testing.T) {
	picture := image.NewNRGBA(image.Rect(0, 0, 400, 400))
	for i := range 400 * 400 {
		picture.Set(i%400, i/400, color.NRGBA{R: 0xcc, G: 0x22, B: uint8(i / 4), A: 0xff})
	}
	var raw bytes.Buffer
	if err := png.Encode(&raw, picture); err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int32
	fetched := make(chan struct{}, 1)
	published := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		select {
		case fetched <- struct{}{}:
		default:
		}
		w.Write(raw.Bytes())
	}))
	defer published.Close()
	roots := filepath.Join(t.TempDir(), "roots.pem")
	if err := os.WriteFile(roots, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: published.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SSL_CERT_FILE", roots)
	server := harness.Dev(t, "--registration", "open")
	body, err := json.Marshal(map[string]any{"client_name": "Registered shop", "redirect_uris": []string{"https://shop.example/cb"},
		"logo_uri": published.URL + "/logo.png", "policy_uri": "https://shop.example/privacy", "tos_uri": "https://shop.example/terms"})
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.Post(server.Issuer+"/register", "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var c struct {
		ID string `json:"client_id"`
	}
	if err := json.NewDecoder(response.Body).Decode(&c); err != nil || response.StatusCode != http.StatusCreated {
		t.Fatalf("status %d, %v", response.StatusCode, err)
	}
	select {
	case <-fetched: // before anybody has opened a page
	case <-time.After(harness.Timeout):
		t.Fatal("the registration has not begun to fetch the logo")
	}
	browser := harness.NewBrowser(t, server.Issuer)
	browser.Get(server.Issuer + "/client-logo/" + c.ID + "/any.png") // waits for the end of that fetch
	page := browser.Get(server.Issuer + "/authorize?" + url.Values{
		"client_id": {c.ID}, "response_type": {"code"}, "scope": {"openid"}, "redirect_uri": {"https://shop.example/cb"},
		"code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "code_challenge_method": {"S256"},
	}.Encode())
	shown := regexp.MustCompile(`<img class="mark" src="(/client-logo/[^"]+)"`).FindStringSubmatch(page.Body)
	if shown == nil || strings.Contains(page.Body, published.URL) || !strings.Contains(page.Body, "Registered shop (shop.example)") ||
		!strings.Contains(page.Body, `href="https://shop.example/privacy"`) || !strings.Contains(page.Body, `href="https://shop.example/terms"`) {
		t.Fatalf("status %d, want the logo, the name with its host, and links: %s", page.Status, page.Body)
	}
	if csp := page.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "img-src 'self';") {
		t.Errorf("got %s", csp)
	}
	got, err := http.Get(server.Issuer + shown[1])
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	small, err := png.DecodeConfig(got.Body)
	if err != nil || small.Width != 128 || small.Height != 128 || asked.Load() != 1 {
		t.Errorf("got %d×%d, %v after %d fetches, want 128×128 after one", small.Width, small.Height, err, asked.Load())
	}
}
