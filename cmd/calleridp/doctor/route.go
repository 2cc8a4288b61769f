// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"calleridp/cmd/calleridp/probe"
	"calleridp/provider/endpoint"
	"calleridp/truecaller"
)

// forged is an address that no sender has (RFC 5737): what doctor writes into
// X-Forwarded-For, as an attacker would.
var forged = netip.MustParseAddr("198.51.100.77")

// probed is the response to a probe.
type probed struct {
	answer
	probe.Report
}

// probe sends a probe of the kind Callback to the callback path of an app. more changes the
// request.
func (e *examination) probe(ctx context.Context, app string, body []byte, more func(*http.Request)) (probed, error) {
	path := probe.CallbackPath(app, probe.Token(e.s.Master, probe.Callback, time.Now()))
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, e.s.Issuer+path, bytes.NewReader(body))
	if err != nil {
		return probed{}, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept-Encoding", "gzip") // whether a proxy compresses; the report is read only if none does
	if more != nil {
		more(r)
	}
	a, err := e.ask(r)
	if err != nil {
		return probed{answer: a}, err
	}
	plain, err := decompressed(a)
	if err != nil {
		return probed{answer: a}, err
	}
	report, err := probe.ParseReport(e.s.Master, plain)
	return probed{a, report}, err
}

// route checks how requests reach the server: it sends probes through the issuer's
// address, and the server reports what came.
func (e *examination) route(ctx context.Context) {
	var apps []string
	for _, app := range e.s.Apps {
		if !app.NativeOnly() {
			apps = append(apps, app.ID)
		}
	}
	if len(apps) == 0 {
		e.add("callback path", NotChecked, "no app gets callbacks: all are native", "")
		return
	}
	body := []byte(`{"requestId":"probe","accessToken":"probe"}`)
	first, err := e.probe(ctx, apps[0], body, nil)
	if !e.callback(first, err, int64(len(body)), apps[0]) {
		for _, check := range []string{"client addresses", "host", "cookies", "live events"} {
			e.add(check, NotChecked, "the probe did not reach the server", "")
		}
		return
	}
	for _, app := range apps[1:] {
		other, err := e.probe(ctx, app, body, nil)
		e.callback(other, err, int64(len(body)), app)
	}
	e.sizes(ctx, apps[0])
	e.serverClock(first)
	addresses := e.addresses(first)
	second, err := e.probe(ctx, apps[0], body, func(r *http.Request) {
		r.Header.Set("X-Forwarded-For", forged.String())
		cookie := probe.Cookie(e.s.IsHTTPS())
		r.AddCookie(&http.Cookie{Name: cookie.Name, Value: cookie.Value})
	})
	if err != nil {
		e.add("client addresses", NotChecked, fmt.Sprintf("a second probe did not reach the server (%v)", err), "run doctor again")
		return
	}
	if addresses {
		e.forged(second)
	}
	e.host(first)
	e.cookies(first, second)
	if encoding := first.Header.Get("Content-Encoding"); encoding != "" {
		e.add("compression", Failed, fmt.Sprintf("a proxy compresses responses (%s): their length tells of the secrets in them (BREACH)", encoding),
			"turn compression off in the proxy (gzip off, encode); the server compresses what may be compressed")
	}
	e.events(ctx)
}

// callback judges the probe on the callback path of an app, and reports whether it reached
// the server.
func (e *examination) callback(p probed, err error, sent int64, app string) bool {
	const check = "callback path"
	path := endpoint.PathCallback + app + "/..."
	switch {
	case err == nil && p.Body != sent:
		e.add(check, Failed, fmt.Sprintf("of a body of %d bytes on %s, %d reached the server", sent, path, p.Body), "let the proxy pass request bodies on as they are")
		return true
	case err == nil && p.StatusCode != http.StatusOK:
		e.add(check, Failed, fmt.Sprintf("a proxy changes the status on %s to %d", path, p.StatusCode), "let it pass responses on as they are")
		return true
	case err == nil:
		e.add(check, OK, "a POST to "+path+" reaches the server", "")
		return true
	case !errors.Is(err, probe.ErrReport):
		e.add(check, Failed, fmt.Sprintf("a POST to %s gives no response (%v)", path, err), "see the checks above; a firewall may cut POST requests off")
	case p.ours():
		e.add(check, Failed, fmt.Sprintf("a POST to %s reaches a server that does not know the probe (status %d)", path, p.StatusCode),
			"the server there has another master key, an older version, or a clock that is more than ten minutes off: restart it with this configuration")
	default:
		e.add(check, Failed, fmt.Sprintf("a proxy or firewall responded with status %d to a POST to %s", p.StatusCode, path),
			"pass "+endpoint.PathCallback+" on as it is; exempt it from the rules of a web application firewall against bots and unknown senders: Truecaller's callbacks stop there too")
	}
	return false
}

