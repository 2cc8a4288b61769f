// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
)

// native is a number's behaviour at the OAuth interface, which native applications use.
// The zero value approves and has a full profile.
type native struct {
	sdk          int    // the SDK's error code instead of a code
	tokenStatus  int    // status of /v1/token, if not 200
	userStatus   int    // status of /v1/userinfo, if not 200
	fails        int    // how many userinfo requests get 503 first
	profile      string // see claimsOf; "" is the full one
	withoutScope string // a scope that the user does not grant
	changes      bool   // another sub at every second sign-in
}

// natives are by the last two digits of a number, like behaviours. A row that exists in
// both means the same.
var natives = map[string]native{
	"08": {sdk: sdkDismissed},
	"10": {withoutScope: "email"},
	"11": {withoutScope: "profile"},
	"15": {userStatus: http.StatusUnauthorized},
	"16": {fails: 2},
	"17": {sdk: sdkNoApp},
	"18": {tokenStatus: http.StatusServiceUnavailable},
	"21": {profile: "other types"},
	"22": {profile: "huge"},
	"23": {profile: "hostile text"},
	"24": {changes: true},
	"40": {withoutScope: "phone"},
	"41": {profile: "unverified"},
	"42": {tokenStatus: http.StatusTooManyRequests},
	"43": {userStatus: http.StatusNotFound},
	"44": {userStatus: http.StatusInternalServerError},
}

// The SDK's error codes (docs/truecaller.md section 5).
const (
	sdkNoApp     = 5  // no Truecaller on the phone, or no account in it
	sdkDismissed = 14 // the user closed the dialog
)

const (
	codeLife      = 10 * time.Minute
	oauthLife     = time.Hour
	nativeDefault = "openid profile phone email address"
)

// nativeCode is an authorization code that the SDK has given an application.
type nativeCode struct {
	number, challenge string
	scopes            []string
	expires           time.Time
	used              bool
}

// nativeToken is an access token of the OAuth interface.
type nativeToken struct {
	number  string
	scopes  []string
	person  int // which holder of the number
	expires time.Time
	fails   int
}

// nativeRoutes registers the OAuth interface, and the actions of an application's SDK
// and its user on a phone:
//
//	POST /v1/token          a code and its verifier for a token
//	GET  /v1/userinfo       the claims of the granted scopes
//	POST /sim/native/codes  form: phone, code_challenge, scope, state; the response
//	                        is what the SDK gives the application
func (s *Simulator) nativeRoutes(r chi.Router) {
	r.Post("/v1/token", s.token)
	r.Get("/v1/userinfo", s.userinfo)
	r.Method(http.MethodPost, "/sim/native/codes", http.NewCrossOriginProtection().Handler(http.HandlerFunc(s.nativeCode)))
}

func (s *Simulator) native(number string) native {
	if s.cfg.ApproveAll {
		return native{}
	}
	return natives[fictional(number)]
}

// nativeCode does what the SDK does when the user taps Continue.
func (s *Simulator) nativeCode(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	// An unescaped plus arrives as a space.
	number, challenge := strings.TrimLeft(r.PostFormValue("phone"), "+ "), r.PostFormValue("code_challenge")
	scopes := strings.Fields(r.PostFormValue("scope"))
	if len(scopes) == 0 {
		scopes = strings.Fields(nativeDefault)
	}
	sum, err := base64.RawURLEncoding.DecodeString(challenge)
	if err != nil || len(sum) != sha256.Size || !isNumber(number) {
		reply(w, http.StatusBadRequest,
			[]byte(`{"error":"send phone=46701740605 and code_challenge=BASE64URL(SHA256(verifier)), and scope and state if you like"}`))
		return
	}
	b := s.native(number)
	if b.sdk != 0 {
		reply(w, http.StatusConflict, marshal(map[string]int{"errorCode": b.sdk}))
		return
	}
	scopes = slices.DeleteFunc(scopes, func(scope string) bool { return scope == b.withoutScope })
	code := randomText(24)
	s.mu.Lock()
	s.codes.put(code, &nativeCode{number: number, challenge: challenge, scopes: scopes, expires: time.Now().Add(codeLife)})
	s.mu.Unlock()
	s.record(Event{What: "native code", Phone: number, Status: http.StatusOK})
	reply(w, http.StatusOK, marshal(map[string]any{
		"authorizationCode": code,
		"state":             r.PostFormValue("state"),
		"scopesGranted":     scopes,
	}))
}

// token is POST /v1/token.
func (s *Simulator) token(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	status, body, number := s.redeem(r)
	s.record(Event{What: "native token", Phone: number, Status: status})
	reply(w, status, body)
}

