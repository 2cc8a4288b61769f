// SPDX-License-Identifier: Apache-2.0

package config

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"calleridp/cmd/calleridp/country"
	"calleridp/keys"
	"calleridp/provider"
	"calleridp/provider/authorize"
	"calleridp/provider/client"
	"calleridp/truecaller"
	"calleridp/truecaller/phone"
)

// check turns the configuration into settings. It reads the files that the
// configuration names, changes nothing, and adds every error to d.
func (d *decoder) check(c Config) Settings {
	c.Clients, c.TruecallerApps = slices.Clone(c.Clients), slices.Clone(c.TruecallerApps)
	d.expandCredentials("", reflect.ValueOf(&c).Elem())
	d.decoded = len(d.errors)
	c.setDefaults()
	s := Settings{Config: c}
	if c.Issuer == "" {
		d.refuse("issuer", "missing; write the URL at which browsers reach this server, like https://login.example.com")
	} else if err := provider.CheckIssuer(c.Issuer); err != nil {
		d.refuse("issuer", "%v", err)
	}
	if !isListenAddress(c.Listen) {
		d.refuse("listen", "%q is not an address like :8443 or 127.0.0.1:8080", c.Listen)
	}
	s.ACMERoots, s.ACMEMACKey = d.checkTLS(c)
	d.checkAdminListen(c)
	s.Proxies = d.parseNetworks("trusted_proxies", c.TrustedProxies)
	s.ClientNetworks = d.parseNetworks("client_networks", c.ClientNetworks)
	if c.DataDir == "" {
		d.refuse("data_dir", "missing; name a directory on a local disk, like /var/lib/calleridp")
	}
	if len(c.AdminSocket) > MaxSocketPath {
		d.refuse("admin_socket", "%q is longer than the %d bytes that the system allows for a socket; choose a shorter path", c.AdminSocket, MaxSocketPath)
	}
	s.Postgres = d.checkStorage(c.Storage)
	s.StorageKey = c.Storage.storageKey
	s.Master = d.checkMaster(c)
	if c.DefaultRegion != "" && !phone.IsRegion(c.DefaultRegion) {
		d.refuse("default_region", "%q is not a country of two capital letters, like IN", c.DefaultRegion)
	}
	d.refuseFields("", client.ValidateCountries(c.Countries), nil)
	d.refuseFields("", client.ValidateResponseTypes(client.ParseResponseTypes(c.ResponseTypes)), nil)
	if _, ok := client.ParseRequestObjectMode(c.RequestObjects); !ok {
		d.refuse("request_objects", "%q is unknown; use off, signed or any", c.RequestObjects)
	}
	s.Apps = d.checkApps(c)
	if err := keys.CheckAlgorithms(c.Keys.Algorithms); err != nil {
		d.refuse("keys.algorithms", "%v", err)
	}
	s.Clients = d.checkClients(c.Clients, s.ClientDeployment())
	s.Brand = d.checkUI(c.UI)
	s.Traces = d.checkTracing(c.Tracing)
	d.checkDurations(c)
	if c.CountryDatabase != "" {
		var err error
		if s.CountryDB, err = country.Open(c.CountryDatabase); err != nil {
			d.refuse("country_database", "%s does not load: %v", c.CountryDatabase, err)
		}
	}
	d.checkNetworks(c.Limits)
	d.checkChallenge(c.Limits)
	d.checkServing(c)
	d.checkRegistration(c.Registration)
	d.checkAudit(c.Audit)
	d.checkBackup(c)
	if err := s.LogLevel.UnmarshalText([]byte(c.Log.Level)); err != nil {
		d.refuse("log.level", "%q is unknown; use debug, info, warn or error", c.Log.Level)
	}
	if c.Log.Format != "json" && c.Log.Format != "text" {
		d.refuse("log.format", "%q is unknown; use json or text", c.Log.Format)
	}
	d.checkPrivateListeners(c)
	s.Operators = d.checkConsole(c)
	d.checkPrivate(c)
	return s
}

// refuseFields adds what a library refuses of the values in a table. keys maps the
// library's field names to keys; a name that it lacks is a key.
func (d *decoder) refuseFields(table string, invalid truecaller.FieldErrors, keys map[string]string) {
	for _, e := range invalid {
		names := strings.Split(e.Field, ".")
		for i, name := range names {
			name, index, indexed := strings.Cut(name, "[")
			if key, ok := keys[name]; ok {
				name = key
			}
			if indexed {
				name += "[" + index
			}
			names[i] = name
		}
		d.refuse(under(table, strings.Join(names, ".")), "%s", e.Reason)
	}
}

