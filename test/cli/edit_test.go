// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"slices"
	"testing"

	"calleridp/provider/admin"
	"calleridp/test/harness"
)

// An application is changed in place: what is named changes, all else stays, its secret too.
func TestClientEdit(t *testing.T) {
	t.Parallel()
	server := harness.Serve(t, "http://127.0.0.1:1", "")
	command := func(args ...string) (c admin.Client) {
		t.Helper()
		out := good(t, append(args, "--socket", server.Socket, "--output", "json")...)
		if err := json.Unmarshal([]byte(out), &c); err != nil {
			t.Fatal(err, out)
		}
		return c
	}
	fails := func(says string, args ...string) {
		t.Helper()
		one(t, says, append(append([]string{"client", "edit"}, args...), "--socket", server.Socket)...)
	}
	before := command("client", "add", "--id", "shop", "--name", "Shop", "--redirect-uri", "https://shop.example/cb", "--post-logout-redirect-uri", "https://shop.example/",
		"--logo-uri", "https://shop.example/logo.png", "--scope", "openid", "--scope", "phone", "--consent", "remember", "--default-max-age", "1h")
	after := command("client", "edit", "shop", "--redirect-uri", "https://shop.example/cb", "--redirect-uri", "https://www.shop.example/cb",
		"--post-logout-redirect-uri", "", "--logo-uri", "", "--name", "The shop", "--scope", "openid")
	if after.Name != "The shop" || !slices.Equal(after.RedirectURIs, []string{"https://shop.example/cb", "https://www.shop.example/cb"}) || after.Scope != "openid" ||
		after.PostLogoutRedirectURIs != nil || after.LogoURI != "" {
		t.Errorf("what was to change is %+v", after)
	}
	if after.Consent != "remember" || after.DefaultMaxAge == nil || *after.DefaultMaxAge != 3600 || !after.Created.Equal(before.Created) || after.Secret != "" {
		t.Errorf("what was to stay is %+v", after)
	}
	if !authenticates(t, server.Issuer, "shop", before.Secret) {
		t.Error("the secret is not valid any more")
	}
	if shown := command("client", "show", "shop"); !slices.Equal(shown.RedirectURIs, after.RedirectURIs) || shown.Name != "The shop" {
		t.Errorf("client show has %+v", shown)
	}
	if after = command("client", "edit", "shop", "--default-max-age", "0"); after.DefaultMaxAge != nil || after.Consent != "remember" {
		t.Errorf("without max_age it is %+v", after)
	}
	if now := command("client", "edit", "shop", "--public"); !now.Public {
		t.Errorf("a public client is %+v", now)
	}
	// A client that needs a secret again gets one, shown once.
	if now := command("client", "edit", "shop", "--public=false"); now.Public || !authenticates(t, server.Issuer, "shop", now.Secret) {
		t.Errorf("a confidential client is %+v", now)
	}
	fails("nothing changes; name what is to be changed", "shop")
	fails("nothing changes; name what is to be changed", "shop", "--name", "The shop")
	fails("has a fragment", "shop", "--redirect-uri", "https://shop.example/cb#x")
	fails("there is no client nobody", "nobody", "--name", "X")
	fails("client demo is declared in the config file", "demo", "--name", "X")
	fails("missing CLIENT_ID; usage: calleridp client edit CLIENT_ID", "--name", "X")
	fails("unknown flag --id", "shop", "--id", "x")
}
