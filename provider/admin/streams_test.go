// SPDX-License-Identifier: Apache-2.0

package admin_test

import (
	"strings"
	"testing"

	"calleridp/provider/admin"
	"calleridp/provider/notify"
	"calleridp/provider/signals"
)

// An operator sees the streams and what waits for them, stops and resumes one, and removes it.
func TestStreams(t *testing.T) {
	a := newAPI(t)
	var all []admin.Stream
	a.call("GET", "/v1/streams", "", 200, &all)
	if all == nil || len(all) != 0 {
		t.Errorf("before there is any: %+v", all)
	}
	stream := signals.Stream{ID: "id", ClientID: "third", Method: signals.Push, Endpoint: "https://third.example/events", Authorization: "Bearer secret",
		AllRequested: true, Status: signals.Enabled, By: signals.ByReceiver}
	_, err := a.store.ChangeStream(t.Context(), "third", func(*signals.Stream) (signals.Update, error) {
		return signals.Update{Stream: &stream, Tell: []notify.Notice{signals.About(signals.Verification, "third", stream.Created, "{}")}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	a.call("GET", "/v1/streams", "", 200, &all)
	if len(all) != 1 || all[0].Client != "third" || all[0].Endpoint != stream.Endpoint || all[0].Status != "enabled" || len(all[0].Events) != len(signals.Supported) {
		t.Errorf("list: %+v", all)
	}
	var one admin.Stream
	a.call("POST", "/v1/streams/third/pause", "", 200, &one)
	if one.Status != "paused" || one.By != "operator" || one.Reason == "" || one.Waiting == 0 {
		t.Errorf("paused: %+v", one)
	}
	a.call("POST", "/v1/streams/third/resume", "", 200, &one)
	if one.Status != "enabled" || one.Reason != "" {
		t.Errorf("resumed: %+v", one)
	}
	a.call("GET", "/v1/streams/third", "", 200, &one)
	var notices []admin.Receiver
	a.call("GET", "/v1/notices", "", 200, &notices)
	if len(notices) != 0 {
		t.Errorf("the stream is among the receivers of logout tokens: %+v", notices)
	}
	a.call("DELETE", "/v1/streams/third", "", 200, &one)
	for _, path := range []string{"GET /v1/streams/third", "POST /v1/streams/third/pause", "POST /v1/streams/third/resume", "DELETE /v1/streams/third"} {
		method, path, _ := strings.Cut(path, " ")
		a.refuses(method, path, "", 404, "no event stream")
	}
	for _, event := range []string{"stream.stopped", "stream.resumed", "stream.removed"} {
		if !strings.Contains(a.audit.String(), "msg="+event+" client=third") {
			t.Errorf("the audit has no %q:\n%s", event, a.audit)
		}
	}
	if strings.Contains(a.audit.String(), "secret") {
		t.Error("the audit has the secret of a stream")
	}
}
