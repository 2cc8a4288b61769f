package config

import (
	"fmt"
	"os"
	"strings"
	"time"

	"calleridp/provider/client"
)

// clientKeys are the keys of those fields of a client that have another name here.
var clientKeys = map[string]string{
	"id":           "client_id",
	"secret":       "secret_file",
	"without_pkce": "dangerously_without_pkce",
	"jwks":         "jwks_file",
}

func (d *decoder) checkClients(all []Client, here client.Deployment) []client.Client {
	var clients []client.Client
	first := map[string]string{}
	for i, c := range all {
		key := fmt.Sprintf("clients[%d]", i)
		if d.clientKeys != nil {
			key = d.clientKeys[i]
		}
		if before, twice := first[c.ID]; twice && c.ID != "" {
			d.refuse(key+".client_id", "%q is already declared in %s", c.ID, before)
		} else {
			first[c.ID] = key
		}
		out := d.checkClient(key, c)
		d.refuseFields(key, client.ValidateFor(out, here), clientKeys)
		d.refuseFields(key, client.Validate(out), clientKeys)
		clients = append(clients, out)
	}
	return clients
}

// checkClient checks what only this file can say wrongly; package client validates
// the rest.
func (d *decoder) checkClient(key string, c Client) client.Client {
	out := client.Client{
		ID:                     c.ID,
		Name:                   c.Name,
		LogoURI:                c.LogoURI,
		URI:                    c.URI,
		TOSURI:                 c.TOSURI,
		PolicyURI:              c.PolicyURI,
		Colour:                 c.Colour,
		ColourDark:             c.ColourDark,
		Public:                 c.Public,
		AuthMethod:             client.AuthMethod(c.AuthMethod),
		AuthAlg:                c.AuthAlg,
		KeysURI:                c.JWKSURI,
		Native:                 c.Native,
		RedirectURIs:           c.RedirectURIs,
		PostLogoutRedirectURIs: c.PostLogoutRedirectURIs,
		AllowedOrigins:         c.AllowedOrigins,
		Scopes:                 c.Scopes,
		DefaultScopes:          c.DefaultScopes,
		DefaultACRValues:       c.DefaultACRValues,
		ResponseTypes:          client.ParseResponseTypes(c.ResponseTypes),
		WithoutPKCE:            c.DangerouslyWithoutPKCE,
		IDTokenAlg:             c.IDTokenAlg,
		Responses: client.ResponseMetadata{
			IDTokenEncryptionAlg:  c.IDTokenEncryptionAlg,
			IDTokenEncryptionEnc:  c.IDTokenEncryptionEnc,
			UserinfoAlg:           c.UserinfoAlg,
			UserinfoEncryptionAlg: c.UserinfoEncryptionAlg,
			UserinfoEncryptionEnc: c.UserinfoEncryptionEnc,
		}.Responses(),
		Pairwise:         c.SubjectType == "pairwise",
		SectorHost:       c.SectorHost,
		DeviceFlow:       c.DeviceFlow,
		InitiateLoginURI: c.InitiateLoginURI,
		Region:           c.Region,
		Countries:        c.Countries,
		TruecallerApp:    c.TruecallerApp,
		RequestObjects:   client.RequestObjects{Alg: c.RequestObjectAlg, Required: c.RequireSignedRequestObject, URIs: c.RequestURIs},
		FrontChannel:     client.FrontChannel{LogoutURI: c.FrontChannelLogoutURI, SessionRequired: c.FrontChannelLogoutSessionRequired},
		BackChannel: client.BackChannel{
			LogoutURI:       c.BackchannelLogoutURI,
			SessionRequired: c.BackchannelLogoutSessionRequired,
		},
	}
	if c.Name == "" {
		d.refuse(key+".name", "missing; users see it when they sign in")
	}
	if c.DefaultMaxAge > 0 {
		age := time.Duration(c.DefaultMaxAge)
		out.DefaultMaxAge = &age
	}
	switch c.SubjectType {
	case "", "public", "pairwise":
	default:
		d.refuse(key+".subject_type", "%q is unknown; use public or pairwise", c.SubjectType)
	}
	if consent, ok := client.ParseConsent(c.Consent); ok {
		out.Consent = consent
	} else {
		d.refuse(key+".consent", "%q is unknown; use none, remember or always", c.Consent)
	}
	if where, ok := client.ParseScopeClaims(c.ScopeClaims); ok {
		out.ScopeClaims = where
	} else {
		d.refuse(key+".scope_claims", "%q is unknown; use both, id_token or userinfo", c.ScopeClaims)
	}
	secret := strings.TrimSpace(string(c.Secret))
	switch {
	case c.SecretFile != "":
		secret = d.checkSecretFile(key+".secret_file", c.SecretFile)
		if reason := checkClientSecret(secret); secret != "" && reason != "" {
			d.refuse(key+".secret_file", "%s %s", c.SecretFile, reason)
			secret = ""
		}
		if secret == "" {
			secret = unread
		}
	case d.failed(key + ".secret"):
		secret = unread
	}
	if secret != "" {
		out.AddSecret(secret)
	}
	if c.JWKSFile != "" {
		set, err := os.ReadFile(c.JWKSFile)
		switch {
		case err != nil:
			d.refuse(key+".jwks_file", "%s", fileReason(c.JWKSFile, err))
			out.KeysURI = "https://unread.invalid" // so that nothing else is said of it
		default:
			out.Keys = string(set)
		}
	}
	return out
}

// checkClientSecret returns why a client's secret is refused, "" if it is not (RFC
// 6749 §10.10, appendix A.2). Its length is all that can be checked: 32 hexadecimal
// digits of a generator have the 128 bits that nobody guesses, and are stored as a
// fast hash.
func checkClientSecret(text string) (reason string) {
	strange := strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' })
	if len(text) < 32 || strange {
		return "has a secret that is too weak: it must be at least 32 printable ASCII characters; create one with openssl rand -hex 32"
	}
	return ""
}
