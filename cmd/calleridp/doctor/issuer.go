// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	"calleridp/provider/endpoint"
)

// newHTTP returns a client that shows what is there: it follows no redirect, uses no proxy
// of the environment, and leaves compressed responses as they are.
func newHTTP() *http.Client {
	return &http.Client{
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext:            (&net.Dialer{Timeout: timeout / 2}).DialContext,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    timeout / 2,
			MaxResponseHeaderBytes: 64 << 10,
			ForceAttemptHTTP2:      true,
			DisableCompression:     true,
		},
	}
}

// answer is a response, and what the connection told of it.
type answer struct {
	*http.Response
	body      []byte
	local     netip.Addr    // our own address
	firstByte time.Duration // from the request to the first byte of the response
}

// ours reports whether a calleridp server wrote the response, and no proxy by itself.
func (a answer) ours() bool { return a.Header.Get("X-Request-Id") != "" }

// ask makes a request and reads its response, at most a mebibyte of it.
func (e *examination) ask(r *http.Request) (answer, error) {
	var a answer
	var sent time.Time
	r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			if at, err := netip.ParseAddrPort(info.Conn.LocalAddr().String()); err == nil {
				a.local = at.Addr().Unmap()
			}
		},
		WroteRequest:         func(httptrace.WroteRequestInfo) { sent = time.Now() },
		GotFirstResponseByte: func() { a.firstByte = time.Since(sent) },
	}))
	var err error
	if a.Response, err = e.http.Do(r); err != nil {
		return answer{}, withoutURL(err)
	}
	defer a.Body.Close()
	if a.body, err = io.ReadAll(io.LimitReader(a.Body, 1<<20)); err != nil {
		return a, fmt.Errorf("the response was cut short: %w", err)
	}
	return a, nil
}

// withoutURL removes the address from an http.Client's error: a probe's has a token in it.
func withoutURL(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return wrapped.Err
	}
	return err
}

func (e *examination) get(ctx context.Context, address string) (answer, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return answer{}, err
	}
	return e.ask(r)
}

// issuer checks that the issuer's address leads to this deployment. It reports whether
// there is an answer from a calleridp server.
func (e *examination) issuer(ctx context.Context) (answers bool) {
	u, err := url.Parse(e.s.Issuer)
	if err != nil {
		e.add("issuer", Failed, "the issuer is not a URL", "") // the configuration is checked: this does not happen
		return false
	}
	port := u.Port()
	if port == "" {
		port = map[bool]string{true: "443", false: "80"}[e.s.IsHTTPS()]
	}
	addresses := e.resolve(ctx, u.Hostname())
	if !e.connect(ctx, u.Hostname(), port, addresses) {
		for _, check := range []string{"issuer answers", "callback path"} {
			e.add(check, NotChecked, "no connection could be made", "")
		}
		return false
	}
	answers = e.discovery(ctx)
	e.ready(ctx)
	return answers
}

// resolve checks the issuer's name, and returns its addresses.
func (e *examination) resolve(ctx context.Context, host string) []netip.Addr {
	if addr, err := netip.ParseAddr(host); err == nil {
		e.judgeAddresses(host, []netip.Addr{addr})
		return []netip.Addr{addr}
	}
	ctx, done := context.WithTimeout(ctx, timeout)
	defer done()
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		e.add("issuer's name", Failed, fmt.Sprintf("%s does not resolve (%v)", host, err), "make an A record (and AAAA) for it at your domain's name servers, or correct issuer")
		return nil
	}
	for i, addr := range found {
		found[i] = addr.Unmap()
	}
	slices.SortFunc(found, netip.Addr.Compare)
	found = slices.Compact(found)
	e.judgeAddresses(host, found)
	return found
}

func (e *examination) judgeAddresses(host string, found []netip.Addr) {
	var texts []string
	local := ""
	for _, addr := range found {
		texts = append(texts, addr.String())
		if addr.IsLoopback() || addr.IsPrivate() || addr.IsLinkLocalUnicast() {
			local = addr.String()
		}
	}
	if local != "" {
		e.add("issuer's name", Warning, fmt.Sprintf("%s leads to %s, which only this machine or network reaches", host, local),
			"fine for a rehearsal, and if the name resolves to an address of the internet elsewhere: Truecaller's callbacks come from there")
		return
	}
	e.add("issuer's name", OK, host+" is "+strings.Join(texts, ", "), "")
}

