// SPDX-License-Identifier: Apache-2.0

package console

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"html/template"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"calleridp/provider/admin"
	"calleridp/provider/apikey"
	"calleridp/provider/console"
)

// maxForm is how much of a form is read.
const maxForm = 256 << 10

// view is what every template gets.
type view struct {
	Title    string
	Style    string
	Issuer   string
	Now      string
	Refresh  string // where the browser goes by itself; "": it stays
	Operator *console.Session
	Nav      []navItem
	Did      string // what has just been done
	Problem  *problem
	Page     any
}

type navItem struct {
	Name, Path string
	Here       bool
}

// May reports whether the operator has a scope. It only leaves out what would be refused:
// the operations of provider/admin decide.
func (v view) May(scope string) bool {
	return v.Operator != nil && slices.Contains(v.Operator.Scopes, apikey.Scope(scope))
}

// problem holds the text of a refusal for an operator.
type problem struct {
	Detail string
	Errors []string
}

type pages map[string]*template.Template

func parsePages() pages {
	all := pages{}
	functions := template.FuncMap{"time": timeElement, "second": secondElement}
	names, err := files.ReadDir("templates")
	if err != nil {
		panic("console: the templates are not built in: " + err.Error())
	}
	for _, file := range names {
		if name := file.Name(); name != "layout.html" {
			all[strings.TrimSuffix(name, path.Ext(name))] = template.Must(
				template.New("layout.html").Funcs(functions).ParseFS(files, "templates/layout.html", "templates/"+name))
		}
	}
	return all
}

// shownTime returns a time for a page, "" for none.
func shownTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04 UTC")
}

// timeElement returns shownTime as an element, which is not broken into two lines.
func timeElement(t time.Time) template.HTML { return element(t, shownTime(t)) }

// secondElement is timeElement to the second.
func secondElement(t time.Time) template.HTML {
	return element(t, t.UTC().Format("2006-01-02 15:04:05 UTC"))
}

func element(t time.Time, shown string) template.HTML {
	if t.IsZero() {
		return ""
	}
	return template.HTML(`<time datetime="` + t.UTC().Format(time.RFC3339) + `">` + shown + `</time>`) // digits and UTC alone
}

// headers sets what every response has: no other site can frame a page, read it or load
// anything into it, and nothing keeps it.
func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
		h.Set("X-Frame-Options", "DENY")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin") // with no-referrer, browsers send "Origin: null" with our own forms
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		next.ServeHTTP(w, r)
	})
}

// operation is a handler for a signed-in operator, whose access the context has.
type operation func(w http.ResponseWriter, r *http.Request, s console.Session) error

// signedIn lets signed-in operators through, and of their forms those with the token of
// their session. It writes what an operation refuses.
func (h *handler) signedIn(do operation) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s, err := h.cfg.Door.Session(w, r)
		if errors.Is(err, console.ErrSignedOut) {
			http.Redirect(w, r, console.PathSignIn, http.StatusSeeOther)
			return
		}
		if err != nil {
			h.fail(w, r, nil, err)
			return
		}
		if r.Method == http.MethodPost {
			if err := r.ParseForm(); err != nil {
				h.message(w, r, http.StatusBadRequest, "Not readable", "The form could not be read, or is too large.", "/console/", "To the console")
				return
			}
			if !s.IsToken(r.PostForm.Get("token")) {
				h.message(w, r, http.StatusForbidden, "The page is out of date", "The form is from another session. Nothing was done.", "/console/", "To the console")
				return
			}
		}
		r = r.WithContext(admin.WithAccess(r.Context(), admin.Access{Who: s.Who, Scopes: s.Scopes, Until: s.Until}))
		if err := do(w, r, s); err != nil {
			h.fail(w, r, &s, err)
		}
	}
}

