package provider_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider"
	"calleridp/provider/authorize"
	"calleridp/provider/endpoint"
	"calleridp/provider/internal/splice"
	"calleridp/provider/login"
	"calleridp/truecaller"
)

// oneTapForm is what a click on the one-tap button of a sign-in page posts.
func oneTapForm(t *testing.T, a answer) authorize.OneTapSubmission {
	t.Helper()
	page, view := a.page()
	tap, ok := view["OneTap"].(map[string]any)
	if page != "signin" || !ok {
		t.Fatalf("no one-tap: %s %v", page, view)
	}
	return authorize.OneTapSubmission{Request: view["Request"].(string), Nonce: tap["Nonce"].(string), Browser: browser, Network: "192.0.2.1/32"}
}

// nonceOf is the nonce that a phone would find in the link of an attempt.
func (w *world) nonceOf(id login.ID) string {
	w.t.Helper()
	v, err := w.provider.View(w.t.Context(), id, browser)
	if err != nil || v.Link == nil {
		w.t.Fatalf("%+v, %v", v, err)
	}
	link, err := url.Parse(v.Link("hi-IN"))
	if err != nil || link.Scheme != "truecallersdk" || link.Query().Get("lang") != "hi" || link.Query().Get("partnerKey") != "key-of-tap" ||
		link.Query().Get("partnerName") != "Tap" || link.Query().Get("privacyUrl") != "https://tap.example/privacy" {
		w.t.Fatalf("link %v, %v", link, err)
	}
	return link.Query().Get("requestNonce")
}

func TestOneTapSignIn(t *testing.T) {
	w := newWorld(t)
	form := oneTapForm(t, w.get("/authorize?"+asked("tap", "scope", "openid phone").Encode()))
	started, err := w.provider.StartOneTap(t.Context(), form)
	if err != nil || started.OtherLink {
		t.Fatal(started, err)
	}
	id := started.Attempt
	if again, err := w.provider.StartOneTap(t.Context(), form); err != nil || again != started {
		t.Errorf("a double click: %v, %v", again, err)
	}
	v, err := w.provider.View(t.Context(), id, browser)
	if err != nil || v.Method != login.OneTap || v.Number != "" || v.Opened || v.App != "Tap" || v.State != login.Waiting {
		t.Fatalf("%+v, %v", v, err)
	}
	nonce := w.nonceOf(id)
	ctx := t.Context()
	// The page in another browser, and later again in this one, starts another
	// attempt, with a nonce of its own.
	stranger := form
	stranger.Browser = "another-browser"
	if other, err := w.provider.StartOneTap(ctx, stranger); err != nil || other.Attempt == id || !other.OtherLink {
		t.Errorf("another browser with this page: %v, %v", other, err)
	}
	opened := truecaller.Delivery{ID: "d0", App: "tap", Received: time.Now(), Callback: truecaller.Callback{RequestID: nonce, Status: "flow_invoked"}}
	if err := w.engine.Progress(ctx, opened); err != nil {
		t.Fatal(err)
	}
	if v, err = w.provider.View(ctx, id, browser); err != nil || !v.Opened {
		t.Errorf("%+v, %v", v, err)
	}
	d := truecaller.Delivery{ID: "d1", App: "tap", Received: time.Now(), Callback: truecaller.Callback{RequestID: nonce, AccessToken: "token"}}
	if err := w.engine.Profile(ctx, d, profile(t, strings.TrimPrefix(number, "+"))); err != nil {
		t.Fatal(err)
	}
	if v, err = w.provider.View(ctx, id, browser); err != nil || v.State != login.Approved || !strings.HasSuffix(v.Number, "0605") || strings.Contains(v.Number, number) {
		t.Errorf("%+v, %v", v, err)
	}
	done, err := w.provider.Continue(ctx, id, browser, "")
	if err != nil {
		t.Fatal(err)
	}
	got := w.exchange("tap", param(done.Response, "code")).json()
	if claims := claimsOf(t, got["id_token"]); claims["phone_number"] != number || claims["phone_number_verified"] != true {
		t.Errorf("%v", claims)
	}
	if later, err := w.provider.StartOneTap(ctx, form); err != nil || later.Attempt == id || !later.OtherLink {
		t.Errorf("the page once more, after its sign-in: %v, %v", later, err)
	}
}

