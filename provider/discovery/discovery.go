// SPDX-License-Identifier: Apache-2.0

// Package discovery serves the provider's documents: its metadata (OpenID Connect
// Discovery §4, RFC 8414 §3), its public keys (RFC 7517 §5), and which issuer serves a
// host (webfinger.go).
//
// The metadata is put together from what each room says of itself: a value is
// listed where the code stands that makes it true.
package discovery

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"calleridp/provider/endpoint"

	"github.com/go-chi/chi/v5"
)

// Keys are the provider's signing keys. *keys.Ring is one.
type Keys interface {
	// Freshen makes JWKS return all keys that any process signs with.
	Freshen(ctx context.Context) error
	// JWKS returns the public keys as a JWK set.
	JWKS() []byte
}

// Config is what the documents are made of.
type Config struct {
	Issuer    string
	Keys      Keys
	UILocales []string // languages of the pages, BCP 47; may be empty
	Rooms     []endpoint.Describer
}

// Documents serves the documents.
type Documents struct {
	keys     Keys
	issuer   *url.URL
	metadata document
	jwks     atomic.Pointer[document] // the key set that was served last, with its ETag
}

// New puts the metadata together. It fails when two rooms claim one member.
func New(cfg Config) (*Documents, error) {
	all := endpoint.Metadata{
		{Name: "issuer", Value: cfg.Issuer},
		{Name: "jwks_uri", Value: cfg.Issuer + endpoint.PathJWKS},
	}
	if len(cfg.UILocales) > 0 {
		all = append(all, endpoint.MetadataField{Name: "ui_locales_supported", Value: cfg.UILocales})
	}
	for _, room := range cfg.Rooms {
		all = append(all, room.Metadata()...)
	}
	members := make(map[string]any, len(all))
	for _, field := range all {
		if _, taken := members[field.Name]; taken {
			return nil, fmt.Errorf("discovery: two rooms describe %s", field.Name)
		}
		members[field.Name] = field.Value
	}
	body, err := json.Marshal(members)
	if err != nil {
		return nil, err
	}
	issuer, err := url.Parse(cfg.Issuer)
	if err != nil {
		return nil, fmt.Errorf("discovery: issuer: %w", err)
	}
	return &Documents{keys: cfg.Keys, issuer: issuer, metadata: newDocument(body)}, nil
}

// The documents may be cached, but not for long: a key set for far less than the
// day that a key is published before it signs.
const (
	metadataCache = "public, max-age=300"
	jwksCache     = "public, max-age=600"

	refreshTimeout = time.Second
)

// Mount registers the documents' paths.
func (d *Documents) Mount(r chi.Router) {
	for _, path := range []string{endpoint.PathDiscovery, endpoint.PathOAuthDiscovery} {
		r.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) { d.metadata.serve(w, r, metadataCache) })
	}
	r.HandleFunc(endpoint.PathJWKS, d.serveJWKS)
	r.HandleFunc(endpoint.PathWebFinger, d.webfinger)
}

func (d *Documents) serveJWKS(w http.ResponseWriter, r *http.Request) {
	// Another process may have changed them. If the store does not answer, the ones that
	// are known are better than none.
	ctx, done := context.WithTimeout(r.Context(), refreshTimeout)
	defer done()
	_ = d.keys.Freshen(ctx)
	set := d.keys.JWKS()
	doc := d.jwks.Load()
	if doc == nil || !bytes.Equal(doc.body, set) {
		fresh := newDocument(set)
		doc = &fresh
		d.jwks.Store(doc)
	}
	doc.serve(w, r, jwksCache)
}

// document is a response that is made once.
type document struct {
	body []byte
	etag string
}

func newDocument(body []byte) document {
	sum := sha256.Sum256(body)
	return document{body: body, etag: `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`}
}

// serve writes the document, which any page may read.
func (d document) serve(w http.ResponseWriter, r *http.Request, cache string) {
	if !public(w, r) {
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", cache)
	h.Set("ETag", d.etag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(d.body))
}

// public lets any page read the response, and reports whether the request reads one. It
// answers preflights and all other methods itself.
func public(w http.ResponseWriter, r *http.Request) (ok bool) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		return true
	case http.MethodOptions:
		h.Set("Access-Control-Allow-Methods", "GET, HEAD")
		h.Set("Access-Control-Allow-Headers", "*")
		h.Set("Access-Control-Max-Age", "600")
		w.WriteHeader(http.StatusNoContent)
	default:
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
	}
	return false
}
