package provider

import (
	"encoding/base64"
	"encoding/json"
	"errors"

	"calleridp/keys"
	"calleridp/provider/client"
)

// idTokenHint is what an ID token of ours says about whom and for whom.
type idTokenHint struct {
	Issuer   string `json:"iss"`
	Subject  string `json:"sub"`
	Audience string `json:"aud"`
	SID      string `json:"sid"`
	AuthTime int64  `json:"auth_time"`
}

var errHint = errors.New("provider: not an ID token of ours")

// readHint reads an ID token that a client gives back. An expired one is good
// (OpenID Connect RP-Initiated Logout §2): it only says who is meant.
func (p *Provider) readHint(compact string) (idTokenHint, error) {
	payload, err := p.Ring.Verify(compact)
	if err != nil {
		return idTokenHint{}, errHint
	}
	var hint idTokenHint
	if err := json.Unmarshal(payload, &hint); err != nil || hint.Issuer != p.Issuer || hint.Subject == "" || hint.Audience == "" || hint.AuthTime == 0 {
		return idTokenHint{}, errHint
	}
	return hint, nil
}

// subFor is the person's sub as this client knows it: their own, or for a
// pairwise client one that says nothing to clients of another sector (OpenID
// Connect Core §8.1).
func (p *Provider) subFor(c client.Client, sub string) string {
	if !c.Pairwise {
		return sub
	}
	mac := p.Master.MAC(keys.PurposePairwiseSub, []byte(c.Sector()), []byte(sub))
	return base64.RawURLEncoding.EncodeToString(mac[:])
}
