// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"math/bits"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"calleridp/test/harness"

	"golang.org/x/oauth2"
)

var sealedField = regexp.MustCompile(`name="request"[^>]*value="([^"]*)"`)
var tokenField = regexp.MustCompile(`name="token" value="([^"]*)"`)

var challengeField = regexp.MustCompile(`name="challenge" value="([^"]*)"`)
var challengeTask = regexp.MustCompile(`data-seed="([^"]*)" data-bits="(\d+)"`)

// work makes entries until the load ends, of each kind in turn.
func (l *ledger) work() {
	for !l.stopped() {
		var err error
		switch n := int(l.lives.Add(1)); n % 12 {
		case 0:
			err = l.lockNumber()
		case 1:
			err = l.oneChallenge()
		default:
			err = l.live(l.newEntry(approving), n%8)
		}
		switch {
		case errors.Is(err, errGone):
			select { // as a user, who does not try again at once
			case <-l.stop:
			case <-time.After(20 * time.Millisecond):
			}
		case err != nil:
			l.t.Error(err)
			l.stopLoad()
		}
	}
}

// form gets the sign-in page and fills it in.
func (l *ledger) form(e *entry, browser *http.Client) (url.Values, error) {
	status, _, page, err := l.request(browser, l.server.AuthorizationURL("scope", "openid phone offline_access", "prompt", "login",
		"code_challenge", oauth2.S256ChallengeFromVerifier(e.verifier)), nil, false)
	if err != nil {
		return nil, err
	}
	field, challenge, task := sealedField.FindStringSubmatch(page), challengeField.FindStringSubmatch(page), challengeTask.FindStringSubmatch(page)
	if field == nil || challenge == nil || task == nil {
		return nil, fmt.Errorf("no sign-in form with a challenge: status %d\n%.300s", status, page)
	}
	bits, err := strconv.Atoi(task[2])
	return url.Values{
		"request": {html.UnescapeString(field[1])}, "phone": {e.number},
		"challenge": {html.UnescapeString(challenge[1])}, "solution": {solve(task[1], bits)},
	}, err
}

// solve finds the solution of a challenge.
func solve(seed string, zeros int) string {
	for n := 0; ; n++ {
		solution := strconv.Itoa(n)
		hash := sha256.Sum256([]byte(seed + solution))
		if bits.LeadingZeros64(binary.BigEndian.Uint64(hash[:8])) >= zeros {
			return solution
		}
	}
}

// submit begins a sign-in: acknowledged when the browser is led to its waiting page.
func (l *ledger) submit(e *entry, browser *http.Client) error {
	form, err := l.form(e, browser)
	if err != nil {
		return err
	}
	return l.post(e, browser, form)
}

func (l *ledger) post(e *entry, browser *http.Client, form url.Values) error {
	status, location, page, err := l.request(browser, "/signin", form, false)
	if err != nil {
		return err
	}
	if status == http.StatusTooManyRequests {
		return fmt.Errorf("submitting %s: %w\n%.300s", e.number, errLocked, page)
	}
	if status != http.StatusSeeOther {
		return fmt.Errorf("submitting %s: status %d\n%.300s", e.number, status, page)
	}
	l.ack("attempts", func() {
		e.waiting, e.browser = location, browser
		e.solved = url.Values{"challenge": form["challenge"], "solution": form["solution"]}
	})
	return nil
}

// follow waits for the approval and takes the code. It returns false while the page
// still waits when patient has ended.
func (l *ledger) follow(e *entry, patient <-chan time.Time) (bool, error) {
	at := e.waiting
	for polls := 0; ; polls++ {
		if strings.HasSuffix(at, "/continue") {
			return true, l.leave(e, at)
		}
		status, location, page, err := l.request(e.browser, at, nil, false)
		if err != nil {
			return false, err
		}
		switch {
		case location != "":
			at = location
		case !strings.Contains(page, `id="waiting"`):
			return false, fmt.Errorf("%s: the sign-in stopped with status %d\n%.300s", e.number, status, page)
		case patient == nil && l.stopped(), patient == nil && polls > 500 && l.callback(e.number) == nil: // Truecaller has given up
			return false, errGone
		default:
			select {
			case <-patient:
				return false, nil
			case <-time.After(10 * time.Millisecond): // the page's own refresh, hurried
			}
		}
	}
}