func (s *Simulator) redeem(r *http.Request) (status int, body []byte, number string) {
	refuse := func(status int, message string) (int, []byte, string) {
		return status, marshal(map[string]any{"code": status, "message": message}), number
	}
	clientID, code, verifier := r.PostFormValue("client_id"), r.PostFormValue("code"), r.PostFormValue("code_verifier")
	switch {
	case r.PostFormValue("grant_type") != "authorization_code":
		return refuse(http.StatusBadRequest, "Unsupported grant type")
	case clientID == "" || code == "" || verifier == "":
		return refuse(http.StatusBadRequest, "Parameters are empty")
	case !slices.ContainsFunc(s.cfg.Apps, func(app App) bool { return app.NativeClientID == clientID }):
		return refuse(http.StatusForbidden, "Invalid client id")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.codes.get(code)
	if c == nil {
		return refuse(http.StatusForbidden, "Invalid authorization code")
	}
	number = c.number
	if b := s.native(number); b.tokenStatus != 0 {
		return refuse(b.tokenStatus, "Try again later")
	}
	// A presented code is used up, whether or not it is accepted.
	spent := c.used || time.Now().After(c.expires)
	c.used = true
	sum := sha256.Sum256([]byte(verifier))
	switch {
	case spent:
		return refuse(http.StatusForbidden, "Invalid authorization code")
	case base64.RawURLEncoding.EncodeToString(sum[:]) != c.challenge:
		return refuse(http.StatusForbidden, "Invalid code verifier")
	}
	b := s.native(number)
	t := &nativeToken{
		number:  number,
		scopes:  c.scopes,
		person:  1,
		expires: time.Now().Add(oauthLife),
		fails:   b.fails,
	}
	if b.changes {
		s.visits[number]++
		t.person = 1 + s.visits[number]%2
	}
	access := randomText(48)
	s.nativeTokens.put(access, t)
	return http.StatusOK, marshal(map[string]any{
		"access_token": access,
		"expires_in":   int(oauthLife / time.Second),
		"token_type":   "Bearer",
		"scope":        strings.Join(c.scopes, " "),
	}), number
}

// userinfo is GET /v1/userinfo.
func (s *Simulator) userinfo(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	t := s.nativeTokens.get(bearer(r))
	var found nativeToken
	status := http.StatusUnauthorized
	if t != nil && time.Now().Before(t.expires) {
		found = *t
		b := s.native(t.number)
		switch {
		case b.userStatus != 0:
			status = b.userStatus
		case t.fails > 0:
			t.fails--
			status = http.StatusServiceUnavailable
		case !slices.Contains(t.scopes, "openid"):
			status = http.StatusUnprocessableEntity
		default:
			status = http.StatusOK
		}
	}
	s.mu.Unlock()
	s.record(Event{What: "native userinfo", Phone: found.number, Status: status})
	if status != http.StatusOK {
		reply(w, status, marshal(map[string]any{"code": status, "message": http.StatusText(status)}))
		return
	}
	reply(w, status, marshal(claimsOf(s.native(found.number).profile, found)))
}

// claimsOf returns the claims of the scopes, in the types that Truecaller documents and
// in some that it should not send.
func claimsOf(kind string, t nativeToken) map[string]any {
	claims := map[string]any{"sub": subOf(t.number, t.person)}
	for scope, of := range map[string]map[string]any{
		"profile": {
			"given_name":  "Anna",
			"family_name": "Lind",
			"picture":     "https://images.example/anna.png",
			"gender":      "female",
		},
		"phone": {
			"phone_number":              t.number,
			"phone_number_country_code": "SE",
			"phone_number_verified":     true,
		},
		"email":   {"email": "anna.lind@example.com"},
		"address": {"address": map[string]string{"locality": "Stockholm", "postal_code": "11151"}},
	} {
		if slices.Contains(t.scopes, scope) {
			maps.Copy(claims, of)
		}
	}
	switch kind {
	case "other types":
		claims["phone_number"], claims["phone_number_verified"] = "+"+t.number, "true"
		claims["given_name"], claims["address"] = nil, "Stockholm"
	case "unverified":
		claims["phone_number_verified"] = false
	case "huge":
		claims["given_name"] = strings.Repeat("a", 1<<20)
	case "hostile text":
		claims["given_name"] = "\u202eevil\u2066\u0000\u0007\u001b[31m\n<b>" + strings.Repeat("x", 10<<10)
		claims["family_name"] = "\u200f&\"'"
	}
	return claims
}

// subOf returns the OAuth interface's sub of a number's holder: more digits than a
// float64 has, and unrelated to the ids of web profiles.
func subOf(number string, person int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", number, person))
	return fmt.Sprintf("1%016d", binary.BigEndian.Uint64(sum[:])%1e16)
}
