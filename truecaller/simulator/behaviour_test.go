// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// row is what a number does by itself, as a push and as a link that is opened on
// its phone. Callbacks are written "2s token": how long after the request, and
// what they say.
type row struct {
	what     string
	push     int           // status of the push; 0: 200
	slow     time.Duration // until that response
	pushed   []string      // callbacks of a push
	noDialog bool          // the link opens none
	tapped   []string      // callbacks of a link
	endpoint string        // in the callback; "" is none for a push, and our own for one-tap
	reads    []int         // statuses of the profile requests in order; nil: 200
	profile  func(t *testing.T, xx string, profile map[string]any)
}

var rows = map[string]row{
	"05": {what: "approves at once, full profile", pushed: []string{"0s token"}, tapped: []string{"0s flow_invoked", "0s token"},
		profile: func(t *testing.T, xx string, p map[string]any) {
			for _, field := range []string{"id", "userId", "name", "onlineIdentity", "avatarUrl", "aboutMe", "companyName", "jobTitle", "gender", "addresses", "badges", "history"} {
				if p[field] == nil {
					t.Errorf("the profile of %s has no %s", xx, field)
				}
			}
			isOf(t, xx, p)
		}},
	"06": {what: "approves after 2 s", pushed: []string{"2s token"}, tapped: []string{"0s flow_invoked", "2s token"}, profile: isOf},
	"07": {what: "waits for the phone page", tapped: []string{"0s flow_invoked"}},
	"08": {what: "declines after 1 s", pushed: []string{"1s user_rejected"}, tapped: []string{"0s flow_invoked", "1s user_rejected"}},
	"09": {what: "never answers", tapped: []string{"0s flow_invoked"}},
	"10": {what: "no e-mail", pushed: []string{"0s token"}, tapped: []string{"0s flow_invoked", "0s token"},
		profile: func(t *testing.T, xx string, p map[string]any) {
			if strings.Contains(fmt.Sprint(p), "@") || p["onlineIdentities"] == nil {
				t.Errorf("the profile of %s is %v, want onlineIdentities without an e-mail address", xx, p)
			}
			isOf(t, xx, p)
		}},
	"11": {what: "first name only", pushed: []string{"0s token"}, tapped: []string{"0s flow_invoked", "0s token"},
		profile: func(t *testing.T, xx string, p map[string]any) {
			if name, _ := p["name"].(map[string]any); len(p) != 2 || len(name) != 1 || name["first"] == nil {
				t.Errorf("the profile of %s is %v, want a first name and a number alone", xx, p)
			}
			isOf(t, xx, p)
		}},
	"12": {what: "callback sent three times", pushed: []string{"0s token", "0s token", "0s token"},
		tapped: []string{"0s flow_invoked", "0s token", "0s token", "0s token"}, profile: isOf},
	"13": {what: "the token overtakes", pushed: []string{"0s token"}, tapped: []string{"0s token", "0s flow_invoked"}, profile: isOf},
	"14": {what: "another number's profile", pushed: []string{"0s token"}, tapped: []string{"0s flow_invoked", "0s token"},
		profile: func(t *testing.T, _ string, p map[string]any) { isOf(t, "99", p) }},
	"15": {what: "profile answers 401", pushed: []string{"0s token"}, tapped: []string{"0s flow_invoked", "0s token"}, reads: []int{401, 401}},
	"16": {what: "profile answers 503 twice", pushed: []string{"0s token"}, tapped: []string{"0s flow_invoked", "0s token"},
		reads: []int{503, 503, 200, 200}, profile: isOf},
	"17": {what: "no account", push: http.StatusForbidden, noDialog: true},
	"18": {what: "push answers 503", push: http.StatusServiceUnavailable, tapped: []string{"0s flow_invoked"}},
	"19": {what: "push answers after 10 s", slow: 10 * time.Second, pushed: []string{"10s token"}, tapped: []string{"0s flow_invoked", "0s token"}, profile: isOf},
	"20": {what: "a foreign endpoint", pushed: []string{"0s token"}, tapped: []string{"0s flow_invoked", "0s token"}, endpoint: foreign, profile: isOf},
	"21": {what: "everything as strings, several numbers", pushed: []string{"0s token"}, tapped: []string{"0s flow_invoked", "0s token"},
		profile: func(t *testing.T, xx string, p map[string]any) {
			numbers, _ := p["phoneNumbers"].([]any)
			if len(numbers) < 2 || !slices.Contains(numbers, any(fiction+xx)) || p["isActive"] != "True" || p["onlineIdentities"] == nil {
				t.Errorf("the profile of %s is %v, want several numbers, isActive as a string and onlineIdentities", xx, p)
			}
		}},
	"22": {what: "1 MiB of JSON", pushed: []string{"0s token"}, tapped: []string{"0s flow_invoked", "0s token"},
		profile: func(t *testing.T, xx string, p map[string]any) {
			if about, _ := p["aboutMe"].(string); len(about) != 1<<20 {
				t.Errorf("aboutMe has %d bytes, want %d", len(about), 1<<20)
			}
			isOf(t, xx, p)
		}},
	"23": {what: "bidi and control characters, 10 kB names", pushed: []string{"0s token"}, tapped: []string{"0s flow_invoked", "0s token"},
		profile: func(t *testing.T, xx string, p map[string]any) {
			if name := fmt.Sprint(p["name"]); len(name) < 10<<10 || !strings.Contains(name, "\u202e") || !strings.Contains(name, "\x00") {
				t.Errorf("the name is %.80q, want 10 KiB with direction and control characters", name)
			}
			isOf(t, xx, p)
		}},
	"24": {what: "a second Truecaller id at every second sign-in", pushed: []string{"0s token"}, tapped: []string{"0s flow_invoked", "0s token"}, profile: isOf},
}

