// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"calleridp/provider/apikey"
	"calleridp/provider/audit"
	"calleridp/provider/client"

	"github.com/danielgtaylor/huma/v2"
)

// ClientRef names a client.
type ClientRef struct {
	ID string `path:"id" doc:"client_id"`
}

// ClientAction is a request to do something with a client.
type ClientAction struct {
	Once
	ClientRef
}

// NewClient is a request for a client.
type NewClient struct {
	Once
	Body Client
}

// PatchClient is a request to change a client by a merge patch (RFC 7396): fields that are
// there replace the client's, null takes one away, and all others stay.
type PatchClient struct {
	ClientRef
	IfMatch string `header:"If-Match" doc:"The entity tag of the client that the change is for. Required."`
	Body    Patch  `contentType:"application/merge-patch+json"`
}

// Patch is what of a client changes.
type Patch map[string]json.RawMessage

// Schema implements huma.SchemaProvider.
func (Patch) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{
		Type:                 huma.TypeObject,
		Description:          "A merge patch (RFC 7396) of a Client: what is there replaces, null takes away, all else stays.",
		AdditionalProperties: true,
		Examples:             []any{map[string]any{"redirect_uris": []string{"https://shop.example.com/cb"}, "policy_uri": nil}},
	}
}

// ReplaceClient is a request to change all that an operator may change of a client.
type ReplaceClient struct {
	ClientRef
	IfMatch string `header:"If-Match" doc:"The entity tag of the client that the change is for. Required."`
	Body    Client
}

