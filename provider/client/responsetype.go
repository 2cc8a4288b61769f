// SPDX-License-Identifier: Apache-2.0

package client

import (
	"fmt"
	"slices"
	"strings"
)

// ResponseType is what an authorization response gives: words of response_type in the
// order of ResponseTypes, with one space between them (OAuth 2.0 Multiple Response Type
// Encoding Practices §3, §5).
type ResponseType string

// The words of response types.
const (
	TypeCode    ResponseType = "code"
	TypeIDToken ResponseType = "id_token"
	typeToken   ResponseType = "token" // never alone: OpenID Connect Core §3 has no such flow
)

// ResponseTypes are all response types (OpenID Connect Core §3). The first is the default
// of deployments and clients.
var ResponseTypes = []ResponseType{
	TypeCode, TypeIDToken, "id_token token", "code id_token", "code token", "code id_token token",
}

// ParseResponseType parses words in any order, each at most once, with one space between
// them. ok is false for what is not one of ResponseTypes.
func ParseResponseType(s string) (t ResponseType, ok bool) {
	words := strings.Split(s, " ")
	slices.Sort(words) // which is the order of ResponseTypes
	t = ResponseType(strings.Join(words, " "))
	return t, slices.Contains(ResponseTypes, t)
}

// InFront reports whether a response_type, known or not, asks for a token of the
// authorization endpoint. Such a response is never sent in a query, nor is its error
// (OpenID Connect Core §3.2.2.6, §3.3.2.6).
func InFront(responseType string) bool {
	words := strings.Fields(responseType)
	return slices.Contains(words, string(typeToken)) || slices.Contains(words, string(TypeIDToken))
}

// Code reports whether the response has an authorization code.
func (t ResponseType) Code() bool { return t.has(TypeCode) }

// IDToken reports whether the response has an ID token.
func (t ResponseType) IDToken() bool { return t.has(TypeIDToken) }

// AccessToken reports whether the response has an access token.
func (t ResponseType) AccessToken() bool { return t.has(typeToken) }

func (t ResponseType) has(word ResponseType) bool {
	return slices.Contains(strings.Split(string(t), " "), string(word))
}

// AllowsResponseType reports whether the client may use the response type.
func (c Client) AllowsResponseType(t ResponseType) bool { return allows(c.ResponseTypes, t) }

// AllowsResponseType reports whether the deployment has turned the response type on.
func (d Deployment) AllowsResponseType(t ResponseType) bool { return allows(d.ResponseTypes, t) }

// allows reports whether t is one of the allowed types; only code, if there are none.
func allows(types []ResponseType, t ResponseType) bool {
	if len(types) == 0 {
		return t == ResponseTypes[0]
	}
	return slices.Contains(types, t)
}

// ParseResponseTypes parses a setting: response types in any order of words. What is none
// stays as it is, for Validate to refuse.
func ParseResponseTypes(settings []string) []ResponseType {
	var types []ResponseType
	for _, s := range settings {
		t, ok := ParseResponseType(s)
		if !ok {
			t = ResponseType(s)
		}
		types = append(types, t)
	}
	return types
}

// ValidateResponseTypes returns what is wrong with a setting, as the field
// "response_types".
func ValidateResponseTypes(types []ResponseType) FieldErrors {
	var invalid FieldErrors
	for i, t := range types {
		field := fmt.Sprintf("response_types[%d]", i)
		switch {
		case !slices.Contains(ResponseTypes, t):
			invalid = append(invalid, FieldError{Field: field, Reason: fmt.Sprintf("%q is unknown; use %s", t, oneOf(ResponseTypes))})
		case slices.Contains(types[:i], t):
			invalid = append(invalid, FieldError{Field: field, Reason: fmt.Sprintf("%q is listed twice", t)})
		}
	}
	return invalid
}

// validateResponseTypes returns which response types of the client the deployment has
// not turned on.
func (d Deployment) validateResponseTypes(c Client) FieldErrors {
	var invalid FieldErrors
	for i, t := range c.ResponseTypes {
		if slices.Contains(ResponseTypes, t) && !d.AllowsResponseType(t) { // Validate refuses an unknown one
			on := d.ResponseTypes
			if len(on) == 0 {
				on = ResponseTypes[:1]
			}
			invalid = append(invalid, FieldError{
				Field:  fmt.Sprintf("response_types[%d]", i),
				Reason: fmt.Sprintf("%q is turned off here (response_types of the deployment); use %s", t, oneOf(on)),
			})
		}
	}
	return invalid
}

// adviseResponseTypes returns which response types are unwise.
func adviseResponseTypes(types []ResponseType) FieldErrors {
	var unwise FieldErrors
	for i, t := range types {
		if t.AccessToken() {
			unwise = append(unwise, FieldError{
				Field:  fmt.Sprintf("response_types[%d]", i),
				Reason: fmt.Sprintf("%q sends access tokens through the browser, where scripts, histories and extensions can read them; use code (RFC 9700 §2.1.2)", t),
			})
		}
	}
	return unwise
}

// oneOf lists response types for a reason.
func oneOf(types []ResponseType) string {
	quoted := make([]string, len(types))
	for i, t := range types {
		quoted[i] = fmt.Sprintf("%q", t)
	}
	if len(quoted) == 1 {
		return quoted[0]
	}
	return "one of " + strings.Join(quoted, ", ")
}
