// SPDX-License-Identifier: Apache-2.0

package record

import (
	"time"

	"calleridp/keys"
	"calleridp/provider/client"
	"calleridp/provider/redact"
)

// Clients are found by their client id.
var Clients = Kind{Name: "clients", purpose: keys.PurposeClientRecord, version: 4, empty: empty[Client]}

// Client is a client.Client.
type Client client.Client

func (r *Client) fields(c *codec, version byte) {
	text(c, &r.ID)
	text(c, &r.Name)
	text(c, &r.LogoURI)
	text(c, &r.URI)
	text(c, &r.TOSURI)
	text(c, &r.PolicyURI)
	text(c, &r.Colour)
	text(c, &r.ColourDark)
	list(c, &r.SecretHashes, hash[client.SecretHash])
	c.flag(&r.Public)
	texts(c, &r.RedirectURIs)
	texts(c, &r.PostLogoutRedirectURIs)
	texts(c, &r.AllowedOrigins)
	texts(c, &r.Scopes)
	c.flag(&r.WithoutPKCE)
	text(c, &r.IDTokenAlg)
	c.flag(&r.Pairwise)
	text(c, &r.SectorHost)
	maxAge := r.DefaultMaxAge != nil
	if c.flag(&maxAge); maxAge {
		if r.DefaultMaxAge == nil {
			r.DefaultMaxAge = new(time.Duration)
		}
		c.int64((*int64)(r.DefaultMaxAge))
	}
	text(c, &r.Region)
	text(c, &r.TruecallerApp)
	c.time(&r.Created)
	c.flag(&r.FromConfig)
	text(c, &r.Consent)
	c.flag(&r.Native)
	texts(c, &r.Countries)
	if version >= 2 {
		texts(c, &r.DefaultScopes)
	}
	if version >= 3 {
		text(c, &r.AuthMethod)
		text(c, &r.AuthAlg)
		list(c, &r.Secrets, text[redact.Text])
		text(c, &r.Keys)
		text(c, &r.KeysURI)
	}
	if version >= 4 {
		list(c, &r.ResponseTypes, text[client.ResponseType])
		text(c, &r.ScopeClaims)
		encryption(c, &r.Responses.IDToken)
		text(c, &r.Responses.UserinfoAlg)
		encryption(c, &r.Responses.Userinfo)
		texts(c, &r.DefaultACRValues)
		registered := r.Registration != nil
		if c.flag(&registered); registered {
			if r.Registration == nil {
				r.Registration = new(client.Registration)
			}
			registration(c, r.Registration)
		}
		requestObjects(c, &r.RequestObjects)
		text(c, &r.FrontChannel.LogoutURI)
		c.flag(&r.FrontChannel.SessionRequired)
		text(c, &r.BackChannel.LogoutURI)
		c.flag(&r.BackChannel.SessionRequired)
		c.flag(&r.DeviceFlow)
		text(c, &r.InitiateLoginURI)
		c.flag(&r.Signals)
	}
}

func requestObjects(c *codec, r *client.RequestObjects) {
	text(c, &r.Alg)
	c.flag(&r.Required)
	texts(c, &r.URIs)
}

func encryption(c *codec, e *client.Encryption) {
	text(c, &e.Alg)
	text(c, &e.Enc)
}

func registration(c *codec, r *client.Registration) {
	hash(c, &r.TokenHash)
	text(c, &r.InitialToken)
	c.flag(&r.Used)
	text(c, &r.ApplicationType)
	texts(c, &r.GrantTypes)
	text(c, &r.SectorIdentifierURI)
	texts(c, &r.Contacts)
	text(c, &r.SoftwareID)
	text(c, &r.SoftwareVersion)
	c.flag(&r.RequireAuthTime)
}

// InitialTokens are found by their SHA-256.
var InitialTokens = Kind{Name: "initial_tokens", purpose: keys.PurposeInitialTokenRecord, version: 1, expires: true, empty: empty[InitialToken]}

// InitialToken is a client.InitialToken.
type InitialToken client.InitialToken

func (t *InitialToken) fields(c *codec, _ byte) {
	hash(c, &t.Hash)
	text(c, &t.ID)
	text(c, &t.Note)
	c.time(&t.Created)
	c.time(&t.Expires)
	number(c, &t.Left)
}

// Assertions are tombstones of used client assertions, found by client.AssertionID.
var Assertions = Kind{Name: "assertions", purpose: keys.PurposeAssertionRecord, version: 1, expires: true, empty: empty[Tombstone]}
