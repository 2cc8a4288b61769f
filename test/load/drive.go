// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// measured is what one measurement found, for each call; times are seconds.
type measured struct {
	perSecond, cpu, databaseCPU, commits, trips, written, p50, p99, peak float64
}

// sum is the CPU time of the server and of its database, in seconds.
func (m measured) sum() float64 { return m.cpu + m.databaseCPU }

// measure runs work n times, parallel at a time.
func measure(ctx context.Context, s *server, parallel, n int, work func(context.Context) error) (measured, error) {
	var m measured
	cpu, err1 := s.cpu()
	before, err2 := s.stats()
	database, err3 := s.databaseCPU()
	written, err4 := s.written()
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return m, err
	}
	took := make([]float64, n)
	var next atomic.Int64
	var wg sync.WaitGroup
	var failed atomic.Pointer[error]
	begun := time.Now()
	for range parallel {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(n) && failed.Load() == nil && ctx.Err() == nil; i = next.Add(1) - 1 {
				one := time.Now()
				if err := work(ctx); err != nil {
					failed.Store(&err)
					return
				}
				took[i] = time.Since(one).Seconds()
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return m, *err
	}
	if ctx.Err() != nil {
		return m, ctx.Err()
	}
	whole := time.Since(begun).Seconds()
	cpu2, err1 := s.cpu()
	after, err2 := s.stats()
	peak, err3 := s.memory("VmHWM")
	database2, err4 := s.databaseCPU()
	written2, err5 := s.written()
	sort.Float64s(took)
	return measured{
		perSecond: float64(n) / whole, cpu: (cpu2 - cpu) / float64(n), databaseCPU: (database2 - database) / float64(n),
		commits: float64(after.Commits-before.Commits) / float64(n), trips: float64(after.Trips-before.Trips) / float64(n),
		written: (written2 - written) / float64(n), p50: took[n/2], p99: took[n*99/100], peak: peak,
	}, errors.Join(err1, err2, err3, err4, err5)
}

// app is a relying party with its users' browsers.
type app struct {
	*server
	alg  string
	http *http.Client

	mu      sync.Mutex
	access  []string
	refresh []string
}

func newApp(s *server, alg string) *app {
	client := s.client(false)
	client.Timeout = 20 * time.Second
	return &app{server: s, alg: alg, http: client}
}

var (
	number  atomic.Int64
	sealed  = regexp.MustCompile(`name="request"[^>]*value="([^"]*)"`)
	waiting = []byte(`id="waiting"`)
)

// signIn makes one whole sign-in of a new user in a new browser.
func (a *app) signIn(ctx context.Context) error {
	return a.signInAgain(ctx, newNumber())
}

// signInAgain makes one whole sign-in with this number in a new browser.
func (a *app) signInAgain(ctx context.Context, phone string) error {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	return a.signInAs(ctx, jar, phone)
}

// signInAs makes one whole sign-in with this number and the browser with these cookies.
func (a *app) signInAs(ctx context.Context, jar http.CookieJar, phone string) error {
	browser := *a.http
	browser.Jar = jar
	verifier := rand.Text() + rand.Text()
	location, err := a.submit(ctx, &browser, phone, verifier)
	var page []byte
	for hops := 0; err == nil && !strings.HasPrefix(location, redirectURI); hops++ {
		if location == "" || hops > 2000 {
			return fmt.Errorf("the sign-in stopped: %.300s", page)
		}
		at := location
		if page, location, err = do(ctx, &browser, http.MethodGet, a.issuer+at, nil, ""); err == nil && location == "" && strings.Contains(string(page), string(waiting)) {
			// As the page's script does: the live connection tells when to go on.
			if _, err = events(ctx, &browser, a.issuer+at+"/events"); err != nil {
				return err
			}
			location = at + "/continue"
		}
	}
	if err != nil {
		return err
	}
	back, err := url.Parse(location)
	if err != nil {
		return err
	}
	answer, _, err := do(ctx, a.http, http.MethodPost, a.issuer+"/token", url.Values{
		"grant_type": {"authorization_code"}, "code": {back.Query().Get("code")}, "redirect_uri": {redirectURI}, "code_verifier": {verifier},
	}, a.basic())
	if err != nil {
		return err
	}
	var tokens struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
		ID      string `json:"id_token"`
	}
	if err := json.Unmarshal(answer, &tokens); err != nil || tokens.ID == "" {
		return fmt.Errorf("no tokens: %.300s", answer)
	}
	a.mu.Lock()
	a.access, a.refresh = append(a.access, tokens.Access), append(a.refresh, tokens.Refresh)
	a.mu.Unlock()
	return a.userinfo(ctx, tokens.Access)
}

