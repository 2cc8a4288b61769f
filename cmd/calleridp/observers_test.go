// SPDX-License-Identifier: Apache-2.0

package main

import (
	"log/slog"
	"net/url"
	"testing"

	"calleridp/cmd/calleridp/config"
	"calleridp/cmd/calleridp/metrics"
)

// Without tracing, nothing stands between the parts and the metrics.
func TestTracingOff(t *testing.T) {
	counting := metrics.New("v", "go")
	log := slog.New(slog.DiscardHandler)
	if observed, tracer := observers(config.Settings{}, counting, log); observed != observer(counting) || tracer != nil || tracesAttempts(tracer) != nil {
		t.Errorf("got %T and %v, want the metrics alone", observed, tracer)
	}
	s := config.Settings{Traces: config.Traces{Endpoint: &url.URL{Scheme: "http", Host: "127.0.0.1:4318", Path: "/v1/traces"}}}
	if observed, tracer := observers(s, counting, log); observed == observer(counting) || tracer == nil {
		t.Errorf("got %T and %v, want both", observed, tracer)
	}
}
