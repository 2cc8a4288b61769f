// SPDX-License-Identifier: Apache-2.0

package console_test

import (
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"calleridp/provider/admin"
	"calleridp/provider/audit"
	"calleridp/ui"
	pages "calleridp/ui/console"
	"calleridp/ui/pagetest"
)

// The page of the API names each operation and each schema that another part links to. It has
// no script, and loads nothing from another host.
func TestDocs(t *testing.T) {
	api := admin.New(admin.Config{
		Audit: audit.Discard, Log: slog.New(slog.DiscardHandler),
		Docs: func(document []byte) http.Handler { return pages.Docs(document, ui.Tokens()) },
	})
	get := api.Handler().ServeHTTP
	page := draw(t, "/docs", get)
	pagetest.Want(t, page, 200, "<code>/v1/clients/{id}</code>", `id="list-audit"`, "<code>audit:read</code>", `<span class="tag">PATCH</span>`,
		`<a href="#schema-Problem">`, "list of string", "Only these events", "The body is")
	text := page.Body.String()
	for _, m := range regexp.MustCompile(`(?:href|src)="([^"]*)"`).FindAllStringSubmatch(text, -1) {
		if anchor, ok := strings.CutPrefix(m[1], "#"); ok {
			if !strings.Contains(text, `id="`+anchor+`"`) {
				t.Errorf("nothing is at %s", m[1])
			}
		} else if got := pagetest.Draw(m[1], get); !strings.HasPrefix(m[1], "/") || got.Code != 200 {
			t.Errorf("%s: got status %d", m[1], got.Code)
		}
	}
	if policy := page.Header().Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "script") {
		t.Errorf("got the policy %q", policy)
	}
	if got := pagetest.Draw("/docs/nothing", get); got.Code != 404 {
		t.Errorf("a path below: got status %d, want 404", got.Code)
	}
}

// What a document says is shown as text.
func TestDocsEscape(t *testing.T) {
	h := pages.Docs([]byte(`{"info":{"title":"<b>"},"paths":{"/<i>":{"get":{"operationId":"x\"y","summary":"<script>"}}}}`), "")
	page := pagetest.Draw("/docs", h.ServeHTTP)
	pagetest.Want(t, page, 200, "&lt;script&gt;", "&lt;b&gt;", "/&lt;i&gt;")
	if strings.Contains(page.Body.String(), "<script>") || strings.Contains(page.Body.String(), `x"y`) {
		t.Errorf("not escaped:\n%s", page.Body)
	}
}
