// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"calleridp/provider/apikey"
	"calleridp/provider/audit"

	"github.com/danielgtaylor/huma/v2"
)

// APIKey is an API key as the API writes it. The key itself is in the response that makes it,
// and nowhere else.
type APIKey struct {
	ID       string         `json:"id"`
	Key      string         `json:"key,omitempty" doc:"Only in the response that makes it."`
	Name     string         `json:"name" doc:"Whose it is."`
	Scopes   []apikey.Scope `json:"scopes"`
	By       string         `json:"by" doc:"Who made it."`
	Created  time.Time      `json:"created"`
	Expires  time.Time      `json:"expires"`
	LastUsed time.Time      `json:"last_used,omitzero" doc:"Within a minute. Absent: never."`
}

func (k *APIKey) withhold() { k.Key = "" }

// NewAPIKey is a request for an API key.
type NewAPIKey struct {
	Once
	Body struct {
		Name      string   `json:"name" doc:"Whose it is, for the list and the audit."`
		Scopes    []string `json:"scopes" minItems:"1" maxItems:"64" doc:"Such as clients:read; *:read, *:write and * stand for all that this version has."`
		ExpiresIn int64    `json:"expires_in" doc:"Seconds, from a minute to 366 days."`
	}
}

// APIKeyRef names an API key.
type APIKeyRef struct {
	ID string `path:"id"`
}

const longestName = 64

func (a *API) apiKeys() {
	tags := []string{"API keys"}
	register(a, huma.Operation{
		OperationID: "list-api-keys", Method: http.MethodGet, Path: "/v1/api-keys", Tags: tags,
		Summary: "List the API keys", Description: "The oldest first. Those that have expired are gone.",
	}, apikey.APIKeysRead, a.ListAPIKeys)
	register(a, huma.Operation{
		OperationID: "add-api-key", Method: http.MethodPost, Path: "/v1/api-keys", DefaultStatus: http.StatusCreated, Tags: tags,
		Summary: "Make an API key", Description: "The response has the key, once. A key makes no key that may do more or lives longer than itself.",
	}, apikey.APIKeysWrite, a.AddAPIKey)
	register(a, huma.Operation{
		OperationID: "remove-api-key", Method: http.MethodDelete, Path: "/v1/api-keys/{id}", Tags: tags,
		Summary: "Remove an API key", Description: "From then on no server accepts it. Keys that it has made stay.", Errors: []int{http.StatusNotFound},
	}, apikey.APIKeysWrite, a.RemoveAPIKey)
}

// ListAPIKeys returns a page of the API keys.
func (a *API) ListAPIKeys(ctx context.Context, in *Paging) (*Reply[Page[APIKey]], error) {
	if err := allowed(ctx, apikey.APIKeysRead); err != nil {
		return nil, err
	}
	all, err := a.APIKeys.APIKeys(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]APIKey, 0, len(all))
	for _, k := range all {
		out = append(out, shownKey(k))
	}
	page, err := pageOf(out, *in, func(k APIKey) string { return byTime(k.Created, k.ID) })
	if err != nil {
		return nil, err
	}
	return reply(page), nil
}

// AddAPIKey makes an API key that may do at most what the caller may.
func (a *API) AddAPIKey(ctx context.Context, in *NewAPIKey) (*Added[APIKey], error) {
	if err := allowed(ctx, apikey.APIKeysWrite); err != nil {
		return nil, err
	}
	name := strings.TrimSpace(in.Body.Name)
	printable := func(r rune) bool { return unicode.IsPrint(r) && r != utf8.RuneError }
	if name == "" || len(name) > longestName || strings.ContainsFunc(name, func(r rune) bool { return !printable(r) }) {
		return nil, refused(http.StatusUnprocessableEntity, "name must be 1 to %d bytes of text: whose key it is", longestName)
	}
	scopes, unknown := apikey.ParseScopes(in.Body.Scopes)
	if unknown != nil || len(scopes) == 0 {
		return nil, refused(http.StatusUnprocessableEntity, "scopes: there is no %q; there are %s", unknown, join(apikey.Scopes))
	}
	access := ctx.Value(accessKey{}).(Access) // which allowed has found
	if !apikey.Within(scopes, access.Scopes) {
		return nil, refused(http.StatusForbidden, "an API key makes no key with a scope that it has not: it has %s", join(access.Scopes))
	}
	life := time.Duration(min(max(in.Body.ExpiresIn, 0), int64(apikey.LongestLife/time.Second)+1)) * time.Second
	if life < apikey.ShortestLife || life > apikey.LongestLife {
		return nil, refused(http.StatusUnprocessableEntity, "expires_in must be between 60 and %d seconds", int64(apikey.LongestLife/time.Second))
	}
	k, text := apikey.New(name, scopes, access.Who, time.Now(), life)
	if !access.Until.IsZero() && k.Expires.After(access.Until) {
		return nil, refused(http.StatusForbidden, "an API key makes no key that outlives it: it ends at %s", access.Until.UTC().Format(time.RFC3339))
	}
	err := a.change(ctx, audit.Event{Name: audit.APIKeyAdded, Of: k.ID, Scope: join(scopes)}, func(ctx context.Context) error {
		return a.APIKeys.CreateAPIKey(ctx, k)
	})
	if err != nil {
		return nil, err
	}
	out := shownKey(k)
	etag := etagOf(out)
	out.Key = text
	return &Added[APIKey]{ETag: etag, Location: "/v1/api-keys/" + k.ID, Body: out}, nil
}

func join(scopes []apikey.Scope) string {
	texts := make([]string, len(scopes))
	for i, s := range scopes {
		texts[i] = string(s)
	}
	return strings.Join(texts, " ")
}

// RemoveAPIKey removes an API key, and returns it as it was.
func (a *API) RemoveAPIKey(ctx context.Context, in *APIKeyRef) (*Reply[APIKey], error) {
	if err := allowed(ctx, apikey.APIKeysWrite); err != nil {
		return nil, err
	}
	unknown := refused(http.StatusNotFound, "there is no API key %s", in.ID)
	k, err := a.APIKeys.APIKey(ctx, in.ID)
	if errors.Is(err, apikey.ErrNotFound) {
		return nil, unknown
	}
	if err != nil {
		return nil, err
	}
	err = a.change(ctx, audit.Event{Name: audit.APIKeyRemoved, Of: k.ID}, func(ctx context.Context) error {
		return a.APIKeys.DeleteAPIKey(ctx, k.ID)
	})
	if errors.Is(err, apikey.ErrNotFound) {
		return nil, unknown
	}
	if err != nil {
		return nil, err
	}
	return reply(shownKey(k)), nil
}

func shownKey(k apikey.Key) APIKey {
	out := APIKey{ID: k.ID, Name: k.Name, Scopes: k.Scopes, By: k.By, Created: k.Created.UTC(), Expires: k.Expires.UTC()}
	if !k.LastUsed.IsZero() {
		out.LastUsed = k.LastUsed.UTC()
	}
	return out
}
