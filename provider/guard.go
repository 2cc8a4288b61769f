package provider

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// directEndpoint is an endpoint that clients call themselves (RFC 6749 §3.2).
type directEndpoint struct {
	methods []string
	bearer  bool // userinfo: a bearer token; else a client authenticates
	cors    bool
	// check looks at the parameters before the library does; nil for nothing.
	check func(parameters) *problem
}

// problem is an error answer (RFC 6749 §5.2).
type problem struct {
	status            int
	code, description string
}

func badRequest(description string) *problem {
	return &problem{http.StatusBadRequest, string(oidc.InvalidRequest), description}
}

func unauthenticated(description string) *problem {
	return &problem{http.StatusUnauthorized, string(oidc.InvalidClient), description}
}

func (p *Provider) directEndpoints() map[string]directEndpoint {
	post := []string{http.MethodPost}
	return map[string]directEndpoint{
		PathToken:      {methods: post, cors: true, check: p.checkGrantType},
		PathRevoke:     {methods: post, cors: true},
		PathIntrospect: {methods: post},
		PathUserinfo:   {methods: []string{http.MethodGet, http.MethodPost}, bearer: true, cors: true},
	}
}

func (p *Provider) checkGrantType(in parameters) *problem {
	switch asked := oidc.GrantType(in.get("grant_type")); {
	case asked == "":
		return badRequest("grant_type is missing")
	case !slices.Contains(p.grantTypes(), asked):
		return &problem{http.StatusBadRequest, string(oidc.UnsupportedGrantType), "grant_type is not one of " + joined(p.grantTypes())}
	case asked == oidc.GrantTypeTokenExchange:
		return checkExchange(in)
	case asked == oidc.GrantTypeCode && in.get("code") == "":
		return badRequest("code is missing")
	case asked == oidc.GrantTypeCode && in.get("redirect_uri") == "":
		return badRequest("redirect_uri is missing")
	case asked == oidc.GrantTypeRefreshToken && in.get("refresh_token") == "":
		return badRequest("refresh_token is missing")
	}
	return nil
}

// guard stands before the library at a direct endpoint, which accepts secrets
// in a query, parameters twice and any method, and behind it, where it knows no
// WWW-Authenticate.
func (p *Provider) guard(e directEndpoint, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		noStore(w)
		if e.cors && r.Method == http.MethodOptions {
			p.preflight(w, r, e.methods)
			return
		}
		if !slices.Contains(e.methods, r.Method) {
			w.Header().Set("Allow", strings.Join(e.methods, ", "))
			e.writeProblem(w, &problem{http.StatusMethodNotAllowed, string(oidc.InvalidRequest), "the method is not one of " + strings.Join(e.methods, ", ")})
			return
		}
		if leaksInQuery(r.URL.RawQuery) && !e.bearer {
			e.writeProblem(w, badRequest("parameters are sent in the body, never in the URL (RFC 6749 sections 2.3.1 and 3.2)"))
			return
		}
		var in parameters
		var bad *problem
		if e.bearer {
			w.Header().Add("Vary", "Origin")
			in, bad = bearerParameters(r)
			if bad != nil && r.Header.Get("Origin") != "" && p.Clients.OriginAllowed(r.Context(), r.Header.Get("Origin")) {
				allowOrigin(w.Header(), r.Header.Get("Origin"))
			}
		} else {
			var id string
			in, id, bad = clientParameters(r)
			if e.cors {
				p.corsFor(w, r, id)
			}
			if bad == nil && e.check != nil {
				bad = e.check(in)
			}
		}
		if bad != nil {
			e.writeProblem(w, bad)
			return
		}
		// The library reads these and parses nothing itself.
		r.Form = in.form()
		r.PostForm = r.Form
		answer := &errorHolder{ResponseWriter: w}
		next.ServeHTTP(answer, r)
		if answer.status == 0 {
			return
		}
		if origin := r.Header.Get("Origin"); e.bearer && origin != "" && p.Clients.OriginAllowed(r.Context(), origin) {
			allowOrigin(w.Header(), origin)
		}
		e.writeProblem(w, answer.problem())
	})
}

// secretParameters are those that never stand in a URL, where logs and
// histories keep them.
var secretParameters = []string{"client_secret", "client_assertion", "code", "code_verifier", "refresh_token", "token", "access_token", "subject_token", "actor_token"}

func leaksInQuery(query string) bool {
	if query == "" {
		return false
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return true
	}
	return slices.ContainsFunc(secretParameters, values.Has)
}

