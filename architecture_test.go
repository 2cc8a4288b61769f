// SPDX-License-Identifier: Apache-2.0

package calleridp_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "calleridp/"

// layers are the top folders, with those of ours that each may import beside
// itself, and the reason.
var layers = map[string]struct {
	may []string
	why string
}{
	"cmd":        {[]string{"ui", "storage", "provider", "truecaller", "keys", "durable"}, "cmd builds everything"},
	"ui":         {[]string{"provider"}, "pages show what the provider decides; they know no store and no Truecaller"},
	"storage":    {[]string{"provider", "truecaller", "keys", "durable"}, "engines implement the stores that the others declare"},
	"provider":   {[]string{"truecaller", "keys", "durable"}, "the provider declares the stores and pages that it needs, and knows neither engine nor template"},
	"truecaller": {nil, "speaks Truecaller and knows nothing of OpenID Connect"},
	"keys":       {[]string{"durable"}, "owns secrets, and needs nothing of ours but the way to write a file"},
	"durable":    {nil, "writes and locks files for all others"},
	"test":       {nil, "tests of the built program use it from outside"},
}

// rooms are the folders of provider, with those of provider that each may import,
// and the reason. What is not listed has no place.
var rooms = map[string]struct {
	may []string
	why string
}{
	"provider": {[]string{"backchannel", "notify", "signals", "transmitter", "endpoint", "authorize", "checksession", "clientauth", "token", "logout", "account", "discovery", "idtoken",
		"audit", "client", "clientkeys", "consent", "deviceflow", "grant", "logo", "registration", "session", "subject"}, "provider assembles the rooms and has no rule of the protocol"},

	// The rooms of the protocol import the domain and endpoint, never each other.
	"endpoint":   {[]string{"client", "limit", "login", "redact", "session"}, "what all endpoints have in common knows none of them"},
	"clientauth": {[]string{"endpoint", "audit", "client", "clientkeys", "redact"}, "who calls an endpoint does not depend on what it is"},
	"authorize": {[]string{"endpoint", "idtoken", "audit", "claims", "client", "clock", "consent", "grant", "limit", "login", "redact", "session", "subject"},
		"the authorization endpoint knows no other endpoint"},
	"token": {[]string{"endpoint", "clientauth", "idtoken", "audit", "claims", "client", "grant", "limit", "login", "redact", "signals", "subject"},
		"clients authenticate at the token endpoint, so it imports clientauth, and no other room"},
	"deviceflow": {[]string{"endpoint", "clientauth", "audit", "client", "grant", "limit", "redact"},
		"clients authenticate at the device authorization endpoint, too; it declares the sign-in that it needs"},
	"logout": {[]string{"endpoint", "idtoken", "audit", "client", "session"}, "logout knows no other endpoint"},
	"backchannel": {[]string{"endpoint", "idtoken", "audit", "client", "fetch", "notify"},
		"it makes and sends logout tokens; what ends sessions knows nothing of it"},
	"transmitter": {[]string{"endpoint", "idtoken", "audit", "client", "fetch", "notify", "redact", "signals", "subject"},
		"it manages streams and makes and sends events; what happens to users knows nothing of it"},
	"account":      {[]string{"endpoint", "audit", "claims", "client", "consent", "grant", "session", "subject"}, "the account page declares the sign-in that it needs"},
	"checksession": {[]string{"endpoint", "client"}, "the page that watches a session reads its cookie in the browser, and knows no session"},
	"registration": {[]string{"endpoint", "audit", "claims", "client", "fetch", "limit", "redact"},
		"clients that register themselves are those of the registry; it knows no other endpoint"},
	"logo":      {[]string{"endpoint", "client"}, "pages know a path; what is behind it is one folder"},
	"discovery": {[]string{"endpoint"}, "the documents are made of what each room says of itself"},
	"admin":     {[]string{"apikey", "audit", "audit/trail", "client", "grant", "idempotency", "limit", "login", "notify", "session", "signals", "subject"}, "the operators' API changes the domain, and speaks no OpenID Connect"},

	"console": {[]string{"endpoint", "apikey", "audit", "client", "session"},
		"the operators' door is a client of the issuer, and seals its cookies as the endpoints do; what operators do is admin's"},

	// The domain.
	"apikey":      {[]string{"redact"}, domain},
	"idempotency": {[]string{"redact"}, domain},
	"idtoken":     {[]string{"audit", "claims", "client", "clientkeys", "grant", "redact", "subject"}, domain},
	"login":       {[]string{"audit", "clock", "consent", "grant", "redact", "limit", "session", "subject"}, domain},
	"consent":     {[]string{"grant"}, domain},
	"client":      {[]string{"claims", "fetch", "limit", "redact"}, domain},
	"clientkeys":  {[]string{"client"}, domain},
	"claims":      {[]string{"subject"}, domain},
	"session":     {[]string{"clock", "redact"}, domain},
	"notify":      {[]string{"grant", "session"}, domain},
	"signals":     {[]string{"claims", "consent", "grant", "notify", "redact", "session", "subject"}, domain},
	"grant":       {[]string{"clock", "limit", "redact"}, domain},
	"subject":     {[]string{"consent", "grant", "session"}, domain},
	"clock":       {nil, domain},
	"limit":       {[]string{"clock", "redact"}, domain},
	"audit":       {[]string{"limit"}, domain},
	"audit/trail": {[]string{"audit", "clock"}, domain},
	"funnel":      {[]string{"audit", "limit", "login"}, domain},
	"redact":      {nil, domain},

	"fetch": {[]string{"redact"}, "it reads what clients have published, and knows nothing of them"},

	"redact/leak": {nil, "finds secrets in what values print, for the tests of all layers"},

	"internal/splice":    {nil, "changes sealed texts for fuzzing"},
	"internal/testworld": {nil, everything},
}

