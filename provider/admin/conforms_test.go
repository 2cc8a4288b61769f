// SPDX-License-Identifier: Apache-2.0

package admin_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
)

// described finds the operation of a request in the document of the API.
func described(t *testing.T, document []byte) routers.Router {
	t.Helper()
	loader := openapi3.NewLoader()
	doc, err := loader.LoadFromData(document)
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(loader.Context); err != nil {
		t.Fatalf("the document is no OpenAPI %s: %v", doc.OpenAPI, err)
	}
	router, err := legacy.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	return router
}

// conforms checks what was requested and answered against the document: each response has a
// status and a body that it describes, and a request that was carried out is one that it allows.
func (a *api) conforms(method, path, body string, header http.Header, w *httptest.ResponseRecorder) {
	a.t.Helper()
	if !strings.HasPrefix(path, "/v1/") {
		return
	}
	r := httptest.NewRequestWithContext(a.t.Context(), method, path, strings.NewReader(body))
	r.Header = header.Clone()
	if r.Header.Get("Content-Type") == "" { // the server guesses it (RFC 9110 §8.3)
		kind := "application/json"
		if method == http.MethodPatch {
			kind = "application/merge-patch+json"
		}
		r.Header.Set("Content-Type", kind)
	}
	route, parameters, err := a.router.FindRoute(r)
	if err != nil {
		if w.Code != http.StatusNotFound && w.Code != http.StatusMethodNotAllowed {
			a.t.Errorf("%s %s: got %d, and the document has no such operation: %v", method, path, w.Code, err)
		}
		return
	}
	request := &openapi3filter.RequestValidationInput{
		Request: r, PathParams: parameters, Route: route,
		Options: &openapi3filter.Options{
			AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true, MultiError: true,
			ExcludeReadOnlyValidations: true, // a client sends what it was given, and it is ignored
		},
	}
	if w.Code < 300 {
		if err := openapi3filter.ValidateRequest(a.t.Context(), request); err != nil {
			a.t.Errorf("%s %s was carried out, and the document does not allow it: %v", method, path, err)
		}
	}
	response := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: request, Status: w.Code, Header: w.Header(),
		Body: io.NopCloser(bytes.NewReader(w.Body.Bytes())), Options: request.Options,
	}
	if err := openapi3filter.ValidateResponse(a.t.Context(), response); err != nil {
		a.t.Errorf("%s %s: %d is not as the document says: %v\n%s", method, path, w.Code, err, w.Body)
	}
}
