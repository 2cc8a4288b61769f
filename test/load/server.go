// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"calleridp/storage/postgres/pgtest"
	"calleridp/truecaller/simulator"
)

const (
	appKey         = "load-app-key"
	callbackSecret = "load-callback-secret-load-callback-secret"
	redirectURI    = "http://127.0.0.1:1/callback"
	clientSecret   = "load-client-secret-of-32-characters"
)

// server is the measured process, with the simulator beside it.
type server struct {
	issuer, dir string
	truecaller  string
	debug       string
	process     *exec.Cmd
	simulator   *exec.Cmd
	admin       http.Client
	coldStart   time.Duration
	roots       *x509.CertPool // nil without TLS

	database *pgtest.Server // nil: the embedded store, or one that cannot be measured
	peer     *exec.Cmd      // another server over the database, or nil
	waitAt   string         // where pages wait: the peer, or the issuer
}

// setup is what is measured.
type setup struct {
	binary  string // the built calleridp; "" builds one
	methods string // of the Truecaller app
	// byHand makes users approve when the load decides, and not at once.
	byHand bool
	tls    bool // with a certificate that signs itself

	postgres *pgtest.Options // of a database; nil: the embedded store, or that of dsnFile
	dsnFile  string          // has the connection string of another one, whose CPU time cannot be measured
	peer     bool            // pages wait at another server over the database
	deaf     bool            // the servers cannot listen to each other
	more     string          // lines of the configuration
	// fill, if not nil, is called before the first start, with an empty database.
	fill func(*server) error
}

// buildServer builds calleridp in a folder.
func buildServer(dir string) (binary string, err error) {
	binary = filepath.Join(dir, "calleridp")
	build := exec.Command("go", "build", "-o", binary, "calleridp/cmd/calleridp")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return "", fmt.Errorf("building calleridp: %w", err)
	}
	return binary, nil
}

