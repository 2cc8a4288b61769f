// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"

	"calleridp/truecaller"
	"calleridp/truecaller/phone"
)

// truecaller checks what the server needs of Truecaller. Its requests go where the
// server's go, without a proxy of the environment.
func (e *examination) truecaller(ctx context.Context) {
	var hosts []*url.URL
	for _, app := range e.s.Apps {
		if !app.NativeOnly() {
			hosts = append(append(hosts, app.API), app.Profiles...)
		}
		if app.OAuth != nil && app.NativeClientID != "" {
			hosts = append(hosts, app.OAuth)
		}
	}
	seen := map[string]bool{}
	for _, host := range hosts {
		if seen[host.String()] {
			continue
		}
		seen[host.String()] = true
		// Any response will do: what it says to a request without credentials is not documented.
		a, err := e.get(ctx, host.String()+"/")
		simulated := truecaller.IsLoopback(host.Hostname())
		if err != nil && simulated {
			e.add("Truecaller", Failed, fmt.Sprintf("%s gives no response (%v)", host, err), "start calleridp simulate, or remove the address from the configuration")
			continue
		}
		if err != nil {
			e.add("Truecaller", Failed, fmt.Sprintf("%s gives no response (%v)", host, err),
				wayOut(err))
			continue
		}
		e.add("Truecaller", OK, fmt.Sprintf("%s responds", host), "")
		if !simulated {
			e.clock(host.Host, a)
		}
	}
	if !e.has("clock", OK) && !e.has("clock", Warning) && !e.has("clock", Failed) {
		e.add("clock", NotChecked, "no other machine's time was seen", "see the checks of Truecaller above")
	}
	for _, app := range e.s.Apps {
		if !app.NativeOnly() && !app.WithoutPush {
			e.appKey(ctx, app)
		}
	}
}

// wayOut says what to do about a host of Truecaller's that does not respond.
func wayOut(err error) string {
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return "let this machine resolve names of the internet (/etc/resolv.conf)"
	}
	return "open the way out to it, port 443, in the firewall; the server uses no proxy of the environment"
}

// clock compares the clock of this machine with the Date of a response (RFC 9110 §6.6.1),
// which has whole seconds.
func (e *examination) clock(whose string, a answer) {
	date, err := http.ParseTime(a.Header.Get("Date"))
	if err != nil {
		return
	}
	if r := judgeClock(whose, time.Since(date)); r.Status != OK || !e.has("clock", OK) { // one that agrees is enough
		e.results = append(e.results, r)
	}
}

// judgeClock judges by how much this machine's clock is ahead.
func judgeClock(whose string, ahead time.Duration) Result {
	fix := "synchronise it (timedatectl set-ntp true): tokens of a wrong time are refused, and locks end early or late"
	found := fmt.Sprintf("this machine's clock and %s differ by %s", whose, ahead.Abs().Round(time.Second))
	switch off := ahead.Abs(); {
	case off > time.Minute:
		return Result{"clock", Failed, found, fix}
	case off > 10*time.Second:
		return Result{"clock", Warning, found, fix}
	}
	return Result{"clock", OK, "it agrees with " + whose, ""}
}

// fictional are numbers that no phone has: Sweden reserves +46 70 174 06 05 to 99 for
// fiction. The simulator treats this one as a number without Truecaller.
const fictional = "+46701740617"

// appKey checks that Truecaller accepts the appKey of an app. Truecaller documents no
// request that only asks it.
func (e *examination) appKey(ctx context.Context, app truecaller.App) {
	check := "appKey of " + app.ID
	if !e.TryAppKey {
		e.add(check, NotChecked, "Truecaller documents no way to ask without a push",
			"add --try-app-key to send one push to a number that no phone has (+46 70 174 06 17, reserved for fiction), or sign in with your own")
		return
	}
	n, err := phone.Parse(fictional, "")
	if err != nil {
		e.add(check, NotChecked, err.Error(), "")
		return
	}
	client := truecaller.NewClient(truecaller.Options{Timeout: timeout})
	permit, err := client.Admit(app)
	if err != nil {
		e.add(check, NotChecked, err.Error(), "")
		return
	}
	_, err = client.Push(ctx, permit, app, n, "calleridp-doctor")
	e.results = append(e.results, judgePush(check, err))
}

// judgePush says what the response to a push to a number without Truecaller tells of the
// appKey.
func judgePush(check string, err error) Result {
	failure, _ := errors.AsType[*truecaller.PushError](err)
	switch {
	case err == nil:
		return Result{check, OK, "Truecaller took a push, to a number that no phone has", ""}
	case failure == nil:
		return Result{check, NotChecked, err.Error(), ""}
	case failure.Kind == truecaller.PushNoAccount:
		return Result{check, OK, "Truecaller refused the number, which no phone has, and not the key", ""}
	case failure.Kind == truecaller.PushAppKeyRejected:
		return Result{check, Failed, "Truecaller refuses it", "copy it from Truecaller's portal again, without spaces; the app must be of type Web and approved"}
	case slices.Contains([]truecaller.PushFailure{truecaller.PushUnavailable, truecaller.PushUnknown}, failure.Kind):
		return Result{check, NotChecked, fmt.Sprintf("Truecaller gave no usable response (%v)", err), "run doctor again later"}
	}
	return Result{check, Warning, fmt.Sprintf("Truecaller refused the push, and it is not documented why (%v)", err), "sign in with your own number, and look into the log"}
}
