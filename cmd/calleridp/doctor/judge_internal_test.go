// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"calleridp/keys"
	"calleridp/provider/client"
	"calleridp/truecaller"
)

// says fails the test unless results are those of want, each as "status check: text".
func says(t *testing.T, what string, results []Result, want ...string) {
	t.Helper()
	var got []string
	for _, r := range results {
		got = append(got, string(r.Status)+" "+r.Check+": "+r.Found)
		if r.Status == Failed && r.Fix == "" && !strings.Contains(r.Found, ";") {
			t.Errorf("%s: %q says not what to do", what, r.Found)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%s: got %q, want %q", what, got, want)
		return
	}
	for i := range want {
		if !strings.Contains(got[i], want[i]) {
			t.Errorf("%s: got %q, want %q", what, got[i], want[i])
		}
	}
}

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// issue returns a certificate that by signs, or itself if by is nil.
func issue(t *testing.T, by *authority, ca bool, host string, from, until time.Time) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 100))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: host + serial.String()}, NotBefore: from, NotAfter: until,
		IsCA: ca, BasicConstraintsValid: true, DNSNames: []string{host},
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return authority{cert, key}
}

func TestJudgeCertificate(t *testing.T) {
	now := time.Now()
	past, year := now.AddDate(-1, 0, 0), now.AddDate(1, 0, 0)
	root := issue(t, nil, true, "root.test", past, year)
	middle := issue(t, &root, true, "middle.test", past, year)
	leaf := func(host string, from, until time.Time) *x509.Certificate {
		return issue(t, &middle, false, host, from, until).cert
	}
	self := issue(t, nil, false, "id.test", past, year).cert
	roots := x509.NewCertPool()
	roots.AddCert(root.cert)
	const host = "id.test"
	good := leaf(host, past, year)
	for _, row := range []struct {
		name  string
		chain []*x509.Certificate
		roots *x509.CertPool
		want  []string
	}{
		{"good", []*x509.Certificate{good, middle.cert}, roots, []string{"ok certificate: it is for id.test, has its chain, and ends on "}},
		{"ended", []*x509.Certificate{leaf(host, past, now.Add(-time.Hour)), middle.cert}, roots, []string{"FAILED certificate: it ended on "}},
		{"ends soon", []*x509.Certificate{leaf(host, past, now.AddDate(0, 0, 13)), middle.cert}, roots, []string{"warning certificate: it ends on "}},
		{"ends later", []*x509.Certificate{leaf(host, past, now.AddDate(0, 0, 15)), middle.cert}, roots, []string{"ok certificate"}},
		{"not yet", []*x509.Certificate{leaf(host, now.Add(time.Hour), year), middle.cert}, roots, []string{"FAILED certificate: it begins only on "}},
		{"another host", []*x509.Certificate{leaf("www.test", past, year), middle.cert}, roots, []string{"FAILED certificate: it is not for id.test"}},
		{"no chain", []*x509.Certificate{good}, roots, []string{"FAILED certificate: the intermediate certificates are missing"}},
		{"another authority", []*x509.Certificate{good, middle.cert}, x509.NewCertPool(), []string{"FAILED certificate: this machine does not trust its authority"}},
		{"signed by itself", []*x509.Certificate{self}, roots, []string{"FAILED certificate: it is signed by itself"}},
		{"ended, and of another host", []*x509.Certificate{leaf("www.test", past, now.Add(-time.Hour)), middle.cert}, roots, []string{"it ended on", "it is not for id.test"}},
	} {
		says(t, row.name, judgeCertificate(row.chain, host, row.roots, now), row.want...)
	}
}

