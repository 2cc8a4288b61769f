// SPDX-License-Identifier: Apache-2.0

// Package doctor has the command `calleridp doctor`: it looks for everything that goes
// wrong in the first hour of a deployment, and says of each what to do.
//
//	doctor.go      results, the order of the checks, and what depends on what
//	files.go       permissions and owners
//	folders.go     the folders that the server writes, and the room on their disks
//	issuer.go      the issuer's name, certificate and address
//	route.go       how requests reach the server: callbacks, proxies, cookies, live events
//	truecaller.go  Truecaller's hosts, the clock, the appKey
//	server.go      the running server: whether it is ready, its keys
//	client.go      the settings of one client
//	command.go     the command and its output
//
// Every check runs without the server, except those that ask it something; they say that
// they were not made, and why. It changes nothing.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"calleridp/cmd/calleridp/config"
)

// Status is how a check ended.
type Status string

// The outcomes of a check.
const (
	OK         Status = "ok"
	Warning    Status = "warning"     // it works, and is probably not what was wanted
	Failed     Status = "FAILED"      // something does not work, or is not safe
	NotChecked Status = "not checked" // nothing is known, and why
)

// Result is what one check has found.
type Result struct {
	Check  string `json:"check"`
	Status Status `json:"status"`
	Found  string `json:"found"`
	Fix    string `json:"fix,omitempty"` // what to do about it
}

// Options choose the checks.
type Options struct {
	File      string // the configuration; "": the environment alone
	Client    string // the client whose settings are checked as well; "": none
	TryAppKey bool   // send a push to a number that no phone has
}

// Admin asks the running server. Errors are sentences for the operator.
type Admin interface {
	// Get decodes what the admin API has at a path into v.
	Get(ctx context.Context, path string, v any) error
}

// examination collects the results of one run.
type examination struct {
	Options
	s       config.Settings
	admin   Admin
	running error // why the server does not answer on its admin socket; nil if it does
	results []Result

	http *http.Client // to the issuer and to Truecaller: no proxy, no redirects
}

// timeout bounds each request.
const timeout = 10 * time.Second

// Run makes all checks. admin returns how to ask the server with this admin socket.
func Run(ctx context.Context, o Options, admin func(socket string) Admin) []Result {
	e := &examination{Options: o, http: newHTTP()}
	defer e.http.CloseIdleConnections()
	s, err := config.Load(o.File)
	if err != nil {
		e.refused(err)
		e.add("everything else", NotChecked, "the configuration is refused", "correct it, and run doctor again")
		return e.results
	}
	e.s, e.admin = s, admin(s.AdminSocket)
	e.configuration(ctx)
	e.files()
	e.disk()
	e.server(ctx)
	if e.issuer(ctx) {
		e.route(ctx)
	}
	e.truecaller(ctx)
	if o.Client != "" {
		e.client(ctx)
	}
	return e.results
}

// add adds a result. found and fix are sentences without a full stop.
func (e *examination) add(check string, status Status, found, fix string) {
	e.results = append(e.results, Result{check, status, found, fix})
}

// refused adds what is wrong with a configuration.
func (e *examination) refused(err error) {
	invalid, ok := errors.AsType[*config.InvalidError](err)
	if !ok {
		e.add("configuration", Failed, err.Error(), "name the file with --config")
		return
	}
	for _, one := range invalid.Keys {
		e.add("configuration", Failed, one.Error(), "")
	}
}

// configuration checks what `calleridp config check` does.
func (e *examination) configuration(ctx context.Context) {
	warnings, err := e.s.Examine(ctx, e.File)
	if err != nil {
		e.refused(err)
	}
	for _, warning := range warnings {
		e.add("configuration", Warning, warning, "")
	}
	if err == nil && len(warnings) == 0 {
		e.add("configuration", OK, "nothing is refused", "")
	}
	if e.s.Postgres != nil && err == nil {
		e.add("database", OK, "it can be used as the configuration says", "")
	}
}

// isFailed reports whether a check of the results has failed.
func isFailed(results []Result) bool {
	for _, r := range results {
		if r.Status == Failed {
			return true
		}
	}
	return false
}

// plural returns a number and its noun.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
