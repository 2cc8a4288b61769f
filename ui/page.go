package ui

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/base64"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"calleridp/provider/authorize"
	"calleridp/provider/client"
	"calleridp/provider/endpoint"
)

// page is everything that a template may use. Each page fills in what it shows.
type page struct {
	Nonce               string
	Base                string
	Style, Script, Icon string
	Solver              string       // the script that solves Challenge, "" for none
	Logo                string       // "" for none
	Accent              template.CSS // "" for the stylesheet's own
	Privacy, Terms      string       // the operator's pages, "" for none
	Lang, Dir           string
	Deployment, App     string
	Simulation          bool
	Client              clientView

	Request   string // sealed, for the form
	Phone     string
	Region    string
	Guessed   bool          // Region is what the browser's language speaks of
	Countries []option      // before all the others
	List      template.HTML // all the others
	Problem   string        // authorize.ProblemKind, "" for none
	Confirm   bool          // which is none, but a question
	Wait      delay
	Tries     int  // so many are left, and that is few; 0: enough, or none
	None      bool // none is left; Wait says until when

	Challenge *authorize.ChallengeView // what the browser must solve; nil for nothing
	WaitsFor  bool                     // Wait says when it need not any more

	OneTap      *oneTapPage // nil where there is none
	Told        string      // what the script says; from the server in the gallery alone: absent, opened or declined
	WithoutPush bool        // there is no number field

	Attempt                   string
	Link                      template.URL // opens Truecaller on the same phone; "" for a push
	Truecaller                template.URL // opens the app itself, for a push; "" where it cannot
	Opened                    bool         // it is open there
	Number                    string       // masked
	Left, Again               string       // m:ss
	LeftSeconds, AgainSeconds int
	Outcome                   string
	Locked                    bool // the same number may not be asked again yet
	Later                     bool // nor for so long that a clock would be of no use
	Manual                    bool // the person must press something to go to the client
	Still                     bool // does not refresh itself: the gallery

	Onward  template.URL // where a page leads
	Success bool         // Onward is the end of a success
	Action  template.URL
	Fields  [][2]string

	Shares []share // what a client asks for

	accountPage

	list *block // what List stands for

	Switch *switcher // nil for none
	retry  time.Time // Problem.RetryAt

	Error       string // endpoint.ErrorKind
	Correlation string
	Detail      string
}

// clientView is endpoint.ClientView, made fit for a page.
type clientView struct {
	Name, Initial          string
	Logo, URI, TOS, Policy string // https, or ""
	Accent                 *client.Accent
	own                    bool // it is us
}

// delay is a time until something may be tried again, for a sentence: minutes
// up to an hour and a half, then hours, both rounded up.
type delay struct{ Minutes, Hours int }

func waitUntil(now, then time.Time) delay {
	left := max(then.Sub(now), time.Second)
	if minutes := int((left-1)/time.Minute) + 1; minutes <= 90 {
		return delay{Minutes: minutes}
	}
	return delay{Hours: int((left-1)/time.Hour) + 1}
}

// clock writes seconds as m:ss.
func clock(seconds int) string {
	b := strconv.AppendInt(make([]byte, 0, 8), int64(seconds/60), 10)
	return string(append(b, ':', byte('0'+seconds%60/10), byte('0'+seconds%10)))
}

func showClient(c endpoint.ClientView) clientView {
	v := clientView{Name: strings.TrimSpace(c.Name), Logo: webURL(c.LogoURI), URI: webURL(c.URI), TOS: webURL(c.TOSURI), Policy: webURL(c.PolicyURI), Accent: c.Accent, own: c.Own}
	if v.Name == "" {
		v.Name = c.ID
	}
	for _, r := range v.Name {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			v.Initial = string(unicode.ToUpper(r))
			break
		}
	}
	return v
}

// webURL is a link that a client gave, if it leads to the web over TLS; else "".
func webURL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
		return ""
	}
	return raw
}

// policy is what differs between the security headers of pages.
type policy struct {
	script     string // the name of the page's script, "" for none
	solver     string // and of the one that solves its challenge
	connect    bool   // the script asks the server
	logo       string // a URL, "" for none
	formAction string // beside 'self'; "" for none
	forms      string // instead of 'self' and formAction
	referrer   string // "" for same-origin
	opener     string // Cross-Origin-Opener-Policy, "" for none
}

