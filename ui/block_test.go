package ui

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"calleridp/provider/authorize"
	"calleridp/provider/endpoint"
)

// gunzip reads one whole gzip member, with its checksum.
func gunzip(t *testing.T, zipped []byte) string {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(zipped))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(plain)
}

func TestAPageWithABlockIsOneGzipStream(t *testing.T) {
	for _, text := range []string{"", "x", strings.Repeat("<option>Sweden +46</option>\n", 1000)} {
		b := newBlock(text)
		for _, before := range []int{0, 1, 4000, 65535, 65536, 200_000} {
			for _, after := range []int{0, 1, 65535 * 2} {
				page := strings.Repeat("a", before) + string(blockMark) + strings.Repeat("z", after)
				want := strings.Replace(page, string(blockMark), text, 1)
				for _, encoding := range []string{"", "gzip"} {
					r, answer := httptest.NewRequest("GET", "/", nil), httptest.NewRecorder()
					r.Header.Set("Accept-Encoding", encoding)
					b.write(answer, r, http.StatusTeapot, []byte(page))
					got := answer.Body.String()
					if answer.Header().Get("Content-Encoding") != encoding || answer.Code != http.StatusTeapot || answer.Header().Get("Vary") != "Accept-Encoding" {
						t.Fatalf("%d %v", answer.Code, answer.Header())
					}
					if encoding == "gzip" {
						got = gunzip(t, answer.Body.Bytes())
					}
					if got != want {
						t.Fatalf("%d + %d + %d bytes come out as %d, %q", before, len(text), after, len(got), encoding)
					}
				}
			}
		}
	}
}

// What is secret, and what somebody may have chosen, is not compressed: how long
// an answer is tells nothing about either (BREACH).
func TestNothingThatDiffersIsCompressed(t *testing.T) {
	w := newWorld(t)
	length := func(typed, sealed string) int {
		r, answer := httptest.NewRequest("GET", "/authorize", nil), httptest.NewRecorder()
		r.Header.Set("Accept-Encoding", "gzip")
		w.ui.SignIn(answer, r, authorize.SignInView{Client: shop, Request: sealed, Phone: typed, Region: "SE"})
		if !bytes.Contains(answer.Body.Bytes(), []byte(`value="`+sealed+`"`)) || !bytes.Contains(answer.Body.Bytes(), []byte(`value="`+typed+`"`)) {
			t.Errorf("%s or %s is compressed", sealed, typed)
		}
		return answer.Body.Len()
	}
	if right, wrong := length("request=secret-4711", "secret-4711"), length("request=secret-0815", "secret-4711"); right != wrong {
		t.Errorf("a right guess gives %d bytes, a wrong one %d", right, wrong)
	}
}

func TestAcceptsGzip(t *testing.T) {
	for header, want := range map[string]bool{
		"": false, "gzip": true, "GZIP": true, "br, gzip": true, "deflate,gzip;q=0.5": true, "gzip;q=0": false, "gzip; q=0.0": false,
		"br": false, "gzipped": false, "identity, gzip ;q=1": true,
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Accept-Encoding", header)
		if got := acceptsGzip(r); got != want {
			t.Errorf("%q: %v", header, got)
		}
	}
}

// The whole sign-in page, as it is transferred, with everything that it needs to
// be drawn and to work.
func TestTheSignInPageIsSmall(t *testing.T) {
	w := newWorld(t)
	const most = 30_000 // bytes
	sealed := endpoint.NewSecret() + strings.Repeat(endpoint.NewSecret(), 20)
	static := 0
	for _, name := range []string{w.ui.static.style, w.ui.static.signIn[signInParts{number: true}], w.ui.static.icon} {
		static += len(w.ui.static.byName[name].zipped)
	}
	for _, lang := range w.ui.Languages() {
		r, answer := httptest.NewRequest("GET", "/authorize", nil), httptest.NewRecorder()
		r.Header.Set("Accept-Encoding", "gzip")
		w.ui.SignIn(answer, r, authorize.SignInView{Client: longName, Request: sealed, UILocales: []string{lang}, Countries: []string{"IN", "SE", "NG"}})
		headers := 0
		for name, values := range answer.Header() {
			headers += len(name) + len(values[0]) + 4
		}
		if all := static + headers + answer.Body.Len(); all > most {
			t.Errorf("%s: %d bytes, of which %d are the page; at most %d", lang, all, answer.Body.Len(), most)
		} else {
			t.Logf("%s: %d bytes, of which %d are the page", lang, all, answer.Body.Len())
		}
	}
}
