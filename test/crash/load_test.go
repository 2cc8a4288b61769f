package crash

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"calleridp/test/harness"

	"golang.org/x/oauth2"
)

// fact is what the ledger knows of something that can be used up or ended.
type fact int

const (
	absent   fact = iota // it was never acknowledged
	alive                // it was acknowledged
	doubtful             // its end was requested, and no response came
	ended                // its end was acknowledged
)

// entry is one user with one browser, who gets and ends a few things.
type entry struct {
	number  string
	browser *http.Client

	waiting string // the waiting page, of an attempt that was acknowledged; "" once it was left
	silent  bool   // its phone does not respond: the lock stays

	session  fact
	code     fact
	codeIs   string
	verifier string
	family   fact     // of the refresh tokens
	refresh  []string // the generations, the newest last
	id, sub  string   // the ID token, and its sub
	account  fact
}

// kinds are what a run must have acknowledged before a kill.
var kinds = []string{"attempts", "callbacks", "codes", "codes redeemed", "deletions", "locks", "refreshes", "revocations", "sessions", "sign-outs"}

// ledger is what is known outside of the server.
type ledger struct {
	t      *testing.T
	server *harness.Production
	enough chan struct{} // closed when the server may be killed

	mu      sync.Mutex
	next    int
	loading bool // the server works, and will be killed
	left    int  // acknowledgements until enough
	cutting bool // the power is about to be cut: errors of the server are no fault
	entries []*entry
	settled []*entry // of earlier rounds
	counts  map[string]int
	acked   map[string]bool   // states of pushes whose callback got 200
	states  map[string]string // by number
}

func (l *ledger) begin(acknowledgements int, cutting bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.loading = true
	l.left, l.cutting, l.enough = acknowledgements, cutting, make(chan struct{})
	l.entries = nil
}

// ack notes what the server has acknowledged. The caller holds no lock.
func (l *ledger) ack(what string, note func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if note != nil {
		note()
	}
	if !l.loading { // a retry of Truecaller, or a check
		return
	}
	l.counts[what]++
	if l.left--; l.left == 0 {
		close(l.enough)
	}
}

// truecaller learns which state belongs to which number, and does not pass pushes to
// phones that do not respond on.
func (l *ledger) truecaller(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/apps/requests" {
			next.ServeHTTP(w, r)
			return
		}
		body, _ := io.ReadAll(r.Body)
		var push struct {
			Number json.RawMessage `json:"phoneNumber"`
			State  string          `json:"state"`
		}
		json.Unmarshal(body, &push)
		number := "+" + strings.Trim(string(push.Number), `"`)
		l.mu.Lock()
		l.states[number] = push.State
		l.mu.Unlock()
		if strings.HasPrefix(number, silentPrefix) {
			io.WriteString(w, `{"requestId":"silent"}`)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r)
	})
}

// heard notes which callbacks got 200.
type heard struct{ *ledger }

func (h heard) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	response, err := http.DefaultTransport.RoundTrip(r)
	if err == nil && response.StatusCode == http.StatusOK {
		var said struct {
			State string `json:"state"`
		}
		json.Unmarshal(body, &said)
		h.ack("callbacks", func() { h.acked[said.State] = true })
	}
	return response, err
}

// called reports whether the callback for the newest push to a number was
// acknowledged.
func (l *ledger) called(number string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.acked[l.states[number]]
}

const (
	approving    = "+9199"
	silentPrefix = "+9198"
)

// newEntry returns a user of whom nothing is known.
func (l *ledger) newEntry(prefix string) *entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.next++
	e := &entry{number: fmt.Sprintf("%s%08d", prefix, l.next), browser: newBrowser(), verifier: oauth2.GenerateVerifier()}
	l.entries = append(l.entries, e)
	return e
}