// connect checks each address of the issuer, and its certificate. It reports whether one
// can be used.
func (e *examination) connect(ctx context.Context, host, port string, addresses []netip.Addr) bool {
	reached, judged := 0, map[string]bool{}
	for _, addr := range addresses {
		at := net.JoinHostPort(addr.String(), port)
		conn, err := (&net.Dialer{Timeout: timeout / 2}).DialContext(ctx, "tcp", at)
		if err != nil {
			status := Failed
			if e.running != nil && errors.Is(err, syscall.ECONNREFUSED) {
				status = NotChecked // the server does not run yet
			}
			e.add("issuer's address", status, fmt.Sprintf("no connection to %s (%s)", at, reasonOf(err)), unreachableFix(err, port, addr))
			continue
		}
		reached++
		if !e.s.IsHTTPS() {
			conn.Close()
			continue
		}
		for _, r := range certificateAt(conn, host, time.Now()) {
			if key := r.Check + r.Found; !judged[key] { // the same certificate at each address is one finding
				judged[key] = true
				if r.Status == Failed && len(addresses) > 1 {
					r.Found = at + ": " + r.Found
				}
				e.results = append(e.results, r)
			}
		}
	}
	return reached > 0
}

func unreachableFix(err error, port string, addr netip.Addr) string {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Sprintf("nothing listens on port %s there: start the server or the proxy, or lead the port to listen", port)
	case addr.Is6():
		return "give this machine IPv6, or remove the AAAA record"
	}
	return fmt.Sprintf("open port %s in the firewall, or correct the name's address", port)
}

// reasonOf returns the innermost text of a network error.
func reasonOf(err error) string {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		if errno, ok := errors.AsType[syscall.Errno](op); ok {
			return errno.Error()
		}
		return op.Err.Error()
	}
	return err.Error()
}

// certificateEnds is how long before its end a certificate is a warning: renewal is
// usually due a month before.
const certificateEnds = 14 * 24 * time.Hour

// certificateAt judges the certificate that the server on a connection shows, each part of
// it by itself: its end, its name, its chain. It closes the connection.
func certificateAt(conn net.Conn, host string, now time.Time) []Result {
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(timeout / 2))
	// Nothing is sent over this connection. Verifying by hand tells what is wrong.
	over := tls.Client(conn, &tls.Config{ServerName: host, InsecureSkipVerify: true, MinVersion: tls.VersionTLS12})
	if err := over.Handshake(); err != nil {
		return []Result{{"certificate", Failed, fmt.Sprintf("no TLS 1.2 or 1.3 (%v)", err), "give listen tls.cert_file and tls.key_file, or let the proxy speak TLS on this port"}}
	}
	return judgeCertificate(over.ConnectionState().PeerCertificates, host, nil, now)
}

// judgeCertificate judges a certificate and its chain. roots are the authorities that are
// trusted; nil: the system's.
func judgeCertificate(chain []*x509.Certificate, host string, roots *x509.CertPool, now time.Time) (results []Result) {
	refuse := func(found, fix string) {
		results = append(results, Result{"certificate", Failed, found, fix})
	}
	leaf := chain[0]
	until := leaf.NotAfter.UTC().Format("2006-01-02 15:04 UTC")
	switch {
	case now.After(leaf.NotAfter):
		refuse("it ended on "+until, "renew it; if it was renewed, make the proxy read it again")
	case now.Before(leaf.NotBefore):
		refuse("it begins only on "+leaf.NotBefore.UTC().Format("2006-01-02 15:04 UTC"), "check this machine's clock")
	case leaf.NotAfter.Sub(now) < certificateEnds:
		results = append(results, Result{"certificate", Warning, "it ends on " + until, "renew it; if renewal is automatic, find out why it has not happened"})
	}
	if err := leaf.VerifyHostname(host); err != nil {
		refuse(fmt.Sprintf("it is not for %s (%v)", host, err), "get one for the issuer's host, or correct issuer")
	}
	rest := x509.NewCertPool()
	for _, c := range chain[1:] {
		rest.AddCert(c)
	}
	// The end is judged above.
	at := now
	if at.After(leaf.NotAfter) || at.Before(leaf.NotBefore) {
		at = leaf.NotBefore.Add(time.Second)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: rest, CurrentTime: at}); err != nil {
		switch {
		case bytes.Equal(leaf.RawSubject, leaf.RawIssuer) && leaf.CheckSignature(leaf.SignatureAlgorithm, leaf.RawTBSCertificate, leaf.Signature) == nil:
			refuse("it is signed by itself: browsers, clients and Truecaller refuse it", "get one of a public authority, such as Let's Encrypt")
		case len(chain) == 1:
			refuse("the intermediate certificates are missing: some clients, and Truecaller, refuse it", "serve the certificate with its chain (fullchain.pem), not alone")
		default:
			refuse(fmt.Sprintf("this machine does not trust its authority (%v)", err), "get one of a public authority; if this machine lacks authorities, install ca-certificates")
		}
	}
	if len(results) == 0 {
		results = append(results, Result{"certificate", OK, "it is for " + host + ", has its chain, and ends on " + until, ""})
	}
	return results
}

