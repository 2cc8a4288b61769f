// SPDX-License-Identifier: Apache-2.0

package client

import (
	"slices"
	"strings"
	"testing"
)

// The words of a response type come in any order, each once (OAuth 2.0 Multiple Response
// Type Encoding Practices §3, §5).
func TestParseResponseType(t *testing.T) {
	for text, want := range map[string]ResponseType{
		"code": "code", "id_token": "id_token",
		"id_token token": "id_token token", "token id_token": "id_token token",
		"code id_token": "code id_token", "id_token code": "code id_token",
		"code token": "code token", "token code": "code token",
		"code id_token token": "code id_token token", "token id_token code": "code id_token token", "id_token code token": "code id_token token",
	} {
		if got, ok := ParseResponseType(text); !ok || got != want {
			t.Errorf("%q: got %q, %v, want %q", text, got, ok, want)
		}
	}
	for _, text := range []string{
		"", " ", "token", "none", "CODE", "code code", "id_token id_token", "code code id_token", "code  id_token", " code", "code ",
		"code\tid_token", "code,id_token", "code none", "code id_token token x",
	} {
		if got, ok := ParseResponseType(text); ok {
			t.Errorf("%q: got %q, want none", text, got)
		}
	}
	for _, rt := range ResponseTypes {
		words := strings.Fields(string(rt))
		code, idToken, token := slices.Contains(words, "code"), slices.Contains(words, "id_token"), slices.Contains(words, "token")
		if rt.Code() != code || rt.IDToken() != idToken || rt.AccessToken() != token || InFront(string(rt)) != (idToken || token) {
			t.Errorf("%s: got code %v, ID token %v, access token %v, in front %v", rt, rt.Code(), rt.IDToken(), rt.AccessToken(), InFront(string(rt)))
		}
	}
	for text, want := range map[string]bool{"token": true, "x  token": true, "id_token x": true, "tokens": false, "": false, "code": false, "none": false} {
		if InFront(text) != want {
			t.Errorf("%q in front: got %v, want %v", text, !want, want)
		}
	}
}

func TestAllowsResponseType(t *testing.T) {
	all := []ResponseType{"code", "id_token"}
	for _, row := range []struct {
		types []ResponseType
		rt    ResponseType
		want  bool
	}{
		{nil, "code", true}, {nil, "id_token", false}, {nil, "", false},
		{all, "code", true}, {all, "id_token", true}, {all, "code id_token", false},
		{all[1:], "code", false}, {all[1:], "id_token", true},
	} {
		c, d := Client{ResponseTypes: row.types}, Deployment{ResponseTypes: row.types}
		if c.AllowsResponseType(row.rt) != row.want || d.AllowsResponseType(row.rt) != row.want {
			t.Errorf("%q of %q: got client %v, deployment %v, want %v", row.rt, row.types, c.AllowsResponseType(row.rt), d.AllowsResponseType(row.rt), row.want)
		}
	}
}

// A client that may have access tokens in its redirects is told what is better.
func TestAdviseAgainstFrontAccessTokens(t *testing.T) {
	var fields []string
	for _, unwise := range Advise(Client{ResponseTypes: ResponseTypes}) {
		fields = append(fields, unwise.Field)
	}
	if got := strings.Join(fields, " "); got != "response_types[2] response_types[4] response_types[5]" {
		t.Errorf("got advice about %s, want the three with an access token", got)
	}
}