// everything is the reason of the room that may import every other room and every
// layer. TestOnlyTestsImportTheTestWorld keeps it out of the program.
const everything = "it builds the whole provider over the real store, for the tests of all rooms"

const domain = "the domain knows no endpoint: it decides, and others speak HTTP"

// notInTheDomain are imports that only rooms which speak HTTP may have.
var notInTheDomain = []string{"net/http", "html/template", "github.com/go-chi/chi/v5", "github.com/zitadel/oidc/v3"}

// only are third parties, and folders of ours, with the places that may import
// them; the first is their home.
var only = map[string]struct {
	by  []string
	why string
}{
	"github.com/zitadel/oidc/v3/pkg/oidc": {[]string{"provider/endpoint", "provider/clientauth", "provider/authorize", "provider/token", "provider/registration", "provider/deviceflow", "provider/transmitter"},
		"the library's types and errors stay in the rooms that speak the protocol"},
	"github.com/danielgtaylor/huma/v2":     {[]string{"provider/admin"}, "only the operators' API is described by an OpenAPI document"},
	"github.com/getkin/kin-openapi":        {[]string{"provider/admin"}, "only tests of the operators' API read its document back"},
	"go.etcd.io/bbolt":                     {[]string{"storage/bolt", "test/load"}, "an engine is one folder, and storage/record is for all of them; the load test measures the floor below it"},
	"github.com/jackc/pgx/v5":              {[]string{"storage/postgres", "storage/postgres/pgtest", "storage/postgres/crowd"}, "an engine is one folder, with its tests' server and the people of its measurements in it"},
	"calleridp/storage/postgres/pgtest":    {[]string{"storage/postgres", "test/load"}, "the program knows no server of its own; tests and measurements start one"},
	"github.com/pressly/goose/v3":          {[]string{"storage/postgres"}, "the schema belongs to the engine"},
	"calleridp/storage/postgres/crowd":     {[]string{"test/load"}, "made-up people are for measurements; the program fills no store"},
	"calleridp/storage/bolt":               {[]string{"cmd/calleridp", "cmd/calleridp/audit", "cmd/calleridp/dev", "cmd/calleridp/metrics", "cmd/calleridp/store", "provider/internal/testworld"}, "engines know neither each other nor who chooses one"},
	"calleridp/storage/postgres":           {[]string{"cmd/calleridp", "cmd/calleridp/audit", "cmd/calleridp/config", "cmd/calleridp/dev", "cmd/calleridp/metrics", "cmd/calleridp/store", "storage/postgres/crowd"}, "engines know neither each other nor who chooses one"},
	"calleridp/storage/transfer":           {[]string{"cmd/calleridp/store", "storage/backup", "storage/bolt", "storage/postgres", "storage/postgres/crowd"}, "a copy is a stream of records, and knows no engine"},
	"filippo.io/age":                       {[]string{"storage/backup"}, "how a backup is encrypted is one folder"},
	"calleridp/storage/backup":             {[]string{"cmd/calleridp", "cmd/calleridp/store", "cmd/calleridp/metrics"}, "a backup is of a store that it is given, and knows no engine"},
	"github.com/nyaruka/phonenumbers":      {[]string{"truecaller/phone"}, "a phone number is one type, which masks itself"},
	"calleridp/truecaller/simulator":       {[]string{"cmd/calleridp/dev", "cmd/calleridp/simulate", "test/load"}, "the simulator is reached over HTTP alone, so that the production path is the same code"},
	"github.com/sony/gobreaker":            {[]string{"truecaller"}, "only what speaks to Truecaller knows how it fails"},
	"github.com/prometheus/client_golang":  {[]string{"cmd/calleridp/metrics"}, "packages report to small observers of their own; how it is shown is one folder"},
	"go.opentelemetry.io/proto/slim/otlp":  {[]string{"cmd/calleridp/tracing", "test/flow"}, "packages report to small observers of their own; that some of it becomes a trace is one folder"},
	"github.com/oschwald/maxminddb-golang": {[]string{"cmd/calleridp/country"}, "packages are told a country, and know no database"},
	"github.com/caddyserver/certmagic":     {[]string{"cmd/calleridp/acme"}, "one room obtains certificates; the listener asks it for one"},
	"github.com/mholt/acmez/v3":            {[]string{"cmd/calleridp/acme"}, "it is certmagic's protocol"},
	"go.uber.org/zap":                      {[]string{"cmd/calleridp/acme"}, "our log is slog; this library's log ends where the library is used"},
	"github.com/coreos/go-systemd":         {[]string{"cmd/calleridp/serve"}, "only what listens and stops speaks with a service manager"},
	"github.com/goccy/go-yaml":             {[]string{"cmd/calleridp/config", "test/cli", "test/deploy"}, "packages take plain structs; only one room of cmd reads configuration, and a test what a command prints for Spring or a chart makes"},
	"github.com/spf13/cobra":               {[]string{"cmd/calleridp/command", "cmd/calleridp", "cmd/calleridp/audit", "cmd/calleridp/config", "cmd/calleridp/dev", "cmd/calleridp/doctor", "cmd/calleridp/health", "cmd/calleridp/operator", "cmd/calleridp/serve", "cmd/calleridp/simulate", "cmd/calleridp/store"}, "commands are in cmd, in the style of command"},
	"github.com/pelletier/go-toml/v2":      {[]string{"test/cli"}, "only a test reads TOML: what a command prints for oauth2-proxy"},
}