// sizes checks that the largest callback and a long address get through.
func (e *examination) sizes(ctx context.Context, app string) {
	largest := bytes.Repeat([]byte(" "), truecaller.MaxCallback)
	switch p, err := e.probe(ctx, app, largest, nil); {
	case err != nil && !p.isZero():
		e.add("request size", Failed, fmt.Sprintf("a body of %d KiB does not get through (status %d)", truecaller.MaxCallback>>10, p.StatusCode), "let the proxy accept bodies of 1 MiB (client_max_body_size 1m)")
	case err != nil:
		e.add("request size", Failed, fmt.Sprintf("a body of %d KiB does not get through (%v)", truecaller.MaxCallback>>10, err), "let the proxy accept bodies of 1 MiB (client_max_body_size 1m)")
	case p.Body != truecaller.MaxCallback:
		e.add("request size", Failed, fmt.Sprintf("of a body of %d KiB, %d bytes reached the server", truecaller.MaxCallback>>10, p.Body), "let the proxy pass request bodies on as they are")
	}
	const long = 10 << 10
	a, err := e.get(ctx, e.s.Issuer+endpoint.PathDiscovery+"?x="+strings.Repeat("x", long))
	found := ""
	switch {
	case err != nil:
		found = err.Error()
	case a.StatusCode != http.StatusOK:
		found = fmt.Sprintf("status %d", a.StatusCode)
	default:
		return
	}
	e.add("request size", Warning, fmt.Sprintf("an address of %d KiB does not get through (%s): authorization requests with a signed request object can be so long", long>>10, found),
		"let the proxy accept headers of 16 KiB (large_client_header_buffers 4 16k)")
}

func (p probed) isZero() bool { return p.Response == nil }

// serverClock compares the clock of the server with that of this machine.
func (e *examination) serverClock(p probed) {
	off := time.Since(p.Time).Abs()
	if off > 5*time.Second {
		e.add("clock", Failed, fmt.Sprintf("the server's clock and this machine's differ by %s", off.Round(time.Second)), "synchronise both (timedatectl set-ntp true)")
	}
}

// addresses judges whom the server takes for the sender of the first probe. It reports
// whether that is settled, so that a forged address can be tried.
func (e *examination) addresses(p probed) bool {
	const check = "client addresses"
	forwarded := elements(p.Forwarded)
	trust := fmt.Sprintf("add it to trusted_proxies: [%s]", prefixOf(p.Peer))
	switch {
	case !p.Trusted && len(forwarded) > 0:
		e.add(check, Failed, fmt.Sprintf("the proxy at %s is not in trusted_proxies: the server takes it for every user, who share one limits.network budget", p.Peer), trust)
	case !p.Trusted && !e.s.TLS.On() && e.s.IsHTTPS():
		e.add(check, Failed, fmt.Sprintf("the proxy at %s is not in trusted_proxies and writes no X-Forwarded-For: all users share one limits.network budget", p.Peer),
			trust+", and let it write X-Forwarded-For (proxy_set_header X-Forwarded-For $remote_addr)")
	case p.Trusted && len(forwarded) == 0:
		e.add(check, Failed, fmt.Sprintf("the proxy at %s writes no X-Forwarded-For: all users share one limits.network budget", p.Peer),
			"let it write the address of its client (proxy_set_header X-Forwarded-For $remote_addr)")
	case p.Trusted && p.Client == p.Peer && forwarded[len(forwarded)-1] != p.Peer:
		e.add(check, Failed, fmt.Sprintf("the proxy at %s writes X-Forwarded-For: %.60s, which is no address", p.Peer, forwarded[len(forwarded)-1]),
			"let it write the address of its client (proxy_set_header X-Forwarded-For $remote_addr)")
	case p.Trusted:
		e.add(check, OK, fmt.Sprintf("the server sees %s through the proxy at %s; doctor is %s there", p.Client, p.Peer, p.local), "")
		return true
	default:
		e.add(check, OK, fmt.Sprintf("the server sees %s, without a proxy", p.Client), "")
		return true
	}
	return false
}

// forged judges a probe that came with an X-Forwarded-For of its own.
func (e *examination) forged(p probed) {
	const check = "forged addresses"
	forwarded := elements(p.Forwarded)
	last := ""
	if len(forwarded) > 0 {
		last = forwarded[len(forwarded)-1]
	}
	switch {
	case p.Client != forged.String():
		e.add(check, OK, "an X-Forwarded-For that a client sends changes nothing", "")
	case last == forged.String():
		e.add(check, Failed, "the proxy passes on the client's X-Forwarded-For: an attacker can choose any address and evade limits.network",
			"let it overwrite or extend that header (proxy_set_header X-Forwarded-For $remote_addr)")
	default:
		e.add(check, NotChecked, fmt.Sprintf("doctor's own address %s is in trusted_proxies", last), "run doctor on another machine, or name the proxies in trusted_proxies more narrowly")
	}
}

