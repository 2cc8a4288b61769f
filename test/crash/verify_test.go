// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"calleridp/test/harness"
)

// verify compares the server after a restart with the ledger: the entries of the
// round, and some of earlier rounds, of which everything is ended.
func (l *ledger) verify(round string, random *rand.Rand) {
	l.mu.Lock()
	l.loading, l.disturbed = false, false
	entries := l.entries
	earlier := make([]*entry, 0, 20)
	for _, i := range random.Perm(len(l.settled))[:min(20, len(l.settled))] {
		earlier = append(earlier, l.settled[i])
	}
	l.mu.Unlock()

	work := make(chan func() error)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for check := range work {
				if err := check(); err != nil {
					l.t.Errorf("%s: %v", round, err)
				}
			}
		})
	}
	for _, e := range entries {
		work <- func() error { return l.entry(e) }
	}
	for _, e := range earlier {
		work <- func() error { return l.nothingComesBack(e) }
	}
	close(work)
	wg.Wait()
	l.mu.Lock()
	for _, e := range entries {
		if e.code == ended || e.family == ended || e.session == ended {
			l.settled = append(l.settled, e)
		}
	}
	l.mu.Unlock()
}

// entry verifies one user. What it uses up is ended afterwards.
func (l *ledger) entry(e *entry) error {
	what := func(err error) error {
		if err == nil {
			return nil
		}
		return fmt.Errorf("%s: %w", e.number, err)
	}
	if e.waiting != "" {
		if err := l.attempt(e); err != nil {
			return what(err)
		}
	}
	if err := l.sessionIs(e); err != nil {
		return what(err)
	}
	if e.code == alive {
		granted, err := l.redeem(e)
		if err != nil || !granted {
			return what(errors.Join(err, errors.New("a code that was acknowledged and not redeemed is lost")))
		}
	}
	if e.family == alive {
		granted, err := l.refreshed(e)
		if err != nil || !granted {
			return what(errors.Join(err, fmt.Errorf("the refresh token of generation %d is lost", len(e.refresh))))
		}
	}
	if err := l.nothingComesBack(e); err != nil {
		return what(err)
	}
	if err := l.oncePushed(e); err != nil {
		return what(err)
	}
	if e.account == ended {
		return what(l.anotherSub(e))
	}
	return nil
}

// attempt verifies an attempt that the browser was led to: it is there, it still
// holds its lock, and it completes if its callback was acknowledged.
func (l *ledger) attempt(e *entry) error {
	if e.silent {
		again := &entry{number: e.number, verifier: e.verifier}
		if err := l.submit(again, newBrowser()); !errors.Is(err, errLocked) {
			return fmt.Errorf("the number is not locked any more: %v", err)
		}
	}
	patience := make(chan time.Time)
	called := l.callback(e.number) != nil
	if called {
		time.AfterFunc(harness.Timeout, func() { close(patience) })
	} else {
		close(patience) // Truecaller may never try again
	}
	done, err := l.follow(e, patience)
	if err != nil || !done && called {
		return errors.Join(err, fmt.Errorf("an attempt that was acknowledged does not go on; its callback was acknowledged: %v", called))
	}
	return nil
}

// oncePushed verifies that the number got one push, and that neither its challenge nor
// the state of its callback can be used again.
func (l *ledger) oncePushed(e *entry) error {
	l.mu.Lock()
	pushes := l.pushes[e.number]
	l.mu.Unlock()
	if pushes > 1 {
		return fmt.Errorf("the number got %d pushes within its lock", pushes)
	}
	if e.solved != nil {
		other := &entry{number: l.newEntry(silentPrefix).number, verifier: e.verifier}
		form, err := l.form(other, newBrowser())
		if err != nil {
			return err
		}
		maps.Copy(form, e.solved)
		if err := l.post(other, newBrowser(), form); !errors.Is(err, errLocked) {
			return errors.Join(err, errors.New("a solved challenge was used twice"))
		}
	}
	callback := l.callback(e.number)
	if e.code != ended || callback == nil {
		return nil
	}
	response, err := http.Post(l.server.CallbackURL(), "application/json", bytes.NewReader(callback))
	if err != nil {
		return err
	}
	response.Body.Close()
	if response.StatusCode >= 300 {
		return fmt.Errorf("a callback that comes again: status %d", response.StatusCode)
	}
	_, location, _, err := l.request(e.browser, e.left, nil, false)
	if err != nil || strings.HasPrefix(location, harness.RedirectURI) {
		return errors.Join(err, fmt.Errorf("an attempt was used twice: it leads to %.80s", location))
	}
	return nil
}

// sessionIs verifies that a session signs in until it was ended.
func (l *ledger) sessionIs(e *entry) error {
	if e.session != alive && e.session != ended {
		return nil
	}
	_, location, body, err := l.request(e.browser, l.server.AuthorizationURL("prompt", "none"), nil, false)
	if err != nil {
		return err
	}
	back, err := url.Parse(location)
	if err != nil {
		return err
	}
	signedIn, out := back.Query().Get("code") != "", back.Query().Get("error") == "login_required"
	switch {
	case e.session == alive && !signedIn:
		return fmt.Errorf("a session that was acknowledged is lost: %s\n%.300s", location, body)
	case e.session == ended && !out:
		return fmt.Errorf("a session that was ended is back: %s\n%.300s", location, body)
	}
	return nil
}

// nothingComesBack verifies that what was used up or ended stays so. The second use of
// a code or an old refresh token ends the rest, so it comes last.
func (l *ledger) nothingComesBack(e *entry) error {
	if e.session == ended {
		if err := l.sessionIs(e); err != nil {
			return err
		}
	}
	if e.family == ended {
		if granted, err := l.refreshed(e); err != nil || granted {
			return errors.Join(err, errors.New("a refresh token that was revoked works again"))
		}
	}
	if n := len(e.refresh); n > 2 {
		granted, _, _, err := l.token(l.refreshForm(e, 3))
		if err != nil || granted {
			return errors.Join(err, fmt.Errorf("the refresh token of generation %d of %d works again", n-2, n))
		}
	}
	if e.code == ended {
		if granted, err := l.redeem(e); err != nil || granted {
			return errors.Join(err, errors.New("a code was redeemed twice"))
		}
		e.family = ended
	}
	return nil
}

// anotherSub verifies that the number of a deleted user belongs to a new one. The
// deletion has taken the browser's cookies, so it waits until the lock after the
// approval ends (limits.after_approval).
func (l *ledger) anotherSub(e *entry) error {
	next := &entry{number: e.number, browser: newBrowser(), verifier: e.verifier}
	err := l.submit(next, next.browser)
	for end := time.Now().Add(harness.Timeout); errors.Is(err, errLocked) && time.Now().Before(end); {
		time.Sleep(100 * time.Millisecond)
		err = l.submit(next, next.browser)
	}
	if err != nil {
		return err
	}
	patience := make(chan time.Time)
	time.AfterFunc(harness.Timeout, func() { close(patience) })
	if done, err := l.follow(next, patience); err != nil || !done {
		return errors.Join(err, errors.New("the number of a deleted user does not sign in"))
	}
	if granted, err := l.redeem(next); err != nil || !granted {
		return errors.Join(err, errors.New("the code of a new user was refused"))
	}
	if next.sub == "" || next.sub == e.sub {
		return fmt.Errorf("a deleted user is back: sub %s, before %s", next.sub, e.sub)
	}
	return nil
}
