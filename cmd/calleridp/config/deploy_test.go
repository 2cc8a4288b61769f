// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"calleridp/cmd/calleridp/config"
	"calleridp/cmd/calleridp/envtest"
	"calleridp/cmd/calleridp/selfsigned"
	"calleridp/cmd/calleridp/serve"
	"calleridp/storage/postgres/pgtest"

	"github.com/goccy/go-yaml"
)

const deploy = "../../../deploy/"

// tree is a YAML document.
type tree map[string]any

// at returns what stands at a path of keys and indexes, nil if there is nothing.
func (y tree) at(path ...any) any {
	var here any = map[string]any(y)
	for _, step := range path {
		switch key := step.(type) {
		case string:
			m, _ := here.(map[string]any)
			here = m[key]
		case int:
			l, _ := here.([]any)
			if key >= len(l) {
				return nil
			}
			here = l[key]
		}
	}
	return here
}

func (y tree) text(path ...any) string {
	s, _ := y.at(path...).(string)
	return s
}

func (y tree) number(t *testing.T, path ...any) int {
	t.Helper()
	switch n := y.at(path...).(type) {
	case uint64:
		return int(n)
	case int:
		return n
	}
	t.Fatalf("%v: got %v, want a number", path, y.at(path...))
	return 0
}

// documents reads a file of YAML documents.
func documents(t *testing.T, file string) []tree {
	t.Helper()
	raw, err := os.ReadFile(deploy + file)
	if err != nil {
		t.Fatal(err)
	}
	var all []tree
	d := yaml.NewDecoder(bytes.NewReader(raw), yaml.Strict())
	for {
		var y map[string]any
		switch err := d.Decode(&y); {
		case errors.Is(err, io.EOF):
			return all
		case err != nil:
			t.Fatalf("%s: %v", file, err)
		}
		if y != nil {
			all = append(all, y)
		}
	}
}

