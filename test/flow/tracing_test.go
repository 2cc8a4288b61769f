// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"calleridp/cmd/calleridp/tracing"
	"calleridp/test/harness"

	otlp "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"
)

// collector keeps the spans that it gets.
type collector struct {
	*httptest.Server
	mu      sync.Mutex
	spans   []received
	headers []http.Header
	raw     []byte
}

type received struct {
	name, trace, id, parent string
	links                   []string // traces
	attributes              map[string]string
	seconds                 float64
}

func newCollector(t *testing.T) *collector {
	c := &collector{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var in otlp.ExportTraceServiceRequest
		if err != nil || proto.Unmarshal(body, &in) != nil || r.URL.Path != "/v1/traces" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.raw = append(c.raw, body...)
		c.headers = append(c.headers, r.Header)
		for _, rs := range in.ResourceSpans {
			for _, ss := range rs.ScopeSpans {
				for _, s := range ss.Spans {
					got := received{
						name: s.Name, trace: hex.EncodeToString(s.TraceId), id: hex.EncodeToString(s.SpanId), parent: hex.EncodeToString(s.ParentSpanId),
						attributes: map[string]string{}, seconds: float64(s.EndTimeUnixNano-s.StartTimeUnixNano) / 1e9,
					}
					for _, l := range s.Links {
						got.links = append(got.links, hex.EncodeToString(l.TraceId))
					}
					for _, a := range s.Attributes {
						got.attributes[a.Key] = a.Value.GetStringValue()
						if a.Key == string(tracing.KeyStatus) {
							got.attributes[a.Key] = fmt.Sprint(a.Value.GetIntValue())
						}
					}
					c.spans = append(c.spans, got)
				}
			}
		}
	}))
	t.Cleanup(c.Close)
	return c
}

// names returns the names of the spans of a trace, sorted.
func (c *collector) names(trace string) (names []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.spans {
		if s.trace == trace {
			names = append(names, s.name)
		}
	}
	slices.Sort(names)
	return names
}

// all waits for a span with this name, and returns all of it.
func (c *collector) all(t *testing.T, name string) (found []received) {
	t.Helper()
	harness.Eventually(t, "a span "+name, func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		found = nil
		for _, s := range c.spans {
			if s.name == name {
				found = append(found, s)
			}
		}
		return len(found) > 0
	})
	return found
}