func TestJudgeRoom(t *testing.T) {
	const gib = 1 << 30
	file := space{dir: "/data", least: leastRoom, some: someRoom, full: "make room"}
	database := space{dir: "/data", least: 1 << 20, some: 16 << 20, full: "make room"}
	for _, row := range []struct {
		space                            space
		free, all, freeFiles, everyFiles uint64
		want                             string
	}{
		{file, 5 * gib, 10 * gib, 1000, 2000, "ok disk: /data has 5120 MiB free of 10 GiB"},
		{file, gib - 1, 10 * gib, 1000, 2000, "warning disk: /data has 1023 MiB free"},
		{file, 63 << 20, 10 * gib, 1000, 2000, "FAILED disk: /data has 63 MiB free"},
		{database, 63 << 20, 10 * gib, 1000, 2000, "ok disk"},
		{database, 1<<20 - 1, 10 * gib, 1000, 2000, "FAILED disk"},
		{file, 5 * gib, 10 * gib, 15, 2000, "FAILED disk: /data has room for 15 more files"},
		{file, 5 * gib, 10 * gib, 0, 0, "ok disk"}, // a file system without a limit
	} {
		says(t, row.want, []Result{row.space.judge(row.free, row.all, row.freeFiles, row.everyFiles)}, row.want)
	}
}

func TestJudgeClock(t *testing.T) {
	for ahead, want := range map[time.Duration]string{
		0:                 "ok clock: it agrees with profile.test",
		-10 * time.Second: "ok clock",
		11 * time.Second:  "warning clock: this machine's clock and profile.test differ by 11s",
		-59 * time.Second: "warning clock",
		-time.Hour:        "FAILED clock: this machine's clock and profile.test differ by 1h0m0s",
	} {
		says(t, want, []Result{judgeClock("profile.test", ahead)}, want)
	}
}

func TestJudgeKeys(t *testing.T) {
	now := time.Now()
	const month = 30 * 24 * time.Hour
	active := func(alg string, age time.Duration) keys.Info {
		return keys.Info{Algorithm: alg, State: keys.Active, Activated: now.Add(-age)}
	}
	next := func(alg string) keys.Info { return keys.Info{Algorithm: alg, State: keys.Next} }
	for name, row := range map[string]struct {
		all  []keys.Info
		want []string
	}{
		"good":         {[]keys.Info{active("RS256", month), next("RS256"), active("ES256", month), next("ES256"), {Algorithm: "RS256", State: keys.Retired}}, []string{"ok signing keys: 2 algorithms"}},
		"none signs":   {[]keys.Info{next("RS256"), active("ES256", 0), next("ES256")}, []string{"FAILED signing keys: RS256 has no active key"}},
		"no next":      {[]keys.Info{active("RS256", 0), active("ES256", 0), next("ES256")}, []string{"warning signing keys: RS256 has no next key"}},
		"not rotated":  {[]keys.Info{active("RS256", 2*month), next("RS256"), active("ES256", 0), next("ES256")}, []string{"warning signing keys: the RS256 key signs since"}},
		"nothing here": {nil, []string{"RS256 has no active key", "ES256 has no active key"}},
	} {
		says(t, name, judgeKeys(row.all, []string{"RS256", "ES256"}, month, now), row.want...)
	}
}

// What a push to a number without Truecaller tells of the appKey.
func TestJudgePush(t *testing.T) {
	for _, row := range []struct {
		err  error
		want string
	}{
		{nil, "ok appKey: Truecaller took a push"},
		{&truecaller.PushError{Kind: truecaller.PushNoAccount, Status: 403, Code: 1008}, "ok appKey: Truecaller refused the number, which no phone has, and not the key"},
		{&truecaller.PushError{Kind: truecaller.PushAppKeyRejected, Status: 404}, "FAILED appKey: Truecaller refuses it"},
		{&truecaller.PushError{Kind: truecaller.PushRefused, Status: 400}, "warning appKey: Truecaller refused the push"},
		{&truecaller.PushError{Kind: truecaller.PushUnavailable, Status: 503}, "not checked appKey: Truecaller gave no usable response"},
		{&truecaller.PushError{Kind: truecaller.PushUnknown}, "not checked appKey: Truecaller gave no usable response"},
		{errors.New("else"), "not checked appKey: else"},
	} {
		says(t, row.want, []Result{judgePush("appKey", row.err)}, row.want)
	}
}

