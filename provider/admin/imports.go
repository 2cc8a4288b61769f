// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"calleridp/provider/apikey"
	"calleridp/provider/audit"
	"calleridp/provider/client"
	"calleridp/provider/subject"

	"github.com/danielgtaylor/huma/v2"
)

// ImportMost is how many clients or users one request may have.
const ImportMost = 500

// ImportClients is a request to add clients that were exported elsewhere.
type ImportClients struct {
	DryRun bool `query:"dry_run" doc:"Look for conflicts, and change nothing."`
	Body   struct {
		Clients []PortableClient `json:"clients" maxItems:"500"`
	}
}

// ImportUsers is a request to add users who were exported elsewhere.
type ImportUsers struct {
	DryRun bool `query:"dry_run" doc:"Look for conflicts, and change nothing."`
	Body   struct {
		Users []PortableUser `json:"users" maxItems:"500"`
	}
}

// Imported is what an import did, or would do.
type Imported struct {
	Added     int              `json:"added"`
	Unchanged int              `json:"unchanged" doc:"They were here already."`
	Conflicts []ImportConflict `json:"conflicts,omitempty" nullable:"false" doc:"If there are any, nothing was added."`
}

// ImportConflict says who cannot be imported, and why.
type ImportConflict struct {
	ID     string `json:"id" doc:"client_id or sub."`
	Reason string `json:"reason"`
}

func (a *API) imports() {
	const how = "What is here already and the same is left as it is, so a request may be sent again. If anything conflicts, nothing is added."
	register(a, huma.Operation{
		OperationID: "import-clients", Method: http.MethodPost, Path: "/v1/clients/import", Tags: []string{"Clients"},
		Summary: "Add clients that were exported elsewhere", Description: how,
	}, apikey.ClientsWrite, a.ImportClients)
	register(a, huma.Operation{
		OperationID: "import-users", Method: http.MethodPost, Path: "/v1/users/import", Tags: []string{"Users"},
		Summary: "Add users who were exported elsewhere", Description: how,
	}, apikey.UsersWrite, a.ImportUsers)
}

// importing is one client or user of an import.
type importing struct {
	id string
	// try adds it, or with dryRun says whether that would succeed. added is false if it is
	// here already.
	try   func(ctx context.Context, dryRun bool) (added bool, err error)
	event audit.Event
}

// importAll adds all, or none if anything conflicts.
func (a *API) importAll(ctx context.Context, all []importing, dryRun bool) (*Reply[Imported], error) {
	var out Imported
	var missing []importing
	for _, one := range all {
		added, err := one.try(ctx, true)
		conflict, ok := errors.AsType[*conflictError](err)
		switch {
		case ok:
			out.Conflicts = append(out.Conflicts, ImportConflict{ID: one.id, Reason: conflict.reason})
		case err != nil:
			return nil, err
		case added:
			missing = append(missing, one)
		default:
			out.Unchanged++
		}
	}
	if len(out.Conflicts) > 0 {
		return reply(out), nil
	}
	out.Added = len(missing)
	if dryRun {
		return reply(out), nil
	}
	for i, one := range missing {
		err := a.change(ctx, one.event, func(ctx context.Context) error {
			_, err := one.try(ctx, false)
			return err
		})
		if conflict, ok := errors.AsType[*conflictError](err); ok { // since a moment ago
			return nil, refused(http.StatusConflict, "%s: %s; %d were added before it: import the file again", one.id, conflict.reason, i)
		}
		if err != nil {
			return nil, fmt.Errorf("%d of %d were added; import the file again: %w", i, len(missing), err)
		}
	}
	return reply(out), nil
}

// conflictError is about one client or user.
type conflictError struct{ reason string }

func (e *conflictError) Error() string { return e.reason }

// ImportClients adds clients.
func (a *API) ImportClients(ctx context.Context, in *ImportClients) (*Reply[Imported], error) {
	if err := allowed(ctx, apikey.ClientsWrite); err != nil {
		return nil, err
	}
	var all []importing
	for _, p := range in.Body.Clients {
		all = append(all, importing{
			id:    p.ID,
			try:   func(ctx context.Context, dryRun bool) (bool, error) { return a.importClient(ctx, p, dryRun) },
			event: audit.Event{Name: audit.ClientImported, Client: p.ID},
		})
	}
	return a.importAll(ctx, all, in.DryRun)
}

func (a *API) importClient(ctx context.Context, p PortableClient, dryRun bool) (added bool, err error) {
	c, err := p.client()
	switch {
	case err != nil:
	case p.ID == "":
		err = errors.New("client_id is missing")
	case p.Registered: // as an operator's, it would be trusted more than it was
		err = errors.New("it registered itself, and has to do so again here; without registered, it is a client of yours")
	}
	if err != nil {
		return false, &conflictError{err.Error()}
	}
	err = a.Clients.Import(ctx, c, dryRun)
	_, invalid := errors.AsType[client.FieldErrors](err)
	switch {
	case errors.Is(err, client.ErrExists):
		known, err := a.Clients.Client(ctx, c.ID)
		if err != nil {
			return false, err
		}
		if !sameClient(known, p) {
			return false, &conflictError{"another client with this client_id is here; edit or remove one of them"}
		}
		return false, nil
	case invalid:
		return false, &conflictError{err.Error()}
	}
	return err == nil, err
}

// sameClient reports whether a client is the one that was exported, whenever each was made.
func sameClient(known client.Client, p PortableClient) bool {
	var now Portable
	now.AddClient(known)
	if len(now.Clients) != 1 {
		return false
	}
	p.Created = now.Clients[0].Created
	here, err := json.Marshal(now.Clients[0])
	there, err2 := json.Marshal(p)
	return err == nil && err2 == nil && bytes.Equal(here, there)
}

// ImportUsers adds users.
func (a *API) ImportUsers(ctx context.Context, in *ImportUsers) (*Reply[Imported], error) {
	if err := allowed(ctx, apikey.UsersWrite); err != nil {
		return nil, err
	}
	var all []importing
	seen := map[string]string{} // of numbers: two users of the file may not share one
	for _, p := range in.Body.Users {
		other := seen[p.Number]
		seen[p.Number] = p.Sub
		all = append(all, importing{
			id: p.Sub,
			try: func(ctx context.Context, dryRun bool) (bool, error) {
				if other != "" {
					return false, &conflictError{"the file gives the number to " + other + ", too"}
				}
				return a.importUser(ctx, p, dryRun)
			},
			event: audit.Event{Name: audit.UserImported, Subject: p.Sub},
		})
	}
	return a.importAll(ctx, all, in.DryRun)
}

func (a *API) importUser(ctx context.Context, p PortableUser, dryRun bool) (added bool, err error) {
	person, err := p.person()
	if err != nil {
		return false, &conflictError{err.Error()}
	}
	added, err = a.People.ImportPerson(ctx, person, dryRun)
	switch {
	case errors.Is(err, subject.ErrNotFound):
		return false, &conflictError{"the user was deleted here, and a sub is never issued again"}
	case errors.Is(err, subject.ErrConflict):
		return false, &conflictError{err.Error()}
	}
	return added, err
}
