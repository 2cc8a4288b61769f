// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider/grant"
	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/redact"
	"calleridp/truecaller"
	"calleridp/truecaller/phone"
)

const (
	sdkCode     = "the-code-that-the-sdk-gave"
	sdkVerifier = "the-verifier-that-the-application-kept"
	oauthToken  = "the-token-of-the-oauth-interface"
)

// oauthDouble stands for Truecaller's OAuth interface.
type oauthDouble struct {
	mu        sync.Mutex
	exchanges int
	down      *truecaller.Unavailable
	exchange  func(ctx context.Context) error
	userinfo  func(ctx context.Context) (truecaller.Profile, error)
}

func (d *oauthDouble) AdmitExchange(truecaller.App) (*truecaller.Permit, error) {
	if d.down != nil {
		return nil, d.down
	}
	return &truecaller.Permit{}, nil
}

func (d *oauthDouble) ExchangeCode(ctx context.Context, _ *truecaller.Permit, app truecaller.App, code, verifier string) (string, error) {
	d.mu.Lock()
	d.exchanges++
	d.mu.Unlock()
	if app.NativeClientID == "" || !strings.HasPrefix(code, sdkCode) || verifier != sdkVerifier {
		return "", errors.New("the double was asked for something else")
	}
	if d.exchange != nil {
		if err := d.exchange(ctx); err != nil {
			return "", err
		}
	}
	return oauthToken, nil
}

func (d *oauthDouble) FetchUserinfo(ctx context.Context, _ truecaller.App, token string) (truecaller.Profile, error) {
	if token != oauthToken {
		return truecaller.Profile{}, truecaller.ErrUnauthorized
	}
	return d.userinfo(ctx)
}

func (d *oauthDouble) asked() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.exchanges
}

// tells makes userinfo tell one sub.
func tells(t *testing.T, sub string) func(context.Context) (truecaller.Profile, error) {
	return func(context.Context) (truecaller.Profile, error) {
		return truecaller.Profile{OAuthSub: sub, FirstName: "Asha", Numbers: []phone.Number{num(t, digits)}}, nil
	}
}

func nativeWorld(t *testing.T, change ...func(*login.Config)) (*world, *oauthDouble) {
	d := &oauthDouble{userinfo: tells(t, "1")}
	return newWorld(t, append([]func(*login.Config){func(c *login.Config) {
		c.Exchanger = d
		c.Apps = map[string]truecaller.App{"main": {ID: "main", NativeClientID: "id"}, "second": {ID: "second"}, "third": {ID: "third", NativeClientID: "3"}}
	}}, change...)...), d
}

func (w *world) native(change ...func(*login.NativeRequest)) (login.Attempt, error) {
	s := login.NativeRequest{Code: sdkCode, Verifier: sdkVerifier, App: "main", ClientID: "demo", Network: "192.0.2.7/32"}
	for _, c := range change {
		c(&s)
	}
	done, err := w.engine.Native(w.t.Context(), s, issue)
	return done.Attempt, err
}

func code(suffix string) func(*login.NativeRequest) {
	return func(s *login.NativeRequest) { s.Code = redact.Text(sdkCode + suffix) }
}

// issue is the grant and token that a native sign-in gives.
func issue(a login.Attempt, _ truecaller.Profile) (grant.Redemption, error) {
	g := grant.Grant{ID: a.GrantID, ClientID: a.ClientID, Sub: a.Sub, Created: a.Ended, Expires: a.Ended.Add(time.Hour)}
	token := grant.AccessToken{Hash: grant.HashToken(redact.Text(a.ID)), GrantID: g.ID, Expires: g.Expires}
	return grant.Redemption{Grant: &g, Access: &token, Current: g}, nil
}

