package authorize_test

import (
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider/internal/testworld"
)

// A consent form can be sent for an hour, and gives the same code each time. A code
// that was redeemed stays so for that hour, also where its tokens have expired before.
func TestInvariant9_ARedeemedCodeOutlivesItsConsentForm(t *testing.T) {
	testworld.Ring()
	synctest.Test(t, func(t *testing.T) {
		w := testworld.New(t, func(c *testworld.Config) { c.Provider.Lifetimes.AccessToken = time.Minute })
		view, session := w.PromptedFor("third")
		time.Sleep(time.Minute)
		code := w.Allow(view.Request, session).Code()
		w.Exchange("third", code).WantStatus(t, "redeeming the code", 200)
		for _, after := range []time.Duration{2 * time.Minute, 50 * time.Minute, 7*time.Minute - time.Second} {
			time.Sleep(after)
			if a := w.Allow(view.Request, session); a.Code() != "" || a.StatusCode != 410 {
				t.Errorf("the same form %s later: got %v, want 410", after, a)
			}
			w.Exchange("third", code).WantOAuthError(t, "the same code", 400, "invalid_grant")
		}
	})
}
