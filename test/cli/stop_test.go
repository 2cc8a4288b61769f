// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"net/http"
	"syscall"
	"testing"

	"calleridp/test/harness"
)

// After the first SIGTERM the server says that it is not ready, and serves on, until
// load balancers have noticed. A second one ends it at once.
func TestStoppingCanBeSeen(t *testing.T) {
	t.Parallel()
	server := harness.Serve(t, "http://127.0.0.1:1", "drain: {ready_delay: 10m}\n")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	status := func(path string) int {
		t.Helper()
		response, err := client.Get(server.Issuer + path)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return response.StatusCode
	}
	if got := status("/readyz"); got != http.StatusOK {
		t.Fatalf("before: got %d, want 200", got)
	}
	server.Signal(syscall.SIGTERM)
	harness.Eventually(t, "/readyz responds with 503", func() bool { return status("/readyz") == http.StatusServiceUnavailable })
	for _, path := range []string{"/healthz", "/jwks", "/account"} {
		if got := status(path); got != http.StatusOK {
			t.Errorf("%s while stopping: got %d, want 200", path, got)
		}
	}
	server.Stop(syscall.SIGTERM) // fails the test if the process goes on
}
