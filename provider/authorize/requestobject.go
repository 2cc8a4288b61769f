// SPDX-License-Identifier: Apache-2.0

package authorize

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"calleridp/provider/client"
	"calleridp/provider/endpoint"

	"github.com/go-jose/go-jose/v4"
)

// Bounds of request objects.
const (
	// maxObject is the length of one in bytes. What it asks for must fit into
	// endpoint.MaxRequest anyway; an id_token_hint comes on top.
	maxObject = 16 << 10
	// maxDepth is how deeply its JSON may be nested: claims needs four levels.
	maxDepth = 8
	// objectSkew is how far the client's clock may be from ours.
	objectSkew = time.Minute
)

// requestObject is a request object (OpenID Connect Core §6.1, RFC 9101 §4) whose header
// was read. Its payload may be believed once it is verified.
type requestObject struct {
	text      string
	alg       string
	payload   []byte
	signature string // as it is written
}

// parseObject splits a request object and reads its header. The error's text is for the
// client's developer.
func parseObject(text string) (requestObject, error) {
	if len(text) > maxObject {
		return requestObject{}, errors.New("it is longer than 16 KiB")
	}
	parts := strings.Split(text, ".")
	switch len(parts) {
	case 3:
	case 5:
		return requestObject{}, errors.New("it is encrypted, which is not supported")
	default:
		return requestObject{}, errors.New("it is not a JWT in compact serialization")
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(parts[0])
	if err != nil {
		return requestObject{}, errors.New("its header is not base64url")
	}
	header, err := parseMembers(raw)
	if err != nil {
		return requestObject{}, errors.New("its header " + err.Error())
	}
	o := requestObject{text: text, signature: parts[2]}
	var typ string
	switch {
	case json.Unmarshal(header["alg"], &o.alg) != nil || o.alg == "":
		return requestObject{}, errors.New("its header has no alg")
	case header["crit"] != nil: // whatever it names, nothing here knows it (RFC 7515 §4.1.11)
		return requestObject{}, errors.New("its header has crit, which is not supported")
	case header["typ"] != nil && (json.Unmarshal(header["typ"], &typ) != nil || !isObjectType(typ)):
		// A JWT for something else is no request (RFC 8725 §3.11, RFC 9101 §10.8).
		return requestObject{}, errors.New("its typ is not oauth-authz-req+jwt or JWT")
	}
	if o.payload, err = base64.RawURLEncoding.Strict().DecodeString(parts[1]); err != nil {
		return requestObject{}, errors.New("its payload is not base64url")
	}
	return o, nil
}

// isObjectType reports whether a request object may have this typ. OpenID Connect Core has
// none for it.
func isObjectType(typ string) bool {
	return strings.EqualFold(typ, "JWT") || client.IsRequestObjectType(typ)
}

// members are those of a JSON object.
type members map[string]json.RawMessage

// parseMembers reads a JSON object. It refuses what two readers may read differently: a
// member that is a duplicate, at any depth, what is not UTF-8, and what follows the object.
func parseMembers(raw []byte) (members, error) {
	if !utf8.Valid(raw) {
		return nil, errors.New("is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := checkValue(d, 0); err != nil {
		return nil, err
	}
	var all members
	if json.Unmarshal(raw, &all) != nil || all == nil {
		return nil, errors.New("is not a JSON object")
	}
	return all, nil
}

// checkValue reads the next value of d.
func checkValue(d *json.Decoder, depth int) error {
	if depth > maxDepth {
		return errors.New("is nested too deeply")
	}
	token, err := d.Token()
	if err != nil {
		return errors.New("is not JSON")
	}
	opened, ok := token.(json.Delim)
	if !ok {
		return nil
	}
	seen := map[string]bool{}
	for d.More() {
		if opened == '{' {
			name, err := d.Token()
			if err != nil {
				return errors.New("is not JSON")
			}
			text, _ := name.(string)
			if seen[text] {
				return errors.New("has a member twice")
			}
			seen[text] = true
		}
		if err := checkValue(d, depth+1); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return errors.New("is not JSON")
	}
	return nil
}

// notParameters are the claims of a JWT that say something of the object itself (RFC 7519
// §4.1).
var notParameters = []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti"}

// texts are parameters that must be strings in a request object.
var texts = []string{
	"client_id", "response_type", "response_mode", "redirect_uri", "scope", "state", "nonce", "prompt", "display",
	"ui_locales", "claims_locales", "id_token_hint", "login_hint", "acr_values", "code_challenge", "code_challenge_method",
}

// parameters returns the parameters in the payload: what is a string, and the few that are
// something else, as they are written in a query (OpenID Connect Core §5.5, §6.1).
func (all members) parameters() (map[string]string, error) {
	for _, name := range []string{"request", "request_uri"} {
		if all[name] != nil {
			return nil, errors.New("it has " + name + " inside (OpenID Connect Core section 6.1)")
		}
	}
	values := map[string]string{}
	for name, raw := range all {
		var text *string
		if json.Unmarshal(raw, &text) == nil && text != nil && !slices.Contains(notParameters, name) {
			values[name] = *text
		} else if slices.Contains(texts, name) {
			return nil, errors.New(name + " is not a string")
		}
	}
	// max_age is a number and claims an object. What is refused outside is refused inside,
	// whatever it is.
	for _, name := range []string{"max_age", "claims", "registration", "resource"} {
		if raw, written := all[name], values[name]; raw != nil && written == "" {
			values[name] = string(raw)
		}
	}
	return values, nil
}

// check returns why the claims that are no parameters are refused, nil if they are not
// (OpenID Connect Core §6.1, RFC 9101 §4, §10.8, RFC 7519 §4.1). A signed object must say
// for whom it is and of whom: its key may be another client's as well.
func (all members) check(clientID, issuer string, signed bool, now time.Time) error {
	for _, name := range []string{"iss", "client_id", "sub", "jti"} {
		raw := all[name]
		if raw == nil {
			continue
		}
		var text *string
		switch {
		case json.Unmarshal(raw, &text) != nil || text == nil:
			return errors.New(name + " is not a string")
		case name == "sub" && *text == clientID:
			// Then it would be a client assertion as well (RFC 9101 §10.8).
			return errors.New("its sub is the client_id, as in a client assertion (RFC 9101 section 10.8)")
		case (name == "iss" || name == "client_id") && *text != clientID:
			return errors.New("its " + name + " is not the client_id of the request")
		}
	}
	if signed && all["iss"] == nil && all["client_id"] == nil {
		return errors.New("it has neither iss nor client_id")
	}
	switch raw := all["aud"]; {
	case raw != nil:
		var list []string
		var one string
		if json.Unmarshal(raw, &one) == nil {
			list = []string{one}
		} else if json.Unmarshal(raw, &list) != nil {
			return errors.New("aud is not a string or a list of strings")
		}
		if !slices.Contains(list, issuer) {
			return errors.New("its aud is not " + issuer)
		}
	case signed: // another server's object could be presented here (RFC 8725 §3.9)
		return errors.New("it has no aud; use " + issuer)
	}
	for _, name := range []string{"exp", "nbf", "iat"} {
		raw := all[name]
		if raw == nil {
			continue
		}
		at, ok := date(raw)
		switch {
		case !ok:
			return errors.New(name + " is not a number of seconds")
		case name == "exp" && !now.Before(at.Add(objectSkew)):
			return errors.New("it has expired")
		case name != "exp" && at.After(now.Add(objectSkew)):
			return errors.New(name + " is in the future; is the client's clock right?")
		}
	}
	return nil
}

// date reads a NumericDate (RFC 7519 §2).
func date(raw json.RawMessage) (time.Time, bool) {
	var seconds *float64
	if json.Unmarshal(raw, &seconds) != nil || seconds == nil || math.Abs(*seconds) > 1<<40 {
		return time.Time{}, false
	}
	return time.Unix(int64(*seconds), 0), true
}

// toAnswer returns the parameters by which a request is refused whose object is refused:
// those that say how the client gets its responses. They count without a check of
// the object, because its sender could have put the same values into the query. The error
// is an *endpoint.PageError: the query names another redirect URI.
func toAnswer(in endpoint.Parameters, object string) (endpoint.Parameters, error) {
	parts := strings.Split(object, ".")
	if len(object) > maxObject || len(parts) != 3 { // an encrypted one has five
		return in, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil {
		return in, nil
	}
	all, err := parseMembers(raw)
	if err != nil {
		return in, nil
	}
	text := func(name string) (value string) {
		json.Unmarshal(all[name], &value)
		return value
	}
	if id := text("client_id"); id != "" && id != in.Get("client_id") {
		return in, nil
	}
	values := map[string]string{}
	if state := text("state"); len(state) <= endpoint.MaxState {
		values["state"] = state
	}
	if mode := text("response_mode"); slices.Contains(modes, mode) {
		values["response_mode"] = mode
	}
	if in.Get("response_type") == "" {
		values["response_type"] = text("response_type")
	}
	switch uri := text("redirect_uri"); {
	case in.Get("redirect_uri") == "":
		values["redirect_uri"] = uri
	case uri != "" && uri != in.Get("redirect_uri"):
		return in, redirectDiffers(in)
	}
	return in.With(values), nil
}

// verifyWith returns the payload if one of the keys has signed the object.
func (o requestObject) verifyWith(jws *jose.JSONWebSignature, keys []jose.JSONWebKey) (payload []byte, ok bool) {
	for _, key := range client.SignersOf(keys, jws.Signatures[0].Protected) {
		if payload, err := jws.Verify(key.Key); err == nil {
			return payload, true
		}
	}
	return nil, false
}
