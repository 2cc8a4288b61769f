// SPDX-License-Identifier: Apache-2.0

package discovery

import (
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"calleridp/provider/endpoint"
)

// relIssuer is the link relation of an OpenID Provider (OpenID Connect Discovery §2).
const relIssuer = "http://openid.net/specs/connect/1.0/issuer"

const (
	// webfingerCache is as long as that of the metadata.
	webfingerCache = metadataCache
	// maxResource is how long a resource may be, in bytes: it comes back in the answer.
	maxResource = 2 << 10
)

// descriptor is a JSON Resource Descriptor (RFC 7033 §4.4).
type descriptor struct {
	Subject string `json:"subject"`
	Links   []link `json:"links"`
}

type link struct {
	Rel  string `json:"rel"`
	Href string `json:"href"`
}

// webfinger tells a client which issuer serves the users of a host (OpenID Connect
// Discovery §2, RFC 7033 §4): for every resource of the issuer's own host it is this one,
// and 404 for all others. Nothing is looked up, so that the answer never tells whether a
// user exists.
func (d *Documents) webfinger(w http.ResponseWriter, r *http.Request) {
	if !public(w, r) {
		return
	}
	refuse := func(status int, why string) {
		endpoint.NoStore(w)
		http.Error(w, why, status)
	}
	query := endpoint.ParseForm(r.URL.RawQuery)
	resources := query["resource"]
	if len(resources) != 1 || resources[0] == "" || len(resources[0]) > maxResource {
		refuse(http.StatusBadRequest, "resource must be given once: a URI of at most 2048 bytes (RFC 7033 section 4.2)")
		return
	}
	host, ok := d.hostOf(resources[0])
	if !ok {
		refuse(http.StatusBadRequest, "resource is not an acct: or https: URI")
		return
	}
	if !d.ours(host) {
		refuse(http.StatusNotFound, "this server knows nothing about the host of the resource")
		return
	}
	answer := descriptor{Subject: strings.ToValidUTF8(resources[0], "\uFFFD"), Links: []link{}}
	if rels := query["rel"]; len(rels) == 0 || slices.Contains(rels, relIssuer) { // RFC 7033 §4.3
		answer.Links = append(answer.Links, link{Rel: relIssuer, Href: d.issuer.String()})
	}
	body, err := json.Marshal(answer)
	if err != nil { // a plain struct of ours always marshals
		panic(err)
	}
	h := w.Header()
	h.Set("Content-Type", "application/jrd+json")
	h.Set("Cache-Control", webfingerCache)
	h.Set("X-Content-Type-Options", "nosniff")
	w.Write(body) // an error means that the client disconnected
}

// hostOf returns the host of a resource, with its port if it names one; ok is false for
// what is neither an account nor an address of the web.
func (d *Documents) hostOf(resource string) (host string, ok bool) {
	scheme, rest, _ := strings.Cut(resource, ":")
	if strings.EqualFold(scheme, "acct") { // RFC 7565 §7
		at := strings.LastIndexByte(rest, '@')
		if at <= 0 || strings.ContainsAny(rest, "/?# ") {
			return "", false
		}
		host = rest[at+1:]
		return host, host != ""
	}
	u, err := url.Parse(resource)
	if err != nil || u.Scheme != "https" && u.Scheme != d.issuer.Scheme || u.Hostname() == "" {
		return "", false
	}
	return u.Host, true
}

// ours reports whether a host is the issuer's. An account has no port, and one that is left
// out is the usual one of https.
func (d *Documents) ours(host string) bool {
	if strings.EqualFold(host, d.issuer.Hostname()) {
		return true
	}
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		return false
	}
	mine := d.issuer.Port()
	if mine == "" {
		mine = "443"
	}
	return strings.EqualFold(name, d.issuer.Hostname()) && port == mine
}
