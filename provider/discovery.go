package provider

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"sync/atomic"
	"time"

	"calleridp/provider/claims"

	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// metadata is the discovery document (OpenID Connect Discovery §3, RFC 8414
// §2). What it lists works, and what works is listed.
type metadata struct {
	Issuer                 string           `json:"issuer"`
	AuthorizationEndpoint  string           `json:"authorization_endpoint"`
	TokenEndpoint          string           `json:"token_endpoint"`
	UserinfoEndpoint       string           `json:"userinfo_endpoint"`
	JWKSURI                string           `json:"jwks_uri"`
	EndSessionEndpoint     string           `json:"end_session_endpoint"`
	IntrospectionEndpoint  string           `json:"introspection_endpoint"`
	RevocationEndpoint     string           `json:"revocation_endpoint"`
	ScopesSupported        []string         `json:"scopes_supported"`
	ResponseTypesSupported []string         `json:"response_types_supported"`
	ResponseModesSupported []string         `json:"response_modes_supported"`
	GrantTypesSupported    []oidc.GrantType `json:"grant_types_supported"`
	ACRValuesSupported     []string         `json:"acr_values_supported"`
	SubjectTypesSupported  []string         `json:"subject_types_supported"`
	IDTokenAlgsSupported   []string         `json:"id_token_signing_alg_values_supported"`
	TokenAuthMethods       []string         `json:"token_endpoint_auth_methods_supported"`
	IntrospectionAuth      []string         `json:"introspection_endpoint_auth_methods_supported"`
	RevocationAuth         []string         `json:"revocation_endpoint_auth_methods_supported"`
	ClaimTypesSupported    []string         `json:"claim_types_supported"`
	ClaimsSupported        []string         `json:"claims_supported"`
	PromptValuesSupported  []string         `json:"prompt_values_supported"`
	CodeChallengeMethods   []string         `json:"code_challenge_methods_supported"`
	UILocalesSupported     []string         `json:"ui_locales_supported,omitempty"`
	ClaimsParameter        bool             `json:"claims_parameter_supported"`
	RequestParameter       bool             `json:"request_parameter_supported"`
	RequestURIParameter    bool             `json:"request_uri_parameter_supported"`
	IssParameter           bool             `json:"authorization_response_iss_parameter_supported"`
}

// document is an answer made once.
type document struct {
	body []byte
	etag string
}

func newDocument(body []byte) document {
	sum := sha256.Sum256(body)
	return document{body, `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`}
}

func (p *Provider) newDiscovery() (document, error) {
	secret := []string{"client_secret_basic", "client_secret_post"}
	body, err := json.Marshal(metadata{
		Issuer:                p.Issuer,
		AuthorizationEndpoint: p.Issuer + PathAuthorize,
		TokenEndpoint:         p.Issuer + PathToken,
		UserinfoEndpoint:      p.Issuer + PathUserinfo,
		JWKSURI:               p.Issuer + PathJWKS,
		EndSessionEndpoint:    p.Issuer + PathEndSession,
		IntrospectionEndpoint: p.Issuer + PathIntrospect,
		RevocationEndpoint:    p.Issuer + PathRevoke,

		ScopesSupported:        claims.Scopes,
		ResponseTypesSupported: []string{"code"},
		ResponseModesSupported: []string{"query", "form_post"},
		GrantTypesSupported:    p.grantTypes(),
		ACRValuesSupported:     []string{ACR},
		SubjectTypesSupported:  []string{"public", "pairwise"},
		IDTokenAlgsSupported:   p.Ring.Algorithms(),
		TokenAuthMethods:       append(secret[:2:2], "none"),
		IntrospectionAuth:      secret,
		RevocationAuth:         append(secret[:2:2], "none"),
		ClaimTypesSupported:    []string{"normal"},
		ClaimsSupported:        append(tokenClaims[:len(tokenClaims):len(tokenClaims)], claims.Names...),
		PromptValuesSupported:  []string{"none", "login", "consent", "select_account"},
		CodeChallengeMethods:   []string{"S256"},
		UILocalesSupported:     p.UILocales,
		IssParameter:           true,
	})
	return newDocument(body), err
}

// The documents may be cached, but not for long: a JWKS for far less than the
// day that a key is published before it signs.
const (
	discoveryCache = "public, max-age=300"
	jwksCacheTime  = "public, max-age=600"
)

func (p *Provider) serveDiscovery(w http.ResponseWriter, r *http.Request) {
	p.discovery.serve(w, r, discoveryCache)
}

// jwksCache keeps the ETag of the key set that was served last.
type jwksCache struct{ last atomic.Pointer[document] }

func (p *Provider) serveJWKS(w http.ResponseWriter, r *http.Request) {
	set := p.Ring.JWKS()
	doc := p.jwks.last.Load()
	if doc == nil || !bytes.Equal(doc.body, set) {
		made := newDocument(set)
		doc = &made
		p.jwks.last.Store(doc)
	}
	doc.serve(w, r, jwksCacheTime)
}

// serve writes a document that anybody may read, from any page.
func (d document) serve(w http.ResponseWriter, r *http.Request, cache string) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	switch r.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodOptions:
		h.Set("Access-Control-Allow-Methods", "GET, HEAD")
		h.Set("Access-Control-Allow-Headers", "*")
		h.Set("Access-Control-Max-Age", "600")
		w.WriteHeader(http.StatusNoContent)
		return
	default:
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", cache)
	h.Set("ETag", d.etag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(d.body))
}
