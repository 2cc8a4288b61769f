// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"calleridp/test/harness"
	"calleridp/truecaller/simulator"
)

// simulator returns a Truecaller whose users approve, for harness.ServeWith.
func (l *ledger) simulator(callbackURL string) http.Handler {
	sim := simulator.New(simulator.Config{
		Apps:       []simulator.App{{Name: "Test", Key: harness.AppKey, CallbackURL: callbackURL}},
		ApproveAll: true,
		HTTP:       &http.Client{Transport: heard{l}, Timeout: harness.Timeout},
	})
	l.t.Cleanup(sim.Close)
	return l.truecaller(sim.Handler())
}

// truecaller learns which state belongs to which number, counts pushes, and does not pass
// pushes to phones that do not respond on.
func (l *ledger) truecaller(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/apps/requests" {
			next.ServeHTTP(w, r)
			return
		}
		body, _ := io.ReadAll(r.Body)
		var push struct {
			Number json.RawMessage `json:"phoneNumber"`
			State  string          `json:"state"`
		}
		json.Unmarshal(body, &push)
		number := "+" + strings.Trim(string(push.Number), `"`)
		l.mu.Lock()
		l.states[number] = push.State
		l.pushes[number]++
		l.mu.Unlock()
		if strings.HasPrefix(number, silentPrefix) {
			io.WriteString(w, `{"requestId":"silent"}`)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r)
	})
}

// heard sends each callback twice at the same time, and notes which got 200.
type heard struct{ *ledger }

func (h heard) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	send := func(r *http.Request) (*http.Response, error) {
		r.Body = io.NopCloser(bytes.NewReader(body))
		response, err := http.DefaultTransport.RoundTrip(r)
		if err == nil && response.StatusCode >= 500 { // also that of a proxy whose server was killed
			response.Body.Close()
			return nil, fmt.Errorf("status %d", response.StatusCode)
		}
		if err == nil && response.StatusCode == http.StatusOK {
			h.ack("callbacks", func() { h.acked[stateOf(body)] = body })
		}
		return response, err
	}
	twin, done := r.Clone(r.Context()), make(chan struct{})
	go func() {
		defer close(done)
		if response, err := send(twin); err == nil {
			response.Body.Close()
		}
	}()
	response, err := send(r)
	<-done
	return response, err
}

func stateOf(callback []byte) string {
	var said struct {
		State string `json:"state"`
	}
	json.Unmarshal(callback, &said)
	return said.State
}

// callback returns the callback for the newest push to a number, nil if none was
// acknowledged.
func (l *ledger) callback(number string) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.acked[l.states[number]]
}
