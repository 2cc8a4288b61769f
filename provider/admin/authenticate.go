// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"calleridp/provider/apikey"
	"calleridp/provider/audit"
	"calleridp/provider/limit"

	"github.com/danielgtaylor/huma/v2"
)

// authenticate gives a request the access of its API key (RFC 6750 §2.1). A request whose
// context has an access is one on the Unix socket; one without a key goes on without any, and
// gets no further than the documents. There are no cookies, so no page in a browser can use
// what an operator has, and no CORS.
func (a *API) authenticate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := r.Header.Get("Authorization")
		if _, known := r.Context().Value(accessKey{}).(Access); known || header == "" {
			next.ServeHTTP(w, r)
			return
		}
		scheme, text, _ := strings.Cut(header, " ")
		if !strings.EqualFold(scheme, "Bearer") {
			text = ""
		}
		k, err := a.Authenticate(r, strings.TrimSpace(text))
		if err != nil {
			p := a.problem(r.Context(), &huma.Operation{OperationID: "authenticate"}, err)
			if p.Status == http.StatusTooManyRequests {
				w.Header().Set("Retry-After", "60")
			}
			writeProblem(w, r, p)
			return
		}
		access := Access{Who: fmt.Sprintf("key %s (%s)", k.Name, k.ID), Scopes: k.Scopes, Until: k.Expires}
		next.ServeHTTP(w, r.WithContext(WithAccess(r.Context(), access)))
	})
}

// Authenticate returns the API key that a request presents, wherever it does. The error is a
// Problem for one that is not valid, and another one after too many of those from one network.
// A valid key is served whatever others of its network present: to look costs one read and one
// hash, and there is nothing to guess.
func (a *API) Authenticate(r *http.Request, text string) (apikey.Key, error) {
	network, now := networkOf(r), time.Now()
	k, err := apikey.Authenticate(r.Context(), a.APIKeys, text, now)
	if errors.Is(err, apikey.ErrUnauthenticated) {
		if !a.failures.may(network, now) {
			return apikey.Key{}, refused(http.StatusTooManyRequests, "too many requests with a wrong API key from %s; try again in a minute, or with a valid key", network)
		}
		a.failures.add(network, now)
		a.Audit.Record(r.Context(), audit.Event{Name: audit.APIKeyRefused, Network: network})
		p := refused(http.StatusUnauthorized, "the API key is not valid: it was removed or has expired, or never was one; calleridp api-key list shows those there are")
		p.challenge = true
		return apikey.Key{}, p
	}
	return k, err
}

// networkOf returns the network of the connection: admin_listen has no proxy in front whose
// headers could be trusted.
func networkOf(r *http.Request) string {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return "unknown"
	}
	return limit.NetworkOf(from.Addr().Unmap())
}

// failures counts wrong keys by network. To guess one of 2^256 is hopeless; this bounds what
// trying writes to the audit, and slows down a program with an old key. It is in memory, for each server alone: what it forgets when the
// server stops is at most a minute old.
type failures struct {
	mu   sync.Mutex
	seen map[string]failure
}

type failure struct {
	since time.Time
	n     int
}

// A network may present so many wrong keys in so long; so many networks are told apart.
const (
	mostFailures    = 30
	failuresFor     = time.Minute
	mostFailingNets = 1000
)

func (f *failures) may(network string, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	known := f.seen[network]
	return now.Sub(known.since) >= failuresFor || known.n < mostFailures
}

func (f *failures) add(network string, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	known, ok := f.seen[network]
	if !ok && len(f.seen) >= mostFailingNets || f.seen == nil {
		f.seen = map[string]failure{} // an attacker with so many networks is not stopped by this
	}
	if now.Sub(known.since) >= failuresFor {
		known = failure{since: now}
	}
	known.n++
	f.seen[network] = known
}
