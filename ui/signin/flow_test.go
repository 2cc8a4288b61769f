// SPDX-License-Identifier: Apache-2.0

package signin

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"calleridp/provider/authorize"
	"calleridp/provider/endpoint"
	"calleridp/provider/login"
	"calleridp/provider/session"
	"calleridp/ui/language"
	"calleridp/ui/page"
	"calleridp/ui/pagetest"

	"github.com/go-chi/chi/v5"
)

// fakeFlow is one attempt of one browser, in memory. The real flow needs the whole
// provider; test/flow and test/browser run the pages over it.
type fakeFlow struct {
	mu        sync.Mutex
	view      authorize.AttemptView
	browser   login.BrowserSecret
	renews    bool // every form gets a new secret
	submitted []authorize.Submission
	reopened  []authorize.Reopening
	show      func(w http.ResponseWriter, r *http.Request) // of Reopen
	tapped    []authorize.OneTapSubmission
	usedLink  bool // of StartOneTap
	refusal   error
	cancelled int
	finished  authorize.Finished
	left      authorize.Response
	watchers  map[chan struct{}]bool
	others    []login.ID // of each watcher
	failure   error      // of View
	views     int        // calls of View
}

const (
	ourID      = pagetest.AttemptID
	newBrowser = "GFEDCBAzyxwvutsrqponmlkjihgfedcba9876543210"
	ourBrowser = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"
)

func newFakeFlow() *fakeFlow {
	return &fakeFlow{
		browser: ourBrowser,
		view:    pagetest.Attempt(),
		finished: authorize.Finished{
			Response: authorize.Response{
				RedirectURI: "https://shop.example/cb?a=b",
				Params:      []endpoint.Parameter{{Name: "code", Value: "c/1"}, {Name: "iss", Value: "https://id.example"}},
			},
			Session: "session-secret",
			State:   session.BrowserState(strings.Repeat("s", 43)),
			Expires: time.Now().Add(time.Hour),
		},
		left:     authorize.Response{RedirectURI: "https://shop.example/cb", Params: []endpoint.Parameter{{Name: "error", Value: "access_denied"}}},
		watchers: map[chan struct{}]bool{},
	}
}

// refusal returns a refusal of a number, with the shop's page.
func refusal(problem authorize.Problem, view authorize.SignInView) *authorize.Refusal {
	view.Client, view.Request = pagetest.Shop, "sealed"
	return &authorize.Refusal{Problem: problem, View: view}
}

// move changes the attempt, and wakes its watchers.
func (f *fakeFlow) move(state login.State, reason login.Reason) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.view.State, f.view.Reason = state, reason
	for w := range f.watchers {
		select {
		case w <- struct{}{}:
		default:
		}
	}
}

func (f *fakeFlow) watching() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.watchers)
}

func (f *fakeFlow) Submit(_ context.Context, s authorize.Submission) (login.ID, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.submitted = append(f.submitted, s)
	return ourID, f.refusal
}

func (f *fakeFlow) BrowserFor(_ context.Context, form authorize.SentForm) (login.BrowserSecret, error) {
	if form.Cookie == "" || f.renews {
		return newBrowser, nil
	}
	return form.Cookie, nil
}

func (f *fakeFlow) Owner(_ context.Context, _ login.ID, secrets ...login.BrowserSecret) login.BrowserSecret {
	if slices.Contains(secrets, f.browser) {
		return f.browser
	}
	return secrets[0]
}

func (f *fakeFlow) StartOneTap(_ context.Context, s authorize.OneTapSubmission) (authorize.OneTapStarted, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tapped = append(f.tapped, s)
	return authorize.OneTapStarted{Attempt: ourID, OtherLink: f.usedLink}, f.refusal
}

func (f *fakeFlow) NewOneTap(context.Context, string) (*authorize.OneTapView, error) {
	return &authorize.OneTapView{Nonce: "fresh", Link: pagetest.OneTapLink}, nil
}

func (f *fakeFlow) View(_ context.Context, id login.ID, browser login.BrowserSecret) (authorize.AttemptView, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.views++
	switch {
	case f.failure != nil:
		return authorize.AttemptView{}, f.failure
	case id != ourID:
		return authorize.AttemptView{}, login.ErrNotFound
	case browser != f.browser:
		return authorize.AttemptView{}, login.ErrNotYours
	}
	return f.view, nil
}

func (f *fakeFlow) Open(ctx context.Context, id login.ID, browser login.BrowserSecret) (authorize.AttemptView, error) {
	return f.View(ctx, id, browser)
}

func (f *fakeFlow) Heard(ctx context.Context, id login.ID, browser login.BrowserSecret) (authorize.AttemptView, error) {
	return f.View(ctx, id, browser)
}

func (f *fakeFlow) Watch(context.Context, login.ID, login.BrowserSecret) login.Watcher {
	f.mu.Lock()
	defer f.mu.Unlock()
	hints := make(chan struct{}, 1)
	f.watchers[hints] = true
	return login.Watcher{
		Hints: hints,
		Others: func() []login.ID {
			f.mu.Lock()
			defer f.mu.Unlock()
			others := f.others
			f.others = nil
			return others
		},
		End: func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			delete(f.watchers, hints)
		},
	}
}