// token makes a token request.
func (l *ledger) token(form url.Values) (granted bool, refresh, id string, err error) {
	status, _, body, err := l.request(&http.Client{Transport: shared, Timeout: harness.Timeout}, "/token", form, true)
	if err != nil {
		return false, "", "", err
	}
	var answer struct {
		Refresh string `json:"refresh_token"`
		ID      string `json:"id_token"`
		Error   string `json:"error"`
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil || status != 200 && answer.Error != "invalid_grant" {
		return false, "", "", fmt.Errorf("/token: status %d\n%.300s", status, body)
	}
	return status == 200, answer.Refresh, answer.ID, nil
}

func (l *ledger) codeForm(e *entry) url.Values {
	return url.Values{"grant_type": {"authorization_code"}, "code": {e.codeIs}, "redirect_uri": {harness.RedirectURI}, "code_verifier": {e.verifier}}
}

func (l *ledger) redeem(e *entry) (bool, error) {
	granted, refresh, id, err := l.token(l.codeForm(e))
	if granted {
		l.ack("codes redeemed", func() {
			e.code, e.family, e.refresh, e.id, e.sub = ended, alive, []string{refresh}, id, subOf(id)
		})
	}
	return granted, err
}

// refreshForm uses a refresh token: back is 1 for the newest, 2 for the one before.
func (l *ledger) refreshForm(e *entry, back int) url.Values {
	return url.Values{"grant_type": {"refresh_token"}, "refresh_token": {e.refresh[len(e.refresh)-back]}}
}

func (l *ledger) refreshed(e *entry) (bool, error) {
	granted, refresh, _, err := l.token(l.refreshForm(e, 1))
	if granted {
		l.ack("refreshes", func() { e.refresh = append(e.refresh, refresh) })
	}
	return granted, err
}

// live is the life of a user, as far as it goes: what says how it ends.
func (l *ledger) live(e *entry, what int) error {
	if err := l.submit(e, e.browser); err != nil {
		return err
	}
	if _, err := l.follow(e, nil); err != nil || what == 0 { // the code is kept
		return err
	}
	l.doubt(&e.code)
	if what == 5 {
		return l.redeemTwice(e)
	}
	if granted, err := l.redeem(e); err != nil || !granted {
		return errors.Join(err, refusedUnless(granted, e, "a new code"))
	}
	for range min(what, 4) {
		if granted, err := l.refreshed(e); err != nil || !granted {
			return errors.Join(err, refusedUnless(granted, e, "the newest refresh token"))
		}
	}
	switch what {
	case 2:
		return l.revokeAndRefresh(e)
	case 3:
		l.doubt(&e.session)
		status, location, body, err := l.request(e.browser, "/logout?"+url.Values{"id_token_hint": {e.id}}.Encode(), nil, false)
		if err != nil || !strings.HasPrefix(location, "/logout/done") {
			return errors.Join(err, unlessGone(err, fmt.Errorf("signing out: status %d, %q\n%.300s", status, location, body)))
		}
		l.ack("sign-outs", func() { e.session = ended })
	case 4:
		_, _, page, err := l.request(e.browser, "/account/delete", nil, false)
		if err != nil {
			return err
		}
		field := tokenField.FindStringSubmatch(page)
		if field == nil {
			return fmt.Errorf("no form that deletes the account\n%.300s", page)
		}
		l.doubt(&e.session, &e.family, &e.account)
		status, location, page, err := l.request(e.browser, "/account/delete", url.Values{"token": {field[1]}}, false)
		if err != nil || location != "/account/deleted" {
			return errors.Join(err, unlessGone(err, fmt.Errorf("deleting: status %d, %q\n%.300s", status, location, page)))
		}
		l.ack("deletions", func() { e.session, e.family, e.account = ended, ended, ended })
	}
	return nil
}

// doubt notes that the end of these is requested.
func (l *ledger) doubt(facts ...*fact) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range facts {
		*f = doubtful
	}
}

func refusedUnless(granted bool, e *entry, what string) error {
	if granted {
		return nil
	}
	return fmt.Errorf("%s: %s was refused", e.number, what)
}

// unlessGone returns why, unless no response came at all.
func unlessGone(err, why error) error {
	if err != nil {
		return nil
	}
	return why
}

// subOf returns the sub of an ID token.
func subOf(id string) string {
	parts := strings.Split(id, ".")
	if len(parts) != 3 {
		return ""
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct {
		Sub string `json:"sub"`
	}
	if err != nil || json.Unmarshal(raw, &claims) != nil {
		return ""
	}
	return claims.Sub
}
