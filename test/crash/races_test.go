// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"calleridp/test/harness"
)

// together runs these at the same time, and returns their errors; errGone alone if one of
// them is not known.
func together(run ...func() error) error {
	all := make([]error, len(run))
	var wg sync.WaitGroup
	for i := range run {
		wg.Go(func() { all[i] = run[i]() })
	}
	wg.Wait()
	gone := false
	rest := all[:0]
	for _, err := range all {
		if errors.Is(err, errGone) {
			gone = true
		} else {
			rest = append(rest, err)
		}
	}
	if err := errors.Join(rest...); err != nil || !gone {
		return err
	}
	return errGone
}

// lockNumber lets three browsers submit the number of a phone that does not respond, at
// the same time. One at most gets its push.
func (l *ledger) lockNumber() error {
	e := l.newEntry(silentPrefix)
	e.silent = true
	return l.onePush("locks", e, e, e)
}

// oneChallenge lets two browsers submit two numbers with the same solved challenge. One
// at most gets its push.
func (l *ledger) oneChallenge() error {
	a, b := l.newEntry(silentPrefix), l.newEntry(silentPrefix)
	a.silent, b.silent = true, true
	return l.onePush("challenges", a, b)
}

// onePush submits these at the same time, each from another browser and all with the
// challenge of the first, unless they have the same number. A browser whose request was
// lost tries again. One at most is acknowledged.
func (l *ledger) onePush(what string, entries ...*entry) error {
	var mu sync.Mutex
	sent := 0
	var shared url.Values
	var submits []func() error
	for i, e := range entries {
		browser := newBrowser()
		form, err := l.form(e, browser)
		if err != nil {
			return err
		}
		if i == 0 {
			shared = form
		} else if e != entries[0] {
			form["challenge"], form["solution"] = shared["challenge"], shared["solution"]
		}
		submits = append(submits, func() error {
			err := l.post(e, browser, form)
			for tries := 0; errors.Is(err, errGone) && tries < 3; tries++ {
				time.Sleep(20 * time.Millisecond) // as a user, who does not try again at once
				err = l.post(e, browser, form)
			}
			if errors.Is(err, errLocked) {
				return nil
			}
			if err == nil {
				mu.Lock()
				defer mu.Unlock()
				if sent++; sent > 1 {
					err = fmt.Errorf("%s: %d pushes were acknowledged, want one", what, sent)
				}
			}
			return err
		})
	}
	if err := together(submits...); err != nil {
		return err
	}
	if sent == 0 {
		return nil // the one that was lost has sent it, perhaps
	}
	l.ack(what, nil)
	return nil
}

// leave continues an approved attempt in two tabs at the same time. They get the same
// code.
func (l *ledger) leave(e *entry, at string) error {
	var mu sync.Mutex
	codes := map[string]bool{}
	tab := func() error {
		_, location, page, err := l.request(e.browser, at, nil, false)
		if err != nil {
			return err
		}
		if !strings.HasPrefix(location, harness.RedirectURI) {
			return nil // this tab was slower
		}
		back, err := url.Parse(location)
		if err != nil || back.Query().Get("code") == "" {
			return fmt.Errorf("%s: the sign-in ended with %s\n%.300s", e.number, location, page)
		}
		mu.Lock()
		defer mu.Unlock()
		codes[back.Query().Get("code")] = true
		return nil
	}
	err := together(tab, tab)
	switch {
	case len(codes) > 1:
		return fmt.Errorf("%s: one attempt gave %d codes", e.number, len(codes))
	case len(codes) == 0 && err == nil:
		return fmt.Errorf("%s: an approved attempt gave no code", e.number)
	case len(codes) == 0:
		return err
	}
	for code := range codes {
		l.ack("codes", func() { e.code, e.codeIs, e.left, e.waiting = alive, code, at, "" })
	}
	l.ack("sessions", func() { e.session, e.account = alive, alive })
	return nil
}

// redeemTwice redeems a code twice at the same time. It gives tokens once, and its second
// use ends them (RFC 6749 §4.1.2).
func (l *ledger) redeemTwice(e *entry) error {
	var mu sync.Mutex
	granted := 0
	redeem := func() error {
		ok, refresh, id, err := l.token(l.codeForm(e))
		if ok {
			mu.Lock()
			defer mu.Unlock()
			granted++
			e.refresh, e.id, e.sub = []string{refresh}, id, subOf(id)
		}
		return err
	}
	l.doubt(&e.family)
	err := together(redeem, redeem)
	if granted > 1 {
		return fmt.Errorf("%s: a code was redeemed twice", e.number)
	}
	if granted == 1 {
		l.ack("codes redeemed twice at once", func() {
			if e.code = ended; err == nil {
				e.family = ended
			}
		})
	}
	return err
}

// revokeAndRefresh revokes a refresh token while it is used. Once the revocation is
// acknowledged, it has ended, whatever the use has got.
func (l *ledger) revokeAndRefresh(e *entry) error {
	l.doubt(&e.family)
	revoke := func() error {
		status, _, body, err := l.request(&http.Client{Transport: shared, Timeout: harness.Timeout}, "/revoke", url.Values{"token": {e.refresh[len(e.refresh)-1]}}, true)
		if err == nil && status != 200 {
			err = fmt.Errorf("revoking: status %d\n%.300s", status, body)
		}
		return err
	}
	var newest string
	use := func() error {
		granted, refresh, _, err := l.token(l.refreshForm(e, 1))
		if granted {
			newest = refresh
		}
		return err
	}
	var revoked error
	err := together(func() error { revoked = revoke(); return revoked }, use)
	if newest != "" {
		l.ack("refreshes", func() { e.refresh = append(e.refresh, newest) })
	}
	if revoked == nil {
		l.ack("revocations", func() { e.family = ended })
	}
	return err
}
