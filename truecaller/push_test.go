// SPDX-License-Identifier: Apache-2.0

package truecaller

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/truecaller/phone"
)

func number(t testing.TB, digits string) phone.Number {
	t.Helper()
	n, err := phone.FromDigits(digits)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// appAt is an app whose hosts are all at one address.
func appAt(t testing.TB, base string) App {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	return App{ID: "main", Key: "key-of-the-app", CallbackSecrets: []string{"secret"}, API: u, Profiles: []*url.URL{u}}
}

// serve starts a server with one handler and without an error log.
func serve(t testing.TB, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Start()
	t.Cleanup(server.Close)
	return server
}

// serveCounted serves one response, with a redirect's header, and counts its requests.
func serveCounted(t testing.TB, status int, body string) (*httptest.Server, *atomic.Int32) {
	t.Helper()
	requests := new(atomic.Int32)
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
		io.WriteString(w, body)
	}), requests
}

const (
	typed     = "46701740605"
	ourState  = "c3RhdGUtb2YtdGhlLWF0dGVtcHQtMzItYnl0ZXMtbG9"
	goodReply = `{"requestId":"vXbyFPwqiCAHZyxAldA9M9DDXKk="}`
)

func TestPushRequest(t *testing.T) {
	var got *http.Request
	var body []byte
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		io.WriteString(w, goodReply)
	})
	for base, path := range map[string]string{"": "/v1/apps/requests", "/": "/v1/apps/requests", "/mock": "/mock/v1/apps/requests"} {
		id, err := NewClient(Options{}).Push(t.Context(), new(Permit), appAt(t, server.URL+base), number(t, typed), ourState)
		if err != nil || id != "vXbyFPwqiCAHZyxAldA9M9DDXKk=" {
			t.Fatalf("Push() = %q, %v, want the requestId of the response", id, err)
		}
		if got.Method != "POST" || got.URL.Path != path || got.URL.RawQuery != "" {
			t.Errorf("Push() sent %s %s, want POST %s", got.Method, got.URL, path)
		}
	}
	if got.Header.Get("appKey") != "key-of-the-app" || got.Header.Get("Content-Type") != "application/json" || got.Header.Get("Cache-Control") != "no-cache" || got.Header.Get("Authorization") != "" {
		t.Errorf("Push() sent the headers %v, want appKey, JSON, no-cache and no Authorization", got.Header)
	}
	if want := `{"phoneNumber":46701740605,"state":"` + ourState + `"}`; string(body) != want {
		t.Errorf("body %s, want %s", body, want)
	}
	// Fifteen digits, where a float would be written with an exponent.
	if _, err := NewClient(Options{}).Push(t.Context(), new(Permit), appAt(t, server.URL), number(t, "999999999999999"), ourState); err != nil || !strings.Contains(string(body), ":999999999999999,") {
		t.Errorf("Push() sent %s (%v), want the number with all 15 digits", body, err)
	}
}

// The header's name is written as Truecaller documents it.
func TestPushWritesAppKeyAsDocumented(t *testing.T) {
	address, requests := rawServer(t, "HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n{\"requestId\":\"a\"}\n")
	if _, err := NewClient(Options{}).Push(t.Context(), new(Permit), appAt(t, "http://"+address), number(t, typed), ourState); err != nil {
		t.Fatal(err)
	}
	if head := <-requests; !strings.Contains(head, "\r\nappKey: key-of-the-app\r\n") {
		t.Errorf("Push() sent %q, want the header appKey as documented", head)
	}
}

// rawServer responds to each connection with a fixed text after one read, and closes it.
// The channel has what it read.
func rawServer(t *testing.T, answer string) (address string, requests chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	requests = make(chan string, 16)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			buffer := make([]byte, 4096)
			n, _ := c.Read(buffer)
			requests <- string(buffer[:n])
			io.WriteString(c, answer)
			c.Close()
		}
	}()
	return l.Addr().String(), requests
}