func TestNative(t *testing.T) {
	w, _ := nativeWorld(t)
	a, err := w.native()
	w.must(err)
	if a.Method != login.Native || a.State != login.Done || a.Number != num(t, digits) || a.Sub == "" || a.AuthTime.IsZero() {
		t.Fatalf("%+v", a)
	}
	person, err := w.store.Person(t.Context(), a.Sub)
	w.must(err)
	if person.OAuthSub != "1" || person.Number != a.Number || person.Profile.FirstName != "Asha" {
		t.Errorf("%+v", person)
	}
	_, g, err := w.store.AccessToken(t.Context(), sha256.Sum256([]byte(a.ID)))
	w.must(err)
	if g.Sub != a.Sub || g.SID != "" {
		t.Errorf("%+v", g)
	}
	for _, event := range []string{"attempt.started", "attempt.approved", "attempt.done"} {
		if w.log.count(event, map[string]string{"method": "native", "client": "demo", "network": "192.0.2.7/32", "app": "main"}) != 1 {
			t.Errorf("no %s", event)
		}
	}
	if w.locked() {
		t.Error("the number is locked, and no phone was asked")
	}

	// The same person by push, in spite of the profile's id, and natively again.
	w.restart()
	w.start()
	w.approve()
	w.must2(w.native(code("2")))
	if n := w.log.count("attempt.approved", map[string]string{"sub": a.Sub}); n != 3 {
		t.Errorf("%d sign-ins of this person, want 3", n)
	}
	if w.engine.Watching() != 1 { // the push's
		t.Errorf("%d attempts are kept in memory", w.engine.Watching())
	}
}

func (w *world) must2(_ login.Attempt, err error) { w.t.Helper(); w.must(err) }

// The sub of the OAuth interface tells when a number has changed hands, as the
// profile's id does.
func TestNativeNumberChangesHands(t *testing.T) {
	w, oauth := nativeWorld(t)
	first, err := w.native()
	w.must(err)
	oauth.userinfo = tells(t, "2")
	second, err := w.native(code("2"))
	w.must(err)
	if first.Sub == second.Sub || !w.log.has("attempt.number_changed_hands", map[string]string{"sub": second.Sub, "method": "native"}) {
		t.Errorf("%s, %s: %s", first.Sub, second.Sub, w.log.text())
	}
}

// Each error of Truecaller's has its reason, ends the attempt, makes nobody a
// person and buys nothing.
func TestNativeFailures(t *testing.T) {
	for _, row := range []struct {
		exchange bool // at the token, else at the profile
		err      error
		why      login.Reason
	}{
		{true, truecaller.ErrCodeRefused, login.CodeRefused},
		{true, truecaller.ErrClientIDRefused, login.Misconfigured},
		{true, truecaller.ErrExchangeUnavailable, login.Unavailable},
		{true, truecaller.ErrExchange, login.ProfileFailed},
		{false, truecaller.ErrUnauthorized, login.ProfileFailed},
		{false, truecaller.ErrProfile, login.ProfileFailed},
		{false, truecaller.ErrNoProfile, login.ProfileFailed},
		{false, truecaller.ErrProfileUnavailable, login.Unavailable},
		{false, truecaller.ErrNoOpenID, login.NotGranted},
		{false, truecaller.ErrNoNumber, login.NotGranted},
		{false, truecaller.ErrUnverified, login.Unverified},
	} {
		t.Run(row.err.Error(), func(t *testing.T) {
			w, oauth := nativeWorld(t)
			fails := fmt.Errorf("%w: status 500", row.err)
			if row.exchange {
				oauth.exchange = func(context.Context) error { return fails }
			} else {
				oauth.userinfo = func(context.Context) (truecaller.Profile, error) { return truecaller.Profile{}, fails }
			}
			a, err := w.native()
			if !errors.Is(err, row.err) || a.State != login.Failed || a.Reason != row.why || a.Sub != "" {
				t.Errorf("%+v, %v", a, err)
			}
			stored, err := w.store.Attempt(t.Context(), a.ID)
			w.must(err)
			if stored.State != login.Failed || stored.Reason != row.why || !stored.Number.IsZero() {
				t.Errorf("stored: %+v", stored)
			}
			if !w.log.has("attempt.failed", map[string]string{"reason": string(row.why), "method": "native"}) || w.log.has("attempt.approved", nil) {
				t.Errorf("audit: %s", w.log.text())
			}
			if _, _, err := w.store.AccessToken(t.Context(), sha256.Sum256([]byte(a.ID))); !errors.Is(err, grant.ErrNotFound) {
				t.Errorf("it bought a token: %v", err)
			}
		})
	}
}

// That a code was used is known for longer than by which attempt.
func TestANativeCodeWhoseAttemptIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := nativeWorld(t)
		w.must2(w.native())
		time.Sleep(5*time.Minute + time.Hour + time.Second) // the attempt's life, and how long it is kept
		used := (*login.UsedError)(nil)
		if _, err := w.native(); !errors.As(err, &used) || used.Before.ID != "" {
			t.Errorf("%v", err)
		}
	})
}