// MaxSocketPath is the longest path of a Unix socket in bytes: the system's limit
// less the zero byte at its end.
var MaxSocketPath = len(syscall.RawSockaddrUnix{}.Path) - 1

// isListenAddress reports whether text is host and port, or a colon and a port.
func isListenAddress(text string) bool {
	_, port, err := net.SplitHostPort(text)
	n, err2 := strconv.ParseUint(port, 10, 16)
	return err == nil && err2 == nil && n > 0
}

// checkPrivateListeners keeps metrics and profiles where the internet cannot reach
// them.
func (d *decoder) checkPrivateListeners(c Config) {
	if c.MetricsListen != "" {
		addr, port := splitListener(c.MetricsListen)
		_, public, _ := net.SplitHostPort(c.Listen)
		switch {
		case !addr.IsLoopback() && !addr.IsPrivate():
			d.refuse("metrics_listen", "%q is not a loopback or private address and a port, like 127.0.0.1:9464 or 10.0.0.5:9464", c.MetricsListen)
		case port == public:
			d.refuse("metrics_listen", "port %s is already used by listen", port)
		}
	}
	if c.DebugListen != "" {
		if addr, _ := splitListener(c.DebugListen); !addr.IsLoopback() {
			d.refuse("debug_listen", "%q is not a loopback address and a port, like 127.0.0.1:6060", c.DebugListen)
		}
	}
}

// splitListener returns IP address and port of a listener; the zero Addr, which is
// neither loopback nor private, if it has not both.
func splitListener(text string) (addr netip.Addr, port string) {
	host, port, _ := net.SplitHostPort(text)
	if addr, err := netip.ParseAddr(host); err == nil && isListenAddress(text) {
		return addr, port
	}
	return netip.Addr{}, ""
}

// checkCertificate refuses half a certificate, and one that does not load.
func (d *decoder) checkCertificate(key, certFile, keyFile string) {
	switch {
	case certFile == "" && keyFile == "":
	case keyFile == "":
		d.refuse(key+".key_file", "missing; set cert_file and key_file together")
	case certFile == "":
		d.refuse(key+".cert_file", "missing; set cert_file and key_file together")
	default:
		if _, err := tls.LoadX509KeyPair(certFile, keyFile); err != nil {
			d.refuse(key, "the certificate does not load: %v", err)
		}
	}
}

// checkAdminListen refuses the admin API over a network without TLS: its API keys would
// travel in the clear.
func (d *decoder) checkAdminListen(c Config) {
	if c.AdminListen != "" {
		d.checkCertificate("admin_tls", c.AdminTLS.CertFile, c.AdminTLS.KeyFile)
	}
	_, port, _ := net.SplitHostPort(c.AdminListen)
	_, public, _ := net.SplitHostPort(c.Listen)
	switch {
	case c.AdminListen == "":
		if c.AdminTLS != (AdminTLS{}) {
			d.refuse("admin_tls", "there is no admin_listen that it is for; set it, or remove admin_tls")
		}
	case !isListenAddress(c.AdminListen):
		d.refuse("admin_listen", "%q is not an address and a port, like 10.0.0.5:9443", c.AdminListen)
	case port == public:
		d.refuse("admin_listen", "port %s is already used by listen", port)
	case c.AdminTLS.CertFile == "" && c.AdminTLS.KeyFile == "" && !c.TLS.On():
		d.refuse("admin_tls", "missing; the admin API is served over TLS only: set cert_file and key_file")
	}
}

func (d *decoder) checkMaster(c Config) *keys.Master {
	switch {
	case c.MasterKey != "":
		master, err := keys.ParseMaster(string(c.MasterKey))
		if err != nil {
			d.refuse("master_key", "%v; calleridp keys init-master creates a valid one", err)
		}
		return master
	case c.MasterKeyFile != "":
		master, err := keys.LoadMaster(c.MasterKeyFile)
		switch {
		case errors.Is(err, keys.ErrNoMaster):
			d.refuse("master_key_file", "%v; for a new deployment, create one with: calleridp keys init-master --out %s", err, c.MasterKeyFile)
		case err != nil:
			d.refuse("master_key_file", "%v", err)
		}
		return master
	}
	d.refuse("master_key_file", "missing; for a new deployment, run: calleridp keys init-master --out /etc/calleridp/master.key, then name that file here")
	return nil
}

