// SPDX-License-Identifier: Apache-2.0

package claims

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
)

// Request is what the parameter claims asks for (OpenID Connect Core §5.5). Claims that do
// not exist are ignored, and so is what a voluntary or essential claim should be: either may
// be left out (§5.5.1).
type Request struct {
	IDToken  []string // of Names, in their order
	Userinfo []string // of Names, in their order
	Sub      string   // the required user, as the client knows them; "": any user
	ACR      ACRRequest
}

// ACRRequest is how the claim acr of the ID token is requested (§5.5.1.1).
type ACRRequest struct {
	Values   []string // in the order of preference; none: any will do
	Demanded bool     // it is essential, and acr must be one of Values, even if there are none
}

// Errors of ParseRequest. Their texts are for the client's developer.
var (
	errNotJSON = errors.New("claims is not a JSON object with objects id_token and userinfo")
	errSub     = errors.New("claims requests more than one sub")
)

// wanted is how one claim is requested; the zero value for the default.
type wanted struct {
	Essential bool  `json:"essential"`
	Value     any   `json:"value"`
	Values    []any `json:"values"`
}

// ParseRequest parses the parameter, "" for none.
func ParseRequest(text string) (r Request, err error) {
	if text == "" {
		return Request{}, nil
	}
	var in struct {
		IDToken  map[string]wanted `json:"id_token"`
		Userinfo map[string]wanted `json:"userinfo"`
	}
	if !bytes.HasPrefix(bytes.TrimLeft([]byte(text), " \t\r\n"), []byte("{")) || json.Unmarshal([]byte(text), &in) != nil {
		return Request{}, errNotJSON
	}
	r.IDToken, r.Userinfo = named(in.IDToken), named(in.Userinfo)
	for _, target := range []map[string]wanted{in.IDToken, in.Userinfo} {
		for _, sub := range target["sub"].texts() {
			if r.Sub != "" && r.Sub != sub {
				return Request{}, errSub
			}
			r.Sub = sub
		}
	}
	acr := in.IDToken["acr"]
	r.ACR = ACRRequest{Values: acr.texts(), Demanded: acr.Essential && (acr.Value != nil || len(acr.Values) > 0)}
	return r, nil
}

// texts returns the values that a claim should have.
func (w wanted) texts() []string {
	var texts []string
	for _, value := range append([]any{w.Value}, w.Values...) {
		if text, ok := value.(string); ok && text != "" {
			texts = append(texts, text)
		}
	}
	return texts
}

// named returns the claims that exist.
func named(requested map[string]wanted) []string {
	var names []string
	for _, name := range Names {
		if _, ok := requested[name]; ok {
			names = append(names, name)
		}
	}
	return names
}

// ScopeOf returns the scope that a claim of Names belongs to: who may have the scope may
// have the claim, and who consents to the claim consents to the scope. "" for other claims.
func ScopeOf(claim string) string {
	switch claim {
	case "email", "email_verified":
		return Email
	case "phone_number", "phone_number_verified", "phone_number_verified_at":
		return Phone
	case "address":
		return Address
	case "truecaller":
		return Truecaller
	}
	if slices.Contains(Names, claim) {
		return Profile
	}
	return ""
}

// WithScopesOf returns the scopes, and those of the claims, in the order of Scopes.
func WithScopesOf(scopes []string, lists ...[]string) []string {
	with := slices.Clone(scopes)
	for _, names := range lists {
		for _, name := range names {
			with = append(with, ScopeOf(name))
		}
	}
	var ordered []string
	for _, scope := range Scopes {
		if slices.Contains(with, scope) {
			ordered = append(ordered, scope)
		}
	}
	return ordered
}
