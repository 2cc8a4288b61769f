package provider

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"

	"calleridp/provider/claims"
)

// tokenClaims are the claims of the sign-in itself, for the discovery document.
var tokenClaims = []string{"iss", "sub", "aud", "azp", "exp", "iat", "auth_time", "nonce", "acr", "amr", "at_hash", "sid"}

// idToken makes and signs an ID token (OpenID Connect Core §2): one signature,
// the only one of a sign-in.
func (p *Provider) idToken(i issue) (string, error) {
	sub := p.subFor(i.client, i.grant.Sub)
	alg := i.client.SigningAlg()
	var o claims.Object
	o.String("iss", p.Issuer)
	o.String("sub", sub)
	// One audience is a string, and azp equals it: some brokers insist.
	o.String("aud", i.client.ID)
	o.String("azp", i.client.ID)
	o.Time("exp", i.now.Add(p.Lifetimes.IDToken))
	o.Time("iat", i.now)
	o.Time("auth_time", i.grant.AuthTime)
	o.Text("nonce", i.nonce)
	o.Text("acr", i.grant.ACR)
	o.Strings("amr", i.grant.AMR)
	o.String("at_hash", tokenHash(alg, i.access))
	o.Text("sid", i.grant.SID)
	claims.Add(&o, i.person, sub, i.scopes)
	return p.Ring.Sign(alg, "JWT", o.JSON())
}

// tokenHash is the left half of the token's hash (at_hash, OpenID Connect Core
// §3.1.3.6), with the hash that belongs to the algorithm of the signature.
func tokenHash(alg, token string) string {
	if alg == "EdDSA" { // Ed25519 hashes with SHA-512
		sum := sha512.Sum512([]byte(token))
		return base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
	}
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
}