func newBrowser() *http.Client {
	jar, _ := cookiejar.New(nil)
	return &http.Client{
		Jar:           jar,
		Timeout:       harness.Timeout,
		Transport:     shared,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

var shared = &http.Transport{MaxIdleConnsPerHost: 64}

// errGone means that no response came: the server was killed, or could not store.
var errGone = errors.New("no response")

// errLocked means that a number gets no further push for now.
var errLocked = errors.New("the number is locked")

// request sends a form, or gets a page.
func (l *ledger) request(c *http.Client, at string, form url.Values, client bool) (status int, location, body string, err error) {
	if strings.HasPrefix(at, "/") {
		at = l.server.Issuer + at
	}
	r, err := http.NewRequest(http.MethodGet, at, nil)
	if form != nil {
		r, err = http.NewRequest(http.MethodPost, at, strings.NewReader(form.Encode()))
	}
	if err != nil {
		return 0, "", "", err
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if client {
		r.SetBasicAuth("demo", harness.ClientSecret)
	} else {
		r.Header.Set("Origin", l.server.Issuer)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	response, err := c.Do(r)
	if err != nil {
		return 0, "", "", errGone
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, "", "", errGone
	}
	if response.StatusCode >= 500 {
		l.mu.Lock()
		cutting := l.cutting
		l.mu.Unlock()
		if !cutting {
			l.t.Errorf("%s %s: status %d\n%.300s", r.Method, r.URL.Path, response.StatusCode, raw)
		}
		return 0, "", "", errGone
	}
	return response.StatusCode, response.Header.Get("Location"), string(raw), nil
}

var sealedField = regexp.MustCompile(`name="request"[^>]*value="([^"]*)"`)
var tokenField = regexp.MustCompile(`name="token" value="([^"]*)"`)

// work makes entries until the server is killed.
func (l *ledger) work(random *rand.Rand) {
	for {
		select {
		case <-l.enough:
			return
		default:
		}
		var err error
		if random.IntN(8) == 0 {
			err = l.lockNumber(l.newEntry(silentPrefix))
		} else {
			err = l.live(l.newEntry(approving), random.IntN(7))
		}
		if errors.Is(err, errGone) {
			return
		}
		if err != nil {
			l.t.Error(err)
			return
		}
	}
}

// lockNumber sends a push to a phone that does not respond.
func (l *ledger) lockNumber(e *entry) error {
	e.silent = true
	if err := l.submit(e, e.browser); err != nil {
		return err
	}
	l.ack("locks", nil)
	return nil
}

// submit begins a sign-in: acknowledged when the browser is led to its waiting page.
func (l *ledger) submit(e *entry, browser *http.Client) error {
	status, _, page, err := l.request(browser, l.server.AuthorizationURL("scope", "openid phone offline_access", "prompt", "login",
		"code_challenge", oauth2.S256ChallengeFromVerifier(e.verifier)), nil, false)
	if err != nil {
		return err
	}
	field := sealedField.FindStringSubmatch(page)
	if field == nil {
		return fmt.Errorf("no sign-in form: status %d\n%.300s", status, page)
	}
	status, location, page, err := l.request(browser, "/signin", url.Values{"request": {html.UnescapeString(field[1])}, "phone": {e.number}}, false)
	if err != nil {
		return err
	}
	if status == http.StatusTooManyRequests {
		return fmt.Errorf("submitting %s: %w", e.number, errLocked)
	}
	if status != http.StatusSeeOther {
		return fmt.Errorf("submitting %s: status %d\n%.300s", e.number, status, page)
	}
	l.ack("attempts", func() { e.waiting = location })
	return nil
}

// follow waits for the approval and takes the code. It returns false while the page
// still waits when patient has ended.
func (l *ledger) follow(e *entry, patient <-chan time.Time) (bool, error) {
	at := e.waiting
	for {
		status, location, page, err := l.request(e.browser, at, nil, false)
		if err != nil {
			return false, err
		}
		switch {
		case strings.HasPrefix(location, harness.RedirectURI):
			back, err := url.Parse(location)
			if err != nil || back.Query().Get("code") == "" {
				return false, fmt.Errorf("%s: the sign-in ended with %s", e.number, location)
			}
			l.ack("codes", func() { e.code, e.codeIs, e.waiting = alive, back.Query().Get("code"), "" })
			l.ack("sessions", func() { e.session, e.account = alive, alive })
			return true, nil
		case location != "":
			at = location
		case strings.Contains(page, `id="waiting"`):
			select {
			case <-patient:
				return false, nil
			case <-time.After(10 * time.Millisecond): // the page's own refresh, hurried
			}
		default:
			return false, fmt.Errorf("%s: the sign-in stopped with status %d\n%.300s", e.number, status, page)
		}
	}
}

// token makes a token request.
func (l *ledger) token(form url.Values) (granted bool, refresh, id string, err error) {
	status, _, body, err := l.request(&http.Client{Transport: shared, Timeout: harness.Timeout}, "/token", form, true)
	if err != nil {
		return false, "", "", err
	}
	var answer struct {
		Refresh string `json:"refresh_token"`
		ID      string `json:"id_token"`
		Error   string `json:"error"`
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil || status != 200 && answer.Error != "invalid_grant" {
		return false, "", "", fmt.Errorf("/token: status %d\n%.300s", status, body)
	}
	return status == 200, answer.Refresh, answer.ID, nil
}

func (l *ledger) redeem(e *entry) (bool, error) {
	granted, refresh, id, err := l.token(url.Values{
		"grant_type": {"authorization_code"}, "code": {e.codeIs}, "redirect_uri": {harness.RedirectURI}, "code_verifier": {e.verifier},
	})
	if granted {
		l.ack("codes redeemed", func() {
			e.code, e.family, e.refresh, e.id, e.sub = ended, alive, []string{refresh}, id, subOf(id)
		})
	}
	return granted, err
}

func (l *ledger) refreshed(e *entry) (bool, error) {
	granted, refresh, _, err := l.token(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {e.refresh[len(e.refresh)-1]}})
	if granted {
		l.ack("refreshes", func() { e.refresh = append(e.refresh, refresh) })
	}
	return granted, err
}

// live is the life of a user, as far as it goes: what says how it ends.
func (l *ledger) live(e *entry, what int) error {
	if err := l.submit(e, e.browser); err != nil {
		return err
	}
	if _, err := l.follow(e, nil); err != nil || what == 0 { // the code is kept
		return err
	}
	l.doubt(&e.code)
	if granted, err := l.redeem(e); err != nil || !granted {
		return errors.Join(err, refusedUnless(granted, "a new code"))
	}
	for range what {
		if granted, err := l.refreshed(e); err != nil || !granted {
			return errors.Join(err, refusedUnless(granted, "the newest refresh token"))
		}
	}
	switch what {
	case 2:
		l.doubt(&e.family)
		status, _, body, err := l.request(&http.Client{Transport: shared, Timeout: harness.Timeout}, "/revoke", url.Values{"token": {e.refresh[len(e.refresh)-1]}}, true)
		if err != nil || status != 200 {
			return errors.Join(err, fmt.Errorf("revoking: status %d\n%.300s", status, body))
		}
		l.ack("revocations", func() { e.family = ended })
	case 3:
		l.doubt(&e.session)
		status, location, body, err := l.request(e.browser, "/logout?"+url.Values{"id_token_hint": {e.id}}.Encode(), nil, false)
		if err != nil || !strings.HasPrefix(location, "/logout/done") {
			return errors.Join(err, unlessGone(err, fmt.Errorf("signing out: status %d, %q\n%.300s", status, location, body)))
		}
		l.ack("sign-outs", func() { e.session = ended })
	case 4:
		_, _, page, err := l.request(e.browser, "/account/delete", nil, false)
		if err != nil {
			return err
		}
		field := tokenField.FindStringSubmatch(page)
		if field == nil {
			return fmt.Errorf("no form that deletes the account\n%.300s", page)
		}
		l.doubt(&e.session, &e.family, &e.account)
		status, location, page, err := l.request(e.browser, "/account/delete", url.Values{"token": {field[1]}}, false)
		if err != nil || location != "/account/deleted" {
			return errors.Join(err, unlessGone(err, fmt.Errorf("deleting: status %d, %q\n%.300s", status, location, page)))
		}
		l.ack("deletions", func() { e.session, e.family, e.account = ended, ended, ended })
	}
	return nil
}

// doubt notes that the end of these is requested.
func (l *ledger) doubt(facts ...*fact) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range facts {
		*f = doubtful
	}
}

func refusedUnless(granted bool, what string) error {
	if granted {
		return nil
	}
	return fmt.Errorf("%s was refused", what)
}

// unlessGone returns why, unless no response came at all.
func unlessGone(err, why error) error {
	if err != nil {
		return nil
	}
	return why
}

// subOf returns the sub of an ID token.
func subOf(id string) string {
	parts := strings.Split(id, ".")
	if len(parts) != 3 {
		return ""
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct {
		Sub string `json:"sub"`
	}
	if err != nil || json.Unmarshal(raw, &claims) != nil {
		return ""
	}
	return claims.Sub
}
