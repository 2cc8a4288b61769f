package authorize

import (
	"encoding/base64"
	"encoding/json"
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
		ResponseMode: text("response_mode"),
		State:        text("state"),
	}
	if o.ClientID != "" && o.ClientID != in.Get("client_id") {
		return requestObject{}
	}
	return o
}

// direct makes the refusal of q the response that the object asks for. Its members
// supersede parameters of the same name.
func (o requestObject) direct(q *request) {
	if o.State != "" && len(o.State) <= endpoint.MaxState {
		q.State = o.State
	}
	switch o.ResponseMode {
	case "query":
		q.Mode = modeQuery
	case string(modeFormPost):
		q.Mode = modeFormPost
	}
}