// checkDurations bounds durations to what makes sense.
func (d *decoder) checkDurations(c Config) {
	const unbounded = Duration(0)
	for _, t := range []struct {
		key                   string
		value, least, longest Duration
		because               string // the end of the reason, or ""
	}{
		{"truecaller.timeout", c.Truecaller.Timeout, Duration(time.Second), Duration(12 * time.Second), ", because a browser waits for it"},
		{"storage.statement_timeout", c.Storage.StatementTimeout, Duration(time.Second), Duration(10 * time.Minute), ", because a browser waits for it"},
		{"storage.lock_timeout", c.Storage.LockTimeout, Duration(time.Second), max(c.Storage.StatementTimeout, Duration(time.Second)), "; its maximum is statement_timeout"},
		{"storage.pool_timeout", c.Storage.PoolTimeout, Duration(100 * time.Millisecond), Duration(time.Minute), ", because a browser waits for it"},
		{"lifetimes.attempt", c.Lifetimes.Attempt, Duration(time.Second), Duration(time.Hour), ""},
		{"lifetimes.code", c.Lifetimes.Code, Duration(time.Second), Duration(10 * time.Minute), ", because clients redeem codes at once (RFC 6749 section 4.1.2)"},
		{"lifetimes.id_token", c.Lifetimes.IDToken, Duration(5 * time.Minute), unbounded, ", because clients' clocks differ"},
		{"lifetimes.access_token", c.Lifetimes.AccessToken, Duration(time.Minute), unbounded, ", because clients' clocks differ"},
		{"lifetimes.refresh_idle", c.Lifetimes.RefreshIdle, Duration(time.Minute), c.Lifetimes.RefreshMax, "; its maximum is refresh_max"},
		{"lifetimes.refresh_max", c.Lifetimes.RefreshMax, Duration(time.Minute), unbounded, ""},
		{"lifetimes.refresh_grace", c.Lifetimes.RefreshGrace, Duration(time.Second), Duration(10 * time.Minute), ", because it covers lost responses only"},
		{"lifetimes.session", c.Lifetimes.Session, Duration(time.Minute), unbounded, ""},
		{"limits.lock", c.Limits.Lock, Duration(time.Second), Duration(24 * time.Hour), ""},
		{"limits.after_approval", c.Limits.AfterApproval, Duration(time.Second), Duration(time.Hour), ", because users sign in from several browsers"},
		{"limits.cool_down", c.Limits.CoolDown, Duration(time.Second), Duration(24 * time.Hour), ", because users may change their mind"},
		{"limits.cool_down_max", c.Limits.CoolDownMax, min(c.Limits.CoolDown, Duration(24*time.Hour)), Duration(24 * time.Hour), "; its minimum is cool_down"},
		{"device_flow.lifetime", c.DeviceFlow.Lifetime, Duration(time.Minute), Duration(30 * time.Minute), ", because a user enters the code by hand, and an attacker may send it to them"},
		{"device_flow.interval", c.DeviceFlow.Interval, Duration(time.Second), Duration(time.Minute), ", because a user waits for it"},
		{"registration.unused_for", c.Registration.UnusedFor, Duration(time.Hour), unbounded, ", because developers try a client before their users do"},
		{"keys.rotate_every", c.Keys.RotateEvery, Duration(time.Hour), unbounded, ", because clients cache keys"},
		{"keys.publish_before", c.Keys.PublishBefore, Duration(15 * time.Minute), c.Keys.RotateEvery, "; its maximum is rotate_every, because every key is published before it signs"},
	} {
		switch {
		case d.failed(t.key):
		case t.longest == unbounded && t.value < t.least:
			d.refuse(t.key, "must be at least %s (got %s)%s", t.least, t.value, t.because)
		case t.longest != unbounded && (t.value < t.least || t.value > t.longest):
			d.refuse(t.key, "must be between %s and %s (got %s)%s", t.least, t.longest, t.value, t.because)
		}
	}
}

// maxReadyDelay bounds drain.ready_delay.
const maxReadyDelay = 10 * time.Minute

func (d *decoder) checkServing(c Config) {
	if c.Drain.ReadyDelay.Duration > maxReadyDelay {
		d.refuse("drain.ready_delay", "must be at most %s (got %s), because the process ends after it", Duration(maxReadyDelay), Duration(c.Drain.ReadyDelay.Duration))
	}
	if !d.failed("connections.max") && !d.failed("connections.per_network") && c.Connections.PerNetwork > c.Connections.Max {
		d.refuse("connections.per_network", "must be at most connections.max, %d (got %d)", c.Connections.Max, c.Connections.PerNetwork)
	}
}

