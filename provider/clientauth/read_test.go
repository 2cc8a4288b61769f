// SPDX-License-Identifier: Apache-2.0

package clientauth

import (
	"encoding/base64"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"calleridp/provider/client"
	"calleridp/provider/endpoint"
)

// authorization sets the headers Authorization.
func authorization(values ...string) http.Header { return http.Header{"Authorization": values} }

// basicOf returns the header of client_secret_basic for text that is encoded already.
func basicOf(user, password string) http.Header {
	return authorization("Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password)))
}

// A request authenticates its client by one method. The credentials name the
// client beside an error, too, as far as the request does.
func TestRead(t *testing.T) {
	for _, row := range []struct {
		what   string
		header http.Header
		body   string
		want   Credentials
		code   string // of the error, "" for none
	}{
		{"Basic", basicOf("app", "s"), "", Credentials{ClientID: "app", Secret: "s", Method: client.AuthBasic}, ""},
		{"Basic, percent-encoded", basicOf("a%C3%B6", "s%2B%3A%25+x"), "", Credentials{ClientID: "aö", Secret: "s+:% x", Method: client.AuthBasic}, ""},
		{"Basic, a colon in the secret", basicOf("app", "a:b"), "", Credentials{ClientID: "app", Secret: "a:b", Method: client.AuthBasic}, ""},
		{"Basic in lower case", authorization("basic YXBwOnM="), "", Credentials{ClientID: "app", Secret: "s", Method: client.AuthBasic}, ""},
		{"Basic without a secret", basicOf("app", ""), "", Credentials{ClientID: "app", Secret: "", Method: client.AuthNone}, ""},
		{"Basic and the same client_id", basicOf("app", "s"), "client_id=app", Credentials{ClientID: "app", Secret: "s", Method: client.AuthBasic}, ""},
		{"Basic and another client_id", basicOf("app", "s"), "client_id=old", Credentials{ClientID: "app"}, "invalid_request"},
		{"Basic and a secret in the body", basicOf("app", "s"), "client_id=app&client_secret=s", Credentials{ClientID: "app"}, "invalid_request"},
		{"Basic and an assertion", basicOf("app", "s"), "client_assertion=x", Credentials{}, "invalid_request"},
		{"a secret and an assertion", nil, "client_id=app&client_secret=s&client_assertion=x", Credentials{ClientID: "app"}, "invalid_request"},
		{"Basic without a client_id", basicOf("", "s"), "client_id=app", Credentials{ClientID: "app"}, "invalid_client"},
		{"Basic with a broken escape in the client_id", basicOf("a%zz", "s"), "client_id=app", Credentials{ClientID: "app"}, "invalid_client"},
		{"Basic with a broken escape in the secret", basicOf("app", "%zz"), "", Credentials{ClientID: "app"}, "invalid_client"},
		{"Basic that is no base64", authorization("Basic !!"), "", Credentials{}, "invalid_client"},
		{"Basic without a colon", authorization("Basic YXBw"), "", Credentials{}, "invalid_client"},
		{"Basic twice", authorization("Basic YXBwOnM=", "Basic YXBwOnM="), "client_id=app", Credentials{ClientID: "app"}, "invalid_client"},
		{"Bearer", authorization("Bearer x"), "client_id=app", Credentials{ClientID: "app"}, "invalid_client"},
		{"an empty header", authorization(""), "client_id=app", Credentials{ClientID: "app"}, "invalid_client"},
		{"post", nil, "client_id=app&client_secret=s", Credentials{ClientID: "app", Secret: "s", Method: client.AuthPost}, ""},
		{"post, percent-encoded", nil, "client_id=app&client_secret=s%2B", Credentials{ClientID: "app", Secret: "s+", Method: client.AuthPost}, ""},
		{"post without a client_id", nil, "client_secret=s", Credentials{Secret: "s", Method: client.AuthPost}, "invalid_client"},
		{"an empty secret is none", nil, "client_id=public&client_secret=", Credentials{ClientID: "public", Method: client.AuthNone}, ""},
		{"none", nil, "client_id=public", Credentials{ClientID: "public", Method: client.AuthNone}, ""},
		{"nothing", nil, "token=x", Credentials{Method: client.AuthNone}, "invalid_client"},
		{"an assertion's type alone", nil, "client_id=app&client_assertion_type=x", Credentials{ClientID: "app"}, "invalid_client"},
		{"client_id twice", nil, "client_id=app&client_id=app", Credentials{}, "invalid_request"},
		{"client_secret twice", nil, "client_id=app&client_secret=s&client_secret=s", Credentials{ClientID: "app"}, "invalid_request"},
		{"another parameter twice", basicOf("app", "s"), "x=1&x=2", Credentials{}, "invalid_request"},
		{"a percent sign alone", nil, "client_id=app&client_secret=50%;s", Credentials{ClientID: "app", Secret: "50%;s", Method: client.AuthPost}, ""},
		{"bytes that are not UTF-8", nil, "client_id=app&client_secret=%ff&x=%e9", Credentials{ClientID: "app", Secret: "\uFFFD", Method: client.AuthPost}, ""},
	} {
		t.Run(row.what, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, "/token", strings.NewReader(row.body))
			maps.Copy(r.Header, row.header)
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			in, err := readBody(r)
			got := Credentials{ClientID: in.Get("client_id")}
			if err == nil {
				got, err = credentials(r, in)
			}
			if got != row.want {
				t.Errorf("credentials: got %+v, want %+v", got, row.want)
			}
			code := ""
			if refused, ok := errors.AsType[*endpoint.Refusal](err); ok {
				code = string(refused.OAuth.ErrorType)
			} else if err != nil {
				code = err.Error()
			}
			if code != row.code {
				t.Errorf("error: got %q (%v), want %q", code, err, row.code)
			}
		})
	}
}
