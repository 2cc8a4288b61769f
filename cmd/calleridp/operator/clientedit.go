// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"bytes"
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
	"github.com/spf13/pflag"
)

func clientEdit() *cobra.Command {
	var flags clientFlags
	var uris uriChanges
	var cmd *cobra.Command
	cmd = newCommand(command.Text{
		Use:   "edit CLIENT_ID",
		Short: "change an application in place: its secret, its tokens and its users' consents stay",
		Long: `It changes what the flags name, and nothing else. A flag that may be repeated replaces the
whole list. An empty value removes the old one: --logo-uri ''. --public=false turns a switch
off. If the application changes meanwhile, the command fails and changes nothing.`,
		Example: `calleridp client edit shop --add-redirect-uri https://www.shop.example.com/callback
calleridp client edit shop --logo-uri ''`,
	}, func(ctx context.Context, r request, args []string) error {
		path := clients.path + url.PathEscape(args[0])
		var known, edited admin.Client
		header, err := r.exchange(ctx, http.MethodGet, path, nil, nil, &known)
		if err != nil {
			return err
		}
		patch, err := changes(known, cmd.Flags(), uris)
		if err != nil {
			return err
		}
		if len(patch) == 0 {
			return command.Usagef("nothing changes; name what is to be changed, run calleridp client edit -h to list the flags")
		}
		_, err = r.exchange(ctx, http.MethodPatch, path, http.Header{
			"Content-Type": {"application/merge-patch+json"},
			"If-Match":     {header.Get("ETag")},
		}, patch, &edited)
		if err != nil {
			return err
		}
		return printResponse(r, edited, func(out io.Writer, edited admin.Client) error { return writeEdited(out, known, edited) })
	})
	flags.define(cmd)
	cmd.Flags().StringArrayVar(&uris.add, "add-redirect-uri", nil, "redirect `uri` to allow as well; may be repeated")
	cmd.Flags().StringArrayVar(&uris.remove, "remove-redirect-uri", nil, "redirect `uri` to allow no longer; may be repeated")
	cmd.ValidArgsFunction = completeClient
	return cmd
}

// uriChanges are redirect URIs to add to those that the client has, and to remove.
type uriChanges struct{ add, remove []string }

// of returns the redirect URIs of a client after the changes.
func (u uriChanges) of(c admin.Client) ([]string, error) {
	uris := slices.Clone(c.RedirectURIs)
	for _, uri := range u.remove {
		i := slices.Index(uris, uri)
		if i < 0 {
			return nil, fmt.Errorf("--remove-redirect-uri: client %s has no redirect URI %s; it has %s", c.ID, uri, strings.Join(c.RedirectURIs, " "))
		}
		uris = slices.Delete(uris, i, i+1)
	}
	for _, uri := range u.add {
		if !slices.Contains(uris, uri) {
			uris = append(uris, uri)
		}
	}
	return uris, nil
}

// changes returns the merge patch (RFC 7396) that does to a client what the flags that were
// given say.
func changes(known admin.Client, given *pflag.FlagSet, uris uriChanges) (map[string]json.RawMessage, error) {
	var flags clientFlags
	scratch := &cobra.Command{}
	flags.define(scratch)
	flags.fill(known)
	var failed error
	given.Visit(func(f *pflag.Flag) {
		to := scratch.Flags().Lookup(f.Name)
		if to == nil || failed != nil { // one that does not describe the client
			return
		}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			// A single empty value is the empty list.
			values := slices.DeleteFunc(list.GetSlice(), func(s string) bool { return s == "" })
			failed = to.Value.(pflag.SliceValue).Replace(values)
			return
		}
		failed = to.Value.Set(f.Value.String())
	})
	if failed != nil {
		return nil, failed
	}
	next, err := flags.client()
	if err != nil {
		return nil, err
	}
	if given.Changed("jwks-file") && flags.jwks == "" {
		next.Keys = nil
	}
	if next.RedirectURIs, err = uris.of(next); err != nil {
		return nil, err
	}
	before, err := fields(known)
	if err != nil {
		return nil, err
	}
	patch, err := fields(next)
	if err != nil {
		return nil, err
	}
	for name, value := range before {
		if after, ok := patch[name]; !ok {
			patch[name] = json.RawMessage("null")
		} else if bytes.Equal(after, value) {
			delete(patch, name)
		}
	}
	return patch, nil
}

// writeEdited prints what has changed, and a new secret.
func writeEdited(out io.Writer, before, after admin.Client) error {
	from, err := fields(before)
	if err != nil {
		return err
	}
	to, err := fields(after)
	if err != nil {
		return err
	}
	names := maps.Clone(from)
	maps.Copy(names, to)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if bytes.Equal(from[name], to[name]) || name == "client_secret" || name == "warnings" {
			continue
		}
		for _, side := range []struct {
			sign  string
			value json.RawMessage
		}{{"-", from[name]}, {"+", to[name]}} {
			if side.value != nil {
				fmt.Fprintf(out, "%s %s: %s\n", side.sign, name, side.value)
			}
		}
	}
	for _, warning := range after.Warnings {
		fmt.Fprintln(out, "note:", warning)
	}
	if after.Secret != "" {
		fmt.Fprintf(out, "\nclient_secret: %s\n\nThe secret is shown only this once.\n", after.Secret)
	}
	return nil
}

// fields returns a client as the fields of its JSON.
func fields(c admin.Client) (map[string]json.RawMessage, error) {
	raw, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	all := map[string]json.RawMessage{}
	return all, json.Unmarshal(raw, &all)
}
