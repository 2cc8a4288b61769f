package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"calleridp/cmd/calleridp/config"
	"calleridp/cmd/calleridp/serve"
	"calleridp/keys"
	"calleridp/provider/admin"
	"calleridp/provider/audit"
	"calleridp/provider/client"
	"calleridp/provider/console"
	"calleridp/truecaller"
	"calleridp/ui"
	pages "calleridp/ui/console"
)

// later is a handler that is known after those who call it are built.
type later struct{ http.Handler }

// openDoor returns what lets operators into the console, and makes the registry know the
// console. endpoints are the issuer's.
func openDoor(
	s config.Settings, store *storage, ring *keys.Ring, registry *client.Registry, endpoints *later, log *slog.Logger, recorder audit.Recorder,
) (*console.Console, error) {
	door, err := console.New(console.Config{
		URL:        s.Console.URL,
		Issuer:     s.Issuer,
		Operators:  s.Operators,
		Subs:       s.Console.Subs,
		Master:     s.Master,
		Sessions:   store,
		Bindings:   store,
		Keys:       store,
		Audit:      recorder,
		Log:        log,
		Algorithms: ring.Algorithms(),
		Verify:     ring.Verify,
		Endpoints:  http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { endpoints.ServeHTTP(w, r) }),
	})
	if err != nil {
		return nil, err
	}
	return door, registry.AddOwn(door.Client())
}

// consoleHandler returns the console's pages.
func consoleHandler(
	door *console.Console, api *admin.API, s config.Settings, store *storage, outgoing *truecaller.Client, program *serve.Program, log *slog.Logger,
) http.Handler {
	handler := pages.Handler(pages.Config{
		Door:   door,
		API:    api,
		Funnel: store,
		Health: func(ctx context.Context) []pages.Fact { return facts(ctx, s, store, outgoing, program) },
		Tokens: ui.Tokens(),
		Log:    log,
	})
	if store.wrap != nil {
		return store.wrap(handler)
	}
	return handler
}

// certificateSoon is how long before its end a certificate is pointed out.
const certificateSoon = 14 * 24 * time.Hour

// facts says how this server is.
func facts(ctx context.Context, s config.Settings, store *storage, outgoing *truecaller.Client, program *serve.Program) []pages.Fact {
	version, _ := versions()
	facts := []pages.Fact{{Name: "Version", Value: version}}
	if err := store.Healthy(); err != nil {
		facts = append(facts, pages.Fact{Name: "Store", Value: "does not take changes", Bad: true, Note: err.Error()})
	} else {
		facts = append(facts, pages.Fact{Name: "Store", Value: "takes changes", Good: true, Note: s.Storage.Engine})
	}
	if n, err := store.InboxSize(ctx); err == nil {
		facts = append(facts, pages.Fact{Name: "Callbacks in the inbox", Value: fmt.Sprint(n)})
	}
	facts = append(facts, pages.Fact{Name: "Connections", Value: fmt.Sprintf("%d open", program.Connections.Open())})
	facts = append(facts, certificateFacts(s)...)
	breakers := outgoing.Breakers()
	for _, b := range breakers {
		f := pages.Fact{Name: "Truecaller: " + string(b.Purpose), Value: "answers", Good: true, Note: b.Host}
		if b.State != truecaller.BreakerClosed {
			f.Value, f.Good, f.Bad = "held back, because it does not answer", false, true
		}
		facts = append(facts, f)
	}
	if len(breakers) == 0 {
		facts = append(facts, pages.Fact{Name: "Truecaller", Value: "not asked since the start"})
	}
	return facts
}

// certificateFacts says when the certificates end that the server has.
func certificateFacts(s config.Settings) (facts []pages.Fact) {
	for _, c := range []struct{ name, cert, key string }{
		{"Certificate", s.TLS.CertFile, s.TLS.KeyFile}, {"Certificate of admin_listen", s.AdminTLS.CertFile, s.AdminTLS.KeyFile},
	} {
		if c.cert == "" {
			continue
		}
		pair, err := tls.LoadX509KeyPair(c.cert, c.key)
		if err != nil || pair.Leaf == nil {
			facts = append(facts, pages.Fact{Name: c.name, Value: "does not load", Bad: true})
			continue
		}
		left := time.Until(pair.Leaf.NotAfter)
		facts = append(facts, pages.Fact{
			Name: c.name, Value: "until " + pair.Leaf.NotAfter.UTC().Format(time.DateOnly),
			Note: fmt.Sprintf("%d days left", int(left.Hours()/24)),
			Good: left > certificateSoon, Bad: left <= certificateSoon,
		})
	}
	return facts
}