func (f *fakeFlow) Continue(ctx context.Context, id login.ID, browser login.BrowserSecret, _ session.Secret) (authorize.Finished, error) {
	v, err := f.View(ctx, id, browser)
	if err != nil {
		return authorize.Finished{}, err
	}
	if v.State != login.Approved {
		return authorize.Finished{}, login.ErrState
	}
	f.move(login.Done, "")
	return f.finished, nil
}

func (f *fakeFlow) Remember(_ context.Context, _ login.ID, _ login.BrowserSecret, cookie []string) ([]string, error) {
	return append([]string{"device"}, cookie...), nil
}

func (f *fakeFlow) Cancel(ctx context.Context, id login.ID, browser login.BrowserSecret) error {
	if _, err := f.View(ctx, id, browser); err != nil {
		return err
	}
	f.move(login.Rejected, login.Cancelled)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cancelled++
	return nil
}

func (f *fakeFlow) Again(ctx context.Context, id login.ID, browser login.BrowserSecret, another bool) (authorize.SignInView, error) {
	v, err := f.View(ctx, id, browser)
	if err != nil {
		return authorize.SignInView{}, err
	}
	if v.State == login.Approved || v.State == login.Done {
		return authorize.SignInView{}, login.ErrState
	}
	again := authorize.SignInView{Client: pagetest.Shop, Request: "sealed-again", Phone: "+46 70 174 06 05", FormAction: v.FormAction}
	if another {
		again.Phone = ""
	}
	return again, nil
}

func (f *fakeFlow) Leave(ctx context.Context, id login.ID, browser login.BrowserSecret) (authorize.Response, error) {
	v, err := f.View(ctx, id, browser)
	if err != nil {
		return authorize.Response{}, err
	}
	if !v.State.Terminal() || v.State == login.Done {
		return authorize.Response{}, login.ErrState
	}
	return f.left, nil
}

func (f *fakeFlow) Reopen(w http.ResponseWriter, r *http.Request, page authorize.Reopening) {
	f.mu.Lock()
	f.reopened = append(f.reopened, page)
	f.mu.Unlock()
	if f.show != nil {
		f.show(w, r)
	}
}

// world is the handlers over a fake flow, behind the middleware that the server has.
type world struct {
	pages     *page.Pages
	languages *language.Set
	handlers  *Handlers
	flow      *fakeFlow
	log       *strings.Builder
	http.Handler
}

// loaded are the built-in languages, which all worlds share.
var loaded = sync.OnceValues(func() (*language.Set, error) { return language.Load(os.DirFS(".."), nil) })

func newWorld(t *testing.T, configure ...func(*Config)) *world {
	t.Helper()
	w := &world{log: &strings.Builder{}}
	c := Config{
		Origin:     "https://id.example",
		Cookies:    endpoint.Cookies{Secure: true},
		ClientAddr: endpoint.ConnectionAddr,
		Log:        slog.New(slog.NewTextHandler(w.log, nil)),
	}
	for _, f := range configure {
		f(&c)
	}
	var err error
	if w.languages, err = loaded(); err != nil {
		t.Fatal(err)
	}
	w.pages, err = page.New(page.Config{
		Files:          os.DirFS(".."),
		Languages:      w.languages,
		Base:           c.Base,
		Cookies:        c.Cookies,
		Countries:      []page.Country{{Region: "IN", Code: 91}, {Region: "NO", Code: 47}, {Region: "SE", Code: 46}},
		DeploymentName: "Lingon ID",
		AppName:        "Lingon ID",
		Log:            c.Log,
	})
	if err != nil {
		t.Fatal(err)
	}
	c.Pages, c.Languages = w.pages, func() *language.Set { return w.languages }
	if w.handlers, err = New(c); err != nil {
		t.Fatal(err)
	}
	w.flow = newFakeFlow()
	r := chi.NewRouter()
	r.Use(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Request-ID", "correlation-1")
			next.ServeHTTP(w, r)
		})
	})
	w.handlers.Mount(r, w.flow)
	w.Handler = r
	return w
}

const ourPath = endpoint.PathAttempt + string(ourID)

func request(method, at string, form url.Values) *http.Request {
	r := httptest.NewRequest(method, "https://id.example"+at, strings.NewReader(form.Encode()))
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	return r
}

// ours is a request of the browser that started the attempt.
func ours(method, at string, form url.Values) *http.Request {
	r := request(method, at, form)
	r.AddCookie(&http.Cookie{Name: "__Host-calleridp_browser", Value: ourBrowser})
	return r
}

// do sends a request.
func (w *world) do(r *http.Request) *httptest.ResponseRecorder {
	answer := httptest.NewRecorder()
	w.ServeHTTP(answer, r)
	return answer
}

// get requests a path of the issuer for the browser that started the attempt.
func (w *world) get(path string) *httptest.ResponseRecorder { return w.do(ours("GET", path, nil)) }

// post posts a form of that browser's.
func (w *world) post(path string, form url.Values) *httptest.ResponseRecorder {
	return w.do(ours("POST", path, form))
}

// Serves knows the request of the view.
func (f *fakeFlow) Serves(_ context.Context, _ login.ID, _ login.BrowserSecret, shown string) (bool, error) {
	return shown == f.view.Serves, nil
}
