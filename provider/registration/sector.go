// SPDX-License-Identifier: Apache-2.0

package registration

import (
	"context"
	"encoding/json"
	"net/url"
	"slices"
	"strings"

	"calleridp/provider/client"
	"calleridp/provider/fetch"
	"calleridp/truecaller"
)

// checkSector gives a pairwise client its sector, and refuses one that is not its own
// (OpenID Connect Core §8.1, Dynamic Client Registration §5): what is published at
// sector_identifier_uri must list all redirect URIs.
func (e *Endpoint) checkSector(ctx context.Context, c *client.Client) error {
	const member = "sector_identifier_uri"
	uri := c.Registration.SectorIdentifierURI
	if uri == "" {
		// A loopback address or a scheme has no owner: all such clients would share
		// one sector.
		if sector := c.Sector(); c.Pairwise && (sector == "" || truecaller.IsLoopback(sector)) {
			return refuse(member, "missing; subject_type pairwise needs it unless all redirect_uris have one host on the web")
		}
		return nil
	}
	if err := fetch.Check(uri); err != nil {
		return refuse(member, "%s", strings.TrimPrefix(err.Error(), fetch.ErrAddress.Error()+": "))
	}
	raw, err := e.cfg.Fetch.Get(ctx, uri, "application/json")
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		// Nothing of the error: it tells what is where in the network.
		return refuse(member, "could not be fetched: it must answer at once, with status 200 and without a redirect, at a public address")
	}
	var listed []string
	if json.Unmarshal(raw, &listed) != nil {
		return refuse(member, "is not a JSON array of redirect URIs")
	}
	for _, redirect := range c.RedirectURIs {
		if !slices.Contains(listed, redirect) {
			return refuse(member, "does not list %q", redirect)
		}
	}
	u, err := url.Parse(uri)
	if err != nil {
		return refuse(member, "is not a URL")
	}
	c.SectorHost = strings.ToLower(u.Hostname())
	return nil
}
