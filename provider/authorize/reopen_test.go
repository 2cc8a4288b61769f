// SPDX-License-Identifier: Apache-2.0

package authorize_test

import (
	"errors"
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider/authorize"
	"calleridp/provider/endpoint"
	"calleridp/provider/internal/testworld"
)

func TestReopenTheSignInPage(t *testing.T) {
	w := testworld.New(t)
	sealed := w.Submission(w.Authorize("app", "ui_locales", "sv"), "").Request
	problem := &authorize.Problem{Kind: authorize.PhoneTooShort}
	var a, other testworld.Response
	w.WantNothingStored("showing a page again (invariant 1)", func() {
		a = w.Reopen(authorize.Reopening{Request: sealed, Phone: "99999 9", Region: "in", Problem: problem})
		other = w.Reopen(authorize.Reopening{Request: sealed, Region: "nowhere"})
	})
	v := signInView(t, a)
	if v.Phone != "99999 9" || v.Region != "IN" || v.Problem == nil || v.Problem.Kind != authorize.PhoneTooShort {
		t.Errorf("got %+v, want the number, region IN and the problem %s", v, authorize.PhoneTooShort)
	}
	v = signInView(t, other)
	if v.Region != "SE" || v.Problem != nil {
		t.Errorf("an unknown region: got %+v, want SE and no problem", v)
	}
	if refusal := submit(t, w, w.Submission(a, testworld.Number)); refusal != nil {
		t.Errorf("submitting the page that is shown again: got %+v, want no refusal", refusal)
	}
}

func TestReopenTheConsentPage(t *testing.T) {
	w := testworld.New(t)
	view, session := w.PromptedFor("third", "scope", "openid phone")
	a := w.Reopen(authorize.Reopening{Request: view.Request}, session)
	if again := a.WantPage(t, "reopening", "consent"); len(again["Scopes"].([]any)) != 2 {
		t.Fatalf("scopes: got %v, want two", again["Scopes"])
	}
	// Both pages are one prompt: the second consent gets the code of the first.
	one, two := w.Allow(testworld.SealedRequest(t, a, "consent"), session), w.Allow(view.Request, session)
	if one.Code() == "" || one.Code() != two.Code() {
		t.Errorf("consenting in both pages: got the codes %q and %q, want one code", one.Code(), two.Code())
	}
	_, again := w.Reopen(authorize.Reopening{Request: view.Request}).Page()
	if again["Kind"] != "request_expired" {
		t.Errorf("without the session: got %v, want the error page request_expired", again)
	}
}

// However often a page is shown again, it expires when the first one would have.
func TestThreat_APageThatIsShownAgainDoesNotLiveLonger(t *testing.T) {
	testworld.Ring()
	synctest.Test(t, func(t *testing.T) {
		w := testworld.New(t)
		reopened := func(page, sealed string, cookies ...*http.Cookie) testworld.Response {
			return w.Reopen(authorize.Reopening{Request: sealed}, cookies...)
		}
		signIn := w.Submission(w.Authorize("app"), "").Request
		tap := signInView(t, w.Authorize("tap"))
		tapNonce := tap.OneTap.Nonce
		refused := w.Submission(w.Authorize("app"), "no number")
		again := w.Submit(w.Authorize("app"), testworld.OtherNumber) // its waiting page offers another try
		consent, session := w.PromptedFor("third", "scope", "openid phone")
		another := w.ConsentRequest(session, "third", "scope", "openid phone")
		signOut := testworld.SealedRequest(t, w.Get("/logout", session), "confirm")
		for range 4 { // in the hour of each page
			time.Sleep(14 * time.Minute)
			signIn = w.Submission(reopened("signin", signIn), "").Request
			consent.Request = testworld.SealedRequest(t, reopened("consent", consent.Request, session), "consent")
			another = testworld.SealedRequest(t, reopened("consent", another, session), "consent")
			signOut = testworld.SealedRequest(t, reopened("confirm", signOut, session), "confirm")
			tap = signInView(t, reopened("signin", tap.Request))
			tapNonce = tap.OneTap.Nonce
			_, err := w.Flow.Submit(t.Context(), refused)
			refusal, ok := errors.AsType[*authorize.Refusal](err)
			if !ok {
				t.Fatalf("a page that is refused: got %v", err)
			}
			refused.Request = refusal.View.Request
		}
		asked := w.Decide(another, "another", testworld.Cookie(session))
		fromConsent := w.Submission(asked, "").Request
		time.Sleep(4*time.Minute + time.Second) // an hour after the first pages
		for what, a := range map[string]testworld.Response{
			"the sign-in page":        reopened("signin", signIn),
			"the consent prompt":      reopened("consent", consent.Request, session),
			"another person's":        reopened("signin", fromConsent),
			"the sign-out prompt":     reopened("confirm", signOut, session),
			"the page that refused":   reopened("signin", refused.Request),
			"consenting":              w.Allow(consent.Request, session),
			"confirming the sign-out": w.Post("/logout/confirm", url.Values{"request": {signOut}}, testworld.Cookie(session)),
		} {
			if _, view := a.Page(); view["Kind"] != "request_expired" {
				t.Errorf("%s: got %v, want the error page request_expired", what, a)
			}
		}
		expired := map[string]error{}
		_, expired["submitting"] = w.Flow.Submit(t.Context(), authorize.Submission{Request: signIn, Phone: testworld.Number, Browser: testworld.Browser, Network: testworld.Network})
		_, expired["trying again"] = w.Flow.Again(t.Context(), again, testworld.Browser, false)
		_, expired["one-tap"] = w.Flow.StartOneTap(t.Context(), authorize.OneTapSubmission{Request: tap.Request, Nonce: tapNonce, Browser: testworld.Browser, Network: testworld.Network})
		_, expired["another link"] = w.Flow.NewOneTap(t.Context(), tap.Request)
		for what, err := range expired {
			if !errors.Is(err, endpoint.ErrRequestExpired) {
				t.Errorf("%s: got %v, want %v", what, err, endpoint.ErrRequestExpired)
			}
		}
	})
}
