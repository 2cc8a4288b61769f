// SPDX-License-Identifier: Apache-2.0

package tracing

import (
	"strconv"

	collector "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/slim/otlp/common/v1"
	resource "go.opentelemetry.io/proto/slim/otlp/resource/v1"
	trace "go.opentelemetry.io/proto/slim/otlp/trace/v1"
)

// kind is who takes part in a span.
type kind = trace.Span_SpanKind

const (
	kindServer = trace.Span_SPAN_KIND_SERVER
	kindClient = trace.Span_SPAN_KIND_CLIENT
)

const scopeName = "calleridp"

// message returns spans as the body of a request to a collector (OTLP 1.0).
func (o Options) message(spans []span) *collector.ExportTraceServiceRequest {
	out := make([]*trace.Span, len(spans))
	for i, s := range spans {
		out[i] = s.message()
	}
	return &collector.ExportTraceServiceRequest{ResourceSpans: []*trace.ResourceSpans{{
		Resource: &resource.Resource{Attributes: []*common.KeyValue{
			text("service.name", scopeName),
			text("service.version", o.Version),
			text("service.namespace", o.Issuer),
		}},
		ScopeSpans: []*trace.ScopeSpans{{
			Scope: &common.InstrumentationScope{Name: scopeName, Version: o.Version},
			Spans: out,
		}},
	}}}
}

func (s span) message() *trace.Span {
	out := &trace.Span{
		TraceId:           s.trace[:],
		SpanId:            s.id[:],
		Name:              s.name,
		Kind:              s.kind,
		StartTimeUnixNano: uint64(s.begun.UnixNano()),
		EndTimeUnixNano:   uint64(s.begun.Add(s.took).UnixNano()),
	}
	if out.Kind == trace.Span_SPAN_KIND_UNSPECIFIED {
		out.Kind = trace.Span_SPAN_KIND_INTERNAL
	}
	if s.parent != (spanID{}) {
		out.ParentSpanId = s.parent[:]
	}
	if s.failed {
		out.Status = &trace.Status{Code: trace.Status_STATUS_CODE_ERROR}
	}
	for _, a := range s.attributes {
		switch n, err := strconv.ParseInt(a.value, 10, 64); {
		case a.value == "":
		case a.key == KeyStatus && err == nil:
			out.Attributes = append(out.Attributes, &common.KeyValue{Key: string(a.key), Value: &common.AnyValue{Value: &common.AnyValue_IntValue{IntValue: n}}})
		default:
			out.Attributes = append(out.Attributes, text(string(a.key), a.value))
		}
	}
	for _, l := range s.links {
		out.Links = append(out.Links, &trace.Span_Link{TraceId: l.trace[:], SpanId: l.span[:]})
	}
	return out
}

func text(key, value string) *common.KeyValue {
	return &common.KeyValue{Key: key, Value: &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: value}}}
}
