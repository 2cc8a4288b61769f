// SPDX-License-Identifier: Apache-2.0

package admin_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/openapi.json")

// docs/openapi.json is the document that the server generates from its operations.
func TestDocument(t *testing.T) {
	const file = "../../docs/openapi.json"
	a := newAPI(t)
	var got bytes.Buffer
	if err := json.Indent(&got, a.do("GET", "/openapi.json", "").Body.Bytes(), "", "  "); err != nil {
		t.Fatal(err)
	}
	got.WriteByte('\n')
	if *update {
		if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(want, got.Bytes()) {
		t.Errorf("%s differs from the program (%v); update it with: go test ./provider/admin -run Document -update", file, err)
	}
	var document struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			OperationID string
			Summary     string
			Tags        []string
			Responses   map[string]struct {
				Content map[string]json.RawMessage
			}
		}
	}
	if err := json.Unmarshal(got.Bytes(), &document); err != nil || !strings.HasPrefix(document.OpenAPI, "3.1.") {
		t.Fatalf("version %q, %v", document.OpenAPI, err)
	}
	ids := map[string]bool{}
	for path, methods := range document.Paths {
		for method, o := range methods {
			if o.OperationID == "" || ids[o.OperationID] || o.Summary == "" || len(o.Tags) != 1 {
				t.Errorf("%s %s: %+v", method, path, o)
			}
			ids[o.OperationID] = true
			for status, response := range o.Responses {
				kind := "application/json"
				if status >= "400" {
					kind = "application/problem+json"
				}
				if response.Content[kind] == nil {
					t.Errorf("%s %s: %s is not described as %s", method, path, status, kind)
				}
			}
		}
	}
	if w := a.do("GET", "/openapi.yaml", ""); w.Code != 200 || !strings.Contains(w.Body.String(), "list-clients") {
		t.Errorf("/openapi.yaml: %d", w.Code)
	}
}
