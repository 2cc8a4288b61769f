// SPDX-License-Identifier: Apache-2.0

package authorize_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/keys"
	"calleridp/provider/authorize"
	"calleridp/provider/client"
	"calleridp/provider/endpoint"
	"calleridp/provider/internal/splice"
	"calleridp/provider/internal/testworld"
	"calleridp/provider/login"
	"calleridp/truecaller"
)

// oneTapForm returns what a click on the one-tap button of a sign-in page posts.
func oneTapForm(t testing.TB, a testworld.Response) authorize.OneTapSubmission {
	t.Helper()
	_, view := a.Page()
	tap, ok := view["OneTap"].(map[string]any)
	if !ok {
		t.Fatalf("got %v, want a sign-in page with one-tap", a)
	}
	return authorize.OneTapSubmission{
		Request: testworld.SealedRequest(t, a, "signin"),
		Nonce:   tap["Nonce"].(string),
		Browser: testworld.Browser,
		Network: testworld.Network,
	}
}

// nonceOf returns the nonce that a phone finds in the link of an attempt.
func nonceOf(t *testing.T, w *testworld.World, id login.ID) string {
	t.Helper()
	v, err := w.View(id)
	if err != nil || v.Link == nil {
		t.Fatalf("view: got %+v, %v, want a link", v, err)
	}
	link, err := url.Parse(v.Link("hi-IN"))
	if err != nil {
		t.Fatal(err)
	}
	if link.Scheme != "truecallersdk" {
		t.Fatalf("link: got %v, want the scheme truecallersdk", link)
	}
	for name, want := range map[string]string{
		"lang":        "hi",
		"partnerKey":  "key-of-tap",
		"partnerName": "Tap",
		"privacyUrl":  "https://tap.example/privacy",
	} {
		if got := link.Query().Get(name); got != want {
			t.Fatalf("%s in the link: got %q, want %q", name, got, want)
		}
	}
	return link.Query().Get("requestNonce")
}

func TestOneTapSignIn(t *testing.T) {
	w := testworld.New(t)
	ctx := t.Context()
	form := oneTapForm(t, w.Authorize("tap", "scope", "openid phone"))
	started, err := w.Flow.StartOneTap(ctx, form)
	if err != nil || started.OtherLink {
		t.Fatalf("starting: got %v, %v, want the link of the page", started, err)
	}
	id := started.Attempt
	if again, err := w.Flow.StartOneTap(ctx, form); err != nil || again != started {
		t.Errorf("a double click: got %v, %v, want %v", again, err, started)
	}
	v, err := w.View(id)
	if err != nil || v.Method != login.OneTap || v.Number != "" || v.Opened || v.App != "Tap" ||
		v.State != login.Waiting {
		t.Fatalf("view: got %+v, %v, want a waiting one-tap attempt without a number", v, err)
	}
	nonce := nonceOf(t, w, id)
	// The same page in another browser, and later again in this one, starts another
	// attempt with a nonce of its own.
	stranger := form
	stranger.Browser = "another-browser"
	if other, err := w.Flow.StartOneTap(ctx, stranger); err != nil || other.Attempt == id || !other.OtherLink {
		t.Errorf("the page in another browser: got %v, %v, want another attempt and link", other, err)
	}
	delivery := func(id string, c truecaller.Callback) truecaller.Delivery {
		c.RequestID = nonce
		return w.Deliver(truecaller.Delivery{ID: id, App: "tap", Received: time.Now(), Callback: c})
	}
	if err := w.Engine.Progress(ctx, delivery("d0", truecaller.Callback{Status: "flow_invoked"})); err != nil {
		t.Fatal(err)
	}
	if v, err = w.View(id); err != nil || !v.Opened {
		t.Errorf("view after the link was opened: got %+v, %v, want it opened", v, err)
	}
	approved := delivery("d1", truecaller.Callback{AccessToken: "token"})
	if err := w.Engine.Profile(ctx, approved, testworld.Profile(t, testworld.Number)); err != nil {
		t.Fatal(err)
	}
	v, err = w.View(id)
	if err != nil || v.State != login.Approved || !strings.HasSuffix(v.Number, "0605") ||
		strings.Contains(v.Number, testworld.Number) {
		t.Errorf("view after the approval: got %+v, %v, want it approved, with the masked number", v, err)
	}
	done, _ := w.Finish(id)
	claims := testworld.TokensIn(t, w.Exchange("tap", testworld.Param(done.Response, "code"))).Claims(t)
	if claims["phone_number"] != testworld.Number || claims["phone_number_verified"] != true {
		t.Errorf("ID token: got %v, want the verified number", claims)
	}
	if later, err := w.Flow.StartOneTap(ctx, form); err != nil || later.Attempt == id || !later.OtherLink {
		t.Errorf("the page after its sign-in: got %v, %v, want another attempt and link", later, err)
	}
}

