// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"errors"
	"strings"
	"testing"

	"calleridp/provider/client"
)

// A registry takes over all clients that the config file declares now, or none of them.
func TestConfigIsReplacedWhole(t *testing.T) {
	r, _ := newRegistry(t)
	knows := func(id string) bool {
		_, err := r.Client(t.Context(), id)
		if err != nil && !errors.Is(err, client.ErrNotFound) {
			t.Fatal(err)
		}
		return err == nil
	}
	other := declared()
	other.ID, other.RedirectURIs = "other", []string{"https://other.example/cb"}
	other.BackChannel.LogoutURI = "https://other.example/logout"
	device := declared()
	device.ID, device.DeviceFlow = "device", true // the deployment has no device flow

	if _, err := r.PrepareConfig([]client.Client{other, device}); err == nil || !strings.Contains(err.Error(), "device_flow") {
		t.Errorf("got %v, want an error about device_flow", err)
	}
	use, err := r.PrepareConfig([]client.Client{other})
	if err != nil {
		t.Fatal(err)
	}
	if !knows("declared") || knows("other") || r.Told("declared") {
		t.Error("the clients have changed before they were used")
	}
	if !r.PageAllowed(t.Context(), "https://app.example") {
		t.Error("the origin of the declared client's pages is not allowed")
	}
	use()
	if knows("declared") || !knows("other") || !r.Told("other") || !r.Told("stored") {
		t.Error("the clients are still those of before")
	}
	if _, err := r.Authenticate(t.Context(), "declared", "one"); !errors.Is(err, client.ErrUnauthenticated) {
		t.Errorf("a client that is not declared any more: got %v, want ErrUnauthenticated", err)
	}
	if _, err := r.Authenticate(t.Context(), "other", "one"); err != nil {
		t.Errorf("a client that is declared now: %v", err)
	}
	if err := r.Remove(t.Context(), "other"); !errors.Is(err, client.ErrFromConfig) {
		t.Errorf("removing it: got %v, want ErrFromConfig", err)
	}
	if r.PageAllowed(t.Context(), "https://app.example") || !r.PageAllowed(t.Context(), "https://other.example") {
		t.Error("the origins are still those of before")
	}
}
