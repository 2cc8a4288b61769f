// SPDX-License-Identifier: Apache-2.0

package truecaller

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const callbackBody = `{"requestId":"rid","accessToken":"` + bearer + `","state":"` + ourState + `"}`

// post sends a callback to the handler, without a network.
func (w *world) post(path, body string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	for _, c := range change {
		c(r)
	}
	answer := httptest.NewRecorder()
	w.rc.ServeHTTP(answer, r)
	return answer
}

func TestInvariant4_CallbackIsStoredThenAnswered(t *testing.T) {
	w := newWorld(t)
	before := time.Now()
	for range 3 { // Truecaller may send it again
		if answer := w.post("/callback/main/secret-one", callbackBody); answer.Code != 200 || answer.Body.Len() != 0 || answer.Header().Get("Cache-Control") != "no-store" {
			t.Fatalf("a callback got %d %q, want 200, no body and no-store", answer.Code, answer.Body)
		}
	}
	if len(w.inbox) != 1 {
		t.Fatalf("%d deliveries after one callback, want 1", len(w.inbox))
	}
	for id, d := range w.inbox {
		want := Callback{RequestID: "rid", AccessToken: bearer, State: ourState}
		if d.ID != id || id == "" || d.App != "main" || d.Callback != want || d.Received.Before(before) || d.Received.After(time.Now()) {
			t.Errorf("the inbox has %s of %s at %s: %+v, want %+v", d.ID, d.App, d.Received, d.Callback, want)
		}
		checkDiscreet(t, id)
	}
	// Another one is another delivery, however its parts are put together.
	w.post("/callback/main/secret-one", `{"requestId":"ri","state":"d`+ourState+`","accessToken":"`+bearer+`"}`)
	w.post("/callback/main/secret-one", `{"requestId":"rid","status":"flow_invoked"}`)
	if len(w.inbox) != 3 {
		t.Errorf("%d deliveries after three callbacks, want 3", len(w.inbox))
	}
	if len(w.told)+len(w.asked) != 0 {
		t.Errorf("the handler did the worker's work: recipient %q, requests %q; want none", w.told, w.asked)
	}
	checkDiscreet(t, w.log.String())
}

// The response does not reveal whether an attempt waits.
func TestInvariant4_UnexpectedIsAnsweredAlike(t *testing.T) {
	w := newWorld(t)
	known := w.post("/callback/main/secret-one", callbackBody)
	w.expects = func(c Callback) (bool, error) { return false, nil }
	w.inbox = map[string]Delivery{}
	unknown := w.post("/callback/main/secret-one", callbackBody)
	if known.Code != unknown.Code || known.Body.String() != unknown.Body.String() || fmt.Sprint(known.Header()) != fmt.Sprint(unknown.Header()) {
		t.Errorf("an expected callback got %v, an unexpected one %v; want the same", known, unknown)
	}
	w.wantInbox()
}

func TestInvariant4_500OnlyWhenNotStored(t *testing.T) {
	w := newWorld(t)
	w.put = func(context.Context) error { return errStore }
	if answer := w.post("/callback/main/secret-one", callbackBody); answer.Code != 500 || strings.Contains(answer.Body.String(), "disk") {
		t.Errorf("a callback that cannot be stored got %d %q, want 500 without the cause", answer.Code, answer.Body)
	}
	w.put = nil
	w.expects = func(Callback) (bool, error) { return false, errStore }
	if answer := w.post("/callback/main/secret-one", callbackBody); answer.Code != 500 {
		t.Errorf("a callback got %d while Expects fails, want 500", answer.Code)
	}
	checkDiscreet(t, w.log.String())
}

// Truecaller waits three seconds, so a store that hangs is a 500 before that.
func TestInvariant4_AnswerWithinThreeSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.put = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		started := time.Now()
		answer := w.post("/callback/main/secret-one", callbackBody)
		if took := time.Since(started); answer.Code != 500 || took >= 3*time.Second {
			t.Errorf("a callback got %d after %s, want 500 within 3s", answer.Code, took)
		}
	})
}

// A sender that hangs up does not take back what it sent.
func TestCallbackOfASenderThatLeft(t *testing.T) {
	w := newWorld(t)
	w.put = func(ctx context.Context) error { return ctx.Err() }
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if answer := w.post("/callback/main/secret-one", callbackBody, func(r *http.Request) { *r = *r.WithContext(gone) }); answer.Code != 200 {
		t.Errorf("a callback whose sender left got %d, want 200", answer.Code)
	}
}