// discovery checks that the issuer's address leads to this deployment, and how.
func (e *examination) discovery(ctx context.Context) (answers bool) {
	const check = "issuer answers"
	a, err := e.get(ctx, e.s.Issuer+endpoint.PathDiscovery)
	if err != nil {
		e.add(check, Failed, fmt.Sprintf("%s gives no response (%v)", e.s.Issuer, err), "see the certificate and address above; is the server running behind the proxy?")
		return false
	}
	var document struct {
		Issuer string `json:"issuer"`
	}
	switch {
	case a.StatusCode >= 300 && a.StatusCode < 400:
		e.add(check, Failed, fmt.Sprintf("it redirects to %s", a.Header.Get("Location")), "let the proxy serve the issuer's host itself; issuer must be the final address")
		return false
	case a.StatusCode != http.StatusOK && a.ours():
		e.add(check, Failed, fmt.Sprintf("the server responded with status %d", a.StatusCode), "look into its log")
		return true
	case a.StatusCode == http.StatusBadGateway || a.StatusCode == http.StatusServiceUnavailable || a.StatusCode == http.StatusGatewayTimeout:
		e.add(check, Failed, fmt.Sprintf("a proxy responded with status %d: it does not reach the server", a.StatusCode), "start the server, or correct the address to which the proxy passes requests (listen is "+e.s.Listen+")")
		return false
	case a.StatusCode != http.StatusOK:
		e.add(check, Failed, fmt.Sprintf("something else than calleridp responded with status %d", a.StatusCode), "let the proxy pass all paths of this host on to listen ("+e.s.Listen+")")
		return false
	case json.Unmarshal(a.body, &document) != nil || document.Issuer == "":
		e.add(check, Failed, "something else than calleridp responded", "let the proxy pass all paths of this host on to listen ("+e.s.Listen+")")
		return false
	case document.Issuer != e.s.Issuer:
		e.add(check, Failed, fmt.Sprintf("the server there has the issuer %s", document.Issuer), "it runs with another configuration: restart it, or correct the proxy")
		return false
	}
	e.add(check, OK, fmt.Sprintf("over %s, the first byte after %d ms", a.Proto, a.firstByte.Milliseconds()), "")
	if a.firstByte > time.Second {
		e.add("time to first byte", Warning, fmt.Sprintf("%d ms, for a document that is ready", a.firstByte.Milliseconds()), "look at the way to the server: distance, a proxy's queue, the load of the machine")
	}
	if a.ProtoMajor < 2 && e.s.IsHTTPS() && !e.s.TLS.HTTP1Only {
		e.add("HTTP version", Warning, a.Proto+": browsers open six connections each, and pages take longer", "turn HTTP/2 on in the proxy")
	}
	if e.s.IsHTTPS() && e.s.TLS.HSTS.Duration > 0 && a.Header.Get("Strict-Transport-Security") == "" {
		e.add("HSTS", Warning, "the proxy removes Strict-Transport-Security, which the server sends", "pass that header on (RFC 6797)")
	}
	return true
}
