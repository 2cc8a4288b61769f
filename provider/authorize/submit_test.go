// SPDX-License-Identifier: Apache-2.0

package authorize_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"calleridp/keys"
	"calleridp/provider/authorize"
	"calleridp/provider/endpoint"
	"calleridp/provider/internal/testworld"
)

// submit submits a sign-in page with changes. It returns the refusal, nil for none.
func submit(t *testing.T, w *testworld.World, s authorize.Submission) *authorize.Refusal {
	t.Helper()
	_, err := w.Flow.Submit(t.Context(), s)
	if refusal, ok := errors.AsType[*authorize.Refusal](err); ok {
		return refusal
	}
	if err != nil {
		t.Fatal(err)
	}
	return nil
}

func TestSubmitRefuses(t *testing.T) {
	w := testworld.New(t)
	page := w.Submission(w.Authorize("app", "ui_locales", "sv en"), "")
	typed := func(number string) authorize.Submission {
		s := page
		s.Phone = number
		return s
	}
	shownAgain := ""
	for number, want := range map[string]authorize.ProblemKind{
		"":                 authorize.PhoneEmpty,
		"anna@example.com": authorize.PhoneNotANumber,
		"070 1":            authorize.PhoneTooShort,
		"+46 20 12 34 56":  authorize.PhoneLandline,
	} {
		refusal := submit(t, w, typed(number))
		if refusal == nil || refusal.Problem.Kind != want || refusal.View.Phone != number ||
			refusal.View.Problem == nil ||
			refusal.View.Client.Name != "App" || len(refusal.View.UILocales) != 2 {
			t.Errorf("%q: got %+v, want %s on the same page", number, refusal, want)
		} else {
			shownAgain = refusal.View.Request
		}
	}
	again := typed("070-174 06 99")
	again.Request = shownAgain
	if refusal := submit(t, w, again); refusal != nil {
		t.Errorf("the page that is shown again: got %+v, want no refusal", refusal)
	}
	national := typed("99999 99999")
	national.Region = "IN"
	if refusal := submit(t, w, national); refusal != nil {
		t.Errorf("a national number of the chosen country: got %+v, want no refusal", refusal)
	}
	if refusal := submit(t, w, typed(testworld.Number)); refusal != nil {
		t.Fatalf("a number: got %+v, want no refusal", refusal)
	}
	if refusal := submit(t, w, typed(testworld.Number)); refusal != nil {
		t.Errorf("the same number again, from the same browser: got %+v, want its own attempt", refusal)
	}
	stranger := typed(testworld.Number)
	stranger.Browser = "another"
	refusal := submit(t, w, stranger)
	if refusal == nil || refusal.Problem.Kind != authorize.LockedElsewhere || time.Until(refusal.Problem.RetryAt) < time.Minute {
		t.Errorf("the same number from another browser: got %+v, want %s for a minute and more", refusal, authorize.LockedElsewhere)
	}
	down := time.Now().Add(30 * time.Second)
	w.Phone.DownUntil(down)
	refusal = submit(t, w, typed("+46701740607"))
	want := authorize.Problem{Kind: authorize.Unavailable, RetryAt: down}
	if refusal == nil || refusal.Problem != want || refusal.View.Phone == "" {
		t.Errorf("while Truecaller is down: got %+v, want %+v and the number", refusal, want)
	}
	w.Phone.DownUntil(time.Time{})
	sealed := page.Request
	for _, bad := range []string{"", "x", sealed[1:], sealed + "A", strings.ToUpper(sealed)} {
		s := typed(testworld.Number)
		s.Request = bad
		if _, err := w.Flow.Submit(t.Context(), s); !errors.Is(err, endpoint.ErrBadRequest) {
			t.Errorf("sealed request %.20q: got %v, want %v", bad, err, endpoint.ErrBadRequest)
		}
	}
}