func TestPushAnswers(t *testing.T) {
	rows := []struct {
		status int
		body   string
		want   PushFailure // "" for accepted
		code   int
	}{
		{200, goodReply, "", 0},
		{200, `{"requestId":"92849748hueh9","more":{"x":[1]}}`, "", 0},
		{200, `{"requestId":"` + strings.Repeat("r", 256) + `"}`, "", 0},
		{200, `{"requestId":"` + strings.Repeat("r", 257) + `"}`, PushUnknown, 0},
		{200, `{"requestId":""}`, PushUnknown, 0},
		{200, `{"requestId":null}`, PushUnknown, 0},
		{200, `{"requestId":7}`, PushUnknown, 0},
		{200, "{\"requestId\":\"\xff\"}", PushUnknown, 0},
		{200, `{}`, PushUnknown, 0},
		{200, ``, PushUnknown, 0},
		{200, `<html>`, PushUnknown, 0},
		{200, goodReply + goodReply, PushUnknown, 0},
		{200, `{"requestId":"a","x":"` + strings.Repeat("x", maxAnswer) + `"}`, PushUnknown, 0},
		{202, goodReply, PushUnknown, 0},
		{204, ``, PushUnknown, 0},
		{302, ``, PushRefused, 0},
		{400, `{"code":400,"message":"x"}`, PushRefused, 400},
		{401, ``, PushRefused, 0},
		{403, `{"code":1008,"message":"Forbidden: It is forbidden to use sdk login for this phone number."}`, PushNoAccount, 1008},
		{403, `{"code":"1008"}`, PushNoAccount, 1008},
		{400, `{"code":1008}`, PushNoAccount, 1008},
		{403, `{"code":403}`, PushRefused, 403},
		{403, ``, PushRefused, 0},
		{404, `{"code":404,"message":"Invalid partner credentials."}`, PushAppKeyRejected, 404},
		{404, ``, PushAppKeyRejected, 0},
		{404, `<html>`, PushAppKeyRejected, 0},
		{403, `{"code":404}`, PushAppKeyRejected, 404},
		{408, ``, PushUnavailable, 0},
		{429, `{"code":1008}`, PushUnavailable, 1008},
		{500, ``, PushUnavailable, 0},
		{503, `{"code":1008}`, PushUnavailable, 1008},
	}
	for _, row := range rows {
		t.Run(fmt.Sprintf("%d %.40s", row.status, row.body), func(t *testing.T) {
			server, requests := serveCounted(t, row.status, row.body)
			id, err := NewClient(Options{}).Push(t.Context(), new(Permit), appAt(t, server.URL), number(t, typed), ourState)
			if requests.Load() != 1 {
				t.Errorf("Push() made %d requests, want 1: it never repeats a push and follows no redirect", requests.Load())
			}
			if row.want == "" {
				if err != nil || id == "" {
					t.Errorf("Push() = %q, %v, want a requestId", id, err)
				}
				return
			}
			failed, ok := errors.AsType[*PushError](err)
			if !ok || id != "" {
				t.Fatalf("Push() = %q, %#v, want a *PushError", id, err)
			}
			if failed.Kind != row.want || failed.Status != row.status || failed.Code != row.code {
				t.Fatalf("Push() failed with %s, status %d, code %d; want %s, %d, %d",
					failed.Kind, failed.Status, failed.Code, row.want, row.status, row.code)
			}
			checkDiscreet(t, err.Error())
		})
	}
}

// checkDiscreet: no number, state, key or token in what is logged (invariant 10).
func checkDiscreet(t *testing.T, shown string) {
	t.Helper()
	for _, secret := range []string{"701740605", ourState, "key-of-the-app", bearer} {
		if strings.Contains(shown, secret) {
			t.Errorf("%q has a secret", shown)
		}
	}
}

// The operator learns which app's key it is and where to change it.
func TestPushSaysWhichAppKeyIsWrong(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(404) })
	_, err := NewClient(Options{}).Push(t.Context(), new(Permit), appAt(t, server.URL), number(t, typed), ourState)
	if err == nil || !strings.Contains(err.Error(), `refused the appKey of app "main"`) || !strings.Contains(err.Error(), "check its app_key in the configuration") {
		t.Errorf("Push() failed with %v, want an error that names the app and the key of the configuration", err)
	}
}

func kindOfPush(t *testing.T, c *Client, ctx context.Context, base string) PushFailure {
	t.Helper()
	_, err := c.Push(ctx, new(Permit), appAt(t, base), number(t, typed), ourState)
	failed, ok := errors.AsType[*PushError](err)
	if !ok || failed.Status != 0 && failed.Status != 200 {
		t.Fatalf("Push() failed with %#v, want a *PushError without a status or with 200", err)
	}
	checkDiscreet(t, err.Error())
	return failed.Kind
}

