// SPDX-License-Identifier: Apache-2.0

package deviceflow_test

import (
	"context"
	"net/url"
	"testing"
	"time"

	"calleridp/provider/client"
	"calleridp/provider/deviceflow"
	"calleridp/provider/grant"
	"calleridp/provider/internal/testworld"
	"calleridp/provider/limit"
)

// broken is a store whose operations can be made to fail.
type broken struct {
	grant.Store
	grant.DeviceStore
	deviceflow.Budgets
	*testworld.Breaks
}

func (b broken) CreateDeviceRequest(ctx context.Context, d grant.DeviceRequest, spend limit.Spend, now time.Time) error {
	if err := b.Err("beginning"); err != nil {
		return err
	}
	return b.DeviceStore.CreateDeviceRequest(ctx, d, spend, now)
}

func (b broken) DeviceRequest(ctx context.Context, user grant.UserCodeHash) (grant.DeviceRequest, error) {
	if err := b.Err("finding the request"); err != nil {
		return grant.DeviceRequest{}, err
	}
	return b.DeviceStore.DeviceRequest(ctx, user)
}

func (b broken) Spend(ctx context.Context, spend limit.Spend, now time.Time) error {
	if err := b.Err("spending"); err != nil {
		return err
	}
	return b.Budgets.Spend(ctx, spend, now)
}

func (b broken) Code(ctx context.Context, hash grant.CodeHash) (grant.Code, *grant.Grant, error) {
	if err := b.Err("finding the answer"); err != nil {
		return grant.Code{}, nil, err
	}
	return b.Store.Code(ctx, hash)
}

func (b broken) CreateCode(ctx context.Context, c grant.Code) error {
	if err := b.Err("answering"); err != nil {
		return err
	}
	return b.Store.CreateCode(ctx, c)
}

// Our own failure is one, and tells a device nothing else.
func TestTheStoreFails(t *testing.T) {
	breaks := &testworld.Breaks{}
	device(t, func(t *testing.T, w *testworld.World) {
		_, session := w.SignIn(testworld.AuthRequest("app"), testworld.Number)
		d := w.StartDevice("tv", "openid")
		sealed := testworld.SealedRequest(t, enter(w, d.UserCode), "confirmdevice")
		decide := func(decision string) testworld.Response {
			return w.Post("/device/confirm", url.Values{"request": {sealed}, "decision": {decision}}, testworld.Cookie(session))
		}
		for _, row := range []struct {
			op   string
			what map[string]func() testworld.Response
		}{
			{"beginning", map[string]func() testworld.Response{
				"a device asks": func() testworld.Response {
					return w.Post("/device_authorization", url.Values{"client_id": {"tv"}, "scope": {"openid"}})
				},
			}},
			{"spending", map[string]func() testworld.Response{"a user code": func() testworld.Response { return enter(w, d.UserCode) }}},
			{"finding the request", map[string]func() testworld.Response{
				"a user code": func() testworld.Response { return enter(w, d.UserCode) },
				"a decision":  func() testworld.Response { return decide("continue") },
				"a poll":      func() testworld.Response { return poll(w, d) },
			}},
			{"finding the answer", map[string]func() testworld.Response{
				"a user code": func() testworld.Response { return enter(w, d.UserCode) },
				"a decision":  func() testworld.Response { return decide("deny") },
				"a poll":      func() testworld.Response { return poll(w, d) },
			}},
			{"answering", map[string]func() testworld.Response{
				"denying":    func() testworld.Response { return decide("deny") },
				"continuing": func() testworld.Response { return decide("continue") },
			}},
		} {
			for what, do := range row.what {
				breaks.Op = row.op
				if r := do(); r.StatusCode != 500 {
					t.Errorf("%s fails: %s: got %v, want 500", row.op, what, r)
				}
				breaks.Op = ""
			}
		}
		wantError(t, "afterwards", poll(w, d), "authorization_pending")
	}, func(c *testworld.Config) {
		b := broken{c.Provider.Grants, c.Provider.Devices, c.Provider.Budgets, breaks}
		c.Provider.Grants, c.Provider.Devices, c.Provider.Budgets = b, b, b
	})
}

// The page says who asks, and from which country, if a database of countries knows.
func TestTheQuestionNamesWhoAsks(t *testing.T) {
	device(t, func(t *testing.T, w *testworld.World) {
		_, view := enter(w, w.StartDevice("tv", "openid").UserCode).Page()
		shown, _ := view["Client"].(map[string]any)
		if shown["Name"] != "TV" || view["Country"] != "SE" {
			t.Errorf("got %v, want the client and the country", view)
		}
	}, func(c *testworld.Config) {
		c.Provider.Country = func(network string) string {
			if network == testworld.Network {
				return "SE"
			}
			return ""
		}
	})
}

// A stranger's client has neither the host nor the home page of the redirect URIs that it
// has registered: its devices get the tokens, whoever's these are.
func TestThreat_AStrangersDeviceBorrowsNoHost(t *testing.T) {
	device(t, func(t *testing.T, w *testworld.World) {
		_, view := enter(w, w.StartDevice("thief", "openid").UserCode).Page()
		shown, _ := view["Client"].(map[string]any)
		if shown["Name"] != "Your Bank (thief)" || shown["URI"] != "" {
			t.Errorf("got %v, want the name with the client's ID, and no address", shown)
		}
	}, func(c *testworld.Config) {
		thief := testworld.DeviceClient()
		thief.ID, thief.Name, thief.URI = "thief", "Your Bank", "https://bank.example"
		thief.RedirectURIs = []string{"https://bank.example/cb"}
		thief.Registration = &client.Registration{}
		c.Clients = append(c.Clients, thief)
	})
}

// A client that is taken away, or the flow from it, takes its devices along.
func TestAClientIsTakenAway(t *testing.T) {
	device(t, func(t *testing.T, w *testworld.World) {
		c, _ := w.AddClient(testworld.DeviceClient())
		d := w.StartDevice(c.ID, "openid")
		sealed := testworld.SealedRequest(t, enter(w, d.UserCode), "confirmdevice")
		signInPage := w.Post("/device/confirm", url.Values{"request": {sealed}, "decision": {"continue"}})
		w.RemoveClient(c.ID)
		if page, _ := enter(w, d.UserCode).Page(); page != "usercode" {
			t.Errorf("its user code: got %s, want the field", page)
		}
		again := testworld.DeviceClient()
		again.ID = c.ID
		time.Sleep(2 * time.Second)
		w.AddClient(again) // another client of the same ID has no claim to it
		if page, _ := enter(w, d.UserCode).Page(); page != "usercode" {
			t.Errorf("its user code, with another client of its ID: got %s, want the field", page)
		}
		wantError(t, "its device", poll(w, d), "invalid_grant")
		if _, err := w.Flow.Submit(t.Context(), w.Submission(signInPage, testworld.Number)); err == nil {
			t.Error("the sign-in page of the removed client still works")
		}
	})
}
