// SPDX-License-Identifier: Apache-2.0

package page

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
	"calleridp/provider/login"
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
		shared := blocks{countriesMark[1]: newBlock(text), languagesMark[1]: newBlock("<li>" + text)}
		for _, before := range []int{0, 1, 4000, 65535, 65536, 200_000} {
			for _, after := range []int{0, 1, 65535 * 2} {
				page := strings.Repeat("a", before) + string(countriesMark) + strings.Repeat("z", after) + string(languagesMark) + "end"
				want := strings.NewReplacer(string(countriesMark), text, string(languagesMark), "<li>"+text).Replace(page)
				for _, encoding := range []string{"", "gzip"} {
					r, answer := httptest.NewRequest("GET", "/", nil), httptest.NewRecorder()
					r.Header.Set("Accept-Encoding", encoding)
					shared.write(answer, r, http.StatusTeapot, []byte(page))
					got := answer.Body.String()
					if answer.Header().Get("Content-Encoding") != encoding || answer.Code != http.StatusTeapot || answer.Header().Get("Vary") != "Accept-Encoding" {
						t.Fatalf("got %d %v, want 418 in the encoding %q", answer.Code, answer.Header(), encoding)
					}
					if encoding == "gzip" {
						got = gunzip(t, answer.Body.Bytes())
					}
					if got != want {
						t.Fatalf("%d + %d + %d bytes: got %d, %q", before, len(text), after, len(got), encoding)
					}
				}
			}
		}
	}
}

// Secrets, and what an attacker may have chosen, are not compressed: the length of a
// response reveals nothing about either (BREACH).
func TestNothingThatDiffersIsCompressed(t *testing.T) {
	p := newPages(t)
	length := func(typed, sealed string) int {
		answer := drawSignIn(p, authorize.SignInView{Request: sealed, Phone: typed, Region: "SE"}, [2]string{"Accept-Encoding", "gzip"})
		if !bytes.Contains(answer.Body.Bytes(), []byte(`value="`+sealed+`"`)) || !bytes.Contains(answer.Body.Bytes(), []byte(`value="`+typed+`"`)) {
			t.Errorf("got %s or %s compressed", sealed, typed)
		}
		return answer.Body.Len()
	}
	if right, wrong := length("request=secret-4711", "secret-4711"), length("request=secret-0815", "secret-4711"); right != wrong {
		t.Errorf("a right guess: got %d bytes, want %d, as for a wrong one", right, wrong)
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
			t.Errorf("%q: got %v, want %v", header, got, want)
		}
	}
}

// The whole sign-in page as it is transferred, with everything that it needs.
func TestTheSignInPageIsSmall(t *testing.T) {
	p := newPages(t)
	const most = 30_000 // bytes
	sealed := string(login.NewBrowserSecret()) + strings.Repeat(string(login.NewBrowserSecret()), 20)
	static := 0
	for _, name := range []string{p.assets.style, p.assets.signIn[signInParts{number: true}], p.assets.icon} {
		static += len(p.assets.byName[name].zipped)
	}
	for _, l := range p.cfg.Languages.All() {
		answer := drawSignIn(p, authorize.SignInView{
			Client:    endpoint.ClientView{ID: "long", Name: "The Association of Independent Booksellers and Stationers of the Northern Counties"},
			Request:   sealed,
			UILocales: []string{l.Tag},
			Countries: []string{"IN", "SE", "NG"},
		}, [2]string{"Accept-Encoding", "gzip"})
		headers := 0
		for name, values := range answer.Header() {
			headers += len(name) + len(values[0]) + 4
		}
		if all := static + headers + answer.Body.Len(); all > most {
			t.Errorf("%s: got %d bytes, of which %d are the page, want at most %d", l.Tag, all, answer.Body.Len(), most)
		} else {
			t.Logf("%s: %d bytes, of which %d are the page", l.Tag, all, answer.Body.Len())
		}
	}
}
