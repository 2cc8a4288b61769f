package authorize_test

import (
	"testing"

	"calleridp/provider/authorize"
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