func TestInvariant4_OnlyTheSecretPath(t *testing.T) {
	w := newWorld(t)
	for path, want := range map[string]int{
		"/callback/main/secret-one":         200,
		"/callback/main/secret-two":         200, // both, while they are rotated
		"/callback/main/secret-three":       404,
		"/callback/main/secret-on":          404,
		"/callback/main/secret-one/":        404,
		"/callback/main/secret-one/x":       404,
		"/callback/main/SECRET-ONE":         404,
		"/callback/main/":                   404,
		"/callback/main":                    404,
		"/callback/":                        404,
		"/callback/other/secret-one":        404,
		"/callback/other/no%20such%20app":   404,
		"/callback//secret-one":             404,
		"/callback/main/secret-one?secret=": 200, // a query is ignored
	} {
		t.Run(path, func(t *testing.T) {
			if answer := w.post(path, callbackBody); answer.Code != want {
				t.Errorf("%s: %d, want %d", path, answer.Code, want)
			}
		})
	}
	if len(w.inbox) != 1 {
		t.Errorf("%d deliveries, want 1", len(w.inbox))
	}
}

func TestCallbackMethods(t *testing.T) {
	w := newWorld(t)
	for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"} {
		t.Run(method, func(t *testing.T) {
			r := func(r *http.Request) { r.Method = method }
			answer := w.post("/callback/main/secret-one", callbackBody, r)
			if answer.Code != 405 || answer.Header().Get("Allow") != "POST" {
				t.Errorf("%s got %d, Allow %q; want 405, POST", method, answer.Code, answer.Header().Get("Allow"))
			}
			if answer := w.post("/callback/main/wrong", callbackBody, r); answer.Code != 404 {
				t.Errorf("%s at a wrong path got %d, want 404", method, answer.Code)
			}
		})
	}
	w.wantInbox()
}

func TestInvariant4_Bodies(t *testing.T) {
	w := newWorld(t)
	padded := func(size int) string { return callbackBody + strings.Repeat(" ", size-len(callbackBody)) }
	bomb := &bytes.Buffer{}
	z := gzip.NewWriter(bomb)
	io.WriteString(z, callbackBody+strings.Repeat(" ", 10<<20))
	z.Close()
	encoded := func(names ...string) func(*http.Request) {
		return func(r *http.Request) { r.Header["Content-Encoding"] = names }
	}
	unsized := func(r *http.Request) { r.ContentLength = -1 }
	rows := []struct {
		what, body string
		change     func(*http.Request)
		want       int
	}{
		{"16 KiB", padded(MaxCallback), nil, 200},
		{"more", padded(MaxCallback + 1), nil, 413},
		{"more, of unknown length", padded(MaxCallback + 1), unsized, 413},
		{"a megabyte, of unknown length", padded(1 << 20), unsized, 413},
		{"identity", callbackBody, encoded("identity"), 200},
		{"gzip bomb", bomb.String(), encoded("gzip"), 415},
		{"two encodings", callbackBody, encoded("identity", "br"), 415},
		{"any content type", callbackBody, func(r *http.Request) { r.Header.Del("Content-Type") }, 200},
		{"a form", "requestId=r&accessToken=t", func(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") }, 400},
		{"nothing", "", nil, 400},
		{"wrong type", `{"requestId":1,"accessToken":"t"}`, nil, 400},
		{"the same name twice", `{"requestId":"r","requestId":"r","accessToken":"t"}`, nil, 400},
		{"unknown fields", `{"requestId":"r","accessToken":"t","x":{"y":[1]}}`, nil, 200},
		{"unknown status", `{"requestId":"r","status":"new"}`, nil, 200},
	}
	for _, row := range rows {
		t.Run(row.what, func(t *testing.T) {
			changes := []func(*http.Request){}
			if row.change != nil {
				changes = append(changes, row.change)
			}
			if answer := w.post("/callback/main/secret-one", row.body, changes...); answer.Code != row.want {
				t.Errorf("%s: %d, want %d", row.what, answer.Code, row.want)
			}
		})
	}
	checkDiscreet(t, w.log.String())
}

// dial opens a connection to the handler, as a sender that keeps no rules.
func (w *world) dial() (net.Conn, *bufio.Reader) {
	server := httptest.NewServer(w.rc)
	w.t.Cleanup(server.Close)
	c, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(time.Minute)) // bounds the test if the handler never answers
	return c, bufio.NewReader(c)
}

// A sender that never finishes is let go.
func TestSlowCallback(t *testing.T) {
	for what, path := range map[string]string{"right": "/callback/main/secret-one", "wrong": "/callback/main/wrong"} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t)
			w.rc.read = 100 * time.Millisecond
			c, answers := w.dial()
			fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{", path)
			answer, err := http.ReadResponse(answers, nil)
			if err != nil {
				t.Fatal(err)
			}
			if want := map[string]int{"right": 408, "wrong": 404}[what]; answer.StatusCode != want {
				t.Errorf("%d, want %d", answer.StatusCode, want)
			}
			io.Copy(io.Discard, answer.Body)
			if _, err := answers.ReadByte(); err != io.EOF {
				t.Errorf("the connection stays open: got %v, want %v", err, io.EOF)
			}
			w.wantInbox()
		})
	}
}