// Nothing can have been sent: the number may be tried again at once.
func TestPushSurelyNotSent(t *testing.T) {
	plain := serve(t, func(w http.ResponseWriter, r *http.Request) { t.Error("served") })
	strange := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("served") }))
	strange.Config.ErrorLog = log.New(io.Discard, "", 0)
	strange.StartTLS() // an untrusted certificate
	defer strange.Close()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts and never shakes hands
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	over, cancel := context.WithCancel(t.Context())
	cancel()
	c := NewClient(Options{ConnectTimeout: 50 * time.Millisecond})
	for name, row := range map[string]struct {
		ctx  context.Context
		base string
	}{
		"closed port":         {t.Context(), "http://127.0.0.1:1"},
		"no TLS":              {t.Context(), "https://" + strings.TrimPrefix(plain.URL, "http://")},
		"unknown certificate": {t.Context(), strange.URL},
		"no handshake":        {t.Context(), "https://" + silent.Addr().String()},
		"no such host":        {t.Context(), "http://calleridp.invalid"},
		"cancelled before":    {over, plain.URL},
	} {
		t.Run(name, func(t *testing.T) {
			if got := kindOfPush(t, c, row.ctx, row.base); got != PushUnavailable {
				t.Errorf("Push() failed with %s, want %s", got, PushUnavailable)
			}
		})
	}
	for name, app := range map[string]App{"no address": {ID: "x"}, "no number": appAt(t, plain.URL)} {
		t.Run(name, func(t *testing.T) {
			if id, err := c.Push(t.Context(), new(Permit), app, phone.Number{}, ourState); err == nil {
				t.Errorf("Push() = %q, nil, want an error", id)
			}
		})
	}
}

// The phone may be ringing: nothing is concluded, and nothing sent again.
func TestPushThatMayHaveBeenSent(t *testing.T) {
	slow := func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}
	stuck := func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, `{"requestId"`)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}
	broken := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	for name, row := range map[string]struct {
		handler http.HandlerFunc
		options Options
		took    time.Duration
	}{
		"total timeout":         {slow, Options{Timeout: time.Second}, time.Second},
		"header timeout":        {slow, Options{HeaderTimeout: time.Second}, time.Second},
		"timeout inside a body": {stuck, Options{Timeout: time.Second}, time.Second},
		"connection broken":     {broken, Options{}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var requests atomic.Int32
				client := NewClient(row.options)
				overPipes(t, client, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					requests.Add(1)
					row.handler(w, r)
				}))
				begun := time.Now()
				if got := kindOfPush(t, client, t.Context(), "http://api4.example"); got != PushUnknown {
					t.Errorf("Push() failed with %s, want %s", got, PushUnknown)
				}
				if took := time.Since(begun); took != row.took {
					t.Errorf("Push() took %s, want %s", took, row.took)
				}
				if got := requests.Load(); got != 1 {
					t.Errorf("Truecaller got %d requests, want 1", got)
				}
			})
		})
	}
}

// A connection that the server drops while it is idle is where HTTP clients
// like to send a request again.
func TestPushIsNotRepeatedOnAnotherConnection(t *testing.T) {
	var requests atomic.Int32
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if requests.Add(1) == 2 {
			io.Copy(io.Discard, r.Body)
			panic(http.ErrAbortHandler)
		}
		io.WriteString(w, goodReply)
	})
	c := NewClient(Options{})
	if _, err := c.Push(t.Context(), new(Permit), appAt(t, server.URL), number(t, typed), ourState); err != nil {
		t.Fatal(err)
	}
	if got := kindOfPush(t, c, t.Context(), server.URL); got != PushUnknown || requests.Load() != 2 {
		t.Errorf("the second Push() failed with %s after %d requests, want %s after 2", got, requests.Load(), PushUnknown)
	}
}

// Nor over HTTP/2, whose transport repeats what it can rewind.
func TestPushCannotBeRewound(t *testing.T) {
	c := NewClient(Options{})
	c.http.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		if r.GetBody != nil {
			t.Error("the transport can read the body again")
		}
		return nil, errors.New("no answer")
	})
	c.Push(t.Context(), new(Permit), appAt(t, "https://api4.truecaller.com"), number(t, typed), ourState)
}
