package provider_test

import (
	"errors"
	"fmt"
	"testing"

	"calleridp/provider"
	"calleridp/provider/authorize"
)

// Where the page has guessed the country and could not show the number in it, a
// national number is shown whole before anybody is asked.
func TestANumberInAGuessedCountryIsShownFirst(t *testing.T) {
	w := newWorld(t)
	_, view := w.get("/authorize?" + asked("app").Encode()).page()
	submit := func(number, region string, guessed bool) error {
		_, err := w.provider.Submit(t.Context(), authorize.Submission{
			Request: view["Request"].(string), Phone: number, Region: region, Guessed: guessed, Browser: browser, Network: "192.0.2.1/32",
		})
		return err
	}
	refusal := (*authorize.Refusal)(nil)
	err := submit("070-174 06 99", "SE", true)
	if !errors.As(err, &refusal) || refusal.Problem.Kind != authorize.PhoneConfirm || refusal.View.Phone != "+46 70 174 06 99" || refusal.View.Region != "SE" {
		t.Errorf("%+v", err)
	}
	if err := submit("070 1", "SE", true); !errors.As(err, &refusal) || refusal.Problem.Kind != authorize.PhoneTooShort {
		t.Errorf("a mistake is told first: %+v", err)
	}
	if len(w.phone.state) != 0 {
		t.Error("somebody was asked")
	}
	for _, sure := range []struct {
		number, region string
		guessed        bool
	}{
		{"+46 70 174 06 99", "SE", true},   // as the page shows it then
		{"0046 70 174 06 98", "NO", true},  // whatever was guessed
		{"070-174 06 97", "SE", false},     // chosen, or shown by the script
		{"+91 99999 99999", "SE", false},   // a plus wins
		{"0046 70 174 06 96", "IN", false}, // and so does 00
	} {
		if err := submit(sure.number, sure.region, sure.guessed); err != nil {
			t.Errorf("%+v: %v", sure, err)
		}
	}
	if len(w.phone.state) != 5 {
		t.Errorf("%d were asked", len(w.phone.state))
	}
}

func TestTheCountriesOfThePage(t *testing.T) {
	w := newWorld(t, func(c *provider.Config) { c.DefaultRegion, c.Countries = "", []string{"SE", "NO"} })
	c := clients()[0]
	c.ID, c.Region, c.Countries = "indian", "IN", []string{"IN", "BD"}
	if _, _, err := w.registry.Add(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct{ id, hint, region, countries string }{
		{"app", "", "", "[SE NO]"},
		{"app", "+91 99999 99999", "IN", "[SE NO]"},
		{"app", "070-174 06 05", "", "[SE NO]"},
		{"indian", "", "IN", "[IN BD]"},
		{"indian", "+46 70 174 06 05", "SE", "[IN BD]"},
		{"indian", "99999 99999", "IN", "[IN BD]"},
		{"indian", "nobody@example.com", "IN", "[IN BD]"},
	} {
		_, view := w.get("/authorize?" + asked("app", "client_id", row.id, "login_hint", row.hint).Encode()).page()
		if view["Region"] != row.region || fmt.Sprint(view["Countries"]) != row.countries {
			t.Errorf("%+v: %v %v", row, view["Region"], view["Countries"])
		}
	}
}
