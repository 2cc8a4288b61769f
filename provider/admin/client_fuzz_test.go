// SPDX-License-Identifier: Apache-2.0

package admin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"

	"calleridp/provider/admin"
	"calleridp/provider/audit"
	"calleridp/provider/client"
)

// clientStore keeps clients in memory. Nothing registers itself there.
type clientStore struct {
	client.Registrations
	all map[string]client.Client
}

func (s clientStore) Client(_ context.Context, id string) (client.Client, error) {
	if c, ok := s.all[id]; ok {
		return c, nil
	}
	return client.Client{}, client.ErrNotFound
}

func (s clientStore) Clients(context.Context) ([]client.Client, error) {
	return slices.Collect(maps.Values(s.all)), nil
}

func (s clientStore) CreateClient(_ context.Context, c client.Client) error {
	if _, ok := s.all[c.ID]; ok {
		return client.ErrExists
	}
	s.all[c.ID] = c
	return nil
}

func (s clientStore) UpdateClient(_ context.Context, id string, change func(*client.Client) error) error {
	c, ok := s.all[id]
	if !ok {
		return client.ErrNotFound
	}
	err := change(&c)
	if err == nil {
		s.all[id] = c
	}
	return err
}

func (s clientStore) DeleteClient(_ context.Context, id string) error {
	delete(s.all, id)
	return nil
}

const hexHash = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"

// takeClients are the operations that take a client, or several.
var takeClients = []struct{ method, path string }{
	{"POST", "/v1/clients"}, {"PUT", "/v1/clients/known"}, {"PATCH", "/v1/clients/known"}, {"POST", "/v1/clients/import"},
}

// FuzzClient sends a body to an operation that takes a client. Whatever it is, the server
// does not fail. What it takes is a valid client, which can be read again, sent back without
// a change, and exported and imported as the same.
func FuzzClient(f *testing.F) {
	for _, body := range []string{
		shop,
		fullClient,
		`{"clients":[` + shop + `]}`,
		`{"clients":[{"client_id":"a","client_name":"A","native":true,"client_secret_sha256":["` + hexHash + `"],"redirect_uris":["https://a.example.com/cb"]}]}`,
		`{"client_name":null,"jwks":null,"jwks_uri":"https://a.example.com/k","token_endpoint_auth_method":"private_key_jwt","public":false}`,
		`{"token_endpoint_auth_method":"client_secret_jwt","default_max_age":0,"subject_type":"pairwise","consent":"always"}`,
		`{"clients":[{"client_id":"a","client_name":"\ud800\u0000","created":"0000-01-01T00:00:00+12:00","registered":true}]}`,
	} {
		for to := range takeClients {
			f.Add(uint8(to), []byte(body))
		}
	}

	store := clientStore{all: map[string]client.Client{}}
	registry, err := client.NewRegistry(nil, store, client.Deployment{ResponseTypes: client.ResponseTypes, DeviceFlow: true})
	if err != nil {
		f.Fatal(err)
	}
	handler := admin.New(admin.Config{Clients: registry, Log: slog.New(slog.DiscardHandler), Audit: audit.Log(slog.New(slog.DiscardHandler), nil)}).Handler()
	known, _, err := registry.Add(f.Context(), client.Client{ID: "known", Name: "Known", RedirectURIs: []string{"https://known.example.com/cb"}})
	if err != nil {
		f.Fatal(err)
	}
	shownAs := httptest.NewRecorder()
	handler.ServeHTTP(shownAs, httptest.NewRequestWithContext(admin.OnSocket(f.Context(), "uid 7"), "GET", "/v1/clients/known", nil))
	etagOfKnown := shownAs.Header().Get("ETag")
	f.Fuzz(func(t *testing.T, operation uint8, body []byte) {
		send := func(method, path string, body []byte, etag string) *httptest.ResponseRecorder {
			t.Helper()
			r := httptest.NewRequestWithContext(admin.OnSocket(t.Context(), "uid 7"), method, path, bytes.NewReader(body))
			r.Header.Set("If-Match", etag)
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			if w.Code >= 500 || len(w.Body.Bytes()) == 0 || !json.Valid(w.Body.Bytes()) {
				t.Fatalf("%s %s of %q: got %d %s", method, path, body, w.Code, w.Body)
			}
			return w
		}
		to := takeClients[int(operation)%len(takeClients)]
		clear(store.all)
		store.all[known.ID] = known
		etag := ""
		if to.method != http.MethodPost {
			etag = etagOfKnown
		}
		if w := send(to.method, to.path, body, etag); w.Code >= 300 {
			return
		}
		for id, c := range maps.Clone(store.all) {
			if invalid := client.Validate(c); invalid != nil {
				t.Fatalf("%s %s of %q: took an invalid client: %v", to.method, to.path, body, invalid)
			}
			path := "/v1/clients/" + url.PathEscape(id)
			shown := send("GET", path, nil, "")
			if shown.Code != http.StatusOK {
				t.Fatalf("%s %s of %q: a GET of it got %d %s", to.method, to.path, body, shown.Code, shown.Body)
			}
			if w := send("PUT", path, shown.Body.Bytes(), shown.Header().Get("ETag")); w.Code != http.StatusOK || w.Header().Get("ETag") != shown.Header().Get("ETag") {
				t.Fatalf("%s %s of %q: what a GET of it showed,\n%s\nwas not taken back as it was: %d %s", to.method, to.path, body, shown.Body, w.Code, w.Body)
			}
			var exported admin.Portable
			exported.AddClient(c)
			file, err := json.Marshal(map[string]any{"clients": exported.Clients})
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range []admin.Imported{{Unchanged: 1}, {Added: 1}} {
				var got admin.Imported
				if err := json.Unmarshal(send("POST", "/v1/clients/import", file, "").Body.Bytes(), &got); err != nil || got.Added != want.Added || got.Unchanged != want.Unchanged {
					t.Fatalf("%s %s of %q: exported as\n%s\nand imported: %+v, %v; want %+v", to.method, to.path, body, file, got, err, want)
				}
				delete(store.all, id)
			}
		}
	})
}

// FuzzPortable reads a file that may be an export. One that is read can be written and read as
// the same.
func FuzzPortable(f *testing.F) {
	f.Add([]byte(`{"format":1,"issuer":"https://id.example.com","taken_at":"2026-11-30T00:00:00Z","clients":[` + shop + `]}`))
	f.Add([]byte(`{"format":1,"users":[{"sub":"5Q3bY9rKcVxW8eTt2LmZ0g","phone_number":"+46701740605","created":"2026-01-02T03:04:05Z"}],"left_out":["x"]}`))
	f.Add([]byte(`{"format":2}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, err := admin.ReadPortable(raw)
		if err != nil {
			return
		}
		written, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		again, err := admin.ReadPortable(written)
		if err != nil {
			t.Fatalf("%s\nis written as\n%s\nand not read: %v", raw, written, err)
		}
		if rewritten, err := json.Marshal(again); err != nil || !bytes.Equal(written, rewritten) {
			t.Fatalf("%s\nis written as\n%s\nand then as\n%s\n%v", raw, written, rewritten, err)
		}
	})
}
