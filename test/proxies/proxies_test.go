// SPDX-License-Identifier: Apache-2.0

// Package proxies runs the built program behind real proxies, with the files of
// deploy/proxy and with each mistake that `calleridp doctor` names.
package proxies

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"calleridp/cmd/calleridp/selfsigned"
	"calleridp/test/harness"
)

// result is a line of `calleridp doctor --output json`.
type result struct{ Check, Status, Found, Fix string }

// doctor runs calleridp doctor, which trusts the authority in roots.
func doctor(t *testing.T, config, roots string, args ...string) (results []result, status int) {
	t.Helper()
	cmd := exec.Command(harness.Binary(t), append([]string{"doctor", "--config", config, "--output", "json"}, args...)...)
	cmd.Env = append(os.Environ(), "SSL_CERT_FILE="+roots, "SSL_CERT_DIR=/nonexistent")
	out, err := cmd.Output()
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		status = failed.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out, &results); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return results, status
}

// findings returns what is not ok of what a proxy can do.
func findings(results []result) (texts []string) {
	for _, r := range results {
		// The rehearsal is not Truecaller, and its host is this machine.
		if r.Status == "ok" || strings.Contains(r.Found, "IS NOT TRUECALLER") || r.Check == "issuer's name" || strings.HasPrefix(r.Check, "appKey") || r.Check == "clock" {
			continue
		}
		texts = append(texts, r.Status+" "+r.Check+": "+r.Found+" -> "+r.Fix)
	}
	return texts
}

// world is a server behind a proxy that the test starts.
type world struct {
	server     *harness.Production
	address    string // of the proxy
	upstream   string // of the server
	cert, key  string
	dir        string
	truecaller string
}

func newWorld(t *testing.T) *world {
	w := &world{dir: t.TempDir(), address: "127.0.0.1:" + harness.FreePort(t)}
	w.cert, w.key = filepath.Join(w.dir, "tls.crt"), filepath.Join(w.dir, "tls.key")
	if err := selfsigned.Write(w.cert, w.key, "127.0.0.1"); err != nil {
		t.Fatal(err)
	}
	vendor := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(vendor.Close)
	w.truecaller = vendor.URL
	w.server = harness.ServeBehind(t, "https://"+w.address, vendor.URL, "trusted_proxies: [127.0.0.1/32]\n")
	w.upstream = strings.TrimPrefix(w.server.Address(), "http://")
	return w
}

// runs starts a proxy until the end of the test.
func (w *world) runs(t *testing.T, name string, args ...string) {
	t.Helper()
	program, err := exec.LookPath(name)
	if err != nil { // Debian has nginx where only root looks
		program, err = exec.LookPath("/usr/sbin/" + name)
	}
	if err != nil {
		t.Fatalf("%v: ./test/all installs it", err)
	}
	var log strings.Builder
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.Env = append(os.Environ(), "HOME="+w.dir, "XDG_DATA_HOME="+w.dir, "XDG_CONFIG_HOME="+w.dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { cmd.Wait(); close(done) }()
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		<-done
		if t.Failed() {
			t.Log(log.String())
		}
	})
	harness.Eventually(t, name+" listens", func() bool {
		select {
		case <-done:
			t.Fatalf("%s exited: %s", name, log.String())
		default:
		}
		c, err := net.Dial("tcp", w.address)
		if err != nil {
			return false
		}
		c.Close()
		return true
	})
}

// edited returns a file of deploy/proxy with other texts in it, which it must have.
func edited(t *testing.T, name string, replace ...string) string {
	t.Helper()
	raw, err := os.ReadFile("../../deploy/proxy/" + name)
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	for i := 0; i < len(replace); i += 2 {
		if !strings.Contains(text, replace[i]) {
			t.Fatalf("%s has no %q", name, replace[i])
		}
		text = strings.ReplaceAll(text, replace[i], replace[i+1])
	}
	return text
}