func (a *API) clients() {
	register(a, huma.Operation{
		OperationID: "list-clients", Method: http.MethodGet, Path: "/v1/clients", Tags: []string{"Clients"},
		Summary: "List the clients", Description: "Those of the store and those of the config file, in the order of client_id.",
	}, apikey.ClientsRead, a.ListClients)
	register(a, huma.Operation{
		OperationID: "add-client", Method: http.MethodPost, Path: "/v1/clients", DefaultStatus: http.StatusCreated, Tags: []string{"Clients"},
		Summary: "Add a client", Description: "The response has its secret, once.", Errors: []int{http.StatusConflict},
	}, apikey.ClientsWrite, a.AddClient)
	register(a, huma.Operation{
		OperationID: "get-client", Method: http.MethodGet, Path: "/v1/clients/{id}", Tags: []string{"Clients"},
		Summary: "Show a client", Errors: []int{http.StatusNotFound},
	}, apikey.ClientsRead, a.GetClient)
	const edit = "The change is in effect on all servers at once. The client keeps its ID, its secret, its grants and its users' consents. " +
		"A change of the sector of pairwise subs is refused. " +
		"If the new way to authenticate needs another secret, the response has it, once."
	errs := []int{http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed, http.StatusPreconditionRequired}
	register(a, huma.Operation{
		OperationID: "edit-client", Method: http.MethodPatch, Path: "/v1/clients/{id}", Tags: []string{"Clients"},
		Summary: "Change a client in part", Description: edit, Errors: slices.Clone(errs),
	}, apikey.ClientsWrite, a.EditClient)
	register(a, huma.Operation{
		OperationID: "replace-client", Method: http.MethodPut, Path: "/v1/clients/{id}", Tags: []string{"Clients"},
		Summary: "Change a client as a whole", Description: edit, Errors: slices.Clone(errs),
	}, apikey.ClientsWrite, a.ReplaceClient)
	register(a, huma.Operation{
		OperationID: "rotate-client-secret", Method: http.MethodPost, Path: "/v1/clients/{id}/secret", Tags: []string{"Clients"},
		Summary: "Give a client a new secret", Description: "In the response, once. The one before stays valid until the next time. A client that registered itself keeps its own.",
		Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, apikey.ClientsWrite, a.RotateClientSecret)
	register(a, huma.Operation{
		OperationID: "remove-client", Method: http.MethodDelete, Path: "/v1/clients/{id}", Tags: []string{"Clients"},
		Summary: "Remove a client", Description: "That ends its grants for good.", Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, apikey.ClientsWrite, a.RemoveClient)
}

// ListClients returns a page of all clients, in the order of their IDs.
func (a *API) ListClients(ctx context.Context, in *Paging) (*Reply[Page[Client]], error) {
	if err := allowed(ctx, apikey.ClientsRead); err != nil {
		return nil, err
	}
	all, err := a.Clients.List(ctx)
	if err != nil {
		return nil, err
	}
	part, err := pageOf(all, *in, func(c client.Client) string { return c.ID })
	if err != nil {
		return nil, err
	}
	page := Page[Client]{Items: []Client{}, Next: part.Next}
	for _, c := range part.Items {
		page.Items = append(page.Items, shown(c))
	}
	return reply(page), nil
}

// GetClient returns a client.
func (a *API) GetClient(ctx context.Context, in *ClientRef) (*Reply[Client], error) {
	if err := allowed(ctx, apikey.ClientsRead); err != nil {
		return nil, err
	}
	c, err := a.Clients.Client(ctx, in.ID)
	if err != nil {
		return nil, clientError(in.ID, err)
	}
	return reply(shown(c)), nil
}

// AddClient adds a client, and returns it with its secret.
func (a *API) AddClient(ctx context.Context, in *NewClient) (*Added[Client], error) {
	if err := allowed(ctx, apikey.ClientsWrite); err != nil {
		return nil, err
	}
	c, err := readClient(in.Body)
	if err != nil {
		return nil, err
	}
	if c.ID == "" {
		c.ID = client.NewID()
	}
	if err := a.Clients.CheckNew(ctx, c); err != nil {
		return nil, clientError(c.ID, err)
	}
	var added client.Client
	var secret string
	err = a.change(ctx, audit.Event{Name: audit.ClientAdded, Client: c.ID}, func(ctx context.Context) (err error) {
		added, secret, err = a.Clients.Add(ctx, c)
		return err
	})
	if err != nil {
		return nil, clientError(c.ID, err)
	}
	out := shown(added)
	etag := etagOf(out)
	out.Secret, out.Warnings = secret, advice(added)
	return &Added[Client]{ETag: etag, Location: "/v1/clients/" + url.PathEscape(added.ID), Body: out}, nil
}

// readClient reads a client of a request.
func readClient(in Client) (client.Client, error) {
	if in.Secret != "" {
		return client.Client{}, refused(http.StatusUnprocessableEntity, "client_secret is made by the server; leave it out")
	}
	if strings.TrimSpace(in.Name) == "" {
		return client.Client{}, refused(http.StatusUnprocessableEntity, "client_name is missing; users see it when they sign in")
	}
	return registered(in)
}

func advice(c client.Client) (warnings []string) {
	for _, unwise := range client.Advise(c) {
		warnings = append(warnings, unwise.Error())
	}
	return warnings
}

// EditClient changes parts of a client. The caller saw it as IfMatch names it: one that has
// been changed since is not.
func (a *API) EditClient(ctx context.Context, in *PatchClient) (*Reply[Client], error) {
	return a.edit(ctx, in.ID, in.IfMatch, func(known Client) (Client, error) {
		raw, err := json.Marshal(known)
		if err != nil {
			return Client{}, err
		}
		merged := Patch{}
		if err := json.Unmarshal(raw, &merged); err != nil {
			return Client{}, err
		}
		for field, value := range in.Body {
			// encoding/json takes other spellings for the same field, and which one counts
			// would be chance.
			if strings.ContainsFunc(field, otherSpelling) {
				return Client{}, refused(http.StatusUnprocessableEntity, "the client is not readable: unknown field %q", field)
			}
			if string(value) == "null" {
				delete(merged, field)
			} else {
				merged[field] = value
			}
		}
		if raw, err = json.Marshal(merged); err != nil {
			return Client{}, refused(http.StatusBadRequest, "the client is not readable: %v", err)
		}
		var next Client
		if err := decodeClient(raw, &next); err != nil {
			return Client{}, err
		}
		return next, nil
	})
}

// otherSpelling reports whether no field of a Client has this character in its name.
func otherSpelling(r rune) bool { return r != '_' && (r < 'a' || r > 'z') }

// ReplaceClient is EditClient with all fields: what is left out is taken away.
func (a *API) ReplaceClient(ctx context.Context, in *ReplaceClient) (*Reply[Client], error) {
	return a.edit(ctx, in.ID, in.IfMatch, func(Client) (Client, error) { return in.Body, nil })
}

func (a *API) edit(ctx context.Context, id, ifMatch string, next func(known Client) (Client, error)) (*Reply[Client], error) {
	if err := allowed(ctx, apikey.ClientsWrite); err != nil {
		return nil, err
	}
	if ifMatch == "" { // RFC 6585 §3
		return nil, refused(http.StatusPreconditionRequired, "say in If-Match which version of the client the change is for: the ETag of a GET of it")
	}
	edited := func(known client.Client) (client.Client, error) {
		before := shown(known)
		if !matches(ifMatch, etagOf(before), false) { // RFC 9110 §13.1.1
			return client.Client{}, refused(http.StatusPreconditionFailed, "client %s has been changed since; read it again and decide anew", id)
		}
		after, err := next(before)
		if err != nil {
			return client.Client{}, err
		}
		if after.ID != "" && after.ID != id {
			return client.Client{}, refused(http.StatusUnprocessableEntity, "client_id cannot be changed: tokens name it; add another client")
		}
		after.ID = id
		return readClient(after)
	}
	known, err := a.changeable(ctx, id)
	if err != nil {
		return nil, clientError(id, err)
	}
	after, err := edited(known)
	if err != nil {
		return nil, err
	}
	if err := a.Clients.CheckEdit(known, after); err != nil {
		return nil, clientError(id, err)
	}
	var saved client.Client
	var secret string
	event := audit.Event{Name: audit.ClientEdited, Client: id, Fields: differences(shown(known), shown(after))}
	err = a.change(ctx, event, func(ctx context.Context) (err error) {
		saved, secret, err = a.Clients.Edit(ctx, id, edited)
		return err
	})
	if err != nil {
		return nil, clientError(id, err)
	}
	out := reply(shown(saved))
	out.Body.Secret, out.Body.Warnings = secret, advice(saved)
	return out, nil
}

// RotateClientSecret gives a client a new secret, and returns the client with it.
func (a *API) RotateClientSecret(ctx context.Context, in *ClientAction) (*Reply[Client], error) {
	if err := allowed(ctx, apikey.ClientsWrite); err != nil {
		return nil, err
	}
	c, err := a.changeable(ctx, in.ID)
	if err == nil {
		err = client.CheckRotation(c)
	}
	if err != nil {
		return nil, clientError(in.ID, err)
	}
	var secret string
	err = a.change(ctx, audit.Event{Name: audit.ClientSecretRotated, Client: in.ID}, func(ctx context.Context) (err error) {
		secret, err = a.Clients.RotateSecret(ctx, in.ID)
		return err
	})
	if err != nil {
		return nil, clientError(in.ID, err)
	}
	out := reply(shown(c)) // which shows nothing of secrets
	out.Body.Secret = secret
	return out, nil
}

// RemoveClient removes a client, and returns it as it was.
func (a *API) RemoveClient(ctx context.Context, in *ClientRef) (*Reply[Client], error) {
	if err := allowed(ctx, apikey.ClientsWrite); err != nil {
		return nil, err
	}
	c, err := a.changeable(ctx, in.ID)
	if err != nil {
		return nil, clientError(in.ID, err)
	}
	err = a.change(ctx, audit.Event{Name: audit.ClientRemoved, Client: in.ID}, func(ctx context.Context) error {
		return a.Clients.Remove(ctx, in.ID)
	})
	if err != nil {
		return nil, clientError(in.ID, err)
	}
	return reply(shown(c)), nil
}

// changeable returns a client of the store, which operators may change.
func (a *API) changeable(ctx context.Context, id string) (client.Client, error) {
	c, err := a.Clients.Client(ctx, id)
	if err == nil {
		err = a.Clients.CheckChange(id)
	}
	return c, err
}

// clientError is what operators are told of the registry's refusals.
func clientError(id string, err error) error {
	if fields, ok := errors.AsType[client.FieldErrors](err); ok {
		p := invalid(fields)
		p.Detail = err.Error()
		return p
	}
	switch {
	case errors.Is(err, client.ErrNotFound):
		return refused(http.StatusNotFound, "there is no client %s", id)
	case errors.Is(err, client.ErrExists):
		return refused(http.StatusConflict, "there is a client %s already", id)
	case errors.Is(err, client.ErrFromConfig):
		return refused(http.StatusConflict, "client %s is declared in the config file; change it there, and reload the server (SIGHUP)", id)
	case errors.Is(err, client.ErrOwn):
		return refused(http.StatusConflict, "client %s is the program's own: the console signs operators in with it, and it follows console.url", id)
	case errors.Is(err, client.ErrRegisteredItself):
		return refused(http.StatusConflict, "client %s registered itself, and changes itself by its registration access token; you can remove it", id)
	case errors.Is(err, client.ErrNoSecret):
		return refused(http.StatusConflict, "client %s has no secret: it is public, or it authenticates by private_key_jwt", id)
	}
	return err
}
