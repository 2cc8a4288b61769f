// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"io/fs"
	"os"
	"slices"

	"calleridp/cmd/calleridp/config"
	"calleridp/cmd/calleridp/serve"
	"calleridp/provider/client"
	"calleridp/provider/console"
	"calleridp/provider/fetch"
	"calleridp/ui"
)

// reloading is what of a running program takes over a configuration that is read again.
type reloading struct {
	registry *client.Registry
	pages    *ui.UI
	fetcher  *fetch.Client
	secrets  *serve.CallbackSecrets
	door     *console.Console // nil: there is no console
	now      *running         // shows the configuration
}

// prepare implements serve.Program's Prepare.
func (r reloading) prepare(s config.Settings) (use func(context.Context), changed []string, err error) {
	useClients, err := r.registry.PrepareConfig(s.Clients)
	if err != nil {
		return nil, nil, err
	}
	usePages, differ, err := r.pages.Prepare(ui.Config{DeploymentName: s.UI.Name, Brand: s.Brand, Overrides: overrides(s)})
	if err != nil {
		return nil, nil, ofPages(s, err)
	}
	if differ {
		changed = append(changed, "ui")
	}
	if !slices.Equal(r.fetcher.Networks(), s.ClientNetworks) {
		changed = append(changed, "client_networks")
	}
	if r.door != nil && !r.door.HasOperators(s.Operators, s.Console.Subs) {
		changed = append(changed, "console")
	}
	return func(ctx context.Context) {
		useClients()
		usePages()
		r.fetcher.SetNetworks(s.ClientNetworks)
		r.secrets.Reload(ctx, s)
		if r.door != nil {
			r.door.SetOperators(s.Operators, s.Console.Subs)
		}
		r.now.settings.Store(&s)
	}, changed, nil
}

// overrides returns the operator's files for the pages, nil for none.
func overrides(s config.Settings) fs.FS {
	if s.UI.OverridesDir == "" {
		return nil
	}
	return os.DirFS(s.UI.OverridesDir)
}

// ofPages says that an error of drawing the pages is one of the operator's files, if there are
// any: the pages without them are tested.
func ofPages(s config.Settings, err error) error {
	if s.UI.OverridesDir == "" {
		return err
	}
	return config.OverridesError(err)
}
