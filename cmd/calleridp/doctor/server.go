// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"calleridp/cmd/calleridp/serve"
	"calleridp/keys"
)

// server checks the running server: whether there is one, whether it is ready, and its
// signing keys.
func (e *examination) server(ctx context.Context) {
	var all []keys.Info
	if e.running = e.admin.Get(ctx, "/v1/keys", &all); e.running != nil {
		e.add("server", Warning, e.running.Error(), "")
		e.add("signing keys", NotChecked, "the server does not answer on its admin socket", "")
		return
	}
	e.add("server", OK, "it answers on "+e.s.AdminSocket, "")
	e.results = append(e.results, judgeKeys(all, e.s.Keys.Algorithms, time.Duration(e.s.Keys.RotateEvery), time.Now())...)
}

// judgeKeys judges the signing keys: each algorithm needs one that signs, and the next one.
func judgeKeys(all []keys.Info, algorithms []string, rotateEvery time.Duration, now time.Time) (results []Result) {
	for _, alg := range algorithms {
		var active, next int
		var since time.Time
		for _, k := range all {
			if k.Algorithm != alg {
				continue
			}
			switch k.State {
			case keys.Active:
				active, since = active+1, k.Activated
			case keys.Next:
				next++
			}
		}
		switch {
		case active == 0:
			results = append(results, Result{"signing keys", Failed, alg + " has no active key: nothing can be signed with it", "restart the server; it makes the keys of keys.algorithms"})
		case next == 0:
			results = append(results, Result{"signing keys", Warning, alg + " has no next key", "look into the server's log for why it could not be stored"})
		case now.Sub(since) > rotateEvery+rotateEvery/2:
			results = append(results, Result{"signing keys", Warning,
				fmt.Sprintf("the %s key signs since %s, longer than keys.rotate_every (%s)", alg, since.UTC().Format(time.DateOnly), rotateEvery),
				"look into the server's log for why it was not rotated; or run calleridp keys rotate"})
		}
	}
	if len(results) == 0 {
		results = append(results, Result{"signing keys", OK, fmt.Sprintf("%s, each with one that signs and the next", plural(len(algorithms), "algorithm")), ""})
	}
	return results
}

// ready checks what a load balancer sees of the server, where that can be asked.
func (e *examination) ready(ctx context.Context) {
	a, err := e.get(ctx, e.s.Issuer+serve.PathReady)
	switch {
	case err != nil || !a.ours(): // the proxy keeps it to itself
	case a.StatusCode == http.StatusServiceUnavailable:
		e.add("readiness", Failed, "the server is not ready: it stops, or its store cannot be used", "look into its log")
	}
}