// startServer starts the simulator and the server.
func startServer(ctx context.Context, of setup) (*server, error) {
	binary := of.binary
	dir, err := os.MkdirTemp("", "calleridp-load-")
	if err != nil {
		return nil, err
	}
	s := &server{dir: dir}
	if binary == "" {
		if binary, err = buildServer(dir); err != nil {
			return nil, err
		}
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	if s.debug, err = freeAddress(); err != nil {
		return nil, err
	}
	storage := storageBolt
	switch {
	case of.dsnFile != "":
		storage = storagePostgres + ", dsn_file: " + of.dsnFile
	case of.postgres != nil:
		if s.database, err = pgtest.Start(*of.postgres); err != nil {
			return nil, err
		}
		storage = storagePostgres + ", dsn_file: " + filepath.Join(dir, "dsn")
		if of.deaf {
			storage += ", pooler: transaction"
		}
		if err := os.WriteFile(filepath.Join(dir, "dsn"), []byte(s.database.DSN("postgres")), 0o600); err != nil {
			return nil, err
		}
	}
	s.issuer = "http://" + address
	certificate, tlsKeys := "", ""
	if of.tls {
		s.issuer = "https://" + address
		certificate = filepath.Join(dir, "tls.crt")
		tlsKeys = fmt.Sprintf("tls: {cert_file: %s, key_file: %s/tls.key}", certificate, dir)
		if err := writeCertificate(certificate, filepath.Join(dir, "tls.key")); err != nil {
			return nil, err
		}
		if s.roots, err = rootsOf(certificate); err != nil {
			return nil, err
		}
	}

	s.simulator = exec.CommandContext(ctx, os.Args[0], "simulator", s.issuer+"/callback/default/"+callbackSecret, strconv.FormatBool(of.byHand), certificate)
	s.simulator.Stderr = os.Stderr
	out, err := s.simulator.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.simulator.Start(); err != nil {
		return nil, err
	}
	truecaller, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("the simulator did not start: %w", err)
	}
	s.truecaller = strings.TrimSpace(truecaller)

	for name, text := range map[string]string{"appkey": appKey, "callback": callbackSecret, "secret": clientSecret, "calleridp.yaml": fmt.Sprintf(`
issuer: %[1]s
listen: %[2]s
data_dir: %[3]s/data
master_key_file: %[3]s/master.key
debug_listen: %[5]s
storage: {engine: %[9]s}
truecaller: {app_name: Load, methods: [%[7]s], app_key_file: %[3]s/appkey, callback_secret_file: %[3]s/callback, api_url: "%[4]s", profile_urls: ["%[4]s"]}
clients:
  - {client_id: rs256, name: RS256, secret_file: %[3]s/secret, redirect_uris: ["%[6]s"]}
  - {client_id: es256, name: ES256, secret_file: %[3]s/secret, redirect_uris: ["%[6]s"], id_token_signed_response_alg: ES256}
connections: {max: 100000, per_network: 100000}
drain: {ready_delay: 0s}
%[8]s
%[10]s
`, s.issuer, address, dir, s.truecaller, s.debug, redirectURI, of.methods, tlsKeys, storage, cmp.Or(of.more, usual))} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	if out, err := exec.Command(binary, "keys", "init-master", "--out", filepath.Join(dir, "master.key")).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s", out)
	}
	if of.fill != nil {
		if err := of.fill(s); err != nil {
			s.stop()
			return nil, err
		}
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	start := func() error {
		s.process = exec.CommandContext(ctx, binary, "serve", "--config", filepath.Join(dir, "calleridp.yaml"))
		s.process.Stderr = log
		begun := time.Now()
		if err := s.process.Start(); err != nil {
			return err
		}
		for time.Since(begun) < 20*time.Second {
			if answer, err := s.client(false).Get(s.issuer + "/healthz"); err == nil {
				answer.Body.Close()
				s.coldStart = time.Since(begun)
				return nil
			}
			time.Sleep(time.Millisecond)
		}
		return fmt.Errorf("the server did not start; its log is %s", log.Name())
	}
	// The first start makes keys; the second is the cold start that counts.
	if err := start(); err != nil {
		return nil, err
	}
	s.process.Process.Signal(os.Interrupt)
	s.process.Wait()
	if err := start(); err != nil {
		return nil, err
	}
	s.waitAt = s.issuer
	if of.peer {
		if err := s.startPeer(ctx, binary, log); err != nil {
			return nil, err
		}
	}
	s.admin.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(dir, "data", "admin.sock"))
	}}
	return s, nil
}

// usual is the rest of the configuration, unless a measurement has its own.
const usual = `limits: {number: 1000000/1h, network: 1000000/1h, client: 1000000/1h, deployment: 1000000/1h}
lifetimes: {attempt: 30m}`

// startPeer starts another server with the same configuration.
func (s *server) startPeer(ctx context.Context, binary string, log *os.File) error {
	listen, err1 := freeAddress()
	debug, err2 := freeAddress()
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	s.peer = exec.CommandContext(ctx, binary, "serve", "--config", filepath.Join(s.dir, "calleridp.yaml"))
	s.peer.Env = append(os.Environ(), "CALLERIDP_LISTEN="+listen, "CALLERIDP_DEBUG_LISTEN="+debug, "CALLERIDP_DATA_DIR="+filepath.Join(s.dir, "peer"))
	s.peer.Stderr = log
	if err := s.peer.Start(); err != nil {
		return err
	}
	s.waitAt = "http://" + listen
	for begun := time.Now(); time.Since(begun) < 20*time.Second; time.Sleep(10 * time.Millisecond) {
		if answer, err := http.Get(s.waitAt + "/healthz"); err == nil {
			answer.Body.Close()
			return nil
		}
	}
	return fmt.Errorf("the other server did not start; its log is %s", log.Name())
}

