// SPDX-License-Identifier: Apache-2.0

package console_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"calleridp/provider/admin"
	"calleridp/provider/apikey"
	"calleridp/provider/audit"
	"calleridp/ui"
	pages "calleridp/ui/console"
	"calleridp/ui/pagetest"
)

// The configuration is shown by its keys, each table by itself.
func TestSettingsPage(t *testing.T) {
	effective := map[string]any{
		"issuer": "https://id.example.com", "master_key": "(set)", "countries": []any{"IN", "SE"},
		"limits":  map[string]any{"number": "3/1h", "inner": map[string]any{"deep": 2_000_000}},
		"clients": []any{map[string]any{"client_id": "<b>", "redirect_uris": []any{"https://a", "https://b"}}},
		"proxies": []any{},
	}
	read := open(lines{}, effective, apikey.ConfigRead)
	pagetest.Want(t, draw(t, "/console/settings", read), 200, "<dt>issuer</dt><dd><bdi>https://id.example.com</bdi>", "<dt>master_key</dt><dd><bdi>(set)</bdi>",
		"<dt>countries</dt><dd><bdi>IN, SE</bdi>", "<h2>limits</h2>", "<dt>inner.deep</dt><dd><bdi>2000000</bdi>", "<h2>clients</h2>",
		"<dt>[0].client_id</dt><dd><bdi>&lt;b&gt;</bdi>", "<dt>[0].redirect_uris</dt><dd><bdi>https://a, https://b</bdi>",
		`<dt>proxies</dt><dd><span class="muted">not set</span></dd>`, `aria-current="page">Configuration</a>`)
	pagetest.Want(t, draw(t, "/console/settings", open(lines{}, effective, apikey.StatusRead)), 403, "config:read")
}

// A section is open if something in it differs from the default, and it is not long; without
// one, the first is.
func TestSettingsOpenWhatDiffers(t *testing.T) {
	table := func(keys ...any) map[string]any {
		m := map[string]any{}
		for i := 0; i < len(keys); i += 2 {
			m[keys[i].(string)] = keys[i+1]
		}
		return m
	}
	many := map[string]any{}
	for i := range 30 {
		many[fmt.Sprintf("key%02d", i)] = "x"
	}
	usual := table("listen", ":8443", "log", table("level", "info", "format", "json"), "limits", table("number", "10/24h", "device", "20/24h"), "long", table("key00", ""))
	show := func(effective map[string]any) string {
		api := admin.New(admin.Config{Effective: func() any { return effective }, Audit: audit.Discard, Log: slog.New(slog.DiscardHandler)})
		got := draw(t, "/console/settings", pages.Handler(pages.Config{
			Door: door{scopes: []apikey.Scope{apikey.ConfigRead}}, API: api, Defaults: usual, Tokens: ui.Tokens(), Log: slog.New(slog.DiscardHandler),
		}).ServeHTTP)
		if got.Code != http.StatusOK {
			t.Fatalf("got %d:\n%s", got.Code, got.Body)
		}
		return got.Body.String()
	}
	is := func(page, name string, open bool, says string) {
		t.Helper()
		attribute := ""
		if open {
			attribute = " open"
		}
		if want := fmt.Sprintf(`<details class="card fold"%s><summary><h2>%s</h2> <span class="muted">%s</span></summary>`, attribute, name, says); !strings.Contains(page, want) {
			t.Errorf("no %s in\n%s", want, page)
		}
	}
	page := show(table("listen", ":8443", "log", table("level", "debug", "format", "json"), "limits", table("number", "10/24h", "device", "20/24h"), "long", many))
	is(page, "Server", false, "all by default")
	is(page, "log", true, "1 of 2 changed")
	is(page, "limits", false, "all by default")
	is(page, "long", false, "30 of 30 changed")
	pagetest.Contains(t, page, `<dt>level</dt><dd><bdi>debug</bdi> <span class="tag">changed</span></dd>`, "<dt>format</dt><dd><bdi>json</bdi></dd>")

	is(show(table("listen", ":8443", "log", table("level", "info"))), "Server", true, "all by default")
	page = show(table("listen", ":443", "log", table("level", "info")))
	is(page, "Server", true, "1 of 1 changed")
	is(page, "log", false, "all by default")
}