// One trace shows a sign-in across push, callback and profile, although another process
// has begun it. It holds no secret and no number, and what strangers send of a trace has no
// part in it.
func TestTracing(t *testing.T) {
	t.Parallel()
	const forged = "0af7651916cd43dd8448eb211c80319c"
	verifier := strings.Repeat("v", 43)
	hash := sha256.Sum256([]byte(verifier))
	challenge := base64.RawURLEncoding.EncodeToString(hash[:])
	sink := newCollector(t)
	a := &attack{T: t, vendor: newVendor(t)}
	var outgoing []string
	inner := a.vendor.Config.Handler
	a.vendor.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.vendor.mu.Lock()
		outgoing = append(outgoing, r.Header.Get("Traceparent")+r.Header.Get("Tracestate")+r.Header.Get("Baggage"))
		a.vendor.mu.Unlock()
		inner.ServeHTTP(w, r)
	})
	headers := filepath.Join(t.TempDir(), "headers")
	if err := os.WriteFile(headers, []byte("X-Collector-Key: the-collectors-key\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	a.server = harness.Serve(t, a.vendor.URL, fmt.Sprintf("tracing: {endpoint: %q, headers_file: %s}\n", sink.URL+"/v1/traces", headers))
	a.browser = harness.NewBrowser(t, a.server.Issuer)
	a.browser.Transport = withHeader{"Traceparent": "00-" + forged + "-b7ad6b7169203331-01", "X-Request-Id": "of-a-stranger"}
	_, a.waiting = a.browser.Follow(a.browser.Submit(a.browser.Get(a.server.AuthorizationURL("code_challenge", challenge)), harness.Number(7)), 0)
	id := regexp.MustCompile(`/attempt/([A-Za-z0-9_-]{22})`).FindStringSubmatch(a.waiting.URL)[1]
	raw, _ := base64.RawURLEncoding.DecodeString(id)
	trace := hex.EncodeToString(raw)

	a.server.Stop(os.Interrupt)
	a.server.Start()
	a.grants("token-of-7", 7)
	a.post(a.rightPath(), map[string]string{"requestId": "request-1", "state": a.vendor.pushes()[0], "accessToken": "token-of-7"})
	left, _ := a.browser.Follow(a.browser.Get(a.waiting.URL), harness.Timeout)
	if left == nil {
		t.Fatal("got no redirect to the client")
	}
	code := left.Query().Get("code")
	r, _ := http.NewRequest("POST", a.server.Issuer+"/token", strings.NewReader(url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {harness.RedirectURI},
		"code_verifier": {verifier},
	}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth("demo", harness.ClientSecret)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	tokens, _ := io.ReadAll(answer.Body)
	answer.Body.Close()
	if answer.StatusCode != 200 {
		t.Fatalf("the token endpoint got %d %s", answer.StatusCode, tokens)
	}

	root := sink.all(t, "attempt")[0]
	sink.all(t, "token.issue")
	sink.all(t, "POST /token")
	want := []string{"attempt", "attempt.approved", "attempt.done", "attempt.pushed", "attempt.returned", "attempt.started", "callback", "inbox.delivery",
		"store.commit", "truecaller.profile", "truecaller.push"}
	if got := slices.Compact(sink.names(trace)); !slices.Equal(got, want) {
		t.Errorf("the trace of the attempt has %v, want %v", got, want)
	}
	if root.trace != trace || root.parent != "" || root.seconds <= 0 || root.attributes[string(tracing.KeyState)] != "done" || root.attributes[string(tracing.KeyAttempt)] != id {
		t.Errorf("the attempt's span is %+v", root)
	}
	for _, s := range sink.all(t, "truecaller.profile") {
		if s.parent != root.id {
			t.Errorf("the profile's span has the parent %s, want %s", s.parent, root.id)
		}
	}
	linked := false
	for _, s := range sink.all(t, "POST /signin") {
		linked = linked || slices.Contains(s.links, trace)
	}
	if !linked {
		t.Error("no request that submits a number is linked to the attempt")
	}
	if got := sink.names(sink.all(t, "authorize.decide")[0].trace); !slices.Contains(got, "GET /authorize") {
		t.Errorf("the decision is in a trace with %v, want its request", got)
	}

	sink.mu.Lock()
	defer sink.mu.Unlock()
	for _, s := range sink.spans {
		for key := range s.attributes {
			if !slices.Contains(tracing.Keys, tracing.Key(key)) {
				t.Errorf("span %s has the attribute %s, which is not in the list", s.name, key)
			}
		}
		if s.trace == forged || s.parent == "b7ad6b7169203331" {
			t.Errorf("span %s is in a stranger's trace", s.name)
		}
	}
	secrets := []string{"4670174", "70174", "token-of", a.vendor.pushes()[0], a.server.CallbackSecret, "request-1", code, harness.ClientSecret,
		harness.AppKey, a.server.CallbackURL(), "the-collectors-key", "Asha", "of-a-stranger", "127.0.0.1:1/"}
	at, _ := url.Parse(a.server.Issuer)
	for _, cookie := range a.browser.Jar.Cookies(at) {
		if len(cookie.Value) >= 16 {
			secrets = append(secrets, cookie.Value)
		}
	}
	for _, secret := range secrets {
		if strings.Contains(string(sink.raw), secret) {
			t.Errorf("the traces have %q", secret)
		}
	}
	for _, h := range sink.headers {
		if h.Get("X-Collector-Key") != "the-collectors-key" {
			t.Error("the collector got no key")
		}
	}
	if strings.Join(outgoing, "") != "" || len(outgoing) != 2 {
		t.Errorf("Truecaller got %d requests with trace contexts %q, want 2 with none", len(outgoing), outgoing)
	}
	if log := a.server.Log(); !strings.Contains(log, `"trace":"`+trace+`"`) || strings.Contains(log, "the-collectors-key") {
		t.Errorf("the log does not name the trace %s, or has the collector's key", trace)
	}
}

type withHeader map[string]string

func (h withHeader) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	for name, value := range h {
		r.Header.Set(name, value)
	}
	return http.DefaultTransport.RoundTrip(r)
}

// A collector that never answers, or is not there, hinders neither a sign-in nor the end of
// the server, and what is lost is counted.
func TestTracingWithoutCollector(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-ended }))
	t.Cleanup(silent.Close)
	t.Cleanup(func() { close(ended) })
	for name, endpoint := range map[string]string{"silent": silent.URL + "/v1/traces", "absent": "http://127.0.0.1:" + harness.FreePort(t) + "/v1/traces"} {
		t.Run(name, func(t *testing.T) {
			address := "127.0.0.1:" + harness.FreePort(t)
			a := &attack{T: t, vendor: newVendor(t)}
			a.server = harness.Serve(t, a.vendor.URL, fmt.Sprintf("metrics_listen: %s\ntracing: {endpoint: %q}\n", address, endpoint))
			a.browser = harness.NewBrowser(t, a.server.Issuer)
			_, a.waiting = a.browser.Follow(a.browser.Submit(a.browser.Get(a.server.AuthorizationURL()), harness.Number(7)), 0)
			a.grants("token-of-7", 7)
			a.post(a.rightPath(), map[string]string{"requestId": "request-1", "state": a.vendor.pushes()[0], "accessToken": "token-of-7"})
			if got := a.outcome(); got != "signed in" {
				t.Errorf("got %s, want a sign-in", got)
			}
			if name == "absent" {
				a.server.Logged("traces are lost")
				harness.Eventually(t, "lost spans are counted", func() bool {
					return regexp.MustCompile(`(?m)^calleridp_trace_spans_total\{outcome="failed"\} [1-9]`).MatchString(scrape(t, address))
				})
			}
			a.server.Stop(os.Interrupt)
		})
	}
}
