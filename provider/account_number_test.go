package provider_test

import (
	"net/http"
	"testing"

	"calleridp/provider"
	"calleridp/provider/endpoint"
)

// A number that has changed hands: the old person sees that it is not theirs any
// more, and what they delete is their own.
func TestTheAccountOfANumberThatChangedHands(t *testing.T) {
	w := newWorld(t)
	_, old := w.signIn(asked("app"), number)
	id := w.submit(w.get("/authorize?"+asked("app").Encode()), number)
	p := profile(t, number)
	p.ID = "somebody else"
	w.approveAs(p)
	done, err := w.provider.Continue(t.Context(), id, browser, "")
	if err != nil {
		t.Fatal(err)
	}
	next := &http.Cookie{Name: old.Name, Value: string(done.Session)}
	if w.shown(old)["NumberLost"] != true || w.shown(next)["NumberLost"] != false {
		t.Error("who has the number is not told")
	}
	if a := w.doing("/account/download", old, nil); a.json()["phone_number_is_yours"] != false {
		t.Errorf("%s", a.body)
	}
	w.doing("/account/delete", old, nil)
	if v := w.shown(next); v["NumberLost"] != false {
		t.Errorf("%v", v)
	}
}

// Who had a number that is somebody else's by now is not told to have it: neither
// in a session nor at a refresh nor at userinfo.
func TestThreat_ALostNumberIsNotClaimed(t *testing.T) {
	w := newWorld(t)
	got, old := w.tokens("app", everything)
	if claims := claimsOf(t, got["id_token"]); claims["phone_number"] != number {
		t.Fatalf("%v", claims)
	}
	id := w.submit(w.get("/authorize?"+asked("app", "scope", everything).Encode()), number)
	p := profile(t, number)
	p.ID = "somebody else"
	w.approveAs(p)
	done, err := w.provider.Continue(t.Context(), id, browser, "")
	if err != nil {
		t.Fatal(err)
	}
	next := w.exchange("app", param(done.Response, "code")).json()
	if claims := claimsOf(t, next["id_token"]); claims["phone_number"] != number || claims["phone_number_verified"] != true {
		t.Errorf("the new person: %v", claims)
	}
	for what, claims := range map[string]map[string]any{
		"refresh":     claimsOf(t, w.refresh("app", got["refresh_token"].(string)).json()["id_token"]),
		"userinfo":    w.post("/userinfo", nil, bearer(got["access_token"].(string))).json(),
		"the session": claimsOf(t, w.exchange("app", w.code(old, "app", "scope", everything)).json()["id_token"]),
	} {
		for _, name := range []string{"phone_number", "phone_number_verified", "phone_number_verified_at"} {
			if claims["sub"] == nil || claims[name] != nil {
				t.Errorf("%s: %s is %v in %v", what, name, claims[name], claims)
			}
		}
	}
}

// Where clients that name no Truecaller app have one for native applications alone,
// people sign in to their account by another one.
func TestTheAccountPageOfANativeDeployment(t *testing.T) {
	w, _ := nativeWorld(t, nil, func(c *provider.Config) { c.Apps.Default = "nat" })
	page, v := w.get(endpoint.PathAccount).page()
	if page != "signin" || v["WithoutPush"] != false || v["App"] == "Nat" {
		t.Errorf("%s: %v", page, v)
	}
}