func write(t *testing.T, file, text string) string {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// nginx starts nginx with the file of deploy/proxy. change are texts of it and their
// replacements.
func (w *world) nginx(t *testing.T, change ...string) {
	t.Helper()
	text := edited(t, "nginx.conf", change...)
	for _, here := range [][2]string{
		{"listen 443 ssl", "listen " + w.address + " ssl"}, {"listen [::]:443 ssl", "# IPv6"},
		{"server_name login.example.com", "server_name _"},
		{"/etc/letsencrypt/live/login.example.com/fullchain.pem", w.cert}, {"/etc/letsencrypt/live/login.example.com/privkey.pem", w.key},
		{"127.0.0.1:8080", w.upstream},
	} {
		if !strings.Contains(text, here[0]) {
			t.Fatalf("nginx.conf has no %q", here[0])
		}
		text = strings.ReplaceAll(text, here[0], here[1])
	}
	text, _, _ = strings.Cut(text, "\nserver {\n    listen 80;") // no test may listen there
	user := ""
	if os.Getuid() == 0 {
		user = "user root;\n"
	}
	dir := t.TempDir()
	conf := write(t, filepath.Join(dir, "nginx.conf"), user+"daemon off;\nerror_log stderr;\npid "+dir+"/pid;\nevents {}\nhttp {\naccess_log off;\n"+
		"client_body_temp_path "+dir+"/body; proxy_temp_path "+dir+"/proxy; fastcgi_temp_path "+dir+"/f; uwsgi_temp_path "+dir+"/u; scgi_temp_path "+dir+"/s;\n"+
		text+"\n}\n")
	w.runs(t, "nginx", "-p", dir, "-c", conf, "-e", "stderr")
}

// row is a mistake, and what doctor says of it.
type row struct {
	name   string
	change []string // texts of the file, and what stands there by mistake
	says   []string // "" alone: nothing is wrong
}

func (w *world) try(t *testing.T, rows []row, start func(t *testing.T, change ...string)) {
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			start(t, row.change...)
			results, status := doctor(t, w.server.Config(), w.cert)
			found := findings(results)
			all := strings.Join(found, "\n")
			wantStatus := 0
			for _, says := range row.says {
				if strings.HasPrefix(says, "FAILED") {
					wantStatus = 1
				}
				if !strings.Contains(all, says) {
					t.Errorf("doctor does not say %q", says)
				}
			}
			if status != wantStatus || len(found) != len(row.says) && wantStatus == 0 {
				t.Errorf("exit status %d, want %d, and %d findings, want %d:\n%s", status, wantStatus, len(found), len(row.says), all)
			}
		})
	}
}

func TestNginx(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const (
		forwarded = "proxy_set_header X-Forwarded-For $remote_addr;"
		pass      = "proxy_pass http://calleridp;"
		location  = "    location / {"
	)
	w.try(t, []row{
		{name: "as in deploy"},
		{"buffering", []string{"proxy_buffering off;", "proxy_ignore_headers X-Accel-Buffering;"}, []string{"FAILED live events: a proxy buffers"}},
		{"no X-Forwarded-For", []string{forwarded, `proxy_set_header X-Forwarded-For "";`}, []string{"FAILED client addresses: the proxy at 127.0.0.1 writes no X-Forwarded-For"}},
		{"no address in it", []string{forwarded, `proxy_set_header X-Forwarded-For unknown;`}, []string{"FAILED client addresses: the proxy at 127.0.0.1 writes X-Forwarded-For: unknown"}},
		{"what clients write is passed on", []string{forwarded, "set $from $remote_addr; if ($http_x_forwarded_for) { set $from $http_x_forwarded_for; } proxy_set_header X-Forwarded-For $from;"},
			[]string{"FAILED forged addresses: the proxy passes on"}},
		{"a proxy that is not trusted", []string{pass, pass + " proxy_bind 127.0.0.9;"}, []string{"FAILED client addresses: the proxy at 127.0.0.9 is not in trusted_proxies", "trusted_proxies: [127.0.0.9/32]"}},
		{"one that writes nothing, too", []string{pass, pass + " proxy_bind 127.0.0.9;", forwarded, `proxy_set_header X-Forwarded-For "";`}, []string{"FAILED client addresses: the proxy at 127.0.0.9 is not in trusted_proxies and writes no X-Forwarded-For"}},
		{"another host", []string{"proxy_set_header Host $http_host;", ""}, []string{"FAILED host: the server gets Host: calleridp"}},
		{"cookies of another path", []string{"gzip off;", "gzip off; proxy_cookie_path / /sso;"}, []string{"FAILED cookies: a proxy changes cookies"}},
		{"cookies without Secure", []string{"gzip off;", "gzip off; proxy_cookie_flags ~ nosecure;"}, []string{"FAILED cookies: a proxy changes cookies"}},
		{"cookies that are dropped", []string{"gzip off;", `gzip off; proxy_set_header Cookie "";`}, []string{"FAILED cookies: the cookie that a browser sends does not reach"}},
		{"compression", []string{"gzip off;", "gzip on; gzip_proxied any;"}, []string{"FAILED compression: a proxy compresses responses (gzip)"}},
		{"compressed events", []string{"gzip off;", "gzip on; gzip_proxied any; gzip_types text/event-stream; proxy_ignore_headers X-Accel-Buffering;", "proxy_buffering off;", ""}, []string{"FAILED live events: a proxy buffers"}},
		{"a firewall", []string{location, "location /callback/ { return 403; }\n" + location}, []string{"FAILED callback path: a proxy or firewall responded with status 403", "not checked live events"}},
		{"small bodies", []string{"client_max_body_size 1m;", "client_max_body_size 1k;"}, []string{"FAILED request size: a body of 16 KiB does not get through (status 413)"}},
		{"short addresses", []string{"large_client_header_buffers 4 16k;", ""}, []string{"warning request size: an address of 10 KiB does not get through"}},
		{"no HSTS", []string{"gzip off;", "gzip off; proxy_hide_header Strict-Transport-Security;"}, []string{"warning HSTS"}},
		{"HTTP/1.1 alone", []string{" http2;", ";"}, []string{"warning HTTP version: HTTP/1.1"}},
		{"a server that is not there", []string{"server 127.0.0.1:8080;", "server 127.0.0.1:1; # 127.0.0.1:8080"}, []string{"FAILED issuer answers: a proxy responded with status 502"}},
		{"a redirect", []string{location, "location = /.well-known/openid-configuration { return 301 https://www.example.com/; }\n" + location}, []string{"FAILED issuer answers: it redirects to https://www.example.com/"}},
		{"another site", []string{location, "location = /.well-known/openid-configuration { return 200 hello; }\n" + location}, []string{"FAILED issuer answers: something else than calleridp responded"}},
	}, w.nginx)
}