// Only a nonce that this server made, for this client and not long ago, starts
// an attempt (invariant 6).
func TestInvariant6_OnlyOurOwnNonces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		good := oneTapForm(t, w.get("/authorize?"+asked("tap").Encode()))
		if _, view := w.get("/authorize?" + asked("app").Encode()).page(); view["OneTap"] != nil {
			t.Error("an app without one-tap offers it")
		}
		_, other := w.get("/authorize?" + asked("app").Encode()).page()
		start := func(change func(*authorize.OneTapSubmission)) error {
			form := good
			change(&form)
			_, err := w.provider.StartOneTap(context.Background(), form)
			return err
		}
		for what, change := range map[string]func(*authorize.OneTapSubmission){
			"no nonce":                   func(s *authorize.OneTapSubmission) { s.Nonce = "" },
			"a nonce in the clear":       func(s *authorize.OneTapSubmission) { s.Nonce = strings.Repeat("n", 43) },
			"the request as nonce":       func(s *authorize.OneTapSubmission) { s.Nonce = s.Request },
			"the nonce as request":       func(s *authorize.OneTapSubmission) { s.Request = s.Nonce },
			"another client's request":   func(s *authorize.OneTapSubmission) { s.Request = other["Request"].(string) },
			"a nonce with a bit changed": func(s *authorize.OneTapSubmission) { s.Nonce = s.Nonce[:20] + "A" + s.Nonce[21:] + "A" },
		} {
			if err := start(change); !errors.Is(err, endpoint.ErrBadRequest) {
				t.Errorf("%s: %v", what, err)
			}
		}
		fresh, err := w.provider.NewOneTap(context.Background(), good.Request)
		if err != nil || fresh == nil || fresh.Nonce == good.Nonce || fresh.Link("en") == "" {
			t.Fatalf("%v, %v", fresh, err)
		}
		time.Sleep(time.Hour + time.Second)
		if err := start(func(*authorize.OneTapSubmission) {}); !errors.Is(err, endpoint.ErrRequestExpired) {
			t.Errorf("after an hour: %v", err)
		}
		w.store.Close()
	})
}

// A client whose Truecaller app has been taken out of the configuration does not
// fall back to another one's name and callback.
func TestClientOfAnAppThatIsGone(t *testing.T) {
	w := newWorld(t, func(c *provider.Config) { delete(c.Apps.ByID, "tap") })
	if a := w.get("/authorize?" + asked("tap").Encode()); a.StatusCode != 500 || !strings.Contains(w.log.text(), "not configured") {
		t.Errorf("%d\n%s", a.StatusCode, w.log.text())
	}
}

func FuzzSealedNonce(f *testing.F) {
	w := newWorld(f)
	a := w.get("/authorize?" + asked("tap").Encode())
	_, view := a.page()
	raw, _ := json.Marshal(view["OneTap"])
	var tap struct{ Nonce string }
	if err := json.Unmarshal(raw, &tap); err != nil || tap.Nonce == "" {
		f.Fatal(err)
	}
	splice.Seed(f)
	f.Fuzz(func(t *testing.T, piece string, at, out uint8) {
		nonce := splice.At(tap.Nonce, piece, at, out)
		_, err := w.provider.StartOneTap(context.Background(), authorize.OneTapSubmission{Request: view["Request"].(string), Nonce: nonce, Browser: browser, Network: "n"})
		if (err == nil) != (nonce == tap.Nonce) {
			t.Errorf("%q: %v", nonce, err)
		}
	})
}
