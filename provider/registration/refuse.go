// SPDX-License-Identifier: Apache-2.0

package registration

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"calleridp/provider/client"
	"calleridp/provider/endpoint"
	"calleridp/provider/limit"

	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// refuse refuses one member of a client's metadata (RFC 7591 §3.2.2).
func refuse(member, format string, args ...any) error {
	return client.FieldErrors{{Field: member, Reason: fmt.Sprintf(format, args...)}}
}

// errSoftwareStatement refuses software statements (RFC 7591 §2.3): no issuer is trusted to
// issue them.
var errSoftwareStatement = errors.New("registration: software statements are not supported")

// memberOf are the members of fields that have another name there.
var memberOf = map[string]string{
	"name":        "client_name",
	"secret":      "token_endpoint_auth_method",
	"sector_host": "sector_identifier_uri",
	"scopes":      "scope",
	"device_flow": "grant_types",
}

// refusalOf converts an error to the response for a client. A failure of the server stays.
func refusalOf(err error) error {
	fields, invalid := errors.AsType[client.FieldErrors](err)
	exceeded, limited := errors.AsType[*limit.Exceeded](err)
	switch {
	case err == nil:
		return nil
	case invalid && len(fields) > 0:
		return refusalOfField(fields[0])
	case errors.Is(err, errSoftwareStatement):
		return endpoint.NewRefusal(http.StatusBadRequest, &oidc.Error{
			ErrorType:   "invalid_software_statement",
			Description: "software_statement is not supported: no issuer of statements is trusted here",
		})
	case errors.Is(err, client.ErrInitialToken):
		return endpoint.NewRefusal(http.StatusUnauthorized, &oidc.Error{
			ErrorType:   "invalid_token",
			Description: "the initial access token is missing, unknown, expired or used up; the operator of this server makes them",
		})
	case errors.Is(err, client.ErrUnauthenticated):
		return endpoint.NewRefusal(http.StatusUnauthorized, &oidc.Error{
			ErrorType:   "invalid_token",
			Description: "this is not the registration access token of a client with this address",
		})
	case errors.Is(err, client.ErrFull):
		return endpoint.NewRefusal(http.StatusForbidden, &oidc.Error{
			ErrorType:   "access_denied",
			Description: "as many clients have registered as may; ask the operator of this server",
		})
	case limited:
		refusal := endpoint.NewRefusal(http.StatusTooManyRequests, &oidc.Error{
			ErrorType:   "temporarily_unavailable",
			Description: "too many registrations and changes; try again later",
		})
		refusal.RetryAfter = max(time.Until(exceeded.RetryAt), time.Second)
		return refusal
	}
	return err
}

// refusalOfField refuses a member by name. Which of the two codes it gets depends on what
// the member is (RFC 7591 §3.2.2).
func refusalOfField(field client.FieldError) error {
	name, index, indexed := strings.Cut(field.Field, "[")
	if member, ok := memberOf[name]; ok {
		name = member
	}
	refusal := &oidc.Error{ErrorType: "invalid_client_metadata"}
	if name == "redirect_uris" {
		refusal.ErrorType = "invalid_redirect_uri"
	}
	if indexed {
		name += "[" + index
	}
	refusal.Description = ascii(name + ": " + field.Reason)
	return endpoint.NewRefusal(http.StatusBadRequest, refusal)
}

// ascii writes a reason in the characters of an error_description (RFC 7591 §3.2.2, RFC
// 6749 §5.2), and truncates it to a readable length.
func ascii(reason string) string {
	reason = strings.ReplaceAll(reason, "§", "section ")
	return endpoint.Clip(strings.Map(func(r rune) rune {
		switch {
		case r == '"' || r == '\\':
			return '\''
		case r < ' ' || r > '~':
			return '?'
		}
		return r
	}, reason))
}
