// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"crypto/x509"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

// published is a server on loopback, with a client that may reach it.
func published(t *testing.T, h http.HandlerFunc) (address string, c *Client) {
	s := httptest.NewTLSServer(h)
	t.Cleanup(s.Close)
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return s.URL, New(Options{Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Roots: roots})
}

func TestGet(t *testing.T) {
	big := strings.Repeat("x", maxBytes)
	address, c := published(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/":
			w.Write([]byte(r.Header.Get("Accept")))
		case "/big":
			w.Write([]byte(big))
		case "/bigger":
			w.Write([]byte(big + "x"))
		case "/away":
			http.Redirect(w, r, "/", http.StatusFound)
		default:
			http.NotFound(w, r)
		}
	})
	for path, want := range map[string]string{"/": "application/json", "/big": big} {
		got, err := c.Get(t.Context(), address+path, "application/json")
		if err != nil || string(got) != want {
			t.Errorf("%s: got %d bytes and %v, want %d", path, len(got), err, len(want))
		}
	}
	for _, path := range []string{"/bigger", "/away", "/missing"} {
		if got, err := c.Get(t.Context(), address+path, "*/*"); !errors.Is(err, ErrResponse) {
			t.Errorf("%s: got %d bytes and %v, want ErrResponse", path, len(got), err)
		}
	}
}

// What a client has published cannot lead into the operator's network, whatever its name
// resolves to: the address is looked at when the connection is made.
func TestThreat_FetchingReachesPublicAddressesOnly(t *testing.T) {
	reached := false
	address, c := published(t, func(http.ResponseWriter, *http.Request) { reached = true })
	c.SetNetworks(nil)
	for _, to := range []string{address, strings.Replace(address, "127.0.0.1", "localhost", 1)} {
		if _, err := c.Get(t.Context(), to, "*/*"); !errors.Is(err, ErrAddress) {
			t.Errorf("%s: got %v, want ErrAddress", to, err)
		}
	}
	if reached {
		t.Error("a server on loopback got a request")
	}
}

func TestPermitted(t *testing.T) {
	internal := []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd00:1::/32")}
	for address, want := range map[string]bool{
		"8.8.8.8": true, "2a00:1450::1": true, "2606:4700::1111": true, "::ffff:8.8.8.8": true,
		"10.1.2.3": true, "::ffff:10.1.2.3": true, "fd00:1::1": true,

		"0.0.0.0": false, "0.1.2.3": false, "10.2.0.1": false, "127.0.0.1": false, "127.255.0.1": false,
		"100.64.0.1": false, "100.127.255.255": false, "169.254.169.254": false, "172.16.0.1": false,
		"192.0.0.8": false, "192.0.2.1": false, "192.88.99.1": false, "192.168.1.1": false,
		"198.18.0.1": false, "198.51.100.1": false, "203.0.113.1": false, "224.0.0.1": false, "255.255.255.255": false,
		"::": false, "::1": false, "::ffff:127.0.0.1": false, "::ffff:169.254.169.254": false, "::7f00:1": false,
		"64:ff9b::7f00:1": false, "64:ff9b:1::1": false, "100::1": false, "2001::1": false, "2001:db8::1": false,
		"2002:7f00:1::1": false, "3fff::1": false, "fc00::1": false, "fe80::1": false, "fe80::1%eth0": false, "ff02::1": false,
	} {
		if got := permitted(netip.MustParseAddr(address), internal); got != want {
			t.Errorf("%s: got %t, want %t", address, got, want)
		}
	}
}

func TestCheck(t *testing.T) {
	for address, want := range map[string]bool{
		"https://app.example/keys": true, "https://app.example:8443/keys?x=1": true, "https://[2a00::1]/": true,
		"": false, "http://app.example/keys": false, "file:///etc/passwd": false, "https:": false, "https:///keys": false,
		"https:app.example": false, "https://user@app.example/": false, "https://app.example/#x": false, "https://app.example/\x7f": false,
		"https://app.example/" + strings.Repeat("x", 2028): true, "https://app.example/" + strings.Repeat("x", 2029): false,
	} {
		if err := Check(address); (err == nil) != want || err != nil && !errors.Is(err, ErrAddress) {
			t.Errorf("%q: got %v, want permitted %t", address, err, want)
		}
	}
}

// A network that the configuration does not allow any more is not reached over a connection
// that was kept from before.
func TestThreat_AKeptConnectionIsForbiddenToo(t *testing.T) {
	address, c := published(t, func(http.ResponseWriter, *http.Request) {})
	if _, err := c.Get(t.Context(), address, "*/*"); err != nil {
		t.Fatal(err)
	}
	c.SetNetworks(nil)
	if _, err := c.Get(t.Context(), address, "*/*"); !errors.Is(err, ErrAddress) {
		t.Errorf("got %v, want ErrAddress", err)
	}
}
