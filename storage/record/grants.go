// SPDX-License-Identifier: Apache-2.0

package record

import (
	"calleridp/keys"
	"calleridp/provider/grant"
)

// Grants are found by their id.
var Grants = Kind{Name: "grants", purpose: keys.PurposeGrantRecord, version: 3, expires: true, empty: empty[Grant]}

// Codes are found by their SHA-256.
var Codes = Kind{Name: "codes", purpose: keys.PurposeCodeRecord, version: 3, expires: true, empty: empty[Code]}

// AccessTokens are found by their SHA-256.
var AccessTokens = Kind{Name: "access_tokens", purpose: keys.PurposeAccessTokenRecord, version: 1, expires: true, empty: empty[AccessToken]}

// Grant is a grant.Grant.
type Grant grant.Grant

func (g *Grant) fields(c *codec, version byte) {
	text(c, &g.ID)
	text(c, &g.ClientID)
	text(c, &g.Sub)
	text(c, &g.SID)
	texts(c, &g.Scopes)
	text(c, &g.Nonce)
	c.time(&g.AuthTime)
	text(c, &g.ACR)
	texts(c, &g.AMR)
	c.time(&g.Created)
	c.time(&g.Expires)
	c.flag(&g.Revoked)
	c.flag(&g.Offline)
	number(c, &g.Generation)
	number(c, &g.Repeats)
	c.time(&g.Rotated)
	if version >= 3 {
		texts(c, &g.IDTokenClaims)
		texts(c, &g.UserinfoClaims)
	}
}

// Code is a grant.Code. It contains a Grant of the same version, so Codes and
// Grants always have the same version: raise both when either changes.
type Code grant.Code

func (k *Code) fields(c *codec, version byte) {
	hash(c, &k.Hash)
	text(c, &k.RedirectURI)
	text(c, &k.Challenge)
	(*Grant)(&k.Grant).fields(c, version)
	c.time(&k.Expires)
	c.flag(&k.Redeemed)
	if version >= 2 {
		c.time(&k.FormExpires)
	}
	if version >= 3 {
		c.flag(&k.Denied)
	}
}

// DeviceRequests are found by the MAC of their user code.
var DeviceRequests = Kind{Name: "device_requests", purpose: keys.PurposeDeviceRequestRecord, version: 1, expires: true, empty: empty[DeviceRequest]}

// DeviceRequest is a grant.DeviceRequest.
type DeviceRequest grant.DeviceRequest

func (d *DeviceRequest) fields(c *codec, _ byte) {
	hash(c, &d.User)
	hash(c, &d.Code)
	text(c, &d.ClientID)
	texts(c, &d.Scopes)
	text(c, &d.Network)
	c.time(&d.Created)
	c.time(&d.Expires)
}

// AccessToken is a grant.AccessToken.
type AccessToken grant.AccessToken

func (a *AccessToken) fields(c *codec, _ byte) {
	hash(c, &a.Hash)
	text(c, &a.GrantID)
	texts(c, &a.Scopes)
	c.time(&a.Issued)
	c.time(&a.Expires)
}
