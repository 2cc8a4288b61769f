// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"encoding/base64"
	"encoding/json"
	"regexp"
	"strings"
	"testing"
)

func TestPushWireFormat(t *testing.T) {
	inBubble(t, func(w *world) {
		for _, row := range []struct {
			what, body, key string
			status          int
			contains        string
		}{
			{"a number", `{"phoneNumber":46701740607,"state":"s"}`, "key", 200, `"requestId":"`},
			{"the same as a string", `{"phoneNumber":"46701740607"}`, "key", 200, `"requestId":"`},
			{"another app", `{"phoneNumber":46701740607}`, "other-key", 200, `"requestId":"`},
			{"a wrong appKey", `{"phoneNumber":46701740607}`, "wrong", 404, `"code":404`},
			{"no appKey", `{"phoneNumber":46701740607}`, "", 404, "Invalid partner credentials"},
			{"no number", `{}`, "key", 400, `"code":400`},
			{"not JSON", `phoneNumber=46701740607`, "key", 400, `"code":400`},
			{"an exponent", `{"phoneNumber":4.67e10}`, "key", 400, `"code":400`},
			{"a plus", `{"phoneNumber":"+46701740607"}`, "key", 400, `"code":400`},
			{"a zero first", `{"phoneNumber":"0701740607"}`, "key", 400, `"code":400`},
			{"too short", `{"phoneNumber":467017}`, "key", 400, `"code":400`},
			{"too long", `{"phoneNumber":4670174060712345}`, "key", 400, `"code":400`},
			{"a body of 17 KiB", `{"phoneNumber":46701740607,"x":"` + strings.Repeat("x", 17<<10) + `"}`, "key", 400, `"code":400`},
		} {
			status, body := w.do("POST", "/v1/apps/requests", row.body, "appKey", row.key)
			if status != row.status || !strings.Contains(body, row.contains) || !json.Valid([]byte(body)) {
				t.Errorf("%s: %d %s, want %d and %q", row.what, status, body, row.status, row.contains)
			}
		}
		if status, body := w.push("17"); status != 403 || body != `{"code":1008,"message":"Forbidden: It is forbidden to use sdk login for this phone number."}` {
			t.Errorf("a push to 17: %d %s, want 403 and code 1008", status, body)
		}
		if status, _ := w.do("GET", "/v1/apps/requests", ""); status != 405 {
			t.Errorf("GET got %d, want 405", status)
		}
	})
}

// The callback of a push has the requestId of its response, and the state.
func TestPushAndItsCallback(t *testing.T) {
	inBubble(t, func(w *world) {
		_, answer := w.push("05")
		var accepted struct{ RequestID string }
		if err := json.Unmarshal([]byte(answer), &accepted); err != nil {
			t.Fatal(err)
		}
		c := w.callback()
		if c["requestId"] != accepted.RequestID || c["state"] != "our-state" || len(c) != 3 {
			t.Errorf("the callback is %v, want the requestId and state of %s and a token", c, answer)
		}
		w.do("POST", "/v1/apps/requests", `{"phoneNumber":46701740605}`, "appKey", "key")
		if c := w.callback(); len(c) != 2 {
			t.Errorf("the callback of a push without a state is %v, want a requestId and a token", c)
		}
	})
}

// The two shapes of ids take turns, whatever else happens, and however many
// requests have been forgotten.
func TestRequestIDs(t *testing.T) {
	inBubble(t, func(w *world) {
		w.sim.requests.limit = 3
		short := regexp.MustCompile(`^[a-z2-7]{13}$`)
		for i := range 10 {
			w.push("07")
			w.tap("07")
			id := w.pending("07")[1].RequestID
			if i%2 == 1 && !short.MatchString(id) {
				t.Errorf("the requestId is %s, want 13 letters and digits", id)
			}
			if raw, err := base64.StdEncoding.DecodeString(id); i%2 == 0 && (err != nil || len(raw) != 20) {
				t.Errorf("the requestId is %s, want base64 of 20 bytes", id)
			}
		}
	})
}

// The key of the push chooses the app: its name is on the phone, and it alone gets
// the callback. What the token is worth does not depend on it.
func TestSeveralApps(t *testing.T) {
	inBubble(t, func(w *world) {
		for key, want := range map[string][2]string{"key": {"Lingon", "/lingon"}, "other-key": {"Other", "/other"}} {
			w.do("POST", "/v1/apps/requests", `{"phoneNumber":46701740607}`, "appKey", key)
			open := w.pending("07")
			if len(open) != 1 || open[0].App != want[0] || open[0].Kind != "push" {
				t.Fatalf("pending: %+v, want a push of %s", open, want[0])
			}
			w.decide(open[0].RequestID, approve)
			made := w.deliveries()
			if last := made[len(made)-1]; last.path != want[1] {
				t.Errorf("the callback of %s went to %s", want[0], last.path)
			}
			if status, _ := w.profile(w.callback()["accessToken"]); status != 200 {
				t.Errorf("the token of %s: %d", want[0], status)
			}
		}
		if n := len(w.deliveries()); n != 2 {
			t.Errorf("%d callbacks, want 2", n)
		}
	})
}
