// SPDX-License-Identifier: Apache-2.0

//go:build helm

package deploy

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// helm is the program that the chart is for. It is no dependency of ours. Compiling it takes
// minutes, so these tests have a build tag, which ./test/all sets. Its engine and chart loader
// alone are no way out: their function "lookup" brings in Kubernetes' client, 315 packages in all.
const helm = "helm.sh/helm/v4/cmd/helm@v4.3.2"

// runHelm runs helm and returns what it writes.
func runHelm(t *testing.T, args ...string) (out string, err error) {
	t.Helper()
	cmd := exec.Command("go", append([]string{"run", helm}, args...)...)
	dir := t.TempDir() // outside of our module
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HELM_CACHE_HOME="+dir, "HELM_CONFIG_HOME="+dir, "HELM_DATA_HOME="+dir)
	raw, err := cmd.CombinedOutput()
	return string(raw), err
}

const chart = "../../deploy/helm/calleridp"

func absolute(t *testing.T, path string) string {
	t.Helper()
	at, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// objects returns the documents of a text, by kind.
func objects(t *testing.T, text string) map[string]map[string]any {
	t.Helper()
	all := map[string]map[string]any{}
	d := yaml.NewDecoder(bytes.NewReader([]byte(text)))
	for {
		var one map[string]any
		switch err := d.Decode(&one); {
		case errors.Is(err, io.EOF):
			return all
		case err != nil:
			t.Fatalf("%v:\n%s", err, text)
		}
		if kind, ok := one["kind"].(string); ok {
			all[kind] = one
		}
	}
}

// without returns a value without what charts add: labels, annotations of their own, the
// namespace, and the policy of pulling.
func without(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for key, value := range v {
			switch {
			case strings.HasPrefix(key, "helm.sh/"), strings.HasPrefix(key, "checksum/"), key == "namespace", key == "imagePullPolicy",
				key == "app.kubernetes.io/instance", key == "app.kubernetes.io/version", key == "app.kubernetes.io/managed-by":
				continue
			}
			if value = without(value); value != nil {
				out[key] = value
			}
		}
		if len(out) == 0 {
			return nil
		}
		return out
	case []any:
		var out []any
		for _, value := range v {
			out = append(out, without(value))
		}
		return out
	}
	return v
}

// The chart makes of its defaults what deploy/kubernetes has, which is held to the program.
func TestChartIsTheManifest(t *testing.T) {
	t.Parallel()
	set := []string{"--set", "config.issuer=https://login.example.com", "--set", "config.truecaller.app_name=Example", "--set", "image.tag=VERSION"}
	if out, err := runHelm(t, append([]string{"lint", "--strict", absolute(t, chart)}, set...)...); err != nil {
		t.Fatalf("helm lint: %v\n%s", err, out)
	}
	out, err := runHelm(t, append([]string{"template", "calleridp", absolute(t, chart)}, set...)...)
	if err != nil {
		t.Fatalf("helm template: %v\n%s", err, out)
	}
	raw, err := os.ReadFile("../../deploy/kubernetes/calleridp.yaml")
	if err != nil {
		t.Fatal(err)
	}
	got, want := objects(t, out), objects(t, string(raw))
	for kind, object := range want {
		if kind == "ConfigMap" { // the same configuration, in another order
			config := func(of map[string]any) (v map[string]any) {
				text, _ := of["data"].(map[string]any)["calleridp.yaml"].(string)
				if err := yaml.Unmarshal([]byte(text), &v); err != nil {
					t.Fatal(err)
				}
				return v
			}
			if a, b := config(got[kind]), config(object); !reflect.DeepEqual(a, b) {
				t.Errorf("the configuration is %v, want %v", a, b)
			}
			continue
		}
		here, there := without(got[kind]), without(object)
		// Labels of objects themselves select nothing.
		for _, v := range []any{here, there} {
			if m, ok := v.(map[string]any); ok {
				delete(m["metadata"].(map[string]any), "labels")
			}
		}
		if !reflect.DeepEqual(here, there) {
			a, _ := yaml.Marshal(here)
			b, _ := yaml.Marshal(there)
			t.Errorf("the chart's %s differs from that of deploy/kubernetes:\n%s\nwant\n%s", kind, a, b)
		}
	}
	for kind := range got {
		if want[kind] == nil {
			t.Errorf("the chart has a %s, and deploy/kubernetes has none", kind)
		}
	}
}

// What would lose data, or start nothing, is refused with the way out.
func TestChartRefuses(t *testing.T) {
	t.Parallel()
	good := []string{"config.issuer=https://login.example.com", "config.truecaller.app_name=Example"}
	bolt := append(slices.Clone(good), "config.storage.engine=bolt", "replicas=1", "persistence.enabled=true")
	for _, row := range []struct {
		name string
		set  []string
		says string // "": it is accepted
	}{
		{"one server with a volume", bolt, ""},
		{"no issuer", good[1:], "issuer"},
		{"an issuer with a path", []string{"config.issuer=https://login.example.com/", good[1]}, "issuer"},
		{"no name", good[:1], "app_name"},
		{"an unknown value", append(slices.Clone(good), "replica=3"), "replica"},
		{"several servers on a file", append(slices.Clone(bolt), "replicas=2"), "set replicas to 1, or config.storage.engine to postgres"},
		{"a file without a volume", append(slices.Clone(bolt), "persistence.enabled=false"), "loses all users with the pod"},
		{"a volume for many", append(slices.Clone(good), "persistence.enabled=true"), "pods cannot share a volume"},
	} {
		args := []string{"template", "calleridp", absolute(t, chart)}
		for _, one := range row.set {
			args = append(args, "--set", one)
		}
		out, err := runHelm(t, args...)
		if row.says == "" {
			all := objects(t, out)
			if err != nil || all["PersistentVolumeClaim"] == nil || all["PodDisruptionBudget"] != nil {
				t.Errorf("%s: %v\n%s", row.name, err, out)
			}
			continue
		}
		if err == nil || !strings.Contains(out, row.says) {
			t.Errorf("%s: got %v, want %q in\n%s", row.name, err, row.says, out)
		}
	}
}
