// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"bytes"
	"encoding/json"
	"net/http"
	"testing"

	"calleridp/test/harness"
)

// A client that has registered itself, where discovery says, signs a user in after consent.
func TestSignInAtARegisteredClient(t *testing.T) {
	t.Parallel()
	server := harness.Dev(t, "--registration", "open")
	rp := newRelyingParty(t, server)
	var metadata struct {
		Endpoint string `json:"registration_endpoint"`
	}
	if err := rp.provider.Claims(&metadata); err != nil || metadata.Endpoint == "" {
		t.Fatalf("discovery names %q, %v", metadata.Endpoint, err)
	}
	body, err := json.Marshal(map[string]any{"client_name": "Registered shop", "redirect_uris": []string{"https://shop.example/cb"}})
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.Post(metadata.Endpoint, "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var c struct {
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
	}
	if err := json.NewDecoder(response.Body).Decode(&c); err != nil || response.StatusCode != http.StatusCreated {
		t.Fatalf("status %d, %v", response.StatusCode, err)
	}
	rp.config.ClientID, rp.config.ClientSecret, rp.config.RedirectURL = c.ID, c.Secret, "https://shop.example/cb"
	rp.config.Scopes = []string{"openid", "phone"}
	browser := harness.NewBrowser(t, server.Issuer)
	page, verifier := rp.begin(browser, harness.Number(5))
	left, page := browser.Follow(page, harness.Timeout)
	if left != nil || !page.Has("consent") {
		t.Fatalf("left to %v or stopped at %s (status %d), want the consent prompt", left, page.URL, page.Status)
	}
	if claims, at := rp.finishWithin(0, browser, decide(browser, page, "allow"), verifier); claims == nil || claims["phone_number"] != harness.Number(5) {
		t.Errorf("got %v, at %s", claims, at.URL)
	}
}
