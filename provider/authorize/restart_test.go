// SPDX-License-Identifier: Apache-2.0

package authorize_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider/endpoint"
	"calleridp/provider/internal/testworld"
)

// A page that was open for too long leads to where a sign-in begins at the client, if there
// is such a page.
func TestAnExpiredRequestLeadsBack(t *testing.T) {
	testworld.Ring()
	const begins = "https://app.example/login?from=id"
	for clientID, want := range map[string]string{"app": begins + "&iss=https%3A%2F%2Fid.example", "old": ""} {
		synctest.Test(t, func(t *testing.T) {
			w := testworld.New(t, func(c *testworld.Config) {
				for i := range c.Clients {
					if c.Clients[i].ID == "app" {
						c.Clients[i].InitiateLoginURI = begins
					}
				}
			})
			page := w.Authorize(clientID, "login_hint", testworld.Number)
			time.Sleep(24 * time.Hour)
			_, err := w.Flow.Submit(t.Context(), w.Submission(page, testworld.Number))
			if !errors.Is(err, endpoint.ErrRequestExpired) {
				t.Fatalf("got %v, want %v", err, endpoint.ErrRequestExpired)
			}
			again, ok := errors.AsType[*endpoint.RestartError](err)
			if ok != (want != "") || ok && (again.URL != want || again.Client.ID != clientID) {
				t.Errorf("%s: got %+v, want %q", clientID, again, want)
			}
		})
	}
}

// So does a consent prompt that was open for too long.
func TestAnExpiredPromptLeadsBack(t *testing.T) {
	testworld.Ring()
	synctest.Test(t, func(t *testing.T) {
		w := testworld.New(t, func(c *testworld.Config) {
			for i := range c.Clients {
				c.Clients[i].InitiateLoginURI = "https://app.example/login"
			}
		})
		view, session := w.PromptedFor("third")
		time.Sleep(24 * time.Hour)
		r := w.Allow(view.Request, session)
		if name, v := r.Page(); name != "error" || v["Kind"] != string(endpoint.ErrorRequestExpired) ||
			v["Restart"] != "https://app.example/login?iss=https%3A%2F%2Fid.example" {
			t.Errorf("got %s %v, want the page that leads back", name, v)
		}
	})
}