// clientParameters reads the body of a request whose client authenticates, and
// says which client it names. A client uses one way to authenticate (RFC 6749
// §2.3); its client_id may stand in the body beside the header.
func clientParameters(r *http.Request) (parameters, string, *problem) {
	in, err := bodyParameters(r)
	switch {
	case errors.Is(err, errTooLarge):
		return in, "", &problem{http.StatusRequestEntityTooLarge, string(oidc.InvalidRequest), err.Error()}
	case errors.Is(err, errMediaType):
		return in, "", &problem{http.StatusBadRequest, string(oidc.InvalidRequest), err.Error()}
	case err != nil:
		return in, "", badRequest(err.Error())
	}
	id := in.get("client_id")
	if name := in.anyRepeated(); name != "" {
		return in, id, badRequest(errDuplicates.Error() + " (RFC 6749 section 3.2)")
	}
	if in.has("client_assertion") || in.has("client_assertion_type") {
		return in, id, unauthenticated("client assertions are not supported")
	}
	header := r.Header.Values("Authorization")
	if len(header) == 0 {
		if id == "" {
			return in, id, unauthenticated("the client does not say who it is")
		}
		return in, id, nil
	}
	user, _, ok := r.BasicAuth()
	basic, err := url.QueryUnescape(user)
	switch {
	case len(header) > 1 || !ok || err != nil || basic == "":
		return in, id, unauthenticated("the Authorization header is not Basic with a client_id")
	case in.has("client_secret"):
		return in, basic, badRequest("the client authenticates in more than one way (RFC 6749 section 2.3)")
	case id != "" && id != basic:
		return in, basic, badRequest("client_id differs from the Authorization header's")
	}
	return in, basic, nil
}

// bearerParameters finds the access token of a userinfo request: in the header,
// or in the form of a POST, never in the URL (RFC 6750 §2.1, §2.2, RFC 9700
// §4.3.2).
func bearerParameters(r *http.Request) (parameters, *problem) {
	in := parameters{values: map[string]string{}}
	if r.Method == http.MethodPost && r.Header.Get("Content-Type") != "" {
		body, err := bodyParameters(r)
		switch {
		case errors.Is(err, errMediaType): // a body that is not a form has no token
		case err != nil:
			return in, badRequest(err.Error())
		case body.anyRepeated() != "":
			return in, badRequest(errDuplicates.Error())
		default:
			in.values = map[string]string{"access_token": body.get("access_token")}
		}
	}
	header := r.Header.Values("Authorization")
	switch {
	case len(header) == 0 && in.get("access_token") == "":
		return in, &problem{http.StatusUnauthorized, "", "an access token is needed"}
	case len(header) == 0:
		return in, nil
	case len(header) > 1 || in.get("access_token") != "":
		return in, badRequest("the access token is sent in more than one way (RFC 6750 section 2)")
	}
	scheme, token, _ := strings.Cut(header[0], " ")
	if !strings.EqualFold(scheme, "Bearer") || strings.Trim(token, " ") == "" {
		return in, &problem{http.StatusUnauthorized, "", "an access token is needed"}
	}
	in.values = map[string]string{"access_token": strings.Trim(token, " ")}
	r.Header.Del("Authorization") // read; the library would read it its own way
	return in, nil
}

// writeProblem writes an error answer with the challenge that belongs to it:
// Basic where a client authenticates (RFC 6749 §5.2), Bearer at userinfo (RFC
// 6750 §3), which names no error when the request had no token.
func (e directEndpoint) writeProblem(w http.ResponseWriter, bad *problem) {
	h := w.Header()
	switch {
	case e.bearer && bad.status != http.StatusMethodNotAllowed && bad.status < 500:
		challenge := `Bearer realm="calleridp"`
		if bad.code != "" {
			challenge += `, error="` + bad.code + `", error_description="` + bad.description + `"`
		}
		h.Set("WWW-Authenticate", challenge)
	case bad.status == http.StatusUnauthorized:
		h.Set("WWW-Authenticate", `Basic realm="calleridp"`)
	}
	body, _ := json.Marshal(struct { // two strings always marshal
		Error       string `json:"error,omitempty"`
		Description string `json:"error_description,omitempty"`
	}{bad.code, bad.description})
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)+1))
	w.WriteHeader(bad.status)
	w.Write(append(body, '\n'))
}

// errorHolder lets success through and keeps an error answer, so that it can be
// written as it must be.
type errorHolder struct {
	http.ResponseWriter
	status int // 0 while nothing went wrong
	body   bytes.Buffer
}

func (h *errorHolder) WriteHeader(status int) {
	if status >= 400 {
		h.status = status
		return
	}
	h.ResponseWriter.WriteHeader(status)
}

func (h *errorHolder) Write(b []byte) (int, error) {
	if h.status != 0 {
		return h.body.Write(b)
	}
	return h.ResponseWriter.Write(b)
}

// problem reads the error that the library wrote.
func (h *errorHolder) problem() *problem {
	var body struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if err := json.Unmarshal(h.body.Bytes(), &body); err != nil || body.Error == "" {
		return &problem{h.status, string(oidc.ServerError), "internal error"}
	}
	if body.Error == string(oidc.InvalidClient) {
		h.status = http.StatusUnauthorized
	}
	return &problem{h.status, body.Error, body.Description}
}
