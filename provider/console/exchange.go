// SPDX-License-Identifier: Apache-2.0

package console

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
)

// keySet makes an oidc.KeySet of the signing keys of this process.
type keySet func(compact string) ([]byte, error)

var _ oidc.KeySet = keySet(nil)

// VerifySignature implements oidc.KeySet.
func (k keySet) VerifySignature(_ context.Context, jwt string) ([]byte, error) { return k(jwt) }

// inside is a transport to the issuer's own handlers: a request never leaves the process,
// so it needs neither the address nor the certificate of the issuer.
type inside struct{ handler http.Handler }

// RoundTrip implements http.RoundTripper.
func (t inside) RoundTrip(r *http.Request) (*http.Response, error) {
	served := r.Clone(r.Context())
	served.RequestURI, served.RemoteAddr = r.URL.RequestURI(), "127.0.0.1:0"
	if served.Body == nil {
		served.Body = http.NoBody
	}
	w := &written{header: http.Header{}, status: http.StatusOK}
	t.handler.ServeHTTP(w, served)
	return &http.Response{
		Status: http.StatusText(w.status), StatusCode: w.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.header, Body: io.NopCloser(&w.body), ContentLength: int64(w.body.Len()), Request: r,
	}, nil
}

// written is a response in memory.
type written struct {
	header http.Header
	status int
	began  bool
	body   bytes.Buffer
}

func (w *written) Header() http.Header { return w.header }

func (w *written) WriteHeader(status int) {
	if !w.began {
		w.status, w.began = status, true
	}
}

func (w *written) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(b)
}

func isHTTPS(at string) bool { return strings.HasPrefix(at, "https://") }
