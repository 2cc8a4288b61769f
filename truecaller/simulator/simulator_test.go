package simulator

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// world is a simulator with somebody who takes its callbacks.
type world struct {
	t         *testing.T
	sim       *Simulator
	url       string
	callbacks chan map[string]string
	answer    func() int // status of the next callback
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, callbacks: make(chan map[string]string, 100), answer: func() int { return 200 }}
	receiver := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		var body map[string]string
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Errorf("callback: %v", err)
		}
		status := w.answer()
		rw.WriteHeader(status)
		if status == http.StatusOK {
			w.callbacks <- body
		}
	}))
	t.Cleanup(receiver.Close)
	w.sim = New(Config{Apps: []App{{Name: "Test", Key: "key", CallbackURL: receiver.URL, NativeClientID: "native-id"}}})
	t.Cleanup(w.sim.Close)
	server := httptest.NewServer(w.sim.Handler())
	t.Cleanup(server.Close)
	w.url = server.URL
	return w
}

func (w *world) do(method, path, body string, header ...string) (int, string) {
	w.t.Helper()
	r, err := http.NewRequest(method, w.url+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(answer.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return answer.StatusCode, string(raw)
}

func (w *world) push(xx string) (int, string) {
	return w.do("POST", "/v1/apps/requests", `{"phoneNumber":`+fiction+xx+`,"state":"our-state"}`, "appKey", "key")
}

func (w *world) callback() map[string]string {
	w.t.Helper()
	select {
	case body := <-w.callbacks:
		return body
	case <-time.After(10 * time.Second):
		w.t.Fatal("no callback")
		return nil
	}
}

func (w *world) profile(token string) (int, map[string]any) {
	status, body := w.do("GET", "/v1/default", "", "Authorization", "Bearer "+token)
	var profile map[string]any
	if err := json.Unmarshal([]byte(body), &profile); err != nil {
		w.t.Fatalf("profile: %v: %.200s", err, body)
	}
	return status, profile
}

func TestPushWireFormat(t *testing.T) {
	w := newWorld(t)
	rows := []struct {
		what, body, key string
		status          int
		contains        string
	}{
		{"a number", `{"phoneNumber":46701740607,"state":"s"}`, "key", 200, `"requestId":"`},
		{"the same as a string", `{"phoneNumber":"46701740607"}`, "key", 200, `"requestId":"`},
		{"a wrong appKey", `{"phoneNumber":46701740607}`, "other", 404, `"code":404`},
		{"no appKey", `{"phoneNumber":46701740607}`, "", 404, "Invalid partner credentials"},
		{"no number", `{}`, "key", 400, `"code":400`},
		{"not JSON", `phoneNumber=46701740607`, "key", 400, `"code":400`},
		{"an exponent", `{"phoneNumber":4.67e10}`, "key", 400, `"code":400`},
	}
	for _, row := range rows {
		status, body := w.do("POST", "/v1/apps/requests", row.body, "appKey", row.key)
		if status != row.status || !strings.Contains(body, row.contains) {
			t.Errorf("%s: %d %s", row.what, status, body)
		}
	}
	if status, body := w.push("17"); status != 403 || !strings.Contains(body, `"code":1008`) {
		t.Errorf("17: %d %s", status, body)
	}
	if status, _ := w.push("18"); status != 503 {
		t.Errorf("18: %d", status)
	}
}

func TestApprovalBringsAToken(t *testing.T) {
	w := newWorld(t)
	_, answer := w.push("05")
	var accepted struct{ RequestID string }
	if err := json.Unmarshal([]byte(answer), &accepted); err != nil {
		t.Fatal(err)
	}
	c := w.callback()
	if c["requestId"] != accepted.RequestID || c["state"] != "our-state" || c["accessToken"] == "" || c["endpoint"] != "" {
		t.Fatalf("callback %v for %s", c, answer)
	}
	status, profile := w.profile(c["accessToken"])
	if status != 200 || fmt.Sprint(profile["phoneNumbers"]) != "[4.6701740605e+10]" || profile["onlineIdentity"] == nil {
		t.Errorf("%d %v", status, profile)
	}
	if status, body := w.profile("guess"); status != 401 || body["status"] != 40101.0 {
		t.Errorf("a guessed token: %d %v", status, body)
	}
}

func TestNumbersThatMisbehave(t *testing.T) {
	w := newWorld(t)
	w.push("12")
	for range 3 {
		if c := w.callback(); c["accessToken"] == "" {
			t.Errorf("12: %v", c)
		}
	}
	w.push("14")
	if _, profile := w.profile(w.callback()["accessToken"]); fmt.Sprint(profile["phoneNumbers"]) == "[4.6701740614e+10]" {
		t.Error("14: the profile is its own")
	}
	w.push("15")
	if status, _ := w.profile(w.callback()["accessToken"]); status != 401 {
		t.Errorf("15: %d", status)
	}
	w.push("16")
	token := w.callback()["accessToken"]
	for _, want := range []int{503, 503, 200} {
		if status, _ := w.profile(token); status != want {
			t.Errorf("16: %d, want %d", status, want)
		}
	}
	w.push("20")
	if endpoint := w.callback()["endpoint"]; endpoint != foreign {
		t.Errorf("20: endpoint %s", endpoint)
	}
	w.push("08")
	if c := w.callback(); c["status"] != "user_rejected" || c["accessToken"] != "" || c["state"] != "our-state" {
		t.Errorf("08: %v", c)
	}
	ids := map[any]bool{}
	for range 3 {
		w.push("24")
		_, profile := w.profile(w.callback()["accessToken"])
		ids[profile["id"]] = true
	}
	if len(ids) != 2 {
		t.Errorf("24: ids %v, want two that take turns", ids)
	}
}

// 13: by the time the push is answered, the callback has been delivered.
func TestCallbackOvertakes(t *testing.T) {
	w := newWorld(t)
	w.push("13")
	select {
	case c := <-w.callbacks:
		if c["accessToken"] == "" {
			t.Errorf("%v", c)
		}
	default:
		t.Error("the push was answered before the callback was delivered")
	}
}

// Truecaller sends a callback again after a 500, and after nothing else.
func TestCallbackIsSentAgainAfter500(t *testing.T) {
	w := newWorld(t)
	tries := 0
	w.answer = func() int {
		if tries++; tries < 3 {
			return http.StatusInternalServerError
		}
		return http.StatusOK
	}
	w.push("05")
	w.callback()
	if tries != 3 {
		t.Errorf("%d tries", tries)
	}
}

func TestControl(t *testing.T) {
	w := newWorld(t)
	pending := func() (all []Pending) {
		t.Helper()
		_, body := w.do("GET", "/sim/requests?phone="+fiction+"07", "")
		if err := json.Unmarshal([]byte(body), &all); err != nil {
			t.Fatal(err)
		}
		return all
	}
	for range 4 { // ids of both shapes, with the characters that need escaping
		w.push("07")
	}
	all := pending()
	if len(all) != 4 {
		t.Fatalf("%d pending", len(all))
	}
	decide := func(id, what string) int {
		status, _ := w.do("POST", "/sim/requests/"+url.PathEscape(id)+"/"+what, "")
		return status
	}
	if got := decide(all[0].RequestID, "approve"); got != 200 {
		t.Fatalf("approve: %d", got)
	}
	if c := w.callback(); c["requestId"] != all[0].RequestID || c["accessToken"] == "" {
		t.Errorf("%v", c)
	}
	if got := decide(all[0].RequestID, "decline"); got != 409 {
		t.Errorf("deciding twice: %d", got)
	}
	if got := decide(all[1].RequestID, "decline"); got != 200 || w.callback()["status"] != "user_rejected" {
		t.Errorf("decline: %d", got)
	}
	if got := decide(all[2].RequestID, "expire"); got != 200 {
		t.Errorf("expire: %d", got)
	}
	if got := decide("nobody", "approve"); got != 404 {
		t.Errorf("an unknown request: %d", got)
	}
	if got := decide(all[3].RequestID, "explode"); got != 404 {
		t.Errorf("an unknown decision: %d", got)
	}
	if left := pending(); len(left) != 1 || left[0].RequestID != all[3].RequestID {
		t.Errorf("left %v", left)
	}
	status, body := w.do("POST", "/sim/callback", `{"body":{"requestId":"x","status":"flow_invoked"}}`)
	if c := w.callback(); status != 200 || c["status"] != "flow_invoked" || !strings.Contains(body, `"status":200`) {
		t.Errorf("%d %s %v", status, body, c)
	}
	_, log := w.do("GET", "/sim/log", "")
	if !strings.Contains(log, `"what":"push"`) || !strings.Contains(log, `"what":"callback"`) {
		t.Errorf("log %s", log)
	}
}

// The phone's buttons work without a script, and not from another site's page.
func TestPhonePage(t *testing.T) {
	w := newWorld(t)
	w.push("07")
	status, page := w.do("GET", "/", "")
	if status != 200 || !strings.Contains(page, "+"+fiction+"07") || !strings.Contains(page, `value="approve"`) {
		t.Fatalf("%d %s", status, page)
	}
	form := url.Values{"request": {w.sim.waiting("")[0].RequestID}, "decision": {"approve"}}.Encode()
	if status, _ := w.do("POST", "/phone", form, "Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Site", "cross-site"); status != 403 {
		t.Errorf("another site's form: %d", status)
	}
	if len(w.sim.waiting("")) != 1 {
		t.Fatal("another site approved")
	}
	w.do("POST", "/phone", form, "Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Site", "same-origin")
	if w.callback()["accessToken"] == "" {
		t.Error("not approved")
	}
}

func TestTokensInTheLogAreShortened(t *testing.T) {
	w := newWorld(t)
	w.push("05")
	token := w.callback()["accessToken"]
	w.profile(token)
	if _, log := w.do("GET", "/sim/log", ""); strings.Contains(log, token) {
		t.Error("the log has a whole token")
	}
}