// never are packages that no file may import, with the reason.
var never = map[string]string{
	"github.com/zitadel/oidc/v3/pkg/op": "its server parses every request a second time, and its storage skips PKCE, iss and single use; " +
		"the endpoints are ours, over the types, errors and verifiers of pkg/oidc",
}

// source is a Go file with what it imports.
type source struct {
	path    string
	dir     string // with slashes
	test    bool
	imports []string
}

// top is the folder at the root.
func (s source) top() string {
	top, _, _ := strings.Cut(s.dir, "/")
	return top
}

// room is the folder below provider, "provider" for the package itself and "" for
// other files.
func (s source) room() string {
	if s.dir == "provider" {
		return "provider"
	}
	room, ok := strings.CutPrefix(s.dir, "provider/")
	if !ok {
		return ""
	}
	return room
}

// sources reads the imports of all files.
func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || d.Name() == "testdata" || len(d.Name()) > 1 && d.Name()[0] == '.') {
			return fs.SkipDir
		}
		if d.IsDir() && path != "." {
			if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil {
				return fs.SkipDir // another module, which cannot import what has no address
			}
		}
		if !strings.HasSuffix(path, ".go") || filepath.Dir(path) == "." {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		s := source{path: path, dir: filepath.ToSlash(filepath.Dir(path)), test: strings.HasSuffix(path, "_test.go")}
		for _, spec := range file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			s.imports = append(s.imports, imported)
		}
		all = append(all, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// within reports whether an import is name, or a package below it.
func within(imported, name string) bool {
	return imported == name || strings.HasPrefix(imported, name+"/")
}

// TestImportsAreGrouped holds the order of imports: the standard library, then ours, then
// those of others.
func TestImportsAreGrouped(t *testing.T) {
	group := func(imported string) int {
		host, _, _ := strings.Cut(imported, "/")
		switch {
		case strings.HasPrefix(imported, module):
			return 1
		case strings.Contains(host, "."):
			return 2
		}
		return 0
	}
	for _, s := range sources(t) {
		for i := 1; i < len(s.imports); i++ {
			if before, here := s.imports[i-1], s.imports[i]; group(here) < group(before) {
				t.Errorf("%s imports %s after %s; want the standard library, then ours, then those of others", s.path, here, before)
			}
		}
	}
}

// TestLayers holds the direction of imports between the top folders, by reading
// the files.
func TestLayers(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range sources(t) {
		layer, known := layers[s.top()]
		if !known {
			t.Errorf("%s: the folder %s has no place in the layout", s.path, s.top())
			continue
		}
		seen[s.top()] = true
		if s.test || rooms[s.room()].why == everything { // a test may set up whatever it tests with
			continue
		}
		for _, imported := range s.imports {
			ours, ok := strings.CutPrefix(imported, module)
			if !ok || excepted(s, imported) {
				continue
			}
			if to, _, _ := strings.Cut(ours, "/"); to != s.top() && !slices.Contains(layer.may, to) {
				t.Errorf("%s imports %s, but %s may import only %v of ours: %s", s.path, imported, s.top(), append([]string{s.top()}, layer.may...), layer.why)
			}
		}
	}
	// A rule about something that does not exist protects nothing.
	for top, layer := range layers {
		if !seen[top] {
			t.Errorf("there is no Go file in %s: the rule is out of date", top)
		}
		for _, to := range layer.may {
			if _, ok := layers[to]; !ok {
				t.Errorf("%s may import %s, which is no layer", top, to)
			}
		}
	}
}

// excepted reports whether a rule of only lets the file import what its layer may
// not.
func excepted(s source, imported string) bool {
	for name, rule := range only {
		if within(imported, name) && slices.Contains(rule.by, s.dir) {
			return true
		}
	}
	return false
}

// TestRooms holds the direction of imports between the rooms of provider.
func TestRooms(t *testing.T) {
	used := map[string]map[string]bool{} // room, imported room
	for _, s := range sources(t) {
		name := s.room()
		if name == "" || s.test {
			continue
		}
		room, known := rooms[name]
		if !known {
			t.Errorf("%s: the folder has no place among the rooms of provider", s.path)
			continue
		}
		if used[name] == nil {
			used[name] = map[string]bool{}
		}
		for _, imported := range s.imports {
			if room.why == domain {
				for _, web := range notInTheDomain {
					if within(imported, web) {
						t.Errorf("%s imports %s: %s", s.path, imported, room.why)
					}
				}
			}
			to, ok := strings.CutPrefix(imported, module+"provider/")
			if !ok {
				continue
			}
			used[name][to] = true
			if room.why == everything {
				continue
			}
			if !slices.Contains(room.may, to) {
				t.Errorf("%s imports provider/%s, but provider/%s may import only %v: %s", s.path, to, name, room.may, room.why)
			}
		}
	}
	for name, room := range rooms {
		for _, to := range room.may {
			if !used[name][to] {
				t.Errorf("%s may import %s and does not: the rule is out of date", name, to)
			}
		}
		if used[name] == nil {
			t.Errorf("there is no room %s: the rule is out of date", name)
		}
	}
}

// TestOnlyTestsImportTheTestWorld keeps what only tests need out of the program.
func TestOnlyTestsImportTheTestWorld(t *testing.T) {
	used := map[string]bool{"internal/testworld": false, "redact/leak": false}
	for _, s := range sources(t) {
		for _, imported := range s.imports {
			room := strings.TrimPrefix(imported, module+"provider/")
			if _, ours := used[room]; !ours {
				continue
			}
			used[room] = true
			if !s.test {
				t.Errorf("%s imports %s: only tests may, because %s", s.path, imported, rooms[room].why)
			}
		}
	}
	for room, by := range used {
		if !by {
			t.Errorf("no test imports provider/%s: the rule is out of date", room)
		}
	}
}

// TestThirdParties holds who may import what others wrote.
func TestThirdParties(t *testing.T) {
	users := map[string]bool{}
	for _, s := range sources(t) {
		for _, imported := range s.imports {
			for name, why := range never {
				if within(imported, name) {
					t.Errorf("%s imports %s: %s", s.path, imported, why)
				}
			}
			for name, rule := range only {
				if !within(imported, name) || imported != name && only[imported].by != nil { // which has a rule of its own
					continue
				}
				if module+s.dir == name || slices.Contains(rule.by, s.dir) {
					users[name] = users[name] || s.dir == rule.by[0]
				} else if !s.test || !strings.HasPrefix(name, module) {
					t.Errorf("%s imports %s, which only %s may: %s", s.path, imported, strings.Join(rule.by, " and "), rule.why)
				}
			}
		}
	}
	for name, rule := range only {
		for _, by := range rule.by {
			if _, err := os.Stat(by); err != nil {
				t.Errorf("%s may be imported by %s, which does not exist", name, by)
			}
		}
		if !users[name] {
			t.Errorf("%s does not import %s: the rule is out of date", rule.by[0], name)
		}
	}
}

// Packages take structs; only cmd may read the environment.
func TestNobodyReadsTheEnvironment(t *testing.T) {
	for top := range layers {
		if top == "cmd" || top == "test" {
			continue
		}
		err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for _, call := range []string{"os.Getenv(", "os.LookupEnv(", "os.Environ("} {
				if strings.Contains(string(text), call) {
					t.Errorf("%s calls %s): give it a field in its configuration", path, call)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// A purpose that is not in keys/purposes.go could be the same as another one.
func TestPurposesAreListedInOnePlace(t *testing.T) {
	declared := regexp.MustCompile(`keys\.Purpose\s*=|keys\.Purpose\(`)
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		text, err := os.ReadFile(s.path)
		if err != nil {
			t.Fatal(err)
		}
		if declared.Match(text) {
			t.Errorf("%s declares a key purpose: add it to keys/purposes.go", s.path)
		}
	}
}
