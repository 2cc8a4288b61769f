package operator

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"

	"calleridp/cmd/calleridp/command"
	"calleridp/provider/admin"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func clientEdit() *cobra.Command {
	var flags clientFlags
	var cmd *cobra.Command
	cmd = newCommand(command.Text{
		Use:   "edit CLIENT_ID",
		Short: "change an application in place: its secret, its tokens and its users' consents stay",
		Long: `Name what changes; all else stays. A flag that may be repeated replaces the whole list.
An empty value takes away: --logo-uri ''. A switch is turned off by --public=false.
If the application changes meanwhile, nothing is done.`,
		Example: `calleridp client edit shop --redirect-uri https://shop.example.com/callback --redirect-uri https://www.shop.example.com/callback
calleridp client edit shop --logo-uri ''`,
	}, func(ctx context.Context, r request, args []string) error {
		path := clients.path + url.PathEscape(args[0])
		var known, edited admin.Client
		header, err := r.exchange(ctx, http.MethodGet, path, nil, nil, &known)
		if err != nil {
			return err
		}
		patch, err := changes(known, cmd.Flags())
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
		return printResponse(r, edited, writeClient)
	})
	flags.define(cmd)
	cmd.ValidArgsFunction = completeClient
	return cmd
}

// changes returns the merge patch (RFC 7396) that does to a client what the flags that were
// given say.
func changes(known admin.Client, given *pflag.FlagSet) (map[string]json.RawMessage, error) {
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

// fields returns a client as the fields of its JSON.
func fields(c admin.Client) (map[string]json.RawMessage, error) {
	raw, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	all := map[string]json.RawMessage{}
	return all, json.Unmarshal(raw, &all)
}