// A user who has cancelled and comes back, while the push is still open on the phone, is
// asked for another number: the field is empty, and says when the same one works again.
func TestAfterACancelAnotherNumberLeads(t *testing.T) {
	w := testworld.New(t)
	id := w.Submit(w.Authorize("app"), testworld.Number)
	if err := w.Flow.Cancel(t.Context(), id, testworld.Browser); err != nil {
		t.Fatal(err)
	}
	s := w.Submission(w.Authorize("es256"), testworld.Number)
	refusal := submit(t, w, s)
	if refusal == nil || refusal.Problem.Kind != authorize.Locked || refusal.View.Phone != "" || refusal.View.Client.ID != "es256" {
		t.Errorf("got %+v, want %s on the page of es256 without a number", refusal, authorize.Locked)
	}
	s.Browser = "another"
	if refusal := submit(t, w, s); refusal == nil || refusal.Problem.Kind != authorize.LockedElsewhere || refusal.View.Phone != testworld.Number {
		t.Errorf("another browser: got %+v, want %s and the number", refusal, authorize.LockedElsewhere)
	}
}

// The client or its redirect URI may be gone when the form is submitted.
func TestSubmitLooksAtTheClientAgain(t *testing.T) {
	w := testworld.New(t)
	w.AddClient(testworld.App("brief"))
	s := w.Submission(w.Authorize("app", "client_id", "brief"), testworld.Number)
	w.RemoveClient("brief")
	if _, err := w.Flow.Submit(t.Context(), s); !errors.Is(err, endpoint.ErrBadRequest) {
		t.Errorf("after the client was removed: got %v, want %v", err, endpoint.ErrBadRequest)
	}
}

func TestRequestExpires(t *testing.T) {
	w := testworld.New(t)
	s := w.Submission(w.Authorize("app"), testworld.Number)
	s.Request = testworld.Aged(t, keys.PurposeAuthorizationRequest, s.Request)
	if _, err := w.Flow.Submit(t.Context(), s); !errors.Is(err, endpoint.ErrRequestExpired) {
		t.Errorf("two hours later: got %v, want %v", err, endpoint.ErrRequestExpired)
	}
}

// If the page guessed the country and could not show the number in it, a national
// number is shown in full before a push is sent.
func TestANumberInAGuessedCountryIsShownFirst(t *testing.T) {
	w := testworld.New(t)
	page := w.Submission(w.Authorize("app"), "")
	typed := func(number, region string, guessed bool) *authorize.Refusal {
		t.Helper()
		s := page
		s.Phone, s.Region, s.Guessed = number, region, guessed
		return submit(t, w, s)
	}
	refusal := typed("070-174 06 99", "SE", true)
	if refusal == nil || refusal.Problem.Kind != authorize.PhoneConfirm || refusal.View.Phone != "+46 70 174 06 99" ||
		refusal.View.Region != "SE" {
		t.Errorf("a national number: got %+v, want %s with +46 70 174 06 99", refusal, authorize.PhoneConfirm)
	}
	if refusal := typed("070 1", "SE", true); refusal == nil || refusal.Problem.Kind != authorize.PhoneTooShort {
		t.Errorf("a short number: got %+v, want %s first", refusal, authorize.PhoneTooShort)
	}
	if n := w.Phone.Pushed(); n != 0 {
		t.Errorf("pushes before a confirmed number: got %d, want 0", n)
	}
	rows := []struct {
		what, number, region string
		guessed              bool
	}{
		{"as the page shows it then", "+46 70 174 06 99", "SE", true},
		{"international, in another guessed country", "0046 70 174 06 98", "NO", true},
		{"in a chosen country, or shown by the script", "070-174 06 97", "SE", false},
		{"a plus wins over the country", "+91 99999 99999", "SE", false},
		{"00 wins over the country", "0046 70 174 06 96", "IN", false},
	}
	for _, row := range rows {
		if refusal := typed(row.number, row.region, row.guessed); refusal != nil {
			t.Errorf("%s: got %+v, want no refusal", row.what, refusal)
		}
	}
	if n := w.Phone.Pushed(); n != len(rows) {
		t.Errorf("pushes: got %d, want %d", n, len(rows))
	}
}