// contentSecurityPolicy allows what the page has and nothing else.
func (p policy) contentSecurityPolicy(nonce string) string {
	var b strings.Builder
	b.Grow(320)
	b.WriteString("default-src 'none'; style-src 'nonce-")
	b.WriteString(nonce)
	b.WriteString("'; img-src 'self'")
	if origin := originOf(p.logo); origin != "" {
		b.WriteByte(' ')
		b.WriteString(origin)
	}
	if p.script != "" {
		b.WriteString("; script-src 'nonce-")
		b.WriteString(nonce)
		b.WriteByte('\'')
	}
	if p.connect {
		b.WriteString("; connect-src 'self'")
	}
	b.WriteString("; form-action ")
	if p.forms != "" {
		b.WriteString(p.forms)
	} else {
		b.WriteString("'self'")
		if source := cspSource(p.formAction); source != "" {
			b.WriteByte(' ')
			b.WriteString(source)
		}
	}
	b.WriteString("; frame-ancestors 'none'; base-uri 'none'")
	return b.String()
}

// originOf is the origin of an https URL, as a CSP source; "" when it has none.
func originOf(raw string) string {
	if raw == "" {
		return ""
	}
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return ""
	}
	return cspSource("https://" + u.Host)
}

// cspSource is an origin or a scheme as CSP wants it, "" when it is neither.
// CSP cannot name an IPv6 address: then the scheme alone is allowed.
func cspSource(s string) string {
	scheme, rest, ok := strings.Cut(s, ":")
	if !ok || scheme == "" {
		return ""
	}
	for i := range len(scheme) {
		switch c := scheme[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
		case i > 0 && ('0' <= c && c <= '9' || c == '+' || c == '-' || c == '.'):
		default:
			return ""
		}
	}
	switch host, isHost := strings.CutPrefix(rest, "//"); {
	case rest == "":
		return s
	case !isHost || host == "":
		return ""
	case strings.HasPrefix(host, "["):
		return scheme + ":"
	default:
		for i := range len(host) {
			switch c := host[i]; {
			case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '-', c == ':', c == '_':
			default:
				return ""
			}
		}
		return s
	}
}

// permissions are the browser's powers that a phone sign-in has no use for.
const permissions = "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), " +
	"microphone=(), midi=(), payment=(), usb=(), browsing-topics=()"

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// show renders a page whole, then writes it. When it cannot be rendered, the
// answer is an error page and not half of this one.
func (u *UI) show(w http.ResponseWriter, r *http.Request, in voice, name string, status int, p page, pol policy) {
	var random [16]byte
	rand.Read(random[:])
	p.Nonce = base64.RawURLEncoding.EncodeToString(random[:])
	p.Base, p.Simulation = u.base, u.Simulation
	p.Deployment, p.App = u.DeploymentName, cmp.Or(p.App, u.AppName)
	p.Style, p.Icon, p.Logo = u.static.style, u.static.icon, u.static.logo
	p.Privacy, p.Terms = u.Brand.PrivacyURL, u.Brand.TermsURL
	if p.Accent = accentStyle(p.Client.Accent); p.Accent == "" {
		p.Accent = accentStyle(u.Brand.Accent)
	}
	p.Script, p.Solver = pol.script, pol.solver
	p.Lang, p.Dir = in.Tag, in.Dir
	p.Switch = u.switcherFor(r, in, name, &p)
	if p.Client.own {
		p.Client = showClient(endpoint.ClientView{Name: u.DeploymentName})
	}

	b := buffers.Get().(*bytes.Buffer)
	defer buffers.Put(b)
	b.Reset()
	if err := in.render(b, name, p); err != nil {
		if u.unshowable != nil {
			u.unshowable(err)
			return
		}
		u.Log.ErrorContext(r.Context(), "a page does not render", "page", name, "language", in.Tag,
			"correlation", correlation(w), "error", err)
		if name == "error" {
			http.Error(w, "server error "+correlation(w), http.StatusInternalServerError)
			return
		}
		u.Error(w, r, endpoint.ErrorView{Kind: endpoint.ErrorInternal, Correlation: correlation(w)})
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", pol.contentSecurityPolicy(p.Nonce))
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	// Not no-referrer: with that, browsers send "Origin: null" with our own forms.
	h.Set("Referrer-Policy", cmp.Or(pol.referrer, "same-origin"))
	h.Set("Permissions-Policy", permissions)
	if pol.opener != "" {
		h.Set("Cross-Origin-Opener-Policy", pol.opener)
	}
	if p.list != nil {
		p.list.write(w, r, status, b.Bytes())
		return
	}
	w.WriteHeader(status)
	w.Write(b.Bytes()) // an error means that the browser has gone
}

func (s *spoken) render(b *bytes.Buffer, name string, p page) error {
	pages, err := s.pages()
	if err != nil {
		return err
	}
	return pages[name].ExecuteTemplate(b, "layout", &p)
}