// The deadline of one callback is not that of the next on the same connection.
func TestCallbacksShareAConnection(t *testing.T) {
	w := newWorld(t)
	c, answers := w.dial()
	for range 3 {
		fmt.Fprintf(c, "POST /callback/main/secret-one HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(callbackBody), callbackBody)
		answer, err := http.ReadResponse(answers, nil)
		if err != nil || answer.StatusCode != 200 {
			t.Fatalf("a callback got %v, %v, want 200", answer, err)
		}
	}
}

// A body that says that it is too large is not waited for.
func TestTooLargeIsRefusedAtOnce(t *testing.T) {
	w := newWorld(t)
	c, answers := w.dial()
	fmt.Fprintf(c, "POST /callback/main/secret-one HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 100000000\r\n\r\n")
	answer, err := http.ReadResponse(answers, nil)
	if err != nil || answer.StatusCode != 413 {
		t.Fatalf("a body that is declared too large got %v, %v, want 413", answer, err)
	}
}

// When the worker is behind, callbacks get their response all the same, and the worker
// finds them in the inbox.
func TestInvariant4_FullChannelLosesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		n := cap(w.rc.fresh) + 100
		started := time.Now()
		for i := range n {
			body := fmt.Sprintf(`{"requestId":"r%d","accessToken":"token-%d"}`, i, i)
			if answer := w.post("/callback/main/secret-one", body); answer.Code != 200 {
				t.Fatalf("callback %d got %d, want 200", i, answer.Code)
			}
		}
		if took := time.Since(started); took != 0 {
			t.Errorf("the sender waited %s, want 0s", took)
		}
		stop := w.run()
		time.Sleep(2 * sweepEvery)
		stop()
		w.wantInbox()
		w.wantAsked(n)
	})
}

// A callback that another process holds is acknowledged, and no work for this one.
func TestInvariant4_CallbackOfAnotherProcessIsAnswered(t *testing.T) {
	w := newWorld(t)
	w.post("/callback/main/secret-one", callbackBody)
	for id := range w.inbox {
		w.elsewhere[id] = true
	}
	<-w.rc.fresh
	if answer := w.post("/callback/main/secret-one", callbackBody); answer.Code != 200 || len(w.rc.fresh) != 0 {
		t.Errorf("got %d, and %d deliveries for the worker, want 200 and none", answer.Code, len(w.rc.fresh))
	}
}

// From the callback to the profile without waiting for a sweep.
func TestCallbackWakesTheWorker(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		stop := w.run()
		synctest.Wait()
		started := time.Now()
		w.post("/callback/main/secret-one", `{"requestId":"r","accessToken":"token-x","endpoint":"`+slowHost+`/v1/default"}`)
		synctest.Wait()
		if took := time.Since(started); took != 0 || len(w.told) != 1 || w.asked[0] != slowHost+"/v1/default token-x" {
			t.Errorf("after %s: recipient %q, requests %q; want one of each at once", took, w.told, w.asked)
		}
		stop()
	})
}

func TestNewReceiver(t *testing.T) {
	w := newWorld(t)
	good := w.rc.cfg
	for what, spoil := range map[string]func(*ReceiverConfig){
		"no apps":      func(c *ReceiverConfig) { c.Apps = nil },
		"no inbox":     func(c *ReceiverConfig) { c.Inbox = nil },
		"no recipient": func(c *ReceiverConfig) { c.Recipient = nil },
		"no client":    func(c *ReceiverConfig) { c.Client = nil },
		"no log":       func(c *ReceiverConfig) { c.Log = nil },
		"no sums":      func(c *ReceiverConfig) { c.Callbacks = nil },
		"other id":     func(c *ReceiverConfig) { c.Apps = map[string]App{"other": w.app} },
		"invalid app":  func(c *ReceiverConfig) { c.Apps = map[string]App{"": {}} },
	} {
		t.Run(what, func(t *testing.T) {
			c := good
			spoil(&c)
			if _, err := NewReceiver("/callback/", c); err == nil {
				t.Errorf("NewReceiver() with %s succeeded, want an error", what)
			}
		})
	}
	good.Log = slog.New(slog.DiscardHandler)
	if _, err := NewReceiver("/callback/", good); err != nil {
		t.Error(err)
	}
}