// isOf wants the profile to be that of one number of the table.
func isOf(t *testing.T, xx string, profile map[string]any) {
	t.Helper()
	if got := fmt.Sprint(profile["phoneNumbers"]); got != "["+fiction+xx+"]" {
		t.Errorf("phoneNumbers is %s, want [%s]", got, fiction+xx)
	}
}

func TestEveryNumberHasARow(t *testing.T) {
	for xx := range behaviours {
		if _, ok := rows[xx]; !ok {
			t.Errorf("no row tests the behaviour of %s", xx)
		}
	}
	if len(rows) != len(behaviours) {
		t.Errorf("%d rows, want %d: one for each number", len(rows), len(behaviours))
	}
}

func TestPushByItself(t *testing.T) {
	for xx, row := range rows {
		t.Run(xx+" "+row.what, func(t *testing.T) {
			inBubble(t, func(w *world) {
				status, body := w.push(xx)
				if status != cmp.Or(row.push, 200) || time.Since(w.begun) != row.slow {
					t.Fatalf("the push got %d %s after %s, want %d after %s", status, body, time.Since(w.begun), cmp.Or(row.push, 200), row.slow)
				}
				if xx == "13" && len(w.deliveries()) != 1 {
					t.Error("the push was answered before the callback was delivered")
				}
				time.Sleep(time.Hour)
				w.check(row.pushed, "our-state", row.endpoint)
			})
		})
	}
}

func TestOneTapByItself(t *testing.T) {
	for xx, row := range rows {
		t.Run(xx+" "+row.what, func(t *testing.T) {
			inBubble(t, func(w *world) {
				if answer := w.tap(xx); answer.Dialog == row.noDialog {
					t.Fatalf("opening the link gave %+v, want a dialog: %v", answer, !row.noDialog)
				}
				time.Sleep(time.Hour)
				w.check(row.tapped, "", cmp.Or(row.endpoint, w.url+"/v1/default"))
			})
		})
	}
}

// check looks at what was delivered, and at what each token is worth.
func (w *world) check(want []string, state, endpoint string) {
	w.t.Helper()
	var got []string
	tokens := map[string]bool{}
	for _, d := range w.deliveries() {
		said := d.body["status"]
		wantEndpoint := ""
		if token := d.body["accessToken"]; token != "" {
			said, wantEndpoint, tokens[token] = "token", endpoint, true
		}
		got = append(got, fmt.Sprintf("%s %s", d.after, said))
		if d.path != "/lingon" || d.body["requestId"] == "" || d.body["state"] != state || d.body["endpoint"] != wantEndpoint {
			w.t.Errorf("the callback is %+v, want one to /lingon with a requestId, the state %q and the endpoint %q", d, state, wantEndpoint)
		}
		if said != "token" && d.body["accessToken"] != "" {
			w.t.Errorf("the callback %v has a token and a status", d.body)
		}
	}
	if !slices.Equal(got, want) {
		w.t.Errorf("callbacks %q, want %q", got, want)
	}
	if len(tokens) > 1 {
		w.t.Errorf("the callbacks have %d tokens, want 1", len(tokens))
	}
}

// What the tokens of each number are worth. A token lives ten minutes.
func TestProfileByItself(t *testing.T) {
	for xx, row := range rows {
		if len(row.pushed) == 0 || !strings.HasSuffix(row.pushed[0], "token") {
			continue
		}
		t.Run(xx+" "+row.what, func(t *testing.T) {
			inBubble(t, func(w *world) {
				w.push(xx)
				token := w.callback()["accessToken"]
				reads := row.reads
				if reads == nil {
					reads = []int{200}
				}
				for i, want := range reads {
					status, profile := w.profile(token)
					if status != want {
						t.Errorf("read %d: %d, want %d", i, status, want)
					}
					if status == http.StatusOK {
						row.profile(t, xx, profile)
					}
				}
				time.Sleep(tokenLife - time.Second)
				if status, _ := w.profile(token); status != reads[len(reads)-1] {
					t.Errorf("the profile a second before the token expires: %d, want %d", status, reads[len(reads)-1])
				}
				time.Sleep(time.Second + 1)
				if status, answer := w.profile(token); status != 401 || fmt.Sprint(answer["status"]) != "40101" {
					t.Errorf("the profile after ten minutes: %d %v, want 401 40101", status, answer)
				}
			})
		})
	}
}

// 24: two ids take turns.
func TestSecondID(t *testing.T) {
	inBubble(t, func(w *world) {
		var ids []any
		for range 3 {
			w.push("24")
			_, profile := w.profile(w.callback()["accessToken"])
			ids = append(ids, profile["id"])
		}
		if ids[0] == ids[1] || ids[0] != ids[2] || ids[0] == nil {
			t.Errorf("the ids of three sign-ins are %v, want the first and third alike, the second another", ids)
		}
	})
}

// For load tests every number approves, whatever its digits.
func TestApproveAll(t *testing.T) {
	inBubble(t, func(w *world) {
		w.sim.cfg.ApproveAll = true
		for _, number := range []string{fiction + "08", fiction + "17", "919999999999"} {
			w.do("POST", "/v1/apps/requests", `{"phoneNumber":`+number+`}`, "appKey", "key")
			if status, _ := w.profile(w.callback()["accessToken"]); status != 200 {
				t.Errorf("the profile of %s: %d, want 200", number, status)
			}
		}
	})
}