// A code makes one attempt, whatever came of the first (RFC 6749 §4.1.2).
func TestInvariant9_ANativeCodeIsUsedOnce(t *testing.T) {
	w, oauth := nativeWorld(t)
	a, err := w.native()
	w.must(err)
	w.restart()
	used := (*login.UsedError)(nil)
	if _, err := w.native(); !errors.As(err, &used) || used.Before.ID != a.ID || used.Before.State != login.Done {
		t.Errorf("%v", err)
	}
	if oauth.asked() != 1 {
		t.Errorf("Truecaller was asked %d times", oauth.asked())
	}
	// Another app's codes are others.
	w.must2(w.native(func(s *login.NativeRequest) { s.App = "third" }))

	oauth.exchange = func(context.Context) error { return truecaller.ErrExchangeUnavailable }
	failed, _ := w.native(code("-b"))
	oauth.exchange = nil
	if _, err := w.native(code("-b")); !errors.As(err, &used) || used.Before.ID != failed.ID || used.Before.State != login.Failed {
		t.Errorf("after a failure: %v", err)
	}

	// At the same time: the first that is still under way gets nothing either.
	var won, lost, contested atomic.Int32
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			switch _, err := w.native(code("-c")); {
			case err == nil:
				won.Add(1)
			case errors.As(err, new(*login.UsedError)):
				lost.Add(1)
			case errors.Is(err, login.ErrContested):
				contested.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load()+contested.Load() != 1 || lost.Load() != 15 {
		t.Errorf("%d won, %d contested, %d lost", won.Load(), contested.Load(), lost.Load())
	}
}

// A code that is presented again while its first use is under way gives neither of
// them anything, at whatever step the first is (RFC 6749 §4.1.2).
func TestInvariant9_ANativeCodeThatIsContestedGivesNothing(t *testing.T) {
	for _, step := range []string{"at the token", "at the profile", "at the failed profile", "after the approval"} {
		for _, other := range []string{"demo", "another client"} {
			t.Run(step+" by "+other, func(t *testing.T) {
				w, oauth := nativeWorld(t)
				var second error
				again := func() {
					_, second = w.native(func(s *login.NativeRequest) { s.ClientID = other })
				}
				switch step {
				case "at the token":
					oauth.exchange = func(context.Context) error { oauth.exchange = nil; again(); return nil }
				case "at the profile":
					oauth.userinfo = func(ctx context.Context) (truecaller.Profile, error) { again(); return tells(t, "1")(ctx) }
				case "at the failed profile":
					oauth.userinfo = func(ctx context.Context) (truecaller.Profile, error) {
						again()
						return truecaller.Profile{}, truecaller.ErrProfileUnavailable
					}
				}
				first := login.NativeRequest{Code: sdkCode, Verifier: sdkVerifier, App: "main", ClientID: "demo", Network: "192.0.2.7/32"}
				var attempt login.ID
				done, err := w.engine.Native(t.Context(), first, func(a login.Attempt, p truecaller.Profile) (grant.Redemption, error) {
					attempt = a.ID
					if step == "after the approval" {
						again()
					}
					return issue(a, p)
				})
				used := (*login.UsedError)(nil)
				if !errors.Is(err, login.ErrContested) || done.Redemption.Grant != nil || !errors.As(second, &used) {
					t.Fatalf("the first got %v, the second %v; want nothing for both", err, second)
				}
				a, err := w.store.Attempt(t.Context(), used.Before.ID)
				w.must(err)
				if a.State != login.Failed || a.Reason != login.CodeReused || attempt != "" && attempt != a.ID {
					t.Errorf("got %+v, want it failed", a)
				}
				if _, _, err := w.store.AccessToken(t.Context(), sha256.Sum256([]byte(a.ID))); !errors.Is(err, grant.ErrNotFound) {
					t.Errorf("the first bought a token: %v", err)
				}
				if !w.log.has("attempt.failed", map[string]string{"reason": "code_reused"}) || w.log.has("attempt.done", nil) {
					t.Errorf("audit: %s", w.log.text())
				}
				w.restart()
				if _, err := w.native(); !errors.As(err, &used) {
					t.Errorf("a third use: %v", err)
				}
			})
		}
	}
}

// When the tokens cannot be made, the attempt has failed and nothing is stored.
func TestNativeThatCannotIssue(t *testing.T) {
	w, _ := nativeWorld(t)
	broken := errors.New("the key is broken")
	request := login.NativeRequest{Code: sdkCode, Verifier: sdkVerifier, App: "main", ClientID: "demo", Network: "192.0.2.7/32"}
	done, err := w.engine.Native(t.Context(), request, func(a login.Attempt, p truecaller.Profile) (grant.Redemption, error) {
		return grant.Redemption{}, broken
	})
	if !errors.Is(err, broken) || done.Attempt.State != login.Failed || done.Attempt.Reason != login.NotIssued {
		t.Errorf("got %+v, %v", done.Attempt, err)
	}
}

// Budgets are spent with the attempt, before Truecaller is asked. There is no
// number yet to have one.
func TestInvariant7_NativeSpendsBudgets(t *testing.T) {
	one := limit.Rate{Burst: 1, Period: time.Hour}
	server := func(s *login.NativeRequest) { s.Server = true }
	for _, row := range []struct {
		kind   limit.Kind
		limits login.Limits
		change func(*login.NativeRequest)
		passes bool
	}{
		{limit.SilentNetwork, login.Limits{Number: wide, Network: one, Client: wide, Deployment: wide}, func(*login.NativeRequest) {}, false},
		{limit.SilentClient, login.Limits{Number: wide, Network: wide, Client: one, Deployment: wide}, func(*login.NativeRequest) {}, false},
		{limit.SilentDeployment, login.Limits{Number: wide, Network: wide, Client: wide, Deployment: one}, func(*login.NativeRequest) {}, false},
		{limit.Number, login.Limits{Number: one, Network: wide, Client: wide, Deployment: wide}, func(*login.NativeRequest) {}, true},
		{limit.SilentNetwork, login.Limits{Number: wide, Network: one, Client: wide, Deployment: wide}, server, true},
		{limit.SilentClient, login.Limits{Number: wide, Network: wide, Client: one, Deployment: wide}, server, false},
		{limit.SilentDeployment, login.Limits{Number: wide, Network: wide, Client: wide, Deployment: one}, server, false},
	} {
		w, oauth := nativeWorld(t, func(c *login.Config) { c.Limits = row.limits })
		w.must2(w.native(row.change))
		_, err := w.native(row.change, code("2"))
		full := (*limit.Exceeded)(nil)
		if row.passes {
			w.must(err)
			continue
		}
		if !errors.As(err, &full) || full.Kind != row.kind || oauth.asked() != 1 {
			t.Errorf("%s: %v, asked %d times", row.kind, err, oauth.asked())
		}
		if !w.log.has("attempt.limited", map[string]string{"limit": string(row.kind), "method": "native"}) {
			t.Errorf("%s is not audited", row.kind)
		}
		// Nothing was written, so that the code is good when there is budget again.
		w.config.Limits = login.Limits{Number: wide, Network: wide, Client: wide, Deployment: wide}
		w.restart()
		if row.kind != limit.SilentDeployment {
			w.must2(w.native(row.change, code("2"), func(s *login.NativeRequest) { s.Network, s.ClientID = "198.51.100.1/32", "other" }))
		}
	}
}

// While Truecaller does not answer nothing is written, so that the code is still
// good when it does.
func TestNativeWhileTruecallerDoesNotAnswer(t *testing.T) {
	w, oauth := nativeWorld(t)
	oauth.down = &truecaller.Unavailable{Purpose: truecaller.ForToken, Host: "oauth.example", RetryAt: time.Now().Add(time.Second)}
	down := (*truecaller.Unavailable)(nil)
	if _, err := w.native(); !errors.As(err, &down) || oauth.asked() != 0 || !w.log.has("attempt.unavailable", map[string]string{"method": "native", "client": "demo"}) {
		t.Errorf("%v, asked %d: %s", err, oauth.asked(), w.log.text())
	}
	oauth.down = nil
	w.must2(w.native())
}

// A native attempt is no browser's, and no callback's.
func TestInvariant2_NativeAttemptsBelongToNoBrowser(t *testing.T) {
	w, oauth := nativeWorld(t)
	oauth.userinfo = func(ctx context.Context) (truecaller.Profile, error) {
		// While it is under way.
		a, err := w.store.AttemptByCorrelation(ctx, sha256.Sum256([]byte("native\x00main\x00"+sdkCode)))
		w.must(err)
		if a.State != login.TokenReceived {
			t.Errorf("%s", a.State)
		}
		for _, secret := range []login.BrowserSecret{"", browser, login.BrowserSecret(make([]byte, 32))} {
			if _, err := w.engine.Get(ctx, a.ID, secret); !errors.Is(err, login.ErrNotYours) {
				t.Errorf("browser %q: %v", string(secret), err)
			}
			if err := w.engine.Cancel(ctx, a.ID, secret); !errors.Is(err, login.ErrNotYours) {
				t.Errorf("browser %q: %v", string(secret), err)
			}
		}
		key := "native\x00main\x00" + sdkCode
		for _, c := range []truecaller.Callback{{State: key, RequestID: "r", AccessToken: "t"}, {RequestID: key, AccessToken: "t"}, {RequestID: sdkCode, State: sdkCode, AccessToken: "t"}} {
			if expected, err := w.engine.Expects(ctx, "main", c); expected || err != nil {
				t.Errorf("a callback is expected: %v, %v", expected, err)
			}
		}
		return tells(t, "1")(ctx)
	}
	w.must2(w.native())
}

// An application that gives up leaves no attempt behind that never ends.
func TestNativeSurvivesTheApplication(t *testing.T) {
	w, oauth := nativeWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	oauth.exchange = func(ctx context.Context) error {
		cancel()
		<-ctx.Done()
		return fmt.Errorf("%w: %w", truecaller.ErrExchangeUnavailable, ctx.Err())
	}
	done, err := w.engine.Native(ctx, login.NativeRequest{Code: sdkCode, Verifier: sdkVerifier, App: "main", ClientID: "demo"}, issue)
	a := done.Attempt
	if !errors.Is(err, truecaller.ErrExchangeUnavailable) || a.State != login.Failed {
		t.Errorf("%+v, %v", a, err)
	}
}

// Truecaller has ten seconds, and the attempt its own time.
func TestNativeTakesNoLongerThanItMay(t *testing.T) {
	slow := func(d time.Duration) func(context.Context) error {
		return func(ctx context.Context) error {
			select {
			case <-time.After(d):
				return nil
			case <-ctx.Done():
				return fmt.Errorf("%w: %w", truecaller.ErrExchangeUnavailable, ctx.Err())
			}
		}
	}
	synctest.Test(t, func(t *testing.T) {
		w, oauth := nativeWorld(t)
		oauth.exchange = slow(time.Minute)
		begun := time.Now()
		if a, err := w.native(); !errors.Is(err, truecaller.ErrExchangeUnavailable) || a.Reason != login.Unavailable || time.Since(begun) != 10*time.Second {
			t.Errorf("%s: %+v, %v", time.Since(begun), a, err)
		}
		oauth.exchange = slow(9 * time.Second)
		w.must2(w.native(code("2")))
		w.must(w.store.Close())
	})
	synctest.Test(t, func(t *testing.T) {
		w, oauth := nativeWorld(t, func(c *login.Config) { c.Life = time.Second })
		oauth.exchange = slow(2 * time.Second)
		if _, err := w.native(); !errors.Is(err, login.ErrState) {
			t.Error(err)
		}
		synctest.Wait()
		if w.log.has("attempt.approved", nil) || w.log.count("attempt.expired", map[string]string{"method": "native"}) != 1 {
			t.Errorf("audit: %s", w.log.text())
		}
		w.must(w.store.Close())
	})
}

func TestInvariant10_NativeLogsHaveNoSecrets(t *testing.T) {
	w, oauth := nativeWorld(t)
	w.must2(w.native())
	oauth.exchange = func(context.Context) error { return truecaller.ErrCodeRefused }
	w.native(code("2"))
	w.native(code("2"))
	for _, secret := range []string{sdkCode, sdkVerifier, oauthToken, digits, digits[2:]} {
		if strings.Contains(w.log.text(), secret) {
			t.Errorf("the log has %q", secret)
		}
	}
}

func TestNativeNeedsAnAppWithAClientID(t *testing.T) {
	w, oauth := nativeWorld(t)
	for _, app := range []string{"second", "absent", ""} {
		if _, err := w.native(func(s *login.NativeRequest) { s.App = app }); err == nil || oauth.asked() != 0 {
			t.Errorf("app %q: %v", app, err)
		}
	}
	c := w.config
	c.Exchanger = nil
	if _, err := login.New(c); err == nil {
		t.Error("an engine without an exchanger for an app with a client id")
	}
	oauth.userinfo = func(context.Context) (truecaller.Profile, error) { return profile(t, "", digits, "46701740699"), nil }
	if a, err := w.native(); !errors.Is(err, truecaller.ErrProfile) || a.Reason != login.ProfileFailed || w.log.has("attempt.approved", nil) {
		t.Errorf("a profile with two numbers: %v", err)
	}
}