func TestProblemsOfFiles(t *testing.T) {
	dir := t.TempDir()
	open := filepath.Join(dir, "open")
	private := filepath.Join(dir, "private")
	for _, at := range []string{open, private} {
		if err := os.Mkdir(at, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	at := func(dir string, mode os.FileMode) string {
		name := filepath.Join(dir, mode.String())
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
		return name
	}
	uid := os.Getuid()
	for _, row := range []struct {
		name string
		file file
		uid  int
		want string // "": nothing is wrong
	}{
		{"a secret of its user", file{path: at(private, 0o600), secret: true}, uid, ""},
		{"a secret that a group reads", file{path: at(private, 0o640), secret: true}, uid, ""},
		{"a secret for all", file{path: at(private, 0o644), secret: true}, uid, "every user of this machine may use"},
		{"a secret that a group changes", file{path: at(private, 0o660), secret: true}, uid, "its group can change"},
		{"a configuration for all", file{path: at(private, 0o644)}, uid, ""},
		{"a configuration that all change", file{path: at(private, 0o666)}, uid, "every user of this machine can change"},
		{"in a directory that all change", file{path: at(open, 0o600), secret: true}, uid, "every user of this machine can replace"},
		{"a directory for all", file{path: open, secret: true}, uid, "every user of this machine may use"},
		{"missing", file{path: filepath.Join(dir, "missing"), secret: true}, uid, "cannot be looked at"},
		{"missing before the first start", file{path: filepath.Join(dir, "missing"), optional: true}, uid, ""},
		{"of another user", file{path: at(private, 0o600), secret: true}, uid + 1, "and the server runs as"},
	} {
		found, fix := row.file.problem(row.uid)
		if row.want == "" && found != "" || !strings.Contains(found, row.want) || (found == "") != (fix == "") {
			t.Errorf("%s: got %q and %q, want %q", row.name, found, fix, row.want)
		}
	}
}

func TestProbeOfBackChannelLogout(t *testing.T) {
	status := 0
	var got url.Values
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.ParseForm()
		got = r.PostForm
		w.WriteHeader(status)
	}))
	t.Cleanup(s.Close)
	f := trusting(s, netip.MustParsePrefix("127.0.0.0/8"))
	for code, want := range map[int]string{
		400: "ok client: backchannel_logout_uri: it responds",
		200: "FAILED client: backchannel_logout_uri: it accepts an invalid logout token",
		204: "FAILED client: backchannel_logout_uri: it accepts",
		404: "warning client: backchannel_logout_uri: status 404",
		500: "warning client: backchannel_logout_uri: status 500",
	} {
		status = code
		says(t, want, []Result{backChannel(t.Context(), "client", f, s.URL)}, want)
	}
	if len(got) != 1 || strings.Count(got.Get("logout_token"), ".") != 0 {
		t.Errorf("the client got %v, want an invalid logout token", got)
	}
	says(t, "another network", []Result{backChannel(t.Context(), "client", trusting(s), s.URL)}, "FAILED client: backchannel_logout_uri: ")
}

// The redirect URIs of a client are looked at as a browser would, and those of a stranger
// are left alone.
func TestRedirects(t *testing.T) {
	asked := 0
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		switch r.URL.Path {
		case "/callback":
			http.Error(w, "no code", http.StatusBadRequest)
		case "/away":
			http.Redirect(w, r, "https://elsewhere.test/", http.StatusFound)
		case "/broken":
			http.Error(w, "broken", http.StatusBadGateway)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(s.Close)
	e := &examination{http: s.Client()} // it takes example.com for the server
	e.http.CheckRedirect = newHTTP().CheckRedirect
	c := client.Client{RedirectURIs: []string{
		"https://example.com/callback", "https://example.com/away", "https://example.com/broken", "https://example.com/calback",
		"http://127.0.0.1/callback", "com.example.app:/callback",
	}}
	e.redirects(t.Context(), "client", c)
	says(t, "a client", e.results,
		"ok client: redirect_uris[0] https://example.com/callback: it responds", "ok client: redirect_uris[1]",
		"warning client: redirect_uris[2] https://example.com/broken: status 502", "warning client: redirect_uris[3] https://example.com/calback: status 404",
		"not checked client: redirect_uris[4]", "not checked client: redirect_uris[5]")
	e.results, asked = nil, 0
	c.Registration = &client.Registration{}
	c.RedirectURIs = c.RedirectURIs[:1]
	e.redirects(t.Context(), "client", c)
	says(t, "a stranger", e.results, "not checked client: redirect_uris[0]")
	if asked != 0 {
		t.Errorf("%d requests to a stranger's address", asked)
	}
}