// newNumber is an Indian mobile number; each is used once.
func newNumber() string { return fmt.Sprintf("+9199%08d", number.Add(1)) }

// submit opens the sign-in page and sends a number. It returns where the attempt
// is: the page that waits.
func (a *app) submit(ctx context.Context, browser *http.Client, phone, verifier string) (location string, err error) {
	sum := sha256.Sum256([]byte(verifier))
	page, _, err := do(ctx, browser, http.MethodGet, a.issuer+"/authorize?"+url.Values{
		"client_id": {a.alg}, "redirect_uri": {redirectURI}, "response_type": {"code"}, "state": {"state"}, "nonce": {"nonce"},
		"scope": {"openid phone profile email offline_access"}, "code_challenge_method": {"S256"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])},
	}.Encode(), nil, "")
	if err != nil {
		return "", err
	}
	form := sealed.FindSubmatch(page)
	if form == nil {
		return "", fmt.Errorf("no sign-in form: %.300s", page)
	}
	_, location, err = do(ctx, browser, http.MethodPost, a.issuer+"/signin", url.Values{"request": {html.UnescapeString(string(form[1]))}, "phone": {phone}}, "")
	return location, err
}

func (a *app) basic() string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(a.alg+":"+clientSecret))
}

func (a *app) userinfo(ctx context.Context, access string) error {
	info, _, err := do(ctx, a.http, http.MethodGet, a.issuer+"/userinfo", nil, "Bearer "+access)
	if err == nil && !strings.Contains(string(info), `"phone_number":"+919`) {
		err = fmt.Errorf("userinfo: %.300s", info)
	}
	return err
}

func (a *app) renew(ctx context.Context, refresh string) error {
	answer, _, err := do(ctx, a.http, http.MethodPost, a.issuer+"/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}}, a.basic())
	if err == nil && !strings.Contains(string(answer), `"id_token"`) {
		err = fmt.Errorf("refresh: %.300s", answer)
	}
	return err
}

// single is a call of one endpoint.
type single struct {
	what string
	n    int
	do   func(context.Context) error
}

// singles returns userinfo, introspection and refresh alone.
func (a *app) singles(n int) []single {
	var i atomic.Int64
	some := func(of []string) string { return of[int(i.Add(1))%len(of)] }
	return []single{
		{"userinfo", n, func(ctx context.Context) error { return a.userinfo(ctx, some(a.access)) }},
		{"introspection", n, func(ctx context.Context) error {
			answer, _, err := do(ctx, a.http, http.MethodPost, a.issuer+"/introspect", url.Values{"token": {some(a.access)}}, a.basic())
			if err == nil && !strings.Contains(string(answer), `"active":true`) {
				err = fmt.Errorf("introspection: %.300s", answer)
			}
			return err
		}},
		{"refresh", min(n, len(a.refresh)), func(ctx context.Context) error { return a.renew(ctx, some(a.refresh)) }},
	}
}

// do makes one request and reads the whole response.
func do(ctx context.Context, c *http.Client, method, at string, form url.Values, authorization string) (body []byte, location string, err error) {
	var in io.Reader
	if form != nil {
		in = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(ctx, method, at, in)
	if err != nil {
		return nil, "", err
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	answer, err := c.Do(r)
	if err != nil {
		return nil, "", err
	}
	defer answer.Body.Close()
	body, err = io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode >= 400 {
		err = fmt.Errorf("%s %s: %s: %.300s", method, r.URL.Path, answer.Status, body)
	}
	return body, answer.Header.Get("Location"), err
}

// events listens until the waiting page may go on.
func events(ctx context.Context, c *http.Client, at string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return "", err
	}
	answer, err := c.Do(r)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	heard, err := io.ReadAll(answer.Body) // it ends when the waiting does
	return string(heard), err
}