// page writes a page. did is a key of dids, or "".
func (h *handler) page(w http.ResponseWriter, r *http.Request, s *console.Session, status int, name string, v view) {
	v.Style, v.Issuer, v.Operator = h.style.path, h.cfg.Door.Issuer(), s
	v.Now = shownTime(time.Now())
	if s != nil {
		for _, n := range navigation {
			if slices.Contains(s.Scopes, n.scope) {
				here := r.URL.Path == n.path || n.path != console.PathHome && strings.HasPrefix(r.URL.Path, n.path+"/")
				v.Nav = append(v.Nav, navItem{n.name, n.path, here})
			}
		}
		if v.Did == "" && r.Method == http.MethodGet {
			v.Did = dids[r.URL.Query().Get("did")]
		}
	}
	var out bytes.Buffer // half a page is never sent
	if err := h.pages[name].Execute(&out, v); err != nil {
		h.cfg.Log.ErrorContext(r.Context(), "a page of the console could not be drawn", "page", name, "error", err)
		http.Error(w, "the page could not be drawn", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	w.Write(out.Bytes()) // an error means that the operator disconnected
}

// dids are what a page says after something was done: the address has the key alone.
var dids = map[string]string{
	"saved":     "The client was changed.",
	"removed":   "The client was removed.",
	"signout":   "The user is signed out everywhere.",
	"erased":    "The user was erased.",
	"revoked":   "The client's access was revoked.",
	"grantgone": "The grant was revoked.",
	"ended":     "The session has ended.",
	"retried":   "What waits is being tried now.",
	"dropped":   "What waited was deleted.",
	"rotated":   "The next keys are active.",
	"keygone":   "The key was removed.",
	"apikey":    "The API key was removed.",
	"signedin":  "You are signed in.",
}

// done sends the browser to a page after a change, so that reloading repeats nothing.
func done(w http.ResponseWriter, r *http.Request, to, did string) error {
	if did != "" {
		to += "?did=" + did
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}

// refusal returns what an error tells the operator, with a status; nil for a failure.
func refusal(err error) (*problem, int) {
	p, ok := errors.AsType[*admin.Problem](err)
	if !ok {
		return nil, 0
	}
	told := &problem{Detail: p.Detail}
	if len(p.Errors) > 0 {
		told.Detail = "Some fields need a change:"
		for _, e := range p.Errors {
			told.Errors = append(told.Errors, strings.TrimPrefix(e.Location, "body.")+": "+e.Detail)
		}
	}
	return told, p.Status
}

// fail writes what an operation refused, or that it failed.
func (h *handler) fail(w http.ResponseWriter, r *http.Request, s *console.Session, err error) {
	told, status := refusal(err)
	title := "Not possible"
	if told == nil {
		h.cfg.Log.ErrorContext(r.Context(), "a request of the console failed", "method", r.Method, "error", err)
		var passing interface{ Unavailable() time.Duration }
		told, status, title = &problem{Detail: "The server failed. Its log says why."}, http.StatusInternalServerError, "Failed"
		if errors.As(err, &passing) {
			told.Detail, status = "The server cannot use its store now. Try again in a moment; look first whether a change was made.", http.StatusServiceUnavailable
		}
	}
	h.page(w, r, s, status, "message", view{Title: title, Page: message{Text: told.Detail, To: "/console/", Link: "To the overview"}, Problem: listed(told)})
}

// listed returns a problem that has more to say than its detail.
func listed(p *problem) *problem {
	if len(p.Errors) == 0 {
		return nil
	}
	return p
}

type message struct{ Text, To, Link string }

// message writes a page with a sentence, for a browser that may not be signed in.
func (h *handler) message(w http.ResponseWriter, r *http.Request, status int, title, text, to, link string) {
	h.page(w, r, nil, status, "message", view{Title: title, Page: message{Text: text, To: to, Link: link}})
}

// style is the stylesheet, whose address changes with it.
type style struct {
	path string
	css  []byte
}

func newStyle(tokens string) style {
	css, err := files.ReadFile("static/console.css")
	if err != nil {
		panic("console: the stylesheet is not built in: " + err.Error())
	}
	css = slices.Concat([]byte(tokens), css)
	sum := sha256.Sum256(css)
	return style{"/console/static/" + base64.RawURLEncoding.EncodeToString(sum[:9]) + ".css", css}
}

func (s style) serve(w http.ResponseWriter, r *http.Request) {
	serveFile("text/css; charset=utf-8", s.css)(w, r)
}

func serveFile(contentType string, body []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Cache-Control", "private, max-age=86400")
		w.Write(body)
	}
}

// all reads every page of a list, up to most items.
func all[T any](ctx context.Context, most int, list func(context.Context, *admin.Paging) (*admin.Reply[admin.Page[T]], error)) ([]T, error) {
	var items []T
	paging := admin.Paging{Limit: 500}
	for {
		page, err := list(ctx, &paging)
		if err != nil {
			return nil, err
		}
		items = append(items, page.Body.Items...)
		if paging.Cursor = page.Body.Next; paging.Cursor == "" || len(items) >= most {
			return items, nil
		}
	}
}