// passes runs `config check` over a configuration whose files are where secrets is: the
// names of those that exist there.
func passes(t *testing.T, text, secrets string, names []string) config.Config {
	t.Helper()
	envtest.Clear(t)
	dir := t.TempDir()
	if slices.Contains(names, "tls_crt") {
		if err := selfsigned.Write(filepath.Join(dir, "tls_crt"), filepath.Join(dir, "tls_key"), "login.example.com"); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range names {
		content := strings.Repeat("01", 32)
		switch name {
		case "dsn":
			database, err := pgtest.Start(pgtest.Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(database.Stop)
			content = database.DSN("postgres")
		case "tls_crt", "tls_key":
			continue // below
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text = strings.ReplaceAll(text, secrets, dir)
	text = strings.ReplaceAll(text, "/var/lib/calleridp", filepath.Join(dir, "data"))
	file := filepath.Join(dir, "calleridp.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	check := config.Command()
	check.SetArgs([]string{"check", "--config", file})
	check.SetOut(&out)
	if err := check.ExecuteContext(t.Context()); err != nil {
		t.Fatalf("config check: %v\n%s", err, out.String())
	}
	loaded, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if (loaded.Postgres != nil) != slices.Contains(names, "dsn") {
		t.Errorf("the files are %v, and the engine is %s", names, loaded.Storage.Engine)
	}
	return loaded.Config
}

func port(t *testing.T, listen string) int {
	t.Helper()
	_, text, err := net.SplitHostPort(listen)
	n, err2 := strconv.Atoi(text)
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	return n
}

// stops is how long a server with this configuration may take to stop.
func stops(c config.Config) time.Duration {
	return c.Drain.ReadyDelay.Duration + serve.StopsWithin
}

// TestKubernetes holds the manifest to the program: its configuration, its ports, its
// probes and the time that it has to stop.
func TestKubernetes(t *testing.T) {
	kinds := map[string]tree{}
	for _, y := range documents(t, "kubernetes/calleridp.yaml") {
		kinds[y.text("kind")] = y
		if y.text("metadata", "name") != "calleridp" || y.text("metadata", "namespace") != "calleridp" {
			t.Errorf("a %s is called %v", y.text("kind"), y.at("metadata"))
		}
	}
	want := []string{"ConfigMap", "Deployment", "Ingress", "PodDisruptionBudget", "Service"}
	if got := slices.Sorted(maps.Keys(kinds)); !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	raw, err := os.ReadFile(deploy + "kubernetes/calleridp.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var secrets []string
	for _, m := range regexp.MustCompile(`--from-file=(\S+)`).FindAllStringSubmatch(string(raw), -1) {
		secrets = append(secrets, m[1])
	}
	c := passes(t, kinds["ConfigMap"].text("data", "calleridp.yaml"), "/etc/calleridp/secrets", secrets)

	pod := kinds["Deployment"].at("spec", "template", "spec").(map[string]any)
	of := func(path ...any) any { return tree(pod).at(append([]any{"containers", 0}, path...)...) }
	for probe, path := range map[string]string{"startupProbe": serve.PathHealth, "livenessProbe": serve.PathHealth, "readinessProbe": serve.PathReady} {
		if of(probe, "httpGet", "path") != path || of(probe, "httpGet", "port") != "http" {
			t.Errorf("%s: got %v, want %s", probe, of(probe), path)
		}
	}
	if got := tree(pod).number(t, "containers", 0, "ports", 0, "containerPort"); of("ports", 0, "name") != "http" || got != port(t, c.Listen) {
		t.Errorf("the pod's port is %d, and the server listens on %s", got, c.Listen)
	}
	if got := kinds["Service"].text("spec", "ports", 0, "targetPort"); got != "http" {
		t.Errorf("the service leads to %q", got)
	}
	if got := of("env", 1, "value"); of("env", 1, "name") != "CALLERIDP_METRICS_LISTEN" || got != "$(POD_IP):9464" {
		t.Errorf("metrics at %v", got)
	}
	grace := time.Duration(tree(pod).number(t, "terminationGracePeriodSeconds")) * time.Second
	if grace < stops(c)+5*time.Second {
		t.Errorf("the pod has %s to stop, and takes up to %s", grace, stops(c))
	}
	notices := time.Duration(tree(pod).number(t, "containers", 0, "readinessProbe", "periodSeconds")*
		tree(pod).number(t, "containers", 0, "readinessProbe", "failureThreshold")) * time.Second
	if notices >= c.Drain.ReadyDelay.Duration {
		t.Errorf("a pod is ready for %s more, and serves for %s", notices, c.Drain.ReadyDelay.Duration)
	}

	labels := kinds["Deployment"].at("spec", "template", "metadata", "labels").(map[string]any)
	affinity := tree(pod).at("affinity", "podAntiAffinity", "preferredDuringSchedulingIgnoredDuringExecution", 0, "podAffinityTerm").(map[string]any)
	for what, selector := range map[string]any{
		"the deployment":    kinds["Deployment"].at("spec", "selector", "matchLabels"),
		"the budget":        kinds["PodDisruptionBudget"].at("spec", "selector", "matchLabels"),
		"the service":       kinds["Service"].at("spec", "selector"),
		"the anti-affinity": tree(affinity).at("labelSelector", "matchLabels"),
	} {
		if got, _ := selector.(map[string]any); len(got) == 0 || !maps.Equal(got, labels) {
			t.Errorf("%s selects %v, and the pods are %v", what, selector, labels)
		}
	}
	if affinity["topologyKey"] != "kubernetes.io/hostname" {
		t.Errorf("the pods are kept apart by %v", affinity["topologyKey"])
	}
	if replicas := kinds["Deployment"].number(t, "spec", "replicas"); replicas < 3 || kinds["PodDisruptionBudget"].number(t, "spec", "maxUnavailable") != 1 {
		t.Errorf("%d servers, of which %v may be away", replicas, kinds["PodDisruptionBudget"].at("spec", "maxUnavailable"))
	}
	// Secrets are files, and each volume has its place.
	mounts := map[string]bool{}
	for _, m := range of("volumeMounts").([]any) {
		mounts[m.(map[string]any)["name"].(string)] = true
	}
	for i, v := range tree(pod).at("volumes").([]any) {
		volume := tree(v.(map[string]any))
		if !mounts[volume.text("name")] {
			t.Errorf("the volume %s is mounted nowhere", volume.text("name"))
		}
		if volume.text("name") == "secrets" && volume.number(t, "secret", "defaultMode") != 0o440 {
			t.Errorf("volume %d: secrets have the mode %v", i, volume.at("secret", "defaultMode"))
		}
	}
	host := kinds["Ingress"].text("spec", "rules", 0, "host")
	if c.Issuer != "https://"+host || kinds["Ingress"].text("spec", "tls", 0, "hosts", 0) != host {
		t.Errorf("the ingress is for %s, and the issuer is %s", host, c.Issuer)
	}
}

// TestCompose does so with the files for one machine.
func TestCompose(t *testing.T) {
	compose := documents(t, "compose/compose.yaml")[0]
	servers, _ := compose.at("services").(map[string]any)
	secrets, _ := compose.at("secrets").(map[string]any)
	text, err := os.ReadFile(deploy + "compose/calleridp.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c := passes(t, string(text), "/run/secrets", slices.Collect(maps.Keys(secrets)))
	balancer, err := os.ReadFile(deploy + "compose/haproxy.cfg")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"server-1", "server-2", "server-3"} {
		server, _ := servers[name].(map[string]any)
		grace, err := time.ParseDuration(tree(server).text("stop_grace_period"))
		if err != nil || grace < stops(c)+5*time.Second {
			t.Errorf("%s has %s to stop, %v, and takes up to %s", name, grace, err, stops(c))
		}
		for _, used := range tree(server).at("secrets").([]any) {
			if file := tree(secrets).text(used.(string), "file"); file != "./secrets/"+used.(string) {
				t.Errorf("%s uses the secret %s, whose file is %q", name, used, file)
			}
		}
		if line := "server " + name + " " + name + ":" + strconv.Itoa(port(t, c.Listen)) + "\n"; !strings.Contains(string(balancer), line) {
			t.Errorf("haproxy.cfg does not say %q", line)
		}
	}
	if !strings.Contains(string(balancer), "option httpchk GET "+serve.PathReady+"\n") {
		t.Errorf("haproxy.cfg does not ask %s", serve.PathReady)
	}
	check := regexp.MustCompile(`check inter (\d+)s fall (\d+)`).FindStringSubmatch(string(balancer))
	if check == nil {
		t.Fatal("haproxy.cfg does not say how often it asks")
	}
	every, _ := strconv.Atoi(check[1])
	failures, _ := strconv.Atoi(check[2])
	if notices := time.Duration(every*failures) * time.Second; notices >= c.Drain.ReadyDelay.Duration {
		t.Errorf("the balancer notices within %s, and a server serves on for %s", notices, c.Drain.ReadyDelay.Duration)
	}
	subnet := compose.text("networks", "inside", "ipam", "config", 0, "subnet")
	if len(c.TrustedProxies) != 1 || c.TrustedProxies[0] != subnet {
		t.Errorf("the servers trust %v, and the balancer is in %s", c.TrustedProxies, subnet)
	}
	file, err := os.ReadFile(deploy + "Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"-o /calleridp ./cmd/calleridp\n", "\nFROM scratch\n", "\nUSER 65532:65532\n", "\nENTRYPOINT [\"/calleridp\"]\n", "CMD [\"/calleridp\", \"health\"]\n",
		"COPY --from=build --chown=65532:65532 /data /var/lib/calleridp\n",
	} {
		if !strings.Contains(string(file), line) {
			t.Errorf("the Dockerfile has no %q", line)
		}
	}
}

// TestComposeOfOneServer does so with the files for one server, alone and behind Caddy.
func TestComposeOfOneServer(t *testing.T) {
	for _, name := range []string{"alone", "proxy"} {
		t.Run(name, func(t *testing.T) {
			compose := documents(t, "compose/"+name+"/compose.yaml")[0]
			secrets, _ := compose.at("secrets").(map[string]any)
			text, err := os.ReadFile(deploy + "compose/" + name + "/calleridp.yaml")
			if err != nil {
				t.Fatal(err)
			}
			c := passes(t, string(text), "/run/secrets", slices.Collect(maps.Keys(secrets)))
			server := tree(compose.at("services", "server").(map[string]any))
			grace, err := time.ParseDuration(server.text("stop_grace_period"))
			if err != nil || grace < stops(c)+5*time.Second {
				t.Errorf("the server has %s to stop, %v, and takes up to %s", grace, err, stops(c))
			}
			for _, used := range server.at("secrets").([]any) {
				if file := tree(secrets).text(used.(string), "file"); file != "./secrets/"+used.(string) {
					t.Errorf("it uses the secret %s, whose file is %q", used, file)
				}
			}
			if files := server.number(t, "ulimits", "nofile"); files < int(c.Connections.Max)+512 {
				t.Errorf("the server may have %d open files and %d connections", files, c.Connections.Max)
			}
			if mounted := server.text("environment", "CALLERIDP_CONFIG"); server.text("volumes", 0) != "./calleridp.yaml:"+mounted+":ro" || server.text("volumes", 1) != "data:/var/lib/calleridp" {
				t.Errorf("the configuration is %s, and mounted are %v", mounted, server.at("volumes"))
			}
			if name == "alone" {
				if want := "443:" + strconv.Itoa(port(t, c.Listen)); server.text("ports", 0) != want || c.TLS.CertFile == "" {
					t.Errorf("the server listens at %s, and %v is open", c.Listen, server.at("ports"))
				}
				return
			}
			if subnet := compose.text("networks", "inside", "ipam", "config", 0, "subnet"); len(c.TrustedProxies) != 1 || c.TrustedProxies[0] != subnet {
				t.Errorf("the server trusts %v, and Caddy is in %s", c.TrustedProxies, subnet)
			}
			caddy, err := os.ReadFile(deploy + "compose/proxy/Caddyfile")
			if err != nil {
				t.Fatal(err)
			}
			here := strings.Replace(string(caddy), "server:"+strconv.Itoa(port(t, c.Listen)), "127.0.0.1:8080", 1)
			of := func(text string) string { return text[strings.Index(text, "login.example.com {"):] }
			original, err := os.ReadFile(deploy + "proxy/Caddyfile")
			if err != nil || of(here) != of(string(original)) {
				t.Errorf("the Caddyfile is not that of deploy/proxy, %v:\n%s", err, caddy)
			}
		})
	}
}