// ChallengeOff is the value of limits.challenge without challenges. The other modes
// have the names of package provider.
const ChallengeOff = "off"

// checkNetworks refuses a wide network that may do less than a narrow one in it, and a
// network that may do more to a number than all together.
func (d *decoder) checkNetworks(c Limits) {
	narrow, name := c.Network, "limits.network"
	for _, wide := range []struct {
		key  string
		rate Rate
	}{{"limits.network_56", c.Network56}, {"limits.network_48", c.Network48}} {
		if !d.failed(wide.key) && !d.failed(name) && wide.rate.Burst < narrow.Burst {
			d.refuse(wide.key, "its burst must be at least that of %s, %d, which is a part of it (got %d)", name, narrow.Burst, wide.rate.Burst)
		}
		narrow, name = wide.rate, wide.key
	}
	if !d.failed("limits.number") && !d.failed("limits.number_per_network") && c.NumberPerNetwork.Burst > c.Number.Burst {
		d.refuse("limits.number_per_network", "its burst must be at most that of limits.number, %d, of which it is a part (got %d)", c.Number.Burst, c.NumberPerNetwork.Burst)
	}
}

func (d *decoder) checkChallenge(c Limits) {
	switch c.Challenge {
	case ChallengeOff, string(authorize.ChallengeAuto), string(authorize.ChallengeAlways):
	default:
		d.refuse("limits.challenge", "%q is unknown; use off, auto or always", c.Challenge)
	}
	if !d.failed("limits.challenge_bits") && (c.ChallengeBits < authorize.MinChallengeBits || c.ChallengeBits > authorize.MaxChallengeBits) {
		d.refuse("limits.challenge_bits", "must be between %d and %d (got %d); each step doubles the work", authorize.MinChallengeBits, authorize.MaxChallengeBits, c.ChallengeBits)
	}
}

// ChallengeMode returns when browsers must solve a challenge, and how much of a
// network's budget is reserved for those that did.
func (c Limits) ChallengeMode() (mode authorize.ChallengeMode, reserve int) {
	if c.Challenge == ChallengeOff {
		return authorize.ChallengeOff, 0
	}
	if mode = authorize.ChallengeMode(c.Challenge); mode == authorize.ChallengeAuto {
		reserve = c.Network.Burst / 2
	}
	return mode, reserve
}

// parseNetworks returns networks in CIDR notation.
func (d *decoder) parseNetworks(key string, texts []string) []netip.Prefix {
	var networks []netip.Prefix
	for i, text := range texts {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			d.refuse(fmt.Sprintf("%s[%d]", key, i), "%q is not a network like 10.0.0.0/8 or 127.0.0.1/32", text)
		}
		networks = append(networks, p)
	}
	return networks
}

// unread stands for a secret that was refused, so that the checks that follow do
// not refuse it again for what it would lack. Settings with errors are never used.
const unread = "a-secret-that-could-not-be-read--"

// checkSecret returns a secret from the environment or from a file, and the key
// that set it. check returns why a secret is refused, without repeating it, "" if
// it is not.
func (d *decoder) checkSecret(key, value, file string, check func(string) (reason string)) (secret, setBy string) {
	value = strings.TrimSpace(value)
	switch {
	case value != "":
	case file != "":
		key += "_file"
		if value = d.checkSecretFile(key, file); value == "" {
			return unread, key
		}
	default:
		if !d.failed(key) {
			d.refuse(key+"_file", "missing; name a file%s", orVariable("environment", key))
		}
		return unread, key
	}
	if reason := check(value); reason != "" {
		d.refuse(key, "%s", reason)
		return unread, key
	}
	return value, key
}

// checkSecretFile returns the secret in a file, "" after an error.
func (d *decoder) checkSecretFile(key, file string) string {
	value, err := ReadSecret(file)
	if err != nil {
		d.refuse(key, "%s", fileReason(file, err))
		return ""
	}
	if value == "" {
		d.refuse(key, "%s is empty", file)
	}
	return value
}

// fileReason says why a file that the configuration names cannot be read, and
// what to do about it.
func fileReason(file string, err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "no file " + file + "; create it, or correct its name here"
	case errors.Is(err, fs.ErrPermission):
		return file + " cannot be read by the user that runs this; make that user its owner"
	}
	return err.Error()
}
