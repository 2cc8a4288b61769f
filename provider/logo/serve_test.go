// SPDX-License-Identifier: Apache-2.0

package logo_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"image"
	"image/png"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"calleridp/provider/client"
	"calleridp/provider/fetch"
	"calleridp/provider/internal/testworld"
)

func logoOf(t *testing.T, page testworld.Response) string {
	t.Helper()
	shown, _ := page.WantPage(t, "authorize", "signin")["Client"].(map[string]any)
	path, _ := shown["Logo"].(string)
	return path
}

// published is a server of a client on loopback, with a World whose client app has its logo
// there.
func published(t *testing.T, h http.HandlerFunc, networks ...netip.Prefix) *testworld.World {
	t.Helper()
	s := httptest.NewTLSServer(h)
	t.Cleanup(s.Close)
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return testworld.New(t, func(c *testworld.Config) {
		c.Provider.Fetch = fetch.New(fetch.Options{Networks: networks, Roots: roots})
		i := slices.IndexFunc(c.Clients, func(c client.Client) bool { return c.ID == "app" })
		c.Clients[i].LogoURI = s.URL + "/logo"
	})
}

var loopback = netip.MustParsePrefix("127.0.0.0/8")

// A page names a picture of ours, and nothing of the client's. Another server, which has not
// fetched it, serves it as well.
func TestServe(t *testing.T) {
	var raw bytes.Buffer
	if err := png.Encode(&raw, image.NewNRGBA(image.Rect(0, 0, 300, 200))); err != nil {
		t.Fatal(err)
	}
	w := published(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html") // which does not count
		w.Write(raw.Bytes())
	}, loopback)
	other := w.Get("/client-logo/app/of-another-server.png") // waits for the fetch
	if other.StatusCode != http.StatusOK || other.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("another's name: got %s, want the logo, in no cache", other)
	}
	path := logoOf(t, w.Authorize("app"))
	got := w.Get(path)
	for name, want := range map[string]string{
		"Content-Type":                 "image/png",
		"Cache-Control":                "public, max-age=31536000, immutable",
		"Content-Security-Policy":      "default-src 'none'; sandbox",
		"X-Content-Type-Options":       "nosniff",
		"Cross-Origin-Resource-Policy": "same-origin",
	} {
		if got.Header.Get(name) != want {
			t.Errorf("%s: got %q, want %q", name, got.Header.Get(name), want)
		}
	}
	c, err := png.DecodeConfig(strings.NewReader(got.Text))
	if got.StatusCode != http.StatusOK || err != nil || c.Width != 128 || c.Height != 85 || got.Text != other.Text {
		t.Errorf("%s: got %d, %d×%d, %v, want a PNG of 128×85", path, got.StatusCode, c.Width, c.Height, err)
	}
	for _, none := range []string{"/client-logo/nobody/x.png", "/client-logo/public/x.png", "/client-logo/%2e%2e/x.png", "/client-logo/app"} {
		if got := w.Get(none); got.StatusCode != http.StatusNotFound {
			t.Errorf("%s: got %s, want 404", none, got)
		}
	}
}

// What a client publishes in place of a logo is on no page, and takes no page down.
func TestThreat_LogoThatAttacks(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"SVG with a script": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "image/svg+xml")
			w.Write([]byte(`<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`))
		},
		"HTML as PNG": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "image/png")
			w.Write([]byte("<script>alert(1)</script>"))
		},
		"huge": func(w http.ResponseWriter, r *http.Request) {
			w.Write([]byte("\x89PNG\r\n\x1a\n" + strings.Repeat("x", 1<<20)))
		},
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://127.0.0.1/", http.StatusFound)
		},
		"not found": http.NotFound,
	} {
		w := published(t, h, loopback)
		if got := w.Get("/client-logo/app/x.png"); got.StatusCode != http.StatusNotFound || got.Text != "" || got.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: got %s, want 404", name, got)
		}
		if path := logoOf(t, w.Authorize("app")); path != "" {
			t.Errorf("%s: the page shows %s", name, path)
		}
	}
}

func TestThreat_LogoInAPrivateNetwork(t *testing.T) {
	var asked atomic.Int32
	w := published(t, func(http.ResponseWriter, *http.Request) { asked.Add(1) })
	if got := w.Get("/client-logo/app/x.png"); got.StatusCode != http.StatusNotFound || asked.Load() != 0 {
		t.Errorf("got %s after %d requests, want none", got, asked.Load())
	}
}

// A browser that goes away, while an address does not respond, is not waited for.
func TestServeOfGoneBrowser(t *testing.T) {
	began, end := make(chan struct{}), make(chan struct{})
	w := published(t, func(http.ResponseWriter, *http.Request) { close(began); <-end }, loopback)
	defer close(end)
	ctx, leave := context.WithCancel(t.Context())
	r := httptest.NewRequest(http.MethodGet, testworld.Issuer+"/client-logo/app/x.png", nil).WithContext(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.Handler.ServeHTTP(httptest.NewRecorder(), r)
	}()
	<-began
	if path := logoOf(t, w.Authorize("app")); path != "" { // it does not wait either
		t.Errorf("the page shows %s", path)
	}
	leave()
	<-done
}