// caddy starts Caddy with the file of deploy/proxy.
func (w *world) caddy(t *testing.T, change ...string) {
	t.Helper()
	text := edited(t, "Caddyfile", append(change,
		"login.example.com {", "{\n\tadmin off\n\tauto_https off\n\tlocal_certs\n}\nhttps://"+w.address+" {\n\ttls "+w.cert+" "+w.key,
		"127.0.0.1:8080 {", w.upstream+" {")...)
	conf := write(t, filepath.Join(t.TempDir(), "Caddyfile"), text)
	w.runs(t, "caddy", "run", "--adapter", "caddyfile", "--config", conf)
}

func TestCaddy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const flush = "flush_interval -1"
	w.try(t, []row{
		{name: "as in deploy"},
		{"buffering", []string{flush, "buffer_responses #"}, []string{"FAILED live events: a proxy buffers"}},
		{"no X-Forwarded-For", []string{flush, "header_up -X-Forwarded-For #"}, []string{"FAILED client addresses: the proxy at 127.0.0.1 writes no X-Forwarded-For"}},
		{"another host", []string{flush, "header_up Host wrong.example.com #"}, []string{"FAILED host: the server gets Host: wrong.example.com"}},
		{"compression", []string{"\treverse_proxy ", "\tencode gzip\n\treverse_proxy "}, []string{"FAILED compression: a proxy compresses responses (gzip)"}},
	}, w.caddy)
}

// Without a proxy, and with a server that another configuration started.
func TestAnotherServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.nginx(t)
	other := harness.ServeBehind(t, "https://"+w.address, w.truecaller, "trusted_proxies: [127.0.0.1/32]\n")
	results, status := doctor(t, other.Config(), w.cert) // its issuer leads to the first
	if all := strings.Join(findings(results), "\n"); status != 1 || !strings.Contains(all, "FAILED callback path: a POST to /callback/default/... reaches a server that does not know the probe (status 404)") {
		t.Errorf("exit status %d:\n%s", status, all)
	}
	results, status = doctor(t, w.server.Config(), "/dev/null")
	if all := strings.Join(findings(results), "\n"); status != 1 || !strings.Contains(all, "FAILED certificate: it is signed by itself") {
		t.Errorf("a certificate that nobody trusts: exit status %d:\n%s", status, all)
	}
}
