// SPDX-License-Identifier: Apache-2.0

// Package apikey owns the keys with which programs and operators use the admin API over the
// network: what a key may do, until when, and how it is recognised. It knows no HTTP.
package apikey

import (
	"slices"
	"strings"
)

// Scope is one permission of a key: a noun of the API, and read or write, such as
// "clients:read". Neither includes the other.
type Scope string

// The scopes.
const (
	ClientsRead             Scope = "clients:read"
	ClientsWrite            Scope = "clients:write"
	KeysRead                Scope = "keys:read"
	KeysWrite               Scope = "keys:write"
	UsersRead               Scope = "users:read"
	UsersWrite              Scope = "users:write"
	SessionsRead            Scope = "sessions:read"
	SessionsWrite           Scope = "sessions:write"
	GrantsRead              Scope = "grants:read"
	GrantsWrite             Scope = "grants:write"
	LimitsRead              Scope = "limits:read"
	LimitsWrite             Scope = "limits:write"
	RegistrationTokensRead  Scope = "registration_tokens:read"
	RegistrationTokensWrite Scope = "registration_tokens:write"
	NoticesRead             Scope = "notices:read"
	NoticesWrite            Scope = "notices:write"
	ConfigRead              Scope = "config:read"
	BackupsRead             Scope = "backups:read"
	BackupsWrite            Scope = "backups:write"
	StatusRead              Scope = "status:read"
	AuditRead               Scope = "audit:read"
	APIKeysRead             Scope = "api_keys:read"
	APIKeysWrite            Scope = "api_keys:write"
)

// Scopes are all scopes there are.
var Scopes = []Scope{
	ClientsRead, ClientsWrite, KeysRead, KeysWrite, UsersRead, UsersWrite, SessionsRead, SessionsWrite, GrantsRead, GrantsWrite,
	LimitsRead, LimitsWrite, RegistrationTokensRead, RegistrationTokensWrite, NoticesRead, NoticesWrite, ConfigRead, BackupsRead, BackupsWrite, StatusRead,
	AuditRead, APIKeysRead, APIKeysWrite,
}

// ParseScopes parses scopes as an operator writes them: each one of Scopes, or "*:read",
// "*:write" or "*" for all of a kind that this version has. It returns them in the order of
// Scopes, each once, and what it does not know.
func ParseScopes(list []string) (scopes []Scope, unknown []string) {
	wanted := map[Scope]bool{}
	for _, text := range list {
		found := false
		for _, s := range Scopes {
			if text == "*" || text == string(s) || text == "*:read" && strings.HasSuffix(string(s), ":read") ||
				text == "*:write" && strings.HasSuffix(string(s), ":write") {
				wanted[s], found = true, true
			}
		}
		if !found {
			unknown = append(unknown, text)
		}
	}
	for _, s := range Scopes {
		if wanted[s] {
			scopes = append(scopes, s)
		}
	}
	return scopes, unknown
}

// Within reports whether all of scopes are among those of most.
func Within(scopes, most []Scope) bool {
	return !slices.ContainsFunc(scopes, func(s Scope) bool { return !slices.Contains(most, s) })
}
