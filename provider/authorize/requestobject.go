package authorize

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"

	"calleridp/provider/endpoint"
)

// requestObject is what a request object (OpenID Connect Core §6.1) says about the
// response. Nobody has checked its signature, and every request with one is refused.
// So it is used for nothing but how to refuse: its sender could have put the same
// values into the query.
type requestObject struct {
	ClientID     string
	RedirectURI  string
	ResponseType string
	ResponseMode string
	State        string
}

// readRequestObject reads the payload of the parameter request, the zero value if it
// is not a JWT that can be read, or is one for another client.
func readRequestObject(in endpoint.Parameters) requestObject {
	parts := strings.Split(in.Get("request"), ".")
	if len(parts) != 3 { // an encrypted one has five
		return requestObject{}
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil || !utf8.Valid(payload) {
		return requestObject{}
	}
	var members map[string]any
	if json.Unmarshal(payload, &members) != nil {
		return requestObject{}
	}
	text := func(name string) string {
		value, _ := members[name].(string)
		return value
	}
	o := requestObject{
		ClientID:     text("client_id"),
		RedirectURI:  text("redirect_uri"),
		ResponseType: text("response_type"),
		ResponseMode: text("response_mode"),
		State:        text("state"),
	}
	if o.ClientID != "" && o.ClientID != in.Get("client_id") {
		return requestObject{}
	}
	return o
}

// The object's members supersede parameters of the same name. A response_type beside the
// object is required (OpenID Connect Core §6.1), so the object's counts only without one.

// state returns the state of the response, where the parameter has this one.
func (o requestObject) state(parameter string) string {
	if o.State != "" && len(o.State) <= endpoint.MaxState {
		return o.State
	}
	return parameter
}

// mode returns the response_mode, where the parameter has this one.
func (o requestObject) mode(parameter string) string {
	if slices.Contains(modes, o.ResponseMode) {
		return o.ResponseMode
	}
	return parameter
}