// Only a nonce that this server made, for this client and not long ago, starts
// an attempt (invariant 6).
func TestInvariant6_OnlyOurOwnNonces(t *testing.T) {
	testworld.Ring()
	synctest.Test(t, func(t *testing.T) {
		w := testworld.New(t)
		good := oneTapForm(t, w.Authorize("tap"))
		other := w.Authorize("app")
		if _, view := other.Page(); view["OneTap"] != nil {
			t.Errorf("an app without one-tap: got %v, want no link", view["OneTap"])
		}
		changed := good.Nonce[:20] + "A" + good.Nonce[21:] + "A"
		othersRequest := testworld.SealedRequest(t, other, "signin")
		start := func(change func(*authorize.OneTapSubmission)) error {
			form := good
			change(&form)
			_, err := w.Flow.StartOneTap(t.Context(), form)
			return err
		}
		for what, change := range map[string]func(*authorize.OneTapSubmission){
			"no nonce":                   func(s *authorize.OneTapSubmission) { s.Nonce = "" },
			"a nonce in the clear":       func(s *authorize.OneTapSubmission) { s.Nonce = strings.Repeat("n", 43) },
			"the request as nonce":       func(s *authorize.OneTapSubmission) { s.Nonce = s.Request },
			"the nonce as request":       func(s *authorize.OneTapSubmission) { s.Request = s.Nonce },
			"another client's request":   func(s *authorize.OneTapSubmission) { s.Request = othersRequest },
			"a nonce with a bit changed": func(s *authorize.OneTapSubmission) { s.Nonce = changed },
		} {
			if err := start(change); !errors.Is(err, endpoint.ErrBadRequest) {
				t.Errorf("%s: got %v, want %v", what, err, endpoint.ErrBadRequest)
			}
		}
		fresh, err := w.Flow.NewOneTap(t.Context(), good.Request)
		if err != nil || fresh == nil || fresh.Nonce == good.Nonce || fresh.Link("en") == "" {
			t.Fatalf("another link: got %v, %v, want another nonce and its link", fresh, err)
		}
		time.Sleep(time.Hour + time.Second)
		if err := start(func(*authorize.OneTapSubmission) {}); !errors.Is(err, endpoint.ErrRequestExpired) {
			t.Errorf("after an hour: got %v, want %v", err, endpoint.ErrRequestExpired)
		}
	})
}

// A nonce is for one client at one Truecaller app, for as long as the page that it
// was made for.
func TestInvariant6_ANonceIsForOneClientAndItsTime(t *testing.T) {
	w := testworld.New(t, func(c *testworld.Config) {
		app := truecaller.App{ID: "tap-too", Name: "Tap too", Key: "key-of-tap-too", OneTap: &truecaller.Dialog{}}
		c.Login.Apps[app.ID], c.Provider.Apps.ByID[app.ID] = app, app
		c.ClientApps = append(c.ClientApps, client.App{ID: app.ID})
	})
	tap := func() client.Client {
		c := testworld.App("")
		c.SecretHashes, c.TruecallerApp = nil, "tap"
		c, _ = w.AddClient(c)
		return c
	}
	one, two := tap(), tap()
	form := func(c client.Client) authorize.OneTapSubmission {
		return oneTapForm(t, w.Authorize("app", "client_id", c.ID))
	}
	start := func(s authorize.OneTapSubmission) error {
		_, err := w.Flow.StartOneTap(t.Context(), s)
		return err
	}
	mixed := form(one)
	mixed.Nonce = form(two).Nonce
	if err := start(mixed); !errors.Is(err, endpoint.ErrBadRequest) {
		t.Errorf("another client's nonce: got %v, want %v", err, endpoint.ErrBadRequest)
	}
	late := form(one)
	late.Nonce = testworld.Aged(t, keys.PurposeOneTapNonce, late.Nonce)
	if err := start(late); !errors.Is(err, endpoint.ErrRequestExpired) {
		t.Errorf("an old nonce in a new page: got %v, want %v", err, endpoint.ErrRequestExpired)
	}
	moved, good := form(one), form(two)
	err := w.Store.UpdateClient(t.Context(), one.ID, func(c *client.Client) error { c.TruecallerApp = "tap-too"; return nil })
	if err != nil {
		t.Fatal(err)
	}
	if err := start(moved); !errors.Is(err, endpoint.ErrBadRequest) {
		t.Errorf("a nonce of another app: got %v, want %v", err, endpoint.ErrBadRequest)
	}
	if err := start(good); err != nil {
		t.Errorf("its own: got %v, want no error", err)
	}
}

func FuzzSealedNonce(f *testing.F) {
	w := testworld.New(f)
	form := oneTapForm(f, w.Authorize("tap"))
	splice.Seed(f)
	f.Fuzz(func(t *testing.T, piece string, at, out uint8) {
		changed := form
		changed.Nonce = splice.At(form.Nonce, piece, at, out)
		_, err := w.Flow.StartOneTap(t.Context(), changed)
		if good := changed.Nonce == form.Nonce; (err == nil) != good {
			t.Errorf("%q: got %v, want accepted %v", changed.Nonce, err, good)
		}
	})
}
