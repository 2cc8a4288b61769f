// SPDX-License-Identifier: Apache-2.0

package truecaller

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestClientKeepsConnections(t *testing.T) {
	var connections atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == profilePath {
			json.NewEncoder(w).Encode(map[string]any{"phoneNumbers": []int64{46701740605}})
			return
		}
		io.WriteString(w, goodReply)
	}))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	c := NewClient(Options{})
	for range 10 {
		if _, err := c.Push(t.Context(), new(Permit), appAt(t, server.URL), number(t, typed), ourState); err != nil {
			t.Fatal(err)
		}
		if _, err := c.FetchProfile(t.Context(), appAt(t, server.URL), "", bearer); err != nil {
			t.Fatal(err)
		}
	}
	if connections.Load() != 1 {
		t.Errorf("twenty requests took %d connections, want 1", connections.Load())
	}
}

func TestClientWantsTLS12(t *testing.T) {
	for version, ok := range map[uint16]bool{tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, goodReply) }))
		server.Config.ErrorLog = log.New(io.Discard, "", 0)
		server.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: version}
		server.StartTLS()
		c := NewClient(Options{})
		c.http.Transport.(*http.Transport).TLSClientConfig.RootCAs = server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
		_, err := c.Push(t.Context(), new(Permit), appAt(t, server.URL), number(t, typed), ourState)
		if (err == nil) != ok {
			t.Errorf("a request over %s failed with %v, want success: %v", tls.VersionName(version), err, ok)
		}
		server.Close()
	}
}

// Each of the times ends a request by itself, long before the others would.
func TestClientTimeouts(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // connects and never shakes hands
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	mute := serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})
	stuck := serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, `{"requestId"`)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	const soon, never = 50 * time.Millisecond, time.Hour
	for what, row := range map[string]struct {
		base    string
		options Options
	}{
		"connection": {"http://" + deafAddress(t), Options{ConnectTimeout: soon, HeaderTimeout: never, Timeout: never}},
		"handshake":  {"https://" + silent.Addr().String(), Options{ConnectTimeout: soon, HeaderTimeout: never, Timeout: never}},
		"header":     {mute.URL, Options{ConnectTimeout: never, HeaderTimeout: soon, Timeout: never}},
		"whole":      {stuck.URL, Options{ConnectTimeout: never, HeaderTimeout: never, Timeout: soon}},
	} {
		t.Run(what, func(t *testing.T) {
			ended := make(chan error, 1)
			go func() {
				_, err := NewClient(row.options).Push(t.Context(), new(Permit), appAt(t, row.base), number(t, typed), ourState)
				ended <- err
			}()
			select {
			case err := <-ended:
				if err == nil {
					t.Error("Push() succeeded, want a timeout")
				}
			case <-time.After(time.Minute):
				t.Error("Push() has not ended after a minute")
			}
		})
	}
}

// The client neither reads nor decompresses beyond its limits.
func TestClientCaps(t *testing.T) {
	var written atomic.Int64
	for what, row := range map[string]struct {
		answer http.HandlerFunc
		want   error
	}{
		"header": {func(w http.ResponseWriter, r *http.Request) {
			for i := range 128 {
				w.Header().Set(fmt.Sprintf("X-Filler-%d", i), strings.Repeat("x", 1<<10))
			}
			io.WriteString(w, goodBody)
		}, ErrProfileUnavailable},
		"endless body": {func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, goodBody)
			for {
				n, err := w.Write(bytes.Repeat([]byte(" "), 64<<10))
				if written.Add(int64(n)); err != nil {
					return
				}
			}
		}, ErrProfile},
		"gzip bomb": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			io.WriteString(z, goodBody+strings.Repeat(" ", 64<<20))
			z.Close()
		}, ErrProfile},
	} {
		t.Run(what, func(t *testing.T) {
			server := serve(t, row.answer)
			// A slow machine takes longer to compress the bomb than Truecaller may take to answer.
			c := NewClient(Options{Timeout: 10 * time.Minute})
			if p, err := c.FetchProfile(t.Context(), appAt(t, server.URL), "", bearer); !errors.Is(err, row.want) {
				t.Errorf("FetchProfile() = %v, %v, want %v", p.Numbers, err, row.want)
			}
			if n := written.Load(); n > 32<<20 { // what is on its way is much less
				t.Errorf("the client read %d MiB, want at most 32", n>>20)
			}
		})
	}
}

// Secrets go straight to Truecaller.
func TestClientUsesNoProxy(t *testing.T) {
	if NewClient(Options{}).http.Transport.(*http.Transport).Proxy != nil {
		t.Error("the client uses a proxy")
	}
}