func (s *server) stop() {
	for _, p := range []*exec.Cmd{s.process, s.peer, s.simulator} {
		if p != nil {
			p.Process.Signal(os.Interrupt)
			p.Wait()
		}
	}
	if s.database != nil {
		s.database.Stop()
	}
	os.RemoveAll(s.dir)
}

// client returns a client of the server, with connections of its own.
func (s *server) client(http2 bool) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			TLSClientConfig:     &tls.Config{RootCAs: s.roots},
			ForceAttemptHTTP2:   http2,
			MaxIdleConnsPerHost: 128,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// simulate is the other process: a Truecaller whose users all approve at once, or when
// the load decides.
func simulate(args []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	trusting := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 128}}
	if err == nil && len(args) == 3 && args[2] != "" {
		var roots *x509.CertPool
		roots, err = rootsOf(args[2])
		trusting.Transport = &http.Transport{MaxIdleConnsPerHost: 128, TLSClientConfig: &tls.Config{RootCAs: roots}}
	}
	if err != nil || len(args) != 3 {
		fmt.Fprintln(os.Stderr, "load: simulator:", err)
		os.Exit(1)
	}
	sim := simulator.New(simulator.Config{
		Apps:         []simulator.App{{Name: "Load", Key: appKey, CallbackURL: args[0]}},
		ApproveAll:   args[1] == "false",
		KeptRequests: 100_000,
		HTTP:         trusting,
	})
	fmt.Printf("http://%s\n", l.Addr())
	http.Serve(l, sim.Handler())
}

// stats are counters of the store.
type stats struct {
	Commits uint64 `json:"commits"`     // durable, of the embedded store; transactions that wrote, of PostgreSQL
	Trips   uint64 `json:"round_trips"` // to PostgreSQL
}

func (s *server) stats() (all stats, err error) {
	answer, err := s.admin.Get("http://calleridp/v1/stats")
	if err != nil {
		return all, err
	}
	defer answer.Body.Close()
	return all, json.NewDecoder(answer.Body).Decode(&all)
}

// databaseCPU is the CPU seconds that the database's processes have used.
func (s *server) databaseCPU() (float64, error) {
	if s.database == nil {
		return 0, nil
	}
	used, err := s.database.CPU()
	return used.Seconds(), err
}

// cpu is the CPU seconds that the server has used.
func (s *server) cpu() (float64, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.process.Process.Pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(raw[strings.LastIndexByte(string(raw), ')')+2:]))
	user, err1 := strconv.ParseFloat(fields[11], 64)
	system, err2 := strconv.ParseFloat(fields[12], 64)
	if err1 != nil || err2 != nil {
		return 0, fmt.Errorf("/proc/stat: %q", raw)
	}
	const ticks = 100 // a second, on Linux
	return (user + system) / ticks, nil
}

// written is how many bytes the server has caused to be written to the disk.
func (s *server) written() (float64, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", s.process.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(raw), "\nwrite_bytes: ")
	return strconv.ParseFloat(strings.Fields(rest + " ?")[0], 64)
}

// memory is a figure of /proc/PID/status in MiB: VmRSS now, VmHWM at its peak.
func (s *server) memory(what string) (float64, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.process.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.SplitSeq(string(raw), "\n") {
		if rest, ok := strings.CutPrefix(line, what+":"); ok {
			kb, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kb / 1024, err
		}
	}
	return 0, fmt.Errorf("no %s in /proc/status", what)
}

// profile records a CPU profile until the returned function is called, which
// waits for it: ten seconds, or as long as the measurement.
func (s *server) profile(file string) (wait func() error) {
	done := make(chan error, 1)
	go func() {
		answer, err := http.Get("http://" + s.debug + "/debug/pprof/profile?seconds=5")
		if err != nil {
			done <- err
			return
		}
		defer answer.Body.Close()
		f, err := os.Create(file)
		if err != nil {
			done <- err
			return
		}
		_, err = io.Copy(f, answer.Body)
		f.Close()
		done <- err
	}()
	return func() error { return <-done }
}
