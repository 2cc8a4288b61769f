// SPDX-License-Identifier: Apache-2.0

package config

import (
	"crypto/x509"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"calleridp/provider/redact"
	"calleridp/truecaller"
)

// Tracing sends traces of requests and sign-ins to an OpenTelemetry collector, as OTLP over
// HTTP. The variables of OpenTelemetry (OTEL_...) are not read.
type Tracing struct {
	// Endpoint is the collector's URL, with its path, like
	// http://127.0.0.1:4318/v1/traces. If unset, nothing is traced.
	Endpoint string `yaml:"endpoint"`
	// Sample is the share of traces that are recorded, above 0 and up to 1. All servers
	// with the same share record the same sign-ins. Default 1.
	Sample Share `yaml:"sample"`
	// HeadersFile is the file with headers of requests to the collector, like its key: one
	// a line, as Name: value. CALLERIDP_TRACING_HEADERS may hold them instead.
	HeadersFile string      `yaml:"headers_file"`
	Headers     redact.Text `yaml:"headers" secret:"environment"`
	// CAFile is the file with the certificates (PEM) that may have signed the collector's.
	// Default those of the system.
	CAFile string `yaml:"ca_file"`
}

// The names and values that headers may have (RFC 9110 §5.1, §5.5).
var (
	headerName  = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")
	headerValue = regexp.MustCompile(`^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$`)
)

// Traces is the section tracing, checked, with the files that it names read.
type Traces struct {
	Endpoint *url.URL // nil: nothing is traced
	Headers  []TraceHeader
	Roots    *x509.CertPool // nil: the system's
}

// TraceHeader is a header of requests to the collector.
type TraceHeader struct {
	Name  string
	Value redact.Text
}

// Header returns the headers in the clear.
func (t Traces) Header() http.Header {
	h := http.Header{}
	for _, one := range t.Headers {
		h.Add(one.Name, string(one.Value))
	}
	return h
}

// checkTracing reads what tracing needs.
func (d *decoder) checkTracing(c Tracing) (t Traces) {
	headers := d.secret("tracing.headers", c.Headers, c.HeadersFile)
	for n, line := range strings.Split(string(headers), "\n") {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if value = strings.TrimSpace(value); !ok || !headerName.MatchString(name) || !headerValue.MatchString(value) {
			d.refuse("tracing.headers_file", "line %d is no header; write Name: value", n+1)
			continue
		}
		t.Headers = append(t.Headers, TraceHeader{name, redact.Text(value)})
	}
	if c.CAFile != "" {
		pem, err := readText(c.CAFile)
		t.Roots = x509.NewCertPool()
		if err != nil {
			d.refuse("tracing.ca_file", "%s", fileReason(c.CAFile, err))
		} else if !t.Roots.AppendCertsFromPEM(pem) {
			d.refuse("tracing.ca_file", "%s has no certificate in PEM", c.CAFile)
		}
	}
	if c.Endpoint == "" {
		if len(t.Headers) > 0 || t.Roots != nil || c.Sample != 0 {
			d.refuse("tracing.endpoint", "missing; write the collector's URL, or remove the section")
		}
		return t
	}
	u, err := url.Parse(c.Endpoint)
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		d.refuse("tracing.endpoint", "it is not a URL of http or https without user, query or fragment, like http://127.0.0.1:4318/v1/traces")
	case strings.Trim(u.Path, "/") == "":
		d.refuse("tracing.endpoint", "the path is missing; collectors take traces at /v1/traces")
	case u.Scheme == "http" && len(t.Headers) > 0 && !truecaller.IsLoopback(u.Hostname()):
		d.refuse("tracing.endpoint", "headers may be secret; use https, or http to this machine")
	default:
		t.Endpoint = u
	}
	return t
}
