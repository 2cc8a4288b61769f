package operator

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"calleridp/cmd/calleridp/command"
	"calleridp/provider/admin"

	"github.com/spf13/cobra"
)

// clientChanges are the flags of `calleridp client edit`.
type clientChanges struct {
	name                        string
	redirects, adding, removing []string
	set, unset                  []string
}

func clientEdit() *cobra.Command {
	var e clientChanges
	c := newCommand(command.Text{
		Use:   "edit CLIENT_ID",
		Short: "change an application; it keeps its secret and its users stay signed in",
		Example: `calleridp client edit shop --add-redirect-uri https://shop.example.com/callback2
calleridp client edit shop --set consent=remember --unset policy_uri`,
	}, func(ctx context.Context, r request, args []string) error {
		path := clients.path + url.PathEscape(args[0])
		var before, after admin.Client
		headers, err := r.exchange(ctx, http.MethodGet, path, http.Header{}, nil, &before)
		if err != nil {
			return err
		}
		patch, err := e.patch(before)
		if err != nil {
			return err
		}
		// What somebody else has changed since then is not overwritten: the server refuses.
		_, err = r.exchange(ctx, http.MethodPatch, path, http.Header{
			"Content-Type": {"application/merge-patch+json"},
			"If-Match":     {headers.Get("ETag")},
		}, patch, &after)
		if err != nil {
			return err
		}
		return printResponse(r, after, func(out io.Writer, after admin.Client) error { return writeEdited(out, before, after) })
	})
	f := c.Flags()
	f.StringVar(&e.name, "name", "", "`name` that users see")
	f.StringArrayVar(&e.redirects, "redirect-uri", nil, "allowed redirect `uri`, in place of all that it has; may be repeated")
	f.StringArrayVar(&e.adding, "add-redirect-uri", nil, "redirect `uri` to allow as well; may be repeated")
	f.StringArrayVar(&e.removing, "remove-redirect-uri", nil, "redirect `uri` to allow no longer; may be repeated")
	f.StringArrayVar(&e.set, "set", nil, "any other `field=value` as client show prints it with --output json, the value as JSON or as text; may be repeated")
	f.StringArrayVar(&e.unset, "unset", nil, "`field` to take away; may be repeated")
	c.ValidArgsFunction = completeClient
	return c
}

// patch returns what of the client changes (RFC 7396).
func (e clientChanges) patch(c admin.Client) (map[string]any, error) {
	patch := map[string]any{}
	if e.name != "" {
		patch["client_name"] = e.name
	}
	uris := slices.Clone(c.RedirectURIs)
	if e.redirects != nil {
		uris = slices.Clone(e.redirects)
	}
	for _, uri := range e.removing {
		i := slices.Index(uris, uri)
		if i < 0 {
			return nil, fmt.Errorf("--remove-redirect-uri: client %s has no redirect URI %s; it has %s", c.ID, uri, strings.Join(uris, " "))
		}
		uris = slices.Delete(uris, i, i+1)
	}
	for _, uri := range e.adding {
		if !slices.Contains(uris, uri) {
			uris = append(uris, uri)
		}
	}
	if !slices.Equal(uris, c.RedirectURIs) {
		patch["redirect_uris"] = uris
	}
	for _, one := range e.set {
		field, value, ok := strings.Cut(one, "=")
		if !ok {
			return nil, command.Usagef("--set %s: write it as FIELD=VALUE", one)
		}
		patch[field] = value
		if json.Valid([]byte(value)) {
			patch[field] = json.RawMessage(value)
		}
	}
	for _, field := range e.unset {
		patch[field] = nil
	}
	if len(patch) == 0 {
		return nil, command.Usagef("nothing changes; use --add-redirect-uri, --name, --set or one of the other flags")
	}
	return patch, nil
}

// writeEdited prints what has changed, and a new secret.
func writeEdited(out io.Writer, before, after admin.Client) error {
	from, to := fieldsOf(before), fieldsOf(after)
	names := maps.Clone(from)
	maps.Copy(names, to)
	changed := 0
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if from[name] == to[name] || name == "client_secret" || name == "warnings" {
			continue
		}
		changed++
		for _, side := range []struct{ sign, value string }{{"-", from[name]}, {"+", to[name]}} {
			if side.value != "" {
				fmt.Fprintf(out, "%s %s: %s\n", side.sign, name, side.value)
			}
		}
	}
	if changed == 0 {
		fmt.Fprintf(out, "client %s is as it was\n", after.ID)
	}
	for _, warning := range after.Warnings {
		fmt.Fprintln(out, "note:", warning)
	}
	if after.Secret != "" {
		fmt.Fprintf(out, "\nclient_secret: %s\n\nThe secret is shown only this once.\n", after.Secret)
	}
	return nil
}

// fieldsOf returns the fields of a client as JSON.
func fieldsOf(c admin.Client) map[string]string {
	fields := map[string]json.RawMessage{}
	raw, err := json.Marshal(c)
	if err == nil {
		err = json.Unmarshal(raw, &fields)
	}
	if err != nil { // a type of ours
		return nil
	}
	texts := map[string]string{}
	for name, value := range fields {
		texts[name] = string(value)
	}
	return texts
}
