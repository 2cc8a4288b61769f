// SPDX-License-Identifier: Apache-2.0

package testworld

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"sync"
	"testing"

	"calleridp/provider/client"
	"calleridp/provider/fetch"
	"calleridp/provider/redact"

	"github.com/go-jose/go-jose/v4"
)

// UnsignedObjects makes the provider accept unsigned request objects.
func UnsignedObjects(c *Config) { c.Provider.RequestObjects = client.RequestObjectsAny }

// ObjectMembers returns the members of a valid request object of the client, changed by
// pairs of name and value. The value nil leaves a member out.
func ObjectMembers(clientID string, pairs ...any) map[string]any {
	members := map[string]any{"iss": clientID, "aud": Issuer}
	for name, values := range AuthRequest(clientID) {
		members[name] = values[0]
	}
	for i := 0; i < len(pairs); i += 2 {
		if members[pairs[i].(string)] = pairs[i+1]; pairs[i+1] == nil {
			delete(members, pairs[i].(string))
		}
	}
	return members
}

// SignedObject returns a request object that "keyjwt" or "secretjwt" has signed. header are
// pairs of name and value.
func SignedObject(t testing.TB, clientID string, members any, header ...string) string {
	t.Helper()
	if clientID == "secretjwt" {
		return ObjectOf(t, jose.HS256, []byte(AssertionSecret), members, header...)
	}
	return ObjectOf(t, jose.ES256, jose.JSONWebKey{Key: assertionKey(), KeyID: "1"}, members, header...)
}

// ObjectOf returns a request object with another signature: members are a map, or raw JSON.
func ObjectOf(t testing.TB, alg jose.SignatureAlgorithm, key, members any, header ...string) string {
	t.Helper()
	options := &jose.SignerOptions{}
	for i := 0; i < len(header); i += 2 {
		options.WithHeader(jose.HeaderKey(header[i]), header[i+1])
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, options)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(payloadOf(t, members))
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// UnsignedObject returns a request object with the algorithm none.
func UnsignedObject(t testing.TB, members any) string {
	t.Helper()
	enc := base64.RawURLEncoding
	return enc.EncodeToString([]byte(`{"alg":"none"}`)) + "." + enc.EncodeToString(payloadOf(t, members)) + "."
}

func payloadOf(t testing.TB, members any) []byte {
	t.Helper()
	if raw, ok := members.(string); ok {
		return []byte(raw)
	}
	payload, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	return payload
}

// Published is what clients publish: it stands for fetch.Client.
type Published struct {
	mu    sync.Mutex
	at    map[string]string
	asked []string
}

// Publish puts a text at an address, "" to take it away.
func (p *Published) Publish(address, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at = maps.Clone(p.at)
	if p.at == nil {
		p.at = map[string]string{}
	}
	p.at[address] = text
}

// Post implements provider.Fetcher: nothing listens there.
func (p *Published) Post(context.Context, string, url.Values) (fetch.Reply, error) {
	return fetch.Reply{}, fetch.ErrResponse
}

// Get implements provider.Fetcher.
func (p *Published) Get(ctx context.Context, address, _ string) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, address)
	if err := fetch.Check(address); err != nil {
		return nil, err
	}
	if p.at[address] == "" {
		return nil, fetch.ErrResponse
	}
	return []byte(p.at[address]), ctx.Err()
}

// Asked returns the addresses that were fetched.
func (p *Published) Asked() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.asked)
}

// PostSET refuses.
func (*Published) PostSET(context.Context, string, redact.Text, string) (fetch.Reply, error) {
	return fetch.Reply{}, fetch.ErrResponse
}