// A landline's number, and one of a plan newer than ours, may be tried once the user has
// confirmed it. The page shows it whole already, so the answer is a field of its own.
func TestANumberThatMayExistIsTriedOnceConfirmed(t *testing.T) {
	w := testworld.New(t)
	page := w.Submission(w.Authorize("app"), "")
	typed := func(number, confirmed string) *authorize.Refusal {
		t.Helper()
		s := page
		s.Phone, s.Confirmed = number, confirmed
		return submit(t, w, s)
	}
	for i, row := range []struct{ number, shown string }{
		{"+1 624 555 0123", "+1 624-555-0123"},
		{"+46 8 123 456 78", "+46 8 123 456 78"},
		{"08-123 456 79", "+46 8 123 456 79"},
	} {
		for _, confirmed := range []string{"", "+1 624-555-0124"} {
			refusal := typed(row.number, confirmed)
			if refusal == nil || refusal.Problem.Kind != authorize.PhoneConfirm || refusal.View.Phone != row.shown {
				t.Errorf("%q: got %+v, want %s with %s", row.number, refusal, authorize.PhoneConfirm, row.shown)
			}
		}
		if n := w.Phone.Pushed(); n != i {
			t.Errorf("%q: got %d pushes before it was confirmed, want %d", row.number, n, i)
		}
		if refusal := typed(row.shown, row.shown); refusal != nil {
			t.Errorf("%q, confirmed: got %+v, want no refusal", row.number, refusal)
		}
		if n := w.Phone.Pushed(); n != i+1 {
			t.Errorf("%q, confirmed: got %d pushes, want %d", row.number, n, i+1)
		}
	}
}

// Where a number may be read in two ways, the other one may be a stranger's: the page
// asks, and goes on with the number that it showed or with a whole one.
func TestThreat_ANumberWithTwoReadingsIsAskedAbout(t *testing.T) {
	w := testworld.New(t)
	page := w.Submission(w.Authorize("app"), "")
	typed := func(number, region, confirmed string) *authorize.Refusal {
		t.Helper()
		s := page
		s.Phone, s.Region, s.Confirmed = number, region, confirmed
		return submit(t, w, s)
	}
	const typedInBrazil, shown = "0055 51 98401-0101", "+55 51 98401-0101"
	for _, confirmed := range []string{"", "+51 984 010 101", "yes"} {
		refusal := typed(typedInBrazil, "BR", confirmed)
		if refusal == nil || refusal.Problem.Kind != authorize.PhoneConfirm || refusal.View.Phone != shown || refusal.View.Region != "BR" {
			t.Errorf("confirmed %q: got %+v, want %s with %s", confirmed, refusal, authorize.PhoneConfirm, shown)
		}
	}
	if n := w.Phone.Pushed(); n != 0 {
		t.Errorf("pushes before a confirmed number: got %d, want 0", n)
	}
	if refusal := typed(typedInBrazil, "BR", shown); refusal != nil {
		t.Errorf("confirmed, and typed as before: got %+v, want no refusal", refusal)
	}
	if refusal := typed("+55 51 98401-0102", "BR", shown); refusal != nil {
		t.Errorf("a whole number: got %+v, want no refusal", refusal)
	}
	if n := w.Phone.Pushed(); n != 2 {
		t.Errorf("pushes: got %d, want 2", n)
	}
}

// A page without a number field takes no number: the form is not ours.
func TestThreat_ANumberForAnAppWithoutPush(t *testing.T) {
	w := testworld.New(t, testworld.WithoutPush("tap"))
	s := w.Submission(w.Authorize("tap"), testworld.Number)
	if id, err := w.Flow.Submit(t.Context(), s); !errors.Is(err, endpoint.ErrBadRequest) || w.Phone.Pushed() != 0 {
		t.Errorf("got %q, %v and %d pushes, want %v and none", id, err, w.Phone.Pushed(), endpoint.ErrBadRequest)
	}
}