// elements returns what X-Forwarded-For headers list.
func elements(headers []string) []string {
	var all []string
	for text := range strings.SplitSeq(strings.Join(headers, ","), ",") {
		if text = strings.TrimSpace(text); text != "" {
			all = append(all, text)
		}
	}
	return all
}

// prefixOf returns an address as a network.
func prefixOf(address string) string {
	addr, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	return netip.PrefixFrom(addr, addr.BitLen()).String()
}

// host judges the Host header that the server got.
func (e *examination) host(p probed) {
	want := ""
	if u, err := url.Parse(e.s.Issuer); err == nil {
		want = u.Host
	}
	if strings.EqualFold(p.Host, want) {
		e.add("host", OK, "the server gets the issuer's host", "")
		return
	}
	e.add("host", Failed, fmt.Sprintf("the server gets Host: %.100s, and browsers send %s: forms of browsers without Sec-Fetch-Site are refused", p.Host, want),
		"let the proxy pass the Host header on (proxy_set_header Host $http_host)")
}

// cookies judges the cookie that the first report set, and the second probe brought.
func (e *examination) cookies(first, second probed) {
	want := probe.Cookie(e.s.IsHTTPS())
	set := first.Cookies()
	at := slices.IndexFunc(set, func(c *http.Cookie) bool { return c.Name == want.Name })
	fix := "let the proxy pass Set-Cookie and Cookie on as they are (no proxy_cookie_path, proxy_cookie_domain or proxy_cookie_flags)"
	switch {
	case at < 0:
		e.add("cookies", Failed, "the cookie that the server sets does not arrive", fix)
	case set[at].Value != want.Value || set[at].Path != want.Path || set[at].Domain != want.Domain ||
		set[at].Secure != want.Secure || set[at].HttpOnly != want.HttpOnly || set[at].SameSite != want.SameSite:
		e.add("cookies", Failed, fmt.Sprintf("a proxy changes cookies: %s arrives as %s", attributes(want), attributes(set[at])), fix+"; browsers refuse __Host- cookies with another path or domain")
	case second.Cookie != want.Value:
		e.add("cookies", Failed, "the cookie that a browser sends does not reach the server", fix)
	default:
		e.add("cookies", OK, "they arrive as they were set: "+attributes(want), "")
	}
}

// attributes returns a cookie without its value.
func attributes(c *http.Cookie) string {
	_, rest, _ := strings.Cut(c.String(), ";")
	return strings.TrimSpace(rest)
}

// events checks that live events arrive while their stream is open.
func (e *examination) events(ctx context.Context) {
	const check = "live events"
	ctx, done := context.WithTimeout(ctx, timeout+probe.StreamFor)
	defer done()
	address := e.s.Issuer + probe.EventsPath(probe.Token(e.s.Master, probe.Events, time.Now()))
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		e.add(check, NotChecked, err.Error(), "")
		return
	}
	r.Header.Set("Accept", "text/event-stream")
	r.Header.Set("Accept-Encoding", "gzip")
	begun := time.Now()
	streaming := *e.http
	streaming.Timeout = 0 // ctx has it
	response, err := streaming.Do(r)
	if err != nil {
		e.add(check, Failed, fmt.Sprintf("no response (%v)", withoutURL(err)), "let the proxy pass "+endpoint.PathAttempt+" on")
		return
	}
	defer response.Body.Close()
	switch {
	case response.StatusCode == http.StatusServiceUnavailable:
		e.add(check, NotChecked, "the server has too many probes at once", "run doctor again in a few seconds")
		return
	case response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != "text/event-stream":
		e.add(check, Failed, fmt.Sprintf("status %d and %q in place of a stream", response.StatusCode, response.Header.Get("Content-Type")), "let the proxy pass "+endpoint.PathAttempt+" on as it is")
		return
	}
	fix := "turn buffering and compression off for " + endpoint.PathAttempt + " (proxy_buffering off; and not proxy_ignore_headers X-Accel-Buffering), or pages learn of an approval only when they poll"
	events := 0
	var body io.Reader = response.Body
	if response.Header.Get("Content-Encoding") == "gzip" {
		if body, err = gunzip(response.Body); err != nil {
			e.add(check, Failed, fmt.Sprintf("the stream cannot be read (%v)", err), fix)
			return
		}
	}
	for lines := bufio.NewScanner(body); events < 2 && lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "data:") {
			events++
		}
	}
	took := time.Since(begun)
	switch {
	case events < 2:
		e.add(check, Failed, fmt.Sprintf("the stream ended after %s", plural(events, "event")), fix)
	case took >= probe.StreamFor-time.Second/2:
		e.add(check, Failed, fmt.Sprintf("a proxy buffers: the events arrived after %.1f s, when their stream had ended", took.Seconds()), fix)
	default:
		e.add(check, OK, fmt.Sprintf("the second event arrived after %d ms, while its stream was open", took.Milliseconds()), "")
	}
}
